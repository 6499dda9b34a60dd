//! shard: what a turn costs besides the kernel: ring to segment, matched, framed once for each
//! audience, handed to an engine that takes everything at once.
//!
//! Time and throughput are per turn and per delivered record.

#[path = "../tests/loopback/mod.rs"]
mod loopback;

use std::cell::Cell;
use std::net::TcpStream;
use std::rc::Rc;

use broadtape::feed::{Batch, Feed, Metronome};
use broadtape::limits::BATCH_BYTES;
use broadtape::socket::write::{Engine, Write};
use broadtape::wire::encoding::Encoding;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use loopback::Loopback;

/// Instruments of the market.
const SYMBOLS: u32 = 500;
/// Instruments of a subscriber that has its own.
const OWN: usize = 20;

/// A kernel without a network, which counts its calls.
#[derive(Clone, Default)]
struct Taken(Rc<Cell<u64>>);

impl Engine for Taken {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        self.0.update(|calls| calls + writes.len() as u64);
        for write in writes {
            write.taken = Ok(std::hint::black_box(write.parts).iter().map(|p| p.len()).sum());
        }
    }
}

/// `records` trades of one tick, of one instrument after the other.
fn tick(records: u64) -> Batch {
    let (mut feed, mut batch) = (Metronome::new(records * 1_000, SYMBOLS), Batch::new(BATCH_BYTES));
    for now in [0, 1_000_000] {
        // The metronome knows no errors.
        let _ = feed.poll(now, &mut batch);
    }
    batch
}

/// A shard and its kernel.
struct Bench {
    shard: Loopback<Taken>,
    taken: Taken,
    _clients: Vec<TcpStream>,
}

impl Bench {
    fn new(encoding: Encoding, params: impl Iterator<Item = String>) -> Self {
        let taken = Taken::default();
        let mut shard = Loopback::new(taken.clone(), SYMBOLS);
        let clients = params.map(|params| shard.subscribe(encoding, &params)).collect();
        Self { shard, taken, _clients: clients }
    }
}

/// Turns with `records` each, which bring `delivered` to all subscribers together. Time stands
/// still, so that nobody is missed for not answering pings.
fn turns(c: &mut Criterion, name: &str, bench: &mut Bench, records: u64, delivered: u64) {
    let (batch, Bench { shard, taken, .. }) = (tick(records), bench);
    let mut group = c.benchmark_group("shard");
    group.throughput(Throughput::Elements(delivered));
    group.bench_function(BenchmarkId::new(name, records), |b| {
        b.iter(|| {
            shard.commit(&batch);
            shard.turn()
        });
    });
    let before = taken.0.get();
    shard.commit(&batch);
    shard.turn();
    assert!(taken.0.get() >= before + delivered / records, "the subscribers were served");
}

/// One audience of 100 that get everything.
fn one_audience(c: &mut Criterion, name: &str, encoding: Encoding) {
    let params = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let mut bench = Bench::new(encoding, (0..100).map(|_| params.to_owned()));
    for records in [1, 10, 100, 300] {
        turns(c, name, &mut bench, records, records * 100);
    }
}

/// 1,000 audiences of one, each with its own 20 of 500 symbols: an instrument reaches 40 of them.
fn own_symbols(c: &mut Criterion) {
    let symbols: Vec<String> =
        Metronome::new(1, SYMBOLS).instruments().into_iter().map(|i| i.symbol).collect();
    let own = |client: usize| {
        let mine = (0..OWN).map(|n| &symbols[(client * 7 + n * 23) % symbols.len()]);
        let mine: Vec<_> = mine.collect();
        format!(r#"{{"schema":"trades","symbols":{mine:?},"snapshot":false}}"#)
    };
    let mut bench = Bench::new(Encoding::Dbn, (0..1_000).map(own));
    for records in [1, 10, 100] {
        turns(c, "own 20 of 500", &mut bench, records, records * 40);
    }
}

fn audiences(c: &mut Criterion) {
    one_audience(c, "one audience", Encoding::Dbn);
    one_audience(c, "one audience, json", Encoding::Json);
    own_symbols(c);
}

criterion_group!(benches, audiences);
criterion_main!(benches);
