//! `arpent assign`: places points in zones.

mod features;
mod report;
mod through;
mod zones;

use std::fs::File;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::HumanCount;

use self::features::PointsFile;
use self::report::{Clock, PLACEMENTS, Report, Tally};
use self::through::{Work, through};
use self::zones::Ready;
use super::files::ZoneArgs;
use super::output::{OutCells, OutColumn, OutKind, TableFormat, TableWriter, WholeFile, WordList, kept_apart, print};
use crate::model::{Crs, Reject, Unreadable, ZoneCode};
use crate::steps::read::points::{Ids, PointColumns, points};
use crate::steps::read::table::Input;
use crate::steps::reproject::Reprojector;

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
    /// Adds the column `distance_m`: metres to the nearest edge of a zone. Placing takes longer then
    #[arg(long)]
    pub distance: bool,
    /// Where to write the points that no zone got, as GeoJSON
    #[arg(long, value_name = "FILE")]
    pub unplaced: Option<PathBuf>,
    /// Where to write the points that several zones have, on a border they share or where they overlap, as GeoJSON: the
    /// zone each point got, and the others
    #[arg(long, value_name = "FILE")]
    pub ambiguous: Option<PathBuf>,
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

/// An index of so many bytes stays in the caches of a processor, where points need not be gathered by place in large
/// batches; then small ones stay there as well, from reading to writing.
const INDEX_BYTES_NEAR: usize = 8 << 20;
const BATCH_ROWS_NEAR: usize = 16_384;

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
    keep_freed_memory();

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

    let ready = Ready::get(args, points.table().rows_about(), &mut clock)?;
    if ready.index.bytes().is_none_or(|bytes| bytes <= INDEX_BYTES_NEAR) {
        points.in_batches_of(BATCH_ROWS_NEAR);
    }

    // The identifier keeps its column's name and its type, so that the output joins to the input.
    let id_name = if matches!(chosen.id.as_str(), "zone" | "placement" | "distance_m") { "id" } else { &chosen.id };
    let column = |name: &str, kind| OutColumn { name: name.to_owned(), kind };
    let id_kind = if points.whole_ids() { OutKind::Whole } else { OutKind::Text };
    let zone_words = WordList::new(ready.codes.iter().map(ZoneCode::as_str));
    let mut columns = vec![column(id_name, id_kind), column("zone", OutKind::Word), column("placement", OutKind::Word)];
    columns.extend(args.distance.then(|| column("distance_m", OutKind::Metres)));
    let mut writer = TableWriter::create(&args.out, &columns).map_err(one)?;
    let report_file = args.report.as_deref().map(WholeFile::create).transpose().map_err(one)?;
    let mut missing = args.unplaced.as_deref().map(PointsFile::create).transpose().map_err(one)?;
    let mut ambiguous = args.ambiguous.as_deref().map(PointsFile::create).transpose().map_err(one)?;
    // A system that PROJ does not know is refused before anything is placed.
    Reprojector::new(&chosen.crs).map_err(one)?;

    let mut tally = Tally::new(ready.codes.len(), &points_name);
    let placement_words = WordList::new(PLACEMENTS.into_iter());
    let bar = super::progress_bar(show_progress, 1000, "placing {wide_bar} {percent} % · {msg} · {eta} left");
    let coordinates = missing.is_some() || ambiguous.is_some();
    let work = Work { index: &ready.index, crs: &chosen.crs, distance: args.distance, coordinates };
    through(points, &work, |done, share| {
        tally.clock.add(&done.clock);
        let begun = Instant::now();
        tally.rejected(done.rejected, done.unknown);
        let words = done.words;
        tally.count(&done.points, &words);
        tally.mistaken(&done.mistaken);
        if let Some(file) = &mut missing {
            words.missing().try_for_each(|row| {
                file.add(done.points.x[row], done.points.y[row], &words.why_missing(&done.points, row))
            })?;
        }
        if let Some(file) = &mut ambiguous {
            for point in &words.ambiguous {
                let (x, y) = (done.points.x[point.row], done.points.y[point.row]);
                file.add(x, y, &words.why_ambiguous(&done.points, point, &ready.codes))?;
            }
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
    let features = [missing, ambiguous].into_iter().flatten().map(PointsFile::finish);
    let features = features.collect::<Result<Vec<_>, _>>().map_err(one)?;
    tally.clock.spent("write", begun);
    bar.finish_and_clear();

    clock.add(&tally.clock);
    clock.stages.push(("total", start.elapsed()));
    let by_zone = ready.codes.iter().zip(&tally.by_zone).map(|(code, n)| (code.to_string(), *n)).collect();
    let codes = ready.codes;
    let report =
        Report { points_name, format, chosen, zones: ready.zones, codes, by_zone, tally, seconds: clock.seconds() };
    let mut files = vec![out];
    files.extend(features);
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

/// A block by whose coming and going glibc learns to keep smaller ones: its `M_MMAP_THRESHOLD` follows blocks below 32 MiB
/// (mallopt(3)).
const TEACHING_BYTES: usize = 31 << 20;

/// Has the allocator keep what is freed for the next batch. By itself glibc gives large blocks back to the kernel, which
/// clears each page anew when it is asked for again: a seventh of what placing a million points costs. Hardly a page of the
/// block by which it learns otherwise is touched, and to another allocator it is a block like any.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(TEACHING_BYTES)));
}

fn refuse_overwriting(args: &AssignArgs) -> Result<(), Unreadable> {
    let features = [args.unplaced.as_ref(), args.ambiguous.as_ref()];
    let outputs = [Some(&args.out), args.report.as_ref(), args.index.as_ref()].into_iter().chain(features);
    kept_apart(args.zones.iter().chain([&args.points]), outputs.flatten())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
    use clap::Parser;
    use serde_json::{Value, json};

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

    /// A Parquet file of groups of so many rows, points in A, in B and in neither by turns.
    fn in_groups(groups: &[usize]) -> Vec<u8> {
        let rows = groups.iter().sum::<usize>() as i64;
        let x = Float64Array::from_iter_values((0..rows).map(|i| 650_000.5 + (i % 3) as f64 * 1000.0));
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("x", Arc::new(x)),
            ("y", Arc::new(Float64Array::from(vec![6_862_500.0; rows as usize]))),
        ];
        let all = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), all.schema(), None).unwrap();
        let mut from = 0;
        for &rows in groups {
            writer.write(&all.slice(from, rows)).unwrap();
            writer.flush().unwrap();
            from += rows;
        }
        writer.into_inner().unwrap()
    }

    #[test]
    fn points_keep_their_order_whatever_the_groups_of_their_file() {
        // Groups that a thread reads and places; groups so large that others place; many small ones that are one part.
        for groups in [&[70_000, 65_536, 7, 66_000, 1][..], &[300_000, 70_000], &[5; 300]] {
            let bench = Bench::new(&in_groups(groups));
            bench.run("out.csv", &[]).unwrap();
            let zone = ["A,inside", "B,inside", ",outside"];
            let expected = (0..groups.iter().sum()).map(|i: usize| format!("{i},{}\n", zone[i % 3]));
            let found = std::fs::read_to_string(bench.path("out.csv")).unwrap();
            assert!(found == "id,zone,placement\n".to_owned() + &expected.collect::<String>(), "{groups:?}");
        }
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
            json!({"id": "p4", "row": 5, "placement": "outside", "reason": "outside"})
        );
        let longitude = features[0]["geometry"]["coordinates"][0].as_f64().unwrap();
        assert!((2.0..3.0).contains(&longitude), "{longitude}");
        assert_eq!(features[1]["geometry"], Value::Null);
        assert_eq!(features[1]["properties"]["reason"], "no_coordinate");
        let ambiguous = &report.json()["ambiguous"];
        assert_eq!((&ambiguous["shared_border"], &ambiguous["outer_border"]), (&json!(1), &json!(0)));
    }

    #[test]
    fn points_that_several_zones_have_are_listed_with_all_of_them() {
        let bench = Bench::new(b"id,x,y\na,651000,6862500\n\nb,651400,6862500\nc,651700,6862500\nd,650000,6862500\n");
        // B and C overlap from 651 200 to 651 500 m.
        let third = r#",{"type": "Feature", "properties": {"code": "C"}, "geometry": {"type": "Polygon", "coordinates":
            [[[651200, 6862100], [651500, 6862100], [651500, 6862900], [651200, 6862900], [651200, 6862100]]]}}]}"#;
        std::fs::write(bench.path("zones.geojson"), ZONES.trim_end().trim_end_matches("]}").to_owned() + third)
            .unwrap();
        let ambiguous = bench.path("ambiguous.geojson");
        let report = bench.run("out.csv", &["--ambiguous", ambiguous.to_str().unwrap()]).unwrap();
        let out = std::fs::read_to_string(bench.path("out.csv")).unwrap();
        assert_eq!(out, "id,zone,placement\na,A,border\nb,B,inside\nc,B,inside\nd,A,border\n");
        let json = report.json();
        let between = json!([
            {"why": "shared_border", "zones": ["A", "B"], "points": 1},
            {"why": "overlap", "zones": ["B", "C"], "points": 1},
        ]);
        let expected =
            json!({"shared_border": 1, "outer_border": 1, "overlap": 1, "between": between, "not_listed": 0});
        assert_eq!(json["ambiguous"], expected);
        assert!(report.text().contains("  overlap of B, C: 1"), "{}", report.text());
        let listed: Value = serde_json::from_slice(&std::fs::read(ambiguous).unwrap()).unwrap();
        let features = listed["features"].as_array().unwrap();
        let properties: Vec<&Value> = features.iter().map(|feature| &feature["properties"]).collect();
        assert_eq!(
            properties,
            [
                &json!({"id": "a", "row": 2, "placement": "border", "zone": "A", "others": ["B"], "reason": "shared_border"}),
                &json!({"id": "b", "row": 4, "placement": "inside", "zone": "B", "others": ["C"], "reason": "overlap"}),
            ]
        );
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
