//! shard: one thread that serves its own connections from the ring, and shares nothing.
//!
//! [`Shard::turn`] is the whole of it: commands, what clients sent, one bounded batch of the ring,
//! matched once ([`audience`]), framed once for each audience ([`encode`]), one write a connection
//! ([`fanout`]), then what only single connections need: snapshots ([`joining`]), what they missed
//! ([`catchup`]), what they have replayed ([`replay`]), newest states for those that are behind
//! ([`slow`]), heartbeats and timeouts ([`house`]). A turn never waits or locks, and logs only what
//! is broken; [`run`] waits between turns.
//!
//! Order on a connection: a request is answered, and its snapshot stands for a position, before the
//! turn reads the ring; so live records follow from the next position on.

pub mod access;
mod alarm;
pub mod audience;
pub mod audiences;
mod books;
pub mod cache;
pub mod catalog;
mod catchup;
pub mod changed;
pub mod command;
pub mod connection;
pub mod course;
pub mod deferred;
mod delayed;
pub mod departure;
pub mod encode;
mod entitle;
mod fanout;
mod house;
mod inbound;
pub mod interest;
mod joining;
mod replay;
pub mod report;
pub mod run;
mod slow;
mod subscribe;
pub mod subscription;
pub mod supervise;
#[cfg(test)]
mod tests;
mod unsubscribe;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use mio::{Events, Poll};
use slab::Slab;

use crate::clock::{Now, Timeline};
use crate::latency::{Latency, Stage};
use crate::limits::{
    ARENA_BYTES, COMMANDS_PER_TURN, CONNECTIONS_RESERVED, ClientLimits, READ_BYTES_PER_TURN,
    RECORD_MIN, TURN_BYTES, WRITES_PER_CALL,
};
use crate::ring::{Progresses, Reader, Ring, Segment};
use crate::shard::access::Doorkeeper;
use crate::shard::alarm::Alarm;
use crate::shard::audiences::Audiences;
use crate::shard::books::Books;
use crate::shard::cache::{Cache, Key};
use crate::shard::catalog::Catalog;
use crate::shard::command::{Command, Mailbox};
use crate::shard::connection::{Connection, Farewell};
use crate::shard::course::{Shelf, Tape};
use crate::shard::departure::Departures;
use crate::shard::encode::Texts;
use crate::shard::report::Tally;
use crate::socket::write::{Engine, Readiness};
use crate::wire::grant::Standing;
use crate::wire::instrument::Directory;
use crate::wire::position::Position;
use crate::wire::record::{self, Schema, rtype};

/// What a shard is given to work with.
pub struct Parts {
    /// Its number.
    pub id: usize,
    /// The ring it reads.
    pub ring: Ring,
    /// From where it reads: everything that is published after this was made.
    pub reader: Reader,
    /// The instruments.
    pub directory: Arc<Directory>,
    /// Its way in.
    pub mailbox: Mailbox,
    /// What it waits on.
    pub poll: Poll,
    /// Where shards say how far they are.
    pub progress: Progresses,
    /// A feed waits for the slowest connection, and has to know of it.
    pub elastic: bool,
    /// The run's epoch.
    pub epoch: u64,
    /// The tape that is recorded, where one is.
    pub tape: Option<Tape>,
    /// Other recordings that can be replayed, where there are any.
    pub shelf: Option<Shelf>,
    /// Who judges what clients say who they are by; none: nobody is asked.
    pub door: Option<Arc<dyn Doorkeeper>>,
    /// Where it notes connections that have ended.
    pub departures: Arc<Departures>,
    /// Bounds on a client.
    pub limits: ClientLimits,
    /// Least time between two looks at the ring after one that brought something.
    pub flush_interval: Option<Duration>,
    /// Never sleep.
    pub busy: bool,
}

/// One shard.
pub struct Shard<E = Readiness> {
    id: usize,
    epoch: u64,
    limits: ClientLimits,
    door: Option<Arc<dyn Doorkeeper>>,
    departures: Arc<Departures>,
    standing: Arc<Standing>,
    flush_interval: Option<Duration>,
    busy: bool,

    ring: Ring,
    tape: Option<Tape>,
    shelf: Option<Shelf>,
    reader: Reader,
    progress: Progresses,
    elastic: bool,
    mailbox: Mailbox,
    poll: Poll,
    alarm: Option<Alarm>,
    rest: run::Rest,
    events: Events,
    engine: E,

    catalog: Catalog,
    cache: Cache,
    books: Books,
    audiences: Audiences,
    connections: Slab<Connection>,
    /// The sessions that have names, and where they are.
    named: HashMap<u64, u32, FixedState>,
    /// How many of them are encrypted.
    encrypted: usize,

    /// This turn's records, their keys and their JSON texts.
    segment: Segment,
    keys: Vec<Key>,
    texts: Texts,
    fanout: fanout::Fanout,
    /// Records of connections that catch up.
    piece: Segment,
    buffer: Box<[u8]>,

    /// Connections with something to flush, to read, to catch up, to replay, to conflate.
    hot: Vec<u32>,
    readable: Vec<u32>,
    joining: Vec<u32>,
    replaying: Vec<u32>,
    behind: Vec<u32>,
    /// Connections with unsent bytes, where that matters to the feed.
    stuck: Vec<u32>,
    /// Connections that the engine writes to just now: after a panic nobody knows what they got.
    in_call: ArrayVec<fanout::Target, WRITES_PER_CALL>,
    /// Connections that have to go, and why.
    leaving: Vec<(u32, Farewell)>,

    /// Messages for all, each with the record that they stand behind.
    news: VecDeque<(u64, Arc<str>)>,
    timers: house::Timers,
    draining: Option<house::Draining>,
    next_drain: Instant,
    stopping: bool,
    now: Now,
    tally: Tally,
    latency: Latency,
}

impl<E: Engine> Shard<E> {
    /// A shard without connections. It knows the instruments that are registered by now.
    pub fn new(parts: Parts, engine: E, now: Now) -> Self {
        Self {
            id: parts.id,
            epoch: parts.epoch,
            limits: parts.limits,
            standing: parts.door.as_ref().map(|door| door.standing()).unwrap_or_default(),
            door: parts.door,
            departures: parts.departures,
            flush_interval: parts.flush_interval,
            busy: parts.busy,
            reader: parts.reader,
            ring: parts.ring,
            tape: parts.tape,
            shelf: parts.shelf,
            progress: parts.progress,
            elastic: parts.elastic,
            mailbox: parts.mailbox,
            poll: parts.poll,
            alarm: None,
            rest: run::Rest::new(),
            events: Events::with_capacity(1024),
            engine,
            catalog: Catalog::new(parts.directory),
            cache: Cache::default(),
            books: Books::default(),
            audiences: Audiences::default(),
            connections: Slab::with_capacity(CONNECTIONS_RESERVED),
            named: HashMap::default(),
            encrypted: 0,
            segment: Segment::new(TURN_BYTES),
            keys: Vec::with_capacity(TURN_BYTES / RECORD_MIN),
            texts: Texts::default(),
            fanout: fanout::Fanout::with_capacity(ARENA_BYTES),
            piece: Segment::new(TURN_BYTES / 4),
            buffer: vec![0; READ_BYTES_PER_TURN].into_boxed_slice(),
            hot: Vec::new(),
            readable: Vec::new(),
            joining: Vec::new(),
            replaying: Vec::new(),
            behind: Vec::new(),
            stuck: Vec::new(),
            in_call: ArrayVec::new(),
            leaving: Vec::new(),
            news: VecDeque::new(),
            timers: house::Timers::new(Timeline::new(now), now),
            draining: None,
            next_drain: now.mono,
            stopping: false,
            now,
            tally: Tally::default(),
            latency: Latency::default(),
        }
    }

    /// Does what is due, bounded, and returns how much that was: 0 means that it may wait.
    pub fn turn(&mut self, now: Now) -> usize {
        self.now = now;
        let mut done = self.take_commands(now);
        done += self.poll_sockets(now);
        if self.is_drain_due(now) {
            done += self.drain_ring(now);
        }
        self.tell_news();
        done += self.advance_joining(now);
        done += self.advance_replays(now);
        done += self.advance_behind(now);
        self.keep_house(now);
        self.flush_hot();
        self.take_leave(now);
        self.say_progress();
        done
    }

    /// A position of this run.
    fn at(&self, seq: u64) -> Position {
        Position { epoch: self.epoch, seq }
    }

    fn take_commands(&mut self, now: Now) -> usize {
        let mut done = 0;
        while done < COMMANDS_PER_TURN
            && let Some(command) = self.mailbox.take()
        {
            done += 1;
            match command {
                Command::Attach(arrival) => self.attach(*arrival, now),
                Command::Announce { after, text } => self.news.push_back((after, text)),
                Command::Drain { reason, until, cutoff } => {
                    self.draining = Some(house::Draining::new(reason, now.mono, until, cutoff));
                }
                Command::Shed(bytes) => self.shed(bytes),
                Command::Report(reply) => drop(reply.send(self.report())),
                Command::Sessions { after, limit, reply } => {
                    drop(reply.send(self.sessions(after, limit)));
                }
                Command::Last { instruments, schemas, reply } => {
                    drop(reply.send(self.last_records(&instruments, schemas)));
                }
                Command::Disconnect { session, reason, reply } => {
                    // Nobody may be waiting for it.
                    let _ = reply.send(self.disconnect(session, reason));
                }
                Command::Read { token, session, errand, found } => {
                    self.tape_read(token, session, errand, found);
                }
                Command::Opened { token, session, opened } => self.opened(token, session, opened),
                Command::Judged { token, session, verdict } => {
                    self.judged(token, session, verdict, now);
                }
                Command::Review(standing) => self.review(standing, now),
                Command::Expel(denied) => self.expel(&denied),
                Command::Stop => self.stopping = true,
            }
        }
        done
    }

    /// Is it time to look at the ring?
    fn is_drain_due(&self, now: Now) -> bool {
        self.flush_interval.is_none() || now.mono >= self.next_drain
    }

    /// Drains one batch of the ring into the segment and hands it on.
    fn drain_ring(&mut self, now: Now) -> usize {
        self.fanout.begin(self.reader.seq());
        let lost = self.reader.read(&mut self.segment).lost;
        if let Some(lost) = lost {
            self.lapped(lost);
        }
        let records = self.segment.len();
        if records == 0 {
            return usize::from(lost.is_some());
        }
        if let Some(interval) = self.flush_interval {
            self.next_drain = now.mono + interval;
        }
        let stamps = self.segment.iter().map(record::ts_out);
        self.latency.record_runs(Stage::RingToShard, stamps, now.unix);
        self.match_segment();
        self.fan_out(now);
        records
    }

    /// Finds for each record of the segment who asks for it, and takes it as a last value.
    fn match_segment(&mut self) {
        self.keys.clear();
        self.texts.clear();
        for place in 0..self.segment.len() {
            let record = self.segment.record(place);
            let kind = record::rtype_of(record);
            if kind == rtype::SYMBOL_MAPPING {
                let id = record::instrument_id(record);
                self.match_mapping(place as u32, id);
                continue;
            }
            let index = self.catalog.index(record::instrument_id(record));
            let (Some(schema), Some(index)) = (record::schema_of(kind), index) else {
                self.tally.unknown += 1;
                self.keys.push(Key::MAX);
                continue;
            };
            self.keys.push(cache::key(schema, index));
            self.cache.put(schema, index, self.segment.seq(place), record);
            self.audiences.deliver(schema, index, place as u32);
            if kind == rtype::MBO {
                self.books.apply(index, self.segment.seq(place), record);
            }
            if record::is_tbbo(record) {
                self.cache.put(Schema::Tbbo, index, self.segment.seq(place), record);
                self.audiences.deliver_tbbo(index, place as u32);
            }
        }
        self.tally.examined += self.segment.len() as u64;
    }

    /// Takes new instruments in; the mapping goes to those who ask for them.
    fn match_mapping(&mut self, place: u32, id: u32) {
        self.sync_catalog();
        let index = self.catalog.index(id);
        self.keys.push(index.map_or(Key::MAX, cache::mapping_key));
        if let Some(index) = index {
            self.audiences.deliver_mapping(index, place);
        }
    }

    /// Takes in the instruments that are new, for the patterns that ask for them as well.
    fn sync_catalog(&mut self) -> std::ops::Range<u32> {
        let new = self.catalog.sync();
        for index in new.clone() {
            let symbol = &self.catalog.get(index).symbol;
            for token in self.audiences.welcome(index, symbol) {
                for subscription in &mut self.connections[token as usize].subscriptions {
                    subscription.welcome(index, symbol);
                }
            }
            for &token in &self.joining {
                for subscription in &mut self.connections[token as usize].subscriptions {
                    subscription.welcome(index, symbol);
                }
            }
        }
        new
    }

    /// Says how far it is: never farther than what was handed on. While a connection catches up, an
    /// elastic feed has to wait for it like for a full queue.
    fn say_progress(&mut self) {
        let mut queued = 0;
        if self.elastic {
            let Self { stuck, connections, .. } = self;
            stuck.retain(|token| {
                let Some(connection) = connections.get(*token as usize) else { return false };
                let bytes = connection.backlog.bytes();
                if !connection.subscriptions.is_empty() {
                    queued = queued.max(bytes as u64);
                }
                bytes > 0
            });
            // One that is delayed is late on purpose.
            if self.joining.iter().any(|token| !connections[*token as usize].is_delayed()) {
                queued = u64::MAX;
            }
        }
        self.progress.of(self.id).advance(&self.reader, queued);
    }
}
