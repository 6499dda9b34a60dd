//! A recorder that is turned by hand, on a ring and a disk that fails when it is told to.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};

use super::*;
use crate::limits::{RING_MIN, TAPE_FLUSH};
use crate::ring::{Progresses, Ring, Writer, ring_from};
use crate::tape::disk::{Disk, Output};
use crate::tape::recorder::{
    Claim, Durability, Parts, RecordOptions, Recorder, RecorderEvent, Stop, Watermark,
};
use crate::wire::instrument::Directory;

/// What a disk does wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// Bytes that it takes before it is full; negative: it is not.
    pub(super) room: AtomicI64,
    pub(super) sync_fails: AtomicBool,
    pub(super) create_fails: AtomicBool,
    pub(super) panics: AtomicBool,
    pub(super) syncs: AtomicU64,
}

/// The system's files, with faults.
pub(super) struct Faulty(pub(super) Arc<Faults>);

struct FaultyOutput(Arc<dyn Output>, Arc<Faults>);

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Output>> {
        if self.0.create_fails.load(SeqCst) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(Arc::new(FaultyOutput(Files.create(path)?, self.0.clone())))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Files.remove(path)
    }

    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        Files.sync_names(folder)
    }
}

impl Output for FaultyOutput {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        assert!(!self.1.panics.load(SeqCst), "it was told to");
        let room = self.1.room.load(SeqCst);
        if room < 0 {
            return self.0.append(bytes);
        }
        let fits = bytes.len().min(room as usize);
        self.0.append(&bytes[..fits])?;
        self.1.room.store(room - fits as i64, SeqCst);
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, SeqCst);
        match self.1.sync_fails.load(SeqCst) {
            true => Err(io::Error::other("the disk has lost it")),
            false => self.0.sync(),
        }
    }

    fn is_named(&self) -> io::Result<bool> {
        self.0.is_named()
    }
}

/// Options for a folder: nothing ends a segment but the test.
pub(super) fn options(folder: &Path, durability: Durability) -> RecordOptions {
    RecordOptions {
        folder: folder.to_owned(),
        durability,
        segment_bytes: u64::MAX,
        segment_time: Duration::from_secs(3600),
        retain_bytes: None,
        retain_time: None,
        compress: false,
    }
}

/// A feed and its recorder.
pub(super) struct World {
    pub(super) faults: Arc<Faults>,
    pub(super) writer: Writer,
    pub(super) ring: Ring,
    pub(super) recorder: Recorder,
    pub(super) watermark: Arc<Watermark>,
    _stop: Sender<Stop>,
    pub(super) now: Instant,
    events: Arc<Mutex<Vec<RecorderEvent>>>,
}

impl World {
    /// Takes the folder of the options, and goes on with what is in it. The ring has room for 512
    /// records.
    pub(super) fn new(options: RecordOptions) -> Result<Self, TapeError> {
        let claim = Claim::take(options, EPOCH)?;
        let origin = claim.origin();
        let (writer, ring) = ring_from(RING_MIN, origin.seq + 1, origin.ts_out).unwrap();
        let faults = Arc::new(Faults { room: AtomicI64::new(-1), ..Faults::default() });
        let directory = Arc::new(Directory::default());
        for (id, symbol) in [(0, "A"), (1, "B"), (2, "C")] {
            directory.register(instrument(id, symbol)).unwrap();
        }
        let (watermark, events) = (Arc::new(Watermark::default()), Arc::new(Mutex::default()));
        let told: Arc<Mutex<Vec<_>>> = Arc::clone(&events);
        let parts = Parts {
            reader: ring.reader(),
            ring: ring.clone(),
            reader_id: 0,
            elastic: false,
            progress: Progresses::new(0).with_recorder(),
            directory,
            watermark: watermark.clone(),
            disk: Arc::new(Faulty(faults.clone())),
            events: Box::new(move |event| {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }),
        };
        let (stop, stops) = bounded(1);
        let mut recorder = Recorder::new(claim, parts, stops).unwrap();
        recorder.open().unwrap();
        let now = Instant::now();
        Ok(Self { faults, writer, ring, recorder, watermark, _stop: stop, now, events })
    }

    /// Publishes `count` records, one commit each.
    pub(super) fn publish(&mut self, count: u64) {
        for _ in 0..count {
            let seq = self.writer.newest() + 1;
            let mut bare = record(seq);
            bare.truncate(bare.len() - 8);
            bare[0] -= 2;
            self.writer.publish(&bare, 1000 * seq);
        }
    }

    /// Turns the recorder until it has nothing to do, as if its flush were due.
    pub(super) fn turn(&mut self) {
        self.now += TAPE_FLUSH;
        while self.recorder.turn(self.now) {}
        self.now += TAPE_FLUSH;
        while self.recorder.turn(self.now) {}
    }

    /// Turns it until this holds.
    pub(super) fn turn_until(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.turn();
            std::thread::yield_now();
        }
    }

    /// Ends it; nothing more is published where it is `complete`.
    pub(super) fn finish(self, complete: bool) {
        self.recorder.finish(&Stop { complete });
    }

    /// What has been told: the names of the states, and the newest words.
    pub(super) fn told(&self) -> (Vec<&'static str>, String) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let states = events.iter().map(|event| event.state.name()).collect();
        (states, events.last().map_or(String::new(), |event| event.message.clone()))
    }
}

/// The numbers on the tape of a folder; nothing of it may be damaged.
pub(super) fn recorded(folder: &Path) -> Vec<u64> {
    let tape = open(folder);
    assert!(tape.damage().is_empty(), "{:?}", tape.damage());
    let (blocks, error) = read(&mut tape.cursor_after(tape.first_seq() - 1).unwrap());
    assert!(error.is_none(), "{error:?}");
    numbers(&blocks)
}
