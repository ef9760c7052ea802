//! When a new cut cannot be protected: the smallest change that was tried and makes it safe.
//!
//! Nothing withheld today takes back what was shown before. What remains is to cut otherwise, so that the cell that is
//! given away is no cell: two zones merged, or a table left out. Each change named here has been tried, on the records,
//! with every earlier release in view.

use super::super::microdata::Microdata;
use super::super::policy::Spec;
use super::super::protect::Coordinate;
use super::super::tabulate::RawTables;
use super::{NotProtected, Past, place};
use std::collections::BTreeMap;
use std::fmt;

/// Changes tried before giving up, in a small system and in a large one: each asks anew what earlier releases tell.
const TRIES_MAX: [usize; 2] = [10, 3];

/// A system with more atoms than this is large.
const SMALL_ATOMS: usize = 1_200;

/// Mergers told at most.
const MERGERS_MAX: usize = 2;

/// A change of the cut, smaller ones first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Two codes of one level become one.
    Merge {
        /// The level.
        level: String,
        /// One code.
        one: String,
        /// The other.
        other: String,
    },
    /// The finest level of a dimension is not shown.
    Coarser {
        /// The dimension.
        dimension: String,
        /// The level.
        level: String,
        /// The tables that no longer show it.
        tables: Vec<String>,
    },
    /// A table is not published.
    LeaveOut {
        /// Its name.
        table: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merge { level, one, other } => write!(f, "merge `{one}` and `{other}` of `{level}`"),
            Self::Coarser { level, tables, .. } => {
                let tables: Vec<String> = tables.iter().map(|t| format!("`{t}`")).collect();
                write!(f, "leave out level `{level}` of {}", tables.join(", "))
            }
            Self::LeaveOut { table } => write!(f, "leave out table `{table}`"),
        }
    }
}

/// Changes that make the cut safe, the smallest first: mergers by the headcount they join, then tables left out.
pub(super) fn changes(
    micro: &Microdata,
    spec: &Spec,
    past: &Past<'_>,
    raw: &RawTables,
    n_present: usize,
    given_away: &[u32],
    protects: impl Fn(&Microdata, &Spec, &Past<'_>) -> Result<bool, NotProtected>,
) -> Vec<Change> {
    let mut found = Vec::new();
    let tries_max = TRIES_MAX[usize::from(raw.atoms.len() > SMALL_ATOMS)];
    let mut tries = 0;
    let mut works = |micro: &Microdata, spec: &Spec| {
        tries += 1;
        tries <= tries_max && protects(micro, spec, past) == Ok(true)
    };
    let cells = cells_of(raw, n_present, given_away);
    for (level, one, other) in mergers(micro, spec, &cells) {
        let change = Change::Merge { level, one, other };
        let (merged, cut) = change.apply(micro, spec);
        if works(&merged, &cut) {
            found.push(change);
            if found.len() == MERGERS_MAX {
                break;
            }
        }
    }
    let mut tables: Vec<usize> = cells.iter().map(|c| c.0).collect();
    tables.sort_unstable();
    tables.dedup();
    for table in tables.into_iter().filter(|_| spec.tables.len() > 1) {
        let mut without = spec.clone();
        let left_out = without.tables.remove(table).name;
        if works(micro, &without) {
            found.push(Change::LeaveOut { table: left_out });
            break;
        }
    }
    found
}

/// Places of the present tables whose cells hold, lie in, or share atoms with what is given away: those that isolate it.
fn cells_of(raw: &RawTables, n_present: usize, rows: &[u32]) -> Vec<(usize, Vec<Coordinate>)> {
    let mut cells = Vec::new();
    for &row in rows {
        let atoms = &raw.rows[row as usize].atoms;
        let mut nearest: Option<(usize, usize, Vec<Coordinate>)> = None;
        for (t, table) in raw.tables[..n_present].iter().enumerate() {
            for cell in &table.cells {
                let of_cell = &raw.rows[cell.row as usize].atoms;
                let shared = atoms.iter().filter(|a| of_cell.binary_search(a).is_ok()).count();
                let beside = of_cell.len() - shared;
                if shared > 0 && nearest.as_ref().is_none_or(|n| beside < n.0) {
                    nearest = Some((beside, t, place(table, cell)));
                }
            }
        }
        cells.extend(nearest.map(|(_, t, at)| (t, at)));
    }
    cells.dedup();
    cells
}

/// Pairs of codes whose merger ends one of these cells: the cell's code with each other of its level that lies under the
/// same code above, least headcount first.
fn mergers(micro: &Microdata, spec: &Spec, cells: &[(usize, Vec<Coordinate>)]) -> Vec<(String, String, String)> {
    let mut pairs: BTreeMap<(u64, String, String, String), ()> = BTreeMap::new();
    for (table, at) in cells {
        for (d, coordinate) in at.iter().enumerate() {
            let Coordinate::Code { level, code } = coordinate else { continue };
            let levels = &spec.dimensions[&spec.tables[*table].dimensions[d]].levels;
            let Some(column) = micro.column(&levels[usize::from(*level)]) else { continue };
            let above = usize::from(*level).checked_sub(1).and_then(|l| micro.column(&levels[l]));
            let mut of_code: Vec<(u64, Option<u32>)> = vec![(0, None); column.labels.len()];
            for (record, label) in column.codes.iter().enumerate() {
                if let Some(label) = label {
                    let parent = above.and_then(|c| c.codes[record]);
                    let known = &mut of_code[*label as usize];
                    *known = (known.0 + micro.weight[record], parent);
                }
            }
            let Ok(one) = column.labels.binary_search_by(|l| l.as_str().cmp(code)) else { continue };
            for (other, (weight, parent)) in of_code.iter().enumerate() {
                if other != one && *parent == of_code[one].1 {
                    let key = (*weight, column.name.clone(), column.labels[one].clone(), column.labels[other].clone());
                    pairs.insert(key, ());
                }
            }
        }
    }
    pairs.into_keys().map(|(_, level, one, other)| (level, one, other)).collect()
}
