//! `arpent assign`: places points in zones.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::IsTerminal;
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
    if args.json {
        println!("{:#}", report.json());
    } else {
        eprint!("{}", report.text());
    }
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
            let batch = systems.to_metres(batch, &mut tally)?;
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
    let (zoning, _topology) = validate(in_metres.accepted, args.expect).map_err(|mut refused| {
        refused.extend(remarks.iter().cloned());
        refused
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
    fn to_metres(&mut self, mut batch: PointBatch, tally: &mut Tally) -> Result<PointBatch, Unreadable> {
        let unusual = batch.epsg.iter().any(Option::is_some);
        if !unusual {
            let inside = self.usual.points(&mut batch.x, &mut batch.y);
            mark_outside(&mut batch.unplaced, inside.into_iter().enumerate());
            return Ok(batch);
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
        Ok(batch)
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
        [
            ("inside", tally.inside),
            ("border", tally.border),
            ("outside", tally.outside),
            ("unplaced", self.unplaced()),
        ]
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
