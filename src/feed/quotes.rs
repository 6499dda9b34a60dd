//! The best bid and offer of each instrument, for feeds that say them whole: what changed, and what
//! stood when a trade came.

use crate::feed::source::{Records, Stamp};
use crate::wire::record::{Action, BidAskPair, Side, UNDEF_PRICE};

/// The quotes so far, by instrument id: ids are dense.
#[derive(Default)]
pub(super) struct Quotes {
    all: Vec<Option<BidAskPair>>,
}

impl Quotes {
    /// Appends a quote: both sides, each a price (undefined: there is none) and a size.
    pub(super) fn quote(
        &mut self,
        (bid_px, bid_sz): (i64, u32),
        (ask_px, ask_sz): (i64, u32),
        stamp: &Stamp,
        out: &mut Records,
    ) {
        let after = BidAskPair { bid_px, ask_px, bid_sz, ask_sz, ..BidAskPair::default() };
        let before = self.of(stamp.instrument).replace(after.clone()).unwrap_or_default();
        let bid_moved = (before.bid_px, before.bid_sz) != (bid_px, bid_sz);
        let ask_moved = (before.ask_px, before.ask_sz) != (ask_px, ask_sz);
        let (side, price, size) = match (bid_moved, ask_moved) {
            (true, false) => (Side::Bid, bid_px, bid_sz),
            (false, true) => (Side::Ask, ask_px, ask_sz),
            _ => (Side::None, UNDEF_PRICE, 0),
        };
        out.push(&stamp.mbp1(Action::Modify, side, (price, size), after));
    }

    /// Appends a trade, of whose side is that of who came to the market; where the instrument is
    /// quoted, in `mbp-1` as well.
    pub(super) fn trade(
        &mut self,
        side: Side,
        price: i64,
        size: u32,
        stamp: &Stamp,
        out: &mut Records,
    ) {
        out.push(&stamp.trade(side, price, size));
        if let Some(quote) = self.of(stamp.instrument).clone() {
            out.push(&stamp.mbp1(Action::Trade, side, (price, size), quote));
        }
    }

    fn of(&mut self, instrument: u32) -> &mut Option<BidAskPair> {
        let at = instrument as usize;
        if at >= self.all.len() {
            self.all.resize(at + 1, None);
        }
        &mut self.all[at]
    }
}
