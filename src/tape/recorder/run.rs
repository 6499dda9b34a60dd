//! The recorder's thread: read, collect, append, have it synced.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use super::append::Active;
use super::claim::Durability;
use super::outage::{Failure, Retry, Untold};
use super::pending::{Definitions, Mark, Pending};
use super::shelf::Shelf;
use super::status::Counts;
use super::sync::Syncer;
use super::{Claim, Origin, Parts, RecordOptions, RecorderEvent, Stop, Watermark};
use crate::clock::unix_now;
use crate::limits::{TAPE_FLUSH, TAPE_NAP, TAPE_STOP, TAPE_SWEEP, TAPE_TURN_BYTES};
use crate::ring::{Progresses, Reader, Ring, Segment, Wake};
use crate::tape::disk::Disk;
use crate::tape::folder::Lock;
use crate::wire::instrument::Directory;
use crate::wire::message::SourceState;

/// Records the ring.
pub(in crate::tape) struct Recorder {
    pub(super) options: RecordOptions,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) lock: Option<Lock>,
    pub(super) origin: Origin,
    ring: Ring,
    reader_id: usize,
    elastic: bool,
    pub(in crate::tape) progress: Progresses,
    pub(super) directory: Arc<Directory>,
    pub(super) watermark: Arc<Watermark>,
    events: Box<dyn Fn(RecorderEvent) + Send>,
    stops: Receiver<Stop>,

    pub(super) reader: Reader,
    read: Segment,
    pub(super) definitions: Definitions,
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
    pub(super) untold: Untold,
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
            read: Segment::new(TAPE_TURN_BYTES),
            definitions: Definitions::default(),
            active: None,
            written: mark.clone(),
            durable: mark,
            syncer: Syncer::start()?,
            shelf: Shelf::new(claim.kept),
            retry: None,
            last_sync: now,
            last_sweep: now,
            untold: Untold::default(),
        })
    }

    /// Until it is told to stop, or panics: then nothing is recorded any more, and no feed waits
    /// for it. That it has ended is seen by whoever listens to its events.
    pub(in crate::tape) fn run_guarded(self) {
        let (progress, watermark) = (self.progress.clone(), self.watermark.clone());
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_ok() {
            return;
        }
        if let Some(progress) = progress.recorder() {
            progress.step_aside();
        }
        tracing::error!("the recorder has panicked");
        watermark.set_health(Some("a fault of the recorder: it has ended".to_owned()), unix_now());
    }

    fn run(mut self) {
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

    /// The last record of the tape.
    #[cfg(test)]
    pub(in crate::tape) fn last_written(&self) -> u64 {
        self.written.last_seq
    }

    /// Exports how far it is.
    pub(super) fn publish(&self) {
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
                self.recovered();
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
        if let Some(lost) = self.untold.take() {
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
