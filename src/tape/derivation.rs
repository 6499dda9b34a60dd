//! What a recording does not hold but its records say, worked out of them for one replay.
//!
//! A book needs all the orders before it, a bar all the trades of its interval: a derivation goes
//! through the recording from its begin, whatever time is asked for, and brings what is wanted in
//! the order in which `broadtape export --derive` writes it: what follows from a record behind it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{Cursor, Tape, TapeError};
use crate::book::Faults;
use crate::clock::UnixNanos;
use crate::derive::{LONGEST, Pipe};
use crate::limits::{DERIVED_PIECE, DERIVED_RECORDS, RECORD_MAX};
use crate::wire::instrument::bits;
use crate::wire::record::{self, UNDEF_TIMESTAMP, index_ts};

/// Is the record of an instrument (its id) wanted?
pub type Chosen = Box<dyn Fn(u32) -> bool + Send + Sync>;

/// What is wanted of a recording that has to be derived, at least some of it.
pub struct Plan {
    /// The folder of its tape.
    pub tape: Arc<PathBuf>,
    /// Nothing behind this number is part of it.
    pub last_seq: u64,
    /// Mask of the schemas that are derived.
    pub derived: u32,
    /// Mask of those and of the recorded ones that are wanted.
    pub wanted: u32,
    /// Nothing after this index time is.
    pub end: UnixNanos,
    /// Of these instruments; the others do not count.
    pub chosen: Chosen,
}

impl Plan {
    /// Is this bare record wanted, from this index time on?
    fn wants(&self, bare: &[u8], from: UnixNanos) -> bool {
        let time = index_ts(bare);
        bits(bare) & self.wanted != 0
            && time >= from
            && (time <= self.end || time == UNDEF_TIMESTAMP)
    }

    /// A bare record goes out, published at `ts_out`, where it is wanted.
    fn hand_on(
        &self,
        bare: &[u8],
        (from, ts_out): (UnixNanos, UnixNanos),
        out: &mut Vec<u8>,
    ) -> Result<(), Infallible> {
        if self.wants(bare, from) {
            record::publish_into(out, bare, ts_out);
        }
        Ok(())
    }

    /// Can nothing wanted follow once there is a record of this index time?
    fn is_past(&self, time: UnixNanos) -> bool {
        // Of an interval that begins in time and ends later there is still something to tell.
        time != UNDEF_TIMESTAMP && time > self.end.saturating_add(LONGEST)
    }
}

/// A derivation on its way.
pub(super) struct Derivation {
    cursor: Cursor,
    pipe: Pipe,
    /// What is left of a block, and the number of its first record.
    rest: Bytes,
    next: u64,
    /// The record it stands at, bare, and its `ts_out`.
    bare: Vec<u8>,
    ts_out: UnixNanos,
    /// What was made and not handed out, published.
    made: Vec<u8>,
    /// Greatest index time that it has come to.
    reached: UnixNanos,
    over: bool,
    /// Orders' room that its books have taken.
    orders: usize,
}

impl Derivation {
    /// From the begin of a recording.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn begin(plan: &Plan) -> Result<Self, TapeError> {
        let tape = Tape::open(plan.tape.as_path())?;
        Ok(Self {
            cursor: tape.cursor_after(tape.first_seq() - 1)?,
            pipe: Pipe::new(plan.derived),
            rest: Bytes::new(),
            next: 0,
            bare: Vec::with_capacity(RECORD_MAX),
            ts_out: 0,
            made: Vec::new(),
            reached: 0,
            over: false,
            orders: 0,
        })
    }

    /// May it go on where it is, to bring all from this index time on?
    pub(super) fn may_go_on_to(&self, from: UnixNanos) -> bool {
        from > self.reached && !self.over
    }

    /// Has all of it been handed out?
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Orders' room that its books have taken.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// What was wrong with its orders so far.
    pub(super) fn faults(&self) -> Faults {
        self.pipe.deriver.faults()
    }

    /// Goes on by a bounded piece; the records from this index time on that came of it, published.
    /// `room`: orders that its books may grow by.
    ///
    /// # Errors
    /// The recording can't be read there.
    pub(super) fn advance(
        &mut self,
        plan: &Plan,
        from: UnixNanos,
        mut room: usize,
    ) -> Result<Bytes, TapeError> {
        let before = room + self.orders;
        self.pipe.deriver.exchange_room(&mut room);
        let went = self.go_through(plan, from);
        self.pipe.deriver.exchange_room(&mut room);
        self.orders = before.saturating_sub(room);
        // What comes before damage is handed out first; it is found again.
        if self.made.is_empty() {
            went?;
        }
        Ok(std::mem::take(&mut self.made).into())
    }

    fn go_through(&mut self, plan: &Plan, from: UnixNanos) -> Result<(), TapeError> {
        for _ in 0..DERIVED_RECORDS {
            if self.over || self.made.len() >= DERIVED_PIECE {
                break;
            }
            match self.load(plan)? {
                true => self.put(plan, from),
                false => self.end(plan, from),
            }
        }
        Ok(())
    }

    /// Moves on to the next record; false at the end.
    fn load(&mut self, plan: &Plan) -> Result<bool, TapeError> {
        while self.rest.is_empty() {
            let Some(block) = self.cursor.next_block()? else { return Ok(false) };
            (self.rest, self.next) = (block.bytes().clone(), block.first_seq());
        }
        if self.next > plan.last_seq {
            return Ok(false);
        }
        let published = self.rest.split_to(record::length(&self.rest));
        self.next += 1;
        self.ts_out = record::ts_out(&published);
        self.bare.clear();
        self.bare.extend_from_slice(&published[..published.len() - 8]);
        self.bare[0] -= 2;
        Ok(true)
    }

    /// Takes the record in: what it is too late for goes before it, what follows from it behind.
    fn put(&mut self, plan: &Plan, from: UnixNanos) {
        let time = index_ts(&self.bare);
        if time != UNDEF_TIMESTAMP {
            self.reached = self.reached.max(time);
        }
        if plan.is_past(time) {
            return self.end(plan, from);
        }
        if !(plan.chosen)(record::instrument_id(&self.bare)) {
            return;
        }
        let Self { pipe, bare, ts_out, made, .. } = self;
        let mut hand_on = |record: &[u8]| plan.hand_on(record, (from, *ts_out), made);
        let Ok(()) = pipe.before(bare, &mut hand_on);
        let Ok(()) = hand_on(bare);
        let Ok(()) = pipe.behind(hand_on);
    }

    /// The last intervals end with the recording.
    fn end(&mut self, plan: &Plan, from: UnixNanos) {
        let Self { pipe, ts_out, made, .. } = self;
        let Ok(()) = pipe.end(|record| plan.hand_on(record, (from, *ts_out), made));
        self.over = true;
    }
}
