//! commit: from the commit of a record (`ts_out`) to the entry of its first send, with one
//! subscriber and a shard that never sleeps, each thread on a core of its own.
//!
//! Not criterion's kind of figure: what counts are the quantiles of single records, a millisecond
//! or so apart. `cargo bench --bench commit`; with `--test` it only shows that it works.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]
#![allow(clippy::print_stdout, reason = "the result")]

#[path = "../tests/loopback/mod.rs"]
mod loopback;

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use broadtape::clock::{Now, unix_now};
use broadtape::feed::{Batch, Feed, Metronome};
use broadtape::limits::{BATCH_BYTES, BATCH_HEADER};
use broadtape::ring::Writer;
use broadtape::socket::write::{Engine, Readiness, Write};
use broadtape::wire::encoding::Encoding;
use hdrhistogram::Histogram;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use loopback::{Loopback, drain};

const TICK: Duration = Duration::from_millis(1);
/// Bytes of a trade with `ts_out`, which is its last word.
const TRADE: usize = 56;
/// A frame of one trade: two bytes of WebSocket head.
const FRAME: usize = 2 + BATCH_HEADER + TRADE;

/// The kernel, with a look at the clock before it is entered.
struct Entered {
    took: Rc<RefCell<Histogram<u64>>>,
}

impl Engine for Entered {
    fn write(&mut self, writes: &mut [Write<'_>]) {
        let now = unix_now();
        if let [Write { parts: [frame], .. }] = writes
            && let (FRAME, Some(ts_out)) = (frame.len(), frame.last_chunk())
        {
            let took = now.saturating_sub(u64::from_le_bytes(*ts_out));
            self.took.borrow_mut().saturating_record(took);
        }
        Readiness.write(writes);
    }
}

/// This thread has a core of its own, where there are two.
fn pin(core: usize) {
    let cores = sched_getaffinity(None).unwrap();
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).collect();
    if allowed.len() > 1 {
        let mut set = CpuSet::new();
        set.set(allowed[core]);
        sched_setaffinity(None, &set).unwrap();
    }
}

/// Ticks of one trade for so long, each at its time.
fn play(writer: &mut Writer, records: u64, mut each: impl FnMut()) {
    let (mut feed, mut batch) = (Metronome::new(1_000, 16), Batch::new(BATCH_BYTES));
    let _ = feed.poll(0, &mut batch);
    let mut due = Instant::now();
    for tick in 1..=records {
        due += TICK;
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        batch.reset(BATCH_BYTES);
        // The metronome knows no errors.
        let _ = feed.poll(tick * TICK.as_nanos() as u64, &mut batch);
        writer.publish_batch(batch.bytes(), batch.iter(), unix_now());
        each();
    }
}

/// A shard that never sleeps, until it is told to stop; what it measured.
fn serve(ready: &Sender<(Writer, TcpStream)>, stop: &AtomicBool) -> Histogram<u64> {
    pin(1);
    let took = Rc::new(RefCell::new(Histogram::new_with_bounds(1, 10_000_000_000, 3).unwrap()));
    let mut loopback = Loopback::new(Entered { took: took.clone() }, 16);
    let params = r#"{"schema":"trades","symbols":"*","snapshot":false}"#;
    let client = loopback.subscribe(Encoding::Dbn, params);
    let (mut shard, mut writer) = loopback.split();
    writer.never_wake();
    ready.send((writer, client)).unwrap();
    while !stop.load(Relaxed) {
        shard.turn(Now::read());
    }
    took.borrow().clone()
}

fn main() {
    let records = if std::env::args().any(|word| word == "--test") { 50 } else { 20_000 };
    let (ready, began) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let busy = thread::spawn(move || serve(&ready, &stopped));
    let (mut writer, client) = began.recv().unwrap();
    pin(0);
    let mut buffer = vec![0; 1 << 16];
    // The client shares the feed's core: it reads what came of the tick before.
    play(&mut writer, records, || _ = drain(&client, &mut buffer));
    stop.store(true, Relaxed);
    let took = busy.join().unwrap();
    let micros = |nanos: u64| nanos as f64 / 1e3;
    let at = |quantile| micros(took.value_at_quantile(quantile));
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(at);
    println!(
        "commit to the entry of the first send, {} records one by one: p50 {p50:.1} µs, \
         p99 {p99:.1} µs, p99.9 {p999:.1} µs, max {:.1} µs",
        took.len(),
        micros(took.max()),
    );
    assert!(!took.is_empty(), "nothing was sent");
}
