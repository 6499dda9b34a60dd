//! The top of one instrument's book, and how quotes and trades move it.
//!
//! Prices are in ticks, sizes in lots. Invariant: `1 <= bid < ask`, sizes and orders at least 1.

use crate::wire::record::{Action, Side};

/// How far the price strays from where it is led to before the pull back is irresistible, as a
/// share of the price: about what a price band allows.
const BAND: f64 = 0.05;
/// Bounds of an instrument's own agitation around its usual one.
const AGITATION: (f32, f32) = (0.5, 4.0);

/// One side of the top of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) ticks: i64,
    pub(super) lots: u32,
    pub(super) orders: u32,
}

/// The top of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) bid: Level,
    pub(super) ask: Level,
}

/// What happened to the book, as an MBP-1 record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) side: Side,
    pub(super) ticks: i64,
    pub(super) lots: u32,
}

/// The market's part in what happens to a book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    /// Factor on the size of moves and spreads.
    pub(super) volatility: f32,
    /// Where the price is led to, as a share of its start.
    pub(super) level: f64,
}

/// 64 random bits, used up from the low end.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// The next `bits` bits.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        let taken = self.0 & ((1 << bits) - 1);
        self.0 >>= bits;
        taken as u32
    }

    /// True for `share` of 65,536 throws. Takes 16 bits.
    #[inline]
    fn under(&mut self, share: u32) -> bool {
        self.take(16) < share
    }

    /// A size: 1 to 64 lots, small ones more often, and its orders. Takes 8 bits.
    #[inline]
    fn fill(&mut self, level: &mut Level) {
        level.lots = (1 + self.take(3)) << self.take(2);
        level.orders = 1 + self.take(3).min(level.lots - 1);
    }
}

/// One instrument's book.
#[derive(Clone, Debug)]
pub(super) struct Book {
    top: Top,
    /// Where the price started.
    home: i64,
    /// The usual spread, ticks.
    spread: f32,
    /// Agitation of late, 1 in the long run: moves make further moves larger.
    agitation: f32,
    /// Of 65,536 events, those that move the price.
    moves: u32,
}

impl Book {
    /// A book around `home` ticks whose spread is usually `spread` ticks, and whose price moves in
    /// `moves` of 65,536 events.
    pub(super) fn new(home: i64, spread: f32, moves: u32) -> Self {
        let home = home.max(2);
        let level = |ticks| Level { ticks, lots: 4, orders: 2 };
        let top = Top { bid: level(home - 1), ask: level(home) };
        Self { top, home, spread: spread.max(1.0), agitation: 1.0, moves: moves.min(65_536) }
    }

    /// The top as it stands.
    #[inline]
    pub(super) fn top(&self) -> &Top {
        &self.top
    }

    /// Somebody changes a quote. Takes up to 49 bits.
    #[inline]
    pub(super) fn quote(&mut self, mood: Mood, mut dice: Dice) -> Change {
        if dice.under(self.moves) {
            return self.shift(mood, dice);
        }
        let (side, level) = self.side(dice.take(1) == 0);
        dice.fill(level);
        Change { action: Action::Modify, side, ticks: level.ticks, lots: level.lots }
    }

    /// Somebody takes liquidity: the trade, with the aggressor's side, and what is gone from the
    /// book for it. Takes up to 40 bits.
    #[inline]
    pub(super) fn trade(&mut self, mood: Mood, mut dice: Dice) -> (Change, Change) {
        let moving = dice.under(self.moves);
        let up = if moving { self.is_up(mood, &mut dice) } else { dice.take(1) == 0 };
        let (side, level) = self.side(!up);
        let aggressor = if up { Side::Bid } else { Side::Ask };
        let taken = if moving { level.lots } else { 1 + dice.take(5) % level.lots };
        let (ticks, rest) = (level.ticks, level.lots - taken);
        level.lots = rest;
        level.orders = level.orders.min(rest);
        if rest == 0 {
            dice.fill(level);
        }
        if moving {
            let stride = self.stride(mood, &mut dice);
            self.retreat(up, stride);
        }
        let trade = Change { action: Action::Trade, side: aggressor, ticks, lots: taken };
        let gone = Change { action: Action::Cancel, side, ticks, lots: taken };
        (trade, gone)
    }

    /// The price moves: a wide spread is improved from one side, a narrow one gives way on the
    /// other.
    fn shift(&mut self, mood: Mood, mut dice: Dice) -> Change {
        let up = self.is_up(mood, &mut dice);
        let stride = self.stride(mood, &mut dice);
        let gap = self.top.ask.ticks - self.top.bid.ticks;
        if gap as f32 <= (self.spread * mood.volatility * self.agitation).max(1.0) {
            let (side, level) = self.side(!up);
            let Level { ticks, lots, .. } = *level;
            dice.fill(level);
            self.retreat(up, stride);
            return Change { action: Action::Cancel, side, ticks, lots };
        }
        let stride = stride.min(gap - 1);
        let (side, level) = self.side(up);
        level.ticks += if up { stride } else { -stride };
        dice.fill(level);
        Change { action: Action::Add, side, ticks: level.ticks, lots: level.lots }
    }

    /// Up: the ask gives way; down: the bid does.
    fn retreat(&mut self, up: bool, stride: i64) {
        if up {
            self.top.ask.ticks += stride;
        } else {
            self.top.bid.ticks = (self.top.bid.ticks - stride).max(1);
        }
    }

    #[inline]
    fn side(&mut self, bid: bool) -> (Side, &mut Level) {
        if bid { (Side::Bid, &mut self.top.bid) } else { (Side::Ask, &mut self.top.ask) }
    }

    /// How far the price is from where it is led to, in bands.
    fn stray(&self, mood: Mood) -> f64 {
        let led_to = self.home as f64 * mood.level;
        let middle = (self.top.bid.ticks + self.top.ask.ticks) as f64 * 0.5;
        (middle - led_to) / (led_to * BAND)
    }

    /// A nearly free walk near its home, ever less so towards the edge of the band. Takes 16 bits.
    fn is_up(&self, mood: Mood, dice: &mut Dice) -> bool {
        let stray = self.stray(mood);
        let pull = (stray * stray * stray).clamp(-1.0, 1.0);
        dice.under((32_768.0 * (1.0 - pull)) as u32)
    }

    /// Ticks of a move: geometric, larger in agitated times, and larger yet far from home, so that
    /// quiet instruments keep up with a crash. Takes up to 8 bits.
    fn stride(&mut self, mood: Mood, dice: &mut Dice) -> i64 {
        let throw = dice.take(8).trailing_ones() as f32;
        let usual = 0.5 * self.spread;
        let drawn = throw * usual * mood.volatility * self.agitation;
        let surprise = (1.0 + drawn) / (1.0 + usual * mood.volatility);
        let agitation = self.agitation + (surprise - self.agitation) * (1.0 / 32.0);
        self.agitation = agitation.clamp(AGITATION.0, AGITATION.1);
        let stray = self.stray(mood).abs();
        let hurry = if stray > 0.7 { stray * BAND * self.home as f64 / 16.0 } else { 0.0 };
        1 + drawn as i64 + hurry as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    const CALM: Mood = Mood { volatility: 1.0, level: 1.0 };

    fn sound(top: &Top) -> bool {
        let level = |l: &Level| l.lots >= 1 && l.orders >= 1 && l.orders <= l.lots;
        top.bid.ticks >= 1 && top.bid.ticks < top.ask.ticks && level(&top.bid) && level(&top.ask)
    }

    #[test]
    fn a_book_is_never_crossed_whatever_happens() {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        for home in [2, 50, 1000, 500_000] {
            let mut book = Book::new(home, 3.0, 30_000);
            for n in 0..200_000_u32 {
                let volatility = if n % 1000 < 500 { 1.0 } else { 30.0 };
                let level = if n % 20_000 < 10_000 { 1.0 } else { 0.2 };
                let mood = Mood { volatility, level };
                if n % 3 == 0 {
                    book.trade(mood, Dice(rng.next_u64()));
                } else {
                    book.quote(mood, Dice(rng.next_u64()));
                }
                assert!(sound(book.top()), "home {home}, event {n}: {:?}", book.top());
            }
        }
    }

    #[test]
    fn a_price_stays_in_its_band_and_follows_its_level() {
        let mut rng = Pcg64Mcg::seed_from_u64(2);
        let mut book = Book::new(20_000, 2.0, 20_000);
        for level in [1.0, 0.8, 1.1] {
            let mood = Mood { level, ..CALM };
            for _ in 0..20_000 {
                book.quote(mood, Dice(rng.next_u64()));
            }
            for _ in 0..200_000 {
                book.quote(mood, Dice(rng.next_u64()));
                assert!(book.stray(mood).abs() < 1.2, "{:?} at {level}", book.top());
            }
        }
    }

    #[test]
    fn a_trade_takes_what_was_shown_at_the_price_shown() {
        let mut rng = Pcg64Mcg::seed_from_u64(3);
        let mut book = Book::new(10_000, 2.0, 10_000);
        for _ in 0..100_000 {
            let before = *book.top();
            let (trade, gone) = book.trade(CALM, Dice(rng.next_u64()));
            let hit = if trade.side == Side::Bid { before.ask } else { before.bid };
            assert_eq!((trade.ticks, gone.ticks, gone.lots), (hit.ticks, hit.ticks, trade.lots));
            assert!((1..=hit.lots).contains(&trade.lots) && gone.side != trade.side);
        }
    }
}
