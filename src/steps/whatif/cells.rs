//! Which cells another release would withhold or show: places and fates of cells, never their values.

use super::Changes;
use crate::model::ZoneCode;
use crate::steps::publish::Release;
use crate::steps::secrecy::{Cell, Coordinate, ProtectedTable};
use std::collections::{BTreeMap, HashMap};

/// A cell whose fate would be another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellChange {
    /// The year.
    pub vintage: u16,
    /// The table.
    pub table: String,
    /// The zone of the zoning that changes, by its code in the new version; `None` for totals and other zonings.
    pub zone: Option<String>,
    /// Its place, as `level=code`, `name=TOTAL` for totals, joined by ` & `; codes are those of the new version.
    pub cell: String,
    /// What becomes of it.
    pub fate: CellFate,
}

/// What becomes of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellFate {
    /// Shown now, withheld then.
    Lost,
    /// Withheld now, shown then.
    Gained,
    /// Shown now, and then no cell: its zone vanishes, or nobody is left in it.
    Gone,
    /// No cell now, shown then.
    New,
    /// No cell now, withheld then.
    NewWithheld,
}

impl CellFate {
    /// Every fate.
    pub const ALL: [Self; 5] = [Self::Lost, Self::Gained, Self::Gone, Self::New, Self::NewWithheld];

    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Gained => "gained",
            Self::Gone => "gone",
            Self::New => "new",
            Self::NewWithheld => "new_withheld",
        }
    }
}

/// Compares the cells of the release served with those of the one that would be; `zoning` is the one that changes. A zone
/// that goes on under another code is compared under the new one.
pub fn cells(served: &Release, proposed: &Release, zoning: &str, changes: &Changes) -> Vec<CellChange> {
    let renamed: HashMap<&str, &ZoneCode> =
        changes.zones.iter().filter_map(|zone| Some((zone.fate.code_before()?.as_str(), &zone.code))).collect();
    let mut found = Vec::new();
    for (vintage, tables) in &proposed.vintages {
        let before = served.vintages.get(vintage);
        for table in tables.iter() {
            let of_zoning = table.dimensions.iter().position(|d| d.name == zoning);
            let known = before.and_then(|tables| tables.get(&table.name)).filter(|t| t.dimensions == table.dimensions);
            let known: BTreeMap<Vec<Coordinate>, Cell> = known
                .into_iter()
                .flat_map(ProtectedTable::cells)
                .map(|(at, cell)| {
                    let mut at = at.to_vec();
                    if let Some(Coordinate::Code { code, .. }) = of_zoning.map(|d| &mut at[d])
                        && let Some(new) = renamed.get(&**code)
                    {
                        *code = new.as_str().into();
                    }
                    (at, cell)
                })
                .collect();
            let mut note = |at: &[Coordinate], fate| {
                let zone = of_zoning.and_then(|d| match &at[d] {
                    Coordinate::Total => None,
                    Coordinate::Code { code, .. } => Some(code.to_string()),
                });
                let (vintage, cell) = (*vintage, text(table, at));
                found.push(CellChange { vintage, table: table.name.clone(), zone, cell, fate });
            };
            for (at, cell) in table.cells() {
                match (known.get(at), cell) {
                    (Some(Cell::Open { .. }), Cell::Suppressed) => note(at, CellFate::Lost),
                    (Some(Cell::Suppressed), Cell::Open { .. }) => note(at, CellFate::Gained),
                    (None, Cell::Open { .. }) => note(at, CellFate::New),
                    (None, Cell::Suppressed) => note(at, CellFate::NewWithheld),
                    (Some(Cell::Open { .. }), Cell::Open { .. }) | (Some(Cell::Suppressed), Cell::Suppressed) => {}
                }
            }
            let gone = known.iter().filter(|(at, cell)| **cell != Cell::Suppressed && table.cell(at).is_none());
            gone.for_each(|(at, _)| note(at, CellFate::Gone));
        }
    }
    found.sort();
    found
}

fn text(table: &ProtectedTable, at: &[Coordinate]) -> String {
    let part = |(dimension, coordinate): (&crate::steps::secrecy::TableDimension, &Coordinate)| match coordinate {
        Coordinate::Total => format!("{}=TOTAL", dimension.name),
        Coordinate::Code { level, code } => format!("{}={code}", dimension.levels[usize::from(*level)]),
    };
    table.dimensions.iter().zip(at).map(part).collect::<Vec<_>>().join(" & ")
}
