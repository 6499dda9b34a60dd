//! The publisher: one thread that polls the feeds, derives, and commits to the ring.
//!
//! It keeps the feeds' time on a monotonic timeline, sleeps until something is due, and says in the
//! open how late it was. A feed that knows no pace is polled only while the slowest reader keeps
//! up.
//!
//! A feed that panics has failed, as one that can't go on has; the others go on. Where the thread
//! itself panics, nothing is published any more, and that is told.

mod handle;
mod source;

use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender, bounded};
use tokio::sync::mpsc;

use handle::Command;
pub use handle::Handle;
use source::{Source, words_of};

use super::{Batch, Deriver, Feed, Next, Pace};
use crate::book::Faults;
use crate::clock::{Now, Timeline, UnixNanos, unix_now};
use crate::latency::{Latency, Stage};
use crate::limits::{
    BATCH_BYTES, CLOCK_STEP, ELASTIC_WINDOW_LEAST, ELASTIC_WINDOW_SHARE, HOLD_NAP, POLL_QUANTUM,
    PUBLISHER_NAP, RECORD_MAX, REWIND, RING_BATCH_SHARE, STALL,
};
use crate::ring::{Progresses, Writer};
use crate::wire::instrument::{Directory, DirectoryError};
use crate::wire::message::SourceState;
use crate::wire::record::{self, SCHEMAS, Schema, schemas};

/// What became of a feed or a clock, for those who serve clients.
#[derive(Clone, Debug)]
pub struct FeedEvent {
    /// The feed's name, or `clock`.
    pub source: String,
    /// What happened.
    pub state: SourceState,
    /// Since when, ns.
    pub since: UnixNanos,
    /// The last record that was published before.
    pub seq: u64,
    /// Words for people.
    pub message: String,
}

/// How the feeds and the publisher are doing. Counts are since the start.
#[derive(Clone, Debug, Default)]
pub struct FeedReport {
    /// What is played.
    pub name: String,
    /// `waiting`, `live`, `stalled`, `ended`, `failed: …`
    pub state: String,
    /// The run that `seq` belongs to.
    pub epoch: u64,
    /// The last record published.
    pub seq: u64,
    /// Records published.
    pub records: u64,
    /// Bytes published.
    pub bytes: u64,
    /// Records published, by schema.
    pub records_by_schema: Vec<(Schema, u64)>,
    /// The most that a poll came after it was due, ns.
    pub late_ns_max: u64,
    /// Source to feed, feed to ring.
    pub latency: Latency,
    /// Instruments known.
    pub instruments: u64,
    /// What the books that are derived from found wrong with their orders.
    pub book_faults: Faults,
}

/// What a publisher is given to work with.
pub struct Parts {
    /// The feeds, polled in turn.
    pub feeds: Vec<Box<dyn Feed>>,
    /// Mask of the schemas to derive.
    pub derive: u32,
    /// Where it publishes.
    pub writer: Writer,
    /// Where it registers instruments.
    pub directory: Arc<Directory>,
    /// How far the readers are.
    pub progress: Progresses,
    /// Connections that have to subscribe before the first record.
    pub hold: u64,
    /// Unsent bytes that a connection may have.
    pub queue: usize,
    /// The run's epoch.
    pub epoch: u64,
    /// Where events go.
    pub events: mpsc::UnboundedSender<FeedEvent>,
}

/// Has the real-time clock been set, rather than corrected?
fn is_step(by: i64) -> bool {
    by.unsigned_abs() > CLOCK_STEP.as_nanos() as u64
}

/// Polls, derives, commits.
pub struct Publisher {
    sources: Vec<Source>,
    deriver: Option<Deriver>,
    writer: Writer,
    directory: Arc<Directory>,
    progress: Progresses,
    hold: u64,
    window: u64,
    queue_mark: u64,
    epoch: u64,
    events: mpsc::UnboundedSender<FeedEvent>,
    sender: Sender<Command>,
    commands: Receiver<Command>,

    timeline: Timeline,
    raw: Batch,
    out: Batch,
    last_record: Instant,
    stalled: bool,
    clock_offset: i64,
    /// Index time of the last record, ns.
    market_time: UnixNanos,
    stopping: bool,
    /// The last number before the first record.
    origin: u64,

    bytes: u64,
    by_schema: [u64; SCHEMAS],
    late: u64,
    latency: Latency,
}

impl Publisher {
    /// Registers what the feeds know. Nothing is published yet.
    ///
    /// # Errors
    /// Where two feeds call different things by the same id.
    pub fn new(parts: Parts) -> Result<Self, DirectoryError> {
        let mut sources = Vec::new();
        for mut feed in parts.feeds {
            for instrument in feed.instruments() {
                parts.directory.register(instrument)?;
            }
            sources.push(Source::new(feed));
        }
        let now = Now::read();
        let batch = BATCH_BYTES.min(parts.writer.batch_max());
        let origin = parts.writer.newest();
        // What it claims at once fits the other half.
        let half = (parts.writer.batch_max() * RING_BATCH_SHARE / 2) as u64;
        let window = (parts.queue / ELASTIC_WINDOW_SHARE).max(ELASTIC_WINDOW_LEAST) as u64;
        let (sender, commands) = bounded(16);
        Ok(Self {
            sources,
            deriver: (parts.derive != 0).then(|| Deriver::new(parts.derive)),
            writer: parts.writer,
            directory: parts.directory,
            progress: parts.progress,
            hold: parts.hold,
            window: window.min(half),
            queue_mark: parts.queue as u64 / 8,
            epoch: parts.epoch,
            events: parts.events,
            sender,
            commands,
            timeline: Timeline::new(now),
            raw: Batch::new(batch),
            out: Batch::new(batch),
            last_record: now.mono,
            stalled: false,
            clock_offset: 0,
            market_time: 0,
            stopping: false,
            origin,
            bytes: 0,
            by_schema: [0; SCHEMAS],
            late: 0,
            latency: Latency::default(),
        })
    }

    /// Starts its thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(self) -> io::Result<Handle> {
        let commands = self.sender.clone();
        let thread = thread::Builder::new().name("feed".to_owned());
        let thread = thread.spawn(move || self.run())?.thread().clone();
        Ok(Handle::new(commands, thread))
    }

    /// Until it is told to stop, or panics.
    fn run(self) {
        let (events, epoch) = (self.events.clone(), self.epoch);
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.keep_publishing())) else { return };
        let words = words_of(&*panic);
        tracing::error!(epoch, panic = %words, "the publisher has panicked");
        let message = format!("a fault of the server: nothing is published any more ({words})");
        let (source, state, since) = ("publisher".to_owned(), SourceState::Failed, unix_now());
        // Behind whatever was published: nothing follows.
        let _ = events.send(FeedEvent { source, state, since, seq: 0, message });
    }

    fn keep_publishing(mut self) {
        // Without it the kernel may wake us 50 µs late; where it is refused, so be it.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        while self.progress.subscribed() < self.hold && !self.stopping {
            self.take_commands();
            thread::park_timeout(HOLD_NAP);
        }
        self.timeline = Timeline::new(Now::read());
        self.last_record = Instant::now();
        while !self.stopping {
            self.take_commands();
            let now = Instant::now();
            let until = self.turn(now);
            self.watch(now);
            if let Some(left) = until.checked_duration_since(Instant::now()) {
                thread::park_timeout(left);
            }
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Report(reply) => drop(reply.send(self.report())),
                Command::Stop => self.stopping = true,
            }
        }
    }

    /// Polls each source that is due, and returns when to come again.
    fn turn(&mut self, now: Instant) -> Instant {
        let time = self.timeline.unix_at(now);
        let mut until = now + PUBLISHER_NAP;
        for at in 0..self.sources.len() {
            let due = match self.sources[at].next {
                Next::Ended => continue,
                Next::Ready => now,
                Next::At(due) => self.timeline.instant_at(due),
            };
            if due > now {
                until = until.min(due);
                continue;
            }
            let room = self.room(self.sources[at].feed.pace());
            if room == 0 {
                until = until.min(now + POLL_QUANTUM / 8);
                continue;
            }
            if let Next::At(due) = self.sources[at].next {
                self.late = self.late.max(time.saturating_sub(due));
            }
            until = until.min(self.poll(at, time, now, room));
        }
        until
    }

    /// Bytes of the ring that a source may fill now.
    fn room(&self, pace: Pace) -> usize {
        let most = BATCH_BYTES.min(self.writer.batch_max());
        if pace == Pace::Timed {
            return most;
        }
        let ahead = self.writer.committed().saturating_sub(self.progress.slowest_read());
        let free = self.window.saturating_sub(ahead) as usize;
        let full = self.progress.max_queued() > self.queue_mark;
        if full || free < self.window as usize / 4 { 0 } else { free.min(most) }
    }

    /// Polls one source and publishes what it brings.
    fn poll(&mut self, at: usize, time: UnixNanos, now: Instant, room: usize) -> Instant {
        self.raw.reset(room.max(RECORD_MAX));
        let source = &mut self.sources[at];
        let next = source.poll(time, &mut self.raw);
        let live = source.feed.is_live();
        if live {
            let stamps = self.raw.iter().map(record::ts_event);
            self.latency.record_runs(Stage::SourceToFeed, stamps, time);
        }
        for instrument in self.raw.take_introduced() {
            if let Err(error) = self.directory.register(instrument) {
                self.sources[at].next = Next::Ended;
                self.sources[at].failure = Some(error.to_string());
            }
        }
        if !self.raw.is_empty() {
            self.last_record = now;
        }
        self.publish(now);
        if next != Next::Ready
            && live
            && let Some(deriver) = &mut self.deriver
        {
            while !deriver.advance(time, &mut self.out) {
                commit(&mut self.writer, &mut self.out);
            }
            commit(&mut self.writer, &mut self.out);
        }
        if self.sources[at].next == Next::Ended {
            self.end(at);
        }
        match next {
            Next::Ready => now,
            Next::At(due) => self.timeline.instant_at(due).max(now + POLL_QUANTUM),
            Next::Ended => now + PUBLISHER_NAP,
        }
    }

    /// Commits what was polled, with what is derived from it.
    fn publish(&mut self, polled: Instant) {
        if self.raw.is_empty() {
            return;
        }
        let records = self.raw.len() as u64;
        for bare in self.raw.iter() {
            self.bytes += bare.len() as u64 + 8;
            if let Some(schema) = record::schema_of(record::rtype_of(bare)) {
                self.by_schema[schema as usize] += 1;
            }
        }
        match &mut self.deriver {
            None => commit(&mut self.writer, &mut self.raw),
            Some(deriver) => {
                for bare in self.raw.iter() {
                    let time = record::index_ts(bare);
                    if time < self.market_time.saturating_sub(REWIND.as_nanos() as u64) {
                        // A recording begins again: its bars must not wait for a time that is over.
                        while !deriver.finish(&mut self.out) {
                            commit(&mut self.writer, &mut self.out);
                        }
                    }
                    self.market_time = time;
                    while !deriver.observe(bare, &mut self.out) {
                        commit(&mut self.writer, &mut self.out);
                    }
                    while !self.out.push(bare) {
                        commit(&mut self.writer, &mut self.out);
                    }
                    while !deriver.follow(&mut self.out) {
                        commit(&mut self.writer, &mut self.out);
                    }
                }
                commit(&mut self.writer, &mut self.out);
            }
        }
        let (from, to) = (self.timeline.unix_at(polled), self.timeline.unix_at(Instant::now()));
        self.latency.record(Stage::FeedToRing, from, to, records);
    }

    /// A source has brought all it had, or can bring no more.
    fn end(&mut self, at: usize) {
        // The books of those that go on are theirs.
        let last = self.sources.iter().all(|source| source.next == Next::Ended);
        if let Some(deriver) = &mut self.deriver {
            let mut done = |out: &mut Batch| match last {
                true => deriver.finish(out),
                false => deriver.end_intervals(out),
            };
            while !done(&mut self.out) {
                commit(&mut self.writer, &mut self.out);
            }
            commit(&mut self.writer, &mut self.out);
        }
        let source = &self.sources[at];
        let (state, message) = match &source.failure {
            Some(failure) => (SourceState::Failed, failure.clone()),
            None => (SourceState::Ended, "it has brought all it had".to_owned()),
        };
        self.tell(source.feed.name(), state, unix_now(), message);
    }

    /// Looks for silence of live feeds and for steps of the real-time clock.
    fn watch(&mut self, now: Instant) {
        let live = self.sources.iter().find(|s| s.feed.is_live() && s.next != Next::Ended);
        if let Some(source) = live {
            let silent = now.saturating_duration_since(self.last_record);
            if (silent >= STALL) != self.stalled {
                self.stalled = !self.stalled;
                let (state, message) = match self.stalled {
                    true => (SourceState::Stalled, format!("nothing for {silent:?}")),
                    false => (SourceState::Resumed, "records come again".to_owned()),
                };
                let since = unix_now().saturating_sub(silent.as_nanos() as u64);
                self.tell(source.feed.name(), state, since, message);
            }
        }
        let (mut read, mut step) = self.clock_step();
        if is_step(step) {
            // Whoever is off the processor between both clocks sees a step that is none.
            (read, step) = self.clock_step();
        }
        if is_step(step) {
            self.clock_offset += step;
            let message = format!("the real-time clock stepped by {:.3} s", step as f64 / 1e9);
            self.tell("clock".to_owned(), SourceState::ClockStepped, read.unix, message);
        }
    }

    /// Now, and how far the real-time clock has gone from the other one since it last stepped, ns.
    fn clock_step(&self) -> (Now, i64) {
        let read = Now::read();
        let offset = read.unix.wrapping_sub(self.timeline.unix_at(read.mono)) as i64;
        (read, offset - self.clock_offset)
    }

    fn tell(&self, source: String, state: SourceState, since: UnixNanos, message: String) {
        let seq = self.writer.newest();
        // Nobody listens where the server is ending.
        let _ = self.events.send(FeedEvent { source, state, since, seq, message });
    }

    fn report(&self) -> FeedReport {
        let names: Vec<String> = self.sources.iter().map(|source| source.feed.name()).collect();
        let by_schema = schemas().map(|schema| (schema, self.by_schema[schema as usize]));
        FeedReport {
            name: names.join(", "),
            state: self.state(),
            epoch: self.epoch,
            seq: self.writer.newest(),
            records: self.writer.newest() - self.origin,
            bytes: self.bytes,
            records_by_schema: by_schema.filter(|(_, count)| *count > 0).collect(),
            late_ns_max: self.late,
            latency: self.latency.clone(),
            instruments: self.directory.len() as u64,
            book_faults: self.deriver.as_ref().map(Deriver::faults).unwrap_or_default(),
        }
    }

    fn state(&self) -> String {
        let failure = self.sources.iter().find_map(|source| source.failure.as_deref());
        let ended = self.sources.iter().all(|source| source.next == Next::Ended);
        match failure {
            Some(failure) => format!("failed: {failure}"),
            None if ended => "ended".to_owned(),
            None if self.stalled => "stalled".to_owned(),
            None if self.progress.subscribed() < self.hold => "waiting".to_owned(),
            None => "live".to_owned(),
        }
    }
}

/// Publishes a batch and empties it.
fn commit(writer: &mut Writer, batch: &mut Batch) {
    if batch.is_empty() {
        return;
    }
    match batch.only() {
        Some(record) => writer.publish(record, unix_now()),
        None => writer.publish_batch(batch.bytes(), batch.iter(), unix_now()),
    };
    batch.clear();
}
