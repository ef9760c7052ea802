//! Step 7: raw tables become protected tables, or nothing is published.

use super::certificate::Certificate;
use super::policy::{Protection, Rules};
use super::secondary::system::Fate;
use super::secondary::witness::Side;
use super::secondary::{Hopeless, Pattern, Remainders, Told, suppress};
use super::tabulate::RawTables;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Tables which have passed through [`protect`], and so may be shown.
///
/// They cannot be made by hand, not even an empty set of them:
///
/// ```compile_fail,E0451
/// use arpent::steps::secrecy::ProtectedTables;
/// let forged = ProtectedTables { tables: Vec::new() };
/// ```
///
/// The two ways to hold some are [`protect`] and [`super::reopen`], which checks a digest:
///
/// ```
/// # use arpent::steps::secrecy::*;
/// # let text = "contributor='c'\nweight='w'\n[rules]\nmin_contributors=3\n[dimensions.z]\nlevels=['z']\n[[tables]]\nname='t'\ndimensions=['z']";
/// let spec = Spec::parse(text).unwrap();
/// let zones = ["A", "A", "A", "B", "B", "B"].map(Some);
/// let micro = Microdata::new((1..7).map(|i| i.to_string()).collect(), &["a", "b", "c", "d", "e", "f"],
///                            vec![1, 2, 3, 4, 5, 6], vec![Column::of("z", &zones)]);
/// let (tables, _dossier) = protect(&tabulate(&micro, &spec).unwrap(), &spec.rules, &spec.protection, &[]).unwrap();
/// let a = [Coordinate::Code { level: 0, code: "A".into() }];
/// assert_eq!(tables.get("t").unwrap().cell(&a), Some(Cell::Open { establishments: 3, headcount: 6 }));
/// ```
#[derive(Clone, PartialEq)]
pub struct ProtectedTables {
    tables: Vec<ProtectedTable>,
}

/// One table: each of its cells that holds an establishment, shown or withheld.
#[derive(Clone, PartialEq)]
pub struct ProtectedTable {
    /// Its name in the specification.
    pub name: String,
    /// Its dimensions, in the order of the coordinates.
    pub dimensions: Vec<TableDimension>,
    cells: BTreeMap<Vec<Coordinate>, Cell>,
}

/// A dimension of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDimension {
    /// Its name.
    pub name: String,
    /// Its levels, coarse to fine.
    pub levels: Vec<String>,
}

/// Where a cell lies along one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coordinate {
    /// The implied total.
    Total,
    /// A code of a level; 0 is the coarsest.
    Code {
        /// Place of the level among [`TableDimension::levels`].
        level: u8,
        /// The code.
        code: Arc<str>,
    },
}

/// What may be shown of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Shown.
    Open {
        /// Establishments.
        establishments: u64,
        /// Employees.
        headcount: u64,
    },
    /// Withheld: no value inside, and no reason, since a reason narrows the guess.
    Suppressed,
}

impl ProtectedTables {
    /// The strongroom alone gathers tables.
    pub(in crate::steps::secrecy) fn gather(tables: Vec<ProtectedTable>) -> Self {
        Self { tables }
    }
    /// Every table, in the order of the specification.
    pub fn iter(&self) -> impl Iterator<Item = &ProtectedTable> {
        self.tables.iter()
    }
    /// The table of this name.
    pub fn get(&self, name: &str) -> Option<&ProtectedTable> {
        self.tables.iter().find(|t| t.name == name)
    }
}

impl ProtectedTable {
    pub(in crate::steps::secrecy) fn gather(
        name: String,
        dimensions: Vec<TableDimension>,
        cells: BTreeMap<Vec<Coordinate>, Cell>,
    ) -> Self {
        Self { name, dimensions, cells }
    }
    /// The same cells under other names.
    pub(in crate::steps::secrecy) fn renamed(&self, name: &str, dimensions: &[String]) -> Self {
        let levels = self.dimensions.iter().zip(dimensions);
        let dimensions = levels.map(|(d, name)| TableDimension { name: name.clone(), levels: d.levels.clone() });
        Self { name: name.to_owned(), dimensions: dimensions.collect(), cells: self.cells.clone() }
    }
    /// The cell at these coordinates; `None` where no establishment is.
    pub fn cell(&self, at: &[Coordinate]) -> Option<Cell> {
        self.cells.get(at).copied()
    }
    /// Every cell, ordered by coordinates.
    pub fn cells(&self) -> impl Iterator<Item = (&[Coordinate], Cell)> {
        self.cells.iter().map(|(at, cell)| (at.as_slice(), *cell))
    }
}

impl fmt::Debug for ProtectedTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} protected tables", self.tables.len())
    }
}

/// Nothing may be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProtectable {
    /// An unsafe cell cannot be protected whatever else is withheld.
    #[error(
        "table `{table}`, cell {cell}: found an unsafe cell that what is already public gives away, expected that some \
         other cell could be withheld with it; nothing is published"
    )]
    Hopeless {
        /// A table that holds the cell.
        table: String,
        /// Its coordinates.
        cell: String,
    },
    /// What is left of a cell beside shown cells that lie in it is unsafe, and nothing was found to withhold.
    #[error(
        "table `{table}`, cell {cell}: found an unsafe sum that is left of it beside shown cells that lie in it, expected \
         that some other cell could be withheld to hide that sum; nothing is published"
    )]
    Remainder {
        /// A table that holds the cell.
        table: String,
        /// Its coordinates.
        cell: String,
    },
}

/// What the owner alone may read of a protection: reasons and proofs. No route serves it.
pub struct Dossier {
    /// One line a cell of every table, in the order of the tables.
    pub reasons: Vec<Reason>,
    /// One line an unsafe row.
    pub certificate: Vec<Proof>,
    /// The witnesses behind those lines.
    pub proof: Certificate,
    /// Counts for the report.
    pub counts: Counts,
    /// What the cells withheld to protect others cost, in the units the specification chose, and what no safe pattern can
    /// cost less than; `None` where cells were withheld afterwards, or earlier releases are in view.
    pub cost_and_bound: Option<(f64, f64)>,
    /// Unsafe sums that subtraction would give, though no table shows them: what is left of a shown cell beside shown cells
    /// of one table that lie in it.
    pub remainders: Remainders,
    /// Ends of unsafe cells, and of such sums, that are proved by moves in fractions of a unit alone: they hold against an
    /// attacker who does not use that headcounts are whole.
    pub in_fractions: usize,
}

/// Why a cell has its fate.
pub struct Reason {
    /// Table.
    pub table: String,
    /// Coordinates, as `level=code`, `TOTAL` for totals, joined by ` & `.
    pub cell: String,
    /// `open`, `primary` or `secondary`.
    pub fate: &'static str,
    /// Rules broken, joined by `+`.
    pub rules: String,
}

/// The interval an outsider can still prove for an unsafe cell is at least this wide, in employees.
pub struct Proof {
    /// Every cell that is this row, as `table: coordinates`.
    pub cells: String,
    /// The true value.
    pub value: u64,
    /// How far above and below the value some table lies that fits everything shown.
    pub above: u64,
    /// The same below.
    pub below: u64,
    /// The level the rules ask for.
    pub level: u64,
    /// Means of the proof; `already public` where an earlier release shows the cell, so that nothing is left to prove.
    pub means: &'static str,
}

/// Counts of a protection, over all tables; a cell in two tables counts twice, as its reader sees it twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cells that hold an establishment.
    pub cells: u64,
    /// Cells withheld by a rule.
    pub primary: u64,
    /// Cells withheld to protect others.
    pub secondary: u64,
    /// Employees of all cells.
    pub headcount: u64,
    /// Employees of withheld cells.
    pub headcount_withheld: u64,
    /// Employees of the cells withheld to protect others.
    pub secondary_headcount: u64,
}

/// Judges every row (primary), withholds more until no attacker comes too close (secondary), and hands over what may be
/// shown with its proof.
///
/// `locked` names rows that earlier releases have shown; without history it is empty.
///
/// # Errors
/// [`NotProtectable`]: then nothing is published.
pub fn protect(
    raw: &RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
) -> Result<(ProtectedTables, Dossier), NotProtectable> {
    protect_knowing(raw, rules, protection, locked, Told::default()).map_err(|hopeless| hopeless.said(raw))
}

impl Hopeless {
    /// The refusal in words.
    pub(super) fn said(&self, raw: &RawTables) -> NotProtectable {
        let (table, cell) = name_of(raw, self.row());
        match self {
            Self::Row(_) => NotProtectable::Hopeless { table, cell },
            Self::Rest(_) => NotProtectable::Remainder { table, cell },
        }
    }
}

/// [`protect`] where earlier releases have told some contributors some rows already.
///
/// # Errors
/// The row that cannot be protected.
pub(super) fn protect_knowing(
    raw: &RawTables,
    rules: &Rules,
    protection: &Protection,
    locked: &[bool],
    told: Told,
) -> Result<(ProtectedTables, Dossier), Hopeless> {
    let pattern = suppress(raw, rules, protection, locked, told)?;
    let tables = raw
        .tables
        .iter()
        .map(|table| {
            let labels: Vec<Vec<Vec<Arc<str>>>> = table
                .dimensions
                .iter()
                .map(|d| d.labels.iter().map(|l| l.iter().map(|s| Arc::from(s.as_str())).collect()).collect())
                .collect();
            let cells = table
                .cells
                .iter()
                .map(|cell| {
                    let at = cell.key.iter().enumerate().map(|(d, &(level, code))| match level {
                        0 => Coordinate::Total,
                        _ => {
                            let code = labels[d][level as usize - 1][code as usize].clone();
                            Coordinate::Code { level: level - 1, code }
                        }
                    });
                    let row = &raw.rows[cell.row as usize];
                    let shown = if pattern.system.fate[cell.row as usize].is_shown() {
                        Cell::Open { establishments: row.establishments, headcount: row.value }
                    } else {
                        Cell::Suppressed
                    };
                    (at.collect(), shown)
                })
                .collect();
            let dimensions = table
                .dimensions
                .iter()
                .map(|d| TableDimension { name: d.name.clone(), levels: d.levels.clone() })
                .collect();
            ProtectedTable { name: table.name.clone(), dimensions, cells }
        })
        .collect();
    Ok((ProtectedTables { tables }, dossier(raw, &pattern)))
}

fn dossier(raw: &RawTables, pattern: &Pattern<'_>) -> Dossier {
    let mut counts = Counts::default();
    let mut reasons = Vec::new();
    let mut names: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for table in &raw.tables {
        for cell in &table.cells {
            let value = raw.rows[cell.row as usize].value;
            let fate = pattern.system.fate[cell.row as usize];
            counts.cells += 1;
            counts.headcount += value;
            match fate {
                Fate::Open | Fate::Locked => {}
                Fate::Primary => counts.primary += 1,
                Fate::Secondary => {
                    counts.secondary += 1;
                    counts.secondary_headcount += value;
                }
            }
            if !fate.is_shown() {
                counts.headcount_withheld += value;
            }
            let verdict = &pattern.system.verdict[cell.row as usize];
            let at = coordinates(table, &cell.key);
            if verdict.is_some() {
                names.entry(cell.row).or_default().push(format!("{}: {at}", table.name));
            }
            reasons.push(Reason {
                table: table.name.clone(),
                cell: at,
                fate: match fate {
                    Fate::Open | Fate::Locked => "open",
                    Fate::Primary => "primary",
                    Fate::Secondary => "secondary",
                },
                rules: verdict.as_ref().map(|v| v.rules.join("+")).unwrap_or_default(),
            });
        }
    }
    let proof = Certificate::gather(raw, pattern, &names);
    let certificate = names
        .into_iter()
        .map(|(row, cells)| {
            let (above, below) = (pattern.pool.reach(row, Side::Up), pattern.pool.reach(row, Side::Down));
            Proof {
                cells: cells.join(" | "),
                value: raw.rows[row as usize].value,
                above,
                below,
                level: pattern.system.verdict[row as usize].as_ref().map_or(0, |v| v.level),
                means: if pattern.system.fate[row as usize].is_shown() { "already public" } else { "witness" },
            }
        })
        .collect();
    let cost_and_bound =
        pattern.found.filter(|f| f.bound > 0.0 || f.cost == 0.0).map(|f| (f.cost, f.bound.min(f.cost)));
    let (remainders, in_fractions) = (pattern.remainders, pattern.in_fractions.len());
    Dossier { reasons, certificate, proof, counts, cost_and_bound, remainders, in_fractions }
}

fn coordinates(table: &super::tabulate::RawTable, key: &[(u8, u32)]) -> String {
    let parts = key.iter().enumerate().map(|(d, &(level, code))| {
        let dimension = &table.dimensions[d];
        match level {
            0 => format!("{}=TOTAL", dimension.name),
            _ => {
                let l = level as usize - 1;
                format!("{}={}", dimension.levels[l], dimension.labels[l][code as usize])
            }
        }
    });
    parts.collect::<Vec<_>>().join(" & ")
}

/// A table that holds the row, and its coordinates there.
pub(super) fn name_of(raw: &RawTables, row: u32) -> (String, String) {
    raw.tables
        .iter()
        .find_map(|t| {
            let cell = t.cells.iter().find(|c| c.row == row)?;
            Some((t.name.clone(), coordinates(t, &cell.key)))
        })
        .expect("a row comes from a cell")
}
