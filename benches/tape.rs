//! tape: what a record costs from the ring to a file and back, beside a plain write and read of the
//! same bytes.
//!
//! The recorder runs on its thread as it does beside a server, with `fdatasync` every 50 ms; the
//! writer of the ring is held back only so that nothing is lost. So a figure is the recorder's.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broadtape::limits::{RING_DEFAULT, TAPE_BLOCK};
use broadtape::ring::{Progresses, Ring, Writer, ring};
use broadtape::tape::Tape;
use broadtape::tape::disk::Files;
use broadtape::tape::recorder::{
    Claim, Durability, Handle, Parts, RecordOptions, RecorderEvent, Watermark,
};
use broadtape::wire::instrument::Directory;
use broadtape::wire::record::{Mbp1Msg, bytes_of, header, rtype};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

/// Between two syncs.
const SYNC: Duration = Duration::from_millis(50);
/// Records of one commit, and bytes of one as they are recorded: 80 and `ts_out`.
const BATCH: usize = 64;
const RECORD: usize = 88;
/// Instruments that they are of.
const INSTRUMENTS: usize = 500;

/// Records of one measurement; few where it is only tried whether it works.
fn records() -> u64 {
    if std::env::args().any(|arg| arg == "--test") { 20_480 } else { 1_024_000 }
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A ring, and a recorder that reads it.
struct Recording {
    writer: Writer,
    ring: Ring,
    watermark: Arc<Watermark>,
    handle: Handle,
    batch: Vec<Vec<u8>>,
}

impl Recording {
    fn start(folder: &Path, compress: bool) -> Self {
        let (writer, ring) = ring(RING_DEFAULT).unwrap();
        let options = RecordOptions {
            folder: folder.to_owned(),
            durability: Durability::Interval(SYNC),
            segment_bytes: 256 << 20,
            segment_time: Duration::from_secs(3600),
            retain_bytes: Some(512 << 20),
            retain_time: None,
            compress,
        };
        let watermark = Arc::new(Watermark::default());
        let parts = Parts {
            reader: ring.reader(),
            ring: ring.clone(),
            reader_id: 0,
            elastic: false,
            progress: Progresses::new(0).with_recorder(),
            directory: Arc::new(Directory::default()),
            watermark: watermark.clone(),
            disk: Arc::new(Files),
            events: Box::new(|event: RecorderEvent| panic!("{}", event.message)),
        };
        let handle = Claim::take(options, 1).unwrap().start(parts).unwrap();
        let batch = (0..BATCH).map(quote).collect();
        Self { writer, ring, watermark, handle, batch }
    }

    /// Publishes so many records, as fast as nothing is lost.
    fn publish(&mut self, count: u64, mut recorded: impl FnMut() -> u64) {
        let ahead = self.ring.capacity() / 8;
        let end = self.writer.newest() + count;
        while self.writer.newest() < end {
            while self.writer.newest() > recorded() + ahead {
                std::hint::spin_loop();
            }
            let slots = 2 * BATCH;
            self.writer.publish(slots, self.batch.iter().map(Vec::as_slice), 1);
        }
    }

    /// The time in which so many records are recorded. The last block is left out: it waits for
    /// more to come.
    fn record(&mut self, count: u64) -> Duration {
        let watermark = self.watermark.clone();
        let begun = Instant::now();
        self.publish(count, || watermark.recorded());
        let last_block = (TAPE_BLOCK / RECORD) as u64;
        while watermark.recorded() + last_block < self.writer.newest() {
            std::hint::spin_loop();
        }
        begun.elapsed()
    }
}

/// A bare quote of one of the instruments.
fn quote(n: usize) -> Vec<u8> {
    let instrument = (n * 7 % INSTRUMENTS) as u32;
    let hd = header::<Mbp1Msg>(rtype::MBP_1, 1, instrument, n as u64);
    let quote = Mbp1Msg { hd, ts_recv: 5, price: n as i64, ..Mbp1Msg::default() };
    bytes_of(&quote).to_vec()
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tape/record");
    let count = records();
    group.sample_size(10).throughput(Throughput::Elements(count));
    for (name, compress) in [("raw", false), ("zstd", true)] {
        let folder = folder();
        let mut recording = Recording::start(folder.path(), compress);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| recording.record(count)).sum());
        });
        assert_eq!(recording.watermark.status().lost, 0, "the writer was held back");
        recording.handle.stop(true);
    }
    let folder = folder();
    group.bench_function("plain_write", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| plain_write(folder.path(), count)).sum());
    });
    group.finish();
}

/// The same bytes, in the same portions, with the same syncs, and nothing else.
fn plain_write(folder: &Path, count: u64) -> Duration {
    let path = folder.join("plain");
    let portion = vec![1; TAPE_BLOCK];
    let mut file = File::create(&path).unwrap();
    let (begun, mut synced) = (Instant::now(), Instant::now());
    for _ in 0..(count as usize * RECORD).div_ceil(TAPE_BLOCK) {
        file.write_all(&portion).unwrap();
        if synced.elapsed() >= SYNC {
            file.sync_data().unwrap();
            synced = Instant::now();
        }
    }
    begun.elapsed()
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tape/read");
    let (folder, count) = (folder(), records());
    let mut recording = Recording::start(folder.path(), false);
    recording.record(count);
    recording.handle.stop(true);
    let tape = Tape::open(folder.path()).unwrap();
    assert_eq!(tape.records(), count);
    group.sample_size(10).throughput(Throughput::Elements(count));
    group.bench_function("cursor", |bencher| {
        bencher.iter(|| {
            let mut cursor = tape.cursor_after(0).unwrap();
            let mut records = 0;
            while let Some(block) = cursor.next_block().unwrap() {
                records += block.len() as u64;
            }
            assert_eq!(records, count);
        });
    });
    group.bench_function("plain_read", |bencher| {
        let mut portion = vec![0; TAPE_BLOCK];
        let path = folder.path().join("00000000000000000001.tape");
        bencher.iter(|| {
            let mut file = File::open(&path).unwrap();
            while file.read(&mut portion).unwrap() > 0 {}
        });
    });
    group.finish();
}

criterion_group!(benches, record, read);
criterion_main!(benches);
