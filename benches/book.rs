//! book: what an order costs its book, and what it costs to derive from it, flat out on one core.
//!
//! `cargo bench --bench book`; `cargo bench --bench book -- --test` runs each once, as CI does.
//! Orders are random ones, and those of the ES future where that recording is (see
//! `BROADTAPE_DATA`). Throughput counts `mbo` records; each iteration plays all of them into a book
//! that begins empty.

use std::path::{Path, PathBuf};

use broadtape::book::{Book, Event};
use broadtape::feed::{Batch, Deriver};
use broadtape::limits::{BATCH_BYTES, BOOK_ORDERS_MAX};
use broadtape::wire::file::Reader;
use broadtape::wire::instrument::bit;
use broadtape::wire::record::{FlagSet, MboMsg, Schema, bytes_of, flags, header, index_ts, rtype};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};

const RECORDING: &str = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";
/// Bytes of an `mbo` record.
const ORDER: usize = size_of::<MboMsg>();

/// Bare `mbo` records, end to end.
struct Orders {
    name: &'static str,
    records: Vec<u8>,
}

impl Orders {
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.records.chunks_exact(ORDER)
    }
}

fn recorded() -> Option<Orders> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("BROADTAPE_DATA").map_or_else(beside, PathBuf::from);
    let mut reader = Reader::open(&folder.join(RECORDING)).ok()?;
    let mut records = Vec::new();
    while let Ok(true) = reader.advance() {
        records.extend_from_slice(reader.record());
    }
    Some(Orders { name: "ESH4", records })
}

/// Orders that come and go around a price, 10,000 of them resting.
fn random() -> Orders {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(1);
    let mut resting: Vec<(u64, u8, i64)> = Vec::new();
    let mut records = Vec::new();
    for n in 0..100_000u64 {
        let full = resting.len() >= 10_000;
        let (action, (id, side, price)) = if full && random.random_bool(0.5) {
            (b'C', resting.swap_remove(random.random_range(0..resting.len())))
        } else {
            let bid = random.random_bool(0.5);
            let away = random.random_range(0..40) * random.random_range(1..20);
            let price = if bid { 10_000 - away } else { 10_001 + away };
            resting.push((n, if bid { b'B' } else { b'A' }, price));
            (b'A', resting[resting.len() - 1])
        };
        let hd = header::<MboMsg>(rtype::MBO, 64_900, 1, n);
        let order = MboMsg {
            hd,
            order_id: id,
            price,
            size: 1,
            flags: FlagSet::new(flags::LAST),
            action: action as i8,
            side: side as i8,
            ts_recv: n,
            ..MboMsg::default()
        };
        records.extend_from_slice(bytes_of(&order));
    }
    Orders { name: "random", records }
}

fn apply(orders: &Orders) -> usize {
    let (mut book, mut room) = (Book::default(), BOOK_ORDERS_MAX);
    for record in orders.each() {
        book.apply(&Event::of(record), &mut room);
    }
    book.len()
}

fn derive(deriver: &mut Deriver, out: &mut Batch, orders: &Orders) -> usize {
    let mut derived = 0;
    for record in orders.each() {
        while !deriver.observe(record, out) {
            out.reset(BATCH_BYTES);
        }
        while !deriver.follow(out) {
            derived += out.len();
            out.reset(BATCH_BYTES);
        }
    }
    while !deriver.finish(out) {
        out.reset(BATCH_BYTES);
    }
    derived
}

fn books(c: &mut Criterion) {
    for orders in std::iter::once(random()).chain(recorded()) {
        assert!(orders.each().all(|record| index_ts(record) != u64::MAX));
        let mut group = c.benchmark_group("book");
        group.throughput(Throughput::Elements(orders.each().count() as u64));
        group.bench_function(BenchmarkId::new("apply", orders.name), |b| b.iter(|| apply(&orders)));
        let masks = [("mbp-1", bit(Schema::Mbp1)), ("all", Deriver::SCHEMAS)];
        for (name, mask) in masks {
            let (mut deriver, mut out) = (Deriver::new(mask), Batch::new(BATCH_BYTES));
            let id = BenchmarkId::new(format!("derive-{name}"), orders.name);
            group.bench_function(id, |b| b.iter(|| derive(&mut deriver, &mut out, &orders)));
        }
        group.finish();
    }
}

criterion_group!(benches, books);
criterion_main!(benches);
