//! Step 8: protected tables, contours and provenance become a release.

use super::secrecy::{Cell, Coordinate, ProtectedTable, ProtectedTables};
use crate::model::{ReleaseId, Wgs84, ZoneCode};
use std::collections::BTreeMap;

/// What the service shows: immutable, aggregates only. Handlers are given a `&Release` and nothing else.
#[derive(Clone)]
pub struct Release {
    /// Its name, from the digest of its content.
    pub id: ReleaseId,
    /// The zonings, in the order shown.
    pub zonings: Vec<ReleasedZoning>,
    /// The protected tables of each vintage (the year of the 31 December described).
    pub vintages: BTreeMap<u16, ProtectedTables>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// One zoning of a release.
#[derive(Clone)]
pub struct ReleasedZoning {
    /// Name in paths and the name of its dimension in the tables: `secteurs`, `iris`, `communes`.
    pub id: String,
    /// Name for people, in French.
    pub title: String,
    /// Version of the perimeter.
    pub version: String,
    /// Zones, in the order of their codes.
    pub zones: Vec<ReleasedZone>,
}

/// One zone of a release.
#[derive(Clone)]
pub struct ReleasedZone {
    /// Its code.
    pub code: ZoneCode,
    /// Its name for people.
    pub label: String,
    /// Its contour, exterior rings counter-clockwise (RFC 7946).
    pub contour: Wgs84<geo::MultiPolygon>,
}

/// Where a release comes from; every public answer about figures carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The exact source string of the owners ("Urssaf et MSA").
    pub source: String,
    /// Date of the last update, RFC 3339, UTC.
    pub updated: String,
    /// Licence, by name.
    pub licence: String,
    /// A sentence people must see with the figures ("Données fictives…"), empty when there is none.
    pub notice: String,
    /// SHA-256 of the policy in force, hexadecimal.
    pub policy: String,
    /// Its version, by name.
    pub policy_version: String,
    /// SHA-256 of each input, by name, hexadecimal.
    pub inputs: BTreeMap<String, String>,
    /// Version of arpent.
    pub arpent: String,
}

/// Which figures of a zone are asked for; `None` is the total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Year of the 31 December.
    pub vintage: u16,
    /// Section (`G`) or division (`47`).
    pub naf: Option<String>,
    /// Sirene bracket code (`11`).
    pub tranche: Option<String>,
    /// `urssaf` or `msa`.
    pub source: Option<String>,
}

/// What a release says of a zone and a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Shown; zero where no establishment is.
    Open {
        /// Establishments.
        establishments: u64,
        /// Employees.
        headcount: u64,
    },
    /// Withheld by statistical secrecy.
    Secret,
    /// This release has no such crossing.
    NotPublished,
}

impl Release {
    /// The zoning of this name.
    pub fn zoning(&self, id: &str) -> Option<&ReleasedZoning> {
        self.zonings.iter().find(|z| z.id == id)
    }

    /// The latest vintage; a release has one at least.
    pub fn latest(&self) -> Option<u16> {
        self.vintages.keys().next_back().copied()
    }

    /// The figures of one zone. It looks a cell up and never sums.
    pub fn figures(&self, zoning: &str, zone: &str, selection: &Selection) -> Published {
        let Some(tables) = self.vintages.get(&selection.vintage) else { return Published::NotPublished };
        let wanted = [
            (zoning, Some(zone)),
            ("naf", selection.naf.as_deref()),
            ("tranche", selection.tranche.as_deref()),
            ("source", selection.source.as_deref()),
        ];
        let wanted: Vec<(&str, &str)> = wanted.into_iter().filter_map(|(d, code)| Some((d, code?))).collect();
        let Some((table, at)) = tables.iter().find_map(|t| Some((t, coordinates(t, &wanted)?))) else {
            return Published::NotPublished;
        };
        match table.cell(&at) {
            Some(Cell::Open { establishments, headcount }) => Published::Open { establishments, headcount },
            Some(Cell::Suppressed) => Published::Secret,
            None => Published::Open { establishments: 0, headcount: 0 },
        }
    }
}

/// The coordinates of a selection in a table, totals elsewhere; `None` when the table lacks one of its dimensions.
fn coordinates(table: &ProtectedTable, wanted: &[(&str, &str)]) -> Option<Vec<Coordinate>> {
    if !wanted.iter().all(|(name, _)| table.dimensions.iter().any(|d| d.name == *name)) {
        return None;
    }
    table
        .dimensions
        .iter()
        .map(|d| match wanted.iter().find(|w| w.0 == d.name) {
            None => Some(Coordinate::Total),
            Some((_, code)) => {
                // A section is a letter and a division two digits; other dimensions of the service have one level.
                let level = match (d.name.as_str(), code.len()) {
                    ("naf", 1) => d.levels.iter().position(|l| l == "naf_section")?,
                    ("naf", _) => d.levels.iter().position(|l| l == "naf_division")?,
                    _ => 0,
                };
                Some(Coordinate::Code { level: level as u8, code: (*code).into() })
            }
        })
        .collect()
}
