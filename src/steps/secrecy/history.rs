//! Releases one after another: what was shown before, of the same people, belongs to the puzzle of today.
//!
//! Two perimeters that differ by one establishment publish that establishment by subtraction. So the tables of earlier
//! releases and those of today are cut from one set of records, what was shown is locked, and all are protected jointly.

mod advice;
mod changes;
mod leads;
mod profiles;
mod revision;
mod years;

pub use advice::Change;
pub use leads::Leads;
pub use profiles::{BothProfiles, protect_profiles, seen_by_partners, seen_by_partners_alone};
pub use revision::protect_revision;

use super::audit::{ReleasedTables, ToldEnd};
use super::certificate::Certificate;
use super::microdata::{Column, Microdata};
use super::policy::{Dimension, Spec, Table};
use super::primary;
use super::protect::{
    Cell, Coordinate, Counts, Dossier, NotProtectable, ProtectedTable, ProtectedTables, Reason, TableDimension,
    name_of, protect_knowing,
};
use super::secondary::{self, Hopeless, Told, Whom};
use super::tabulate::{Demand, NotTabulable, RawCell, RawDimension, RawTable, RawTables, Row, tabulate};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use years::demand_last_year;

/// An earlier release: the records it was made from, its specification, and what it shows.
pub struct Earlier {
    /// Its name for messages.
    pub name: String,
    /// Its records.
    pub micro: Microdata,
    /// Its specification.
    pub spec: Spec,
    /// Its tables, as they were released.
    pub tables: Vec<EarlierTable>,
    /// The witnesses it was proved with, where they were kept: the search begins with them.
    pub leads: Leads,
    /// Whether partners alone see it. What rules of its own ask of a table that everybody sees is not asked against partners.
    pub for_partners: bool,
}

/// A table as it was released.
pub struct EarlierTable {
    /// Its name in the specification.
    pub name: String,
    /// Each cell that holds an establishment.
    pub cells: BTreeMap<Vec<Coordinate>, Cell>,
}

impl Earlier {
    /// Its tables cut again, for their figures: least inhabitants decide nothing of these.
    fn cut(&self) -> Result<RawTables, NotTabulable> {
        tabulate(&self.micro, &Spec { population: BTreeMap::new(), ..self.spec.clone() })
    }
}

impl EarlierTable {
    /// Released tables, as later ones reckon with them.
    pub fn of_all(tables: &ProtectedTables) -> Vec<Self> {
        let of_one = |table: &ProtectedTable| Self {
            name: table.name.clone(),
            cells: table.cells().map(|(at, cell)| (at.to_vec(), cell)).collect(),
        };
        tables.iter().map(of_one).collect()
    }
}

/// What was published before.
#[derive(Default)]
pub struct Past<'a> {
    /// Earlier releases of the same records, in any order.
    pub earlier: Vec<&'a Earlier>,
    /// The release of the year before, whose records are others.
    pub last_year: Option<&'a Earlier>,
}

/// Why nothing was protected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProtected {
    /// Records and specification do not fit together.
    #[error(transparent)]
    NotTabulable(#[from] NotTabulable),
    /// An earlier release was made from other records, so what it shows cannot be taken into account.
    #[error("{release}: found {found}, expected {expected}")]
    OtherMicrodata {
        /// The earlier release.
        release: String,
        /// What differs, never a value.
        found: String,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// Corrected records cannot take the place of those published.
    #[error("{release}: found {why}, expected corrections that nobody can single out{}; nothing is published", listed(.cells, *.more))]
    NotRevisable {
        /// The release that was to be corrected.
        release: String,
        /// What stands against it.
        why: &'static str,
        /// Cells that cannot change, by name.
        cells: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// What earlier releases show gives unsafe cells of the new cut away, whatever is withheld now.
    #[error(
        "found unsafe cells that earlier releases give away together with the new cut, expected another cut: {}{}; nothing \
         is published",
        .cells.join("; "), advised(.changes)
    )]
    GivenAway {
        /// The cells, by table, zone and code.
        cells: Vec<String>,
        /// Changes that were tried and make the cut safe, the smallest first.
        changes: Vec<Change>,
    },
    /// The answer is no.
    #[error(transparent)]
    NotProtectable(#[from] NotProtectable),
}

fn listed(cells: &[String], more: usize) -> String {
    match (cells.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(": {}", cells.join("; ")),
        (false, more) => format!(": {}; and {more} more", cells.join("; ")),
    }
}

fn advised(changes: &[Change]) -> String {
    let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
    match changes.is_empty() {
        true => String::new(),
        false => format!("; it would be safe to {}", changes.join(", or to ")),
    }
}

/// Tables protected with earlier releases in view.
pub struct ProtectedAfter {
    /// The tables of the present specification.
    pub tables: ProtectedTables,
    /// Reasons and counts of those tables; the proof speaks of earlier cells too, as `after1/<table>`, and of their columns
    /// by the names that [`published_together`] gives them.
    pub dossier: Dossier,
    /// What earlier releases alone tell single contributors: each time one of them knows one end of an unsafe cell
    /// or difference more closely than the rules allow, whatever is withheld now. Against everybody else, and against
    /// them everywhere else, the tables are proved.
    pub told: Vec<ToldEnd>,
    /// The witnesses of the proof, for the search of the next release.
    pub leads: Leads,
    /// The names of the columns of the proof where one file of records says as many of them as it can.
    plain_names: Vec<String>,
}

impl ProtectedAfter {
    /// The proof, its columns named as one file of records has them wherever it can say them all.
    pub fn certificate(&self) -> Certificate {
        let mut certificate = self.dossier.proof.clone();
        certificate.rename(&self.plain_names);
        certificate
    }

    /// Withholds the cells that rules make unsafe and that earlier releases show: what is public stays so, and need not
    /// be repeated.
    pub fn withhold_unsafe(&mut self) {
        self.withhold_where("primary", |_, _, reason| !reason.rules.is_empty());
    }

    /// Withholds what a release withheld at the same place of the same table. One whose pattern was frozen keeps it.
    pub fn withhold_as(&mut self, release: &Earlier) {
        let known = |name: &str| release.tables.iter().find(|t| t.name == name);
        self.withhold_where("secondary", |table, at, _| {
            known(table).and_then(|t| t.cells.get(at)) == Some(&Cell::Suppressed)
        });
    }

    /// Withholds shown cells, by table, place and reason. To show less never weakens a proof.
    fn withhold_where(&mut self, fate: &'static str, too: impl Fn(&str, &[Coordinate], &Reason) -> bool) {
        let Dossier { reasons, counts, cost_and_bound, .. } = &mut self.dossier;
        // What is withheld now is no longer what was searched.
        *cost_and_bound = None;
        // Cells and reasons have one order: that of the coordinates.
        let mut reasons = reasons.iter_mut();
        let tables = self.tables.iter().map(|table| {
            let cells = table.cells().map(|(at, cell)| {
                let reason = reasons.next().expect("each cell has a reason");
                let Cell::Open { headcount, .. } = cell else { return (at.to_vec(), cell) };
                if !too(&table.name, at, reason) {
                    return (at.to_vec(), cell);
                }
                reason.fate = fate;
                counts.headcount_withheld += headcount;
                if fate == "primary" {
                    counts.primary += 1;
                } else {
                    counts.secondary += 1;
                    counts.secondary_headcount += headcount;
                }
                (at.to_vec(), Cell::Suppressed)
            });
            ProtectedTable::gather(table.name.clone(), table.dimensions.clone(), cells.collect())
        });
        self.tables = ProtectedTables::gather(tables.collect());
    }
}

/// Cuts and protects the tables of `spec`, jointly with everything that earlier releases of the same people show.
///
/// The rules of `spec` judge every cell, those of earlier releases too: a cell that an earlier release withheld and that
/// is unsafe stays as far from the truth as they ask. What an earlier release shows stays shown; where it is unsafe by
/// these rules, [`Dossier::reasons`] has it as `open` with the rules it breaks.
///
/// # Errors
/// See [`NotProtected`].
pub fn protect_after(micro: &Microdata, spec: &Spec, earlier: &[Earlier]) -> Result<ProtectedAfter, NotProtected> {
    protect_in(micro, spec, &Past { earlier: earlier.iter().collect(), last_year: None })
}

/// [`protect_after`] with all that was published before in view.
///
/// # Errors
/// See [`NotProtected`].
pub fn protect_in(micro: &Microdata, spec: &Spec, past: &Past<'_>) -> Result<ProtectedAfter, NotProtected> {
    match attempt(micro, spec, past)? {
        Ok(protected) => Ok(protected),
        // Of a rest nothing says that earlier releases are to blame, and another cut helps.
        Err(stuck) if past.earlier.is_empty() || matches!(stuck.hopeless, Hopeless::Rest(_)) => {
            Err(stuck.hopeless.said(&stuck.raw).into())
        }
        Err(stuck) => Err(stuck.given_away(micro, spec, past)),
    }
}

/// Refuses what earlier releases give away together with these tables, whatever is withheld. It takes a small part of the
/// time of [`protect_in`], which refuses the same, and anything else that is to be refused.
///
/// # Errors
/// [`NotProtected::GivenAway`].
pub fn refuse_given_away(micro: &Microdata, spec: &Spec, past: &Past<'_>) -> Result<(), NotProtected> {
    if past.earlier.is_empty() {
        return Ok(());
    }
    match Puzzle::of(micro, spec, past, Whom::Outsiders) {
        Ok(Err(stuck)) => Err(stuck.given_away(micro, spec, past)),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Cells named in a refusal.
const CELLS_NAMED: usize = 20;

/// A cut that was not protected.
struct Stuck {
    raw: RawTables,
    hopeless: Hopeless,
    /// Rows that earlier releases give away; the hopeless one at least.
    rows: Vec<u32>,
}

impl Stuck {
    fn given_away(&self, micro: &Microdata, spec: &Spec, past: &Past<'_>) -> NotProtected {
        let named = |&row: &u32| {
            let (table, cell) = name_of(&self.raw, row);
            format!("{table}: {cell}")
        };
        let n_present = spec.tables.len();
        let changes = advice::changes(micro, spec, past, &self.raw, n_present, &self.rows, can_be_protected);
        let cells = self.rows.iter().take(CELLS_NAMED).map(named).collect();
        NotProtected::GivenAway { cells, changes }
    }
}

/// The puzzle of today with all that was published before.
struct Puzzle {
    /// The records of all releases under one specification, where there are earlier ones.
    joined: Option<(Microdata, Spec)>,
    raw: RawTables,
    /// Rows that earlier releases show.
    locked: Vec<bool>,
    /// What these tell by themselves.
    told: Told,
}

impl Puzzle {
    fn of(
        micro: &Microdata,
        spec: &Spec,
        past: &Past<'_>,
        whom: Whom,
    ) -> Result<Result<Self, Box<Stuck>>, NotProtected> {
        let earlier = past.earlier.as_slice();
        let n_present = spec.tables.len();
        let (mut joined, mut row_in) = (None, Vec::new());
        if !earlier.is_empty() {
            let records = join(micro, earlier)?;
            joined = Some(combine(micro, spec, earlier, &records, &prefixes(spec, earlier.len())));
            row_in = records.row_in;
        }
        let (all_records, joint) = joined.as_ref().map_or((micro, spec), |(records, joint)| (records, joint));
        let mut raw = tabulate(all_records, joint).map_err(|e| in_own_names(e, spec, earlier.len()))?;
        let locked = locked(&raw, n_present, earlier)?;
        if !earlier.is_empty() {
            add_differences(&mut raw, n_present, spec);
        }
        if let Some(last) = past.last_year {
            demand_last_year(&mut raw, n_present, &all_records.contributors, spec, last)?;
        }
        let mut told = Told::default();
        if !earlier.is_empty() {
            // What earlier releases tell by themselves is found out before anything is sought: one search then knows it all.
            let verdicts = primary::judge_rows(&raw, &spec.rules, &spec.protection);
            let unsafe_row = |r: &u32| verdicts[*r as usize].is_some() && locked.get(*r as usize) != Some(&true);
            let asked: Vec<u32> = (0..raw.rows.len() as u32).filter(unsafe_row).collect();
            // What is beyond reckoning is told to nobody, and stays hopeless.
            let nothing = |hopeless: Hopeless| Told { unknown: vec![hopeless.row()], ..Told::default() };
            let leads = leads::of_all(earlier, &row_in[1..], &raw, all_records);
            told = secondary::told(&raw, &spec.rules, &spec.protection, &locked, &asked, whom, &leads)
                .unwrap_or_else(nothing);
            if let Some(&row) = told.all.first() {
                let rows = std::mem::take(&mut told.all);
                return Ok(Err(Box::new(Stuck { raw, hopeless: Hopeless::Row(row), rows })));
            }
        }
        Ok(Ok(Self { joined, raw, locked, told }))
    }
}

/// Whether some pattern protects these tables beside all that was published before. None is sought where that is known
/// without: everything that may be withheld is, and still no outsider is told too much. What single contributors are told is
/// waived, and stands in the way of no pattern.
fn can_be_protected(micro: &Microdata, spec: &Spec, past: &Past<'_>) -> Result<bool, NotProtected> {
    Ok(match Puzzle::of(micro, spec, past, Whom::Outsiders)? {
        Ok(puzzle) if puzzle.told.unknown.is_empty() => true,
        Ok(_) => attempt(micro, spec, past)?.is_ok(),
        Err(_) => false,
    })
}

fn attempt(
    micro: &Microdata,
    spec: &Spec,
    past: &Past<'_>,
) -> Result<Result<ProtectedAfter, Box<Stuck>>, NotProtected> {
    Ok(Puzzle::of(micro, spec, past, Whom::Everybody)?.and_then(|puzzle| puzzle.protected(micro, spec, past)))
}

impl Puzzle {
    fn protected(self, micro: &Microdata, spec: &Spec, past: &Past<'_>) -> Result<ProtectedAfter, Box<Stuck>> {
        let Self { joined, raw, locked, told } = self;
        let insiders = told.insiders.clone();
        let (earlier, n_present) = (past.earlier.as_slice(), spec.tables.len());
        let all_records = joined.as_ref().map_or(micro, |(records, _)| records);
        match protect_knowing(&raw, &spec.rules, &spec.protection, &locked, told) {
            Ok((tables, dossier)) => {
                let tables = present(&tables, spec);
                let levels = dossier.proof.levels();
                let plain_names = match earlier {
                    [] => levels.to_vec(),
                    _ => plain(levels, all_records, &prefixes(spec, earlier.len())),
                };
                let told = insiders.into_iter().map(|(row, upper, contributor)| {
                    let (table, cell) = name_of(&raw, row);
                    ToldEnd { cell: format!("{table}: {cell}"), upper, contributor }
                });
                let told = told.collect::<BTreeSet<_>>().into_iter().collect();
                let leads = Leads::of(&dossier.proof, all_records, micro.len());
                let dossier = of_present(&raw, n_present, dossier);
                Ok(ProtectedAfter { tables, dossier, told, leads, plain_names })
            }
            Err(hopeless) => {
                let rows = vec![hopeless.row()];
                Err(Box::new(Stuck { raw, hopeless, rows }))
            }
        }
    }
}

/// The table of what two perimeters isolate together.
const BETWEEN: &str = "between releases";

/// Adds what two perimeters isolate together: each unsafe intersection of a cell of today with a cell of an earlier
/// release, and each unsafe difference of two that nest. No table shows them; they are rows to keep hidden all the same.
fn add_differences(raw: &mut RawTables, n_present: usize, spec: &Spec) {
    // Rows that both sides show hold nothing that one release alone does not.
    let mut sides = vec![(false, false); raw.rows.len()];
    for (t, table) in raw.tables.iter().enumerate() {
        for cell in &table.cells {
            let side = &mut sides[cell.row as usize];
            if t < n_present { side.0 = true } else { side.1 = true }
        }
    }
    let mut rows_of: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); raw.atoms.len()];
    for (r, row) in raw.rows.iter().enumerate() {
        for &a in &row.atoms {
            match sides[r] {
                (true, false) => rows_of[a as usize].0.push(r as u32),
                (false, true) => rows_of[a as usize].1.push(r as u32),
                (true, true) | (false, false) => {}
            }
        }
    }
    let mut common: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for (a, (now, before)) in rows_of.iter().enumerate() {
        for &p in now {
            before.iter().for_each(|&e| common.entry((p, e)).or_default().push(a as u32));
        }
    }
    let cells: HashSet<&[u32]> = raw.rows.iter().map(|row| row.atoms.as_slice()).collect();
    let tables_of = primary::tables_with_rules(raw);
    let mut judged: HashSet<(Vec<u32>, Vec<u32>)> = HashSet::new();
    let mut found: BTreeMap<Vec<u32>, (String, primary::Unsafe)> = BTreeMap::new();
    for ((p, e), common) in common {
        let without = |of: u32| -> Vec<u32> {
            let atoms = raw.rows[of as usize].atoms.iter().copied();
            atoms.filter(|a| common.binary_search(a).is_err()).collect()
        };
        let name = |row: u32| {
            let (table, cell) = name_of(raw, row);
            format!("{table}: {cell}")
        };
        let size = |row: u32| raw.rows[row as usize].atoms.len();
        let mut sets = Vec::new();
        if common.len() == size(p) {
            sets.push((without(e), format!("{} less {}", name(e), name(p))));
        } else if common.len() == size(e) {
            sets.push((without(p), format!("{} less {}", name(p), name(e))));
        } else {
            sets.push((common.clone(), format!("{} within {}", name(p), name(e))));
        }
        for (atoms, label) in sets {
            if atoms.is_empty() || cells.contains(atoms.as_slice()) {
                continue;
            }
            let mut tables = [tables_of[p as usize].as_slice(), &tables_of[e as usize]].concat();
            tables.sort_unstable();
            tables.dedup();
            if !judged.insert((atoms.clone(), tables.clone())) {
                continue;
            }
            if let Some(verdict) = primary::judge_sum(raw, &atoms, &spec.rules, &tables, &spec.protection) {
                let verdict = match found.remove(&atoms) {
                    Some((_, known)) => known.and(verdict),
                    None => verdict,
                };
                found.insert(atoms, (label, verdict));
            }
        }
    }
    let first = raw.rows.len() as u32;
    let (mut labels, mut rows) = (Vec::new(), Vec::new());
    for (row, (atoms, (label, verdict))) in (first..).zip(found) {
        // Of no table by itself: what the rules of both sides ask is asked of the row.
        let level = verdict.level;
        raw.demands.extend(verdict.rules.iter().map(|&rule| Demand { row, rule, level }));
        rows.push(Row::of(atoms, &raw.atoms));
        labels.push(label);
    }
    let cells = (0..rows.len() as u32).map(|i| RawCell { key: vec![(1, i)], row: first + i }).collect();
    let dimensions = vec![RawDimension {
        name: "difference".to_owned(),
        levels: vec!["difference".to_owned()],
        labels: vec![labels],
    }];
    raw.rows.extend(rows);
    raw.tables.push(RawTable { name: BETWEEN.to_owned(), dimensions, cells, rules: Vec::new() });
}

/// The tables of the present specification, which come first.
fn present(tables: &ProtectedTables, spec: &Spec) -> ProtectedTables {
    ProtectedTables::gather(tables.iter().take(spec.tables.len()).cloned().collect())
}

/// Withholds more: the cells that `too` names by row, table and place. To show less never weakens a proof: each of its
/// witnesses keeps all that is shown unchanged.
fn withhold(
    raw: &RawTables,
    tables: &ProtectedTables,
    dossier: &mut Dossier,
    too: impl Fn(u32, usize, &[Coordinate]) -> bool,
) -> ProtectedTables {
    let mut reasons = dossier.reasons.iter_mut();
    let widened = raw.tables.iter().zip(tables.iter()).enumerate().map(|(t, (raw_table, table))| {
        let mut cells = BTreeMap::new();
        for raw_cell in &raw_table.cells {
            let reason = reasons.next().expect("each cell has a reason");
            let at = place(raw_table, raw_cell);
            let mut cell = table.cell(&at).expect("the same cells");
            if cell != Cell::Suppressed && too(raw_cell.row, t, &at) {
                cell = Cell::Suppressed;
                reason.fate = "secondary";
            }
            cells.insert(at, cell);
        }
        ProtectedTable::gather(table.name.clone(), table.dimensions.clone(), cells)
    });
    ProtectedTables::gather(widened.collect())
}

/// All records, each once: the contributor's name, the weight, and the row it has in the present and in each earlier
/// release.
struct Records<'a> {
    ids: Vec<&'a str>,
    contributors: Vec<&'a str>,
    weight: Vec<u64>,
    /// One list a release, the present first; one entry a record.
    row_in: Vec<Vec<Option<u32>>>,
}

/// What is expected of the records of releases that are protected together.
pub const SAME_RECORDS: &str = "the same contributor and weight for each establishment of both releases";

fn join<'a>(micro: &'a Microdata, earlier: &[&'a Earlier]) -> Result<Records<'a>, NotProtected> {
    let mut records = Records { ids: vec![], contributors: vec![], weight: vec![], row_in: vec![] };
    let mut place: HashMap<&str, usize> = HashMap::new();
    let releases = std::iter::once(("the present release", micro)).chain(earlier.iter().map(|e| (&*e.name, &e.micro)));
    for (release, (name, micro)) in releases.enumerate() {
        let refuse =
            |found: String, expected| Err(NotProtected::OtherMicrodata { release: name.to_owned(), found, expected });
        let mut rows: Vec<Option<u32>> = vec![None; records.ids.len()];
        let (mut common, mut differing, mut twice) = (0_u64, 0_u64, 0_u64);
        for (row, id) in micro.ids.iter().enumerate() {
            let who = micro.contributors[micro.contributor[row] as usize].as_str();
            let weight = micro.weight[row];
            match place.get(id.as_str()) {
                Some(&at) => {
                    common += 1;
                    differing += u64::from((records.contributors[at], records.weight[at]) != (who, weight));
                    twice += u64::from(rows[at].replace(row as u32).is_some());
                }
                None => {
                    place.insert(id, records.ids.len());
                    records.ids.push(id);
                    records.contributors.push(who);
                    records.weight.push(weight);
                    rows.push(Some(row as u32));
                }
            }
        }
        if twice > 0 {
            return refuse(format!("{twice} establishments twice"), "each establishment once");
        }
        if differing > 0 {
            let found = format!(
                "an earlier release made from other microdata: {differing} of the {common} establishments it shares have \
                 another contributor or weight"
            );
            return refuse(found, SAME_RECORDS);
        }
        if release > 0 && common == 0 && !micro.is_empty() {
            let found = "an earlier release made from other microdata: no establishment in common";
            return refuse(found.to_owned(), "a release of the same people");
        }
        records.row_in.push(rows);
    }
    let n = records.ids.len();
    records.row_in.iter_mut().for_each(|rows| rows.resize(n, None));
    Ok(records)
}

/// `after1/`, `after2/`…: what the names of each earlier release begin with, and no name of the present one does.
fn prefixes(spec: &Spec, n: usize) -> Vec<String> {
    let mut end = "/".to_owned();
    let present = || spec.columns().into_iter().chain(spec.dimensions.keys().map(String::as_str));
    while present().any(|name| name.starts_with("after") && name.contains(&end)) {
        end.push('/');
    }
    (1..=n).map(|k| format!("after{k}{end}")).collect()
}

/// Names a level of an earlier release as that release does.
fn in_own_names(refused: NotTabulable, spec: &Spec, n: usize) -> NotTabulable {
    match refused {
        NotTabulable::NoPopulation { level, code } => {
            let own = prefixes(spec, n).iter().find_map(|p| level.strip_prefix(p.as_str()).map(str::to_owned));
            NotTabulable::NoPopulation { level: own.unwrap_or(level), code }
        }
        other => other,
    }
}

/// The names of columns for the certificate. A column of an earlier release keeps its own name where every record has a
/// code in it and no other release has other codes under that name: one file of records can then say them all. Elsewhere
/// the prefix stays, and says that no such file can be.
fn plain(levels: &[String], records: &Microdata, prefixes: &[String]) -> Vec<String> {
    let own = |name: &str| prefixes.iter().find_map(|p| name.strip_prefix(p.as_str())).unwrap_or(name).to_owned();
    let same = |a: &Column, b: &Column| {
        let text = |column: &Column, row: usize| column.codes[row].map(|c| column.labels[c as usize].clone());
        (0..records.len()).all(|row| text(a, row).is_some() && text(a, row) == text(b, row))
    };
    let alike = |name: &String| {
        let mut others = records.columns.iter().filter(|c| own(&c.name) == own(name));
        let Some(first) = others.next() else { return false };
        same(first, first) && others.all(|c| same(first, c))
    };
    levels.iter().map(|name| if alike(name) { own(name) } else { name.clone() }).collect()
}

/// One set of records with the columns of every release, and one specification with the tables of every release, those
/// of the present first. Tables of earlier releases keep the rules of their own, and what was asked of their zones by name.
fn combine(
    micro: &Microdata,
    spec: &Spec,
    earlier: &[&Earlier],
    records: &Records<'_>,
    prefixes: &[String],
) -> (Microdata, Spec) {
    let mut columns = Vec::new();
    let mut joint = spec.clone();
    let before = earlier.iter().zip(prefixes);
    let releases = std::iter::once((micro, spec, "", true)).chain(before.map(|(release, prefix)| {
        (&release.micro, &release.spec, prefix.as_str(), release.for_partners || !profiles::is_joint(spec))
    }));
    for ((micro, of_release, prefix, binds), rows) in releases.zip(&records.row_in) {
        for column in &micro.columns {
            let code = |row: &Option<u32>| Some(column.labels[column.codes[(*row)? as usize]? as usize].as_str());
            let values: Vec<Option<&str>> = rows.iter().map(code).collect();
            columns.push(Column::of(&format!("{prefix}{}", column.name), &values));
        }
        if prefix.is_empty() {
            continue;
        }
        let named = |names: &[String]| names.iter().map(|name| format!("{prefix}{name}")).collect();
        let dimensions = of_release.dimensions.iter();
        joint.dimensions.extend(dimensions.map(|(name, d)| {
            (format!("{prefix}{name}"), Dimension { levels: named(&d.levels), bounds: d.bounds.clone() })
        }));
        let tables = of_release.tables.iter();
        joint.tables.extend(tables.map(|t| Table {
            name: format!("{prefix}{}", t.name),
            dimensions: named(&t.dimensions),
            depth: t.depth.iter().map(|(name, depth)| (format!("{prefix}{name}"), *depth)).collect(),
            rules: {
                let own = t.rules.iter().filter(|_| binds);
                let fits =
                    |zoning: &Option<String>| zoning.as_ref().is_none_or(|name| t.dimensions.first() == Some(name));
                let of_earlier = spec.of_earlier.iter().filter(|(zoning, _)| fits(zoning)).map(|(_, rules)| rules);
                own.chain(of_earlier).cloned().collect()
            },
        }));
        if binds {
            let prefixed = |name: &String| format!("{prefix}{name}");
            joint.population.extend(of_release.population.iter().map(|(level, p)| (prefixed(level), p.clone())));
            joint.fallback.extend(of_release.fallback.iter().map(|(level, f)| (prefixed(level), f.clone())));
        }
    }
    let ids = records.ids.iter().map(|id| (*id).to_owned()).collect();
    (Microdata::new(ids, &records.contributors, records.weight.clone(), columns), joint)
}

/// The rows that some earlier release shows. Every cell of its tables must be one we cut, with the figures we find.
fn locked(raw: &RawTables, n_present: usize, earlier: &[&Earlier]) -> Result<Vec<bool>, NotProtected> {
    let mut locked = vec![false; raw.rows.len()];
    let mut cut = raw.tables[n_present..].iter();
    for release in earlier {
        for table in &release.spec.tables {
            let raw_table = cut.next().expect("each table of the joint specification is cut");
            let refuse = |found: &str| NotProtected::OtherMicrodata {
                release: release.name.clone(),
                found: format!("a table `{}` with {found}", table.name),
                expected: "the tables that its own microdata and specification give",
            };
            let Some(released) = release.tables.iter().find(|t| t.name == table.name) else {
                return Err(refuse("no cell"));
            };
            if released.cells.len() != raw_table.cells.len() {
                return Err(refuse("another number of cells"));
            }
            for cell in &raw_table.cells {
                let row = &raw.rows[cell.row as usize];
                match released.cells.get(&place(raw_table, cell)) {
                    None => return Err(refuse("other cells")),
                    Some(Cell::Suppressed) => {}
                    Some(&Cell::Open { establishments, headcount }) => {
                        if (establishments, headcount) != (row.establishments, row.value) {
                            return Err(refuse("other figures"));
                        }
                        locked[cell.row as usize] = true;
                    }
                }
            }
        }
    }
    Ok(locked)
}

/// A place in words, as messages and reasons name it.
fn text_of(dimensions: &[&str], levels: &[&[String]], at: &[Coordinate]) -> String {
    let part = |(d, coordinate): (usize, &Coordinate)| match coordinate {
        Coordinate::Total => format!("{}=TOTAL", dimensions[d]),
        Coordinate::Code { level, code } => format!("{}={code}", levels[d][usize::from(*level)]),
    };
    at.iter().enumerate().map(part).collect::<Vec<_>>().join(" & ")
}

/// Everything that was published, as one attack on it needs it: the records of all releases, one specification, and the
/// releases by name. `tables` are those of `spec`.
///
/// # Errors
/// See [`NotProtected`].
pub fn published_together(
    micro: &Microdata,
    spec: &Spec,
    tables: &ProtectedTables,
    earlier: &[&Earlier],
) -> Result<(Microdata, Spec, Vec<ReleasedTables>), NotProtected> {
    let records = join(micro, earlier)?;
    let prefixes = prefixes(spec, earlier.len());
    let (all_records, joint) = combine(micro, spec, earlier, &records, &prefixes);
    let mut releases = vec![ReleasedTables::of("the present release", tables)];
    for (release, prefix) in earlier.iter().zip(&prefixes) {
        let of_release = release.tables.iter().filter_map(|table| {
            let of_spec = release.spec.tables.iter().find(|t| t.name == table.name)?;
            let dimension = |d: &String| TableDimension {
                name: format!("{prefix}{d}"),
                levels: release.spec.dimensions[d].levels.iter().map(|l| format!("{prefix}{l}")).collect(),
            };
            let dimensions = of_spec.dimensions.iter().map(dimension).collect();
            Some(ProtectedTable::gather(format!("{prefix}{}", table.name), dimensions, table.cells.clone()))
        });
        releases.push(ReleasedTables::of(&release.name, &ProtectedTables::gather(of_release.collect())));
    }
    Ok((all_records, joint, releases))
}

fn place(table: &RawTable, cell: &RawCell) -> Vec<Coordinate> {
    let coordinate = |(d, &(level, code)): (usize, &(u8, u32))| match level.checked_sub(1) {
        None => Coordinate::Total,
        Some(level) => {
            let code = table.dimensions[d].labels[level as usize][code as usize].as_str();
            Coordinate::Code { level, code: code.into() }
        }
    };
    cell.key.iter().enumerate().map(coordinate).collect()
}

/// Keeps the reasons of the present tables, which come first, and counts again.
fn of_present(raw: &RawTables, n_present: usize, mut dossier: Dossier) -> Dossier {
    let cells = raw.tables[..n_present].iter().flat_map(|t| &t.cells);
    dossier.reasons.truncate(cells.clone().count());
    dossier.counts = Counts::default();
    if raw.tables.len() > n_present {
        // The search was over the tables of earlier releases too.
        dossier.cost_and_bound = None;
    }
    for (cell, reason) in cells.zip(&dossier.reasons) {
        let value = raw.rows[cell.row as usize].value;
        let counts = &mut dossier.counts;
        counts.cells += 1;
        counts.headcount += value;
        match reason.fate {
            "primary" => counts.primary += 1,
            "secondary" => {
                counts.secondary += 1;
                counts.secondary_headcount += value;
            }
            _ => continue,
        }
        counts.headcount_withheld += value;
    }
    dossier
}
