//! A replay of one client: where it stands, how fast it goes, what of a recording is for it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::derived::Derived;
use crate::clock::{Now, UnixNanos};
use crate::derive;
use crate::limits::{PIECE_BYTES, REPLAY_RECORDS_PER_TURN};
use crate::shard::cache::{self, Key};
use crate::shard::catalog::{Catalog, Index};
use crate::shard::course::Passage;
use crate::shard::encode::{Framer, Texts};
use crate::shard::interest::Interest;
use crate::tape::desk::{Contents, Desk};
use crate::wire::encoding::Encoding;
use crate::wire::position::Position;
use crate::wire::record::{self, Schema, UNDEF_TIMESTAMP};
use crate::wire::replay::{self, Completed, Speed, State, Then};

/// Index times on the clock: a time and when it is due; what follows keeps its distance.
#[derive(Clone, Copy)]
struct Pace {
    speed: Speed,
    /// The anchor; none until the next record sets it.
    anchor: Option<(UnixNanos, Instant)>,
}

impl Pace {
    /// When a record of this index time is due; none: at once.
    fn due(&mut self, time: UnixNanos, now: Instant) -> Option<Instant> {
        let Speed::Times(factor) = self.speed else { return None };
        let (from, at) = *self.anchor.get_or_insert((time, now));
        let after = time.saturating_sub(from) as f64 / factor;
        at.checked_add(Duration::from_nanos(after as u64))
    }
}

/// When a record was told, on the scale of index times: a bar at the end of its interval, which its
/// index time begins.
fn told(record: &[u8]) -> UnixNanos {
    let length = derive::bar_length(record::rtype_of(record)).unwrap_or(0);
    record::index_ts(record).saturating_add(length)
}

/// Why a replay has nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Pause {
    /// More may be sent at once.
    None,
    /// The next record is due then.
    Until(Instant),
    /// A block has to be read.
    Dry,
    /// It has been told to.
    Told,
    /// It is at its end.
    Over,
}

/// Where a recording is.
pub struct Place {
    /// Who reads it.
    pub desk: Option<Desk>,
    /// Its tape.
    pub folder: Arc<PathBuf>,
    /// Nothing after this number is for the replay.
    pub last_seq: u64,
    /// No record was told after this index time, ns.
    last_time: UnixNanos,
    /// Is it of the live stream, which goes on where it ends?
    pub own: bool,
}

impl Place {
    /// Of a recording; is it `own`, and is what is recorded meanwhile for the replay as well?
    pub(in crate::shard) fn new(
        contents: &Contents,
        desk: Option<Desk>,
        (own, grows): (bool, bool),
    ) -> Self {
        let last_seq = if grows { u64::MAX } else { contents.last_seq };
        let last_time = contents.times.filter(|_| !grows).map_or(u64::MAX, |(_, last)| last);
        Self { desk, folder: contents.folder.clone(), last_seq, last_time, own }
    }
}

/// A replay.
pub struct Play {
    /// Its number, unique on the connection.
    pub id: u32,
    /// What was asked for.
    pub wish: replay::Replay,
    /// The subscription that follows it.
    pub subscription: Option<u32>,
    /// Passes that were begun.
    pub passes: u64,
    /// Where it reads.
    pub passage: Passage,
    /// Reads that were asked for: an answer to an earlier one than the last is of no use.
    pub reads: u64,
    /// Where the recording is.
    pub place: Place,
    /// What is read in its place, where something has to be derived.
    pub(super) derived: Option<Derived>,
    /// Its instruments.
    catalog: Arc<Catalog>,
    interest: Interest,
    /// Whose mappings have been sent.
    announced: HashSet<Index>,
    /// Nothing before this index time is for it: the start, or where it was sent to.
    from: UnixNanos,
    pace: Pace,
    /// How far back it may reach, and how late its records come, where that is bounded.
    bounds: Option<(Duration, Duration)>,
    /// It waits to be told to go on.
    pub paused: bool,
    /// Records to be sent while it is paused.
    steps: u64,
    /// When its next record is due.
    pub due: Option<Instant>,
    /// Records that were sent.
    pub records: u64,
    /// Of these, before the pass began.
    pub before: u64,
    /// Index time of the last record passed.
    time: Option<UnixNanos>,
    /// When that was told, by index times.
    told: Option<UnixNanos>,
    /// Index times of the first and the last record sent.
    span: Option<(UnixNanos, UnixNanos)>,
}

impl Play {
    /// A replay that has sent nothing, of a recording with these instruments.
    pub(in crate::shard) fn new(
        id: u32,
        wish: replay::Replay,
        place: Place,
        catalog: Arc<Catalog>,
        interest: Interest,
    ) -> Self {
        let pace = Pace { speed: wish.speed, anchor: None };
        let from = wish.start;
        Self {
            id,
            wish,
            subscription: None,
            passes: 0,
            passage: Passage::default(),
            reads: 0,
            place,
            derived: None,
            catalog,
            interest,
            announced: HashSet::new(),
            from,
            pace,
            bounds: None,
            paused: false,
            steps: 0,
            due: None,
            records: 0,
            before: 0,
            time: None,
            told: None,
            span: None,
        }
    }

    /// How far back it may reach, and how late its records come.
    pub(in crate::shard) fn bound(&mut self, bounds: Option<(Duration, Duration)>) {
        self.bounds = bounds;
    }

    /// Does all that it asks for lie within something?
    pub(in crate::shard) fn covered(
        &self,
        within: impl Fn(&Interest, &dyn Fn(Index) -> String) -> bool,
    ) -> bool {
        within(&self.interest, &|index| self.catalog.get(index).symbol.clone())
    }

    /// When records have to have been published to be sent at `now`: not before, not after, ns.
    fn published(&self, now: UnixNanos) -> (UnixNanos, UnixNanos) {
        let Some((history, delay)) = self.bounds else { return (0, UnixNanos::MAX) };
        let before =
            |time: Duration| now.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        (before(history), if delay.is_zero() { UnixNanos::MAX } else { before(delay) })
    }

    /// Goes on from this index time.
    pub(in crate::shard) fn seek(&mut self, time: UnixNanos) {
        (self.from, self.time, self.told) = (time, None, None);
        if let Some(derived) = &mut self.derived {
            derived.over = false;
        }
        self.passage = Passage::default();
        (self.pace.anchor, self.due) = (None, None);
    }

    /// The index time that it was sent to, or started from.
    pub(in crate::shard) fn from(&self) -> UnixNanos {
        self.from
    }

    /// Goes on at this speed from where it is.
    pub(in crate::shard) fn set_speed(&mut self, speed: Speed, now: Instant) {
        self.pace = Pace { speed, anchor: self.told.map(|time| (time, now)) };
        self.due = None;
    }

    /// Sends nothing more until it is told to.
    pub(in crate::shard) fn pause(&mut self) {
        (self.paused, self.steps, self.due) = (true, 0, None);
    }

    /// Goes on from where it is.
    pub(in crate::shard) fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.set_speed(self.pace.speed, now);
    }

    /// Sends so many records at once, then nothing.
    pub(in crate::shard) fn step(&mut self, records: u64) {
        self.pause();
        self.steps = records;
    }

    /// Where it stands.
    pub(in crate::shard) fn state(&self, ended: bool) -> State<'static> {
        let state = match (ended, self.paused) {
            (true, _) => "stopped",
            (_, true) => "paused",
            _ => "playing",
        };
        let (replay, speed) = (self.id, self.pace.speed);
        State { replay, state, time: self.time, records: self.records, speed }
    }

    /// What is told at its end.
    /// `at` is where the live stream goes on, where it does.
    pub(in crate::shard) fn completed(&self, at: Position) -> Completed {
        let (replay, records, then) = (self.id, self.records, self.wish.then);
        let at = (then == Then::Live).then_some(at);
        Completed { replay, records, span: self.span, then, at }
    }

    /// Frames what is due, a bounded piece of it.
    pub(in crate::shard) fn play(
        &mut self,
        now: Now,
        encoding: Encoding,
        texts: &mut Texts,
        framer: &mut Framer<'_>,
    ) -> Pause {
        let mut bytes = 0;
        let (oldest, newest) = self.published(now.unix);
        for _ in 0..REPLAY_RECORDS_PER_TURN {
            if bytes >= PIECE_BYTES {
                break;
            }
            if self.paused && self.steps == 0 {
                return Pause::Told;
            }
            let Some((seq, record)) = self.passage.peek() else {
                return if self.is_over() { Pause::Over } else { Pause::Dry };
            };
            let (time, published) = (record::index_ts(&record), record::ts_out(&record));
            if published > newest {
                return Pause::Until(now.mono + Duration::from_nanos(published - newest));
            }
            let behind = self.derived.is_none() && seq > self.place.last_seq;
            if behind || time > self.wish.end && time != UNDEF_TIMESTAMP {
                return Pause::Over;
            }
            if time >= self.from && time != UNDEF_TIMESTAMP {
                let told = told(&record).min(self.place.last_time);
                let due = if self.paused { None } else { self.pace.due(told, now.mono) };
                if let Some(due) = due.filter(|due| *due > now.mono) {
                    return Pause::Until(due);
                }
                (self.time, self.told) = (Some(time), Some(told));
            }
            self.passage.pop();
            if time < self.from || published < oldest {
                continue;
            }
            let Some(key) = self.wanted(&record) else { continue };
            bytes += self.announce(cache::parts(key).1, time, encoding, texts, framer);
            self.records += 1;
            self.steps = self.steps.saturating_sub(1);
            self.span = Some((self.span.map_or(time, |(first, _)| first), time));
            let item = match encoding {
                Encoding::Dbn => &record[..],
                Encoding::Json => texts.scratch(&record, key, &self.catalog),
            };
            bytes += item.len();
            framer.push(item, self.records);
        }
        Pause::None
    }

    /// Does nothing come after what it has?
    fn is_over(&self) -> bool {
        match &self.derived {
            Some(derived) => derived.over,
            // What lies behind its last record may not even be readable.
            None => self.passage.seq() >= self.place.last_seq,
        }
    }

    /// Takes the next records of its derivation.
    pub(in crate::shard) fn take_derived(&mut self, records: Bytes, over: bool) {
        self.passage.take_derived(records);
        if let Some(derived) = &mut self.derived {
            derived.over = over;
        }
    }

    /// The key of a record, where it is asked for.
    fn wanted(&self, record: &[u8]) -> Option<Key> {
        let index = self.catalog.index(record::instrument_id(record))?;
        let key = cache::key(record::schema_of(record::rtype_of(record))?, index);
        let tbbo = || record::is_tbbo(record).then(|| cache::key(Schema::Tbbo, index));
        let asks = |key: &Key| self.interest.asks_for(*key);
        Some(key).filter(asks).or_else(|| tbbo().filter(asks))
    }

    /// Sends an instrument's mapping before its first record; how many bytes that was.
    fn announce(
        &mut self,
        index: Index,
        time: UnixNanos,
        encoding: Encoding,
        texts: &mut Texts,
        framer: &mut Framer<'_>,
    ) -> usize {
        if !self.announced.insert(index) {
            return 0;
        }
        let mut mapping = Vec::new();
        self.catalog.get(index).publish_mapping(&mut mapping, time);
        let item = match encoding {
            Encoding::Dbn => &mapping[..],
            Encoding::Json => texts.scratch(&mapping, cache::mapping_key(index), &self.catalog),
        };
        framer.push(item, self.records);
        item.len()
    }
}
