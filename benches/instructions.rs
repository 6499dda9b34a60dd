//! instructions: how many each stage takes for the same work, counted by callgrind. Time depends on
//! the machine and its neighbours, this does not: `tools/check.sh count` fails where a stage
//! takes more than its limit, which is a tenth above what was counted.
//!
//! Another compiler or libc may count differently: then the figures below are counted anew, with
//! the reason in the commit.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]
#![allow(missing_docs, unused_qualifications, reason = "what the macros make")]

#[path = "../tests/loopback/mod.rs"]
mod loopback;

use std::hint::black_box;
use std::net::TcpStream;

use broadtape::feed::{Batch, Feed, Metronome, Scenario, Sim, SimOptions};
use broadtape::limits::{BATCH_BYTES, CLIENT_MESSAGE_MAX, RING_MIN};
use broadtape::ring::{Reader, Segment, Writer, ring};
use broadtape::socket::read::Guard;
use broadtape::socket::write::{Engine, Write};
use broadtape::wire::encoding::Encoding;
use broadtape::wire::record::{Mbp10Msg, bytes_of, header, rtype};
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use loopback::{Loopback, masked};

const MILLI: u64 = 1_000_000;
/// Records of a batch or a tick.
const RECORDS: u64 = 100;

/// Fails above a tenth more than `counted` instructions.
fn at_most(counted: u64) -> LibraryBenchmarkConfig {
    bounded(&mut Callgrind::default(), [(EventKind::Ir, counted)])
}

/// The same with stores.
fn at_most_with_stores(counted: u64, stores: u64) -> LibraryBenchmarkConfig {
    let counted = [(EventKind::Ir, counted), (EventKind::Dw, stores)];
    bounded(&mut Callgrind::with_args(["--cache-sim=yes"]), counted)
}

fn bounded<const N: usize>(
    tool: &mut Callgrind,
    counted: [(EventKind, u64); N],
) -> LibraryBenchmarkConfig {
    let limits = counted.map(|(kind, counted)| (kind, counted + counted / 10));
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(&mut *tool.hard_limits(limits));
    config
}

/// A tick of so many trades, each of another instrument.
fn tick(records: u64) -> Batch {
    let (mut feed, mut batch) =
        (Metronome::new(records * 1_000, RECORDS as u32), Batch::new(BATCH_BYTES));
    for now in [0, MILLI] {
        feed.poll(now, &mut batch).unwrap();
    }
    batch
}

/// A market that is about to bring a millisecond at a million records a second.
fn market() -> Box<(Sim, Batch, u64)> {
    let scenario = Scenario::named("calm").unwrap();
    let options = SimOptions { symbols: 100, rate: 1_000_000, seed: 1, scenario };
    let (mut sim, mut batch) = (Sim::new(options).unwrap(), Batch::new(BATCH_BYTES));
    let mut now = 1_700_490_600_000 * MILLI;
    for _ in 0..100 {
        now += MILLI;
        sim.poll(now, &mut batch).unwrap();
        batch.reset(BATCH_BYTES);
    }
    Box::new((sim, batch, now + MILLI))
}

#[library_benchmark(config = at_most(303_500))]
#[bench::a_millisecond_of_1000_records(setup = market)]
fn feed(mut market: Box<(Sim, Batch, u64)>) -> Box<(Sim, Batch, u64)> {
    let (sim, batch, now) = &mut *market;
    sim.poll(*now, batch).unwrap();
    market
}

/// Boxed like all that is prepared: what is handed over by value is copied, and that would count.
struct Pipe {
    writer: Writer,
    reader: Reader,
    segment: Segment,
    batch: Batch,
}

fn pipe() -> Box<Pipe> {
    let (writer, ring) = ring(RING_MIN).unwrap();
    let (reader, segment) = (ring.reader(), Segment::new(64 * RECORDS as usize));
    Box::new(Pipe { writer, reader, segment, batch: tick(RECORDS) })
}

/// With a commit to read.
fn full() -> Box<Pipe> {
    let mut pipe = pipe();
    pipe.writer.publish_batch(pipe.batch.bytes(), pipe.batch.iter(), 1);
    pipe
}

/// Records of a length that the writer has to find out: books of ten levels.
fn deep() -> Box<Pipe> {
    let mut pipe = pipe();
    pipe.batch.reset(BATCH_BYTES);
    let hd = header::<Mbp10Msg>(rtype::MBP_10, 1, 1, 1);
    let book = Mbp10Msg { hd, ..Mbp10Msg::default() };
    (0..40).for_each(|_| assert!(pipe.batch.push(bytes_of(&book))));
    pipe
}

/// With a tick of one record.
fn alone() -> Box<Pipe> {
    let mut pipe = pipe();
    pipe.writer.never_wake();
    pipe.batch = tick(1);
    pipe
}

#[library_benchmark]
#[bench::a_commit_of_100(setup = pipe, config = at_most(5_360))]
#[bench::a_commit_of_40_deep(setup = deep, config = at_most(8_530))]
fn ring_write(mut pipe: Box<Pipe>) -> Box<Pipe> {
    pipe.writer.publish_batch(pipe.batch.bytes(), pipe.batch.iter(), 1);
    pipe
}

// As many commits of one record each. Why stores count is told in `src/ring/writer.rs`.
#[library_benchmark(config = at_most_with_stores(7_494, 1_041))]
#[bench::alone(setup = alone)]
fn ring_publish(mut pipe: Box<Pipe>) -> Box<Pipe> {
    for _ in 0..RECORDS {
        pipe.writer.publish(pipe.batch.only().unwrap_or_default(), 1);
    }
    pipe
}

#[library_benchmark(config = at_most(4_450))]
#[bench::of_100(setup = full)]
fn ring_read(mut pipe: Box<Pipe>) -> Box<Pipe> {
    let _ = black_box(pipe.reader.read(&mut pipe.segment));
    pipe
}

/// A kernel that takes everything at once.
struct Taken;

impl Engine for Taken {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        for write in writes {
            write.taken = Ok(black_box(write.parts).iter().map(|part| part.len()).sum());
        }
    }
}

/// A shard with 100 subscribers of everything, warm, and a tick committed.
fn shard(encoding: Encoding, records: u64) -> Box<(Loopback<Taken>, Vec<TcpStream>)> {
    let mut shard = Loopback::new(Taken, RECORDS as u32);
    let params = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let clients = (0..100).map(|_| shard.subscribe(encoding, params)).collect();
    let batch = tick(records);
    for _ in 0..10 {
        shard.commit(&batch);
        shard.turn();
    }
    shard.commit(&batch);
    Box::new((shard, clients))
}

#[library_benchmark]
#[bench::of_1_to_100(args = (Encoding::Dbn, 1), setup = shard, config = at_most(21_850))]
#[bench::of_100_to_100(args = (Encoding::Dbn, RECORDS), setup = shard, config = at_most(63_500))]
#[bench::json_of_100_to_100(
    args = (Encoding::Json, RECORDS), setup = shard, config = at_most(314_100))]
fn turn(
    mut warm: Box<(Loopback<Taken>, Vec<TcpStream>)>,
) -> Box<(Loopback<Taken>, Vec<TcpStream>)> {
    black_box(warm.0.turn());
    warm
}

fn request() -> Box<(Guard, Vec<u8>)> {
    let text = r#"{"id":1,"method":"subscribe","params":{"schema":"trades","symbols":"*"}}"#;
    Box::new((Guard::new(CLIENT_MESSAGE_MAX), masked(text.as_bytes())))
}

#[library_benchmark(config = at_most(500))]
#[bench::a_request(setup = request)]
fn socket_read(mut sent: Box<(Guard, Vec<u8>)>) -> Box<(Guard, Vec<u8>)> {
    let (guard, bytes) = &mut *sent;
    assert!(black_box(guard.next(&mut &mut bytes[..])).is_ok());
    sent
}

library_benchmark_group!(
    name = stages,
    benchmarks = [feed, ring_write, ring_publish, ring_read, turn, socket_read]
);
main!(library_benchmark_groups = stages);
