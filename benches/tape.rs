//! tape: what a record costs from the ring to a file and back, beside a plain write and read of the
//! same bytes.
//!
//! The recorder runs on its thread as it does beside a server, with `fdatasync` every 50 ms; the
//! writer of the ring is held back only so that nothing is lost. So a figure is the recorder's.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't be set up has nothing to say")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
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
/// Bytes of a file.
const SEGMENT: usize = 256 << 20;
/// Records of one commit, and bytes of one as they are recorded: 80 and `ts_out`.
const BATCH: usize = 64;
const RECORD: usize = 88;
/// Instruments that they are of.
const INSTRUMENTS: u64 = 500;
/// Different commits; zstd does not look as far back as they reach.
const BATCHES: u64 = 4096;

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
    batches: Vec<Vec<Vec<u8>>>,
}

impl Recording {
    fn start(folder: &Path, compress: bool) -> Self {
        let (writer, ring) = ring(RING_DEFAULT).unwrap();
        let options = RecordOptions {
            folder: folder.to_owned(),
            durability: Durability::Interval(SYNC),
            segment_bytes: SEGMENT as u64,
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
        let batches = (0..BATCHES).map(batch).collect();
        Self { writer, ring, watermark, handle, batches }
    }

    /// Publishes so many records, as fast as nothing is lost.
    fn publish(&mut self, count: u64, mut recorded: impl FnMut() -> u64) {
        let ahead = self.ring.capacity() / 8;
        let end = self.writer.newest() + count;
        while self.writer.newest() < end {
            while self.writer.newest() > recorded() + ahead {
                std::hint::spin_loop();
            }
            let next = self.writer.newest() / BATCH as u64 % BATCHES;
            let records = self.batches[next as usize].iter().map(Vec::as_slice);
            self.writer.publish_batch(128 * BATCH, records, 1);
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

/// Commit `n`.
fn batch(n: u64) -> Vec<Vec<u8>> {
    let first = n * BATCH as u64;
    (first..first + BATCH as u64).map(quote).collect()
}

/// A bare quote of one of the instruments: prices and sizes vary as little as in a market.
fn quote(n: u64) -> Vec<u8> {
    let dice = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let instrument = (dice % INSTRUMENTS) as u32;
    let time = 1_764_000_000_000_000_000 + 50_000 * n + dice % 10_000;
    let hd = header::<Mbp1Msg>(rtype::MBP_1, 1, instrument, time);
    let price = 10_000_000 * (5000 + (dice % 64) as i64);
    let quote = Mbp1Msg {
        hd,
        price,
        size: (dice >> 8) as u32 % 500,
        ts_recv: time + dice % 30_000,
        sequence: n as u32,
        ..Mbp1Msg::default()
    };
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
    let mut plain = Plain::new(folder.path());
    group.bench_function("plain_write", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| plain.write(count)).sum());
    });
    group.finish();
}

/// As many bytes in the same portions, with the same syncs, in files of the same size, and nothing
/// else. Time goes on between measurements, or a short one would have no sync in it.
struct Plain {
    folder: PathBuf,
    file: File,
    written: usize,
    synced: Instant,
}

impl Plain {
    fn new(folder: &Path) -> Self {
        let (folder, synced) = (folder.to_owned(), Instant::now());
        Self { file: File::create(folder.join("plain")).unwrap(), folder, written: 0, synced }
    }

    fn write(&mut self, count: u64) -> Duration {
        let portion = vec![1; TAPE_BLOCK];
        let begun = Instant::now();
        for _ in 0..(count as usize * RECORD).div_ceil(TAPE_BLOCK) {
            self.file.write_all(&portion).unwrap();
            self.written += TAPE_BLOCK;
            if self.synced.elapsed() >= SYNC {
                self.file.sync_data().unwrap();
                self.synced = Instant::now();
            }
            if self.written >= SEGMENT {
                self.file = File::create(self.folder.join("plain")).unwrap();
                self.written = 0;
            }
        }
        begun.elapsed()
    }
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
