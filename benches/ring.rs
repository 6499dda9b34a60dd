//! ring: what a record costs from the writer to a reader on another core, nothing lost, against the
//! queues that one might take instead.
//!
//! The writer is held back when it is a quarter of the queue's 4,096 places ahead of where the
//! reader says that it is. Where the machine has two processors, each thread has its own.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;
use std::time::{Duration, Instant};

use broadtape::limits::{RING_MIN, SLOT_BYTES};
use broadtape::ring::{Segment, ring};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::utils::CachePadded;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Places of each queue, and slots of the ring for records of one slot.
const PLACES: usize = 4096;
/// Records by which the writer is ahead at most.
const AHEAD: u64 = PLACES as u64 / 4;

/// What is sent through the other queues: a record of 48 or 88 bytes with its `ts_out`.
type Words<const N: usize> = [u64; N];

/// How many records the reader has, where the writer sees it.
#[derive(Default)]
struct Gate {
    read: CachePadded<AtomicU64>,
    stop: AtomicBool,
}

impl Gate {
    fn hold(&self, written: u64) {
        wait_until(|| written - self.read.load(Acquire) <= AHEAD);
    }

    fn wait_for(&self, read: u64) {
        wait_until(|| self.read.load(Acquire) >= read);
    }
}

/// Spins, and yields only where the other thread can't be running.
fn wait_until(mut done: impl FnMut() -> bool) {
    for spins in 1_u32.. {
        if done() {
            return;
        }
        match spins % 1000 {
            0 => thread::yield_now(),
            _ => hint::spin_loop(),
        }
    }
}

fn has_two_cpus() -> bool {
    sched_getaffinity(None).unwrap().count() >= 2
}

/// Runs on processor `cpu` alone, where there are two.
fn pinned<R>(cpu: usize, run: impl FnOnce() -> R) -> R {
    let inherited = sched_getaffinity(None).unwrap();
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, if has_two_cpus() { &set } else { &inherited }).unwrap();
    let result = run();
    sched_setaffinity(None, &inherited).unwrap();
    result
}

/// While `then` runs, runs `turn` on a thread of its own; it returns how many records it read.
fn reading(gate: &Arc<Gate>, mut turn: impl FnMut() -> u64 + Send + 'static, then: impl FnOnce()) {
    let beside = gate.clone();
    let read_all = move || {
        let mut read = 0;
        while !beside.stop.load(Relaxed) {
            wait_until(|| {
                let got = turn();
                read += got;
                got > 0 || beside.stop.load(Relaxed)
            });
            beside.read.store(read, Release);
        }
    };
    let reader = thread::spawn(|| pinned(1, read_all));
    then();
    gate.stop.store(true, Relaxed);
    reader.join().unwrap();
}

/// Time for `records`, written `batch` at once and read.
fn timed(gate: &Gate, records: u64, batch: u64, mut write: impl FnMut(u64)) -> Duration {
    let before = gate.read.load(Acquire);
    let start = Instant::now();
    let mut written = before;
    while written < before + records {
        let now = batch.min(before + records - written);
        gate.hold(written + now);
        write(now);
        written += now;
    }
    gate.wait_for(written);
    start.elapsed()
}

fn benchmark(
    c: &mut Criterion,
    name: &str,
    bytes: usize,
    batch: u64,
    gate: &Gate,
    mut write: impl FnMut(u64),
) {
    let mut group = c.benchmark_group(format!("ring/{bytes}"));
    group.throughput(Throughput::Elements(1)).sample_size(30);
    group.bench_function(BenchmarkId::new(name, batch), |b| {
        b.iter_custom(|records| pinned(0, || timed(gate, records, batch, &mut write)));
    });
}

fn broadtape<const N: usize>(c: &mut Criterion, batch: u64) {
    let bare = bare::<N>();
    let slots = (N * 8).div_ceil(SLOT_BYTES);
    let (mut writer, ring) = ring(RING_MIN.max(PLACES * slots * SLOT_BYTES)).unwrap();
    let (mut reader, mut segment) = (ring.reader(), Segment::new(PLACES));
    let gate = Arc::new(Gate::default());
    let turn = move || {
        assert_eq!(reader.read(&mut segment).lost, None);
        hint::black_box(segment.iter().map(|record| record[4] as usize).sum::<usize>());
        segment.len() as u64
    };
    reading(&gate, turn, || {
        benchmark(c, "broadtape", N * 8, batch, &gate, |records| {
            let batch = std::iter::repeat_n(&bare[..], records as usize);
            writer.publish(slots * records as usize, batch, records);
        });
    });
}

/// A record whose `ts_out` makes it `N` words.
fn bare<const N: usize>() -> Vec<u8> {
    let mut bare = vec![7; N * 8 - 8];
    bare[0] = (bare.len() / 4) as u8;
    bare
}

fn crossbeam_channel<const N: usize>(c: &mut Criterion, batch: u64) {
    let (sender, receiver) = crossbeam::channel::bounded::<Words<N>>(PLACES);
    let gate = Arc::new(Gate::default());
    let turn = move || receiver.try_iter().take(PLACES).map(hint::black_box).count() as u64;
    reading(&gate, turn, || {
        benchmark(c, "crossbeam-channel", N * 8, batch, &gate, |records| {
            (0..records).for_each(|record| sender.send([record; N]).unwrap());
        });
    });
}

fn tokio_broadcast<const N: usize>(c: &mut Criterion, batch: u64) {
    let (sender, mut receiver) = tokio::sync::broadcast::channel::<Words<N>>(PLACES);
    let gate = Arc::new(Gate::default());
    let turn = move || {
        let news = std::iter::from_fn(|| receiver.try_recv().ok());
        news.take(PLACES).map(hint::black_box).count() as u64
    };
    reading(&gate, turn, || {
        benchmark(c, "tokio-broadcast", N * 8, batch, &gate, |records| {
            (0..records).for_each(|record| assert!(sender.send([record; N]).is_ok()));
        });
    });
}

fn rtrb<const N: usize>(c: &mut Criterion, batch: u64) {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Words<N>>::new(PLACES);
    let gate = Arc::new(Gate::default());
    let turn = move || {
        let chunk = consumer.read_chunk(consumer.slots()).unwrap();
        chunk.into_iter().map(hint::black_box).count() as u64
    };
    reading(&gate, turn, || {
        benchmark(c, "rtrb", N * 8, batch, &gate, |records| {
            let chunk = producer.write_chunk_uninit(records as usize).unwrap();
            chunk.fill_from_iter((0..records).map(|record| [record; N]));
        });
    });
}

fn disruptor<const N: usize>(c: &mut Criterion, batch: u64) {
    use disruptor::{BusySpin, ProcessorSettings, Producer, Sequence};
    let gate = Arc::new(Gate::default());
    let (beside, mut read) = (gate.clone(), 0);
    let consume = move |event: &Words<N>, _: Sequence, end_of_batch: bool| {
        hint::black_box(*event);
        read += 1;
        if end_of_batch {
            beside.read.store(read, Release);
        }
    };
    let builder = disruptor::build_single_producer(PLACES, || [0; N], BusySpin);
    let builder = if has_two_cpus() { builder.pin_at_core(1) } else { builder };
    let mut producer = builder.handle_events_with(consume).build();
    benchmark(c, "disruptor", N * 8, batch, &gate, |records| {
        producer.batch_publish(records as usize, |events| {
            (0..records).zip(events).for_each(|(record, event)| *event = [record; N]);
        });
    });
}

fn sized<const N: usize>(c: &mut Criterion) {
    for batch in [1, 16, 64] {
        broadtape::<N>(c, batch);
        rtrb::<N>(c, batch);
        disruptor::<N>(c, batch);
        crossbeam_channel::<N>(c, batch);
        tokio_broadcast::<N>(c, batch);
    }
}

criterion_group!(benches, sized::<6>, sized::<11>);
criterion_main!(benches);
