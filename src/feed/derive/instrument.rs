//! What is kept of one instrument: its open bars, its last trade, the top of its book.

use std::mem::offset_of;

use crate::clock::{SECOND, UnixNanos};
use crate::feed::Batch;
use crate::wire::instrument::bit;
use crate::wire::record::{
    BboMsg, BidAskPair, FlagSet, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, Schema, Side, TradeMsg,
    UNDEF_PRICE, UNDEF_TIMESTAMP, bytes_of, header, instrument_id, publisher_id, rtype, rtype_of,
    ts_event, u32_at, u64_at,
};

const MINUTE: u64 = 60 * SECOND;

/// Is this a record that tells of a trade or of the top of a book, and whole?
#[inline]
pub(super) fn is_material(bare: &[u8]) -> bool {
    let whole = match rtype_of(bare) {
        rtype::MBP_0 => size_of::<TradeMsg>(),
        rtype::MBP_1 => size_of::<Mbp1Msg>(),
        rtype::MBP_10 => size_of::<Mbp10Msg>(),
        rtype::MBO => size_of::<MboMsg>(),
        _ => return false,
    };
    bare.len() == whole
}

/// Where a kind of record keeps what we need of it.
struct Layout {
    price: usize,
    size: usize,
    action: usize,
    flags: usize,
    sequence: usize,
}

/// The same in `trades`, `mbp-1` and `mbp-10`.
const MBP: Layout = Layout {
    price: offset_of!(TradeMsg, price),
    size: offset_of!(TradeMsg, size),
    action: offset_of!(TradeMsg, action),
    flags: offset_of!(TradeMsg, flags),
    sequence: offset_of!(TradeMsg, sequence),
};
const MBO: Layout = Layout {
    price: offset_of!(MboMsg, price),
    size: offset_of!(MboMsg, size),
    action: offset_of!(MboMsg, action),
    flags: offset_of!(MboMsg, flags),
    sequence: offset_of!(MboMsg, sequence),
};
/// Where the top of the book begins.
const TOP: usize = offset_of!(Mbp1Msg, levels);

const _: () = {
    assert!(offset_of!(Mbp1Msg, price) == MBP.price && offset_of!(Mbp10Msg, price) == MBP.price);
    assert!(offset_of!(Mbp1Msg, sequence) == MBP.sequence && offset_of!(Mbp10Msg, levels) == TOP);
    assert!(offset_of!(TradeMsg, side) == MBP.action + 1);
    assert!(offset_of!(MboMsg, side) == MBO.action + 1);
};

/// A bar that is still growing, once it is open.
#[derive(Clone, Copy)]
struct Bar {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: u64,
    is_open: bool,
}

impl Bar {
    const NONE: Self = Self { open: 0, high: 0, low: 0, close: 0, volume: 0, is_open: false };

    #[inline]
    fn add(&mut self, price: i64, size: u32) {
        if !self.is_open {
            *self = Self { open: price, high: price, low: price, is_open: true, ..Self::NONE };
        }
        self.high = self.high.max(price);
        self.low = self.low.min(price);
        self.close = price;
        self.volume = self.volume.saturating_add(u64::from(size));
    }
}

/// Of which intervals an instrument has something to tell that it had nothing to tell of before.
pub(super) struct Seen {
    pub(super) second: bool,
    pub(super) minute: bool,
}

/// One instrument.
pub(super) struct State {
    id: u32,
    publisher: u16,
    /// The kind of record that its trades are taken from: the first that brought one. A feed may
    /// bring the same trade as `trades` and in `mbp-1`.
    trades_from: Option<u8>,
    second: Bar,
    minute: Bar,
    /// The last trade and the top of the book, as the next `bbo-1s` will tell.
    bbo: BboMsg,
    has_book: bool,
    /// Has there been a trade or a change of the book in this second?
    fresh: bool,
}

impl State {
    /// An instrument of which this is the first record.
    pub(super) fn new(bare: &[u8]) -> Self {
        let (id, publisher) = (instrument_id(bare), publisher_id(bare));
        let bbo = BboMsg {
            hd: header::<BboMsg>(rtype::BBO_1S, publisher, id, UNDEF_TIMESTAMP),
            price: UNDEF_PRICE,
            size: 0,
            side: Side::None as i8,
            ..BboMsg::default_for_schema(Schema::Bbo1S)
        };
        let (second, minute) = (Bar::NONE, Bar::NONE);
        let (trades_from, has_book, fresh) = (None, false, false);
        Self { id, publisher, trades_from, second, minute, bbo, has_book, fresh }
    }

    /// Takes note of a material record.
    #[inline]
    pub(super) fn observe(&mut self, bare: &[u8]) -> Seen {
        let before = (self.has_second(), self.minute.is_open);
        let rtype = rtype_of(bare);
        let layout = if rtype == rtype::MBO { &MBO } else { &MBP };
        let traded = bare[layout.action] == b'T' && self.trade(rtype, layout, bare);
        let quoted = matches!(rtype, rtype::MBP_1 | rtype::MBP_10);
        if quoted {
            self.bbo.levels = [top(bare)];
            self.has_book = true;
        }
        if quoted || traded {
            self.bbo.sequence = u32_at(bare, layout.sequence);
            self.bbo.flags = FlagSet::new(bare[layout.flags]);
            self.fresh = self.has_book;
        }
        Seen { second: !before.0 && self.has_second(), minute: !before.1 && self.minute.is_open }
    }

    /// Has it something to tell of this second?
    #[inline]
    fn has_second(&self) -> bool {
        self.fresh || self.second.is_open
    }

    /// Counts a trade; false for one that another kind of record brings as well.
    #[inline]
    fn trade(&mut self, rtype: u8, layout: &Layout, bare: &[u8]) -> bool {
        let (price, size) = (u64_at(bare, layout.price) as i64, u32_at(bare, layout.size));
        if *self.trades_from.get_or_insert(rtype) != rtype || price == UNDEF_PRICE {
            return false;
        }
        (self.bbo.price, self.bbo.size) = (price, size);
        self.bbo.side = bare[layout.action + 1] as i8;
        self.bbo.hd.ts_event = ts_event(bare);
        self.second.add(price, size);
        self.minute.add(price, size);
        true
    }

    /// Appends what the second that ends at `end` has to tell. False where `out` has no room for
    /// all of it; called again, it goes on.
    pub(super) fn end_second(&mut self, end: UnixNanos, schemas: u32, out: &mut Batch) -> bool {
        if self.fresh && schemas & bit(Schema::Bbo1S) != 0 {
            self.bbo.ts_recv = end;
            if !out.push(bytes_of(&self.bbo)) {
                return false;
            }
        }
        self.fresh = false;
        let asked = schemas & bit(Schema::Ohlcv1S) != 0;
        let told = self.end_bar(self.second, rtype::OHLCV_1S, asked, end - SECOND, out);
        self.second.is_open &= !told;
        told
    }

    /// Appends what the minute that ends at `end` has to tell. False where `out` has no room.
    pub(super) fn end_minute(&mut self, end: UnixNanos, schemas: u32, out: &mut Batch) -> bool {
        let asked = schemas & bit(Schema::Ohlcv1M) != 0;
        let told = self.end_bar(self.minute, rtype::OHLCV_1M, asked, end - MINUTE, out);
        self.minute.is_open &= !told;
        told
    }

    fn end_bar(&self, bar: Bar, rtype: u8, asked: bool, start: u64, out: &mut Batch) -> bool {
        let Bar { open, high, low, close, volume, is_open } = bar;
        if !is_open || !asked {
            return true;
        }
        let hd = header::<OhlcvMsg>(rtype, self.publisher, self.id, start);
        out.push(bytes_of(&OhlcvMsg { hd, open, high, low, close, volume }))
    }
}

/// The top of the book of an MBP record.
#[inline]
fn top(bare: &[u8]) -> BidAskPair {
    BidAskPair {
        bid_px: u64_at(bare, TOP) as i64,
        ask_px: u64_at(bare, TOP + 8) as i64,
        bid_sz: u32_at(bare, TOP + 16),
        ask_sz: u32_at(bare, TOP + 20),
        bid_ct: u32_at(bare, TOP + 24),
        ask_ct: u32_at(bare, TOP + 28),
    }
}
