//! derive: what follows from trades, quotes and orders: bars (`ohlcv-1s` to `ohlcv-1d`), interval
//! quotes (`bbo-1s`, `bbo-1m`), and from orders (`mbo`) their trades and their book (`trades`,
//! `mbp-1`, `mbp-10`).
//!
//! As DBN has them: an interval is of the records' index time (`ts_recv` where they have it), days
//! are those of UTC; `ts_event` of a bar is the start of its interval, `ts_recv` of an interval
//! quote the end; an instrument without a trade has no bar, one without trade or change of its book
//! no quote. What an instrument brings itself (its own `mbp-1` beside `mbo`, its own bars) is not
//! derived again.
//!
//! **Order.** The records of an interval come after every record in it and before every later one.
//! An interval is over when a record of a later one is observed, or when [`Deriver::advance`] says
//! that no more of it will come. A record that comes later all the same counts in the interval that
//! is open, so that no volume is lost. What follows from a single record comes right behind it.
//!
//! **Room.** The records of 20,000 instruments at a second's end fit no batch. Where a batch has no
//! room [`Deriver::observe`], [`Deriver::follow`] and [`Deriver::advance`] return false: commit it,
//! reset it, and call again with the same arguments; they go on where they stopped. A batch that is
//! empty has room for at least what one instrument tells at once, so every call gets on. The
//! publisher, for each record of a feed:
//!
//! ```text
//! while !deriver.observe(record, out) { commit(out) }
//! while !out.push(record) { commit(out) }
//! while !deriver.follow(out) { commit(out) }
//! ```
//!
//! and, when the feed has nothing more before `now`: `while !deriver.advance(now, out) { … }`.

mod batch;
mod depth;
mod instrument;
mod interval;
mod pipe;

use std::collections::HashMap;

pub use self::batch::Batch;
pub use self::pipe::Pipe;

use self::instrument::{SPANS, Shared, State};
use self::interval::Interval;
use crate::book::Faults;
use crate::clock::UnixNanos;
use crate::limits::{BOOK_ORDERS_MAX, INSTRUMENTS_MAX};
use crate::wire::instrument::bit;
use crate::wire::record::{
    MboMsg, Schema, UNDEF_TIMESTAMP, flags, index_ts, instrument_id, length, rtype, rtype_of,
    schema_of,
};

/// Derives what its mask says out of the records of any feed.
pub struct Deriver {
    schemas: u32,
    /// Instrument id to index in `states`.
    places: HashMap<u32, u32, foldhash::fast::FixedState>,
    states: Vec<State>,
    intervals: [Interval; SPANS.len()],
    /// Orders that the books may grow by.
    room: usize,
    /// What follows from the record observed last, end to end, and how much of it has gone out.
    derived: Vec<u8>,
    gone: usize,
    /// What was wrong with the orders that were forgotten.
    faults: Faults,
}

impl Deriver {
    /// What a deriver can derive.
    pub const SCHEMAS: u32 = bit(Schema::Ohlcv1S)
        | bit(Schema::Ohlcv1M)
        | bit(Schema::Ohlcv1H)
        | bit(Schema::Ohlcv1D)
        | bit(Schema::Bbo1S)
        | bit(Schema::Bbo1M)
        | Self::OF_ORDERS;

    /// Those of them that follow from orders alone.
    pub const OF_ORDERS: u32 = bit(Schema::Trades) | bit(Schema::Mbp1) | bit(Schema::Mbp10);

    /// Derives the schemas of this mask, as far as they are of [`Deriver::SCHEMAS`]; `tbbo` comes
    /// as the `mbp-1` that it is.
    pub fn new(schemas: u32) -> Self {
        let tbbo = if schemas & bit(Schema::Tbbo) != 0 { bit(Schema::Mbp1) } else { 0 };
        Self {
            schemas: (schemas | tbbo) & Self::SCHEMAS,
            places: HashMap::default(),
            states: Vec::new(),
            intervals: SPANS.map(|(length, ..)| Interval::new(length)),
            room: BOOK_ORDERS_MAX,
            derived: Vec::new(),
            gone: 0,
            faults: Faults::default(),
        }
    }

    /// Takes note of the next bare record, after appending to `out` what it is too late for. False
    /// where `out` has no room for all of that: the record is not noted, see the module's text.
    ///
    /// Of records that bring no trade, book or order only this is noted: of which schemas that
    /// would be derived an instrument brings its own.
    #[inline]
    pub fn observe(&mut self, bare: &[u8], out: &mut Batch) -> bool {
        if self.schemas == 0 {
            return true;
        }
        if !instrument::is_material(bare) {
            self.note_brought(bare);
            return true;
        }
        let at = index_ts(bare);
        let is_order = rtype_of(bare) == rtype::MBO;
        if at == UNDEF_TIMESTAMP || (is_order && is_snapshot(bare)) {
            // It counts in the open interval, if there is one; orders rest whatever their time.
            if !is_order && !self.intervals[0].is_set() {
                return true;
            }
        } else if !self.advance(at, out) {
            return false;
        }
        if let Some(place) = self.place(bare) {
            let Self { room, derived, schemas, .. } = self;
            let mut shared = Shared { schemas: *schemas, room, derived };
            let first = self.states[place as usize].observe(bare, &mut shared);
            self.intervals[0].touch(place, first);
        }
        true
    }

    /// Appends what follows from the record observed last, once that has been appended itself.
    /// False where `out` has no room for all of it, see the module's text.
    #[inline]
    pub fn follow(&mut self, out: &mut Batch) -> bool {
        while self.gone < self.derived.len() {
            let rest = &self.derived[self.gone..];
            let record = &rest[..length(rest)];
            if !out.push(record) {
                return false;
            }
            self.gone += record.len();
        }
        self.derived.clear();
        self.gone = 0;
        true
    }

    /// Ends the intervals that are over at `now`, ns: no record before `now` will come. False where
    /// `out` has no room for all that they bring, see the module's text.
    ///
    /// `now` is on the records' scale: for a recording that is replayed, its own time.
    #[inline]
    pub fn advance(&mut self, now: UnixNanos, out: &mut Batch) -> bool {
        // All of them: a shorter one may have been ended by a call that then found no room.
        self.intervals.iter().all(|interval| interval.is_open_at(now)) || self.close(now, out)
    }

    /// Ends them, the shortest first: each gives what it has on to the next.
    fn close(&mut self, now: UnixNanos, out: &mut Batch) -> bool {
        let (schemas, states) = (self.schemas, &mut self.states);
        for span in 0..SPANS.len() {
            let (shorter, longer) = self.intervals.split_at_mut(span + 1);
            let mut longer = longer.first_mut();
            let closed = shorter[span].close(now, |end, place| {
                let told = states[place as usize].end(span, end, schemas, out);
                if let (Some(first), Some(longer)) = (told, &mut longer) {
                    longer.touch(place, first);
                }
                told.is_some()
            });
            if !closed {
                return false;
            }
        }
        true
    }

    /// Ends all intervals: one of several sources is over. False where `out` has no room for all
    /// that they bring, see the module's text.
    pub fn end_intervals(&mut self, out: &mut Batch) -> bool {
        let done = self.advance(UNDEF_TIMESTAMP, out);
        if done {
            self.intervals = SPANS.map(|(length, ..)| Interval::new(length));
        }
        done
    }

    /// Ends all intervals and forgets everything: a file is over, and may begin again. False where
    /// `out` has no room for all that they bring, see the module's text.
    pub fn finish(&mut self, out: &mut Batch) -> bool {
        let done = self.end_intervals(out);
        if done {
            *self = Self { faults: self.faults(), ..Self::new(self.schemas) };
        }
        done
    }

    /// When [`Deriver::advance`] will next have something to end, ns; none while nothing is open.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        self.intervals.iter().filter_map(Interval::deadline).min()
    }

    /// What the orders had that no sound stream has, since the beginning.
    pub fn faults(&self) -> Faults {
        self.states.iter().map(State::faults).fold(self.faults, Faults::plus)
    }

    /// Exchanges the room for orders that its books may grow by: several derivers may share one.
    pub fn exchange_room(&mut self, room: &mut usize) {
        std::mem::swap(&mut self.room, room);
    }

    /// A bar or an interval quote of an instrument's own: it comes at the end of its interval,
    /// before one would be derived.
    fn note_brought(&mut self, bare: &[u8]) {
        let schema = schema_of(rtype_of(bare)).map_or(0, bit);
        if schema & Self::SCHEMAS & !Self::OF_ORDERS != 0
            && let Some(place) = self.place(bare)
        {
            self.states[place as usize].brings(schema);
        }
    }

    /// Where the state of a record's instrument is; none for those beyond what a server knows.
    #[inline]
    fn place(&mut self, bare: &[u8]) -> Option<u32> {
        let id = instrument_id(bare);
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        if self.states.len() >= INSTRUMENTS_MAX {
            return None;
        }
        let place = self.states.len() as u32;
        self.states.push(State::new(bare));
        self.places.insert(id, place);
        Some(place)
    }
}

/// The longest interval that something is derived of, ns.
pub const LONGEST: u64 = SPANS[SPANS.len() - 1].0;

/// How long the interval of a bar is, ns; none for other record types.
pub fn bar_length(rtype: u8) -> Option<u64> {
    SPANS.iter().find(|(_, bar, _)| *bar == rtype).map(|(length, ..)| *length)
}

/// The schemas that records of these are of: `tbbo` is the `mbp-1` that are trades.
pub const fn held(schemas: u32) -> u32 {
    let tbbo = if schemas & bit(Schema::Mbp1) != 0 { bit(Schema::Tbbo) } else { 0 };
    schemas | tbbo
}

/// Which schemas follow from records of these, and are none of theirs.
pub const fn derivable(schemas: u32) -> u32 {
    const BOOKS: u32 = bit(Schema::Mbp1) | bit(Schema::Mbp10);
    const QUOTES: u32 = bit(Schema::Bbo1S) | bit(Schema::Bbo1M);
    const BARS: u32 = Deriver::SCHEMAS & !Deriver::OF_ORDERS & !QUOTES;
    let following = match () {
        () if schemas & bit(Schema::Mbo) != 0 => Deriver::SCHEMAS | bit(Schema::Tbbo),
        () if schemas & BOOKS != 0 => BARS | QUOTES,
        () if schemas & bit(Schema::Trades) != 0 => BARS,
        () => 0,
    };
    following & !held(schemas)
}

/// Is this `mbo` record part of a snapshot? Then its time is no time of the market.
#[inline]
fn is_snapshot(bare: &[u8]) -> bool {
    bare[std::mem::offset_of!(MboMsg, flags)] & flags::SNAPSHOT != 0
}

#[cfg(test)]
mod tests;
