//! The statistics over runs of the sizes that reports meet.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pepjit_benchmarks::{Noise, suite, warming_process};
use pepjit_harness::stats::paired::{Paired, bootstrap_t, required_pairs, sign_flip_exact};
use pepjit_harness::stats::{multiple, suite as suites, warmup};

fn paired(c: &mut Criterion) {
    let differences: Vec<f64> = Noise::new(1).take(20).collect();
    c.bench_function("paired interval, claim and MDE", |b| {
        b.iter(|| {
            let p = Paired::new(black_box(&differences)).expect("pairs");
            (p.interval(0.05), p.p_above(0.02), p.mde(0.05))
        });
    });
    c.bench_function("required pairs", |b| b.iter(|| required_pairs(black_box(0.05), 0.005, 0.05, 0.8)));
    c.bench_function("sign flip, 16 pairs", |b| b.iter(|| sign_flip_exact(black_box(&differences[..16]))));
    c.bench_function("bootstrap-t, 2000 resamples", |b| b.iter(|| bootstrap_t(black_box(&differences), 0.05, 2000, 7)));
}

fn many(c: &mut Criterion) {
    let p: Vec<f64> = Noise::new(2).take(500).collect();
    c.bench_function("Holm over 500", |b| b.iter(|| multiple::holm(black_box(&p))));
    let differences = suite(100, 20, 3);
    c.bench_function("suite of 100 over 20 rounds", |b| b.iter(|| suites::over_rounds(black_box(&differences))));
}

fn warm_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("classify a process");
    for iterations in [200, 2000] {
        let times = warming_process(iterations, 4);
        group.bench_with_input(BenchmarkId::from_parameter(iterations), &times, |b, times| {
            b.iter(|| warmup::classify(black_box(times)));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = paired, many, warm_up
}
criterion_main!(benches);
