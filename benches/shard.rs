//! shard: what a turn costs besides the kernel: ring to segment, matched, framed once for each
//! audience, handed to an engine that takes everything at once.
//!
//! Time and throughput are per turn and per delivered record.

#[path = "../tests/loopback/mod.rs"]
mod loopback;

use std::net::TcpStream;
use std::time::Duration;

use broadtape::feed::{Batch, Feed, Metronome};
use broadtape::limits::BATCH_SLOTS;
use broadtape::socket::write::{Engine, Write};
use broadtape::wire::encoding::Encoding;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use loopback::Loopback;

/// Instruments of the market.
const SYMBOLS: u32 = 500;
/// Instruments of a subscriber that has its own.
const OWN: usize = 20;

/// A kernel without a network.
struct Taken;

impl Engine for Taken {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for write in writes {
            write.taken = Ok(std::hint::black_box(&write.parts).iter().map(|p| p.len()).sum());
        }
    }
}

/// `records` trades of one tick, of one instrument after the other.
fn tick(records: u64) -> Batch {
    let (mut feed, mut batch) = (Metronome::new(records * 1_000, SYMBOLS), Batch::new(BATCH_SLOTS));
    for now in [0, 1_000_000] {
        // The metronome knows no errors.
        let _ = feed.poll(now, &mut batch);
    }
    batch
}

/// Turns with `records` each, which bring `delivered` to all subscribers together.
fn turns(c: &mut Criterion, name: &str, shard: &mut Loopback<Taken>, records: u64, delivered: u64) {
    let batch = tick(records);
    let mut group = c.benchmark_group("shard");
    group.throughput(Throughput::Elements(delivered));
    group.bench_function(BenchmarkId::new(name, records), |b| {
        b.iter(|| {
            shard.pass(Duration::from_millis(1));
            shard.commit(&batch);
            shard.turn()
        });
    });
}

/// One audience of 100 that get everything.
fn one_audience(c: &mut Criterion, name: &str, encoding: Encoding) {
    let mut shard = Loopback::new(Taken, SYMBOLS);
    let params = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let _clients: Vec<TcpStream> = (0..100).map(|_| shard.subscribe(encoding, params)).collect();
    for records in [1, 10, 100, 300] {
        turns(c, name, &mut shard, records, records * 100);
    }
}

/// 1,000 audiences of one, each with its own 20 of 500 symbols: an instrument reaches 40 of them.
fn own_symbols(c: &mut Criterion) {
    let mut shard = Loopback::new(Taken, SYMBOLS);
    let symbols: Vec<String> =
        Metronome::new(1, SYMBOLS).instruments().into_iter().map(|i| i.symbol).collect();
    let own = |client: usize| {
        let mine = (0..OWN).map(|n| &symbols[(client * 7 + n * 23) % symbols.len()]);
        let mine: Vec<_> = mine.collect();
        format!(r#"{{"schema":"trades","symbols":{mine:?},"snapshot":false}}"#)
    };
    let clients = 0..1_000;
    let _clients: Vec<TcpStream> =
        clients.map(|client| shard.subscribe(Encoding::Dbn, &own(client))).collect();
    for records in [1, 10, 100] {
        turns(c, "own 20 of 500", &mut shard, records, records * 40);
    }
}

fn audiences(c: &mut Criterion) {
    one_audience(c, "one audience", Encoding::Dbn);
    one_audience(c, "one audience, json", Encoding::Json);
    own_symbols(c);
}

criterion_group!(benches, audiences);
criterion_main!(benches);
