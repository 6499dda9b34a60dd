//! The recorder's thread: read, collect, append, have it synced.

use std::io;
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::claim::Durability;
use super::outage::{Failure, Retry};
use super::pending::{Definitions, Mark, Pending};
use super::shelf::{Kept, Shelf};
use super::status::Counts;
use super::sync::Syncer;
use super::{Claim, Origin, Parts, RecordOptions, RecorderEvent, Stop, Watermark};
use crate::clock::unix_now;
use crate::limits::{TAPE_FLUSH, TAPE_NAP, TAPE_STOP, TAPE_SWEEP, TAPE_TURN_SLOTS};
use crate::ring::{Progresses, Reader, Ring, Segment, Wake};
use crate::tape::disk::Disk;
use crate::tape::error::Loss;
use crate::tape::folder::Lock;
use crate::tape::write::{Opening, SegmentWriter};
use crate::wire::instrument::Directory;
use crate::wire::message::SourceState;

/// The segment that is being written.
pub(super) struct Active {
    pub(super) writer: SegmentWriter,
    /// The place before it.
    pub(super) opened: Mark,
    since: Instant,
    /// Instruments that it knows.
    known: usize,
}

/// Records the ring.
pub(in crate::tape) struct Recorder {
    pub(super) options: RecordOptions,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) lock: Option<Lock>,
    origin: Origin,
    ring: Ring,
    reader_id: usize,
    elastic: bool,
    pub(super) progress: Progresses,
    directory: Arc<Directory>,
    pub(super) watermark: Arc<Watermark>,
    events: Box<dyn Fn(RecorderEvent) + Send>,
    stops: Receiver<Stop>,

    pub(super) reader: Reader,
    read: Segment,
    definitions: Definitions,
    pub(super) pending: Pending,
    /// None while the disk is lost.
    pub(super) active: Option<Active>,
    pub(super) written: Mark,
    pub(super) durable: Mark,
    pub(super) syncer: Syncer,
    pub(super) shelf: Shelf,
    pub(super) retry: Option<Retry>,
    last_sync: Instant,
    last_sweep: Instant,
    /// A hole that has not been told.
    pub(super) lapped: Option<Loss>,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(&self) {
        self.0.unpark();
    }
}

impl Recorder {
    pub(in crate::tape) fn new(
        claim: Claim,
        parts: Parts,
        stops: Receiver<Stop>,
    ) -> io::Result<Self> {
        let now = Instant::now();
        let (reader, counts) = (parts.reader, Counts::default());
        let mark = Mark { reader: reader.clone(), last_seq: claim.last_seq, counts };
        parts.watermark.set_recorded(claim.last_seq);
        parts.watermark.set_durable(claim.last_seq);
        parts.watermark.set_oldest(claim.oldest);
        parts.watermark.set_health(None, unix_now());
        Ok(Self {
            options: claim.options,
            disk: parts.disk,
            lock: Some(claim.lock),
            origin: claim.origin,
            ring: parts.ring,
            reader_id: parts.reader_id,
            elastic: parts.elastic,
            progress: parts.progress,
            directory: parts.directory,
            watermark: parts.watermark,
            events: parts.events,
            stops,
            pending: Pending::new(reader.clone()),
            reader,
            read: Segment::new(TAPE_TURN_SLOTS),
            definitions: Definitions::default(),
            active: None,
            written: mark.clone(),
            durable: mark,
            syncer: Syncer::start()?,
            shelf: Shelf::new(claim.kept),
            retry: None,
            last_sync: now,
            last_sweep: now,
            lapped: None,
        })
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) {
        let wake = Arc::new(Unpark(thread::current()));
        self.ring.waits().register(self.reader_id, wake);
        loop {
            if let Ok(stop) = self.stops.try_recv() {
                return self.finish(&stop);
            }
            let now = Instant::now();
            if !self.turn(now) {
                self.rest();
            }
        }
    }

    /// Does what is due, and returns whether there may be more at once.
    pub(in crate::tape) fn turn(&mut self, now: Instant) -> bool {
        if self.active.is_none() {
            self.try_again(now);
            return false;
        }
        self.record(now).unwrap_or_else(|failure| {
            self.fail(failure, now);
            false
        })
    }

    fn record(&mut self, now: Instant) -> Result<bool, Failure> {
        self.take_synced(Duration::ZERO)?;
        let lost = self.reader.read(&mut self.read).lost;
        if lost.is_some() {
            self.flush(now)?;
        }
        self.definitions.observe(&self.read);
        self.pending.add(&self.read, &self.reader, now);
        let group = self.options.durability == Durability::Commit && !self.syncer.is_waiting();
        if self.pending.is_full() || self.pending.age(now) >= TAPE_FLUSH || group {
            self.flush(now)?;
        }
        if let Some(progress) = self.progress.recorder() {
            progress.advance(&self.reader, 0);
        }
        self.begin_sync(now);
        if now.saturating_duration_since(self.last_sweep) >= TAPE_SWEEP {
            self.last_sweep = now;
            self.sweep(now)?;
        }
        Ok(!self.read.is_empty() || lost.is_some())
    }

    /// Naps while there is something to do soon; sleeps until the writer wakes it otherwise.
    fn rest(&self) {
        let settled = self.pending.is_empty() && !self.syncer.is_waiting() && self.active.is_some();
        let synced = self.options.durability == Durability::None
            || self.durable.last_seq == self.written.last_seq;
        if !(settled && synced || self.elastic) {
            return thread::park_timeout(TAPE_NAP);
        }
        let longest = if settled { TAPE_SWEEP } else { TAPE_NAP };
        if let Some(_parked) = self.ring.waits().park(self.reader_id, || self.reader.has_news()) {
            thread::park_timeout(longest);
        }
    }

    /// Appends what is pending as a block.
    fn flush(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        let known = self.directory.len();
        if known > active.known {
            let fresh = self.directory.since(active.known);
            active.known += fresh.len();
            active.writer.instruments(fresh.iter().map(|one| &**one)).map_err(Failure::Write)?;
        }
        let (first_seq, before) = (self.pending.first_seq, active.writer.at);
        active.writer.block(first_seq, &self.pending.records).map_err(Failure::Write)?;
        let last_seq = active.writer.last_seq;
        self.watermark.add_bytes(active.writer.at - before);
        let hole = self.note_hole(first_seq);
        self.written.counts.records += last_seq - first_seq + 1;
        self.written.last_seq = last_seq;
        self.written.reader = self.pending.end.clone();
        self.pending.records.clear();
        self.publish();
        self.wrote_after(hole);
        self.rotate_when_due(now)
    }

    /// Counts what is missing before a block that begins with `first_seq`. What a restart leaves
    /// out was never published.
    fn note_hole(&mut self, first_seq: u64) -> Option<Loss> {
        let from_seq = self.written.last_seq.max(self.origin.seq) + 1;
        let hole = Loss { from_seq, to_seq: first_seq - 1, ..Loss::default() };
        if hole.records() == 0 {
            return None;
        }
        self.written.counts.holes += 1;
        self.written.counts.lost += hole.records();
        Some(hole)
    }

    /// The last record of the tape.
    #[cfg(test)]
    pub(in crate::tape) fn last_written(&self) -> u64 {
        self.written.last_seq
    }

    /// Exports how far it is.
    fn publish(&self) {
        let recorded = match self.options.durability {
            Durability::Commit => self.durable.last_seq,
            Durability::None | Durability::Interval(_) => self.written.last_seq,
        };
        self.watermark.set_recorded(recorded);
        self.watermark.set_counts(&self.written.counts);
    }

    /// Has what was written synced, where that is due.
    fn begin_sync(&mut self, now: Instant) {
        let due = match self.options.durability {
            Durability::None => false,
            Durability::Interval(every) => now.saturating_duration_since(self.last_sync) >= every,
            Durability::Commit => true,
        };
        let news = self.written.last_seq > self.durable.last_seq;
        if let (true, Some(active)) = (due && news && !self.syncer.is_waiting(), &self.active) {
            self.last_sync = now;
            self.syncer.begin(active.writer.output(), &self.written);
        }
    }

    /// Takes the result of a sync, where there is one within `patience`.
    pub(super) fn take_synced(&mut self, patience: Duration) -> Result<(), Failure> {
        match self.syncer.result(patience) {
            Some((mark, Ok(()))) => {
                self.durable = mark;
                self.watermark.set_durable(self.durable.last_seq);
                self.publish();
                Ok(())
            }
            Some((_, Err(error))) => Err(Failure::Sync(error)),
            None => Ok(()),
        }
    }

    /// Has all that was written synced, and waits for it.
    pub(super) fn sync_all(&mut self) -> Result<(), Failure> {
        if self.options.durability == Durability::None {
            return Ok(());
        }
        self.take_synced(TAPE_STOP)?;
        if let Some(active) = &self.active {
            self.syncer.begin(active.writer.output(), &self.written);
        }
        self.take_synced(TAPE_STOP)?;
        match self.syncer.is_waiting() {
            true => Err(Failure::Sync(io::Error::from(io::ErrorKind::TimedOut))),
            false => Ok(()),
        }
    }

    fn rotate_when_due(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(active) = &self.active else { return Ok(()) };
        let long = now.saturating_duration_since(active.since) >= self.options.segment_time;
        let empty = active.writer.last_seq == active.opened.last_seq;
        if empty || !long && active.writer.at < self.options.segment_bytes {
            return Ok(());
        }
        self.close(None)?;
        self.open().map_err(Failure::Write)
    }

    /// Seals the segment.
    fn close(&mut self, published: Option<u64>) -> Result<(), Failure> {
        if let Some(active) = &mut self.active {
            active.writer.seal(published).map_err(Failure::Write)?;
            self.sync_all()?;
        }
        self.shelve();
        Ok(())
    }

    /// Puts the active segment to the complete ones.
    pub(super) fn shelve(&mut self) {
        if let Some(Active { writer, .. }) = self.active.take() {
            let (path, bytes) = (writer.path.clone(), writer.at);
            let (last_ts_out, last_seq) = (writer.last_ts_out(), writer.last_seq);
            self.shelf.push(Kept { path, bytes, last_ts_out, last_seq });
        }
    }

    /// Begins a segment behind the last place that was written.
    pub(in crate::tape) fn open(&mut self) -> io::Result<()> {
        let prev_seq = self.written.last_seq;
        let opening = Opening {
            epoch: self.origin.epoch,
            first_seq: prev_seq.max(self.origin.seq) + 1,
            prev_seq,
            created: unix_now(),
            compress: self.options.compress,
        };
        let folder = &self.options.folder;
        let mut writer = SegmentWriter::create(&*self.disk, folder, &opening)?;
        if self.options.durability != Durability::None {
            self.disk.sync_names(folder)?;
        }
        let instruments = self.directory.since(0);
        writer.instruments(instruments.iter().map(|one| &**one))?;
        writer.definitions(self.definitions.iter())?;
        self.watermark.add_segment();
        let (opened, since) = (self.written.clone(), Instant::now());
        self.active = Some(Active { writer, opened, since, known: instruments.len() });
        Ok(())
    }

    /// What is looked at once a second: rotation by time, retention, whether the file is there.
    fn sweep(&mut self, now: Instant) -> Result<(), Failure> {
        self.tell_lapped();
        if let Some(active) = &self.active
            && !active.writer.output().is_named().map_err(Failure::Write)?
        {
            return Err(Failure::Gone);
        }
        self.rotate_when_due(now)?;
        let active = self.active.as_ref().map_or(0, |active| active.writer.at);
        let bytes = (self.options.retain_bytes, active);
        let age = (self.options.retain_time, unix_now());
        if let Some(removed) = self.shelf.trim(&*self.disk, bytes, age) {
            self.watermark.set_oldest(removed + 1);
        }
        self.watermark.set_size(self.shelf.bytes() + active);
        Ok(())
    }

    fn tell_lapped(&mut self) {
        if let Some(lost) = self.lapped.take() {
            let message = format!("the recorder was overtaken; not on the tape: {lost}");
            self.tell(SourceState::Lapped, message);
        }
    }

    pub(super) fn tell(&self, state: SourceState, message: String) {
        let (since, seq) = (unix_now(), self.written.last_seq);
        (self.events)(RecorderEvent { state, since, seq, message });
    }

    /// Records what there is, and seals.
    pub(in crate::tape) fn finish(mut self, stop: &Stop) {
        let (began, mut more) = (Instant::now(), true);
        while more && self.active.is_some() && began.elapsed() < TAPE_STOP / 2 {
            more = self.turn(Instant::now());
        }
        let complete = stop.complete && !more;
        let published = complete.then(|| self.ring.newest());
        let ended = self.flush(Instant::now()).and_then(|()| self.close(published));
        if let Err(failure) = ended {
            self.fail(failure, Instant::now());
        }
        self.tell_lapped();
    }
}
