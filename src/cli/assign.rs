//! `arpent assign`: places points in zones.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::files;
use super::output::{OutColumn, TableFormat, TableWriter, WholeFile};
use crate::model::establishment::Unplaced;
use crate::model::{Crs, Reject, Unreadable, Zoning};
use crate::steps::assign::{Placement, assign};
use crate::steps::index::ZoneIndex;
use crate::steps::read::points::{ChosenColumns, PointBatch, PointColumns, points};
use crate::steps::read::table::{Input, Texts};
use crate::steps::read::zones::{ZoneOptions, zones};
use crate::steps::reproject::{self, Reprojector};
use crate::steps::validate::validate;

/// Refused rows that the report describes one by one; the rest are counted by code.
const REJECTS_LISTED: usize = 100;
/// Batches read ahead of those being placed: one in the making and one at hand keep both sides busy.
const BATCHES_AHEAD: usize = 2;
/// Zones that the text report counts one by one, a screenful; the JSON report counts them all.
const ZONES_SHOWN: usize = 60;
/// Systems that the rows of one file may name; France and its overseas territories use about twenty.
const ROW_SYSTEMS_MAX: usize = 64;

/// Places points in zones, one row a point in the order read: the identifier, the zone, and how it was placed.
#[derive(Debug, Clone, clap::Args)]
pub struct AssignArgs {
    /// Zones: a shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    #[arg(long, value_name = "FILE")]
    pub zones: PathBuf,
    /// The layer to read, when the file holds several
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// The field that holds the code of each zone
    #[arg(long, value_name = "FIELD")]
    pub zone_id: Option<String>,
    /// The system of the zones, when the file does not declare it, or wrongly
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub zones_crs: Option<Crs>,
    /// Points: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub points: PathBuf,
    /// The column that holds the identifier of each point [default: siret or id]
    #[arg(long, value_name = "COL")]
    pub id: Option<String>,
    /// The column of x coordinates or longitudes [default: found by its usual names]
    #[arg(long, value_name = "COL", requires = "y")]
    pub x: Option<String>,
    /// The column of y coordinates or latitudes
    #[arg(long, value_name = "COL", requires = "x")]
    pub y: Option<String>,
    /// The system of the points whose row does not state its own
    #[arg(long, value_name = "EPSG:N", value_parser = epsg)]
    pub points_crs: Option<Crs>,
    /// Where to write: .csv, .csv.gz or .parquet
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where to write the report, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print the report as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// The number of zones there must be
    #[arg(long, value_name = "N")]
    pub expect: Option<usize>,
}

fn epsg(text: &str) -> Result<Crs, String> {
    let code = match text.split_once(':') {
        Some((authority, code)) if authority.eq_ignore_ascii_case("EPSG") => code,
        Some(_) => "",
        None => text,
    };
    match code.parse() {
        Ok(code) if code > 0 => Ok(Crs::Epsg(code)),
        _ => Err("expected a code of the EPSG register, such as EPSG:2154".to_owned()),
    }
}

/// Runs the command and prints its report: text on standard error, or JSON on standard output with `--json`.
/// The error says what to tell the user; the exit code is then 2 and no output was written.
pub fn run(args: &AssignArgs) -> Result<(), Vec<Reject>> {
    let report = place(args, std::io::stderr().is_terminal())?;
    // A reader that has gone away, such as `head`, is no fault of the work done.
    let _ = if args.json {
        writeln!(std::io::stdout(), "{:#}", report.json())
    } else {
        write!(std::io::stderr(), "{}", report.text())
    };
    Ok(())
}

/// Places the points, writes the output and the report file, and gives the report.
fn place(args: &AssignArgs, show_progress: bool) -> Result<Report, Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    TableFormat::of(&args.out).map_err(one)?;
    refuse_overwriting(args).map_err(one)?;
    let mut clock = Clock::start();

    // The points are opened first: a mistyped name is known before the zones are read.
    let points_name = args.points.display().to_string();
    let file = File::open(&args.points).map_err(|error| {
        let found = format!("a file that cannot be opened ({error})");
        one(Unreadable::file("input_unreadable", &points_name, found, "a file that can be read"))
    })?;
    let named = PointColumns { id: args.id.clone(), x: args.x.clone(), y: args.y.clone() };
    let mut points = points(&points_name, Input::File(file), &named, args.points_crs.as_ref()).map_err(one)?;
    let chosen = points.chosen().clone();
    let format = points.table().format().to_string();

    let (zoning, zones) = read_zones(args)?;
    clock.lap("zones");
    let index = ZoneIndex::new(&zoning);
    clock.lap("index");

    // The identifier keeps its column's name, so that the output joins to the input.
    let id_name = if matches!(chosen.id.as_str(), "zone" | "placement") { "id" } else { &chosen.id };
    let column = |name: &str, empty_is_null| OutColumn { name: name.to_owned(), empty_is_null };
    let columns = vec![column(id_name, false), column("zone", true), column("placement", false)];
    let mut writer = TableWriter::create(&args.out, columns).map_err(one)?;
    let report_file = args.report.as_deref().map(WholeFile::create).transpose().map_err(one)?;
    let mut systems = Systems::new(&chosen.crs, &points_name).map_err(one)?;
    let mut tally = Tally::new(zoning.zones().len());

    let bar = progress_bar(show_progress);
    std::thread::scope(|scope| -> Result<(), Unreadable> {
        let (send, batches) = mpsc::sync_channel(BATCHES_AHEAD);
        scope.spawn(move || {
            loop {
                let batch = points.next_batch().transpose();
                let share = points.table().progress();
                let stop = !matches!(batch, Some(Ok(_)));
                // A receiver that is gone has met an error and says so itself.
                if batch.is_none_or(|batch| send.send((batch, share)).is_err()) || stop {
                    break;
                }
            }
        });
        for (batch, share) in batches {
            let mut batch = batch?;
            clock.lap("read");
            tally.rejected(std::mem::take(&mut batch.rejected));
            let batch = systems.reproject(batch, &mut tally);
            clock.lap("reproject");
            let placements = assign(&index, &batch.x, &batch.y);
            clock.lap("assign");
            let (zone, placement) = tally.count(&zoning, &placements, &batch.unplaced);
            writer.write(&[&batch.ids, &zone, &placement])?;
            clock.lap("write");
            bar.set_position((share * 1000.0) as u64);
            bar.set_message(format!("{} points", tally.rows));
        }
        Ok(())
    })
    .map_err(one)?;
    let out = writer.finish().map_err(one)?;
    clock.lap("write");
    bar.finish_and_clear();

    let by_zone = zoning.zones().iter().zip(&tally.by_zone).map(|(zone, n)| (zone.code.to_string(), *n)).collect();
    let report = Report { points_name, format, chosen, zones, by_zone, tally, seconds: clock.seconds() };
    if let Some(mut file) = report_file {
        file.fill(format!("{:#}\n", report.json()).as_bytes()).map_err(one)?;
        out.commit().map_err(one)?;
        file.commit().map_err(one)?;
    } else {
        out.commit().map_err(one)?;
    }
    Ok(report)
}

/// No output may take the place of an input, nor of the other output.
fn refuse_overwriting(args: &AssignArgs) -> Result<(), Unreadable> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut taken = vec![real(&args.zones), real(&args.points)];
    for output in [Some(&args.out), args.report.as_ref()].into_iter().flatten() {
        let output_path = real(output);
        if taken.contains(&output_path) {
            let file = output.display().to_string();
            return Err(Unreadable::file("output_is_input", file, "a file this command already uses", "another file"));
        }
        taken.push(output_path);
    }
    Ok(())
}

/// What the report says of the zones.
struct ZonesRead {
    file: String,
    layer: String,
    code_field: String,
    crs: String,
    count: usize,
    /// Zones left out and warnings; neither stops the work, unless `--expect` counts the zones.
    remarks: Vec<Reject>,
}

fn read_zones(args: &AssignArgs) -> Result<(Zoning, ZonesRead), Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    let files = files::load(&args.zones).map_err(one)?;
    let options = ZoneOptions {
        layer: args.layer.clone(),
        code_field: args.zone_id.clone(),
        label_field: None,
        crs: args.zones_crs.clone(),
    };
    let layer = zones(&files, &options).map_err(one)?;
    let mut remarks = layer.warnings;
    remarks.extend(layer.records.rejected);
    let in_metres = reproject::zones(layer.records.accepted).map_err(one)?;
    remarks.extend(in_metres.rejected);
    let (zoning, _topology) = validate(&layer.layer, in_metres.accepted, args.expect).map_err(|refused| {
        let mut errors = refused.errors;
        errors.extend(remarks.iter().cloned());
        errors
    })?;
    let read = ZonesRead {
        file: args.zones.display().to_string(),
        layer: layer.layer,
        code_field: layer.code_field,
        crs: layer.crs.to_string(),
        count: zoning.zones().len(),
        remarks,
    };
    Ok((zoning, read))
}

/// The systems of the points, each opened once.
struct Systems {
    usual: Reprojector,
    by_row: HashMap<u32, Option<Reprojector>>,
    file: String,
}

impl Systems {
    fn new(usual: &Crs, file: &str) -> Result<Self, Unreadable> {
        Ok(Self { usual: Reprojector::new(usual)?, by_row: HashMap::new(), file: file.to_owned() })
    }

    /// Turns the coordinates of a batch into EPSG:2154 metres; points outside the area of use of their system become
    /// unplaced.
    fn reproject(&mut self, mut batch: PointBatch, tally: &mut Tally) -> PointBatch {
        let unusual = batch.epsg.iter().any(Option::is_some);
        if !unusual {
            let inside = self.usual.points(&mut batch.x, &mut batch.y);
            mark_outside(&mut batch.unplaced, inside.into_iter().enumerate());
            return batch;
        }
        let mut rows_of: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
        for (row, epsg) in batch.epsg.iter().enumerate().filter(|(row, _)| batch.unplaced[*row].is_none()) {
            rows_of.entry(*epsg).or_default().push(row);
        }
        for (epsg, rows) in rows_of {
            let reprojector = match epsg {
                None => Some(&mut self.usual),
                Some(code) => self.of_row(code, batch.first_row + rows[0], tally),
            };
            let mut x: Vec<f64> = rows.iter().map(|&row| batch.x[row]).collect();
            let mut y: Vec<f64> = rows.iter().map(|&row| batch.y[row]).collect();
            let inside = match reprojector {
                Some(reprojector) => reprojector.points(&mut x, &mut y),
                None => {
                    x.fill(f64::NAN);
                    y.fill(f64::NAN);
                    vec![false; rows.len()]
                }
            };
            for (at, &row) in rows.iter().enumerate() {
                (batch.x[row], batch.y[row]) = (x[at], y[at]);
            }
            mark_outside(&mut batch.unplaced, rows.iter().copied().zip(inside));
        }
        batch
    }

    /// The system a row names; one that cannot be had is reported once, at the first row naming it.
    fn of_row(&mut self, code: u32, row: usize, tally: &mut Tally) -> Option<&mut Reprojector> {
        if !self.by_row.contains_key(&code) {
            let room = self.by_row.len() < ROW_SYSTEMS_MAX;
            let reprojector = if room { Reprojector::new(&Crs::Epsg(code)).ok() } else { None };
            if reprojector.is_none() {
                tally.rejected(vec![Reject {
                    code: "epsg_unknown",
                    file: self.file.clone(),
                    row: Some(row),
                    field: Some("epsg".to_owned()),
                    found: format!("EPSG:{code}, here and perhaps in later rows"),
                    expected: format!("a known system, and {ROW_SYSTEMS_MAX} systems at most in one file"),
                }]);
            }
            if !room {
                return None;
            }
            self.by_row.insert(code, reprojector);
        }
        self.by_row.get_mut(&code).and_then(Option::as_mut)
    }
}

fn mark_outside(unplaced: &mut [Option<Unplaced>], inside: impl Iterator<Item = (usize, bool)>) {
    for (row, inside) in inside {
        if !inside && unplaced[row].is_none() {
            unplaced[row] = Some(Unplaced::OutsideCrs);
        }
    }
}

/// What was counted on the way.
struct Tally {
    rows: usize,
    inside: usize,
    border: usize,
    outside: usize,
    unplaced: BTreeMap<&'static str, usize>,
    by_zone: Vec<usize>,
    rejects: Vec<Reject>,
    rejects_by_code: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn new(zones: usize) -> Self {
        Self {
            rows: 0,
            inside: 0,
            border: 0,
            outside: 0,
            unplaced: BTreeMap::new(),
            by_zone: vec![0; zones],
            rejects: Vec::new(),
            rejects_by_code: BTreeMap::new(),
        }
    }

    fn rejected(&mut self, rejects: Vec<Reject>) {
        for reject in rejects {
            *self.rejects_by_code.entry(reject.code).or_default() += 1;
            if self.rejects.len() < REJECTS_LISTED {
                self.rejects.push(reject);
            }
        }
    }

    /// Counts a batch and gives its columns `zone` and `placement`.
    fn count(&mut self, zoning: &Zoning, placements: &[Placement], unplaced: &[Option<Unplaced>]) -> (Texts, Texts) {
        let (mut zone, mut how) = (Texts::default(), Texts::default());
        for (placement, unplaced) in placements.iter().zip(unplaced) {
            self.rows += 1;
            let (in_zone, word) = match (unplaced, placement) {
                (Some(why), _) => {
                    *self.unplaced.entry(why.code()).or_default() += 1;
                    (None, "unplaced")
                }
                (None, Placement::Inside(at)) => {
                    self.inside += 1;
                    (Some(*at), "inside")
                }
                (None, Placement::OnBorder { chosen, .. }) => {
                    self.border += 1;
                    (Some(*chosen), "border")
                }
                (None, Placement::Outside) => {
                    self.outside += 1;
                    (None, "outside")
                }
            };
            if let Some(at) = in_zone {
                self.by_zone[at as usize] += 1;
            }
            zone.push(in_zone.map_or("", |at| zoning.zones()[at as usize].code.as_str()));
            how.push(word);
        }
        (zone, how)
    }
}

/// Time spent by stage, waits included.
struct Clock {
    start: Instant,
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { start: now, last: now, stages: Vec::new() }
    }
    fn lap(&mut self, stage: &'static str) {
        let now = Instant::now();
        let spent = now - self.last;
        self.last = now;
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, total)) => *total += spent,
            None => self.stages.push((stage, spent)),
        }
    }
    fn seconds(self) -> Vec<(&'static str, f64)> {
        let mut seconds: Vec<_> = self.stages.iter().map(|(name, spent)| (*name, spent.as_secs_f64())).collect();
        seconds.push(("total", self.start.elapsed().as_secs_f64()));
        seconds
    }
}

fn progress_bar(show: bool) -> ProgressBar {
    if !show {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("placing {wide_bar} {percent} % · {msg} · {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// What was read, chosen, placed and refused.
struct Report {
    points_name: String,
    format: String,
    chosen: ChosenColumns,
    zones: ZonesRead,
    by_zone: Vec<(String, usize)>,
    tally: Tally,
    seconds: Vec<(&'static str, f64)>,
}

impl Report {
    fn unplaced(&self) -> usize {
        self.tally.unplaced.values().sum()
    }

    fn placements(&self) -> [(&'static str, usize); 4] {
        let tally = &self.tally;
        [("inside", tally.inside), ("border", tally.border), ("outside", tally.outside), ("unplaced", self.unplaced())]
    }

    fn json(&self) -> Value {
        let counts = |pairs: &[(&str, usize)]| {
            Value::Object(pairs.iter().map(|(name, n)| ((*name).to_owned(), json!(n))).collect())
        };
        let by_zone = self.by_zone.iter().map(|(code, n)| (code.clone(), json!(n))).collect();
        let seconds = self.seconds.iter().map(|(name, s)| ((*name).to_owned(), json!((s * 1e3).round() / 1e3)));
        let pairs = |map: &BTreeMap<&'static str, usize>| map.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>();
        let chosen = &self.chosen;
        json!({
            "points": {
                "file": self.points_name,
                "format": self.format,
                "rows": self.tally.rows,
                "columns": {
                    "id": chosen.id, "x": chosen.x, "y": chosen.y, "epsg": chosen.epsg, "qualite_xy": chosen.quality,
                },
                "crs": chosen.crs.to_string(),
            },
            "zones": {
                "file": self.zones.file,
                "layer": self.zones.layer,
                "zone_id": self.zones.code_field,
                "crs": self.zones.crs,
                "count": self.zones.count,
                "remarks": self.zones.remarks.iter().map(reject_json).collect::<Vec<_>>(),
            },
            "placements": counts(&self.placements()),
            "unplaced": counts(&pairs(&self.tally.unplaced)),
            "by_zone": Value::Object(by_zone),
            "rejected": {
                "count": self.tally.rejects_by_code.values().sum::<usize>(),
                "by_code": counts(&pairs(&self.tally.rejects_by_code)),
                "first": self.tally.rejects.iter().map(reject_json).collect::<Vec<_>>(),
            },
            "seconds": Value::Object(seconds.collect()),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let chosen = &self.chosen;
        let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string cannot fail");
        let zones = &self.zones;
        line(format!(
            "zones: {} in layer `{}` of {}, code `{}`, {}",
            zones.count, zones.layer, zones.file, zones.code_field, zones.crs
        ));
        zones.remarks.iter().for_each(|remark| line(format!("  {remark}")));
        let epsg = chosen.epsg.as_ref().map_or(String::new(), |epsg| format!(" unless `{epsg}` says otherwise"));
        line(format!("points: {} in {}, {}", self.tally.rows, self.points_name, self.format));
        line(format!("  columns `{}`, `{}`, `{}`, {}{epsg}", chosen.id, chosen.x, chosen.y, chosen.crs));
        for (word, n) in self.placements() {
            line(format!("{word}: {n}"));
        }
        for (reason, n) in &self.tally.unplaced {
            line(format!("  {reason}: {n}"));
        }
        line("by zone:".to_owned());
        for (code, n) in self.by_zone.iter().take(ZONES_SHOWN) {
            line(format!("  {code}: {n}"));
        }
        if self.by_zone.len() > ZONES_SHOWN {
            line(format!("  and {} more zones, in the JSON report", self.by_zone.len() - ZONES_SHOWN));
        }
        let rejected: usize = self.tally.rejects_by_code.values().sum();
        if rejected > 0 {
            line(format!("rows refused: {rejected}, kept in the output as unplaced"));
            self.tally.rejects.iter().for_each(|reject| line(format!("  {reject}")));
            if rejected > self.tally.rejects.len() {
                line(format!("  and {} more", rejected - self.tally.rejects.len()));
            }
        }
        let seconds: Vec<String> = self.seconds.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
        line(format!("seconds: {}", seconds.join(", ")));
        text
    }
}

fn reject_json(reject: &Reject) -> Value {
    json!({
        "code": reject.code,
        "file": reject.file,
        "row": reject.row,
        "field": reject.field,
        "found": reject.found,
        "expected": reject.expected,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        assign: AssignArgs,
    }

    /// Two squares of one kilometre which share the edge x = 651 000.
    const ZONES: &str = r#"{"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"code": "B"}, "geometry": {"type": "Polygon", "coordinates":
            [[[651000, 6862000], [652000, 6862000], [652000, 6863000], [651000, 6863000], [651000, 6862000]]]}},
        {"type": "Feature", "properties": {"code": "A"}, "geometry": {"type": "Polygon", "coordinates":
            [[[650000, 6862000], [651000, 6862000], [651000, 6863000], [650000, 6863000], [650000, 6862000]]]}}]}"#;

    const POINTS: &str = "siret;x;y;epsg;qualite_xy\n\
        p1;650500,5;6862500;;11\n\
        p2;651500;6862500;2154;11\n\
        p3;651000;6862500;;\n\
        p4;655000;6862500;;\n\
        p5;;6862500;;\n\
        p6;650500;6862500;;33\n\
        p7;650500\n\
        p8;0;0;;\n\
        p9;9000000;9000000;;\n\
        p10;650500;6862500;999999;\n\
        p11;est;6862500;;\n";

    struct Bench {
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new(points: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("zones.geojson"), ZONES).unwrap();
            std::fs::write(folder.path().join("points"), points).unwrap();
            Self { folder }
        }
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }
        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
        fn run(&self, out: &str, more: &[&str]) -> Result<Report, Vec<Reject>> {
            let path = |name| self.path(name).display().to_string();
            let (zones, points, out) = (path("zones.geojson"), path("points"), path(out));
            let mut words = vec!["assign", "--zones", &zones, "--zone-id", "code", "--zones-crs", "EPSG:2154"];
            words.extend(["--points", &points, "--out", &out]);
            words.extend(more);
            place(&Line::try_parse_from(words).unwrap().assign, false)
        }
    }

    #[test]
    fn each_point_has_its_row_in_the_order_read_whatever_becomes_of_it() {
        let bench = Bench::new(POINTS.as_bytes());
        let report_path = bench.path("report.json");
        let report = bench.run("out.csv", &["--report", report_path.to_str().unwrap()]).unwrap();
        let out = std::fs::read_to_string(bench.path("out.csv")).unwrap();
        let border = if out.contains("p3,A,border") { "A" } else { "B" };
        let expected = format!(
            "siret,zone,placement\np1,A,inside\np2,B,inside\np3,{border},border\np4,,outside\np5,,unplaced\n\
             p6,,unplaced\np7,,unplaced\np8,,unplaced\np9,,unplaced\np10,,unplaced\np11,,unplaced\n"
        );
        assert_eq!(out, expected);

        let written: Value = serde_json::from_slice(&std::fs::read(report_path).unwrap()).unwrap();
        assert_eq!(written, report.json());
        assert_eq!(written["placements"], json!({"inside": 2, "border": 1, "outside": 1, "unplaced": 7}));
        let reasons = json!({"no_coordinate": 3, "outside_crs": 2, "random_in_commune": 1, "zero": 1});
        assert_eq!(written["unplaced"], reasons);
        assert_eq!(written["zones"]["count"], 2);
        let by_code = json!({"coordinate_not_a_number": 1, "epsg_unknown": 1, "row_ragged": 1});
        assert_eq!(written["rejected"]["by_code"], by_code);
        let by_zone: u64 = written["by_zone"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(by_zone, 3);
        assert!(report.text().contains("unplaced: 7"), "{}", report.text());
        assert_eq!(bench.names(), ["out.csv", "points", "report.json", "zones.geojson"]);
    }

    #[test]
    fn every_format_out_holds_the_same_rows() {
        let bench = Bench::new(POINTS.as_bytes());
        for name in ["out.csv", "out.csv.gz", "out.parquet"] {
            bench.run(name, &[]).unwrap();
        }
        let plain = std::fs::read_to_string(bench.path("out.csv")).unwrap();
        let mut unzipped = String::new();
        let gzip = std::fs::read(bench.path("out.csv.gz")).unwrap();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut unzipped).unwrap();
        assert_eq!(unzipped, plain);
        let file = File::open(bench.path("out.parquet")).unwrap();
        let named = crate::steps::read::table::Kind::Text;
        let mut table = crate::steps::read::table::Table::open("out", Input::File(file), 1 << 20).unwrap();
        table.select(&[(0, named), (1, named), (2, named)]).unwrap();
        let batch = table.next_batch().unwrap().unwrap();
        let row = |at| format!("{},{},{}\n", &batch.texts(0)[at], &batch.texts(1)[at], &batch.texts(2)[at]);
        assert_eq!("siret,zone,placement\n".to_owned() + &(0..batch.len()).map(row).collect::<String>(), plain);
    }

    #[test]
    fn more_points_than_a_batch_keep_their_order() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(gzip, "id,x,y").unwrap();
        let n = 2 * crate::steps::read::table::BATCH_ROWS + 1;
        (0..n).for_each(|i| writeln!(gzip, "{i},{},6862500", 650_000.5 + (i % 3) as f64 * 1000.0).unwrap());
        let bench = Bench::new(&gzip.finish().unwrap());
        bench.run("out.csv", &["--expect", "2"]).unwrap();
        let out = std::fs::read_to_string(bench.path("out.csv")).unwrap();
        let zone = ["A,inside", "B,inside", ",outside"];
        let expected = (0..n).map(|i| format!("{i},{}\n", zone[i % 3]));
        assert!(out == "id,zone,placement\n".to_owned() + &expected.collect::<String>());
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let torn = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(b"id,x,y\n").unwrap();
            (0..200_000).for_each(|i| writeln!(gzip, "{i},650500,6862500").unwrap());
            let mut bytes = gzip.finish().unwrap();
            bytes.truncate(bytes.len() - 20);
            bytes
        };
        for (points, out, more, code) in [
            (b"name,x,y\n".to_vec(), "out.csv", vec![], "column_missing"),
            (POINTS.as_bytes().to_vec(), "out.txt", vec![], "output_format"),
            (POINTS.as_bytes().to_vec(), "points.csv/out.csv", vec![], "output_unwritable"),
            (POINTS.as_bytes().to_vec(), "out.csv", vec!["--id", "nom"], "column_missing"),
            (torn, "out.csv", vec![], "gzip_torn"),
        ] {
            let bench = Bench::new(&points);
            let refused = bench.run(out, &more).err().unwrap();
            assert_eq!(refused[0].code, code);
            assert_eq!(bench.names(), ["points", "zones.geojson"], "{code}");
        }
        let bench = Bench::new(POINTS.as_bytes());
        assert!(bench.run("out.csv", &["--expect", "3"]).is_err());
        assert_eq!(bench.names(), ["points", "zones.geojson"]);
    }

    #[test]
    fn an_input_is_never_overwritten() {
        let bench = Bench::new(POINTS.as_bytes());
        std::fs::rename(bench.path("points"), bench.path("points.csv")).unwrap();
        std::fs::write(bench.path("points"), POINTS).unwrap();
        let points = bench.path("points.csv").display().to_string();
        let zones = bench.path("zones.geojson").display().to_string();
        let words = ["assign", "--zones", &zones, "--points", &points, "--out", &points];
        let refused = place(&Line::try_parse_from(words).unwrap().assign, false).err().unwrap();
        assert_eq!(refused[0].code, "output_is_input");
        let report = bench.path("out.csv").display().to_string();
        assert_eq!(bench.run("out.csv", &["--report", &report]).map(|_| ()).unwrap_err()[0].code, "output_is_input");
        assert_eq!(std::fs::read_to_string(points).unwrap(), POINTS);
    }

    #[test]
    fn a_system_is_named_by_its_code() {
        for (text, expected) in [
            ("EPSG:2154", Some(Crs::LAMBERT93)),
            ("epsg:4326", Some(Crs::WGS84)),
            ("3947", Some(Crs::Epsg(3947))),
            ("EPSG:0", None),
            ("ESRI:2154", None),
            ("EPSG:", None),
        ] {
            assert_eq!(epsg(text).ok(), expected, "{text}");
        }
    }
}
