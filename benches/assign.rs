//! Placing masses of points: building the index, placing on one thread, keeping the index and reading it back; and beside it,
//! in the same run, an R-tree of boxes over geo's interval trees, the fastest pure Rust peer of the same kind. The ratio is
//! what counts.
//!
//! The demo's 48 sectors are always measured. `make race` leaves larger work in `target/race`, which is measured when it is
//! there: `a` has 48 zones and a million points, `b` has 49,000 zones and five million.
//!
//! With `--join FOLDER` it places the points of that work alone, and prints the CPU seconds of its thread and a checksum of
//! the answers: `benches/place/race.py` sets them beside those of peers.

use std::path::Path;
use std::time::{Duration, Instant};

use arpent::model::{ZoneCode, Zoning};
use arpent::steps::assign::{Placed, place};
use arpent::steps::index::{KeptIndex, ZoneIndex};
use arpent::steps::read::points::{PointColumns, points};
use arpent::steps::read::table::Input;
use arpent::steps::read::{Files, ZoneOptions, zones};
use arpent::steps::reproject;
use arpent::steps::validate::validate_alone;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, measurement::WallTime};
use geo::indexed::IntervalTreeMultiPolygon;
use geo::{BoundingRect, Contains, Point};
use rand::{RngExt, SeedableRng};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

fn zoning(parts: Vec<(String, Vec<u8>)>) -> Zoning {
    let files = Files { name: parts[0].0.clone(), parts };
    let layer = zones(&files, &ZoneOptions::default()).expect("the layer is readable");
    let metres = reproject::zones(layer.records.accepted).expect("it is in Lambert-93").accepted;
    validate_alone("zones", metres, None).expect("it is sound").0
}

/// Zones and points in random order: a worst case for caches.
fn demo() -> (Zoning, Vec<f64>, Vec<f64>) {
    let bytes = include_bytes!("../data/demo/secteurs.zip").to_vec();
    let mut random = rand_pcg::Pcg64::seed_from_u64(1);
    let n = 1_000_000;
    let x = (0..n).map(|_| random.random_range(843_344.0..866_746.0)).collect();
    let y = (0..n).map(|_| random.random_range(6_682_023.0..6_701_483.0)).collect();
    (zoning(vec![("secteurs.zip".to_owned(), bytes)]), x, y)
}

fn made(folder: &Path) -> Option<(Zoning, Vec<f64>, Vec<f64>)> {
    let part = |extension| {
        let name = format!("zones.{extension}");
        std::fs::read(folder.join(&name)).ok().map(|bytes| (name, bytes))
    };
    let parts = ["shp", "shx", "dbf", "prj", "cpg"].into_iter().map(part).collect::<Option<Vec<_>>>()?;
    let bytes = std::fs::read(folder.join("points.f64")).ok()?;
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let (x, y) = bytes.chunks_exact(16).map(|xy| (number(&xy[..8]), number(&xy[8..]))).unzip();
    Some((zoning(parts), x, y))
}

fn race(criterion: &mut Criterion) {
    measure(criterion, "48 sectors of the demo", &demo());
    for (name, folder) in [("48 zones", "target/race/a"), ("49,000 zones", "target/race/b")] {
        match made(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            Some(work) => measure(criterion, name, &work),
            None => println!("skipped: no {folder}; `make race` makes it"),
        }
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("points.parquet");
        if table.exists() {
            reader(criterion, name, &table);
        }
    }
}

fn measure(criterion: &mut Criterion, name: &str, (zoning, x, y): &(Zoning, Vec<f64>, Vec<f64>)) {
    let index = ZoneIndex::new(zoning);
    let count = |index: &ZoneIndex, n: usize| {
        place(index, &x[..n], &y[..n], 1).iter().filter(|placed| *placed != Placed::Outside).count()
    };
    let boxes = zoning.zones().iter().enumerate().map(|(i, zone)| {
        let bounds = zone.contour.metres().bounding_rect().expect("a zone has an extent");
        GeomWithData::new(Rectangle::from_corners(bounds.min().x_y(), bounds.max().x_y()), i)
    });
    let boxes: RTree<GeomWithData<Rectangle<(f64, f64)>, usize>> = RTree::bulk_load(boxes.collect());
    let trees: Vec<_> =
        zoning.zones().iter().map(|zone| IntervalTreeMultiPolygon::new(zone.contour.metres())).collect();
    let peer = |n: usize| {
        let zone = |(&x, &y): (&f64, &f64)| {
            let mut found = boxes.locate_in_envelope_intersecting(&AABB::from_point((x, y)));
            found.any(|candidate| trees[candidate.data].contains(&Point::new(x, y)))
        };
        x[..n].iter().zip(&y[..n]).filter(|point| zone(*point)).count()
    };
    // The peer is slow on much work: a part shows its rate.
    let part = x.len().min(500_000);
    assert_eq!(count(&index, part), peer(part), "the two must place the same points");

    let mut group = criterion.benchmark_group(name);
    brief(&mut group);
    group.bench_function("build the index", |b| b.iter(|| ZoneIndex::new(zoning)));
    let codes: Vec<&ZoneCode> = zoning.zones().iter().map(|zone| &zone.code).collect();
    let mut bytes = Vec::new();
    assert!(index.keep(&codes, "", &mut bytes).expect("memory takes all"));
    println!("{name}: {} zones, index of {:.1} MiB", codes.len(), bytes.len() as f64 / f64::from(1 << 20));
    group.bench_function("read a kept index", |b| b.iter(|| KeptIndex::read(&bytes[..]).expect("it was kept")));
    points_of(&mut group, x.len(), "place, one thread", || count(&index, x.len()));
    points_of(&mut group, part, "place in batches of 65,536, one thread", || {
        (0..part)
            .step_by(65_536)
            .map(|at| place(&index, &x[at..part.min(at + 65_536)], &y[at..part.min(at + 65_536)], 1).len())
            .sum()
    });
    points_of(&mut group, part, "rstar + IntervalTreeMultiPolygon", || peer(part));
    group.finish();
}

fn points_of(group: &mut BenchmarkGroup<'_, WallTime>, n: usize, name: &str, mut work: impl FnMut() -> usize) {
    group.throughput(Throughput::Elements(n as u64)).bench_function(name, |b| b.iter(&mut work));
}

fn reader(criterion: &mut Criterion, name: &str, path: &Path) {
    let read = || {
        let file = Input::File(std::fs::File::open(path).expect("it exists"));
        let mut table = points("points", file, &PointColumns::default(), None).expect("it is a table of points");
        let mut n = 0;
        while let Some(batch) = table.next_batch().expect("it is whole") {
            n += batch.ids.len();
        }
        n
    };
    let mut group = criterion.benchmark_group(format!("{name}, points"));
    brief(&mut group);
    points_of(&mut group, read(), "read Parquet", read);
    group.finish();
}

/// Ten samples and seconds, not minutes: a bench of the five million points is run whole.
fn brief(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
}

/// Rounds of the join alone.
const ROUNDS: usize = 7;

/// The join alone, as one line of JSON.
fn join(folder: &Path) {
    let (zoning, x, y) = made(folder).expect("the folder holds the work that `make race` makes");
    // From here on the peak is that of the build.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux");
    let before_mib = memory_mib("VmHWM");
    let build = median(|| {
        let begun = Instant::now();
        std::hint::black_box(ZoneIndex::new(&zoning));
        begun.elapsed().as_secs_f64()
    });
    let index = ZoneIndex::new(&zoning);
    let build_mib = memory_mib("VmHWM") - before_mib;
    let mut answers = vec![0; x.len()];
    let (mut joins, mut loops) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = thread_seconds();
        index.place(&x, &y, &mut answers);
        joins.push(thread_seconds() - begun);
        let begun = thread_seconds();
        plain_loop();
        loops.push(thread_seconds() - begun);
    }
    joins.sort_by(f64::total_cmp);
    loops.sort_by(f64::total_cmp);
    let (seconds, best, [loop_best, loop_worst]) = (joins[ROUNDS / 2], joins[0], [loops[0], loops[ROUNDS - 1]]);
    // The checksum of race.py: of zones by their number, of identifiers by theirs.
    let mut by_zone = vec![(0_u64, 0_u64); zoning.zones().len()];
    for (id, &answer) in (0..).zip(&answers).filter(|(_, answer)| **answer != ZoneIndex::NONE) {
        let code = zoning.zones()[(answer & !ZoneIndex::BORDER) as usize].code.as_str();
        let zone = &mut by_zone[code.parse::<usize>().expect("zones are numbered")];
        *zone = (zone.0 + 1, zone.1 + id);
    }
    const PRIME: u128 = (1 << 61) - 1;
    let sum = |sum: u128, (zone, (n, ids)): (u128, &(u64, u64))| {
        (sum + (zone + 1) * (u128::from(*n) * 1_000_003 + u128::from(*ids))) % PRIME
    };
    let checksum = (0..).zip(&by_zone).fold(0, sum);
    let placed: u64 = by_zone.iter().map(|(n, _)| n).sum();
    let index_mib = index.bytes().map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 20));
    println!(
        "{{\"join\": {seconds}, \"join_best\": {best}, \"loop_best\": {loop_best}, \"loop_worst\": {loop_worst}, \"build\": {build}, \"index_mib\": {index_mib}, \"build_mib\": {build_mib}, \
         \"placed\": {placed}, \"checksum\": {checksum}}}"
    );
}

/// Sums that always take as long on a processor that one has to oneself: where they do not, figures of one run differ by as
/// much, whatever is measured.
fn plain_loop() {
    std::hint::black_box((0..100_000_000_u64).fold(0_u64, |sum, i| std::hint::black_box(sum.wrapping_add(i))));
}

fn median(mut work: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..ROUNDS).map(|_| work()).collect();
    all.sort_by(f64::total_cmp);
    all[ROUNDS / 2]
}

/// CPU seconds of this thread, as Linux counts them.
fn thread_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    told.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// A line of what Linux says of the memory of this process.
fn memory_mib(line: &str) -> f64 {
    let told = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = told.lines().find_map(|l| l.strip_prefix(line)?.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.expect("a line of /proc/self/status") / 1024.0
}

criterion_group!(benches, race);

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--join").skip(1);
    if let Some(folder) = arguments.next() {
        return join(Path::new(&folder));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
