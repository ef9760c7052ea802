//! From records and released rows to one puzzle: atoms, the sums over them, and what is shown; with every fault of form.

use super::super::microdata::{Column, Microdata};
use super::super::policy::Spec;
use super::bounds::{self, Ends};
use super::rules::Judged;
use super::{Fault, FaultKind, NotAuditable, ReleasedTable, ReleasedTables, TOTAL, Verdict};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Doubles hold every sum below 2^53 exactly; this leaves them a margin of 2^13 for the solver. France has 3e7
/// employees.
pub(super) const WEIGHT_SUM_MAX: u64 = 1 << 40;

/// The columns after those of the dimensions.
const FIGURES: [&str; 3] = ["establishments", "headcount", "status"];

/// Records that lie in the same cells.
pub(super) struct Atom {
    /// Contributors, each once, with their weight, zero or not.
    pub contributions: Vec<(u32, u64)>,
    /// The establishments of each contributor, in the order of `contributions`.
    owned: Vec<u64>,
    /// What everybody knows of the weight of each contributor, in the order of `contributions`.
    public: Vec<Ends>,
    pub establishments: u64,
    pub value: u64,
    /// One of its records.
    pub record: u32,
}

impl Atom {
    /// What everybody knows of it.
    pub fn public(&self) -> Ends {
        Ends::sum(self.public.iter().copied())
    }

    /// What one contributor knows of it: of itself everything, of the others what everybody does.
    pub fn known_to(&self, who: u32) -> Ends {
        let parts = self.contributions.iter().zip(&self.public);
        Ends::sum(parts.map(|(&(name, weight), &public)| if name == who { Ends::point(weight) } else { public }))
    }

    /// The one contributor who knows it exactly, where not everybody does: the weights of all others are public.
    pub fn lone(&self) -> Option<u32> {
        let mut secret = self.contributions.iter().zip(&self.public).filter(|(_, public)| !public.is_point());
        let only = secret.next()?.0.0;
        secret.next().is_none().then_some(only)
    }
}

/// A sum: the atoms of one cell, or of several cells that hold the same records.
pub(super) struct Row {
    /// Ascending.
    pub atoms: Vec<u32>,
    pub value: u64,
    pub establishments: u64,
    /// Whether some release shows it.
    pub shown: bool,
    /// The first cell that is this sum, for messages.
    place: Place,
    /// Every cell that is this sum: the table and what it says along each dimension.
    pub cells: Vec<(u32, Key)>,
}

/// For each dimension the level (0 for the total, else its place from 1) and the code (0 for the total).
pub(super) type Key = Vec<(u32, u32)>;

/// A cell of a table of a release.
#[derive(Clone)]
pub(super) struct Place {
    pub row: u32,
    pub table: u32,
    pub key: Key,
}

/// What an attacker faces.
pub(super) struct Puzzle {
    pub atoms: Vec<Atom>,
    pub rows: Vec<Row>,
    /// Every listed cell that shows its value.
    pub shown: Vec<Place>,
    /// Every listed cell that withholds its value, with its release, table and row there.
    pub withheld: Vec<(Place, [usize; 3])>,
    /// The columns that tell atoms apart, by name, with their codes.
    pub used: Vec<(String, Vec<String>)>,
    /// The atom of the records that have these codes in those columns.
    pub atom_of: HashMap<Vec<Option<u32>>, u32>,
    tables: Vec<Names>,
}

/// How messages name the cells of a table.
struct Names {
    release: String,
    /// The place of the release.
    release_at: usize,
    table: String,
    dimensions: Vec<String>,
    levels: Vec<Vec<(String, Vec<String>)>>,
}

impl Puzzle {
    /// What the rules judge of a sum.
    pub fn judged(&self, atoms: &[u32], establishments: u64) -> Judged {
        let mut all: Vec<(u32, u64, u64)> = Vec::new();
        for &a in atoms {
            let Atom { contributions, owned, .. } = &self.atoms[a as usize];
            all.extend(contributions.iter().zip(owned).map(|(&(who, weight), &owned)| (who, weight, owned)));
        }
        all.sort_unstable();
        let (weights, owned) = all
            .chunk_by(|a, b| a.0 == b.0)
            .map(|who| (who.iter().map(|c| c.1).sum::<u64>(), who.iter().map(|c| c.2).sum::<u64>()))
            .unzip();
        Judged { establishments, weights, owned }
    }

    /// What everybody knows of a sum, or what one contributor does.
    pub fn known(&self, atoms: &[u32], who: Option<u32>) -> Ends {
        let atoms = atoms.iter().map(|&a| &self.atoms[a as usize]);
        Ends::sum(atoms.map(|atom| who.map_or_else(|| atom.public(), |who| atom.known_to(who))))
    }

    /// How far a withheld sum must be able to go up and down, for everybody or for one contributor: its level, and no
    /// further than what is known beside all tables lets it.
    pub fn far(&self, row: &Row, level: u64, who: Option<u32>) -> [u64; 2] {
        let known = self.known(&row.atoms, who);
        [known.above(row.value).map_or(level, |room| room.min(level)), known.below(row.value).min(level)]
    }

    /// The name of a level of a table, as a key has it; none for the total.
    pub fn level(&self, table: u32, part: usize, level: u32) -> Option<&str> {
        Some(&self.tables[table as usize].levels[part][level.checked_sub(1)? as usize].0)
    }

    pub fn place(&self, row: u32) -> &Place {
        &self.rows[row as usize].place
    }

    /// A cell as messages name it.
    pub fn name(&self, at: &Place) -> String {
        self.cell_name(at.table, &at.key)
    }

    /// The cell of a table as messages name it.
    pub fn cell_name(&self, table: u32, key: &Key) -> String {
        let table = &self.tables[table as usize];
        format!("{}: {}", table.table, table.cell(key))
    }

    /// The release of a table, and the name of the table.
    pub fn table(&self, table: u32) -> (&str, &str) {
        let names = &self.tables[table as usize];
        (&names.release, &names.table)
    }

    /// The place of the release of a table.
    pub fn release_of(&self, table: u32) -> usize {
        self.tables[table as usize].release_at
    }

    /// Whether all tables are of one release.
    pub fn is_one_release(&self) -> bool {
        self.tables.iter().all(|table| table.release_at == self.tables[0].release_at)
    }

    pub fn tables(&self) -> u32 {
        self.tables.len() as u32
    }

    pub fn fault(&self, at: &Place, kind: FaultKind) -> Fault {
        self.tables[at.table as usize].fault(&at.key, kind)
    }
}

impl Names {
    fn fault(&self, key: &Key, kind: FaultKind) -> Fault {
        Fault { release: self.release.clone(), table: self.table.clone(), cell: self.cell(key), kind }
    }

    fn cell(&self, key: &Key) -> String {
        let part = |(d, &(level, code)): (usize, &(u32, u32))| match level.checked_sub(1) {
            None => format!("{}={TOTAL}", self.dimensions[d]),
            Some(level) => {
                let (name, labels) = &self.levels[d][level as usize];
                format!("{name}={}", labels[code as usize])
            }
        };
        key.iter().enumerate().map(part).collect::<Vec<_>>().join(" & ")
    }
}

/// A released table made ready: the columns of each level of each dimension.
struct Layout<'a> {
    /// The release and the table, by their places.
    at: [usize; 2],
    released: &'a ReleasedTable,
    dimensions: Vec<&'a str>,
    levels: Vec<Vec<&'a Column>>,
}

/// Builds the puzzle and notes every fault of form. Whatever a faulty row may give away counts as shown.
pub(super) fn read(
    micro: &Microdata,
    spec: &Spec,
    releases: &[ReleasedTables],
    verdict: &mut Verdict,
) -> Result<Puzzle, NotAuditable> {
    if micro.weight.iter().try_fold(0_u64, |sum, w| sum.checked_add(*w)).is_none_or(|sum| sum > WEIGHT_SUM_MAX) {
        return Err(NotAuditable::TooHeavy);
    }
    if let Some(absent) = spec.columns().into_iter().find(|c| micro.column(c).is_none()) {
        return Err(NotAuditable::NoColumn(absent.to_owned()));
    }
    let known = bounds::of_records(micro, spec)?;
    let mut layouts = Vec::new();
    let mut names = Vec::new();
    for (r, release) in releases.iter().enumerate() {
        for (t, table) in release.tables.iter().enumerate() {
            let layout = layout(micro, spec, &release.name, table, [r, t])?;
            names.push(Names {
                release: release.name.clone(),
                release_at: r,
                table: table.name.clone(),
                dimensions: layout.dimensions.iter().map(|d| (*d).to_owned()).collect(),
                levels: layout
                    .levels
                    .iter()
                    .map(|levels| levels.iter().map(|c| (c.name.clone(), c.labels.clone())).collect())
                    .collect(),
            });
            layouts.push(layout);
        }
    }
    if layouts.is_empty() {
        return Err(NotAuditable::NothingReleased);
    }
    verdict.releases = releases.len() as u64;
    verdict.tables = layouts.len() as u64;
    levels_held(spec, &layouts, &names, verdict);

    // Records alike in every column in use lie in the same cells.
    let mut used: Vec<&Column> = layouts.iter().flat_map(|l| l.levels.iter().flatten().copied()).collect();
    used.sort_by(|a, b| a.name.cmp(&b.name));
    used.dedup_by(|a, b| a.name == b.name);
    let mut alike: HashMap<Vec<Option<u32>>, u32> = HashMap::new();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for record in 0..micro.len() {
        let codes = used.iter().map(|c| c.codes[record]).collect();
        let group = *alike.entry(codes).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() as u32 - 1
        });
        groups[group as usize].push(record as u32);
    }

    let mut cells: HashMap<(u32, Key), u32> = HashMap::new();
    let mut cells_of: Vec<Vec<u32>> = vec![Vec::new(); groups.len()];
    for (t, layout) in layouts.iter().enumerate() {
        for (group, records) in groups.iter().enumerate() {
            for_each_cell(layout, records[0] as usize, &mut |key| {
                let next = cells.len() as u32;
                cells_of[group].push(*cells.entry((t as u32, key)).or_insert(next));
            });
        }
    }
    // Groups in the same cells are one atom; groups in no cell are nobody's business.
    let mut atom_of_group: Vec<Option<u32>> = vec![None; groups.len()];
    let mut same: HashMap<&[u32], usize> = HashMap::new();
    let mut members: Vec<Vec<u32>> = Vec::new();
    let mut atoms_of_cell: Vec<Vec<u32>> = vec![Vec::new(); cells.len()];
    for (group, records) in groups.iter().enumerate().filter(|g| !cells_of[g.0].is_empty()) {
        let atom = *same.entry(&cells_of[group]).or_insert_with(|| {
            members.push(Vec::new());
            for &cell in &cells_of[group] {
                atoms_of_cell[cell as usize].push(members.len() as u32 - 1);
            }
            members.len() - 1
        });
        members[atom].extend(records);
        atom_of_group[group] = Some(atom as u32);
    }
    let atom_of =
        alike.into_iter().filter_map(|(codes, group)| Some((codes, atom_of_group[group as usize]?))).collect();
    let used = used.iter().map(|c| (c.name.clone(), c.labels.clone())).collect();
    let atoms: Vec<Atom> = members.iter().map(|records| atom(micro, &known, records)).collect();

    let mut keys: Vec<(&(u32, Key), u32)> = cells.iter().map(|(key, &cell)| (key, cell)).collect();
    keys.sort_unstable();
    let mut rows: Vec<Row> = Vec::new();
    let mut row_of_atoms: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut row_of_cell = vec![0; cells.len()];
    for ((table, key), cell) in &keys {
        let members = std::mem::take(&mut atoms_of_cell[*cell as usize]);
        let next = rows.len() as u32;
        let row = *row_of_atoms.entry(members).or_insert_with_key(|members| {
            rows.push(Row {
                value: members.iter().map(|&a| atoms[a as usize].value).sum(),
                establishments: members.iter().map(|&a| atoms[a as usize].establishments).sum(),
                atoms: members.clone(),
                shown: false,
                place: Place { row: next, table: *table, key: key.clone() },
                cells: Vec::new(),
            });
            next
        });
        rows[row as usize].cells.push((*table, key.clone()));
        row_of_cell[*cell as usize] = row;
    }
    drop(row_of_atoms);

    let mut puzzle = Puzzle { atoms, rows, shown: Vec::new(), withheld: Vec::new(), used, atom_of, tables: names };
    let mut listed: HashSet<u32> = HashSet::new();
    for (t, layout) in layouts.iter().enumerate() {
        let mut empty_listed: HashSet<Vec<&str>> = HashSet::new();
        for (r, fields) in layout.released.rows.iter().enumerate() {
            verdict.cells += 1;
            let names = &puzzle.tables[t];
            let at_row = |kind| Fault {
                release: names.release.clone(),
                table: names.table.clone(),
                cell: format!("row {}", r + 1),
                kind,
            };
            if fields.len() != layout.released.header.len() {
                verdict.add(FaultKind::MalformedRow, || at_row(FaultKind::MalformedRow));
                continue;
            }
            let (at, figures) = fields.split_at(2 * layout.dimensions.len());
            let says = says(figures);
            match says {
                Says::Published(..) => verdict.published += 1,
                Says::Withheld => verdict.withheld += 1,
                Says::Faulty(_) => {}
            }
            let key = match key_of(layout, at) {
                Ok(key) => key,
                Err(kind) => {
                    // An empty cell may be listed as such, whatever its code.
                    if kind == FaultKind::UnknownLevel || says != Says::Published(0, 0) {
                        verdict.add(kind, || at_row(kind));
                    } else if !empty_listed.insert(at.iter().map(String::as_str).collect()) {
                        verdict.add(FaultKind::DuplicateCell, || at_row(FaultKind::DuplicateCell));
                    }
                    continue;
                }
            };
            let Some(&cell) = cells.get(&(t as u32, key.clone())) else {
                if says != Says::Published(0, 0) {
                    verdict.add(FaultKind::UnknownCell, || names.fault(&key, FaultKind::UnknownCell));
                } else if !empty_listed.insert(at.iter().map(String::as_str).collect()) {
                    verdict.add(FaultKind::DuplicateCell, || names.fault(&key, FaultKind::DuplicateCell));
                }
                continue;
            };
            if !listed.insert(cell) {
                verdict.add(FaultKind::DuplicateCell, || names.fault(&key, FaultKind::DuplicateCell));
            }
            let row = row_of_cell[cell as usize];
            let truth = &mut puzzle.rows[row as usize];
            match says {
                Says::Withheld => {
                    puzzle.withheld.push((Place { row, table: t as u32, key }, [layout.at[0], layout.at[1], r]));
                    continue;
                }
                Says::Published(establishments, headcount) => {
                    if (establishments, headcount) != (truth.establishments, truth.value) {
                        verdict.add(FaultKind::WrongValue, || names.fault(&key, FaultKind::WrongValue));
                    }
                }
                Says::Faulty(kind) => verdict.add(kind, || names.fault(&key, kind)),
            }
            truth.shown = true;
            puzzle.shown.push(Place { row, table: t as u32, key });
        }
    }
    for ((table, key), cell) in &keys {
        if !listed.contains(cell) {
            let names = &puzzle.tables[*table as usize];
            verdict.add(FaultKind::MissingCell, || names.fault(key, FaultKind::MissingCell));
        }
    }
    Ok(puzzle)
}

/// The columns of a released table. Its levels are those its rows name: an earlier release may have been cut otherwise.
fn layout<'a>(
    micro: &'a Microdata,
    spec: &'a Spec,
    release: &str,
    table: &'a ReleasedTable,
    at: [usize; 2],
) -> Result<Layout<'a>, NotAuditable> {
    let header = &table.header;
    let n = header.len().saturating_sub(FIGURES.len()) / 2;
    let dimensions: Vec<&str> = (0..n).map(|d| header[2 * d].as_str()).collect();
    let mut expected: Vec<String> = dimensions.iter().flat_map(|d| [(*d).to_owned(), format!("{d}_level")]).collect();
    expected.extend(FIGURES.map(str::to_owned));
    let distinct = dimensions.iter().collect::<BTreeSet<_>>().len() == n;
    if n == 0 || !distinct || *header != expected {
        return Err(NotAuditable::BadHeader {
            release: release.to_owned(),
            table: table.name.clone(),
            expected: format!(
                "for each dimension `<dim>`, `<dim>_level`, then {}",
                FIGURES.map(|f| format!("`{f}`")).join(", ")
            ),
        });
    }
    let levels = dimensions
        .iter()
        .enumerate()
        .map(|(d, name)| {
            let named: BTreeSet<&str> =
                table.rows.iter().filter_map(|row| row.get(2 * d + 1)).map(String::as_str).collect();
            let mut levels: Vec<&Column> =
                named.into_iter().filter(|l| *l != TOTAL).filter_map(|level| micro.column(level)).collect();
            if levels.is_empty() {
                // Totals only: who lies in the dimension is still known by its levels.
                let of_spec = spec.dimensions.get(*name).into_iter().flat_map(|d| d.levels.iter());
                levels = of_spec.filter_map(|level| micro.column(level)).collect();
            }
            levels
        })
        .collect();
    Ok(Layout { at, released: table, dimensions, levels })
}

/// Each level of each table of the specification must appear in some release that holds the table.
fn levels_held(spec: &Spec, layouts: &[Layout<'_>], names: &[Names], verdict: &mut Verdict) {
    for table in &spec.tables {
        let held: Vec<usize> = (0..layouts.len()).filter(|&t| names[t].table == table.name).collect();
        let Some(&last) = held.last() else {
            verdict.tables_absent.push(table.name.clone());
            continue;
        };
        for dimension in &table.dimensions {
            for level in &spec.dimensions[dimension].levels[..spec.depth(table, dimension)] {
                let holds = |t: &usize| {
                    let d = layouts[*t].dimensions.iter().position(|name| name == dimension);
                    d.is_some_and(|d| layouts[*t].released.rows.iter().any(|row| row.get(2 * d + 1) == Some(level)))
                };
                if !held.iter().any(holds) {
                    verdict.add(FaultKind::MissingLevel, || Fault {
                        release: names[last].release.clone(),
                        table: table.name.clone(),
                        cell: level.clone(),
                        kind: FaultKind::MissingLevel,
                    });
                }
            }
        }
    }
}

/// Every cell of a table that a record lies in; none when it lies outside one of the dimensions.
fn for_each_cell(layout: &Layout<'_>, record: usize, visit: &mut impl FnMut(Key)) {
    let inside = layout.levels.iter().flatten().all(|column| column.codes[record].is_some());
    if !inside {
        return;
    }
    let choices: Vec<Vec<(u32, u32)>> = layout
        .levels
        .iter()
        .map(|levels| {
            let coded = levels.iter().zip(1..).filter_map(|(column, l)| Some((l, column.codes[record]?)));
            std::iter::once((0, 0)).chain(coded).collect()
        })
        .collect();
    let combinations: usize = choices.iter().map(Vec::len).product();
    for mut number in 0..combinations {
        let key = choices
            .iter()
            .map(|choice| {
                let picked = choice[number % choice.len()];
                number /= choice.len();
                picked
            })
            .collect();
        visit(key);
    }
}

fn atom(micro: &Microdata, known: &[Ends], records: &[u32]) -> Atom {
    let mut all: Vec<(u32, usize)> = records.iter().map(|&r| (micro.contributor[r as usize], r as usize)).collect();
    all.sort_unstable();
    let mut atom = Atom {
        contributions: Vec::new(),
        owned: Vec::new(),
        public: Vec::new(),
        establishments: records.len() as u64,
        value: all.iter().map(|a| micro.weight[a.1]).sum(),
        record: records[0],
    };
    for own in all.chunk_by(|a, b| a.0 == b.0) {
        atom.contributions.push((own[0].0, own.iter().map(|a| micro.weight[a.1]).sum()));
        atom.owned.push(own.len() as u64);
        atom.public.push(Ends::sum(own.iter().map(|a| known[a.1])));
    }
    atom
}

/// What a row says of its cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Establishments and headcount.
    Published(u64, u64),
    Withheld,
    Faulty(FaultKind),
}

fn says(figures: &[String]) -> Says {
    let [establishments, headcount, status] = figures else { return Says::Faulty(FaultKind::MalformedRow) };
    match status.as_str() {
        "published" => match (whole(establishments), whole(headcount)) {
            (Some(establishments), Some(headcount)) => Says::Published(establishments, headcount),
            _ => Says::Faulty(FaultKind::MalformedRow),
        },
        "withheld" if establishments.is_empty() && headcount.is_empty() => Says::Withheld,
        "withheld" => Says::Faulty(FaultKind::ValueInWithheldRow),
        _ => Says::Faulty(FaultKind::UnknownStatus),
    }
}

/// Digits alone: no sign, no blank.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn key_of(layout: &Layout<'_>, at: &[String]) -> Result<Key, FaultKind> {
    at.chunks_exact(2)
        .zip(&layout.levels)
        .map(|(pair, levels)| {
            let (code, level) = (&pair[0], &pair[1]);
            if level == TOTAL {
                return if code == TOTAL { Ok((0, 0)) } else { Err(FaultKind::UnknownLevel) };
            }
            let l = levels.iter().position(|c| c.name == *level).ok_or(FaultKind::UnknownLevel)?;
            let code = levels[l].labels.binary_search(code).map_err(|_| FaultKind::UnknownCell)?;
            Ok((l as u32 + 1, code as u32))
        })
        .collect()
}
