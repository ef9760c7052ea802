//! What the office answers, as JSON: names, codes and counts, never a raw figure.

use super::{Fault, FaultKind};
use crate::model::{Reject, Stage, Wgs84, Zoning};
use crate::pipeline::{Report, findings};
use crate::steps::read::ZoneLayer;
use crate::steps::read::columns::ColumnReport;
use crate::steps::read::register::{RegisterRead, Tally};
use crate::steps::repair::Change;
use crate::steps::reproject::ToDegrees;
use crate::steps::review::decisions::Applied;
use crate::steps::validate::TopologyReport;
use crate::store::{Approval, Draft, Job, KeyEntry, LedgerLine, RegisterEntry, Standing, Withdrawal, ZoningVersion};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashSet};

/// Rejects listed in a report; the rest are counted. A person reads some hundred, and mends what they have in common.
const REJECTS_MAX: usize = 1_000;

/// Findings of a topology, or changes of a repair, listed in a report.
const FINDINGS_MAX: usize = 1_000;

/// Contours whose areas differ by less may be the same, drawn again, in square metres: as little as a stamp on a border.
const AREA_NOISE_M2: f64 = 0.01;

pub(super) fn key(entry: &KeyEntry, now: &str) -> Value {
    let told = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    json!({
        "id": entry.id, "name": entry.name, "role": entry.role, "created": entry.created,
        "expires": told(&entry.expires), "revoked": told(&entry.revoked), "state": key_state(entry, now),
    })
}

/// `works`, `revoked` or `ended`. Times are all of one form, in UTC, so that they compare as texts.
pub(super) fn key_state(entry: &KeyEntry, now: &str) -> &'static str {
    match (entry.revoked.as_str(), entry.expires.as_str()) {
        ("", "") => "works",
        ("", expires) if now <= expires => "works",
        ("", _) => "ended",
        _ => "revoked",
    }
}

pub(super) fn version(entry: &ZoningVersion) -> Value {
    let told = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    json!({
        "zoning": entry.zoning, "version": entry.version, "title": entry.title, "digest": entry.digest,
        "valid_from": told(&entry.valid_from), "valid_to": told(&entry.valid_to), "created": entry.created,
        "author": entry.author, "reason": entry.reason, "file": entry.file_name,
        "reading": serde_json::from_str::<Value>(&entry.options).unwrap_or_default(),
    })
}

pub(super) fn register(entry: &RegisterEntry) -> Value {
    json!({
        "digest": entry.digest, "file": entry.file_name, "created": entry.created, "author": entry.author,
        "reading": serde_json::from_str::<Value>(&entry.options).unwrap_or_default(),
    })
}

pub(super) fn job(job: &Job) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "id": job.id, "kind": job.kind, "state": job.state.as_str(), "created": job.created, "updated": job.updated,
        "author": job.author, "request": json(&job.request), "report": json(&job.report),
    })
}

pub(super) fn draft(draft: &Draft, stage: Stage, approvals: &[Approval], missing: &[String]) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let told = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    let approved = |a: &Approval| json!({ "partner": a.partner, "author": a.by.author, "at": a.by.at, "key": a.key });
    json!({
        "id": draft.id, "title": draft.title, "stage": stage.as_str(), "created": draft.created,
        "author": draft.author, "updated": draft.updated, "request": json(&draft.request),
        "report": json(&draft.report), "release": told(&draft.release),
        "approvals": approvals.iter().map(approved).collect::<Vec<_>>(), "approvals_missing": missing,
    })
}

pub(super) fn release(standing: &Standing) -> Value {
    let taken_back = |w: &Withdrawal| json!({ "at": w.at, "author": w.author, "reason": w.reason });
    json!({
        "id": standing.entry.id, "stage": standing.stage.as_str(), "created": standing.entry.created,
        "digest": standing.entry.digest, "withdrawal": standing.withdrawal.as_ref().map(taken_back),
    })
}

pub(super) fn line(line: &LedgerLine, reason: Option<&String>) -> Value {
    let entry = &line.entry;
    json!({
        "number": line.number, "at": entry.at, "author": entry.author, "act": entry.act, "subject": entry.subject,
        "digest": Some(&entry.digest).filter(|d| !d.is_empty()), "reason": reason, "hash": line.hash,
    })
}

/// The fault as its members, without the cause of a failure, which goes to the log alone.
pub(super) fn fault(fault: &Fault) -> Value {
    if fault.kind == FaultKind::Broken {
        let number = super::new_name();
        tracing::error!(incident = %number, cause = %fault.found, "a job failed");
        return json!({ "code": fault.code, "incident": number });
    }
    let mut told = json!({
        "code": fault.code, "place": fault.place, "found": fault.found, "expected": fault.expected,
    });
    if let Some(told) = told.as_object_mut() {
        told.extend(more(fault));
    }
    told
}

/// What a fault says beside place, found and expected.
pub(super) fn more(fault: &Fault) -> Map<String, Value> {
    let mut more = Map::new();
    if !fault.rejects.is_empty() {
        more.insert("rejects".to_owned(), rejects(&fault.rejects));
    }
    if !fault.report.is_null() {
        more.insert("report".to_owned(), fault.report.clone());
    }
    more
}

fn reject(reject: &Reject) -> Value {
    let Reject { code, file, row, field, found, expected } = reject;
    json!({ "code": code, "file": file, "row": row, "field": field, "found": found, "expected": expected })
}

pub(super) fn rejects(all: &[Reject]) -> Value {
    let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|r| *by_code.entry(r.code).or_default() += 1);
    let listed: Vec<Value> = all.iter().take(REJECTS_MAX).map(reject).collect();
    json!({ "count": all.len(), "by_code": by_code, "listed": listed })
}

/// What a zone file was taken for.
pub(super) fn layer(layer: &ZoneLayer) -> Value {
    json!({
        "layer": layer.layer, "format": layer.format, "encoding": layer.encoding, "crs": layer.crs.to_string(),
        "code_field": layer.code_field, "label_field": layer.label_field,
        "fields": layer.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
        "warnings": layer.warnings.iter().map(reject).collect::<Vec<_>>(),
    })
}

/// How zones lie beside each other; places in longitude and latitude (CRS84), and in metres (EPSG:2154).
pub(super) fn topology(report: &TopologyReport) -> Result<Value, Fault> {
    Ok(findings::topology(report, &ToDegrees::new().map_err(Fault::broken)?, FINDINGS_MAX))
}

/// What a repair changed, zone by zone.
pub(super) fn changes(changes: &[Change]) -> Result<Value, Fault> {
    let degrees = ToDegrees::new().map_err(Fault::broken)?;
    let listed = changes.iter().take(FINDINGS_MAX).map(|change| findings::change(change, &degrees));
    Ok(json!({ "count": changes.len(), "listed": listed.collect::<Vec<_>>() }))
}

/// What differs between two versions of a zoning, by code.
pub(super) fn comparison(with: &str, before: &Zoning, after: &Zoning) -> Value {
    let by_code = |zoning: &Zoning| -> BTreeMap<String, (String, f64, geo::MultiPolygon)> {
        let zones = zoning.zones().iter();
        zones
            .map(|z| (z.code.to_string(), (z.label.clone(), z.contour.area_m2(), z.contour.metres().clone())))
            .collect()
    };
    let (before, after) = (by_code(before), by_code(after));
    let (mut renamed, mut redrawn, mut unchanged) = (Vec::new(), Vec::new(), 0);
    for (code, (label, area, contour)) in &after {
        let Some((old_label, old_area, old_contour)) = before.get(code) else { continue };
        if label != old_label {
            renamed.push(json!({ "code": code, "before": old_label, "after": label }));
        }
        if contour != old_contour && ((area - old_area).abs() > AREA_NOISE_M2 || moved(contour, old_contour)) {
            redrawn.push(json!({
                "code": code, "area_m2_before": findings::metres(*old_area), "area_m2_after": findings::metres(*area),
            }));
        } else {
            unchanged += 1;
        }
    }
    let only = |one: &BTreeMap<String, _>, other: &BTreeMap<String, _>| -> Vec<String> {
        one.keys().filter(|code| !other.contains_key(*code)).cloned().collect()
    };
    json!({
        "with": with, "zones_before": before.len(), "zones_after": after.len(),
        "appeared": only(&after, &before), "vanished": only(&before, &after), "renamed": renamed, "redrawn": redrawn,
        "unchanged": unchanged,
    })
}

/// Whether contours of equal area differ by more than the place where their rings begin: by a corner that lies more than two
/// centimetres, eastward or northward, from every corner of the other. One that lies within a centimetre is the same. What
/// was taken away in degrees and sent back differs by less than a millimetre.
fn moved(one: &geo::MultiPolygon, other: &geo::MultiPolygon) -> bool {
    use geo::CoordsIter;
    let corners = |contour: &geo::MultiPolygon| -> HashSet<(i64, i64)> {
        contour.coords_iter().map(|c| ((c.x * 100.0).round() as i64, (c.y * 100.0).round() as i64)).collect()
    };
    let (one, other) = (corners(one), corners(other));
    // Two places as good as one may be rounded to neighbours.
    let is_near = |(x, y): &(i64, i64), corners: &HashSet<(i64, i64)>| {
        (x - 1..=x + 1).any(|x| (y - 1..=y + 1).any(|y| corners.contains(&(x, y))))
    };
    one.iter().any(|corner| !is_near(corner, &other)) || other.iter().any(|corner| !is_near(corner, &one))
}

/// Contours as GeoJSON (RFC 7946), to be laid over a map or sent back changed.
pub(super) fn contours(entry: &ZoningVersion, zoning: &Zoning, turned: &[Wgs84<geo::MultiPolygon>]) -> Value {
    let ring = |ring: &geo::LineString| ring.0.iter().map(|c| [c.x, c.y]).collect::<Vec<_>>();
    let features = zoning.zones().iter().zip(turned).map(|(zone, contour)| {
        let polygons = contour.degrees().0.iter().map(|polygon| {
            std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect::<Vec<_>>()
        });
        json!({
            "type": "Feature", "id": zone.code.as_str(),
            "properties": { "code": zone.code.as_str(), "libelle": zone.label },
            "geometry": { "type": "MultiPolygon", "coordinates": polygons.collect::<Vec<_>>() },
        })
    });
    json!({
        "type": "FeatureCollection", "zoning": entry.zoning, "version": entry.version,
        "features": features.collect::<Vec<_>>(),
    })
}

/// What a register holds, in counts: the accepted beside the refused, and which column was taken for what.
pub(super) fn rows(name: &str, read: RegisterRead) -> Value {
    let mut by_vintage: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_source: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unplaced_for: BTreeMap<&str, usize> = BTreeMap::new();
    for establishment in &read.accepted {
        *by_vintage.entry(establishment.vintage.to_string()).or_default() += 1;
        *by_source.entry(establishment.source.code()).or_default() += 1;
        if let Err(why) = &establishment.place {
            *unplaced_for.entry(why.code()).or_default() += 1;
        }
    }
    let Tally { other_nomenclature, not_of_rev2, with_naf_2025, closed_today, not_diffused, unknown_quality } =
        read.tally;
    json!({
        "format": read.format, "columns": columns(&read.columns), "accepted": read.accepted.len(),
        "by_vintage": by_vintage, "by_source": by_source, "unplaced": unplaced_for.values().sum::<usize>(),
        "unplaced_for": unplaced_for,
        "without_headcount": read.accepted.iter().filter(|e| e.headcount.is_none()).count(),
        "nomenclature": {
            "mixed": read.tally.is_mixed(), "other_nomenclature": other_nomenclature, "not_of_rev2": not_of_rev2,
            "with_naf_2025": with_naf_2025,
        },
        "closed_today": closed_today, "not_diffused": not_diffused, "unknown_quality": unknown_quality,
        "refused": read.rejected.len(), "rejected": rejects(&read.rejected.into_list(name)),
    })
}

/// Which column was taken for what, by role, and which were left.
pub(super) fn columns(report: &ColumnReport) -> Value {
    let taken: Map<String, Value> =
        report.taken.iter().map(|(role, column)| (role.name().to_owned(), json!(column))).collect();
    json!({ "taken": taken, "ignored": report.ignored })
}

/// What a run of the pipeline says, in counts of rows and cells.
pub(super) fn run(report: &Report) -> Value {
    let placed: Map<String, Value> = report
        .placed
        .iter()
        .map(|(zoning, [inside, border, outside])| {
            (zoning.clone(), json!({ "inside": inside, "border": border, "outside": outside }))
        })
        .collect();
    let cells: Map<String, Value> = report
        .counts
        .iter()
        .map(|(year, c)| (year.to_string(), json!({ "cells": c.cells, "withheld": c.primary + c.secondary })))
        .collect();
    json!({
        "placed": placed, "unplaced": report.unplaced, "in_both_sources": report.in_both_sources,
        "without_headcount": report.without_headcount, "tables": cells, "revised": report.revised,
        "told": report.told, "remainders_told": report.remainders_told, "partner_told": report.partner_told,
        "partner_remainders_told": report.partner_remainders_told, "in_fractions": report.in_fractions,
        "partner_in_fractions": report.partner_in_fractions, "decided": decided(&report.decided),
        "rejected": rejects(&report.rejected),
    })
}

/// What decisions did, in counts of rows.
pub(super) fn decided(applied: &Applied) -> Value {
    let Applied { confirmed, moved, closed, split, not_placed, vanished } = applied;
    json!({
        "confirmed": confirmed, "moved": moved, "closed": closed, "split": split, "not_placed": not_placed,
        "vanished": vanished.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Reservations;

    #[test]
    fn an_owner_reads_what_is_not_protected_from_the_public_and_from_partners() {
        let mut report = Report::default();
        let reserves = |ends, remainders, in_fractions| Reservations { ends, remainders, in_fractions };
        report.tell(2023, reserves(0, 0, 0), reserves(0, 0, 0));
        report.tell(2024, reserves(1, 2, 6), reserves(3, 4, 0));
        report.tell(2025, reserves(0, 5, 0), reserves(0, 0, 7));
        let said = run(&report);
        for (name, expected) in [
            ("told", json!({ "2024": 1 })),
            ("remainders_told", json!({ "2024": 2, "2025": 5 })),
            ("partner_told", json!({ "2024": 3 })),
            ("partner_remainders_told", json!({ "2024": 4 })),
            ("in_fractions", json!({ "2024": 6 })),
            ("partner_in_fractions", json!({ "2025": 7 })),
        ] {
            assert_eq!(said[name], expected, "{name}");
        }
    }

    #[test]
    fn contours_differ_when_a_corner_moved_by_more_than_two_centimetres() {
        let square = |x: f64, first: usize| {
            let mut corners = [(0.0, 0.0), (100.0, 0.0), (100.0 + x, 100.0), (0.0, 100.0)];
            corners.rotate_left(first);
            let ring = geo::LineString::from_iter(corners.map(|(x, y)| (852_000.005 + x, 6_690_000.0 + y)));
            geo::MultiPolygon(vec![geo::Polygon::new(ring, vec![])])
        };
        for (x, first, differs) in
            [(0.0, 1, false), (1e-6, 2, false), (-1e-6, 0, false), (0.03, 0, true), (-0.03, 3, true)]
        {
            assert_eq!(moved(&square(0.0, 0), &square(x, first)), differs, "{x}");
        }
    }
}
