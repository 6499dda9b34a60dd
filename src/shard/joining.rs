//! On the way to the live stream: snapshots, then what the ring holds from a position on.
//!
//! A connection that joins is in no audience. It gets its snapshots as of one position in bounded
//! pieces, as its socket takes them, then reads the ring from that position with a reader of its
//! own, and joins its audience at the end of a turn, where it has read as far as the shard: each
//! record once, in order. Where a snapshot fits one piece, all of that happens within the turn that
//! asked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::{Now, unix_now};
use crate::limits::{CATCHUP_PER_TURN, PIECE_BYTES, PIECES_AT_ONCE};
use crate::ring::Lost;
use crate::shard::Shard;
use crate::shard::books::{Books, Sending};
use crate::shard::cache;
use crate::shard::connection::Phase;
use crate::shard::course::Course;
use crate::shard::encode::{Framer, Stamp};
use crate::socket::shared::Mark;
use crate::socket::write::Engine;
use crate::wire::batch;
use crate::wire::encoding::Encoding;
use crate::wire::frame;
use crate::wire::instrument::{bit, schemas_of};
use crate::wire::message;
use crate::wire::position::Position;
use crate::wire::record::{self, Schema};

/// A snapshot in progress.
pub struct Snapshot {
    /// Of which subscription.
    pub subscription: u32,
    /// The position it stands for.
    pub seq: u64,
    /// The states as well, or the mappings only.
    pub states: bool,
    /// Its end is told.
    pub told: bool,
    /// Books are among its states.
    pub books: bool,
    /// The book it is at.
    pub(super) sending: Option<Sending>,
    /// Instruments done.
    pub done: usize,
    /// Instruments that were known when it began.
    pub known: usize,
    /// The cache keeps its image.
    pub open: bool,
}

impl Snapshot {
    /// The mappings of a subscription's instruments, and no states.
    pub fn of_mappings(subscription: u32, seq: u64, known: usize) -> Self {
        let (states, told, books, sending) = (false, false, false, None);
        Self { subscription, seq, states, told, books, sending, done: 0, known, open: false }
    }
}

/// What a connection still has to get before it is live.
pub struct Joining {
    /// Snapshots, first first.
    pub snapshots: VecDeque<Snapshot>,
    /// Then what was published since, from here.
    pub course: Course,
    /// The client asked for a position: its records are flagged, and it is told where live begins.
    pub resumed: bool,
    /// It is here because it was too slow: records that it lets be conflated wait for the join.
    pub slow: bool,
    /// Records delivered on the way.
    pub records: u64,
    /// When it last got on.
    pub progress: Instant,
    /// Messages for all that stand behind records which it has not got yet, each with the last of
    /// these.
    pub news: Vec<(u64, Bytes)>,
    /// Records come this late: it never joins.
    pub delay: Duration,
    /// Nothing more is old enough: not to be looked for before this.
    pub look: Option<Instant>,
}

impl Joining {
    /// What follows snapshots from here.
    pub fn new(snapshots: VecDeque<Snapshot>, course: Course, resumed: bool, now: Instant) -> Self {
        Self {
            snapshots,
            course,
            resumed,
            slow: false,
            records: 0,
            progress: now,
            news: Vec::new(),
            delay: Duration::ZERO,
            look: None,
        }
    }
}

impl<E: Engine> Shard<E> {
    /// Gets joining connections on, each by a bounded piece, and so many of them at most. Those
    /// whose sockets have to drain first are passed over: they delay nobody who reads.
    pub(super) fn advance_joining(&mut self, now: Now) -> usize {
        let joining = std::mem::take(&mut self.joining);
        let (mut turn, mut done) = (0, 0);
        while turn < joining.len() && done < CATCHUP_PER_TURN {
            let token = joining[turn];
            turn += 1;
            done += usize::from(self.get_on(token, now));
            self.note_joining(token);
        }
        // Those that had no turn come first in the next one.
        self.joining.splice(0..0, joining[turn..].iter().copied());
        done
    }

    /// Gets one connection on; false where its socket has to drain first, or nothing is left to do.
    pub(super) fn get_on(&mut self, token: u32, now: Now) -> bool {
        let connection = &mut self.connections[token as usize];
        if connection.backlog.bytes() >= self.limits.queue / 4 {
            return false;
        }
        let Phase::Joining(joining) = &mut connection.phase else { return false };
        joining.progress = now.mono;
        match joining.snapshots.pop_front() {
            Some(snapshot) => self.send_snapshot(token, snapshot),
            None if joining.look.is_some_and(|at| at > now.mono) => return false,
            None => {
                let done = self.catch_up(token);
                self.tell_delayed(token);
                return done;
            }
        }
        true
    }

    /// Sends snapshots until one does not fit the piece or none is left, then joins if it can.
    pub(super) fn begin_joining(&mut self, token: u32, joining: Joining, now: Now) {
        self.connections[token as usize].phase = Phase::Joining(Box::new(joining));
        for _ in 0..PIECES_AT_ONCE {
            let Phase::Joining(joining) = &self.connections[token as usize].phase else { return };
            let more = !joining.snapshots.is_empty();
            let level = joining.course.seq() == self.reader.seq();
            if !more && !level || !self.get_on(token, now) {
                break;
            }
        }
        self.keep_images(token);
        self.note_joining(token);
    }

    /// Puts a connection that joins on their list, once: a request that had waited for it to be
    /// live may have made it join anew.
    fn note_joining(&mut self, token: u32) {
        let joins = matches!(self.connections[token as usize].phase, Phase::Joining(_));
        if joins && !self.joining.contains(&token) {
            self.joining.push(token);
        }
    }

    /// Has the cache keep what the unfinished snapshots stand for: from now on it moves on.
    fn keep_images(&mut self, token: u32) {
        let Phase::Joining(joining) = &mut self.connections[token as usize].phase else { return };
        for snapshot in joining.snapshots.iter_mut().filter(|snapshot| snapshot.states) {
            if !std::mem::replace(&mut snapshot.open, true) {
                self.cache.open(snapshot.seq);
                if snapshot.books {
                    self.books.open(snapshot.seq);
                }
            }
        }
    }

    /// Gives the images of an unfinished join back.
    pub(super) fn drop_images(&mut self, token: u32) {
        if let Phase::Joining(joining) = &self.connections[token as usize].phase {
            for snapshot in joining.snapshots.iter().filter(|snapshot| snapshot.open) {
                close_images(&mut self.cache, &mut self.books, snapshot);
            }
        }
    }

    /// One piece of a snapshot.
    fn send_snapshot(&mut self, token: u32, mut snapshot: Snapshot) {
        let connection = &self.connections[token as usize];
        let subscription = connection.subscriptions.iter().find(|s| s.id == snapshot.subscription);
        let mut frames = Vec::new();
        let mut finished = true;
        if let Some(subscription) = subscription {
            let stamp = Stamp {
                epoch: self.epoch,
                ts_send: unix_now(),
                flags: batch::SNAPSHOT,
                last: snapshot.seq,
            };
            let mut marks = Vec::new();
            let mut framer = Framer::new(connection.encoding(), stamp, &mut frames, &mut marks);
            let mut states = States {
                cache: &self.cache,
                catalog: &self.catalog,
                texts: &mut self.texts,
                encoding: connection.encoding(),
                mapping: Vec::new(),
                order: Vec::new(),
            };
            let mut bytes = 0;
            finished = loop {
                let Some(interest) = subscription.interests().next() else { break true };
                let Some(index) = interest.nth(snapshot.done, snapshot.known) else { break true };
                if bytes >= PIECE_BYTES {
                    break false;
                }
                let sending = snapshot.sending.get_or_insert_with(|| {
                    let mask = if snapshot.states { interest.schemas } else { 0 };
                    bytes += states.push(index, mask, &stamp, &mut framer);
                    let asked = snapshot.books && mask & bit(Schema::Mbo) != 0;
                    if asked {
                        self.books.snapshot(index, snapshot.seq)
                    } else {
                        Sending::nothing()
                    }
                });
                let (sent, all) = states.push_book(
                    index,
                    sending,
                    PIECE_BYTES - bytes.min(PIECE_BYTES),
                    &stamp,
                    &mut framer,
                );
                bytes += sent;
                if all {
                    snapshot.sending = None;
                    snapshot.done += 1;
                }
            };
            framer.finish(false);
        }
        if finished && snapshot.told {
            let done = message::SnapshotDone {
                subscription: snapshot.subscription,
                at: self.at(snapshot.seq),
            };
            frame::text_with(&mut frames, |out| done.write(out));
        }
        self.note(token, frames);
        if finished && snapshot.open {
            close_images(&mut self.cache, &mut self.books, &snapshot);
        } else if !finished
            && let Phase::Joining(joining) = &mut self.connections[token as usize].phase
        {
            joining.snapshots.push_front(snapshot);
        }
    }

    /// The connection has read as far as the shard: it joins its audience.
    pub(super) fn go_live(&mut self, token: u32) {
        let seq = self.reader.seq();
        let connection = &mut self.connections[token as usize];
        if let Phase::Joining(joining) = &mut connection.phase {
            let (at, records) = (Position { epoch: self.epoch, seq }, joining.records);
            let mut news = std::mem::take(&mut joining.news);
            if joining.resumed {
                let mut frames = Vec::new();
                frame::text_with(&mut frames, |out| message::Live { at, records }.write(out));
                news.push((seq, frames.into()));
            }
            news.into_iter().for_each(|(_, frames)| connection.backlog.push_note(frames));
        }
        connection.join(token, &mut self.audiences, false);
        self.note_behind(token);
        self.heat(token);
        self.grant_deferred(token, self.now);
    }

    /// Tells a connection that records were lost to it.
    pub(super) fn tell_gap(&mut self, token: u32, lost: Lost, reason: &'static str) {
        let Lost { from_seq, to_seq } = lost;
        let gap = message::Gap { epoch: self.epoch, from_seq, to_seq, records: None, reason };
        let mut frames = Vec::new();
        frame::text_with(&mut frames, |out| gap.write(out));
        if self.connections[token as usize].encoding() == Encoding::Dbn {
            let ts_send = unix_now();
            let stamp = Stamp { epoch: self.epoch, ts_send, flags: batch::GAP, last: lost.to_seq };
            let mut marks: Vec<Mark> = Vec::new();
            Framer::new(Encoding::Dbn, stamp, &mut frames, &mut marks).finish(true);
        }
        self.tally.gaps += 1;
        self.note(token, frames);
    }
}

/// Writes instruments' mappings and states.
struct States<'a> {
    cache: &'a cache::Cache,
    catalog: &'a super::catalog::Catalog,
    texts: &'a mut super::encode::Texts,
    encoding: Encoding,
    mapping: Vec<u8>,
    order: Vec<u8>,
}

impl States<'_> {
    /// One instrument's, and how many bytes that was.
    fn push(&mut self, index: u32, mask: u32, stamp: &Stamp, framer: &mut Framer<'_>) -> usize {
        self.mapping.clear();
        self.catalog.get(index).publish_mapping(&mut self.mapping, stamp.ts_send);
        let Self { cache, catalog, texts, encoding, mapping, .. } = self;
        let mut bytes = 0;
        let mut push = |record: &[u8], key| {
            let item = match encoding {
                Encoding::Dbn => record,
                Encoding::Json => texts.scratch(record, key, catalog),
            };
            bytes += item.len();
            framer.push(item, stamp.last);
        };
        push(mapping, cache::mapping_key(index));
        // The newest order is no state: the book is.
        let mask = mask & !bit(Schema::Mbo);
        for schema in schemas_of(mask) {
            let key = cache::key(schema, index);
            if let Some(value) = cache.get_at(key, stamp.last) {
                push(value.record(), key);
            }
        }
        bytes
    }

    /// Orders of one instrument's book, one at least, until there are `room` bytes of them: how
    /// many bytes that was, and whether it was all.
    fn push_book(
        &mut self,
        index: u32,
        sending: &mut Sending,
        room: usize,
        stamp: &Stamp,
        framer: &mut Framer<'_>,
    ) -> (usize, bool) {
        let (mut bytes, key) = (0, cache::key(Schema::Mbo, index));
        while let Some(order) = sending.next_record() {
            self.order.clear();
            record::publish_into(&mut self.order, record::bytes_of(&order), stamp.ts_send);
            let item = match self.encoding {
                Encoding::Dbn => &self.order,
                Encoding::Json => self.texts.scratch(&self.order, key, self.catalog),
            };
            bytes += item.len();
            framer.push(item, stamp.last);
            if bytes >= room {
                break;
            }
        }
        (bytes, sending.is_done())
    }
}

/// Gives back what was kept for a snapshot.
fn close_images(cache: &mut cache::Cache, books: &mut Books, snapshot: &Snapshot) {
    cache.close(snapshot.seq);
    if snapshot.books {
        books.close(snapshot.seq);
    }
}
