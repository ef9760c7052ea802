//! `arpent inspect`: what a zone file holds, and whether it could become a zoning.

use super::files;
use crate::model::{Crs, Reject, Unreadable};
use crate::steps::read::{self, Files, LayerReport, ZoneLayer, ZoneOptions};
use crate::steps::reproject;
use crate::steps::validate::{TopologyReport, validate};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Describes a zone file: layers, fields, system, encoding, counts, code field and topology.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    pub file: PathBuf,
    /// The layer to judge, when the file holds several
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// The field that holds the code of each zone
    #[arg(long, value_name = "FIELD")]
    pub zone_id: Option<String>,
    /// The system of the coordinates, whatever the file says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub zones_crs: Option<Crs>,
    /// The number of zones there must be
    #[arg(long, value_name = "N")]
    pub expect: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// The code in `EPSG:N`, in any letter case, or in `N`.
pub fn epsg(text: &str) -> Result<Crs, String> {
    let upper = text.trim().to_ascii_uppercase();
    let code = upper.strip_prefix("EPSG:").unwrap_or(&upper).parse().ok().filter(|code| *code > 0);
    code.map(Crs::Epsg).ok_or_else(|| format!("found `{text}`, expected EPSG:N, such as EPSG:2154"))
}

/// Prints the report; 0 when a zoning can be made, 1 when the topology gate refuses, 2 when the file cannot be used.
pub fn run(args: &Args) -> ExitCode {
    let report = files::load(&args.file).and_then(|files| judge(&files, args));
    match report {
        Ok(report) => {
            if args.json {
                let _ = writeln!(std::io::stdout(), "{}", report.json());
            } else {
                let _ = write!(std::io::stdout(), "{}", report.text());
            }
            if let Err(unreadable) = &report.outcome {
                eprintln!("arpent inspect: {unreadable}");
            }
            ExitCode::from(report.exit_code())
        }
        Err(unreadable) => {
            eprintln!("arpent inspect: {unreadable}");
            ExitCode::from(2)
        }
    }
}

struct Report {
    file: String,
    layers: Vec<LayerReport>,
    outcome: Result<Outcome, Unreadable>,
}

struct Outcome {
    layer: ZoneLayer,
    accepted: usize,
    rejected: Vec<Reject>,
    errors: Vec<Reject>,
    topology: TopologyReport,
}

/// Describes the layers, and carries one of them as far as it goes.
fn judge(files: &Files, args: &Args) -> Result<Report, Unreadable> {
    let layers = read::inspect(files)?;
    Ok(Report { file: files.name.clone(), layers, outcome: zoning(files, args) })
}

fn zoning(files: &Files, args: &Args) -> Result<Outcome, Unreadable> {
    let options = ZoneOptions {
        layer: args.layer.clone(),
        code_field: args.zone_id.clone(),
        label_field: None,
        crs: args.zones_crs.clone(),
    };
    let mut layer = read::zones(files, &options)?;
    let mut rejected = std::mem::take(&mut layer.records.rejected);
    let in_metres = reproject::zones(std::mem::take(&mut layer.records.accepted))?;
    rejected.extend(in_metres.rejected);
    let accepted = in_metres.accepted.len();
    let (errors, topology) = match validate(&layer.layer, in_metres.accepted, args.expect) {
        Ok((_, topology)) => (vec![], topology),
        Err(refused) => (refused.errors, refused.topology),
    };
    Ok(Outcome { layer, accepted, rejected, errors, topology })
}

impl Report {
    fn exit_code(&self) -> u8 {
        match &self.outcome {
            Ok(outcome) if outcome.errors.is_empty() => 0,
            // A wrong number of zones is a wrong file, here as for `assign`.
            Ok(outcome) if outcome.errors.iter().any(|e| e.code == "zone_count") => 2,
            Ok(_) => 1,
            Err(_) => 2,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let out = &mut text;
        let mut line = |line: String| writeln!(out, "{line}").expect("a String takes all that is written");
        for layer in &self.layers {
            let fields: Vec<String> = layer.fields.iter().map(|f| format!("{} ({})", f.name, f.kind.name())).collect();
            line(format!("layer     {} ({})", layer.name, layer.format));
            line(format!("geometry  {}, {} records", layer.geometry, layer.features));
            line(format!("system    {}", layer.crs.as_ref().map_or("not declared".into(), ToString::to_string)));
            line(format!("encoding  {}", layer.encoding));
            if let Some([west, south, east, north]) = layer.extent {
                line(format!("extent    {west} {south} {east} {north}"));
            }
            line(format!("fields    {}", if fields.is_empty() { "none".into() } else { fields.join(", ") }));
            layer.problems.iter().for_each(|problem| line(format!("note      {problem}")));
            line(String::new());
        }
        let Ok(outcome) = &self.outcome else { return text };
        line(format!("judged    {}, as {}", outcome.layer.layer, outcome.layer.crs));
        line(format!("code      {}", outcome.layer.code_field));
        line(format!("label     {}", outcome.layer.label_field.as_deref().unwrap_or("none; the code serves")));
        line(format!("zones     {} accepted, {} records rejected", outcome.accepted, outcome.rejected.len()));
        let told: Vec<&Reject> = self.layers.iter().flat_map(|layer| &layer.problems).collect();
        let warnings = outcome.layer.warnings.iter().filter(|w| !told.contains(w));
        warnings.for_each(|warning| line(format!("warning   {warning}")));
        outcome.rejected.iter().for_each(|reject| line(format!("rejected  {reject}")));
        outcome.errors.iter().for_each(|error| line(format!("error     {error}")));
        outcome.topology.to_string().lines().for_each(|said| line(format!("topology  {said}")));
        line(format!("verdict   {}", outcome.verdict()));
        text
    }

    fn json(&self) -> String {
        let view = ReportView {
            file: &self.file,
            layers: self.layers.iter().map(LayerView::of).collect(),
            zones: self.outcome.as_ref().ok().map(ZonesView::of),
            error: self.outcome.as_ref().err().map(|e| RejectView::of(&e.0)),
        };
        serde_json::to_string_pretty(&view).expect("a report has text keys and finite numbers")
    }
}

impl Outcome {
    fn verdict(&self) -> &'static str {
        if self.errors.is_empty() { "accepted" } else { "refused" }
    }
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
    errors: Vec<RejectView<'a>>,
    topology: TopologyView<'a>,
    verdict: &'a str,
}

#[derive(Serialize)]
struct TopologyView<'a> {
    zones: usize,
    vertices: usize,
    area_m2: f64,
    overlaid: bool,
    below_tolerance: usize,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
struct FindingView<'a> {
    severity: &'a str,
    kind: &'a str,
    zones: &'a [String],
    area_m2: f64,
    place: [f64; 2],
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
    fn of(outcome: &'a Outcome) -> Self {
        let TopologyReport { zones, vertices, area_m2, ref findings, below_tolerance, overlaid } = outcome.topology;
        let finding = |f: &'a crate::steps::validate::Finding| FindingView {
            severity: f.kind.severity().code(),
            kind: f.kind.code(),
            zones: &f.zones,
            area_m2: f.area_m2,
            place: [f.place.0, f.place.1],
        };
        let findings = findings.iter().map(finding).collect();
        Self {
            layer: &outcome.layer.layer,
            crs: outcome.layer.crs.to_string(),
            code_field: &outcome.layer.code_field,
            label_field: outcome.layer.label_field.as_deref(),
            accepted: outcome.accepted,
            rejected: RejectView::all(&outcome.rejected),
            warnings: RejectView::all(&outcome.layer.warnings),
            errors: RejectView::all(&outcome.errors),
            topology: TopologyView { zones, vertices, area_m2, overlaid, below_tolerance, findings },
            verdict: outcome.verdict(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares of 100 m side by side in Lambert-93, the second of them moved.
    fn report(moved_m: f64, expect: Option<usize>, zone_id: &str) -> Report {
        let square = |code: &str, x: f64| {
            let y = 6_862_000.0;
            let ring = [[x, y], [x + 100.0, y], [x + 100.0, y + 100.0], [x, y + 100.0], [x, y]];
            serde_json::json!({"type": "Feature", "properties": {"code": code, "nom": "Nord"},
                "geometry": {"type": "Polygon", "coordinates": [ring]}})
        };
        let text = serde_json::json!({"type": "FeatureCollection",
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}},
            "features": [square("A", 652_000.0), square("B", 652_100.0 + moved_m)]});
        let files =
            Files { name: "z.geojson".into(), parts: vec![("z.geojson".into(), text.to_string().into_bytes())] };
        let (zone_id, file) = (Some(zone_id.to_owned()), "z.geojson".into());
        judge(&files, &Args { file, layer: None, zone_id, zones_crs: None, expect, json: false }).unwrap()
    }

    #[test]
    fn the_exit_code_is_the_answer() {
        for (moved_m, expect, zone_id, code, said) in [
            (0.0, Some(2), "code", 0, "verdict   accepted"),
            (-50.0, None, "code", 0, "warning: overlap of zones `A` and `B`, 5000 m²"),
            (0.0, Some(3), "code", 2, "2 zones (1 missing), expected 3 zones"),
            (0.0, None, "nom", 1, "the code `Nord`, which record 1 has too"),
            (0.0, None, "x", 2, "system    EPSG:2154"),
        ] {
            let report = report(moved_m, expect, zone_id);
            assert_eq!(report.exit_code(), code, "{zone_id} {expect:?}");
            assert!(report.text().contains(said), "{}", report.text());
        }
    }

    #[test]
    fn the_json_says_what_the_text_says() {
        let json: serde_json::Value = serde_json::from_str(&report(-50.0, None, "code").json()).unwrap();
        assert_eq!(json["layers"][0]["fields"][0], serde_json::json!({"name": "code", "type": "text"}));
        assert_eq!(json["zones"]["topology"]["findings"][0]["kind"], "overlap");
        assert_eq!((json["zones"]["verdict"].as_str(), json["error"].is_null()), (Some("accepted"), true));
        let json: serde_json::Value = serde_json::from_str(&report(0.0, None, "x").json()).unwrap();
        assert_eq!((json["error"]["code"].as_str(), json["zones"].is_null()), (Some("no_such_field"), true));
    }

    #[test]
    fn a_system_is_given_by_its_code() {
        for (text, crs) in [
            ("EPSG:2154", Some(2154)),
            ("epsg:3947", Some(3947)),
            ("4326", Some(4326)),
            ("EPSG:0", None),
            ("L93", None),
        ] {
            assert_eq!(epsg(text).ok(), crs.map(Crs::Epsg), "{text}");
        }
    }
}
