//! The instruments of the simulated market, and what happens to them.

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::alias::Alias;
use super::book::{Book, Dice, Mood};
use super::print::{self, Stamp, TICKS_PER_DOLLAR};
use super::story::{Scope, Weather};
use super::text;
use super::ticker::ticker;
use crate::clock::UnixNanos;
use crate::feed::Batch;
use crate::wire::instrument::Instrument;
use crate::wire::record::{Mbp1Msg, TradeMsg, bytes_of};

/// Bytes of the most records that an event brings, a trade's: events are not split. Bare bytes with
/// the `ts_out` of all of them but the last.
const EVENT_ROOM: usize = size_of::<TradeMsg>() + 2 * size_of::<Mbp1Msg>() + 2 * 8;
/// Price moves of an instrument in a second at most: a higher rate brings more changes of size, not
/// a wilder price.
const MOVES_PER_SECOND: f64 = 100.0;
/// Share of an instrument's events that move its price at most.
const MOVES_SHARE: f64 = 0.3;
/// The usual spread of the busiest instrument as a share of its price, and how much more of it the
/// quietest has.
const SPREAD: f64 = 1e-4;
const SPREAD_OF_QUIET: f64 = 4.0;
/// So often is a halted instrument drawn again before the event is given up.
const REDRAWS: u32 = 64;
/// How fast the temper wanders, how fast it comes back to 1, and how far it gets.
const TEMPER: (f64, f64, f64, f64) = (0.2, 0.02, 0.4, 2.5);

/// All instruments, by rank; the id is one more.
pub(super) struct Market {
    symbols: Vec<String>,
    books: Vec<Book>,
    halted: Vec<bool>,
    halted_count: usize,
    /// Who is active, by Zipf's law.
    activity: Alias,
    /// Of 65,536 events, those that are trades.
    trades: u32,
    rng: Pcg64Mcg,
    /// Factor on volatility that the weather brings, and the one that wanders around 1.
    volatility: f64,
    temper: f64,
    mood: Mood,
    /// The venue's number of the last message, and how many of the next ones get lost.
    sequence: u32,
    lost: u32,
}

impl Market {
    /// `count` instruments, at least 1, with `events` events a second together.
    pub(super) fn new(count: u32, events: f64, how: &text::Market, seed: u64) -> Self {
        let weights: Vec<_> = (0..count).map(|rank| f64::from(rank + 1).powf(-how.zipf)).collect();
        let total: f64 = weights.iter().sum();
        let (symbols, dollars): (Vec<_>, Vec<_>) = (0..count).map(ticker).unzip();
        let books = dollars.iter().zip(&weights).zip(0..count).map(|((dollars, weight), rank)| {
            let ticks = i64::from(*dollars) * TICKS_PER_DOLLAR;
            let spread = SPREAD * (1.0 + SPREAD_OF_QUIET * f64::from(rank) / f64::from(count));
            let rate = events * weight / total;
            let moves = (MOVES_PER_SECOND / rate).min(MOVES_SHARE);
            Book::new(ticks, (spread * ticks as f64) as f32, (moves * 65_536.0) as u32)
        });
        Self {
            books: books.collect(),
            halted: vec![false; symbols.len()],
            symbols,
            halted_count: 0,
            activity: Alias::new(&weights),
            trades: (how.trades * 65_536.0) as u32,
            rng: Pcg64Mcg::seed_from_u64(seed),
            volatility: 1.0,
            temper: 1.0,
            mood: Mood { volatility: 1.0, level: 1.0 },
            sequence: 0,
            lost: 0,
        }
    }

    /// What the directory says of them.
    pub(super) fn instruments(&self) -> Vec<Instrument> {
        (1..).zip(&self.symbols).map(|(id, symbol)| print::listed(id, symbol)).collect()
    }

    /// The symbol of an instrument by its rank.
    pub(super) fn symbol(&self, rank: u32) -> &str {
        &self.symbols[rank as usize]
    }

    /// The rank of an instrument by its symbol.
    pub(super) fn rank(&self, symbol: &str) -> Option<u32> {
        self.symbols.iter().position(|known| known == symbol).map(|rank| rank as u32)
    }

    /// Goes with the weather from now on.
    pub(super) fn feel(&mut self, weather: &Weather) {
        self.volatility = weather.volatility;
        self.mood.level = weather.level;
        self.mood.volatility = (self.volatility * self.temper) as f32;
    }

    /// Lets the temper of the market wander a little.
    pub(super) fn wander(&mut self) {
        let (far, back, least, most) = TEMPER;
        let step = (self.rng.random::<f64>() - 0.5) * far + (1.0 - self.temper) * back;
        self.temper = (self.temper + step).clamp(least, most);
        self.mood.volatility = (self.volatility * self.temper) as f32;
    }

    /// Stops or resumes trading in a scope.
    pub(super) fn halt(&mut self, scope: &Scope, halted: bool) {
        let ranks = (0..).map_while(|place| scope.get(place));
        ranks.for_each(|rank| self.halted[rank as usize] = halted);
        self.halted_count = self.halted.iter().filter(|halted| **halted).count();
    }

    /// Does anything trade at all?
    pub(super) fn is_open(&self) -> bool {
        self.halted_count < self.halted.len()
    }

    /// The venue's next `count` messages never arrive.
    pub(super) fn lose(&mut self, count: u32) {
        self.lost = count;
    }

    /// Something happens at `at` ns to somebody. False, and nothing happens, where `out` has no
    /// room for all of it.
    #[inline]
    pub(super) fn happen(&mut self, at: UnixNanos, received: UnixNanos, out: &mut Batch) -> bool {
        if !out.has_room(EVENT_ROOM) {
            return false;
        }
        let Some(rank) = self.pick() else { return true };
        let mut dice = Dice(self.rng.next_u64());
        let stamp = Stamp { instrument: rank as u32 + 1, at, received, sequence: 0 };
        if dice.take(16) < self.trades {
            self.trade(rank, stamp, dice, out);
        } else {
            let change = self.books[rank].quote(self.mood, dice);
            if let Some(stamp) = self.message(stamp) {
                out.push(bytes_of(&print::mbp1(&stamp, &change, self.books[rank].top())));
            }
        }
        true
    }

    fn trade(&mut self, rank: usize, stamp: Stamp, dice: Dice, out: &mut Batch) {
        let before = *self.books[rank].top();
        let (trade, gone) = self.books[rank].trade(self.mood, dice);
        if let Some(stamp) = self.message(stamp) {
            out.push(bytes_of(&print::trade(&stamp, &trade)));
            out.push(bytes_of(&print::mbp1(&stamp, &trade, &before)));
        }
        if let Some(stamp) = self.message(stamp) {
            out.push(bytes_of(&print::mbp1(&stamp, &gone, self.books[rank].top())));
        }
    }

    /// Somebody by Zipf's law who is not halted.
    #[inline]
    fn pick(&mut self) -> Option<usize> {
        let mut rank = self.activity.pick(self.rng.next_u64());
        for _ in 0..REDRAWS {
            if !self.halted[rank] {
                return Some(rank);
            }
            rank = self.activity.pick(self.rng.next_u64());
        }
        None
    }

    /// The venue numbers a message; none where it gets lost.
    #[inline]
    fn message(&mut self, stamp: Stamp) -> Option<Stamp> {
        self.sequence = self.sequence.wrapping_add(1);
        let arrives = self.lost == 0;
        self.lost = self.lost.saturating_sub(1);
        arrives.then_some(Stamp { sequence: self.sequence, ..stamp })
    }
}
