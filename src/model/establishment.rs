//! Establishments and registers of them.

use super::{Headcount, Naf, Siret, crs::Declared};

/// Who sent a headcount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The general scheme (Urssaf).
    Urssaf,
    /// The farm scheme (Mutualité sociale agricole).
    Msa,
}

impl Source {
    /// The code used in tables and queries.
    pub fn code(self) -> &'static str {
        match self {
            Self::Urssaf => "urssaf",
            Self::Msa => "msa",
        }
    }
    /// The source of a code, in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Urssaf, Self::Msa].into_iter().find(|s| s.code().eq_ignore_ascii_case(code.trim()))
    }
}

/// Why an establishment has no usable place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unplaced {
    /// No coordinate, or one half of it is missing.
    NoCoordinate,
    /// A coordinate that is no finite number.
    NotFinite,
    /// The point (0, 0): a missing value written as a number.
    Zero,
    /// Outside the area where the declared system may be used.
    OutsideCrs,
    /// `qualite_xy` 33: a random point in the commune (INSEE, géolocalisation Sirene), never placed by geometry.
    RandomInCommune,
}

impl Unplaced {
    /// A stable code for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoCoordinate => "no_coordinate",
            Self::NotFinite => "not_finite",
            Self::Zero => "zero",
            Self::OutsideCrs => "outside_crs",
            Self::RandomInCommune => "random_in_commune",
        }
    }
}

/// One establishment of a register, at one year-end, from one source.
#[derive(Debug, Clone)]
pub struct Establishment {
    /// Its number; the enterprise follows from it.
    pub siret: Siret,
    /// Employees at the year-end; `None` when the register does not say.
    pub headcount: Option<Headcount>,
    /// Its main activity.
    pub naf: Naf,
    /// The year whose 31 December the headcount describes.
    pub vintage: u16,
    /// Who sent it.
    pub source: Source,
    /// Where it stands, or why nobody can say.
    pub place: Result<Declared<(f64, f64)>, Unplaced>,
}

/// The establishments of one upload, each SIRET once for each vintage and source.
#[derive(Debug, Clone, Default)]
pub struct Register {
    /// In the order read.
    pub establishments: Vec<Establishment>,
}
