//! Slow clients: what happens as a connection's unsent bytes grow, and how it comes back.
//!
//! Half of the queue: `lagging`. All of it: *behind*. Frames that were not begun are dropped;
//! records of subscriptions that conflate are remembered as changed states, and a record of any
//! other subscription among them ends the connection, since that one may lose nothing. A connection
//! that is behind is an audience of its own, and gets newest states as its socket takes them; when
//! none is left it joins the others again, at the end of a turn.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{Now, unix_now};
use crate::limits::{PIECE_BYTES, SHED_MIN};
use crate::ring::Lost;
use crate::shard::Shard;
use crate::shard::cache;
use crate::shard::command::Speech;
use crate::shard::connection::{Farewell, Phase};
use crate::shard::encode::{Framer, Stamp};
use crate::socket::shared::Shared;
use crate::socket::write::Engine;
use crate::wire::batch;
use crate::wire::close::CloseReason;
use crate::wire::encoding::Encoding;
use crate::wire::frame;
use crate::wire::message;
use crate::wire::record::SCHEMAS;
use crate::wire::subscribe::Policy;

impl<E: Engine> Shard<E> {
    /// Looks at a connection that was flushed: is it done, or is it too slow?
    pub(super) fn settle(&mut self, token: u32) {
        self.resume_reading(token);
        let connection = &mut self.connections[token as usize];
        connection.hot = false;
        let queued = connection.backlog.bytes();
        if connection.is_closing() {
            return self.settle_closing(token);
        }
        let since = (queued > 0).then(|| connection.stuck.unwrap_or(self.now.mono));
        if std::mem::replace(&mut connection.stuck, since).is_none() && queued > 0 && self.elastic {
            self.stuck.push(token);
        }
        if queued == 0 {
            connection.lagging = false;
        } else if connection.writable {
            self.heat(token);
        } else if connection.speech == Speech::Echo {
            // It is not read while an answer waits, which bounds what does; and it gets no words.
        } else if queued > self.limits.queue && !matches!(connection.phase, Phase::Joining(_)) {
            // One that joins gets no more until most of this is sent, and is not in the stream.
            // It may have come here from less than half within one turn.
            self.say_lagging(token, queued);
            self.overflow(token);
        } else if queued > self.limits.queue / 2 {
            self.say_lagging(token, queued);
        } else if queued < self.limits.queue / 4 {
            connection.lagging = false;
        }
    }

    /// Tells it, once until it has caught up.
    fn say_lagging(&mut self, token: u32, queued: usize) {
        let room = self.has_room_on_tape();
        let connection = &mut self.connections[token as usize];
        if std::mem::replace(&mut connection.lagging, true) {
            return;
        }
        let then = connection.when_full(room);
        let age = connection.stuck.map_or(Duration::ZERO, |since| self.now.mono - since);
        let lagging = message::Lagging {
            bytes: queued as u64,
            limit: self.limits.queue as u64,
            age_ms: u32::try_from(age.as_millis()).unwrap_or(u32::MAX),
            then,
        };
        let mut frames = Vec::new();
        frame::text_with(&mut frames, |out| lagging.write(out));
        self.connections[token as usize].backlog.push_urgent(&frames);
    }

    /// The queue is full.
    fn overflow(&mut self, token: u32) {
        match self.connections[token as usize].when_full(self.has_room_on_tape()) {
            Policy::Conflate => self.fall_behind(token),
            Policy::CatchUp => self.fall_back(token, self.now),
            Policy::Disconnect => {
                let limit = self.limits.queue;
                let words = format!("more than {limit} unsent bytes, and not all may be conflated");
                self.leaving.push((token, Farewell::new(CloseReason::Slow, words)));
            }
        }
    }

    /// Memory is short: applies their policies to the longest queues before they are full, until
    /// so many bytes are free.
    pub(super) fn shed(&mut self, mut excess: usize) {
        let open = self.connections.iter().filter(|(_, connection)| !connection.is_closing());
        let queues = open.map(|(token, connection)| (connection.backlog.bytes(), token as u32));
        let mut longest: Vec<(usize, u32)> =
            queues.filter(|(bytes, _)| *bytes >= SHED_MIN).collect();
        longest.sort_unstable_by(|a, b| b.cmp(a));
        for (bytes, token) in longest {
            if excess == 0 {
                return;
            }
            self.cut_short(token, bytes);
            let left = self.connections[token as usize].backlog.bytes();
            excess = excess.saturating_sub(bytes.saturating_sub(left));
        }
    }

    fn cut_short(&mut self, token: u32, bytes: usize) {
        self.tally.shed += 1;
        let connection = &self.connections[token as usize];
        let policy = connection.when_full(self.has_room_on_tape());
        if policy == Policy::Disconnect || matches!(connection.phase, Phase::Joining(_)) {
            let words = "the server is short of memory, and this queue is among the longest";
            let now = self.now;
            return self.close(token, Farewell::new(CloseReason::Overload, words), now);
        }
        self.say_lagging(token, bytes);
        self.overflow(token);
    }

    /// From now on the connection gets newest states, as it takes them.
    fn fall_behind(&mut self, token: u32) {
        let Self { connections, audiences, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        let mut lost = Vec::new();
        connection.backlog.drop_data(|key| lost.push(key));
        connection.take_back(&lost);
        connection.join(token, audiences, true);
        let Some(id) = connection.audience else { return };
        connection.remember(&lost, audiences.get_mut(id));
        self.behind.push(token);
        for key in lost {
            if let (SCHEMAS, index) = cache::parts(key) {
                self.send_mapping(token, index);
            }
        }
    }

    /// Puts a connection that joined alone on the list of those that are behind.
    pub(super) fn note_behind(&mut self, token: u32) {
        let behind = matches!(self.connections[token as usize].phase, Phase::Behind);
        if behind && !self.behind.contains(&token) {
            self.behind.push(token);
        }
    }

    /// A mapping among dropped frames is sent all the same.
    fn send_mapping(&mut self, token: u32, index: u32) {
        let encoding = self.connections[token as usize].encoding();
        let (ts_send, last) = (unix_now(), self.reader.seq());
        let (mut mapping, mut frames, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        self.catalog.get(index).publish_mapping(&mut mapping, ts_send);
        let stamp = Stamp { epoch: self.epoch, ts_send, flags: batch::SNAPSHOT, last };
        let mut framer = Framer::new(encoding, stamp, &mut frames, &mut marks);
        match encoding {
            Encoding::Dbn => framer.push(&mapping, last),
            Encoding::Json => {
                let key = cache::mapping_key(index);
                framer.push(self.texts.scratch(&mapping, key, &self.catalog), last);
            }
        }
        framer.finish(false);
        self.note(token, frames);
    }

    /// Sends newest states to those that are behind and have room for them.
    pub(super) fn advance_behind(&mut self, now: Now) -> usize {
        let mut done = 0;
        let behind = std::mem::take(&mut self.behind);
        for token in behind {
            let connection = &self.connections[token as usize];
            if !matches!(connection.phase, Phase::Behind) {
                continue;
            }
            // What is framed now is no longer superseded: so not before the socket takes it.
            let has_room =
                connection.writable && connection.backlog.bytes() < self.limits.queue / 4;
            if has_room && self.send_states(token, now) {
                done += 1;
            } else if has_room {
                let Self { connections, audiences, .. } = self;
                let connection = &mut connections[token as usize];
                connection.leave(token, audiences);
                connection.join(token, audiences, false);
            }
            if matches!(self.connections[token as usize].phase, Phase::Behind) {
                self.behind.push(token);
            }
        }
        done
    }

    /// One piece of changed states; false where none is left.
    fn send_states(&mut self, token: u32, now: Now) -> bool {
        let Self { connections, audiences, cache, texts, catalog, .. } = self;
        let connection = &mut connections[token as usize];
        let Some(id) = connection.audience else { return false };
        let audience = audiences.get_mut(id);
        let encoding = connection.encoding();
        let stamp = Stamp {
            epoch: self.epoch,
            ts_send: unix_now(),
            flags: batch::CONFLATED,
            last: self.reader.seq(),
        };
        let (mut bytes, mut marks, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut framer = Framer::new(encoding, stamp, &mut bytes, &mut marks);
        let mut framed = 0;
        while framed < PIECE_BYTES
            && let Some(key) = audience.pop_changed(|key| cache.get(key).is_some())
        {
            let Some(value) = cache.get(key) else { continue };
            let item = match encoding {
                Encoding::Dbn => value.record(),
                Encoding::Json => texts.scratch(value.record(), key, catalog),
            };
            framed += item.len();
            framer.push(item, stamp.last);
            keys.push(key);
        }
        framer.finish(false);
        if keys.is_empty() {
            return false;
        }
        self.tally.delivered(&keys, 1);
        let shared = Rc::new(Shared { bytes: bytes.into(), marks, keys, after: 0 });
        connection.backlog.push_shared(&shared, 0);
        connection.last_data = now.mono;
        self.heat(token);
        true
    }

    /// The ring overwrote records before this shard read them: everybody is told, and no state is
    /// known until its next record.
    pub(super) fn lapped(&mut self, lost: Lost) {
        self.tally.overrun += lost.to_seq + 1 - lost.from_seq;
        self.cache.invalidate();
        self.books.invalidate();
        let new = self.sync_catalog();
        let tokens: Vec<u32> = self.connections.iter().map(|(token, _)| token as u32).collect();
        for token in tokens {
            let connection = &self.connections[token as usize];
            let live = matches!(connection.phase, Phase::Live | Phase::Behind);
            if !live || connection.subscriptions.is_empty() {
                continue;
            }
            if connection.is_repairable() && self.has_room_on_tape() {
                let Self { connections, audiences, .. } = self;
                connections[token as usize].leave(token, audiences);
                self.catch_up_from(token, lost.from_seq - 1, self.now);
            } else {
                self.tell_gap(token, lost, "overrun");
                self.introduce(token, new.clone());
            }
        }
    }

    /// Sends the mappings of new instruments that a connection asks for: the ring's were lost.
    fn introduce(&mut self, token: u32, new: Range<u32>) {
        for index in new {
            let subscriptions = &self.connections[token as usize].subscriptions;
            if subscriptions.iter().any(|s| s.interests().any(|i| i.has_instrument(index))) {
                self.send_mapping(token, index);
            }
        }
    }
}
