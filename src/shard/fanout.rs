//! The fan-out of a turn: each audience's records framed once, each member written to once.
//!
//! What the kernel does not take is frozen, once for each audience and turn, and shared by the
//! backlogs of all who need it.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::slice;

use arrayvec::ArrayVec;
use bytes::Bytes;

use crate::clock::{Now, unix_now};
use crate::latency::Stage;
use crate::limits::{ARENA_BYTES, PIECE_BYTES, WRITES_PER_CALL};
use crate::shard::Shard;
use crate::shard::audience::Due;
use crate::shard::cache::Key;
use crate::shard::connection::Farewell;
use crate::shard::encode::{Framer, Stamp};
use crate::socket::shared::{Mark, Shared};
use crate::socket::write::{Engine, Parts, Write};
use crate::wire::batch;
use crate::wire::close::CloseReason;
use crate::wire::encoding::Encoding;

/// What the kernel took of each write of a call.
type Taken = ArrayVec<io::Result<usize>, WRITES_PER_CALL>;

/// Frames of one audience, waiting to be written.
struct Span {
    audience: u32,
    bytes: Range<usize>,
    marks: Range<usize>,
    keys: Range<usize>,
    after: u64,
    frozen: Option<Rc<Shared>>,
}

/// What one connection is to be written: a whole span.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) token: u32,
    span: u32,
}

/// Framed bytes of a turn and what is in them. Reused, so that a warm turn allocates nothing.
pub(super) struct Fanout {
    arena: Vec<u8>,
    marks: Vec<Mark>,
    keys: Vec<Key>,
    spans: Vec<Span>,
    /// The position at which the turn began.
    after: u64,
}

impl Fanout {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let arena = Vec::with_capacity(bytes);
        let (marks, keys, spans) = (Vec::new(), Vec::new(), Vec::new());
        Self { arena, marks, keys, spans, after: 0 }
    }

    /// A turn begins at this position.
    pub(super) fn begin(&mut self, after: u64) {
        self.after = after;
    }

    /// The position at which the turn began.
    pub(super) fn after(&self) -> u64 {
        self.after
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.marks.clear();
        self.keys.clear();
        self.spans.clear();
    }

    /// Ends a span that began at these lengths of arena, marks and keys.
    fn close(&mut self, audience: u32, from: (usize, usize, usize)) {
        let bytes = from.0..self.arena.len();
        let (marks, keys) = (from.1..self.marks.len(), from.2..self.keys.len());
        if !bytes.is_empty() {
            let after = self.after;
            self.spans.push(Span { audience, bytes, marks, keys, after, frozen: None });
        }
    }

    fn lengths(&self) -> (usize, usize, usize) {
        (self.arena.len(), self.marks.len(), self.keys.len())
    }

    /// The span's frames as something that backlogs can hold.
    fn freeze(&mut self, span: usize) -> &Rc<Shared> {
        let span = &mut self.spans[span];
        span.frozen.get_or_insert_with(|| {
            Rc::new(Shared {
                bytes: Bytes::copy_from_slice(&self.arena[span.bytes.clone()]),
                marks: self.marks[span.marks.clone()].to_vec(),
                keys: self.keys[span.keys.clone()].to_vec(),
                after: span.after,
            })
        })
    }
}

impl<E: Engine> Shard<E> {
    /// Frames and writes what was matched in this turn.
    pub(super) fn fan_out(&mut self, now: Now) {
        if self.audiences.touched.is_empty() {
            return;
        }
        let ts_send = unix_now();
        let touched = std::mem::take(&mut self.audiences.touched);
        for &audience in &touched {
            self.frame_matched(audience, ts_send);
            if self.fanout.arena.len() >= ARENA_BYTES {
                self.write_spans(now);
            }
        }
        self.audiences.touched = touched;
        self.audiences.touched.clear();
        self.write_spans(now);
        if self.encrypted > 0 {
            // Theirs is part of what the stage takes.
            self.flush_hot();
        }
        let records = self.segment.len() as u64;
        self.latency.record(Stage::ShardToKernel, ts_send, unix_now(), records);
    }

    /// Frames what an audience matched.
    fn frame_matched(&mut self, id: u32, ts_send: u64) {
        let Self { audiences, fanout, segment, texts, keys, catalog, .. } = self;
        let audience = audiences.get_mut(id);
        let last = self.reader.seq();
        let stamp = Stamp { epoch: self.epoch, ts_send, flags: 0, last };
        let from = fanout.lengths();
        let encoding = audience.cast.encoding;
        let mut framer = Framer::new(encoding, stamp, &mut fanout.arena, &mut fanout.marks);
        for &place in &audience.matched {
            let (at, key) = (place as usize, keys[place as usize]);
            let record = segment.record(at);
            match encoding {
                Encoding::Dbn => framer.push(record, segment.seq(at)),
                Encoding::Json => framer.push(texts.get(at, record, key, catalog), segment.seq(at)),
            }
            fanout.keys.push(audience.key_of(record, key));
        }
        framer.finish(false);
        audience.matched.clear();
        fanout.close(id, from);
    }

    /// Frames and writes states whose time has come, bounded.
    pub(super) fn release_due(&mut self, now: Now) {
        let ts_send = unix_now();
        while let Some(due) = self.audiences.due().pop_front() {
            self.frame_due(due, ts_send);
            if self.fanout.arena.len() >= 2 * PIECE_BYTES {
                break;
            }
        }
        self.write_spans(now);
    }

    fn frame_due(&mut self, due: Due, ts_send: u64) {
        let Self { audiences, fanout, texts, cache, catalog, .. } = self;
        let audience = audiences.get_mut(due.audience);
        let stamp =
            Stamp { epoch: self.epoch, ts_send, flags: batch::CONFLATED, last: self.reader.seq() };
        let (from, encoding) = (fanout.lengths(), audience.cast.encoding);
        let mut framer = Framer::new(encoding, stamp, &mut fanout.arena, &mut fanout.marks);
        let mut bytes = 0;
        let more = loop {
            if bytes >= PIECE_BYTES {
                break true;
            }
            let known = |key| cache.get(key).is_some();
            let Some(key) = audience.pop_due(&due, known) else { break false };
            let Some(value) = cache.get(key) else { continue };
            let item = match encoding {
                Encoding::Dbn => value.record(),
                Encoding::Json => texts.scratch(value.record(), key, catalog),
            };
            bytes += item.len();
            framer.push(item, stamp.last);
            fanout.keys.push(key);
        };
        framer.finish(false);
        fanout.close(due.audience, from);
        match more {
            true => audiences.due().push_back(due),
            false => audience.settle_due(due.interest),
        }
    }

    /// Writes every span to every member of its audience: directly where nothing is waiting, behind
    /// the backlog where something is.
    fn write_spans(&mut self, now: Now) {
        let mut targets = ArrayVec::<Target, WRITES_PER_CALL>::new();
        for at in 0..self.fanout.spans.len() {
            let id = self.fanout.spans[at].audience;
            let before = |target: &Target| self.fanout.spans[target.span as usize].audience == id;
            if targets.iter().any(before) {
                // Its members may take but a part of that span; this one has to come after it.
                self.write(&mut targets);
            }
            // Taken for the while: nobody joins or leaves an audience in the midst of a fan-out.
            let audience = self.audiences.get_mut(id);
            let members = std::mem::take(&mut audience.members);
            audience.first = (audience.first + 1) % members.len().max(1);
            let (last, first) = members.split_at(audience.first);
            let keys = self.fanout.spans[at].keys.clone();
            self.tally.delivered(&self.fanout.keys[keys], members.len());
            for &token in first.iter().chain(last) {
                self.aim(Target { token, span: at as u32 }, &mut targets, now);
            }
            self.audiences.get_mut(id).members = members;
        }
        self.write(&mut targets);
        self.fanout.clear();
    }

    /// Gives a member its span: with the next call of the engine, or behind what it has waiting.
    #[inline]
    fn aim(&mut self, target: Target, targets: &mut ArrayVec<Target, WRITES_PER_CALL>, now: Now) {
        let connection = &mut self.connections[target.token as usize];
        connection.last_data = now.mono;
        if !connection.is_direct() {
            return self.keep(target.token, target.span as usize, 0);
        }
        targets.push(target);
        if targets.is_full() {
            self.write(targets);
        }
    }

    /// One call of the engine.
    fn write(&mut self, targets: &mut ArrayVec<Target, WRITES_PER_CALL>) {
        if targets.is_empty() {
            return;
        }
        // It has room for as many, and is empty between calls.
        let _ = self.in_call.try_extend_from_slice(targets);
        let taken = self.send(targets);
        self.tally.sends += taken.len() as u64;
        for (target, taken) in targets.drain(..).zip(taken) {
            self.wrote(target, taken);
        }
        self.in_call.clear();
    }

    /// Hands each target its span, and returns what of it the kernel took.
    fn send(&mut self, targets: &[Target]) -> Taken {
        let Self { connections, fanout, engine, .. } = self;
        // Targets of one span follow one another.
        let runs = || targets.chunk_by(|one, next| one.span == next.span);
        let frame =
            |run: &[Target]| &fanout.arena[fanout.spans[run[0].span as usize].bytes.clone()];
        let frames: ArrayVec<&[u8], WRITES_PER_CALL> = runs().map(frame).collect();
        let mut writes = ArrayVec::<Write<'_>, WRITES_PER_CALL>::new();
        for (run, frame) in runs().zip(&frames) {
            writes.extend(run.iter().map(|target| {
                let socket = &connections[target.token as usize].stream;
                Write::new(socket, slice::from_ref(frame))
            }));
        }
        engine.write(&mut writes);
        writes.into_iter().map(|write| write.taken).collect()
    }

    #[inline]
    fn wrote(&mut self, target: Target, taken: io::Result<usize>) {
        let whole = self.fanout.spans[target.span as usize].bytes.len();
        let connection = &mut self.connections[target.token as usize];
        match taken {
            Ok(taken) if taken == whole => {
                connection.bytes += taken as u64;
                self.tally.bytes += taken as u64;
            }
            taken => self.fell_short(target, taken),
        }
    }

    /// The kernel took a part of a span, or nothing, or the connection is broken.
    #[cold]
    fn fell_short(&mut self, target: Target, taken: io::Result<usize>) {
        let connection = &mut self.connections[target.token as usize];
        connection.writable = false;
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                let gone = Farewell::new(CloseReason::WriteError, error.to_string());
                self.leaving.push((target.token, gone));
                return;
            }
        };
        connection.bytes += taken as u64;
        self.tally.bytes += taken as u64;
        self.keep(target.token, target.span as usize, taken);
    }

    /// Keeps what a connection was not written of a span, from byte `from` on.
    fn keep(&mut self, token: u32, span: usize, from: usize) {
        let shared = self.fanout.freeze(span);
        let connection = &mut self.connections[token as usize];
        if connection.is_closing() {
            return;
        }
        connection.backlog.push_shared(shared, from);
        self.heat(token);
    }

    /// Puts a connection on the list of those with something to flush.
    pub(super) fn heat(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        if !std::mem::replace(&mut connection.hot, true) {
            self.hot.push(token);
        }
    }

    /// Writes the backlogs of the hot connections, one gathered write each.
    pub(super) fn flush_hot(&mut self) {
        let hot = std::mem::take(&mut self.hot);
        for chunk in hot.chunks(WRITES_PER_CALL) {
            let ready = |token: &&u32| {
                let connection = &self.connections[**token as usize];
                connection.writable && !connection.backlog.is_empty() && connection.tls.is_none()
            };
            let tokens: ArrayVec<u32, WRITES_PER_CALL> =
                chunk.iter().filter(ready).copied().collect();
            self.in_call.extend(tokens.iter().map(|token| Target { token: *token, span: 0 }));
            let results = self.send_backlogs(&tokens);
            self.tally.sends += results.len() as u64;
            for (token, (offered, taken)) in tokens.into_iter().zip(results) {
                self.flushed(token, offered, taken);
            }
            self.in_call.clear();
        }
        for token in hot {
            self.flush_encrypted(token);
            self.settle(token);
        }
    }

    /// One call of the engine; for each connection what was offered, bytes, and what was taken.
    fn send_backlogs(
        &mut self,
        tokens: &[u32],
    ) -> ArrayVec<(usize, io::Result<usize>), WRITES_PER_CALL> {
        let Self { connections, engine, .. } = self;
        let parts: ArrayVec<Parts<'_>, WRITES_PER_CALL> =
            tokens.iter().map(|token| connections[*token as usize].backlog.parts()).collect();
        let mut writes = ArrayVec::<Write<'_>, WRITES_PER_CALL>::new();
        for (token, parts) in tokens.iter().zip(&parts) {
            writes.push(Write::new(&connections[*token as usize].stream, parts));
        }
        engine.write(&mut writes);
        let offered = |write: &Write<'_>| write.parts.iter().map(|part| part.len()).sum();
        writes.into_iter().map(|write| (offered(&write), write.taken)).collect()
    }

    fn flushed(&mut self, token: u32, offered: usize, taken: io::Result<usize>) {
        let connection = &mut self.connections[token as usize];
        match taken {
            Ok(taken) => {
                connection.backlog.advance(taken);
                connection.bytes += taken as u64;
                connection.writable = taken == offered;
                self.tally.bytes += taken as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => connection.writable = false,
            Err(error) => {
                connection.writable = false;
                let gone = Farewell::new(CloseReason::WriteError, error.to_string());
                self.leaving.push((token, gone));
            }
        }
    }

    /// Encrypts and writes what an encrypted connection has waiting, as far as its socket takes it.
    fn flush_encrypted(&mut self, token: u32) {
        let connection = &mut self.connections[token as usize];
        let Some(session) = connection.tls.as_mut().filter(|_| connection.writable) else { return };
        self.in_call.push(Target { token, span: 0 });
        match session.flush(&connection.stream, &mut connection.backlog) {
            Ok(flushed) => {
                connection.writable = flushed.whole;
                connection.bytes += flushed.sent as u64;
                self.tally.bytes += flushed.sent as u64;
                self.tally.sends += flushed.calls;
            }
            Err(error) => {
                connection.writable = false;
                let gone = Farewell::new(CloseReason::WriteError, error.to_string());
                self.leaving.push((token, gone));
            }
        }
        self.in_call.clear();
        if connection.tls.as_ref().is_some_and(|session| session.is_used_up()) {
            let words = "this version of TLS can't renew its keys: connect anew";
            self.leaving.push((token, Farewell::new(CloseReason::TlsKeys, words)));
        }
    }
}
