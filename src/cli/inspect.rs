//! `arpent inspect`: what a zone file holds, what is wrong with it, and whether it could become a zoning.

mod view;

use super::files::{self, ZoneArgs};
use super::output::{WholeFile, kept_apart, print};
use crate::model::{Crs, Reject, Unreadable, position_text};
use crate::pipeline::findings::geojson;
use crate::steps::groups::GroupOptions;
use crate::steps::intake::{Intake, Wanted, take_in, territory};
use crate::steps::read::groups::groups;
use crate::steps::read::table::Input;
use crate::steps::read::{self, Files, LayerReport, ZoneOptions};
use crate::steps::repair::Repair;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Describes a zone file: layers, fields, system, encoding, counts, code field and topology.
///
/// Nothing is mended unless asked for, and the file itself never: `--snap` and `--make-valid` say what they would change,
/// and `--out` writes the result beside it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    pub file: PathBuf,
    /// What the file does not say
    #[command(flatten)]
    pub zone_args: ZoneArgs,
    /// The number of zones there must be; of groups, with --groups
    #[arg(long, visible_alias = "expected", value_name = "N")]
    pub expect: Option<usize>,
    /// A zone file of the territory: what lies beyond it, or is left uncovered, is reported
    #[arg(long, value_name = "FILE")]
    pub territory: Option<PathBuf>,
    /// Its layer, when it holds several
    #[arg(long, value_name = "NAME", requires = "territory")]
    pub territory_layer: Option<String>,
    /// The system of its coordinates, whatever it says
    #[arg(long, value_name = "EPSG:N", value_parser = epsg, requires = "territory")]
    pub territory_crs: Option<Crs>,
    /// Move vertices onto the border of a neighbour that runs within so many metres
    #[arg(long, value_name = "METRES")]
    pub snap: Option<f64>,
    /// Draw contours whose rings cross or disagree anew, around the same ground
    #[arg(long)]
    pub make_valid: bool,
    /// A table of codes (member, group, name of the group): judges the groups, each the union of its members
    #[arg(long, value_name = "TABLE")]
    pub groups: Option<PathBuf>,
    /// Leave out the zones that the table of groups does not name
    #[arg(long, requires = "groups")]
    pub partial: bool,
    /// Write the findings as GeoJSON, to lay over a map
    #[arg(long, value_name = "FILE.geojson")]
    pub topology: Option<PathBuf>,
    /// Write the zones, mended or grouped as asked, as GeoJSON
    #[arg(long, value_name = "FILE.geojson")]
    pub out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// The code in `EPSG:N`, in any letter case, or in `N`.
pub fn epsg(text: &str) -> Result<Crs, String> {
    Crs::epsg_code(text).map(Crs::Epsg).ok_or_else(|| format!("found `{text}`, expected EPSG:N, such as EPSG:2154"))
}

/// Prints the report; 0 when a zoning can be made, 1 when the topology gate refuses, 2 when the file cannot be used.
pub fn run(args: &Args) -> ExitCode {
    let inputs = [&args.file].into_iter().chain(&args.territory).chain(&args.groups);
    let apart = kept_apart(inputs, args.topology.iter().chain(&args.out));
    let told = apart.and_then(|()| files::load(&args.file)).and_then(|files| judge(&files, args)).and_then(|report| {
        let json = if args.json { Some(view::report(&report)?) } else { None };
        write_files(&report, args)?;
        Ok((report, json))
    });
    match told {
        Ok((report, json)) => {
            let text = json.map_or_else(|| report.text(), |json| json + "\n");
            let code = print("inspect", &text, ExitCode::from(report.exit_code()));
            if let Err(unreadable) = &report.outcome {
                eprintln!("arpent inspect: {unreadable}");
            }
            code
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
    outcome: Result<Intake, Unreadable>,
}

/// Describes the layers, and carries one of them as far as it goes.
fn judge(files: &Files, args: &Args) -> Result<Report, Unreadable> {
    let layers = read::inspect(files)?;
    Ok(Report { file: files.name.clone(), layers, outcome: intake(files, args) })
}

fn intake(files: &Files, args: &Args) -> Result<Intake, Unreadable> {
    let territory = match &args.territory {
        Some(path) => {
            let (layer, crs) = (args.territory_layer.clone(), args.territory_crs.clone());
            Some(territory(&files::load(path)?, &ZoneOptions { layer, crs, ..ZoneOptions::default() })?)
        }
        None => None,
    };
    let groups = match &args.groups {
        Some(path) => Some(groups(&path.display().to_string(), Input::File(files::open(path)?))?),
        None => None,
    };
    let wanted = Wanted {
        options: args.zone_args.options(),
        expected: args.expect,
        territory: territory.as_ref(),
        repair: Repair { snap_m: args.snap, make_valid: args.make_valid },
        groups: groups.as_ref().map(|table| (table, GroupOptions { partial: args.partial })),
    };
    take_in(files, &wanted)
}

/// Writes what was asked for beside the report: findings whatever the verdict, zones when there is a zoning.
fn write_files(report: &Report, args: &Args) -> Result<(), Unreadable> {
    let Ok(intake) = &report.outcome else { return Ok(()) };
    let mut ready = Vec::new();
    if let Some(path) = &args.topology {
        ready.push(written(path, &geojson(&intake.topology)?)?);
    }
    if let (Some(path), Some(zoning)) = (&args.out, &intake.zoning) {
        ready.push(written(path, &view::zones(zoning)?)?);
    }
    ready.into_iter().try_for_each(WholeFile::commit)
}

/// A draft of an output.
fn written(path: &Path, text: &str) -> Result<WholeFile, Unreadable> {
    let mut file = WholeFile::create(path)?;
    file.fill(text.as_bytes())?;
    Ok(file)
}

impl Report {
    fn exit_code(&self) -> u8 {
        match &self.outcome {
            Ok(intake) if intake.errors.is_empty() => 0,
            // A wrong number of zones is a wrong file, here as for `assign`.
            Ok(intake) if intake.errors.iter().any(|e| e.code == "zone_count") => 2,
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
            let records = if layer.features == 1 { "record" } else { "records" };
            line(format!("geometry  {}, {} {records}", layer.geometry, layer.features));
            line(format!("system    {}", layer.crs.as_ref().map_or("not declared".into(), ToString::to_string)));
            line(format!("encoding  {}", layer.encoding));
            if let Some([west, south, east, north]) = layer.extent {
                line(format!("extent    {} to {}", position_text(west, south), position_text(east, north)));
            }
            line(format!("fields    {}", if fields.is_empty() { "none".into() } else { fields.join(", ") }));
            layer.problems.iter().for_each(|problem| line(format!("note      {problem}")));
            line(String::new());
        }
        let Ok(intake) = &self.outcome else { return text };
        line(format!("judged    {}, as {}", intake.layer.layer, intake.layer.crs));
        line(format!("code      {}", intake.layer.code_field));
        line(format!("label     {}", intake.layer.label_field.as_deref().unwrap_or("none; the code serves")));
        line(format!("zones     {} accepted, {} records rejected", intake.accepted, intake.rejected.len()));
        let told: Vec<&Reject> = self.layers.iter().flat_map(|layer| &layer.problems).collect();
        let warnings = intake.layer.warnings.iter().filter(|w| !told.contains(w));
        warnings.for_each(|warning| line(format!("warning   {warning}")));
        intake.rejected.iter().for_each(|reject| line(format!("rejected  {reject}")));
        intake.changes.iter().for_each(|change| line(format!("changed   {change}")));
        intake.errors.iter().for_each(|error| line(format!("error     {error}")));
        for (group, members) in &intake.members {
            line(format!("group     {group}: {}", counted(members)));
        }
        intake.topology.to_string().lines().for_each(|said| line(format!("topology  {said}")));
        line(format!("verdict   {}", verdict(intake)));
        text
    }
}

/// Members of a group as a line of a report: some of them, and how many.
fn counted(members: &[String]) -> String {
    /// Codes listed on a line.
    const SHOWN: usize = 10;
    let more = if members.len() > SHOWN { ", …" } else { "" };
    format!("{} zones: {}{more}", members.len(), members[..members.len().min(SHOWN)].join(", "))
}

fn verdict(intake: &Intake) -> &'static str {
    if intake.errors.is_empty() { "accepted" } else { "refused" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: impl IntoIterator<Item = String>) -> Args {
        Line::parse_from(std::iter::once("inspect".to_owned()).chain(words)).args
    }

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
        let (zone_id, expect) = (format!("--zone-id={zone_id}"), expect.map(|n| format!("--expect={n}")));
        judge(&files, &args(["z.geojson".to_owned(), zone_id].into_iter().chain(expect))).unwrap()
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
        let json: serde_json::Value =
            serde_json::from_str(&view::report(&report(-50.0, None, "code")).unwrap()).unwrap();
        assert_eq!(json["layers"][0]["fields"][0], serde_json::json!({"name": "code", "type": "text"}));
        assert_eq!(json["zones"]["topology"]["findings"][0]["kind"], "overlap");
        assert_eq!((json["zones"]["verdict"].as_str(), json["error"].is_null()), (Some("accepted"), true));
        let json: serde_json::Value = serde_json::from_str(&view::report(&report(0.0, None, "x")).unwrap()).unwrap();
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
