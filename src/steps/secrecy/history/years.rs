//! Year against year: headcounts move slowly, so last year's figure is a guess at this year's.
//!
//! With `years = "hide_again"`:
//! 1. a cell withheld last year is withheld again while the same contributors have a weight in it;
//! 2. an unsafe cell that was shown last year asks for a level of at least `width` of last year's figure.

use super::super::policy::{Rules, Spec};
use super::super::primary::{self, judge_rows};
use super::super::protect::Cell;
use super::super::tabulate::{Demand, RawTables};
use super::{Earlier, NotProtected, place};
use std::collections::HashMap;

/// Adds what last year's release asks of the present tables, which come first. `names` are those of the contributors.
pub(super) fn demand_last_year(
    raw: &mut RawTables,
    n_present: usize,
    names: &[String],
    spec: &Spec,
    last: &Earlier,
) -> Result<(), NotProtected> {
    let then = last.cut()?;
    let verdicts = judge_rows(raw, &spec.rules, &spec.protection);
    let mut demands = Vec::new();
    for table in &raw.tables[..n_present] {
        let same = |name: &str| name == table.name;
        let Some(released) = last.tables.iter().find(|t| same(&t.name)) else { continue };
        let Some(table_then) = then.tables.iter().find(|t| same(&t.name)) else { continue };
        let rows_then: HashMap<_, u32> = table_then.cells.iter().map(|c| (place(table_then, c), c.row)).collect();
        for cell in &table.cells {
            let at = place(table, cell);
            let row = &raw.rows[cell.row as usize];
            match released.cells.get(&at) {
                None => {}
                Some(Cell::Suppressed) => {
                    let Some(&row_then) = rows_then.get(&at) else { continue };
                    let now = with_weight(raw, row.atoms.as_slice(), names);
                    let before = with_weight(&then, &then.rows[row_then as usize].atoms, &last.micro.contributors);
                    if now == before {
                        demands.push(Demand { row: cell.row, rule: "last_year", level: 1 });
                    }
                }
                Some(&Cell::Open { headcount, .. }) if verdicts[cell.row as usize].is_some() => {
                    let level = primary::share_of(headcount, spec.protection.width);
                    demands.push(Demand { row: cell.row, rule: "last_year", level });
                }
                Some(Cell::Open { .. }) => {}
            }
        }
    }
    raw.demands.extend(demands);
    Ok(())
}

/// The names of the contributors that have a weight in these atoms, in order.
fn with_weight<'a>(raw: &RawTables, atoms: &[u32], names: &'a [String]) -> Vec<&'a str> {
    let of = |&a: &u32| raw.atoms[a as usize].contributions.iter();
    let mut present: Vec<&str> =
        atoms.iter().flat_map(of).filter(|c| c.1 > 0).map(|c| names[c.0 as usize].as_str()).collect();
    present.sort_unstable();
    present.dedup();
    present
}

/// The least number of contributors that some rule of a specification asks for.
pub(super) fn least_contributors(spec: &Spec) -> u32 {
    let of_tables = spec.tables.iter().flat_map(|t| &t.rules);
    std::iter::once(&spec.rules).chain(of_tables).filter_map(|r: &Rules| r.min_contributors).max().unwrap_or(0)
}
