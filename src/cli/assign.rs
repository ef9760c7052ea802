//! `arpent assign`: places points in zones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::files;
use super::files::ZoneArgs;
use super::output::{OutCells, OutColumn, OutKind, TableFormat, TableWriter, WholeFile, WordList, kept_apart, print};
use crate::model::establishment::Unplaced;
use crate::model::{Crs, Reject, Unreadable, ZoneCode, Zoning};
use crate::steps::assign::{Placed, Placements, place as place_points};
use crate::steps::index::{KeptIndex, ZoneIndex};
use crate::steps::read::Files;
use crate::steps::read::points::{ChosenColumns, Ids, PointBatch, PointColumns, Points, points};
use crate::steps::read::table::Input;
use crate::steps::read::zones::zones;
use crate::steps::reproject::{self, Mistaken, Reprojector};
use crate::steps::validate::validate_alone;

/// Refused rows that the report describes one by one; the rest are counted by code.
const REJECTS_LISTED: usize = 100;
/// Batches that wait between two stages: one in the making and one at hand keep both sides busy.
const BATCHES_AHEAD: usize = 2;
/// Batches that later parts of a file may have read before an earlier one is taken: some 25 MiB.
const BATCHES_HELD: usize = 8;
/// Zones that the text report counts one by one, a screenful; the JSON report counts them all.
const ZONES_SHOWN: usize = 60;
/// Systems that are kept open; France and its overseas territories use about twenty.
const ROW_SYSTEMS_KEPT: usize = 512;

/// Places points in zones, one row a point in the order read: the identifier, the zone, and how it was placed.
#[derive(Debug, Clone, clap::Args)]
pub struct AssignArgs {
    /// Zones: a shapefile (.shp, or a .zip of one), GeoJSON or GeoPackage
    #[arg(long, value_name = "FILE", required_unless_present = "index")]
    pub zones: Option<PathBuf>,
    /// What the file does not say
    #[command(flatten)]
    pub zone_args: ZoneArgs,
    /// Keeps the index of the zones in this file, and takes it from there the next time; it then does without --zones
    #[arg(long, value_name = "FILE")]
    pub index: Option<PathBuf>,
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
    /// Adds the column `distance_m`: metres to the nearest edge of a zone; where zones overlap, an edge that lies under
    /// another zone may be left out. Placing takes longer then
    #[arg(long)]
    pub distance: bool,
    /// Where to write the points that no zone got, as GeoJSON
    #[arg(long, value_name = "FILE")]
    pub unplaced: Option<PathBuf>,
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
    let none = || "expected a code of the EPSG register, such as EPSG:2154".to_owned();
    Crs::epsg_code(text).map(Crs::Epsg).ok_or_else(none)
}

/// Runs the command and prints its report: text on standard error, or JSON on standard output with `--json`.
/// The error says what to tell the user; the exit code is then 2 and no output was written.
pub fn run(args: &AssignArgs) -> Result<ExitCode, Vec<Reject>> {
    let report = place(args, std::io::stderr().is_terminal())?;
    if args.json {
        return Ok(print("assign", &format!("{:#}\n", report.json()), ExitCode::SUCCESS));
    }
    let _ = write!(std::io::stderr(), "{}", report.text());
    Ok(ExitCode::SUCCESS)
}

/// Places the points, writes the outputs and the report file, and gives the report.
fn place(args: &AssignArgs, show_progress: bool) -> Result<Report, Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    TableFormat::of(&args.out).map_err(one)?;
    refuse_overwriting(args).map_err(one)?;
    if args.zones.is_none() {
        args.zone_args.heeded_without_zones().map_err(one)?;
    }
    let start = Instant::now();
    let mut clock = Clock::default();

    // The points are opened first: a mistyped name is known before the zones are read.
    let points_name = args.points.display().to_string();
    let file = File::open(&args.points).map_err(|error| {
        let found = format!("a file that cannot be opened ({error})");
        one(Unreadable::file("input_unreadable", &points_name, found, "a file that can be read"))
    })?;
    let named = PointColumns { id: args.id.clone(), x: args.x.clone(), y: args.y.clone() };
    let points = points(&points_name, Input::File(file), &named, args.points_crs.as_ref()).map_err(one)?;
    let chosen = points.chosen().clone();
    let format = points.table().format().to_string();

    let ready = Ready::get(args, points.table().rows_about(), &mut clock)?;

    // The identifier keeps its column's name and its type, so that the output joins to the input.
    let id_name = if matches!(chosen.id.as_str(), "zone" | "placement" | "distance_m") { "id" } else { &chosen.id };
    let column = |name: &str, kind| OutColumn { name: name.to_owned(), kind };
    let id_kind = if points.whole_ids() { OutKind::Whole } else { OutKind::Text };
    let zone_words = WordList::new(ready.codes.iter().map(ZoneCode::as_str));
    let mut columns = vec![column(id_name, id_kind), column("zone", OutKind::Word), column("placement", OutKind::Word)];
    columns.extend(args.distance.then(|| column("distance_m", OutKind::Metres)));
    let mut writer = TableWriter::create(&args.out, &columns).map_err(one)?;
    let report_file = args.report.as_deref().map(WholeFile::create).transpose().map_err(one)?;
    let mut missing = args.unplaced.as_deref().map(Missing::create).transpose().map_err(one)?;
    // A system that PROJ does not know is refused before anything is placed.
    Reprojector::new(&chosen.crs).map_err(one)?;

    let mut tally = Tally::new(ready.codes.len(), &points_name);
    let placement_words = WordList::new(PLACEMENTS.into_iter());
    let bar = super::progress_bar(show_progress, 1000, "placing {wide_bar} {percent} % · {msg} · {eta} left");
    let work = Work { index: &ready.index, crs: &chosen.crs, distance: args.distance };
    through(points, &work, |done, share| {
        tally.clock.add(&done.clock);
        let begun = Instant::now();
        tally.rejected(done.rejected, done.unknown);
        let words = tally.count(&ready.index, &done.points, &done.placements);
        tally.mistaken(&done.mistaken);
        if let Some(missing) = &mut missing {
            missing.add(&done.points, &words.how)?;
        }
        tally.clock.spent("count", begun);
        let begun = Instant::now();
        let ids = match &done.points.ids {
            Ids::Texts(texts) => OutCells::Texts(texts),
            Ids::Whole(numbers) => OutCells::Whole(numbers),
        };
        let mut cells =
            vec![ids, OutCells::Words(&words.zone, &zone_words), OutCells::Words(&words.how, &placement_words)];
        cells.extend(done.distance_m.as_deref().map(OutCells::Metres));
        writer.write(&cells)?;
        tally.clock.spent("write", begun);
        bar.set_position((share * 1000.0) as u64);
        let rate = tally.rows as f64 / start.elapsed().as_secs_f64().max(1e-3);
        bar.set_message(format!("{} points, {} a second", HumanCount(tally.rows as u64), HumanCount(rate as u64)));
        Ok(())
    })
    .map_err(one)?;
    let begun = Instant::now();
    let out = writer.finish().map_err(one)?;
    let missing = missing.map(Missing::finish).transpose().map_err(one)?;
    tally.clock.spent("write", begun);
    bar.finish_and_clear();

    clock.add(&tally.clock);
    clock.stages.push(("total", start.elapsed()));
    let by_zone = ready.codes.iter().zip(&tally.by_zone).map(|(code, n)| (code.to_string(), *n)).collect();
    let report = Report { points_name, format, chosen, zones: ready.zones, by_zone, tally, seconds: clock.seconds() };
    let mut files = vec![out];
    files.extend(missing);
    if let Some(mut file) = report_file {
        file.fill(format!("{:#}\n", report.json()).as_bytes()).map_err(one)?;
        files.push(file);
    }
    if let Some(file) = ready.kept {
        files.push(file);
    }
    files.into_iter().try_for_each(WholeFile::commit).map_err(one)?;
    Ok(report)
}

fn refuse_overwriting(args: &AssignArgs) -> Result<(), Unreadable> {
    let outputs = [Some(&args.out), args.report.as_ref(), args.unplaced.as_ref(), args.index.as_ref()];
    kept_apart(args.zones.iter().chain([&args.points]), outputs.into_iter().flatten())
}

/// What the report says of the zones.
struct ZonesRead {
    file: String,
    layer: String,
    code_field: String,
    crs: String,
    count: usize,
    /// Whether the index was kept from another time.
    kept: bool,
    /// Zones left out and warnings; neither stops the work, unless `--expect` counts the zones.
    remarks: Vec<Value>,
}

/// Whether a file is there that arpent never kept an index in: it is not to be written over.
fn holds_something_else(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(INDEX_MARK.len() as u64).read_to_end(&mut start));
    read.is_ok() && !start.is_empty() && start != INDEX_MARK
}

/// How every index that was ever kept begins, whatever its form.
const INDEX_MARK: &[u8] = b"arpent index ";

/// An index to place with.
struct Ready {
    index: ZoneIndex,
    codes: Vec<ZoneCode>,
    zones: ZonesRead,
    /// The index to be kept, once all else is done.
    kept: Option<WholeFile>,
}

impl Ready {
    /// The kept index when it is that of these zones, else a new one, fit for about so many points.
    fn get(args: &AssignArgs, points: u64, clock: &mut Clock) -> Result<Self, Vec<Reject>> {
        let one = |unreadable: Unreadable| vec![unreadable.0];
        let begun = Instant::now();
        let files = args.zones.as_deref().map(files::load).transpose().map_err(one)?;
        let asked = files.as_ref().filter(|_| args.index.is_some()).map(|files| fingerprint(files, args));
        clock.spent("zones", begun);
        if let Some(path) = &args.index {
            let begun = Instant::now();
            match Self::kept(path, asked.as_deref()) {
                Ok(ready) => {
                    clock.spent("index", begun);
                    let expected = args.expect.unwrap_or(ready.codes.len());
                    if ready.codes.len() == expected {
                        return Ok(ready);
                    }
                    let found = format!("{} zones", ready.codes.len());
                    let file = path.display().to_string();
                    return Err(one(Unreadable::file("zone_count", file, found, format!("{expected} zones"))));
                }
                Err(found) if files.is_none() => {
                    let expected = "an index that this version of arpent kept, or --zones to build it from";
                    return Err(one(Unreadable::file("index_unreadable", path.display().to_string(), found, expected)));
                }
                Err(_) if holds_something_else(path) => {
                    let (found, expected) = ("a file that is no index", "an index, or a new name to keep one under");
                    return Err(one(Unreadable::file("index_unreadable", path.display().to_string(), found, expected)));
                }
                // It is built again from the zones.
                Err(_) => {}
            }
        }
        let files = files.expect("clap asks for --zones where there is no --index");
        let begun = Instant::now();
        let (zoning, zones) = read_zones(args, &files)?;
        drop(files);
        clock.spent("zones", begun);
        let begun = Instant::now();
        // An index to be kept will serve other points too.
        let index = match &args.index {
            Some(_) => ZoneIndex::new(&zoning),
            None => ZoneIndex::for_points(&zoning, points),
        };
        let codes: Vec<ZoneCode> = zoning.zones().iter().map(|zone| zone.code.clone()).collect();
        drop(zoning);
        clock.spent("index", begun);
        let begun = Instant::now();
        let kept = args.index.as_deref().zip(asked).map(|(path, asked)| keep(path, &index, &codes, &zones, &asked));
        let kept = kept.transpose().map_err(one)?.flatten();
        clock.spent("keep", begun);
        Ok(Self { index, codes, zones, kept })
    }

    /// Reads a kept index; an error says what was found instead.
    fn kept(path: &Path, asked: Option<&str>) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("a file that cannot be opened ({error})"))?;
        let KeptIndex { index, codes, about } = KeptIndex::read(BufReader::new(file))?;
        let about: Value = serde_json::from_str(&about).map_err(|_| "an index that does not say of what".to_owned())?;
        let text = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
        if asked.is_some_and(|asked| asked != text("fingerprint")) {
            return Err("an index of other zones".to_owned());
        }
        let remarks = about["remarks"].as_array().cloned();
        let remarks = remarks.ok_or_else(|| "an index that does not say what its zones were warned for".to_owned())?;
        let zones = ZonesRead {
            file: text("file"),
            layer: text("layer"),
            code_field: text("zone_id"),
            crs: text("crs"),
            count: codes.len(),
            kept: true,
            remarks,
        };
        Ok(Self { index, codes, zones, kept: None })
    }
}

/// What tells one set of zones from another: the bytes of the files, and how they were to be read.
fn fingerprint(files: &Files, args: &AssignArgs) -> String {
    let mut digest = Sha256::new();
    for (name, bytes) in &files.parts {
        // The folder of a file is not part of what it holds.
        let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
        digest.update(format!("{extension} {}\n", bytes.len()));
        digest.update(bytes);
    }
    let ZoneArgs { layer, zone_id, zones_crs } = &args.zone_args;
    digest.update(format!("{layer:?} {zone_id:?} {zones_crs:?}"));
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Writes a draft of the index; nothing when it has a form that is not kept.
fn keep(
    path: &Path,
    index: &ZoneIndex,
    codes: &[ZoneCode],
    zones: &ZonesRead,
    fingerprint: &str,
) -> Result<Option<WholeFile>, Unreadable> {
    let about = json!({
        "fingerprint": fingerprint,
        "file": zones.file,
        "layer": zones.layer,
        "zone_id": zones.code_field,
        "crs": zones.crs,
        "remarks": zones.remarks,
    });
    let unwritable = |error: std::io::Error| {
        let file = path.display().to_string();
        Unreadable::file("output_unwritable", file, error.to_string(), "a place that can be written")
    };
    let mut into = BufWriter::new(WholeFile::create(path)?);
    let codes: Vec<&ZoneCode> = codes.iter().collect();
    let kept = index.keep(&codes, &about.to_string(), &mut into).map_err(unwritable)?;
    let file = into.into_inner().map_err(|error| unwritable(error.into_error()))?;
    Ok(kept.then_some(file))
}

fn read_zones(args: &AssignArgs, files: &Files) -> Result<(Zoning, ZonesRead), Vec<Reject>> {
    let one = |unreadable: Unreadable| vec![unreadable.0];
    let layer = zones(files, &args.zone_args.options()).map_err(one)?;
    let mut remarks = layer.warnings;
    remarks.extend(layer.records.rejected);
    let in_metres = reproject::zones(layer.records.accepted).map_err(one)?;
    remarks.extend(in_metres.rejected);
    // Overlaps and gaps are for `arpent inspect`.
    let (zoning, _) = validate_alone(&layer.layer, in_metres.accepted, args.expect).map_err(|refused| {
        let mut errors = refused.errors;
        errors.extend(remarks.iter().cloned());
        errors
    })?;
    let read = ZonesRead {
        file: args.zones.as_deref().unwrap_or(Path::new("")).display().to_string(),
        layer: layer.layer,
        code_field: layer.code_field,
        crs: layer.crs.to_string(),
        count: zoning.zones().len(),
        kept: false,
        remarks: remarks.iter().map(reject_json).collect(),
    };
    Ok((zoning, read))
}

/// What each thread needs to place a batch.
struct Work<'a> {
    index: &'a ZoneIndex,
    crs: &'a Crs,
    distance: bool,
}

/// A batch, placed.
struct Done {
    /// With coordinates in EPSG:2154 metres; NaN where there is none.
    points: PointBatch,
    placements: Placements,
    distance_m: Option<Vec<f64>>,
    rejected: Vec<Reject>,
    /// Systems that rows name and that cannot be had: the code and the first such row.
    unknown: BTreeMap<u32, usize>,
    mistaken: Vec<Mistaken>,
    clock: Clock,
}

/// Reads, places and gives back batches in the order read: as many threads as there are cores read parts of the file side
/// by side, as many place, and this one takes what is done. No more than a few batches are in memory.
fn through(
    points: Points,
    work: &Work<'_>,
    mut take: impl FnMut(Done, f64) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let turn = Turn::default();
    let parts = Mutex::new(points.parts().enumerate());
    std::thread::scope(|scope| {
        let _leaving = Leaving(&turn);
        let (send_read, read) = mpsc::sync_channel(BATCHES_AHEAD);
        let (send_placed, placed) = mpsc::sync_channel(BATCHES_AHEAD);
        let read = Arc::new(Mutex::new(read));
        for _ in 0..threads {
            let (read, send_read, send_placed) = (Arc::clone(&read), send_read.clone(), send_placed.clone());
            let (parts, turn) = (&parts, &turn);
            scope.spawn(move || reading(parts, turn, &send_read));
            scope.spawn(move || placing(work, &read, &send_placed));
        }
        drop((read, send_read, send_placed));
        let mut waiting = BTreeMap::new();
        let mut next = (0, 0);
        for (place, done, share) in placed {
            waiting.insert(place, (done, share));
            while let Some((done, share)) = waiting.remove(&next) {
                let ends = done.is_none();
                if let Some(done) = done {
                    take(done?, share)?;
                }
                next = if ends { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
                turn.taken(ends);
            }
        }
        Ok(())
    })
}

/// The number of a part of the file, and of a batch in it.
type BatchPlace = (usize, usize);
/// A batch, or the end of its part; the share of the file read so far; and how long that took.
type ReadBatch = (BatchPlace, Option<Result<PointBatch, Unreadable>>, f64, Duration);
type PlacedBatch = (BatchPlace, Option<Result<Done, Unreadable>>, f64);

/// Keeps those who read later parts from running ahead of what is taken: rows stay in order, and memory small.
#[derive(Default)]
struct Turn {
    /// The part that is being taken, and batches read but not taken yet.
    now: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Turn {
    /// Waits until a batch of the part may be read. The part that is being taken never waits here.
    fn wait(&self, part: usize) {
        let may_not = |now: &mut (usize, usize)| part > now.0 && now.1 >= BATCHES_HELD;
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = self.changed.wait_while(now, may_not).unwrap_or_else(PoisonError::into_inner);
        now.1 += 1;
    }
    fn taken(&self, ends: bool) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 += usize::from(ends);
        now.1 = now.1.saturating_sub(1);
        self.changed.notify_all();
    }
}

/// Once nobody takes any more, whoever waits goes on, and finds that out.
struct Leaving<'a>(&'a Turn);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner).0 = usize::MAX;
        self.0.changed.notify_all();
    }
}

fn reading(parts: &Mutex<impl Iterator<Item = (usize, Points)>>, turn: &Turn, send: &mpsc::SyncSender<ReadBatch>) {
    let next = || parts.lock().ok().and_then(|mut parts| parts.next());
    while let Some((part, mut points)) = next() {
        for number in 0.. {
            turn.wait(part);
            let begun = Instant::now();
            let batch = points.next_batch().transpose();
            let (ends, torn) = (batch.is_none(), matches!(batch, Some(Err(_))));
            // A receiver that is gone has met an error and says so itself.
            if send.send(((part, number), batch, points.table().progress(), begun.elapsed())).is_err() || torn {
                return;
            }
            if ends {
                break;
            }
        }
    }
}

fn placing(work: &Work<'_>, read: &Mutex<mpsc::Receiver<ReadBatch>>, send: &mpsc::SyncSender<PlacedBatch>) {
    let mut systems = Systems::new(work.crs);
    loop {
        let received = read.lock().map(|read| read.recv());
        let Ok(Ok((place, batch, share, reading))) = received else { break };
        let done = batch.map(|batch| {
            let systems = systems.as_mut().map_err(|unreadable| unreadable.clone())?;
            let mut done = work.done(systems, batch?);
            done.clock.stages.push(("read", reading));
            Ok(done)
        });
        if send.send((place, done, share)).is_err() {
            break;
        }
    }
}

impl Work<'_> {
    fn done(&self, systems: &mut Systems, mut batch: PointBatch) -> Done {
        let mut clock = Clock::default();
        let begun = Instant::now();
        let rejected = std::mem::take(&mut batch.rejected);
        let (points, unknown, mistaken) = systems.reproject(batch);
        clock.spent("reproject", begun);
        let begun = Instant::now();
        let placements = place_points(self.index, &points.x, &points.y, 1);
        clock.spent("assign", begun);
        let begun = Instant::now();
        let distance_m = self.distance.then(|| {
            let distance = |(&x, &y)| self.index.distance_m(x, y);
            let finite = |d: f64| if d.is_finite() { d } else { f64::NAN };
            points.x.iter().zip(&points.y).map(distance).map(finite).collect()
        });
        if self.distance {
            clock.spent("distance", begun);
        }
        Done { points, placements, distance_m, rejected, unknown, mistaken, clock }
    }
}

/// The systems of the points, each opened once a thread.
struct Systems {
    usual: Reprojector,
    by_row: HashMap<u32, Option<Reprojector>>,
}

impl Systems {
    fn new(usual: &Crs) -> Result<Self, Unreadable> {
        Ok(Self { usual: Reprojector::new(usual)?, by_row: HashMap::new() })
    }

    /// Turns the coordinates of a batch into EPSG:2154 metres; points outside the area of use of their system become
    /// unplaced. Tells which systems cannot be had, and how the coordinates of unplaced points look mistaken.
    fn reproject(&mut self, mut batch: PointBatch) -> (PointBatch, BTreeMap<u32, usize>, Vec<Mistaken>) {
        let (mut unknown, mut mistaken) = (BTreeMap::new(), Vec::new());
        if !batch.epsg.iter().any(Option::is_some) {
            let unplaced = &mut batch.unplaced;
            self.usual.points(&mut batch.x, &mut batch.y, |row, look| refuse(&mut unplaced[row], look, &mut mistaken));
            return (batch, unknown, mistaken);
        }
        let mut rows_of: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
        for (row, epsg) in batch.epsg.iter().enumerate().filter(|(row, _)| batch.unplaced[*row].is_none()) {
            rows_of.entry(*epsg).or_default().push(row);
        }
        for (epsg, rows) in rows_of {
            let reprojector = match epsg {
                None => Some(&mut self.usual),
                Some(code) => {
                    let system = self.of_row(code);
                    if system.is_none() {
                        unknown.insert(code, batch.places[rows[0]]);
                    }
                    system
                }
            };
            let mut x: Vec<f64> = rows.iter().map(|&row| batch.x[row]).collect();
            let mut y: Vec<f64> = rows.iter().map(|&row| batch.y[row]).collect();
            let unplaced = &mut batch.unplaced;
            match reprojector {
                Some(reprojector) => {
                    reprojector.points(&mut x, &mut y, |at, look| refuse(&mut unplaced[rows[at]], look, &mut mistaken))
                }
                None => {
                    x.fill(f64::NAN);
                    y.fill(f64::NAN);
                    rows.iter().for_each(|&row| refuse(&mut unplaced[row], None, &mut mistaken));
                }
            }
            for (at, &row) in rows.iter().enumerate() {
                (batch.x[row], batch.y[row]) = (x[at], y[at]);
            }
        }
        (batch, unknown, mistaken)
    }

    fn of_row(&mut self, code: u32) -> Option<&mut Reprojector> {
        if !self.by_row.contains_key(&code) {
            if self.by_row.len() >= ROW_SYSTEMS_KEPT {
                self.by_row.clear();
            }
            self.by_row.insert(code, Reprojector::new(&Crs::Epsg(code)).ok());
        }
        self.by_row.get_mut(&code).and_then(Option::as_mut)
    }
}

/// Takes a point as outside its system, unless it is unplaced for another reason.
fn refuse(unplaced: &mut Option<Unplaced>, look: Option<Mistaken>, mistaken: &mut Vec<Mistaken>) {
    if unplaced.is_none() {
        *unplaced = Some(Unplaced::OutsideCrs);
        mistaken.extend(look);
    }
}

/// The words of the column `placement`.
const PLACEMENTS: [&str; 4] = ["inside", "border", "outside", "unplaced"];
/// Their places.
const INSIDE: u32 = 0;
const ON_BORDER: u32 = 1;
const OUTSIDE: u32 = 2;
const UNPLACED: u32 = 3;

/// The columns `zone` and `placement` of a batch, as words of their lists.
struct Words {
    zone: Vec<u32>,
    how: Vec<u32>,
}

/// What was counted on the way.
struct Tally {
    rows: usize,
    by_placement: [usize; 4],
    /// Of those on a border, points that several zones have there.
    shared: usize,
    unplaced: BTreeMap<&'static str, usize>,
    mistaken: BTreeMap<&'static str, usize>,
    by_zone: Vec<usize>,
    rejects: Vec<Reject>,
    rejects_by_code: BTreeMap<&'static str, usize>,
    unknown: BTreeSet<u32>,
    file: String,
    clock: Clock,
}

impl Tally {
    fn new(zones: usize, file: &str) -> Self {
        Self {
            rows: 0,
            by_placement: [0; 4],
            shared: 0,
            unplaced: BTreeMap::new(),
            mistaken: BTreeMap::new(),
            by_zone: vec![0; zones],
            rejects: Vec::new(),
            rejects_by_code: BTreeMap::new(),
            unknown: BTreeSet::new(),
            file: file.to_owned(),
            clock: Clock::default(),
        }
    }

    /// Takes the rows refused; a system that cannot be had is reported once, at the first row naming it.
    fn rejected(&mut self, rejects: Vec<Reject>, unknown: BTreeMap<u32, usize>) {
        let mut first: Vec<(usize, u32)> =
            unknown.into_iter().filter(|(code, _)| self.unknown.insert(*code)).map(|(code, row)| (row, code)).collect();
        first.sort_unstable();
        let of_systems = first.into_iter().map(|(row, code)| Reject {
            code: "epsg_unknown",
            file: self.file.clone(),
            row: Some(row),
            field: Some("epsg".to_owned()),
            found: format!("EPSG:{code}, here and perhaps in later rows"),
            expected: "a known system".to_owned(),
        });
        for reject in rejects.into_iter().chain(of_systems.collect::<Vec<_>>()) {
            *self.rejects_by_code.entry(reject.code).or_default() += 1;
            if self.rejects.len() < REJECTS_LISTED {
                self.rejects.push(reject);
            }
        }
    }

    fn mistaken(&mut self, mistaken: &[Mistaken]) {
        for mistaken in mistaken {
            *self.mistaken.entry(mistaken.code()).or_default() += 1;
        }
    }

    /// Counts a batch and gives its columns `zone` and `placement`.
    fn count(&mut self, index: &ZoneIndex, points: &PointBatch, placements: &Placements) -> Words {
        let mut words = Words { zone: Vec::with_capacity(placements.len()), how: Vec::with_capacity(placements.len()) };
        for (row, (placed, unplaced)) in placements.iter().zip(&points.unplaced).enumerate() {
            let (zone, how) = match (unplaced, placed) {
                (Some(why), _) => {
                    *self.unplaced.entry(why.code()).or_default() += 1;
                    (u32::MAX, UNPLACED)
                }
                (None, Placed::Inside(zone)) => (zone, INSIDE),
                (None, Placed::OnBorder(zone)) => {
                    self.shared += usize::from(index.around(points.x[row], points.y[row]).border.len() > 1);
                    (zone, ON_BORDER)
                }
                (None, Placed::Outside) => (u32::MAX, OUTSIDE),
            };
            self.by_placement[how as usize] += 1;
            if let Some(n) = self.by_zone.get_mut(zone as usize) {
                *n += 1;
            }
            words.zone.push(zone);
            words.how.push(how);
        }
        self.rows += placements.len();
        words
    }
}

/// A GeoJSON file of the points that no zone got, a feature a line.
struct Missing {
    into: BufWriter<WholeFile>,
    target: PathBuf,
    back: reproject::ToDegrees,
    features: usize,
}

impl Missing {
    fn create(target: &Path) -> Result<Self, Unreadable> {
        let mut into = BufWriter::new(WholeFile::create(target)?);
        let target = target.to_owned();
        into.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[")
            .map_err(|error| unwritable(&target, &error))?;
        Ok(Self { into, target, back: reproject::ToDegrees::new()?, features: 0 })
    }

    /// Adds the points of a batch that are `outside` or `unplaced`; those without a usable coordinate have no geometry.
    fn add(&mut self, points: &PointBatch, how: &[u32]) -> Result<(), Unreadable> {
        for (row, &how) in how.iter().enumerate().filter(|(_, how)| matches!(**how, OUTSIDE | UNPLACED)) {
            let reason = points.unplaced[row].map_or("outside", Unplaced::code);
            let place = self.back.point(points.x[row], points.y[row]);
            let geometry = place.map(|(lon, lat)| {
                // A tenth of a metre.
                let round = |v: f64| (v * 1e6).round() / 1e6;
                json!({"type": "Point", "coordinates": [round(lon), round(lat)]})
            });
            let feature = json!({
                "type": "Feature",
                "geometry": geometry,
                "properties": {
                    "id": points.ids.text(row), "row": points.first_row + row, "placement": PLACEMENTS[how as usize],
                    "reason": reason,
                },
            });
            let comma = if self.features > 0 { ",\n" } else { "\n" };
            write!(self.into, "{comma}{feature}").map_err(|error| unwritable(&self.target, &error))?;
            self.features += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<WholeFile, Unreadable> {
        let ended = self.into.write_all(b"\n]}\n");
        let ended = ended.and_then(|()| self.into.into_inner().map_err(std::io::Error::from));
        ended.map_err(|error| unwritable(&self.target, &error))
    }
}

fn unwritable(target: &Path, error: &std::io::Error) -> Unreadable {
    let file = target.display().to_string();
    Unreadable::file("output_unwritable", file, error.to_string(), "a place that can be written")
}

/// Time spent by stage, on whichever thread: stages run side by side, so their sum may exceed the total.
#[derive(Default)]
struct Clock {
    stages: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn spent(&mut self, stage: &'static str, since: Instant) {
        self.put(stage, since.elapsed());
    }
    fn put(&mut self, stage: &'static str, spent: Duration) {
        match self.stages.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, total)) => *total += spent,
            None => self.stages.push((stage, spent)),
        }
    }
    fn add(&mut self, other: &Self) {
        other.stages.iter().for_each(|(stage, spent)| self.put(stage, *spent));
    }
    fn seconds(self) -> Vec<(&'static str, f64)> {
        self.stages.iter().map(|(name, spent)| (*name, spent.as_secs_f64())).collect()
    }
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
    /// What the coordinates say against the system they were read in.
    fn warning(&self) -> Option<String> {
        let tally = &self.tally;
        let placed = tally.by_placement[INSIDE as usize] + tally.by_placement[ON_BORDER as usize];
        let most = tally.mistaken.iter().max_by_key(|(_, n)| **n);
        let hint = most.map(|(_, n)| n * 2 > tally.rows).unwrap_or(false) || (placed == 0 && tally.rows > 0);
        hint.then(|| {
            let look = match most {
                Some((code, n)) => format!("{n} of {} points look {}", tally.rows, Mistaken::said(code)),
                None => format!("none of {} points lies in a zone", tally.rows),
            };
            format!("{look}; is {} their system?", self.chosen.crs)
        })
    }

    fn placements(&self) -> [(&'static str, usize); 4] {
        std::array::from_fn(|at| (PLACEMENTS[at], self.tally.by_placement[at]))
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
                "index": if self.zones.kept { "kept" } else { "built" },
                "remarks": self.zones.remarks,
            },
            "placements": counts(&self.placements()),
            "unplaced": counts(&pairs(&self.tally.unplaced)),
            "ambiguous": {"shared_border": self.tally.shared, "outer_border": self.tally.by_placement[ON_BORDER as usize] - self.tally.shared},
            "looks_mistaken": counts(&pairs(&self.tally.mistaken)),
            "warning": self.warning(),
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
        zones.remarks.iter().for_each(|remark| line(format!("  {}", remark_text(remark))));
        let epsg = chosen.epsg.as_ref().map_or(String::new(), |epsg| format!(" unless `{epsg}` says otherwise"));
        line(format!("points: {} in {}, {}", self.tally.rows, self.points_name, self.format));
        line(format!("  columns `{}`, `{}`, `{}`, {}{epsg}", chosen.id, chosen.x, chosen.y, chosen.crs));
        for (word, n) in self.placements() {
            line(format!("{word}: {n}"));
        }
        for (reason, n) in &self.tally.unplaced {
            line(format!("  {reason}: {n}"));
        }
        for (code, n) in &self.tally.mistaken {
            line(format!("  {n} look {}", Mistaken::said(code)));
        }
        line(format!("on a border that zones share: {}", self.tally.shared));
        if let Some(warning) = self.warning() {
            line(format!("warning: {warning}"));
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

/// A remark as [`Reject`] says it: a kept index holds it as JSON.
fn remark_text(remark: &Value) -> String {
    let word = |name: &str| remark[name].as_str().unwrap_or_default();
    let row = remark["row"].as_u64().map_or(String::new(), |row| format!(": row {row}"));
    let field = remark["field"].as_str().map_or(String::new(), |field| format!(", field `{field}`"));
    let (file, found, expected, code) = (word("file"), word("found"), word("expected"), word("code"));
    format!("{file}{row}{field}: found {found}, expected {expected} [{code}]")
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
    fn what_no_zone_got_is_written_with_its_reason_and_distances_are_a_column() {
        let bench = Bench::new(POINTS.as_bytes());
        let unplaced = bench.path("unplaced.geojson");
        let report = bench.run("out.csv", &["--distance", "--unplaced", unplaced.to_str().unwrap()]).unwrap();
        let out = std::fs::read_to_string(bench.path("out.csv")).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "siret,zone,placement,distance_m",
                "p1,A,inside,499.500",
                "p2,B,inside,500.000",
                "p3,A,border,0.000",
                "p4,,outside,3000.000",
            ]
        );
        assert!(lines[5..].iter().all(|line| line.ends_with(",,unplaced,")), "{out}");
        let missing: Value = serde_json::from_slice(&std::fs::read(unplaced).unwrap()).unwrap();
        let features = missing["features"].as_array().unwrap();
        assert_eq!(features.len(), 8);
        assert_eq!(
            features[0]["properties"],
            json!({"id": "p4", "row": 4, "placement": "outside", "reason": "outside"})
        );
        let longitude = features[0]["geometry"]["coordinates"][0].as_f64().unwrap();
        assert!((2.0..3.0).contains(&longitude), "{longitude}");
        assert_eq!(features[1]["geometry"], Value::Null);
        assert_eq!(features[1]["properties"]["reason"], "no_coordinate");
        assert_eq!(report.json()["ambiguous"], json!({"shared_border": 1, "outer_border": 0}));
    }

    #[test]
    fn a_kept_index_stands_for_its_zones_and_for_no_others() {
        let bench = Bench::new(POINTS.as_bytes());
        let index = bench.path("zones.index").display().to_string();
        let first = bench.run("one.csv", &["--index", &index]).unwrap();
        let second = bench.run("two.csv", &["--index", &index]).unwrap();
        assert_eq!((first.zones.kept, second.zones.kept), (false, true));
        assert_eq!(
            first.zones.remarks, second.zones.remarks,
            "what the zones were warned for is kept with their index"
        );
        // Without the zones.
        let (points, out) = (bench.path("points").display().to_string(), bench.path("three.csv").display().to_string());
        let alone = |expect: &str| {
            let words = ["assign", "--index", &index, "--points", &points, "--out", &out, "--expect", expect];
            place(&Line::try_parse_from(words).unwrap().assign, false).map(|report| report.zones.kept)
        };
        assert!(alone("2").unwrap());
        assert_eq!(alone("3").unwrap_err()[0].code, "zone_count");
        let words = ["assign", "--index", &index, "--points", &points, "--out", &out, "--zone-id", "code"];
        let refused = place(&Line::try_parse_from(words).unwrap().assign, false).map(|_| ()).unwrap_err();
        assert_eq!(refused[0].code, "not_heeded", "there is no file whose field it could be");
        let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
        assert_eq!(read("one.csv"), read("two.csv"));
        assert_eq!(read("one.csv"), read("three.csv"));
        // Other zones: it is built again.
        std::fs::write(bench.path("zones.geojson"), ZONES.replace("652000", "653000")).unwrap();
        assert!(!bench.run("one.csv", &["--index", &index]).unwrap().zones.kept);
        // Torn: refused alone, built again with the zones.
        let bytes = std::fs::read(&index).unwrap();
        std::fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(alone("2").unwrap_err()[0].code, "index_unreadable");
        assert!(!bench.run("one.csv", &["--index", &index]).unwrap().zones.kept);
        assert!(alone("2").unwrap());
    }

    #[test]
    fn coordinates_that_look_mistaken_are_counted_and_said() {
        let swapped = "id,x,y\na,6862500,650500\nb,6862500,651500\nc,2.3,48.8\n";
        let bench = Bench::new(swapped.as_bytes());
        let report = bench.run("out.csv", &[]).unwrap();
        let json = report.json();
        assert_eq!(json["placements"]["unplaced"], 3);
        assert_eq!(json["looks_mistaken"], json!({"degrees": 1, "swapped": 2}));
        assert_eq!(json["warning"], "2 of 3 points look swapped, y before x; is EPSG:2154 their system?");
        assert!(report.text().contains("warning: 2 of 3"), "{}", report.text());
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
