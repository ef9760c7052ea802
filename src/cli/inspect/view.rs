//! What `arpent inspect` writes for other programs: the report as JSON, findings and zones as GeoJSON.

use super::Report;
use crate::model::{Reject, Unreadable, Zoning};
use crate::pipeline::findings::{self, collection, metres, nested};
use crate::steps::intake::Intake;
use crate::steps::read::LayerReport;
use crate::steps::reproject::{ToDegrees, to_wgs84};
use geo::MultiPolygon;
use serde::Serialize;
use serde_json::{Value, json};

/// The whole report, indented.
///
/// # Errors
/// PROJ without its tables.
pub fn report(report: &Report) -> Result<String, Unreadable> {
    let degrees = ToDegrees::new()?;
    let view = ReportView {
        file: &report.file,
        layers: report.layers.iter().map(LayerView::of).collect(),
        zones: report.outcome.as_ref().ok().map(|intake| ZonesView::of(intake, &degrees)),
        error: report.outcome.as_ref().err().map(|e| RejectView::of(&e.0)),
    };
    Ok(serde_json::to_string_pretty(&view).expect("a report has text keys and finite numbers"))
}

/// Zones as GeoJSON in CRS84 (RFC 7946), to the last digit, so that shared borders stay shared when they are read again.
///
/// # Errors
/// PROJ's own failure, which a contour inside France does not meet.
pub fn zones(zoning: &Zoning) -> Result<String, Unreadable> {
    let contours: Vec<_> = zoning.zones().iter().map(|zone| &zone.contour).collect();
    let turned = to_wgs84(&contours)?;
    let feature = |(zone, contour): (&crate::model::Zone, crate::model::Wgs84<MultiPolygon>)| {
        json!({"type": "Feature",
            "properties": {"code": zone.code.as_str(), "libelle": zone.label, "area_m2": metres(zone.contour.area_m2())},
            "geometry": {"type": "MultiPolygon", "coordinates": nested(contour.degrees(), |c| [c.x, c.y])}})
    };
    Ok(collection(zoning.zones().iter().zip(turned).map(feature)))
}

#[derive(Serialize)]
struct ReportView<'a> {
    file: &'a str,
    layers: Vec<LayerView<'a>>,
    zones: Option<ZonesView<'a>>,
    error: Option<RejectView<'a>>,
}

#[derive(Serialize)]
struct LayerView<'a> {
    name: &'a str,
    format: &'a str,
    geometry: &'a str,
    polygonal: bool,
    features: usize,
    fields: Vec<FieldView<'a>>,
    crs: Option<String>,
    encoding: &'a str,
    extent: Option<[f64; 4]>,
    problems: Vec<RejectView<'a>>,
}

#[derive(Serialize)]
struct FieldView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize)]
struct ZonesView<'a> {
    layer: &'a str,
    crs: String,
    code_field: &'a str,
    label_field: Option<&'a str>,
    accepted: usize,
    rejected: Vec<RejectView<'a>>,
    warnings: Vec<RejectView<'a>>,
    changes: Vec<Value>,
    groups: Vec<GroupView<'a>>,
    errors: Vec<RejectView<'a>>,
    topology: Value,
    verdict: &'a str,
}

#[derive(Serialize)]
struct GroupView<'a> {
    group: &'a str,
    members: &'a [String],
}

#[derive(Serialize)]
struct RejectView<'a> {
    code: &'a str,
    file: &'a str,
    row: Option<usize>,
    field: Option<&'a str>,
    found: &'a str,
    expected: &'a str,
}

impl<'a> LayerView<'a> {
    fn of(layer: &'a LayerReport) -> Self {
        Self {
            name: &layer.name,
            format: layer.format,
            geometry: &layer.geometry,
            polygonal: layer.polygonal,
            features: layer.features,
            fields: layer.fields.iter().map(|f| FieldView { name: &f.name, kind: f.kind.name() }).collect(),
            crs: layer.crs.as_ref().map(ToString::to_string),
            encoding: &layer.encoding,
            extent: layer.extent,
            problems: RejectView::all(&layer.problems),
        }
    }
}

impl<'a> ZonesView<'a> {
    fn of(intake: &'a Intake, degrees: &ToDegrees) -> Self {
        Self {
            layer: &intake.layer.layer,
            crs: intake.layer.crs.to_string(),
            code_field: &intake.layer.code_field,
            label_field: intake.layer.label_field.as_deref(),
            accepted: intake.accepted,
            rejected: RejectView::all(&intake.rejected),
            warnings: RejectView::all(&intake.layer.warnings),
            changes: intake.changes.iter().map(|change| findings::change(change, degrees)).collect(),
            groups: intake.members.iter().map(|(group, members)| GroupView { group, members }).collect(),
            errors: RejectView::all(&intake.errors),
            topology: findings::topology(&intake.topology, degrees, usize::MAX),
            verdict: super::verdict(intake),
        }
    }
}

impl<'a> RejectView<'a> {
    fn of(reject: &'a Reject) -> Self {
        let Reject { code, file, row, field, found, expected } = reject;
        Self { code, file, row: *row, field: field.as_deref(), found, expected }
    }
    fn all(rejects: &'a [Reject]) -> Vec<Self> {
        rejects.iter().map(Self::of).collect()
    }
}
