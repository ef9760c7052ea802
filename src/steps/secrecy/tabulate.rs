//! Step 6: records become the raw tables, one system over common atoms.
//!
//! An *atom* is a set of records that no table tells apart; every cell of every table is a union of atoms, whatever the
//! zonings do to each other. Two cells with the same atoms are one *row* of the system: they have one value and one fate.

use super::microdata::{Column, Microdata};
use super::policy::{Rules, Spec};
use super::primary;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Raw tables: no `Serialize`, no `Display`, and a `Debug` that shows no value. Only the strongroom reads them.
///
/// ```
/// # use arpent::steps::secrecy::{Column, Microdata, Spec, tabulate};
/// # let spec = Spec::parse("contributor='c'\nweight='w'\n[dimensions.z]\nlevels=['z']\n[[tables]]\nname='t'\ndimensions=['z']").unwrap();
/// # let column = Column::of("z", &[Some("A"), Some("B")]);
/// let micro = Microdata::new(vec!["1".into(), "2".into()], &["x", "y"], vec![3, 4], vec![column]);
/// let raw = tabulate(&micro, &spec).unwrap();
/// assert_eq!(format!("{raw:?}"), "3 rows over 2 atoms, values withheld");
/// ```
///
/// A raw cell cannot be read from outside the strongroom:
///
/// ```compile_fail,E0616
/// # use arpent::steps::secrecy::{Column, Microdata, Spec, tabulate};
/// # let spec = Spec::parse("contributor='c'\nweight='w'\n[dimensions.z]\nlevels=['z']\n[[tables]]\nname='t'\ndimensions=['z']").unwrap();
/// # let column = Column::of("z", &[Some("A"), Some("B")]);
/// let micro = Microdata::new(vec!["1".into(), "2".into()], &["x", "y"], vec![3, 4], vec![column]);
/// let raw = tabulate(&micro, &spec).unwrap();
/// println!("{}", raw.rows.len());
/// ```
#[derive(Clone)]
pub struct RawTables {
    pub(super) atoms: Vec<Atom>,
    pub(super) rows: Vec<Row>,
    pub(super) tables: Vec<RawTable>,
    pub(super) n_contributors: usize,
    /// What is asked of single rows beside the rules.
    pub(super) demands: Vec<Demand>,
    /// What tells atoms apart: every column that some table uses, by name, with its codes.
    pub(super) levels: Vec<RawLevel>,
}

/// A column that some table uses, and the code of each atom in it.
#[derive(Clone)]
pub(super) struct RawLevel {
    pub name: String,
    pub labels: Vec<String>,
    /// One an atom.
    pub codes: Vec<Option<u32>>,
}

impl RawTables {
    /// The atom of each of the records that the tables were cut from.
    ///
    /// # Panics
    /// When they are other records: a mistake of the caller.
    pub(super) fn atom_of_each(&self, micro: &Microdata) -> Vec<u32> {
        let column = |level: &RawLevel| micro.column(&level.name).expect("a level is a column of the records");
        let columns: Vec<&Column> = self.levels.iter().map(column).collect();
        let codes = |a: usize| self.levels.iter().map(|level| level.codes[a]).collect();
        let atoms: HashMap<Vec<Option<u32>>, u32> = (0..self.atoms.len()).map(|a| (codes(a), a as u32)).collect();
        let of_record = |r: usize| columns.iter().map(|column| column.codes[r]).collect::<Vec<_>>();
        (0..micro.len()).map(|r| atoms[&of_record(r)]).collect()
    }
}

impl fmt::Debug for RawTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows over {} atoms, values withheld", self.rows.len(), self.atoms.len())
    }
}

/// Records that no table tells apart.
#[derive(Clone)]
pub(super) struct Atom {
    /// Contributors and their weight, by contributor; one whose weight is zero is there too, since it knows that zero.
    pub contributions: Vec<(u32, u64)>,
    /// Establishments, of any weight.
    pub establishments: u64,
    /// Sum of the weights.
    pub value: u64,
    /// Establishments of each contributor, in the order of `contributions`.
    pub counts: Vec<u32>,
    /// What anybody knows of the weight of each contributor, in the order of `contributions`: the sums over its
    /// establishments of the least and of the greatest weight their public codes allow; no greatest where one has none.
    pub bounds: Vec<(u64, Option<u64>)>,
    /// The least value anybody knows the atom to have: the sum of the least of `bounds`; 0 without public codes.
    pub least: u64,
    /// The greatest, likewise; `None` when an establishment has no greatest.
    pub greatest: Option<u64>,
}

impl Atom {
    /// The least and the greatest value of the atom for the contributor at this place, who knows its own part exactly
    /// and of the others what anybody knows.
    pub fn known_to(&self, place: usize) -> (u64, Option<u64>) {
        let own = self.contributions[place].1;
        let others = self.bounds.iter().enumerate().filter(|(i, _)| *i != place);
        let greatest = others.map(|(_, b)| b.1).try_fold(own, |sum, greatest| sum.checked_add(greatest?));
        (self.least - self.bounds[place].0 + own, greatest)
    }
}

/// Something asked of a row by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    pub row: u32,
    /// The name of the rule, for the owner only.
    pub rule: &'static str,
    /// The level it asks for, in units of the weight; one at least.
    pub level: u64,
}

/// A union of atoms which some table shows.
#[derive(Clone)]
pub(super) struct Row {
    /// Ascending.
    pub atoms: Vec<u32>,
    pub value: u64,
    pub establishments: u64,
    /// The least and the greatest value anybody knows it to have, as of its atoms together.
    pub least: u64,
    pub greatest: Option<u64>,
}

impl Row {
    /// The row of these atoms, ascending.
    pub fn of(members: Vec<u32>, atoms: &[Atom]) -> Self {
        let of = |f: fn(&Atom) -> u64| members.iter().map(|&a| f(&atoms[a as usize])).sum();
        let (value, establishments, least) = (of(|a| a.value), of(|a| a.establishments), of(|a| a.least));
        let mut ends = members.iter().map(|&a| atoms[a as usize].greatest);
        let greatest = ends.try_fold(0_u64, |sum, end| sum.checked_add(end?));
        Self { value, establishments, least, greatest, atoms: members }
    }
}

/// One table: its cells and the row of each.
#[derive(Clone)]
pub(super) struct RawTable {
    pub name: String,
    pub dimensions: Vec<RawDimension>,
    pub cells: Vec<RawCell>,
    /// Rules that hold for its cells beside those that hold everywhere.
    pub rules: Vec<Rules>,
}

/// A dimension of a table: its name, its levels from coarse to fine, and the codes of each level.
#[derive(Clone)]
pub(super) struct RawDimension {
    pub name: String,
    pub levels: Vec<String>,
    pub labels: Vec<Vec<String>>,
}

/// A cell: for each dimension the level (0 is the total, 1 the coarsest) and the index of the code (0 for the total).
#[derive(Clone)]
pub(super) struct RawCell {
    pub key: Vec<(u8, u32)>,
    pub row: u32,
}

/// Records and specification do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTabulable {
    /// A column of the specification is not in the records.
    #[error("microdata: found no column `{0}`, expected every level of the specification")]
    NoColumn(String),
    /// A fine code lies under two coarse codes.
    #[error(
        "dimension `{dimension}`: found code `{code}` of level `{level}` under both `{one}` and `{other}` of `{above}`, \
         expected each fine code under one coarse code"
    )]
    NotNested {
        /// The dimension.
        dimension: String,
        /// The finer level.
        level: String,
        /// The coarser level.
        above: String,
        /// The fine code.
        code: String,
        /// One coarse code.
        one: String,
        /// Another coarse code.
        other: String,
    },
    /// A record has a code at one level of a dimension and none at another.
    #[error(
        "dimension `{dimension}`: found a record with a code at one level and none at another, expected all or none"
    )]
    HalfCoded {
        /// The dimension.
        dimension: String,
    },
    /// A code that the tables use for the implied total.
    #[error("column `{0}`: found the code `TOTAL`, expected another code: it names the implied total")]
    CodeTotal(String),
    /// A zone whose inhabitants nobody told.
    #[error("population of `{level}`: found no number for zone `{code}`, expected the inhabitants of each zone")]
    NoPopulation {
        /// The level.
        level: String,
        /// The zone.
        code: String,
    },
    /// Weights that their public code excludes.
    #[error(
        "dimension `{dimension}`: found {records} records of code `{code}` with a weight outside its bounds, expected \
         weights within them"
    )]
    OutOfBounds {
        /// The dimension.
        dimension: String,
        /// The code.
        code: String,
        /// How many records.
        records: usize,
    },
    /// The sum of all weights is too large to be compared exactly.
    #[error("microdata: found weights that sum above {WEIGHT_SUM_MAX}, expected less")]
    TooHeavy,
}

/// Exact comparisons and the solver's doubles both hold well below 2^53; France has 3e7 employees.
pub const WEIGHT_SUM_MAX: u64 = 1 << 40;

/// Cuts every table of the specification from the records.
///
/// A record outside a dimension (code `None` at all its levels) is left out of the tables that use it.
///
/// # Errors
/// See [`NotTabulable`].
pub fn tabulate(micro: &Microdata, spec: &Spec) -> Result<RawTables, NotTabulable> {
    if micro.weight.iter().try_fold(0_u64, |sum, w| sum.checked_add(*w)).is_none_or(|sum| sum > WEIGHT_SUM_MAX) {
        return Err(NotTabulable::TooHeavy);
    }
    let mut dimensions: HashMap<&str, Vec<&Column>> = HashMap::new();
    for (name, dimension) in &spec.dimensions {
        let columns = dimension
            .levels
            .iter()
            .map(|level| micro.column(level).ok_or_else(|| NotTabulable::NoColumn(level.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        check_nesting(name, &columns)?;
        dimensions.insert(name, columns);
    }
    let mut tables: Vec<RawTable> = spec
        .tables
        .iter()
        .map(|table| RawTable {
            name: table.name.clone(),
            dimensions: table
                .dimensions
                .iter()
                .map(|d| RawDimension {
                    name: d.clone(),
                    levels: spec.dimensions[d].levels[..spec.depth(table, d)].to_vec(),
                    labels: dimensions[d.as_str()][..spec.depth(table, d)].iter().map(|c| c.labels.clone()).collect(),
                })
                .collect(),
            cells: Vec::new(),
            rules: table.rules.clone(),
        })
        .collect();
    let bounds = bounds(micro, spec)?;

    // The finest code of every dimension of every table tells records apart: records alike in all of them are one atom.
    let finest: Vec<&Column> = {
        let used = spec.tables.iter().flat_map(|t| t.dimensions.iter());
        let mut names: Vec<&str> = used.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let tables = |n: &&str| spec.tables.iter().filter(|t| t.dimensions.iter().any(|d| d == *n)).collect::<Vec<_>>();
        let depth = |n: &&str| tables(n).iter().map(|t| spec.depth(t, n)).max().expect("a table uses it");
        names.iter().map(|n| dimensions[n][depth(n) - 1]).collect()
    };
    let mut order: Vec<u32> = (0..micro.len() as u32).collect();
    let signature = |r: u32| finest.iter().map(move |c| c.codes[r as usize]);
    order.sort_by(|&a, &b| {
        signature(a).cmp(signature(b)).then(micro.contributor[a as usize].cmp(&micro.contributor[b as usize]))
    });
    let groups: Vec<&[u32]> = order.chunk_by(|&a, &b| signature(a).eq(signature(b))).collect();
    let atoms: Vec<Atom> = groups.iter().map(|group| atom(micro, &bounds, group)).collect();
    let used: BTreeMap<&str, &Column> = tables
        .iter()
        .flat_map(|t| &t.dimensions)
        .flat_map(|d| &d.levels)
        .filter_map(|l| Some((l.as_str(), micro.column(l)?)))
        .collect();
    let level = |(name, column): (&str, &Column)| RawLevel {
        name: name.to_owned(),
        labels: column.labels.clone(),
        codes: groups.iter().map(|group| column.codes[group[0] as usize]).collect(),
    };
    let levels = used.into_iter().map(level).collect();

    let mut rows = Rows::default();
    for (table, wanted) in tables.iter_mut().zip(&spec.tables) {
        let columns: Vec<&[&Column]> =
            wanted.dimensions.iter().map(|d| &dimensions[d.as_str()][..spec.depth(wanted, d)]).collect();
        let mut cells: HashMap<Vec<(u8, u32)>, Vec<u32>> = HashMap::new();
        for (a, group) in groups.iter().enumerate() {
            let record = group[0] as usize;
            let paths: Option<Vec<Vec<(u8, u32)>>> = columns
                .iter()
                .map(|levels| {
                    let coded = levels.iter().enumerate().map(|(l, c)| Some((l as u8 + 1, c.codes[record]?)));
                    std::iter::once(Some((0, 0))).chain(coded).collect()
                })
                .collect();
            let Some(paths) = paths else { continue };
            for_each_combination(&paths, &mut |key| match cells.get_mut(key) {
                Some(atoms) => atoms.push(a as u32),
                None => {
                    cells.insert(key.to_vec(), vec![a as u32]);
                }
            });
        }
        let mut cells: Vec<_> = cells.into_iter().collect();
        cells.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        table.cells = cells.into_iter().map(|(key, members)| RawCell { key, row: rows.of(members, &atoms) }).collect();
    }
    let records: Vec<usize> = groups.iter().map(|group| group[0] as usize).collect();
    let n_contributors = micro.contributors.len();
    let mut raw = RawTables { atoms, rows: rows.rows, tables, n_contributors, demands: Vec::new(), levels };
    demand_population(&mut raw, spec, &dimensions, &records)?;
    demand_fallback(&mut raw, spec, &dimensions, &records);
    Ok(raw)
}

/// What a public code tells of the weight of each record; empty when no dimension has bounds.
fn bounds(micro: &Microdata, spec: &Spec) -> Result<Vec<(u64, Option<u64>)>, NotTabulable> {
    let mut known = Vec::new();
    for (name, dimension) in spec.dimensions.iter().filter(|(_, d)| !d.bounds.is_empty()) {
        known.resize(micro.len(), (0, None));
        let level = dimension.levels.last().expect("a dimension has a level");
        let column = micro.column(level).ok_or_else(|| NotTabulable::NoColumn(level.clone()))?;
        let of_label: Vec<_> = column.labels.iter().map(|label| dimension.bounds.get(label)).collect();
        let mut outside = vec![0_usize; column.labels.len()];
        for (record, code) in column.codes.iter().enumerate() {
            let Some(code) = code.map(|code| code as usize) else { continue };
            let Some(ends) = of_label[code] else { continue };
            let (least, greatest) = (ends[0], ends.get(1).copied());
            let weight = micro.weight[record];
            outside[code] += usize::from(weight < least || greatest.is_some_and(|end| weight > end));
            let (low, high) = known[record];
            known[record] = (least.max(low), high.map_or(greatest, |h: u64| Some(greatest.map_or(h, |g| g.min(h)))));
        }
        if let Some(code) = outside.iter().position(|n| *n > 0) {
            let code_name = column.labels[code].clone();
            return Err(NotTabulable::OutOfBounds { dimension: name.clone(), code: code_name, records: outside[code] });
        }
    }
    Ok(known)
}

/// Where each level of a specification's zones lies in a table: dimension, place of the level from 1, column.
fn places<'a>(
    raw: &'a RawTables,
    dimensions: &'a HashMap<&str, Vec<&'a Column>>,
    level: &'a str,
) -> impl Iterator<Item = (usize, usize, u8, &'a [&'a Column])> {
    raw.tables.iter().enumerate().flat_map(move |(t, table)| {
        table.dimensions.iter().enumerate().filter_map(move |(d, dimension)| {
            let at = dimension.levels.iter().position(|l| l == level)?;
            Some((t, d, at as u8 + 1, dimensions[dimension.name.as_str()].as_slice()))
        })
    })
}

/// Nothing is shown of a zone with too few inhabitants, nor of what lies within it.
fn demand_population(
    raw: &mut RawTables,
    spec: &Spec,
    dimensions: &HashMap<&str, Vec<&Column>>,
    records: &[usize],
) -> Result<(), NotTabulable> {
    let mut demands = Vec::new();
    for (level, population) in &spec.population {
        for (t, d, at, columns) in places(raw, dimensions, level) {
            let column = columns[usize::from(at) - 1];
            let mut small = Vec::with_capacity(column.labels.len());
            for code in &column.labels {
                let inhabitants = population
                    .inhabitants
                    .get(code)
                    .ok_or_else(|| NotTabulable::NoPopulation { level: level.clone(), code: code.clone() })?;
                small.push(*inhabitants < population.least);
            }
            for cell in raw.tables[t].cells.iter().filter(|c| c.key[d].0 >= at) {
                let row = &raw.rows[cell.row as usize];
                let zone = column.codes[records[row.atoms[0] as usize]].expect("a cell of the level has a code");
                if small[zone as usize] {
                    let level = primary::share_of(row.value, spec.protection.width);
                    demands.push(Demand { row: cell.row, rule: "population", level });
                }
            }
        }
    }
    raw.demands.extend(demands);
    Ok(())
}

/// Where one zone counts too few, every zone below the same zone gives way to that one.
fn demand_fallback(raw: &mut RawTables, spec: &Spec, dimensions: &HashMap<&str, Vec<&Column>>, records: &[usize]) {
    let mut demands = Vec::new();
    for (level, fallback) in &spec.fallback {
        for (t, d, at, columns) in places(raw, dimensions, level) {
            let Some(above) = usize::from(at).checked_sub(2).map(|above| columns[above]) else { continue };
            let mut families: HashMap<Vec<(u8, u32)>, (bool, Vec<u32>)> = HashMap::new();
            for cell in raw.tables[t].cells.iter().filter(|c| c.key[d].0 >= at) {
                let row = &raw.rows[cell.row as usize];
                let parent = above.codes[records[row.atoms[0] as usize]].expect("codes at one level, codes at all");
                let mut key = cell.key.clone();
                key[d] = (at - 1, parent);
                let family = families.entry(key).or_default();
                let zeros = spec.protection.zeros;
                family.0 |= cell.key[d].0 == at
                    && primary::is_few(row.value, row.establishments, fallback.least, fallback.of, zeros);
                family.1.push(cell.row);
            }
            let mut rows: Vec<u32> = families.into_values().filter(|f| f.0).flat_map(|f| f.1).collect();
            rows.sort_unstable();
            rows.dedup();
            demands.extend(rows.into_iter().map(|row| Demand { row, rule: "fallback", level: 1 }));
        }
    }
    raw.demands.extend(demands);
}

fn atom(micro: &Microdata, known: &[(u64, Option<u64>)], group: &[u32]) -> Atom {
    let mut contributions: Vec<(u32, u64)> = Vec::new();
    let mut counts: Vec<u32> = Vec::new();
    let mut bounds: Vec<(u64, Option<u64>)> = Vec::new();
    for &r in group {
        let (who, weight) = (micro.contributor[r as usize], micro.weight[r as usize]);
        let (least, greatest) = known.get(r as usize).copied().unwrap_or((0, None));
        match (contributions.last_mut(), counts.last_mut(), bounds.last_mut()) {
            (Some(last), Some(count), Some(ends)) if last.0 == who => {
                last.1 += weight;
                *count += 1;
                *ends = (ends.0 + least, ends.1.and_then(|end| end.checked_add(greatest?)));
            }
            _ => {
                contributions.push((who, weight));
                counts.push(1);
                bounds.push((least, greatest));
            }
        }
    }
    let value = contributions.iter().map(|c| c.1).sum();
    let least = bounds.iter().map(|b| b.0).sum();
    let greatest = bounds.iter().try_fold(0_u64, |sum, b| sum.checked_add(b.1?));
    Atom { contributions, establishments: group.len() as u64, value, counts, bounds, least, greatest }
}

fn check_nesting(dimension: &str, columns: &[&Column]) -> Result<(), NotTabulable> {
    for column in columns {
        if column.labels.iter().any(|l| l == "TOTAL") {
            return Err(NotTabulable::CodeTotal(column.name.clone()));
        }
    }
    for pair in columns.windows(2) {
        let (above, below) = (pair[0], pair[1]);
        let mut parent: Vec<Option<u32>> = vec![None; below.labels.len()];
        for (coarse, fine) in above.codes.iter().zip(&below.codes) {
            match (coarse, fine) {
                (None, None) => {}
                (Some(coarse), Some(fine)) => {
                    let known = parent[*fine as usize].get_or_insert(*coarse);
                    if known != coarse {
                        return Err(NotTabulable::NotNested {
                            dimension: dimension.to_owned(),
                            level: below.name.clone(),
                            above: above.name.clone(),
                            code: below.labels[*fine as usize].clone(),
                            one: above.labels[*known as usize].clone(),
                            other: above.labels[*coarse as usize].clone(),
                        });
                    }
                }
                _ => return Err(NotTabulable::HalfCoded { dimension: dimension.to_owned() }),
            }
        }
    }
    Ok(())
}

/// Calls `f` with every way to take one element of each list.
fn for_each_combination<T: Copy>(lists: &[Vec<T>], f: &mut impl FnMut(&[T])) {
    let mut at = vec![0; lists.len()];
    let mut taken: Vec<T> = lists.iter().map(|l| l[0]).collect();
    loop {
        f(&taken);
        let Some(turn) = (0..lists.len()).rev().find(|&i| at[i] + 1 < lists[i].len()) else { return };
        at[turn] += 1;
        taken[turn] = lists[turn][at[turn]];
        for i in turn + 1..lists.len() {
            at[i] = 0;
            taken[i] = lists[i][0];
        }
    }
}

/// Rows by their atoms: cells with the same atoms share one.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    by_atoms: HashMap<Vec<u32>, u32>,
}

impl Rows {
    fn of(&mut self, members: Vec<u32>, atoms: &[Atom]) -> u32 {
        if let Some(&row) = self.by_atoms.get(&members) {
            return row;
        }
        let row = self.rows.len() as u32;
        self.rows.push(Row::of(members.clone(), atoms));
        self.by_atoms.insert(members, row);
        row
    }
}

impl RawTables {
    /// Contributors of a row and their weight in it, by contributor, those of weight zero included.
    pub(super) fn contributions(&self, row: &Row) -> Vec<(u32, u64)> {
        let mut all: Vec<(u32, u64)> =
            row.atoms.iter().flat_map(|&a| self.atoms[a as usize].contributions.iter().copied()).collect();
        all.sort_unstable_by_key(|c| c.0);
        all.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        all
    }

    /// What the rules judge: weights above zero of the contributors of these atoms, and the establishments of each
    /// contributor; both largest first.
    pub(super) fn largest_first(&self, atoms: &[u32]) -> (Vec<u64>, Vec<u64>) {
        let mut all: Vec<(u32, u64, u64)> = Vec::new();
        for &a in atoms {
            let atom = &self.atoms[a as usize];
            all.extend(atom.contributions.iter().zip(&atom.counts).map(|(c, n)| (c.0, c.1, u64::from(*n))));
        }
        all.sort_unstable_by_key(|c| c.0);
        let of_each = |f: fn(&(u32, u64, u64)) -> u64| {
            let mut sums: Vec<u64> =
                all.chunk_by(|a, b| a.0 == b.0).map(|who| who.iter().map(f).sum()).filter(|&sum| sum > 0).collect();
            sums.sort_unstable_by(|a, b| b.cmp(a));
            sums
        };
        (of_each(|c| c.1), of_each(|c| c.2))
    }

    /// The least and the greatest value of a row for one contributor, who knows its own parts exactly; for anybody else
    /// these are [`Row::least`] and [`Row::greatest`].
    pub(super) fn known_to(&self, row: &Row, contributor: u32) -> (u64, Option<u64>) {
        row.atoms.iter().fold((0, Some(0_u64)), |(least, greatest), &a| {
            let atom = &self.atoms[a as usize];
            let (low, high) = match atom.contributions.binary_search_by_key(&contributor, |c| c.0) {
                Ok(place) => atom.known_to(place),
                Err(_) => (atom.least, atom.greatest),
            };
            (least + low, greatest.and_then(|sum| sum.checked_add(high?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::primary::judge_rows;
    use super::super::protect::name_of;
    use super::*;

    type Line = (&'static str, u64, &'static str, &'static str, &'static str);

    /// Communes of zones; one record a line: contributor, weight, bracket, commune, zone.
    fn raw(lines: &[Line], more: &str) -> Result<RawTables, NotTabulable> {
        let spec = spec(more);
        let who: Vec<&str> = lines.iter().map(|l| l.0).collect();
        let column = |name: &str, code: fn(&Line) -> &'static str| {
            Column::of(name, &lines.iter().map(|l| Some(code(l))).collect::<Vec<_>>())
        };
        let columns = vec![column("bracket", |l| l.2), column("commune", |l| l.3), column("zone", |l| l.4)];
        let ids = (0..lines.len()).map(|i| i.to_string()).collect();
        tabulate(&Microdata::new(ids, &who, lines.iter().map(|l| l.1).collect(), columns), &spec)
    }

    fn spec(more: &str) -> Spec {
        let text = format!(
            "contributor='c'\nweight='w'\n{more}\n[dimensions.zone]\nlevels=['commune','zone']\n[[tables]]\nname='t'\n\
             dimensions=['zone']\n[dimensions.size]\nlevels=['bracket']\n"
        );
        Spec::parse(&text).unwrap()
    }

    /// The names of unsafe cells with what they break.
    fn asked(raw: &RawTables, more: &str) -> Vec<String> {
        let spec = spec(more);
        let verdicts = judge_rows(raw, &spec.rules, &spec.protection);
        let named = |(row, v): (usize, &Option<primary::Unsafe>)| {
            Some(format!("{} {}", name_of(raw, row as u32).1, v.as_ref()?.rules.join("+")))
        };
        let mut named: Vec<String> = verdicts.iter().enumerate().filter_map(named).collect();
        named.sort();
        named
    }

    #[test]
    fn public_brackets_bound_an_atom_for_outsiders_and_closer_for_those_inside() {
        let lines = [("a", 12, "11", "X", "x1"), ("b", 4, "02", "X", "x1"), ("a", 7, "53", "X", "x2")];
        let more = "dimensions.size.bounds = { '02' = [3, 5], '11' = [10, 19], '53' = [5] }";
        let text = format!(
            "contributor='c'\nweight='w'\n{more}\ndimensions.size.levels=['bracket']\n[dimensions.zone]\n\
             levels=['commune','zone']\n[[tables]]\nname='t'\ndimensions=['zone']\n"
        );
        let spec = Spec::parse(&text).unwrap();
        let column = |name: &str, values: [&str; 3]| Column::of(name, &values.map(Some));
        let micro = |weights: [u64; 3]| {
            let columns = vec![
                column("bracket", lines.map(|l| l.2)),
                column("commune", lines.map(|l| l.3)),
                column("zone", lines.map(|l| l.4)),
            ];
            Microdata::new(vec!["1".into(), "2".into(), "3".into()], &lines.map(|l| l.0), weights.to_vec(), columns)
        };
        let raw = tabulate(&micro([12, 4, 7]), &spec).unwrap();
        let ends: Vec<_> = raw.atoms.iter().map(|a| (a.least, a.greatest)).collect();
        assert_eq!(ends, [(13, Some(24)), (5, None)]);
        // The first contributor knows its 12 and that the other has 3 to 5; the second its 4.
        assert_eq!((raw.atoms[0].known_to(0), raw.atoms[0].known_to(1)), ((15, Some(17)), (14, Some(23))));
        // In the second atom the contributor with no greatest end is alone: it knows all of it.
        assert_eq!(raw.atoms[1].known_to(0), (7, Some(7)));
        let total = raw.rows.iter().find(|r| r.atoms.len() == 2).unwrap();
        assert_eq!((total.least, total.greatest), (18, None));
        assert_eq!((raw.known_to(total, 0), raw.known_to(total, 1)), ((22, Some(24)), (19, None)));

        let refused = tabulate(&micro([9, 4, 7]), &spec).err().unwrap();
        assert_eq!(refused, NotTabulable::OutOfBounds { dimension: "size".into(), code: "11".into(), records: 1 });
    }

    #[test]
    fn without_public_codes_an_atom_is_only_known_not_to_be_negative() {
        let raw = raw(&[("a", 12, "11", "X", "x1"), ("b", 4, "02", "X", "x1")], "").unwrap();
        assert_eq!((raw.atoms[0].least, raw.atoms[0].greatest), (0, None));
        assert_eq!(raw.atoms[0].known_to(1), (4, None));
    }

    #[test]
    fn nothing_is_shown_of_a_zone_below_the_least_population() {
        let lines =
            [("a", 10, "", "X", "x1"), ("b", 10, "", "X", "x1"), ("c", 10, "", "X", "x2"), ("d", 0, "", "Y", "y1")];
        for (inhabitants, expected) in [
            ("x1 = 100, x2 = 100, y1 = 100", &[][..]),
            ("x1 = 99, x2 = 100, y1 = 100", &["zone=x1 population"][..]),
            // The only zone of a commune is the commune.
            ("x1 = 100, x2 = 100, y1 = 0", &["commune=Y population"][..]),
        ] {
            let more = format!("[population.zone]\nleast = 100\ninhabitants = {{ {inhabitants} }}");
            assert_eq!(asked(&raw(&lines, &more).unwrap(), &more), expected, "{inhabitants}");
        }
        let more = "[population.commune]\nleast = 100\ninhabitants = { X = 99, Y = 100 }";
        let expected = ["commune=X population", "zone=x1 population", "zone=x2 population"];
        assert_eq!(asked(&raw(&lines, more).unwrap(), more), expected);
        let more = "[population.zone]\nleast = 100\ninhabitants = { x1 = 1, x2 = 1 }";
        let refused = raw(&lines, more).err().unwrap();
        assert_eq!(refused, NotTabulable::NoPopulation { level: "zone".into(), code: "y1".into() });
    }

    #[test]
    fn where_a_zone_counts_below_five_its_commune_alone_is_given() {
        let lines = [
            ("a", 10, "", "X", "x1"),
            ("b", 4, "", "X", "x2"),
            ("c", 5, "", "Y", "y1"),
            ("d", 5, "", "Y", "y2"),
            ("e", 0, "", "Z", "z1"),
            ("f", 9, "", "Z", "z2"),
        ];
        let persons = "[fallback.zone]\nleast = 5\nof = 'persons'";
        assert_eq!(asked(&raw(&lines, persons).unwrap(), persons), ["zone=x1 fallback", "zone=x2 fallback"]);
        let zeros = format!("protection.zeros = 'protected'\n{persons}");
        let expected = ["zone=x1 fallback", "zone=x2 fallback", "zone=z1 fallback", "zone=z2 fallback"];
        assert_eq!(asked(&raw(&lines, &zeros).unwrap(), &zeros), expected);
    }

    #[test]
    fn rules_of_a_table_hold_beside_those_of_all() {
        let lines = [("a", 5, "", "X", "x1"), ("b", 5, "", "X", "x1"), ("c", 5, "", "Y", "y1")];
        let mut raw = raw(&lines, "").unwrap();
        assert!(asked(&raw, "").is_empty());
        raw.tables[0].rules = vec![Rules { min_contributors: Some(2), ..Rules::default() }];
        assert_eq!(asked(&raw, ""), ["commune=Y min_contributors"]);
        assert_eq!(
            asked(&raw, "rules.min_contributors = 3"),
            ["commune=X min_contributors", "commune=Y min_contributors"]
        );
    }

    #[test]
    fn a_witness_keeps_within_what_anybody_knows() {
        use super::super::secondary::system::System;
        use super::super::secondary::witness::Witness;
        // Four zones of one establishment each, which hold 12 of a bracket from 10 to 19; the third is shared.
        let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors = 9\n[dimensions.zone]\nlevels=['zone']\n\
                    [dimensions.side]\nlevels=['side']\n[[tables]]\nname='t'\ndimensions=['zone','side']\n\
                    [dimensions.size]\nlevels=['size']\nbounds = { '11' = [10, 19] }\n";
        let spec = Spec::parse(text).unwrap();
        let column = |name: &str, codes: [&str; 5]| Column::of(name, &codes.map(Some));
        let columns = vec![
            column("zone", ["x", "x", "y", "y", "x"]),
            column("side", ["l", "r", "l", "r", "r"]),
            column("size", ["11"; 5]),
        ];
        let ids = (0..5).map(|i| i.to_string()).collect();
        let micro = Microdata::new(ids, &["a", "b", "c", "d", "e"], vec![12; 5], columns);
        let raw = tabulate(&micro, &spec).unwrap();
        let system = System::new(&raw, &spec.rules, &spec.protection, &[]);
        // Atoms in the order of side and zone: l x, l y, r x (shared), r y.
        assert_eq!(raw.atoms.iter().map(|a| a.value).collect::<Vec<_>>(), [12, 12, 24, 12]);
        for (scale, atom, by, expected) in [
            (1, 0, 7, true),
            (1, 0, 8, false),
            (1, 0, -2, true),
            (1, 0, -3, false),
            (2, 0, 14, true),
            (2, 0, 15, false),
            (2, 0, -4, true),
            (2, 0, -5, false),
            (1, 2, 14, true),
            (1, 2, 15, false),
            (1, 2, -4, true),
            (1, 2, -5, false),
        ] {
            assert_eq!(Witness::check(&system, scale, vec![(atom, by)]).is_some(), expected, "{atom} by {by}/{scale}");
        }
        // Whoever shares the third atom knows that the other holds 10 to 19.
        let excluded = |by| Witness::check(&system, 1, vec![(2, by)]).unwrap().spoiled_by;
        for (by, nobody) in [(7, true), (8, false), (-2, true), (-3, false)] {
            assert_eq!(excluded(by).is_empty(), nobody, "{by}");
        }
    }
}
