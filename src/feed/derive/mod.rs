//! derive: bars and interval quotes (`ohlcv-1s`, `ohlcv-1m`, `bbo-1s`) out of trades and books.
//!
//! As DBN has them: an interval is of the records' index time (`ts_recv` where they have it);
//! `ts_event` of a bar is the start of its interval, `ts_recv` of a `bbo-1s` the end; an instrument
//! without a trade has no bar, one without trade or change of its book no `bbo-1s`.
//!
//! **Order.** The records of an interval come after every record in it and before every later one.
//! An interval is over when a record of a later one is observed, or when [`Deriver::advance`] says
//! that no more of it will come. A record that comes later all the same counts in the interval that
//! is open, so that no volume is lost.
//!
//! **Room.** The records of 20,000 instruments at a second's end fit no batch. Where a batch has no
//! room [`Deriver::observe`] and [`Deriver::advance`] return false: commit it, reset it, and call
//! again with the same arguments; they go on where they stopped. A batch that is empty has room for
//! at least one record, so every call gets on. The publisher, for each record of a feed:
//!
//! ```text
//! while !deriver.observe(record, out) { commit(out) }
//! while !out.push(record) { commit(out) }
//! ```
//!
//! and, when the feed has nothing more before `now`: `while !deriver.advance(now, out) { … }`.

mod instrument;
mod interval;

use std::collections::HashMap;

use self::instrument::State;
use self::interval::Interval;
use super::Batch;
use crate::clock::{SECOND, UnixNanos};
use crate::limits::INSTRUMENTS_MAX;
use crate::wire::instrument::bit;
use crate::wire::record::{Schema, UNDEF_TIMESTAMP, index_ts, instrument_id};

/// Derives what its mask says out of the records of any feed.
pub struct Deriver {
    schemas: u32,
    /// Instrument id to index in `states`.
    places: HashMap<u32, u32, foldhash::fast::FixedState>,
    states: Vec<State>,
    second: Interval,
    minute: Interval,
}

impl Deriver {
    /// What a deriver can derive.
    pub const SCHEMAS: u32 = bit(Schema::Ohlcv1S) | bit(Schema::Ohlcv1M) | bit(Schema::Bbo1S);

    /// Derives the schemas of this mask, as far as they are of [`Deriver::SCHEMAS`].
    pub fn new(schemas: u32) -> Self {
        Self {
            schemas: schemas & Self::SCHEMAS,
            places: HashMap::default(),
            states: Vec::new(),
            second: Interval::new(SECOND),
            minute: Interval::new(60 * SECOND),
        }
    }

    /// Takes note of the next bare record, after appending to `out` what it is too late for. False
    /// where `out` has no room for all of that: the record is not noted, see the module's text.
    ///
    /// Records that bring neither trade nor book, derived ones among them, change nothing.
    #[inline]
    pub fn observe(&mut self, bare: &[u8], out: &mut Batch) -> bool {
        if self.schemas == 0 || !instrument::is_material(bare) {
            return true;
        }
        let at = index_ts(bare);
        if at == UNDEF_TIMESTAMP {
            // It counts in the open interval, if there is one.
            if !self.second.is_set() {
                return true;
            }
        } else if !self.advance(at, out) {
            return false;
        }
        if let Some(place) = self.place(bare) {
            let seen = self.states[place as usize].observe(bare);
            self.second.touch(place, seen.second);
            self.minute.touch(place, seen.minute);
        }
        true
    }

    /// Ends the intervals that are over at `now`, ns: no record before `now` will come. False where
    /// `out` has no room for all that they bring, see the module's text.
    ///
    /// `now` is on the records' scale: for a recording that is replayed, its own time.
    #[inline]
    pub fn advance(&mut self, now: UnixNanos, out: &mut Batch) -> bool {
        let (schemas, states) = (self.schemas, &mut self.states);
        self.second.close(now, |end, place| states[place].end_second(end, schemas, out))
            && self.minute.close(now, |end, place| states[place].end_minute(end, schemas, out))
    }

    /// Ends all intervals and forgets everything: a file is over, and may begin again. False where
    /// `out` has no room for all that they bring, see the module's text.
    pub fn finish(&mut self, out: &mut Batch) -> bool {
        let done = self.advance(UNDEF_TIMESTAMP, out);
        if done {
            *self = Self::new(self.schemas);
        }
        done
    }

    /// When [`Deriver::advance`] will next have something to end, ns; none while nothing is open.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        [self.second.deadline(), self.minute.deadline()].into_iter().flatten().min()
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

#[cfg(test)]
mod tests;
