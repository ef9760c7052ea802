//! Placing a million points in the 48 sectors of the demo: our index beside an R-tree of boxes over geo's interval trees,
//! the fastest pure Rust peer of the same kind, in the same run. The ratio is what counts.

use arpent::model::Zoning;
use arpent::steps::read::{Files, ZoneOptions, zones};
use arpent::steps::reproject;
use arpent::steps::validate::validate;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use geo::indexed::IntervalTreeMultiPolygon;
use geo::{BoundingRect, Contains, Point};
use rand::{RngExt, SeedableRng};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

fn sectors() -> Zoning {
    let bytes = include_bytes!("../data/demo/secteurs.zip").to_vec();
    let files = Files { name: "secteurs.zip".to_owned(), parts: vec![("secteurs.zip".to_owned(), bytes)] };
    let layer = zones(&files, &ZoneOptions::default()).expect("the demo layer is readable");
    let metres = reproject::zones(layer.records.accepted).expect("it is in Lambert-93").accepted;
    validate("secteurs", metres, Some(48)).expect("it is a coverage").0
}

fn race(criterion: &mut Criterion) {
    let zoning = sectors();
    // Points in random order over the territory's box: a worst case for caches.
    let mut random = rand_pcg::Pcg64::seed_from_u64(1);
    let n = 1_000_000;
    let x: Vec<f64> = (0..n).map(|_| random.random_range(843_344.0..866_746.0)).collect();
    let y: Vec<f64> = (0..n).map(|_| random.random_range(6_682_023.0..6_701_483.0)).collect();

    let ours = arpent::steps::index::ZoneIndex::new(&zoning);
    let one_thread = || {
        // Chunks below the size at which a second thread starts.
        let parts = x.chunks(16_000).zip(y.chunks(16_000));
        parts
            .map(|(x, y)| arpent::steps::assign::assign(&ours, x, y).iter().filter(|p| p.zone().is_some()).count())
            .sum::<usize>()
    };

    let trees: Vec<IntervalTreeMultiPolygon<f64>> =
        zoning.zones().iter().map(|z| IntervalTreeMultiPolygon::new(z.contour.metres())).collect();
    let boxes = zoning.zones().iter().enumerate().map(|(i, zone)| {
        let bounds = zone.contour.metres().bounding_rect().expect("a zone has an extent");
        GeomWithData::new(Rectangle::from_corners(bounds.min().x_y(), bounds.max().x_y()), i)
    });
    let boxes: RTree<GeomWithData<Rectangle<(f64, f64)>, usize>> = RTree::bulk_load(boxes.collect());
    let peer = || {
        let zone = |(&x, &y): (&f64, &f64)| {
            let mut found = boxes.locate_in_envelope_intersecting(&AABB::from_point((x, y)));
            found.find(|candidate| trees[candidate.data].contains(&Point::new(x, y))).is_some()
        };
        x.iter().zip(&y).filter(|p| zone(*p)).count()
    };
    assert_eq!(one_thread(), peer(), "the two must place the same points");

    let mut group = criterion.benchmark_group("assign, 48 sectors, 1 M points, one thread");
    group.sample_size(10).throughput(Throughput::Elements(n));
    group.bench_function("arpent", |b| b.iter(one_thread));
    group.bench_function("rstar + IntervalTreeMultiPolygon", |b| b.iter(peer));
    group.finish();
}

criterion_group!(benches, race);
criterion_main!(benches);
