//! Step 6: records become the raw tables, one system over common atoms.
//!
//! An *atom* is a set of records that no table tells apart; every cell of every table is a union of atoms, whatever the
//! zonings do to each other. Two cells with the same atoms are one *row* of the system: they have one value and one fate.

use super::microdata::{Column, Microdata};
use super::policy::Spec;
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
pub struct RawTables {
    pub(super) atoms: Vec<Atom>,
    pub(super) rows: Vec<Row>,
    pub(super) tables: Vec<RawTable>,
    pub(super) n_contributors: usize,
    /// What tells atoms apart: every column that some table uses, by name, with its codes.
    pub(super) levels: Vec<RawLevel>,
}

/// A column that some table uses, and the code of each atom in it.
pub(super) struct RawLevel {
    pub name: String,
    pub labels: Vec<String>,
    /// One an atom.
    pub codes: Vec<Option<u32>>,
}

impl fmt::Debug for RawTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows over {} atoms, values withheld", self.rows.len(), self.atoms.len())
    }
}

/// Records that no table tells apart.
pub(super) struct Atom {
    /// Contributors and their weight, by contributor; one whose weight is zero is there too, since it knows that zero.
    pub contributions: Vec<(u32, u64)>,
    /// Establishments, of any weight.
    pub establishments: u64,
    /// Sum of the weights.
    pub value: u64,
}

/// A union of atoms which some table shows.
pub(super) struct Row {
    /// Ascending.
    pub atoms: Vec<u32>,
    pub value: u64,
    pub establishments: u64,
}

/// One table: its cells and the row of each.
pub(super) struct RawTable {
    pub name: String,
    pub dimensions: Vec<RawDimension>,
    pub cells: Vec<RawCell>,
}

/// A dimension of a table: its name, its levels from coarse to fine, and the codes of each level.
#[derive(Clone)]
pub(super) struct RawDimension {
    pub name: String,
    pub levels: Vec<String>,
    pub labels: Vec<Vec<String>>,
}

/// A cell: for each dimension the level (0 is the total, 1 the coarsest) and the index of the code (0 for the total).
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
        })
        .collect();

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
    let atoms: Vec<Atom> = groups.iter().map(|group| atom(micro, group)).collect();
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
    Ok(RawTables { atoms, rows: rows.rows, tables, n_contributors: micro.contributors.len(), levels })
}

fn atom(micro: &Microdata, group: &[u32]) -> Atom {
    let mut contributions: Vec<(u32, u64)> = Vec::new();
    for &r in group {
        let (who, weight) = (micro.contributor[r as usize], micro.weight[r as usize]);
        match contributions.last_mut() {
            Some(last) if last.0 == who => last.1 += weight,
            _ => contributions.push((who, weight)),
        }
    }
    let value = contributions.iter().map(|c| c.1).sum();
    Atom { contributions, establishments: group.len() as u64, value }
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
        let of = |f: fn(&Atom) -> u64| members.iter().map(|&a| f(&atoms[a as usize])).sum();
        let row = self.rows.len() as u32;
        self.rows.push(Row {
            value: of(|a| a.value),
            establishments: of(|a| a.establishments),
            atoms: members.clone(),
        });
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
}
