//! feed: what a record costs its source, on a virtual clock and flat out.
//!
//! `cargo bench --bench feed`; `cargo bench --bench feed -- --test` runs each once, as CI does.
//! Throughput counts records, definitions and derived ones too.

use std::time::Duration;

use broadtape::feed::{Batch, Deriver, Feed, Metronome, Next, Scenario, Sim, SimOptions};
use broadtape::limits::BATCH_BYTES;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const RATE: u64 = 1_000_000;
const MILLI: u64 = 1_000_000;
/// Records in one measured iteration, about.
const RECORDS: u64 = 10_000;

/// A source on a clock that only this turns.
struct Bench<F> {
    feed: F,
    now: u64,
    batch: Batch,
}

impl<F: Feed> Bench<F> {
    /// A second into its life: what it says at the beginning has been said.
    fn new(feed: F) -> Self {
        let mut new = Self { feed, now: 1_700_490_600_000 * MILLI, batch: Batch::new(BATCH_BYTES) };
        for _ in 0..1_000 {
            new.tick(|_| {});
        }
        new
    }

    /// A millisecond of it, batch by batch.
    fn tick(&mut self, mut each: impl FnMut(&Batch)) {
        self.now += MILLI;
        while let Ok(next) = self.feed.poll(self.now, &mut self.batch) {
            each(&self.batch);
            self.batch.reset(BATCH_BYTES);
            if next != Next::Ready {
                break;
            }
        }
    }

    /// About [`RECORDS`] records; how many it was.
    fn run(&mut self) -> u64 {
        let mut records = 0;
        while records < RECORDS {
            self.tick(|batch| records += batch.len() as u64);
        }
        records
    }
}

fn market(scenario: &str, symbols: u32) -> Option<Bench<Sim>> {
    let scenario = Scenario::named(scenario).ok()?;
    Sim::new(SimOptions { symbols, rate: RATE, seed: 1, scenario }).ok().map(Bench::new)
}

/// Time for `records` records, from runs that bring about as many.
fn measure<F: Feed>(bench: &mut Bench<F>, iterations: u64) -> Duration {
    let start = std::time::Instant::now();
    let mut records = 0;
    for _ in 0..iterations {
        records += bench.run();
    }
    start.elapsed().mul_f64((iterations * RECORDS) as f64 / records as f64)
}

fn sources(c: &mut Criterion) {
    let mut group = c.benchmark_group("feed");
    group.throughput(Throughput::Elements(RECORDS));
    for symbols in [200, 20_000] {
        let Some(mut sim) = market("calm", symbols) else { continue };
        let id = BenchmarkId::new("sim", symbols);
        group.bench_function(id, |b| b.iter_custom(|n| measure(&mut sim, n)));
    }
    let mut metronome = Bench::new(Metronome::new(RATE, 200));
    group.bench_function("metronome", |b| b.iter_custom(|n| measure(&mut metronome, n)));
    group.finish();
}

fn derived(c: &mut Criterion) {
    let mut group = c.benchmark_group("feed/derive");
    for symbols in [200, 20_000] {
        let Some(mut sim) = market("calm", symbols) else { continue };
        let mut records = Vec::new();
        for _ in 0..1_000 {
            sim.tick(|batch| records.extend(batch.iter().map(<[u8]>::to_vec)));
        }
        group.throughput(Throughput::Elements(records.len() as u64));
        group.bench_function(BenchmarkId::new("observe", symbols), |b| {
            let (mut deriver, mut out) = (Deriver::new(Deriver::SCHEMAS), Batch::new(BATCH_BYTES));
            b.iter(|| {
                for record in &records {
                    while !deriver.observe(record, &mut out) {
                        out.reset(BATCH_BYTES);
                    }
                    while !deriver.follow(&mut out) {
                        out.reset(BATCH_BYTES);
                    }
                }
                while !deriver.finish(&mut out) {
                    out.reset(BATCH_BYTES);
                }
                out.reset(BATCH_BYTES);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sources, derived);
criterion_main!(benches);
