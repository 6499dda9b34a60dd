//! ring: what a record costs from the writer to a reader on another core, nothing lost, against the
//! queues that one might take instead.
//!
//! The writer is held back when it is a quarter of the queue's 4,096 places ahead of where the
//! reader says that it is. Where the machine has two processors, each thread has its own.
//!
//! `broadtape` is like its rivals here: nobody sleeps, as with `serve --busy`. `broadtape-waking`
//! looks for sleepers after each commit, as without; rivals that can wake one do so at a price too.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;
use std::time::{Duration, Instant};

use broadtape::limits::RING_MIN;
use broadtape::ring::{Segment, Wake, ring};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::utils::CachePadded;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Places of each queue, and records for which the ring has room.
const PLACES: usize = 4096;
/// Records by which the writer is ahead at most.
const AHEAD: u64 = PLACES as u64 / 4;

/// What is sent through the other queues: a record of 48 or 88 bytes with its `ts_out`.
type Words<const N: usize> = [u64; N];

/// How many records each reader has, where the writer sees it.
struct Gate {
    read: Box<[CachePadded<AtomicU64>]>,
    stop: AtomicBool,
}

impl Gate {
    fn new(readers: usize) -> Arc<Self> {
        let read = (0..readers).map(|_| CachePadded::default()).collect();
        Arc::new(Self { read, stop: AtomicBool::new(false) })
    }

    /// What the slowest has.
    fn slowest(&self) -> u64 {
        self.read.iter().map(|read| read.load(Acquire)).min().unwrap()
    }

    fn hold(&self, written: u64) {
        wait_until(|| written - self.slowest() <= AHEAD);
    }

    fn wait_for(&self, read: u64) {
        wait_until(|| self.slowest() >= read);
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

/// While `then` runs, runs each of `turns` on a thread of its own; it returns how many records it
/// read. With two processors the readers have the second one for themselves.
fn reading<T: FnMut() -> u64 + Send + 'static>(
    gate: &Arc<Gate>,
    turns: Vec<T>,
    then: impl FnOnce(),
) {
    let read_all = |(place, mut turn): (usize, T)| {
        let gate = gate.clone();
        move || {
            let mut read = 0;
            while !gate.stop.load(Relaxed) {
                wait_until(|| {
                    let got = turn();
                    read += got;
                    got > 0 || gate.stop.load(Relaxed)
                });
                gate.read[place].store(read, Release);
            }
        }
    };
    let readers = turns.into_iter().enumerate().map(read_all);
    let readers: Vec<_> = readers.map(|read| thread::spawn(|| pinned(1, read))).collect();
    then();
    gate.stop.store(true, Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

/// Time for `records`, written `batch` at once and read.
fn timed(gate: &Gate, records: u64, batch: u64, mut write: impl FnMut(u64)) -> Duration {
    let before = gate.slowest();
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

/// What is measured: records of so many words in batches of so many, for so many readers.
#[derive(Clone, Copy)]
struct Case {
    words: usize,
    batch: u64,
    readers: usize,
}

fn benchmark(c: &mut Criterion, name: &str, case: Case, gate: &Gate, mut write: impl FnMut(u64)) {
    let Case { words, batch, readers } = case;
    let more = if readers > 1 { format!("-{readers}-readers") } else { String::new() };
    let mut group = c.benchmark_group(format!("ring/{}{more}", words * 8));
    group.throughput(Throughput::Elements(1)).sample_size(30);
    group.bench_function(BenchmarkId::new(name, batch), |b| {
        b.iter_custom(|records| pinned(0, || timed(gate, records, batch, &mut write)));
    });
}

/// A reader that could be woken.
struct Sleeper;

impl Wake for Sleeper {
    fn wake(&self) {}
}

fn broadtape<const N: usize>(c: &mut Criterion, case: Case, wakes: bool) {
    let bare = bare::<N>();
    let (mut writer, ring) = ring(RING_MIN.max(PLACES * N * 8)).unwrap();
    match wakes {
        true => ring.waits().register(0, Arc::new(Sleeper)),
        false => writer.never_wake(),
    }
    let name = if wakes { "broadtape-waking" } else { "broadtape" };
    let turn = |_| {
        let (mut reader, mut segment) = (ring.reader(), Segment::new(PLACES * N * 8));
        move || {
            assert_eq!(reader.read(&mut segment).lost, None);
            hint::black_box(segment.iter().map(|record| record[4] as usize).sum::<usize>());
            segment.len() as u64
        }
    };
    let gate = Gate::new(case.readers);
    reading(&gate, (0..case.readers).map(turn).collect(), || {
        benchmark(c, name, case, &gate, |records| {
            if records == 1 {
                writer.publish(&bare, records);
            } else {
                let batch = std::iter::repeat_n(&bare[..], records as usize);
                writer.publish_batch(N * 8 * records as usize, batch, records);
            }
        });
    });
}

/// A record whose `ts_out` makes it `N` words.
fn bare<const N: usize>() -> Vec<u8> {
    let mut bare = vec![7; N * 8 - 8];
    bare[0] = (bare.len() / 4) as u8;
    bare
}

/// A queue for each reader.
fn crossbeam_channel<const N: usize>(c: &mut Criterion, case: Case) {
    let queues = (0..case.readers).map(|_| crossbeam::channel::bounded::<Words<N>>(PLACES));
    let (senders, receivers): (Vec<_>, Vec<_>) = queues.unzip();
    let turn = |receiver: crossbeam::channel::Receiver<Words<N>>| {
        move || receiver.try_iter().take(PLACES).map(hint::black_box).count() as u64
    };
    let gate = Gate::new(case.readers);
    reading(&gate, receivers.into_iter().map(turn).collect(), || {
        benchmark(c, "crossbeam-channel", case, &gate, |records| {
            let send = |sender: &crossbeam::channel::Sender<Words<N>>| {
                (0..records).for_each(|record| sender.send([record; N]).unwrap());
            };
            senders.iter().for_each(send);
        });
    });
}

fn tokio_broadcast<const N: usize>(c: &mut Criterion, case: Case) {
    let (sender, _) = tokio::sync::broadcast::channel::<Words<N>>(PLACES);
    let turn = |_| {
        let mut receiver = sender.subscribe();
        move || {
            let news = std::iter::from_fn(|| receiver.try_recv().ok());
            news.take(PLACES).map(hint::black_box).count() as u64
        }
    };
    let gate = Gate::new(case.readers);
    reading(&gate, (0..case.readers).map(turn).collect(), || {
        benchmark(c, "tokio-broadcast", case, &gate, |records| {
            (0..records).for_each(|record| assert!(sender.send([record; N]).is_ok()));
        });
    });
}

/// A queue for each reader.
fn rtrb<const N: usize>(c: &mut Criterion, case: Case) {
    let queues = (0..case.readers).map(|_| rtrb::RingBuffer::<Words<N>>::new(PLACES));
    let (mut producers, consumers): (Vec<_>, Vec<_>) = queues.unzip();
    let turn = |mut consumer: rtrb::Consumer<Words<N>>| {
        move || {
            let chunk = consumer.read_chunk(consumer.slots()).unwrap();
            chunk.into_iter().map(hint::black_box).count() as u64
        }
    };
    let gate = Gate::new(case.readers);
    reading(&gate, consumers.into_iter().map(turn).collect(), || {
        benchmark(c, "rtrb", case, &gate, |records| {
            for producer in &mut producers {
                if records == 1 {
                    producer.push([records; N]).unwrap();
                    continue;
                }
                let chunk = producer.write_chunk_uninit(records as usize).unwrap();
                chunk.fill_from_iter((0..records).map(|record| [record; N]));
            }
        });
    });
}

/// Up to four consumers, each on a thread of the crate's.
fn disruptor<const N: usize>(c: &mut Criterion, case: Case) {
    use disruptor::{BusySpin, ProcessorSettings, Producer, Sequence};
    let gate = Gate::new(case.readers);
    let consume = |place: usize| {
        let (beside, mut read) = (gate.clone(), 0);
        move |event: &Words<N>, _: Sequence, end_of_batch: bool| {
            hint::black_box(*event);
            read += 1;
            if end_of_batch {
                beside.read[place].store(read, Release);
            }
        }
    };
    macro_rules! with_consumers {
        ($builder:expr, $($place:expr),+) => {{
            let builder = $builder;
            $(
                let builder = if has_two_cpus() { builder.pin_at_core(1) } else { builder };
                let builder = builder.handle_events_with(consume($place));
            )+
            let mut producer = builder.build();
            benchmark(c, "disruptor", case, &gate, |records| {
                if records == 1 {
                    producer.publish(|event| *event = [records; N]);
                    return;
                }
                producer.batch_publish(records as usize, |events| {
                    (0..records).zip(events).for_each(|(record, event)| *event = [record; N]);
                });
            });
        }};
    }
    let builder = disruptor::build_single_producer(PLACES, || [0; N], BusySpin);
    match case.readers {
        1 => with_consumers!(builder, 0),
        2 => with_consumers!(builder, 0, 1),
        _ => with_consumers!(builder, 0, 1, 2, 3),
    }
}

fn sized<const N: usize>(c: &mut Criterion) {
    for (batch, readers) in [(1, 1), (16, 1), (64, 1), (16, 2), (16, 4)] {
        let case = Case { words: N, batch, readers };
        broadtape::<N>(c, case, false);
        if readers == 1 {
            broadtape::<N>(c, case, true);
        }
        rtrb::<N>(c, case);
        // More busy consumers than processors: what would be measured is the scheduler.
        if readers == 1 || thread::available_parallelism().is_ok_and(|cpus| cpus.get() > readers) {
            disruptor::<N>(c, case);
        }
        crossbeam_channel::<N>(c, case);
        tokio_broadcast::<N>(c, case);
    }
}

criterion_group!(benches, sized::<6>, sized::<11>);
criterion_main!(benches);
