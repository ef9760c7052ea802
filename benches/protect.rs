//! From the files of the demo to a release: read, place, tabulate, protect and audit, two years, three zonings.

use criterion::{Criterion, criterion_group, criterion_main};

fn whole(criterion: &mut Criterion) {
    let order = arpent::cli::demo::order("2026-01-01T00:00:00Z".to_owned()).expect("the demo carries its files");
    let mut group = criterion.benchmark_group("demo");
    group.sample_size(10);
    group.bench_function("files to audited release", |b| {
        b.iter(|| arpent::pipeline::run(&order).expect("the demo can be protected").0.id)
    });
    group.finish();
}

criterion_group!(benches, whole);
criterion_main!(benches);
