//! Which change of the cut would show more: codes merged, a level or a table left out; measured, ranked, never applied
//! by itself.
//!
//! Most of what is withheld is withheld by a rule, since the cut is too fine for its people. No better search for
//! secondary cells shows that; a coarser cut does. Each change ranked here has been protected, as `protect` does it.
//!
//! **The measure.** The cells of a table that lie at the same levels, a *layer*, share out the same establishments, so that
//! each head counts once in each layer, however coarse its codes are. The *gain* of a change is the headcount shown after it
//! less the headcount shown before, over the layers that both versions have. It is fair between kinds of changes in that a
//! merger neither makes heads nor loses any, and a layer that is left out counts on neither side: nothing is gained by
//! leaving out what was withheld, nor lost by leaving out what was shown. What the reader loses is told beside it, as
//! *given up*: the headcount shown before in cells that the changed version no longer has. Both are sums over layers,
//! as the reader of each of them sees it.

use super::history::{Change, NotProtected, Past, protect_in};
use super::microdata::{Column, Microdata};
use super::policy::{Dimension, Rules, Spec};
use super::primary::{self, Cell as Judged};
use super::protect::{Cell, Coordinate, Dossier, ProtectedTables};
use super::tabulate::{NotTabulable, RawTable, RawTables, tabulate};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Codes of one level of which every pair is looked at: the lightest. A bound on work, above the sectors of any city.
pub const CODES_PAIRED_MAX: usize = 400;

/// What is asked of the advisor beside records and specification.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The level whose codes are zones: codes of other levels are merged only where they are ordered. Without it every
    /// level is looked at.
    pub zone_level: Option<String>,
    /// Zones that share a border, by code; without it any two zones may be merged.
    pub neighbours: Option<Vec<(String, String)>>,
    /// Levels whose codes have an order, that of their bytes: only those next to each other are merged. A level whose
    /// dimension has bounds is ordered by them and need not be named.
    pub ordered: Vec<String>,
    /// Changes that are protected, at most; each takes as long as the protection of the specification itself.
    pub tries: usize,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Advised {
    /// What the specification shows as it is; nothing, when it cannot be protected.
    pub before: Shown,
    /// Why it cannot be protected as it is.
    pub stuck: Option<NotProtected>,
    /// Changes that show more, best first: by gain, then by the least given up, then in the fixed order of [`Change`].
    pub ranking: Vec<Advice>,
    /// Changes looked at by an estimate.
    pub candidates: usize,
    /// Changes protected.
    pub tried: usize,
    /// Those among them that cannot be protected.
    pub refused: usize,
    /// Levels with more codes than [`CODES_PAIRED_MAX`], of which only the lightest were paired.
    pub cut_short: Vec<String>,
}

/// A change, and what it would show.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// What changes.
    pub change: Change,
    /// Headcount shown in addition, over the layers that both versions have.
    pub gain: i128,
    /// Headcount that was shown in cells which the changed version no longer has.
    pub given_up: u64,
    /// What is shown then.
    pub after: Shown,
}

/// What a reader sees of all tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// By table, in the order of the specification, then coarse to fine.
    pub layers: Vec<Layer>,
}

/// The cells of a table that lie at the same levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The table.
    pub table: String,
    /// By dimension of the table, the name of the level; `TOTAL` for the total.
    pub levels: Vec<String>,
    /// Cells that hold an establishment.
    pub cells: u64,
    /// Those withheld.
    pub withheld: u64,
    /// Headcount shown.
    pub headcount: u64,
    /// Headcount of all its cells: a raw figure, which stays here.
    all: u64,
    at: Place,
}

/// By dimension, the place of the level from the coarsest; `None` for the total.
type Place = Vec<Option<u8>>;

impl Shown {
    /// Cells that hold an establishment.
    pub fn cells(&self) -> u64 {
        self.layers.iter().map(|layer| layer.cells).sum()
    }
    /// Cells withheld.
    pub fn withheld(&self) -> u64 {
        self.layers.iter().map(|layer| layer.withheld).sum()
    }
    /// Headcount shown, over all layers: a head counts once in each.
    pub fn headcount(&self) -> u128 {
        self.layers.iter().map(|layer| u128::from(layer.headcount)).sum()
    }
    /// The share of the headcount that is shown, to four decimals.
    pub fn share(&self) -> f64 {
        share(self.headcount(), self.layers.iter().map(|layer| u128::from(layer.all)).sum())
    }
    /// The layer of the other version at the same place.
    pub fn same(&self, layer: &Layer) -> Option<&Layer> {
        self.layers.iter().find(|other| other.table == layer.table && other.at == layer.at)
    }
}

impl Layer {
    /// The share of its headcount that is shown, to four decimals.
    pub fn share(&self) -> f64 {
        share(self.headcount.into(), self.all.into())
    }
}

fn share(part: u128, whole: u128) -> f64 {
    if whole == 0 { 1.0 } else { ((part * 20_000 + whole) / (2 * whole)) as f64 / 10_000.0 }
}

/// Why no advice can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdvisable {
    /// The specification cannot be protected as it is.
    #[error(transparent)]
    NotProtected(#[from] NotProtected),
    /// The question does not fit the specification or the records.
    #[error("{place}: found {found}, expected {expected}")]
    Question {
        /// What of the question.
        place: String,
        /// What was found.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
}

impl From<NotTabulable> for NotAdvisable {
    fn from(wrong: NotTabulable) -> Self {
        Self::NotProtected(wrong.into())
    }
}

/// Measures changes of the cut, and ranks those that show more.
///
/// Every change is first looked at by an estimate that judges cells by the rules alone: for two codes, the headcount of the
/// unsafe cells that their merger makes safe; for a level or a table left out, the headcount that is withheld elsewhere to
/// protect other cells. Estimates of different kinds say different things, so the tries go to the best of each kind in turn.
/// `told` hears of each try before it is made: how many were made, of how many, and the change.
///
/// # Errors
/// [`NotAdvisable`]: the specification as it is cannot be protected, the question names what is not there, or there is
/// nothing to try.
pub fn advise(
    micro: &Microdata,
    spec: &Spec,
    past: &Past<'_>,
    question: &Question,
    told: &mut dyn FnMut(usize, usize, &Change),
) -> Result<Advised, NotAdvisable> {
    check(micro, spec, question)?;
    let raw = tabulate(micro, spec)?;
    let (pairs, cut_short) = pairs(micro, spec, question);
    let (levels, tables) = (coarser(spec), left_out(spec));
    let candidates = pairs.len() + levels.len() + tables.len();
    if candidates == 0 {
        return Err(NotAdvisable::Question {
            place: "specification".to_owned(),
            found: format!("{} and no two codes that could be merged", told_of(spec)),
            expected: "two tables, a dimension of two levels, or a level of three codes".to_owned(),
        });
    }
    let (now, stuck) = match protect_in(micro, spec, past) {
        Ok(now) => (Some(now), None),
        Err(no) if is_no(&no) => (None, Some(no)),
        Err(wrong) => return Err(wrong.into()),
    };
    let tables_now = now.as_ref().map(|now| &now.tables);
    let before = shown(&raw, tables_now);
    let secondary = now.as_ref().map_or(Vec::new(), |now| withheld_for_others(&raw, &now.dossier));

    let mut merging = Merging::new(&raw, spec);
    let mut mergers: Vec<_> =
        pairs.into_iter().map(|pair| (Reverse(merging.saves(&pair)), pair.weight, pair)).collect();
    mergers.sort_by(|a, b| (a.0, a.1, a.2.key()).cmp(&(b.0, b.1, b.2.key())));
    let by_bound = |changes: Vec<Change>| {
        let mut bounded: Vec<_> = changes.into_iter().map(|c| (Reverse(at_stake(spec, &secondary, &c)), c)).collect();
        bounded.sort();
        bounded.into_iter().map(|(_, change)| change).collect::<Vec<_>>().into_iter()
    };
    let mut mergers = mergers.into_iter().map(|(_, _, pair)| pair.change());
    let (mut levels, mut tables) = (by_bound(levels), by_bound(tables));

    let total = candidates.min(question.tries);
    let mut advised = Advised { before, ranking: Vec::new(), candidates, tried: 0, refused: 0, cut_short, stuck };
    while advised.tried < total {
        let turn = [levels.next(), mergers.next(), tables.next()];
        for change in turn.into_iter().flatten().take(total - advised.tried) {
            told(advised.tried, total, &change);
            advised.tried += 1;
            match measure(micro, spec, past, &advised.before, tables_now, change)? {
                None => advised.refused += 1,
                Some(advice) if advice.gain > 0 => advised.ranking.push(advice),
                Some(_) => {}
            }
        }
    }
    advised
        .ranking
        .sort_by(|a, b| (Reverse(a.gain), a.given_up, &a.change).cmp(&(Reverse(b.gain), b.given_up, &b.change)));
    Ok(advised)
}

/// What a change shows; `None` when it cannot be protected.
fn measure(
    micro: &Microdata,
    spec: &Spec,
    past: &Past<'_>,
    before: &Shown,
    shown_before: Option<&ProtectedTables>,
    change: Change,
) -> Result<Option<Advice>, NotAdvisable> {
    let (changed, cut) = change.apply(micro, spec);
    let raw = tabulate(&changed, &cut)?;
    let tables = match protect_in(&changed, &cut, past) {
        Ok(protected) => protected.tables,
        Err(no) if is_no(&no) => return Ok(None),
        Err(wrong) => return Err(wrong.into()),
    };
    let after = shown(&raw, Some(&tables));
    let mut gain = 0;
    for layer in &before.layers {
        if let Some(same) = after.same(layer) {
            gain += i128::from(same.headcount) - i128::from(layer.headcount);
        }
    }
    let mut given_up = 0;
    for table in shown_before.into_iter().flat_map(ProtectedTables::iter) {
        let same = tables.get(&table.name);
        for (at, cell) in table.cells() {
            if let Cell::Open { headcount, .. } = cell
                && same.and_then(|t| t.cell(at)).is_none()
            {
                given_up += headcount;
            }
        }
    }
    Ok(Some(Advice { change, gain, given_up, after }))
}

/// Whether the answer is no, and another cut may be answered otherwise.
fn is_no(refused: &NotProtected) -> bool {
    match refused {
        NotProtected::NotProtectable(_) | NotProtected::GivenAway { .. } => true,
        NotProtected::NotTabulable(_) | NotProtected::OtherMicrodata { .. } | NotProtected::NotRevisable { .. } => {
            false
        }
    }
}

/// Place and headcount of the cells withheld to protect others, by table.
fn withheld_for_others(raw: &RawTables, dossier: &Dossier) -> Vec<Vec<(Place, u64)>> {
    // Reasons and cells have one order.
    let mut reasons = dossier.reasons.iter();
    let of_table = |table: &RawTable| {
        let cells = table.cells.iter().zip(&mut reasons).filter(|(_, reason)| reason.fate == "secondary");
        cells.map(|(cell, _)| (place_of(&cell.key), raw.rows[cell.row as usize].value)).collect()
    };
    raw.tables.iter().map(of_table).collect()
}

/// What a reader of these tables sees; nothing, when there are none.
fn shown(raw: &RawTables, tables: Option<&ProtectedTables>) -> Shown {
    let mut layers = Vec::new();
    for of_raw in &raw.tables {
        let mut by_place: BTreeMap<Place, Layer> = BTreeMap::new();
        for cell in &of_raw.cells {
            let at = place_of(&cell.key);
            let level = |(d, level): (usize, &Option<u8>)| {
                level.map_or("TOTAL".to_owned(), |l| of_raw.dimensions[d].levels[usize::from(l)].clone())
            };
            let layer = by_place.entry(at).or_insert_with_key(|at| Layer {
                table: of_raw.name.clone(),
                levels: at.iter().enumerate().map(level).collect(),
                cells: 0,
                withheld: 0,
                headcount: 0,
                all: 0,
                at: at.clone(),
            });
            layer.cells += 1;
            layer.withheld += 1;
            layer.all += raw.rows[cell.row as usize].value;
        }
        for (at, cell) in tables.and_then(|t| t.get(&of_raw.name)).into_iter().flat_map(|t| t.cells()) {
            let level = |c: &Coordinate| match c {
                Coordinate::Total => None,
                Coordinate::Code { level, .. } => Some(*level),
            };
            let Some(layer) = by_place.get_mut(&at.iter().map(level).collect::<Place>()) else { continue };
            if let Cell::Open { headcount, .. } = cell {
                layer.headcount += headcount;
                layer.withheld -= 1;
            }
        }
        layers.extend(by_place.into_values());
    }
    Shown { layers }
}

fn place_of(key: &[(u8, u32)]) -> Place {
    key.iter().map(|(level, _)| level.checked_sub(1)).collect()
}

fn told_of(spec: &Spec) -> String {
    let finest = spec.tables.iter().flat_map(|t| t.dimensions.iter().map(|d| spec.depth(t, d))).max().unwrap_or(0);
    format!("{} table(s), {finest} level(s)", spec.tables.len())
}

fn check(micro: &Microdata, spec: &Spec, question: &Question) -> Result<(), NotAdvisable> {
    let wrong = |place: String, found: String, expected: String| NotAdvisable::Question { place, found, expected };
    let known = spec.columns();
    for level in question.zone_level.iter().chain(&question.ordered) {
        if !known.contains(&level.as_str()) {
            return Err(wrong("level".to_owned(), format!("`{level}`"), format!("one of {}", known.join(", "))));
        }
        if !levels_shown(spec).iter().any(|(_, _, name)| name == level) {
            let expected = "a level that some table shows".to_owned();
            return Err(wrong(format!("level `{level}`"), "a level that no table shows".to_owned(), expected));
        }
    }
    if question.tries == 0 {
        return Err(wrong("tries".to_owned(), "0".to_owned(), "1 or more".to_owned()));
    }
    let (Some(level), Some(neighbours)) = (&question.zone_level, &question.neighbours) else { return Ok(()) };
    let column = micro.column(level).ok_or_else(|| NotTabulable::NoColumn(level.clone()))?;
    let known: BTreeSet<&str> = column.labels.iter().map(String::as_str).collect();
    if !neighbours.iter().any(|(one, other)| known.contains(one.as_str()) && known.contains(other.as_str())) {
        let found = format!("{} pairs of zones that share a border, none of them two codes met", neighbours.len());
        return Err(wrong(format!("level `{level}`"), found, "zones whose codes the level has".to_owned()));
    }
    Ok(())
}

/// Every level that a table shows: dimension, place from 0, name.
fn levels_shown(spec: &Spec) -> Vec<(&str, usize, &str)> {
    let mut levels = Vec::new();
    for (name, dimension) in &spec.dimensions {
        let tables = spec.tables.iter().filter(|t| t.dimensions.contains(name));
        let deepest = tables.map(|t| spec.depth(t, name)).max().unwrap_or(0);
        let of_dimension = dimension.levels[..deepest].iter().enumerate();
        levels.extend(of_dimension.map(|(at, level)| (name.as_str(), at, level.as_str())));
    }
    levels
}

/// The finest level of each dimension left out, in all tables that show it and in each of them alone.
fn coarser(spec: &Spec) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, at, level) in levels_shown(spec) {
        let at_depth =
            |t: &&super::policy::Table| t.dimensions.iter().any(|d| d == name) && spec.depth(t, name) == at + 1;
        let tables: Vec<String> = spec.tables.iter().filter(at_depth).map(|t| t.name.clone()).collect();
        let deeper = levels_shown(spec).iter().any(|(d, l, _)| *d == name && *l > at);
        if at == 0 || tables.is_empty() || deeper {
            continue;
        }
        let change = |tables| Change::Coarser { dimension: name.to_owned(), level: level.to_owned(), tables };
        if tables.len() > 1 {
            changes.extend(tables.iter().map(|table| change(vec![table.clone()])));
        }
        changes.push(change(tables));
    }
    changes
}

fn left_out(spec: &Spec) -> Vec<Change> {
    let tables = spec.tables.iter().filter(|_| spec.tables.len() > 1);
    tables.map(|t| Change::LeaveOut { table: t.name.clone() }).collect()
}

/// The most a level or a table left out may show: what is withheld to protect others in the layers that stay.
fn at_stake(spec: &Spec, secondary: &[Vec<(Place, u64)>], change: &Change) -> u128 {
    let stays = |t: usize, at: &Place| match change {
        Change::LeaveOut { table } => spec.tables[t].name != *table,
        Change::Coarser { dimension, tables, .. } => {
            let table = &spec.tables[t];
            let d = table.dimensions.iter().position(|d| d == dimension);
            let finest = |d: usize| at[d].map(|level| usize::from(level) + 1) == Some(spec.depth(table, dimension));
            !(tables.contains(&table.name) && d.is_some_and(finest))
        }
        Change::Merge { .. } => true,
    };
    let cells = secondary.iter().enumerate().flat_map(|(t, cells)| cells.iter().map(move |cell| (t, cell)));
    cells.filter(|(t, cell)| stays(*t, &cell.0)).map(|(_, cell)| u128::from(cell.1)).sum()
}

/// Two codes that could be one.
struct Pair<'a> {
    level: &'a Column,
    dimension: &'a str,
    /// Place of the level from 1.
    at: u8,
    one: u32,
    other: u32,
    /// Headcount of both.
    weight: u64,
}

impl Pair<'_> {
    fn change(&self) -> Change {
        let label = |code: u32| self.level.labels[code as usize].clone();
        Change::Merge { level: self.level.name.clone(), one: label(self.one), other: label(self.other) }
    }
    fn key(&self) -> (&str, u8, u32, u32) {
        (self.dimension, self.at, self.one, self.other)
    }
}

/// Every two codes of a level that may become one, and the levels of which only the lightest codes were paired.
fn pairs<'a>(micro: &'a Microdata, spec: &'a Spec, question: &Question) -> (Vec<Pair<'a>>, Vec<String>) {
    let (mut pairs, mut cut_short) = (Vec::new(), Vec::new());
    for (dimension, at, level) in levels_shown(spec) {
        let Some(column) = micro.column(level) else { continue };
        let zones = question.zone_level.as_deref() == Some(level);
        let is_order =
            !spec.dimensions[dimension].bounds.is_empty() || question.ordered.iter().any(|name| name == level);
        // A column that names establishments, contributors or weights is no code list.
        let names = ["siret", "id", spec.contributor.as_str(), spec.weight.as_str()];
        if names.iter().any(|name| name.eq_ignore_ascii_case(level))
            || column.labels.len() < 3
            || !may_be_merged(spec, dimension, level)
            || (question.zone_level.is_some() && !zones && !is_order)
        {
            continue;
        }
        let above = at.checked_sub(1).and_then(|l| micro.column(&spec.dimensions[dimension].levels[l]));
        let codes = weights_and_parents(micro, column, above);
        let wanted: Vec<(u32, u32)> = if let (true, Some(neighbours)) = (zones, &question.neighbours) {
            let code = |name: &String| column.labels.binary_search(name).ok().map(|code| code as u32);
            let known = neighbours.iter().filter_map(|(one, other)| Some((code(one)?, code(other)?)));
            let of_two = known.filter(|(one, other)| one != other);
            of_two.map(|(one, other)| (one.min(other), one.max(other))).collect::<BTreeSet<_>>().into_iter().collect()
        } else if is_order {
            let order = order_of(micro, &spec.dimensions[dimension], column);
            order.windows(2).map(|two| (two[0], two[1])).collect()
        } else {
            let mut lightest: Vec<u32> = (0..column.labels.len() as u32).collect();
            lightest.sort_by_key(|&code| (codes[code as usize].0, code));
            if lightest.len() > CODES_PAIRED_MAX {
                cut_short.push(level.to_owned());
                lightest.truncate(CODES_PAIRED_MAX);
            }
            lightest.sort_unstable();
            let all = lightest.iter().enumerate();
            all.flat_map(|(i, &one)| lightest[i + 1..].iter().map(move |&other| (one, other))).collect()
        };
        for (one, other) in wanted {
            let (a, b) = (codes[one as usize], codes[other as usize]);
            let joined = merged_code(&column.labels[one as usize], &column.labels[other as usize]);
            if a.1 == b.1 && column.labels.binary_search(&joined).is_err() {
                pairs.push(Pair { level: column, dimension, at: at as u8 + 1, one, other, weight: a.0 + b.0 });
            }
        }
    }
    (pairs, cut_short)
}

/// Whether rules that name the level by itself would still say the same after a merger that needs another level.
fn may_be_merged(spec: &Spec, dimension: &str, level: &str) -> bool {
    !known_by_bounds(&spec.dimensions[dimension], level)
        || !(spec.population.contains_key(level) || spec.fallback.contains_key(level))
}

/// The codes of a level in their order: by the bounds of the codes at or below them where the dimension has some, else
/// bytewise.
fn order_of(micro: &Microdata, dimension: &Dimension, column: &Column) -> Vec<u32> {
    let mut least: Vec<Option<u64>> = vec![None; column.labels.len()];
    let finest = dimension.levels.last().and_then(|level| micro.column(level)).filter(|_| !dimension.bounds.is_empty());
    let Some(finest) = finest else { return (0..column.labels.len() as u32).collect() };
    for (code, below) in column.codes.iter().zip(&finest.codes) {
        if let (Some(code), Some(below)) = (code, below)
            && let Some(ends) = dimension.bounds.get(&finest.labels[*below as usize])
        {
            let known = &mut least[*code as usize];
            *known = Some(known.map_or(ends[0], |least| least.min(ends[0])));
        }
    }
    let mut order: Vec<(u64, u32)> =
        least.iter().zip(0..).filter_map(|(least, code)| Some(((*least)?, code))).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, code)| code).collect()
}

/// Weight and code above of each code.
fn weights_and_parents(micro: &Microdata, column: &Column, above: Option<&Column>) -> Vec<(u64, Option<u32>)> {
    let mut of_code: Vec<(u64, Option<u32>)> = vec![(0, None); column.labels.len()];
    for (record, label) in column.codes.iter().enumerate() {
        if let Some(label) = label {
            let known = &mut of_code[*label as usize];
            *known = (known.0 + micro.weight[record], above.and_then(|c| c.codes[record]));
        }
    }
    of_code
}

/// Rows of a table by code of one level, each under the coordinates of its other dimensions.
type RowsOfCode = HashMap<u32, HashMap<Vec<(u8, u32)>, u32>>;

/// What mergers save, by the rules alone.
struct Merging<'a> {
    raw: &'a RawTables,
    spec: &'a Spec,
    unsafe_rows: Vec<bool>,
    /// By table, dimension of it and level.
    rows: HashMap<(usize, usize, u8), RowsOfCode>,
}

impl<'a> Merging<'a> {
    fn new(raw: &'a RawTables, spec: &'a Spec) -> Self {
        let verdicts = primary::judge_rows(raw, &spec.rules, &spec.protection);
        Self { raw, spec, unsafe_rows: verdicts.iter().map(Option::is_some).collect(), rows: HashMap::new() }
    }

    /// Headcount of unsafe cells less that of those which stay unsafe once the codes are one.
    fn saves(&mut self, pair: &Pair<'_>) -> i128 {
        let mut saved = 0;
        let raw = self.raw;
        for (t, table) in raw.tables.iter().enumerate() {
            let Some(d) = table.dimensions.iter().position(|d| d.name == pair.dimension) else { continue };
            let by_code = self.rows.entry((t, d, pair.at)).or_insert_with(|| rows_of_code(table, d, pair.at));
            let (Some(one), Some(other)) = (by_code.get(&pair.one), by_code.get(&pair.other)) else { continue };
            for (rest, &row) in one {
                let Some(&beside) = other.get(rest) else { continue };
                let value = |row: u32| i128::from(raw.rows[row as usize].value);
                let unsafe_value = |row: u32| if self.unsafe_rows[row as usize] { value(row) } else { 0 };
                let now = unsafe_value(row) + unsafe_value(beside);
                let then =
                    if is_unsafe(raw, self.spec, &table.rules, row, beside) { value(row) + value(beside) } else { 0 };
                saved += now - then;
            }
        }
        saved
    }
}

fn rows_of_code(table: &RawTable, d: usize, level: u8) -> RowsOfCode {
    let mut by_code = RowsOfCode::new();
    for cell in table.cells.iter().filter(|cell| cell.key[d].0 == level) {
        let mut rest = cell.key.clone();
        let (_, code) = rest.remove(d);
        by_code.entry(code).or_default().insert(rest, cell.row);
    }
    by_code
}

/// Whether two rows together are unsafe by the rules.
fn is_unsafe(raw: &RawTables, spec: &Spec, of_table: &[Rules], one: u32, other: u32) -> bool {
    let (one, other) = (&raw.rows[one as usize], &raw.rows[other as usize]);
    let atoms: Vec<u32> = one.atoms.iter().chain(&other.atoms).copied().collect();
    let (contributions, counts) = raw.largest_first(&atoms);
    let establishments = one.establishments + other.establishments;
    let cell = Judged { establishments, contributions: &contributions, counts: &counts };
    let mut rules = std::iter::once(&spec.rules).chain(of_table);
    rules.any(|rules| primary::judge(&cell, rules, &spec.protection).is_some())
}

/// The code of two codes made one.
pub fn merged_code(one: &str, other: &str) -> String {
    format!("{one}+{other}")
}

impl Column {
    /// The column under another name, with two of its codes made one.
    pub fn merged(&self, name: &str, one: &str, other: &str) -> Self {
        let both = merged_code(one, other);
        let text = |code: &Option<u32>| {
            code.map(|code| match self.labels[code as usize].as_str() {
                label if label == one || label == other => both.as_str(),
                label => label,
            })
        };
        Self::of(name, &self.codes.iter().map(text).collect::<Vec<_>>())
    }
}

/// Whether everybody knows the codes of this level, which bound weights.
fn known_by_bounds(dimension: &Dimension, level: &str) -> bool {
    !dimension.bounds.is_empty() && dimension.levels.last().is_some_and(|last| last == level)
}

impl Change {
    /// The level that holds merged codes, and whether it is a new one.
    ///
    /// Codes with bounds are public whether a table shows them or not. To merge them in the tables takes nothing from what
    /// everybody knows, so they stay, and the merged codes become a level above them.
    pub fn merged_level(spec: &Spec, level: &str) -> (String, bool) {
        if !spec.dimensions.values().any(|d| known_by_bounds(d, level)) {
            return (level.to_owned(), false);
        }
        let known = spec.columns();
        let mut name = format!("{level}_merged");
        while known.contains(&name.as_str()) {
            name.push_str("_merged");
        }
        (name, true)
    }

    /// Records and specification with the change made; what it names and is not there changes nothing.
    pub fn apply(&self, micro: &Microdata, spec: &Spec) -> (Microdata, Spec) {
        let (mut micro, mut spec) = (micro.clone(), spec.clone());
        match self {
            Self::LeaveOut { table } => spec.tables.retain(|t| t.name != *table),
            Self::Coarser { dimension, level, tables } => {
                let place = spec.dimensions.get(dimension).and_then(|d| d.levels.iter().position(|l| l == level));
                if let Some(depth) = place.filter(|depth| *depth > 0) {
                    for table in spec.tables.iter_mut().filter(|t| tables.contains(&t.name)) {
                        table.depth.insert(dimension.clone(), depth);
                    }
                }
            }
            Self::Merge { level, one, other } => {
                let (name, is_new) = Self::merged_level(&spec, level);
                let Some(at) = micro.columns.iter().position(|c| c.name == *level) else { return (micro, spec) };
                let column = micro.columns[at].merged(&name, one, other);
                if is_new {
                    micro.columns.push(column);
                    add_level(&mut spec, level, name);
                } else {
                    micro.columns[at] = column;
                }
                if let Some(population) = spec.population.get_mut(level)
                    && let (Some(a), Some(b)) =
                        (population.inhabitants.remove(one), population.inhabitants.remove(other))
                {
                    population.inhabitants.insert(merged_code(one, other), a.saturating_add(b));
                }
            }
        }
        (micro, spec)
    }
}

/// A level above the finest one, which takes its place in the tables.
fn add_level(spec: &mut Spec, finest: &str, name: String) {
    let holds = |d: &Dimension| d.levels.last().is_some_and(|last| last == finest);
    let Some(dimension) = spec.dimensions.iter().find(|(_, d)| holds(d)).map(|(name, _)| name.clone()) else { return };
    let depths: Vec<usize> = spec
        .tables
        .iter()
        .map(|t| if t.dimensions.contains(&dimension) { spec.depth(t, &dimension) } else { 0 })
        .collect();
    if let Some(known) = spec.dimensions.get_mut(&dimension) {
        known.levels.insert(known.levels.len() - 1, name);
    }
    for (table, depth) in spec.tables.iter_mut().zip(depths).filter(|(_, depth)| *depth > 0) {
        table.depth.insert(dimension.clone(), depth);
    }
}

#[cfg(test)]
mod tests {
    use super::super::protect::protect;
    use super::*;

    const INSEE: &str = "rules = { min_contributors = 3, dominance = { n = 1, share = 0.85 } }";

    /// Records from lines of codes; each belongs to an enterprise of its own.
    fn micro(columns: &[&str], lines: &[(u64, &[&str])]) -> Microdata {
        let ids: Vec<String> = (0..lines.len()).map(|i| i.to_string()).collect();
        let column = |(at, name): (usize, &&str)| {
            Column::of(name, &lines.iter().map(|(_, codes)| Some(codes[at])).collect::<Vec<_>>())
        };
        let columns = columns.iter().enumerate().map(column).collect();
        Microdata::new(ids.clone(), &ids, lines.iter().map(|l| l.0).collect(), columns)
    }

    fn spec(more: &str) -> Spec {
        Spec::parse(&format!("contributor='c'\nweight='w'\n{INSEE}\n{more}")).unwrap()
    }

    fn ask(micro: &Microdata, spec: &Spec, question: &Question) -> Result<Advised, NotAdvisable> {
        advise(micro, spec, &Past::default(), question, &mut |_, _, _| {})
    }

    fn all() -> Question {
        Question { tries: 10_000, ..Question::default() }
    }

    const SECTORS: &str = "[dimensions.sector]\nlevels=['sector']\n[[tables]]\nname='t'\ndimensions=['sector']";

    /// Two sectors of two enterprises, which hide each other, and three that are safe.
    fn tiny() -> Microdata {
        let mut lines: Vec<(u64, &[&str])> = vec![(5, &["A"]), (5, &["A"]), (6, &["D"]), (6, &["D"])];
        for sector in [&["B"], &["C"], &["E"]] {
            lines.extend([(10, sector as &[&str]); 4]);
        }
        micro(&["sector"], &lines)
    }

    fn merge(level: &str, one: &str, other: &str) -> Change {
        Change::Merge { level: level.into(), one: one.into(), other: other.into() }
    }

    #[test]
    fn two_tiny_sectors_that_hide_each_other_are_best_made_one() {
        let (micro, spec) = (tiny(), spec(SECTORS));
        // One try is enough: the estimate finds it too.
        for tries in [1, 10_000] {
            let advised = ask(&micro, &spec, &Question { tries, ..Question::default() }).unwrap();
            assert_eq!((advised.before.cells(), advised.before.withheld()), (6, 2));
            assert_eq!(advised.before.headcount(), 120 + 142, "three sectors and the total");
            let best = &advised.ranking[0];
            assert_eq!((&best.change, best.gain, best.given_up), (&merge("sector", "A", "D"), 22, 0));
            assert_eq!((best.after.cells(), best.after.withheld(), best.after.headcount()), (5, 0, 142 + 142));
            assert_eq!((advised.before.share(), best.after.share()), (0.9225, 1.0));
            assert_eq!((advised.candidates, advised.tried), (10, tries.min(10)));
        }
    }

    #[test]
    fn zones_are_merged_across_a_border_alone() {
        let (micro, spec) = (tiny(), spec(SECTORS));
        let pairs = |pairs: &[(&str, &str)]| Some(pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
        let question = |neighbours| Question { zone_level: Some("sector".into()), neighbours, ..all() };
        let apart = ask(&micro, &spec, &question(pairs(&[("B", "A"), ("D", "C"), ("X", "A")]))).unwrap();
        assert_eq!(apart.candidates, 2);
        assert!(apart.ranking.iter().all(|a| a.change != merge("sector", "A", "D")));
        let beside = ask(&micro, &spec, &question(pairs(&[("D", "A"), ("B", "C")]))).unwrap();
        assert_eq!(beside.ranking[0].change, merge("sector", "A", "D"));
    }

    /// Sparse establishments over zones and activities, by a small congruential rule.
    fn sparse(n: u64) -> Microdata {
        let mut state = 11_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as usize
        };
        let zones = ["P", "Q", "R", "S"];
        let divisions = [["A", "A1"], ["A", "A2"], ["B", "B1"], ["B", "B2"], ["B", "B3"]];
        let sizes = ["11", "02", "03"];
        let lines: Vec<(u64, [&str; 4])> = (0..n)
            .map(|_| {
                let (zone, naf, size) = (zones[next(4).min(next(4))], divisions[next(5)], next(3));
                ([12, 4, 7][size] + next(2) as u64, [zone, naf[0], naf[1], sizes[size]])
            })
            .collect();
        let lines: Vec<(u64, &[&str])> = lines.iter().map(|(w, codes)| (*w, codes.as_slice())).collect();
        micro(&["zone", "section", "division", "size"], &lines)
    }

    const TWO_TABLES: &str = "[dimensions.zone]\nlevels=['zone']\n[dimensions.naf]\nlevels=['section','division']\n\
        [dimensions.size]\nlevels=['size']\n[[tables]]\nname='zn'\ndimensions=['zone','naf']\n[[tables]]\nname='zs'\n\
        dimensions=['zone','size']\n[[tables]]\nname='n'\ndimensions=['naf']";

    /// Figures shown, by table, levels and codes.
    fn shown_cells(micro: &Microdata, spec: &Spec) -> BTreeMap<(String, Vec<Coordinate>), u64> {
        let raw = tabulate(micro, spec).unwrap();
        let (tables, _) = protect(&raw, &spec.rules, &spec.protection, &[]).unwrap();
        let mut shown = BTreeMap::new();
        for table in tables.iter() {
            for (at, cell) in table.cells() {
                let value = if let Cell::Open { headcount, .. } = cell { headcount } else { 0 };
                shown.insert((table.name.clone(), at.to_vec()), value);
            }
        }
        shown
    }

    #[test]
    fn the_ranking_is_that_of_an_exhaustive_measure() {
        let (micro, spec) = (sparse(60), spec(TWO_TABLES));
        let mut changes = Vec::new();
        for (level, codes) in [("zone", &["P", "Q", "R", "S"][..]), ("size", &["02", "03", "11"])] {
            for (i, one) in codes.iter().enumerate() {
                changes.extend(codes[i + 1..].iter().map(|other| merge(level, one, other)));
            }
        }
        // Divisions merge within their section alone; two sections are too few to merge.
        for (one, other) in [("A1", "A2"), ("B1", "B2"), ("B1", "B3"), ("B2", "B3")] {
            changes.push(merge("division", one, other));
        }
        for tables in [&["zn"][..], &["n"], &["zn", "n"]] {
            let tables = tables.iter().map(|t| (*t).to_owned()).collect();
            changes.push(Change::Coarser { dimension: "naf".into(), level: "division".into(), tables });
        }
        changes.extend(["zn", "zs", "n"].map(|t| Change::LeaveOut { table: t.into() }));

        let before = shown_cells(&micro, &spec);
        let levels = |(table, at): &(String, Vec<Coordinate>)| {
            let level = |c: &Coordinate| if let Coordinate::Code { level, .. } = c { i32::from(*level) } else { -1 };
            (table.clone(), at.iter().map(level).collect::<Vec<_>>())
        };
        let mut expected: Vec<(i128, u64, Change)> = Vec::new();
        for change in &changes {
            let (changed, cut) = change.apply(&micro, &spec);
            let after = shown_cells(&changed, &cut);
            let both: BTreeSet<_> = after.keys().map(levels).collect();
            let sum = |cells: &BTreeMap<_, u64>| -> i128 {
                cells.iter().filter(|(key, _)| both.contains(&levels(key))).map(|(_, v)| i128::from(*v)).sum()
            };
            let given_up = before.iter().filter(|(key, _)| !after.contains_key(key)).map(|(_, v)| *v).sum();
            expected.push((sum(&after) - sum(&before), given_up, change.clone()));
        }
        expected.retain(|(gain, _, _)| *gain > 0);
        expected.sort_by(|a, b| (-a.0, a.1, &a.2).cmp(&(-b.0, b.1, &b.2)));

        let advised = ask(&micro, &spec, &all()).unwrap();
        assert_eq!((advised.candidates, advised.tried, advised.refused), (changes.len(), changes.len(), 0));
        let found: Vec<_> = advised.ranking.iter().map(|a| (a.gain, a.given_up, a.change.clone())).collect();
        assert!(found.len() > 3, "{found:?}");
        assert_eq!(found, expected);
        // The same question, the same answer; and what fewer tries find has the same figures.
        assert_eq!(ask(&micro, &spec, &all()).unwrap(), advised);
        let few = ask(&micro, &spec, &Question { tries: 6, ..Question::default() }).unwrap();
        assert_eq!(few.tried, 6);
        assert!(few.ranking.iter().all(|advice| advised.ranking.contains(advice)));
    }

    #[test]
    fn equal_changes_come_in_a_fixed_order() {
        // Four sectors of two like enterprises: any two of them make a safe one.
        let of = |sector: &'static [&'static str]| [(5, sector); 2];
        let lines = [of(&["D"]), of(&["C"]), of(&["B"]), of(&["A"])].concat();
        let advised = ask(&micro(&["sector"], &lines), &spec(SECTORS), &all()).unwrap();
        let changes: Vec<_> = advised.ranking.iter().map(|a| (a.gain, a.change.clone())).collect();
        let expected: Vec<_> = [("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"), ("C", "D")]
            .map(|(a, b)| (advised.ranking[0].gain, merge("sector", a, b)))
            .into();
        assert_eq!(changes, expected);
    }

    #[test]
    fn brackets_merge_with_the_next_one_and_everybody_still_knows_the_fine_ones() {
        let more = TWO_TABLES
            .replace("levels=['size']", "levels=['size']\nbounds = { '11' = [0, 99], '02' = [2, 50], '03' = [5, 60] }");
        let (micro, spec) = (sparse(60), spec(&more));
        let question = Question { zone_level: Some("zone".into()), ..all() };
        let mut tried = Vec::new();
        advise(&micro, &spec, &Past::default(), &question, &mut |_, _, change| tried.push(change.clone())).unwrap();
        let of_sizes = |c: &&Change| matches!(c, Change::Merge { level, .. } if level == "size");
        let mut sizes: Vec<_> = tried.iter().filter(of_sizes).cloned().collect();
        sizes.sort();
        assert_eq!(sizes, [merge("size", "02", "03"), merge("size", "11", "02")], "in the order of their bounds");
        // Beside them six pairs of zones, three levels and three tables left out; no divisions, which have no order.
        assert_eq!(tried.len(), 2 + 6 + 3 + 3);
        let (changed, cut) = merge("size", "02", "03").apply(&micro, &spec);
        assert_eq!(cut.dimensions["size"].levels, ["size_merged", "size"]);
        assert_eq!(cut.dimensions["size"].bounds, spec.dimensions["size"].bounds);
        let bounds = |micro, spec| {
            let atoms = tabulate(micro, spec).unwrap().atoms;
            (atoms.iter().map(|a| a.least).sum::<u64>(), atoms.iter().map(|a| a.greatest.unwrap()).sum::<u64>())
        };
        assert_eq!(bounds(&changed, &cut), bounds(&micro, &spec));
        let levels = |t: &super::super::protect::ProtectedTable| t.dimensions[1].levels.clone();
        let raw = tabulate(&changed, &cut).unwrap();
        let (tables, _) = protect(&raw, &cut.rules, &cut.protection, &[]).unwrap();
        assert_eq!(levels(tables.get("zs").unwrap()), ["size_merged"]);
        let again = ask(&changed, &cut, &question).unwrap();
        assert_eq!(again.candidates, 6 + 3 + 3, "two codes are too few to merge");
    }

    #[test]
    fn inhabitants_of_merged_zones_are_added_up() {
        let more = format!(
            "population.sector = {{ least = 5, inhabitants = {{ A = 3, B = 9, C = 9, D = 4, E = 9 }} }}\n{SECTORS}"
        );
        let (_, cut) = merge("sector", "A", "D").apply(&tiny(), &spec(&more));
        assert_eq!(cut.population["sector"].inhabitants.get("A+D"), Some(&7));
        let advised = ask(&tiny(), &spec(&more), &all()).unwrap();
        assert_eq!((advised.refused, &advised.ranking[0].change), (0, &merge("sector", "A", "D")));
    }

    #[test]
    fn a_question_that_does_not_fit_is_answered_with_its_place() {
        let (micro, spec) = (tiny(), spec(SECTORS));
        let zones = |level: &str, neighbours| Question { zone_level: Some(level.into()), neighbours, ..all() };
        let ordered = Question { ordered: vec!["size".into()], ..all() };
        let none = Question { tries: 0, ..all() };
        for (question, place) in [
            (zones("iris", None), "level: found `iris`, expected one of sector"),
            (zones("sector", Some(vec![("X".into(), "A".into())])), "level `sector`: found 1 pairs"),
            (ordered, "level: found `size`"),
            (none, "tries: found 0"),
        ] {
            let refused = ask(&micro, &spec, &question).unwrap_err().to_string();
            assert!(refused.starts_with(place), "{refused}");
        }
        let one = super::tests::micro(&["sector"], &[(5, &["A"]), (5, &["A"]), (5, &["A"]), (5, &["B"])]);
        let refused = ask(&one, &spec, &all()).unwrap_err().to_string();
        assert!(refused.starts_with("specification: found 1 table(s), 1 level(s)"), "{refused}");
    }
}
