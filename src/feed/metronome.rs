//! metronome: nothing but trades at an even pace, for comparisons.
//!
//! On every tick of a millisecond it brings as many as the rate has made due by then. Nothing in it
//! is random: `ts_event` and `ts_recv` are the tick's intended time, the venue's `sequence` goes up
//! by one (wrapping) over all instruments, which take turns. Late, it catches up tick by tick.

use super::sim::{LOT, TICK, instrument, ticker};
use super::{Batch, Feed, FeedError, Next};
use crate::clock::UnixNanos;
use crate::limits::{SIM_RATE_MAX, SIM_SYMBOLS_MAX};
use crate::wire::instrument::{Instrument, bit};
use crate::wire::record::{
    Action, FlagSet, PUBLISHER_SIM, Schema, Side, TradeMsg, bytes_of, header, rtype,
};

/// Nanoseconds of a tick.
const TICK_NANOS: u64 = 1_000_000;
/// Ticks in a second.
const TICKS_PER_SECOND: u64 = 1_000;

/// Trades at an even pace.
pub struct Metronome {
    rate: u64,
    symbols: u32,
    /// Time of the tick that is next or not finished, ns; none before the first poll.
    tick: Option<UnixNanos>,
    /// Trades of that tick still to bring.
    left: u64,
    /// Thousandths of a trade that ticks so far have left over.
    carry: u64,
    /// The last trade.
    trade: TradeMsg,
}

impl Metronome {
    /// `rate` trades a second of `symbols` instruments in turn; both are brought within what the
    /// simulated market can be asked for.
    pub fn new(rate: u64, symbols: u32) -> Self {
        let trade = TradeMsg {
            hd: header::<TradeMsg>(rtype::MBP_0, PUBLISHER_SIM, 0, 0),
            size: LOT,
            action: Action::Trade as i8,
            side: Side::Bid as i8,
            flags: FlagSet::empty(),
            depth: 0,
            ts_in_delta: 0,
            sequence: 0,
            ..TradeMsg::default()
        };
        let rate = rate.clamp(1, SIM_RATE_MAX);
        let symbols = symbols.clamp(1, SIM_SYMBOLS_MAX);
        Self { rate, symbols, tick: None, left: 0, carry: 0, trade }
    }

    /// Puts the tick at `at`, and makes due what the rate says.
    fn set(&mut self, at: UnixNanos) -> UnixNanos {
        let due = self.carry + self.rate;
        (self.left, self.carry) = (due / TICKS_PER_SECOND, due % TICKS_PER_SECOND);
        (self.trade.hd.ts_event, self.trade.ts_recv) = (at, at);
        *self.tick.insert(at)
    }

    /// Brings the next trade; false where `out` has no room.
    #[inline]
    fn bring(&mut self, out: &mut Batch) -> bool {
        if !out.has_room(size_of::<TradeMsg>()) {
            return false;
        }
        let trade = &mut self.trade;
        trade.sequence = trade.sequence.wrapping_add(1);
        let last = trade.hd.instrument_id;
        trade.hd.instrument_id = if last < self.symbols { last + 1 } else { 1 };
        // A price of its own for each instrument, so that a mixed-up one is seen.
        trade.price = (10_000 + i64::from(trade.hd.instrument_id)) * TICK;
        out.push(bytes_of(trade))
    }
}

impl Feed for Metronome {
    fn name(&self) -> String {
        "metronome".to_owned()
    }

    fn instruments(&mut self) -> Vec<Instrument> {
        let trades = bit(Schema::Trades);
        (0..self.symbols).map(|rank| instrument(rank + 1, &ticker(rank).0, trades)).collect()
    }

    fn poll(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FeedError> {
        let mut tick = match self.tick {
            Some(tick) => tick,
            None => self.set(now + TICK_NANOS),
        };
        while tick <= now {
            while self.left > 0 {
                if !self.bring(out) {
                    return Ok(Next::Ready);
                }
                self.left -= 1;
            }
            tick = self.set(tick + TICK_NANOS);
        }
        Ok(Next::At(tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{instrument_id, ts_event, u32_at, u64_at};

    const MILLI: u64 = TICK_NANOS;

    /// Time, instrument and venue sequence of every trade.
    fn trades(batch: &Batch) -> Vec<(u64, u32, u32)> {
        let read = |r: &[u8]| {
            assert_eq!(ts_event(r), u64_at(r, 32));
            (ts_event(r), instrument_id(r), u32_at(r, 44))
        };
        batch.iter().map(read).collect()
    }

    #[test]
    fn every_tick_brings_what_is_due_by_then() {
        let (mut feed, mut out) = (Metronome::new(2_500, 3), Batch::new(6_400));
        assert_eq!(feed.poll(5, &mut out).unwrap(), Next::At(5 + MILLI));
        assert!(out.is_empty());
        assert_eq!(feed.poll(4 + MILLI, &mut out).unwrap(), Next::At(5 + MILLI));
        assert!(out.is_empty());
        assert_eq!(feed.poll(5 + 2 * MILLI, &mut out).unwrap(), Next::At(5 + 3 * MILLI));
        let (one, two) = (5 + MILLI, 5 + 2 * MILLI);
        let due = [(one, 1, 1), (one, 2, 2), (two, 3, 3), (two, 1, 4), (two, 2, 5)];
        assert_eq!(trades(&out), due);
    }

    #[test]
    fn late_or_full_it_loses_nothing() {
        let (mut even, mut whole) = (Metronome::new(10_000, 7), Batch::new(64_000));
        let (mut late, mut pieces) = (Metronome::new(10_000, 7), Batch::new(576));
        even.poll(0, &mut whole).unwrap();
        late.poll(0, &mut pieces).unwrap();
        for tick in 1..=50 {
            assert_eq!(even.poll(tick * MILLI, &mut whole).unwrap(), Next::At((tick + 1) * MILLI));
        }
        let mut gathered = Vec::new();
        while late.poll(50 * MILLI, &mut pieces).unwrap() == Next::Ready {
            gathered.extend(trades(&pieces));
            pieces.reset(576);
        }
        gathered.extend(trades(&pieces));
        assert_eq!(gathered, trades(&whole));
        assert_eq!(gathered.len(), 500);
    }

    #[test]
    fn a_slow_rate_leaves_ticks_empty() {
        let (mut feed, mut out) = (Metronome::new(10, 1), Batch::new(6_400));
        feed.poll(0, &mut out).unwrap();
        feed.poll(1_000 * MILLI, &mut out).unwrap();
        let times: Vec<_> = trades(&out).iter().map(|(at, ..)| at / MILLI).collect();
        assert_eq!(times, (1..=10).map(|n| n * 100).collect::<Vec<_>>());
    }
}
