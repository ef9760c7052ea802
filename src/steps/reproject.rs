//! Step 2: coordinates come to EPSG:2154.

use super::validate::ZoneInMetres;
use crate::model::{Crs, Lambert93, Read, Unreadable, ZoneRecord};

/// Zones already in EPSG:2154, as they are.
pub fn zones(records: Vec<ZoneRecord>) -> Result<Read<ZoneInMetres>, Unreadable> {
    let mut read = Read { accepted: Vec::new(), rejected: Vec::new() };
    for ZoneRecord { record, code, label, contour } in records {
        if contour.crs != Crs::LAMBERT93 {
            return Err(Unreadable::record("unknown_crs", "zones", record, contour.crs.to_string(), "EPSG:2154"));
        }
        read.accepted.push(ZoneInMetres { record, code, label, contour: Lambert93::vouch(contour.geometry) });
    }
    Ok(read)
}
