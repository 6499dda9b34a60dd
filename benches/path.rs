//! path: the whole way of a tick on one core: feed, ring, shard, loopback sockets. What is measured
//! is the processor time of that thread, in which the kernel's part is most.
//!
//! Another thread, on another core where there is one, reads what the subscribers are sent. The
//! feed waits for it, asleep, when it is far ahead: nothing is lost, and waiting costs no processor
//! time.

#[path = "../tests/loopback/mod.rs"]
mod loopback;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broadtape::feed::{Batch, Feed, Metronome};
use broadtape::limits::{BATCH_BYTES, BATCH_HEADER};
use broadtape::socket::write::Readiness;
use broadtape::wire::encoding::Encoding;
use broadtape::wire::frame::{self, Opcode};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use loopback::{Loopback, drain};

const MILLI: u64 = 1_000_000;
/// Bytes of a trade with `ts_out`.
const TRADE: u64 = 56;
/// Unread bytes for each subscriber at most.
const AHEAD: u64 = 64 << 10;
/// How long what was sent may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// The subscribers' side.
struct Readers {
    read: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Readers {
    fn start(streams: Vec<TcpStream>) -> Self {
        let (read, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (read.clone(), stop.clone());
        let thread = thread::spawn(move || {
            pin(1);
            let mut buffer = vec![0; 1 << 18];
            while !ended.load(Relaxed) {
                let bytes: usize = streams.iter().map(|s| drain(s, &mut buffer)).sum();
                count.fetch_add(bytes as u64, Release);
                thread::yield_now();
            }
        });
        Self { read, stop, thread: Some(thread) }
    }

    /// Sleeps until at most `unread` of `sent` bytes are on their way.
    fn wait(&self, sent: u64, unread: u64) {
        let start = Instant::now();
        while sent.saturating_sub(self.read.load(Acquire)) > unread {
            thread::sleep(Duration::from_micros(50));
            assert!(start.elapsed() < PATIENCE, "of {sent} bytes some are lost");
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn pin(cpu: usize) {
    if thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        let mut set = CpuSet::new();
        set.set(cpu);
        let _ = sched_setaffinity(None, &set);
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes of a frame of so many records.
fn framed(records: u64) -> u64 {
    let payload = BATCH_HEADER as u64 + records * TRADE;
    frame::head(Opcode::Binary, payload as usize).len() as u64 + payload
}

fn ticks(c: &mut Criterion, subscribers: u64, records: u64) {
    let mut shard = Loopback::new(Readiness, 200);
    let params = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let streams: Vec<TcpStream> =
        (0..subscribers).map(|_| shard.subscribe(Encoding::Dbn, params)).collect();
    // Welcome, answer and mappings are no part of it.
    let mut buffer = vec![0; 1 << 16];
    streams.iter().for_each(|stream| _ = drain(stream, &mut buffer));
    let readers = Readers::start(streams);
    let (mut feed, mut batch) = (Metronome::new(records * 1_000, 200), Batch::new(BATCH_BYTES));
    let (mut time, mut sent) = (0, 0);
    let _ = feed.poll(time, &mut batch);
    let mut tick = || {
        time += MILLI;
        batch.reset(BATCH_BYTES);
        // The metronome knows no errors.
        let _ = feed.poll(time, &mut batch);
        shard.commit(&batch);
        shard.turn();
        sent += subscribers * framed(records);
        readers.wait(sent, subscribers * AHEAD);
        sent
    };
    let mut group = c.benchmark_group(format!("path/{subscribers}"));
    group.throughput(Throughput::Elements(subscribers * records)).sample_size(20);
    group.bench_function(BenchmarkId::new("records a tick", records), |b| {
        b.iter_custom(|turns| {
            let start = processor_time();
            let sent = (0..turns).map(|_| tick()).last().unwrap_or(0);
            let took = processor_time() - start;
            // All of it arrives.
            readers.wait(sent, 0);
            took
        });
    });
    group.finish();
}

fn path(c: &mut Criterion) {
    pin(0);
    for (subscribers, records) in [(1, 1), (1, 100), (100, 1), (100, 10), (100, 100), (100, 300)] {
        ticks(c, subscribers, records);
    }
}

criterion_group!(benches, path);
criterion_main!(benches);
