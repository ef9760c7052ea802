//! What is said of contours, for other programs: findings and changes as JSON, and as GeoJSON to lay over a map.

use crate::model::Unreadable;
use crate::steps::repair::Change;
use crate::steps::reproject::ToDegrees;
use crate::steps::validate::{Finding, TopologyReport};
use geo::orient::{Direction, Orient};
use geo::{Coord, MapCoords, MultiPolygon};
use serde_json::{Value, json};

/// Findings as GeoJSON in CRS84 (RFC 7946): the ground each covers, or its point; those without a place have no geometry.
///
/// # Errors
/// PROJ without its tables.
pub fn geojson(topology: &TopologyReport) -> Result<String, Unreadable> {
    let degrees = ToDegrees::new()?;
    let feature = |found: &Finding| {
        let geometry = if found.shape.0.is_empty() {
            found.place.and_then(|place| position(place, &degrees)).map(|p| json!({"type": "Point", "coordinates": p}))
        } else {
            shape(&found.shape, &degrees)
        };
        json!({"type": "Feature", "properties": finding(found, &degrees), "geometry": geometry})
    };
    Ok(collection(topology.findings.iter().map(feature)))
}

/// How zones lie beside each other, with so many findings one by one; the others are counted.
pub fn topology(report: &TopologyReport, degrees: &ToDegrees, listed: usize) -> Value {
    let TopologyReport { zones, vertices, area_m2, findings, unlisted, below_tolerance, overlaid } = report;
    let unlisted = unlisted + findings.len().saturating_sub(listed);
    let findings: Vec<Value> = findings.iter().take(listed).map(|found| finding(found, degrees)).collect();
    json!({
        "zones": zones, "vertices": vertices, "area_m2": metres(*area_m2), "overlaid": overlaid,
        "below_tolerance": below_tolerance, "unlisted": unlisted, "findings_count": findings.len() + unlisted,
        "findings": findings,
    })
}

/// One finding; `place` is longitude and latitude (CRS84), `place_l93` the same in EPSG:2154.
pub fn finding(finding: &Finding, degrees: &ToDegrees) -> Value {
    json!({
        "severity": finding.kind.severity().code(), "kind": finding.kind.code(), "zones": finding.zones,
        "area_m2": metres(finding.area_m2),
        "place": finding.place.and_then(|place| position(place, degrees)),
        "place_l93": finding.place.map(|(x, y)| [metres(x), metres(y)]),
    })
}

/// One change that a repair made.
pub fn change(change: &Change, degrees: &ToDegrees) -> Value {
    json!({
        "what": change.what.code(), "zone": change.zone, "row": change.record, "count": change.count,
        "moved_m": change.moved_m, "area_before_m2": metres(change.area_m2.0),
        "area_after_m2": metres(change.area_m2.1),
        "place": change.place.and_then(|place| position(place, degrees)),
        "place_l93": change.place.map(|(x, y)| [metres(x), metres(y)]),
    })
}

/// One feature a line, so that two files can be compared by lines.
pub fn collection(features: impl Iterator<Item = Value>) -> String {
    let lines: Vec<String> = features.map(|feature| feature.to_string()).collect();
    format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n]}}\n", lines.join(",\n"))
}

/// The rings of a shape, as GeoJSON nests them.
pub fn nested(shape: &MultiPolygon, position: impl Fn(&Coord) -> [f64; 2]) -> Vec<Vec<Vec<[f64; 2]>>> {
    let ring = |ring: &geo::LineString| ring.0.iter().map(&position).collect();
    shape.iter().map(|p| std::iter::once(p.exterior()).chain(p.interiors()).map(ring).collect()).collect()
}

/// Metres or square metres to a millimetre, as a report tells them.
pub fn metres(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Longitude and latitude to a millimetre.
fn position((x, y): (f64, f64), degrees: &ToDegrees) -> Option<[f64; 2]> {
    let (longitude, latitude) = degrees.point(x, y)?;
    Some([longitude, latitude].map(|v| (v * 1e8).round() / 1e8))
}

fn shape(shape: &MultiPolygon, degrees: &ToDegrees) -> Option<Value> {
    let turn = |c: Coord| position(c.x_y(), degrees).map(|[x, y]| Coord { x, y }).ok_or(());
    let turned = shape.orient(Direction::Default).try_map_coords(turn).ok()?;
    Some(json!({"type": "MultiPolygon", "coordinates": nested(&turned, |c| [c.x, c.y])}))
}
