//! Steps 1 to 3 in one: a file of zones becomes a zoning with all that is to be said of it, or the reasons why not.

use crate::model::{Lambert93, Reject, Unreadable, Zoning};
use crate::steps::groups::{GroupOptions, group};
use crate::steps::read::groups::GroupTable;
use crate::steps::read::{self, Contours, Files, ZoneLayer, ZoneOptions};
use crate::steps::repair::{Change, Repair, repair};
use crate::steps::reproject;
use crate::steps::validate::{Checks, Refused, TopologyReport, united, validate_against};
use geo::MultiPolygon;
use std::collections::BTreeMap;

/// What the operator says of a file, asks of it, and asks to be done.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Which layer, field and system.
    pub options: ZoneOptions,
    /// The number of zones there must be: of groups, when there are some.
    pub expected: Option<usize>,
    /// The ground on which they must lie.
    pub territory: Option<&'a Lambert93<MultiPolygon>>,
    /// What to mend.
    pub repair: Repair,
    /// Groups to be made of the zones.
    pub groups: Option<(&'a GroupTable, GroupOptions)>,
}

/// What came of a file.
#[derive(Debug)]
pub struct Intake {
    /// The layer read; its records have moved on.
    pub layer: ZoneLayer,
    /// Records that became zones.
    pub accepted: usize,
    /// Records that did not.
    pub rejected: Vec<Reject>,
    /// What was mended.
    pub changes: Vec<Change>,
    /// For each group its members; empty without groups.
    pub members: BTreeMap<String, Vec<String>>,
    /// Why there is no zoning; empty when there is one.
    pub errors: Vec<Reject>,
    /// How the zones, or the groups, lie beside each other, once mended.
    pub topology: TopologyReport,
    /// The zoning, unless something is wrong with it.
    pub zoning: Option<Zoning>,
}

impl Intake {
    /// The zoning when every record became a zone of it.
    ///
    /// # Errors
    /// The records that did not, then what is wrong with the zones.
    pub fn whole(self) -> Result<Zoning, Vec<Reject>> {
        let mut refused = self.rejected;
        refused.extend(self.errors);
        match self.zoning {
            Some(zoning) if refused.is_empty() => Ok(zoning),
            Some(_) | None => Err(refused),
        }
    }
}

/// Reads, reprojects, mends as asked, judges and groups.
///
/// # Errors
/// A file, a layer, a system or a field that cannot be used; a repair that cannot be done. What is wrong with the zones is
/// told in the intake.
pub fn take_in(files: &Files, wanted: &Wanted<'_>) -> Result<Intake, Unreadable> {
    let mut layer = read::zones(files, &wanted.options)?;
    let name = layer.source.clone();
    let of_this_file = |reject: Reject| Reject { file: name.clone(), ..reject };
    let mut rejected = std::mem::take(&mut layer.records.rejected);
    let records = std::mem::take(&mut layer.records.accepted);
    let in_metres = reproject::zones(records).map_err(|Unreadable(reject)| Unreadable(of_this_file(reject)))?;
    rejected.extend(in_metres.rejected.into_iter().map(of_this_file));
    let accepted = in_metres.accepted.len();
    let (zones, changes) = repair(&name, in_metres.accepted, &wanted.repair)?;
    let checks = Checks { expected: wanted.expected, territory: wanted.territory, alone: false };
    let mut members = BTreeMap::new();
    let judged = match wanted.groups {
        None => validate_against(&name, zones, &checks),
        Some((table, options)) => validate_against(&name, zones, &Checks::default()).and_then(|(zoning, _)| {
            let grouping = group(&zoning, table, options, &checks)?;
            layer.warnings.extend(grouping.warnings);
            members = grouping.members;
            Ok((grouping.zoning, grouping.topology))
        }),
    };
    let (zoning, errors, topology) = match judged {
        Ok((zoning, topology)) => (Some(zoning), vec![], topology),
        Err(refused) => {
            let Refused { errors, topology } = *refused;
            (None, errors, topology)
        }
    };
    Ok(Intake { layer, accepted, rejected, changes, members, errors, topology, zoning })
}

/// The ground that the polygons of a file cover together, whatever their codes.
///
/// # Errors
/// A file, a layer or a system that cannot be used; contours that enclose no ground.
pub fn territory(files: &Files, options: &ZoneOptions) -> Result<Lambert93<MultiPolygon>, Unreadable> {
    let Contours { source, records } = read::contours(files, options)?;
    let of_this_file = |reject: Reject| Reject { file: source.clone(), ..reject };
    let zones = reproject::zones(records).map_err(|Unreadable(reject)| Unreadable(of_this_file(reject)))?;
    if let Some(reject) = zones.rejected.into_iter().next() {
        return Err(Unreadable(of_this_file(reject)));
    }
    let mut zones = zones.accepted;
    // Codes play no part here, and two contours over each other are one ground.
    for zone in &mut zones {
        zone.code = zone.record.to_string();
    }
    let (zoning, _) = validate_against(&source, zones, &Checks { alone: true, ..Checks::default() })
        .map_err(|refused| Unreadable(refused.errors[0].clone()))?;
    ground(&source, &zoning)
}

/// The ground that the zones of a zoning cover together; `source` is what messages call it.
///
/// # Errors
/// Contours in a tangle.
pub fn ground(source: &str, zoning: &Zoning) -> Result<Lambert93<MultiPolygon>, Unreadable> {
    let union = united(zoning.zones().iter().map(|zone| zone.contour.metres()));
    let tangled =
        || Unreadable::file("tangled", source, "contours that lie across each other by the million", "a territory");
    union.map(Lambert93::vouch).ok_or_else(tangled)
}
