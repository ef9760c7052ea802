//! Places know their system: degrees and metres are different types, and only metres have an area.

use geo::bool_ops::FillRule;
use geo::{Area, BooleanOps, MultiPolygon, OpType, Polygon};
use std::fmt;

/// A coordinate reference system as a file or an operator names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Crs {
    /// A code of the EPSG register.
    Epsg(u32),
    /// Well-known text, as a `.prj` holds it.
    Wkt(String),
}

impl Crs {
    /// RGF93 v1 / Lambert-93, metres: the system arpent works in.
    pub const LAMBERT93: Self = Self::Epsg(2154);
    /// Longitude and latitude in degrees, in that order whatever the authority's axis order (OGC CRS84).
    pub const WGS84: Self = Self::Epsg(4326);

    /// The code in `EPSG:2154`, in any letter case, or in `2154` alone, as people write it; zero is none.
    pub fn epsg_code(text: &str) -> Option<u32> {
        let text = text.trim();
        let number = match text.split_once(':') {
            Some((authority, number)) if authority.eq_ignore_ascii_case("EPSG") => number,
            Some(_) => return None,
            None => text,
        };
        number.parse().ok().filter(|code| *code > 0)
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epsg(code) => write!(f, "EPSG:{code}"),
            Self::Wkt(text) => {
                let name: String = text.split('"').nth(1).unwrap_or("unnamed").chars().take(60).collect();
                write!(f, "WKT \"{name}\"")
            }
        }
    }
}

/// A position as a message shows it, in the units of its system: to the centimetre, degrees too.
pub fn position_text(x: f64, y: f64) -> String {
    // Beyond 360 no number is a longitude or a latitude. Adding zero takes the sign of one away.
    let decimals = if x.abs() <= 360.0 && y.abs() <= 360.0 { 1e7 } else { 1e2 };
    let text =
        |v: f64| if v.abs() < 1e12 { ((v * decimals).round() / decimals + 0.0).to_string() } else { format!("{v:e}") };
    format!("({}, {})", text(x), text(y))
}

/// A geometry as read, in the system its file declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared<G> {
    /// The system of the coordinates.
    pub crs: Crs,
    /// The coordinates, x (or longitude) first.
    pub geometry: G,
}

/// A geometry in EPSG:2154, metres. [`crate::steps::reproject`] alone makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Lambert93<G>(G);

/// A geometry in CRS84, degrees, longitude first: what GeoJSON wants. It has no area.
/// [`crate::steps::reproject`] alone makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Wgs84<G>(G);

impl<G> Lambert93<G> {
    /// Vouches that the coordinates are EPSG:2154 metres; `tests/it/doors.rs` keeps the callers few.
    pub(crate) fn vouch(geometry: G) -> Self {
        Self(geometry)
    }
    /// The coordinates, in metres.
    pub fn metres(&self) -> &G {
        &self.0
    }
}

impl<G> Wgs84<G> {
    /// Vouches that the coordinates are degrees, longitude first; `tests/it/doors.rs` keeps the callers few.
    pub(crate) fn vouch(geometry: G) -> Self {
        Self(geometry)
    }
    /// The coordinates, in degrees, longitude first.
    pub fn degrees(&self) -> &G {
        &self.0
    }
}

/// Ground in metres, of which other ground is taken or left: metres it stays.
impl Lambert93<MultiPolygon> {
    /// Area in square metres, holes taken off.
    pub fn area_m2(&self) -> f64 {
        self.0.unsigned_area()
    }
    /// The ground that this and any of the others have in common.
    pub fn common<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        self.overlay(others, OpType::Intersection)
    }
    /// What is left of this ground without that of the others.
    pub fn without<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        self.overlay(others, OpType::Difference)
    }
    /// This and other ground as one set of parts.
    pub fn with(mut self, other: Self) -> Self {
        self.0.0.extend(other.0.0);
        self
    }
    /// The connected parts for which a judgement holds, and the others.
    pub fn parted(self, holds: impl Fn(&Polygon) -> bool) -> (Self, Self) {
        let (kept, others) = self.0.into_iter().partition(|part| holds(part));
        (Self(MultiPolygon(kept)), Self(MultiPolygon(others)))
    }
    /// Rings of others that overlap a little count once: a contour is what its rings turn around.
    fn overlay<'a>(&self, others: impl IntoIterator<Item = &'a Self>, what: OpType) -> Self {
        let others = MultiPolygon(others.into_iter().flat_map(|other| other.0.iter().cloned()).collect());
        Self(self.0.boolean_op_with_fill_rule(&others, what, FillRule::NonZero))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_told_to_the_centimetre() {
        for (x, y, text) in [
            (319371.10639999807, 337397.48690000176, "(319371.11, 337397.49)"),
            (852000.0, -0.004, "(852000, 0)"),
            (5.041_500_000_1, 47.322_000_049, "(5.0415, 47.322)"),
            (360.0, 47.1234567, "(360, 47.1234567)"),
            (360.01, 47.1234567, "(360.01, 47.12)"),
            (f64::NAN, f64::INFINITY, "(NaN, inf)"),
            (1e300, -1e12, "(1e300, -1e12)"),
        ] {
            assert_eq!(position_text(x, y), text);
        }
    }
}
