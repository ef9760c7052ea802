//! Establishments and registers of them.

use super::{Headcount, Naf, Naf2025, Siret, crs::Declared};

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
    /// A `qualite_xy` that the operator does not trust: see [`Trust`].
    PoorGeocode,
    /// `statutDiffusion` P: the enterprise asked INSEE not to show its address; it is counted, never placed.
    NotDiffused,
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
            Self::PoorGeocode => "poor_geocode",
            Self::NotDiffused => "not_diffused",
        }
    }
}

/// `qualite_xy` of Sirene's geolocation file (INSEE): how sure the street is, and where on it the point lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GeocodeQuality {
    /// 11: the street is sure, and the number was found.
    SureNumber,
    /// 12: the street is sure, and the point is random on it.
    SureStreet,
    /// 21: the street is probable, and the number was found.
    ProbableNumber,
    /// 22: the street is probable, and the point is random on it.
    ProbableStreet,
    /// 33: the street is unknown, and the point is random in the commune.
    RandomInCommune,
}

impl GeocodeQuality {
    const ALL: [Self; 5] =
        [Self::SureNumber, Self::SureStreet, Self::ProbableNumber, Self::ProbableStreet, Self::RandomInCommune];

    /// The code INSEE writes.
    pub fn code(self) -> u64 {
        match self {
            Self::SureNumber => 11,
            Self::SureStreet => 12,
            Self::ProbableNumber => 21,
            Self::ProbableStreet => 22,
            Self::RandomInCommune => 33,
        }
    }
    /// The quality of a code; `None` for a code INSEE does not have.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.code() == code)
    }
}

/// Which points are near enough the truth to be placed by geometry. 11 always is, and 33 never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// All that INSEE does not call random in the commune: a street seldom leaves its sector, and the review lists the
    /// doubtful ones.
    #[default]
    Street,
    /// Sure streets alone.
    SureStreet,
    /// Sure streets and numbers that were found.
    Number,
}

impl Trust {
    /// All of them, the most trusting first.
    pub const ALL: [Self; 3] = [Self::Street, Self::SureStreet, Self::Number];

    /// As operators say it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Street => "street",
            Self::SureStreet => "sure-street",
            Self::Number => "number",
        }
    }
    /// What a code says; `None` for another word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trust| trust.code() == code)
    }
    /// Whether a random point on a street (12, 22) is placed.
    pub fn random_on_street(self) -> bool {
        match self {
            Self::Street | Self::SureStreet => true,
            Self::Number => false,
        }
    }
    /// Whether a point on a street that is only probable (21, 22) is placed.
    pub fn probable_street(self) -> bool {
        match self {
            Self::Street => true,
            Self::SureStreet | Self::Number => false,
        }
    }

    /// Why a point of this quality is not placed; `None` when it is.
    pub fn refuses(self, quality: GeocodeQuality) -> Option<Unplaced> {
        let trusted = match quality {
            GeocodeQuality::SureNumber => true,
            GeocodeQuality::SureStreet => self.random_on_street(),
            GeocodeQuality::ProbableNumber => self.probable_street(),
            GeocodeQuality::ProbableStreet => self.random_on_street() && self.probable_street(),
            GeocodeQuality::RandomInCommune => return Some(Unplaced::RandomInCommune),
        };
        (!trusted).then_some(Unplaced::PoorGeocode)
    }
}

/// One establishment of a register, at one year-end, from one source.
#[derive(Debug, Clone)]
pub struct Establishment {
    /// Its number; the enterprise follows from it.
    pub siret: Siret,
    /// Employees at the year-end; `None` when the register does not say.
    pub headcount: Option<Headcount>,
    /// Its main activity, in NAF rév. 2.
    pub naf: Naf,
    /// The same in NAF 2025, where the register has it. The two are never mapped to each other.
    pub naf_2025: Option<Naf2025>,
    /// The year whose 31 December the headcount describes.
    pub vintage: u16,
    /// Who sent it.
    pub source: Source,
    /// Where it stands, or why nobody can say.
    pub place: Result<Declared<(f64, f64)>, Unplaced>,
    /// How good that place is, where the register says.
    pub quality: Option<GeocodeQuality>,
    /// Which of its sites this is, from 1, when a review has split it; 0 when it is whole.
    pub site: u16,
}

/// The establishments of one upload, each SIRET once for each vintage and source, or once a site of them.
#[derive(Debug, Clone, Default)]
pub struct Register {
    /// In the order read.
    pub establishments: Vec<Establishment>,
}
