//! One side of a book: its price levels, the best first.

use std::collections::BTreeMap;

use super::orders::NONE;
use crate::wire::record::{BidAskPair, UNDEF_PRICE};

/// Levels that `mbp-10` tells.
pub const TEN: usize = 10;

/// No level: what a side that is not so deep has in its place.
pub(super) const EMPTY: BidAskPair = BidAskPair {
    bid_px: UNDEF_PRICE,
    ask_px: UNDEF_PRICE,
    bid_sz: 0,
    ask_sz: 0,
    bid_ct: 0,
    ask_ct: 0,
};

/// The orders of one price.
pub(super) struct Level {
    pub(super) size: u64,
    pub(super) count: u32,
    /// The slots of the queue's first and last order.
    pub(super) first: u32,
    pub(super) last: u32,
}

/// The bids or the asks.
///
/// Invariant: `first` and `tenth` are the keys of the best and the tenth best level when those were
/// last told (the largest key where there was none): as long as no level up to such a key is
/// touched, what was told holds.
pub(super) struct Side<const BID: bool> {
    /// By key: the better the price, the smaller.
    levels: BTreeMap<i64, Level>,
    first: i64,
    tenth: i64,
    touched_first: bool,
    touched_ten: bool,
}

impl<const BID: bool> Default for Side<BID> {
    fn default() -> Self {
        let (first, tenth) = (i64::MAX, i64::MAX);
        let (touched_first, touched_ten) = (true, true);
        Self { levels: BTreeMap::new(), first, tenth, touched_first, touched_ten }
    }
}

impl<const BID: bool> Side<BID> {
    /// The key of a price, and the price of a key: bids turned round (without a special case for
    /// the lowest price, as a negation would have).
    #[inline]
    const fn key(price: i64) -> i64 {
        if BID { !price } else { price }
    }

    #[inline]
    fn touch(&mut self, key: i64) {
        self.touched_first |= key <= self.first;
        self.touched_ten |= key <= self.tenth;
    }

    /// The level of a price, to be changed; empty where there was none.
    #[inline]
    pub(super) fn level(&mut self, price: i64) -> &mut Level {
        let key = Self::key(price);
        self.touch(key);
        let empty = || Level { size: 0, count: 0, first: NONE, last: NONE };
        self.levels.entry(key).or_insert_with(empty)
    }

    pub(super) fn remove(&mut self, price: i64) {
        self.levels.remove(&Self::key(price));
    }

    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.touch(i64::MIN);
    }

    /// Was anything touched that [`Side::best`] told last, for one level or for ten?
    #[inline]
    pub(super) fn is_touched(&self, ten: bool) -> bool {
        if ten { self.touched_ten } else { self.touched_first }
    }

    /// Tells the best levels, as many as `into` has.
    pub(super) fn best(&mut self, into: &mut [BidAskPair]) {
        let mut last = i64::MAX;
        let mut told = 0;
        for (pair, (key, level)) in into.iter_mut().zip(&self.levels) {
            let size = u32::try_from(level.size).unwrap_or(u32::MAX);
            match BID {
                true => (pair.bid_px, pair.bid_sz, pair.bid_ct) = (!*key, size, level.count),
                false => (pair.ask_px, pair.ask_sz, pair.ask_ct) = (*key, size, level.count),
            }
            last = *key;
            told += 1;
        }
        self.first = self.levels.first_key_value().map_or(i64::MAX, |(key, _)| *key);
        self.touched_first = false;
        if into.len() == TEN {
            self.tenth = if told == TEN { last } else { i64::MAX };
            self.touched_ten = false;
        }
    }

    /// The first orders' slots of all levels, the best level first.
    pub(super) fn firsts(&self) -> impl Iterator<Item = u32> {
        self.levels.values().map(|level| level.first)
    }
}
