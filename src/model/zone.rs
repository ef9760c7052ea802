//! Zones and zonings.

use super::{Declared, Lambert93, ZoneCode};

/// A zone as a file gives it: not yet reprojected, its geometry not yet judged.
#[derive(Debug, Clone)]
pub struct ZoneRecord {
    /// Place in the file, from 1.
    pub record: usize,
    /// The value of the code field, as text.
    pub code: String,
    /// The value of the label field, when there is one.
    pub label: Option<String>,
    /// The contour; exterior rings and holes as the reader found them.
    pub contour: Declared<geo::MultiPolygon>,
}

/// A zone fit for placing points: coded, valid, in metres.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Unique in its zoning.
    pub code: ZoneCode,
    /// The name people read; the code where the layer has none.
    pub label: String,
    /// The contour in EPSG:2154, exterior rings counter-clockwise, holes clockwise, rings closed.
    pub contour: Lambert93<geo::MultiPolygon>,
}

/// A set of zones which has passed [`crate::steps::validate`]: at least one zone, codes unique, in the order of codes.
#[derive(Debug, Clone)]
pub struct Zoning {
    zones: Vec<Zone>,
}

impl Zoning {
    /// Orders zones by code. `validate` alone calls it, once codes are known to be unique.
    pub(crate) fn vouch(mut zones: Vec<Zone>) -> Self {
        zones.sort_by(|a, b| a.code.cmp(&b.code));
        Self { zones }
    }
    /// The zones, in the byte order of their codes.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }
}
