//! What is kept of one instrument: its open bars, its last trade, its book.

use std::mem::offset_of;

use super::Batch;
use super::depth::Depth;
use crate::book::Faults;
use crate::clock::{SECOND, UnixNanos};
use crate::wire::instrument::bit;
use crate::wire::record::{
    BboMsg, BidAskPair, FlagSet, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, Schema, Side, TradeMsg,
    UNDEF_PRICE, UNDEF_TIMESTAMP, bytes_of, header, instrument_id, publisher_id, rtype, rtype_of,
    schema_of, ts_event, u32_at, u64_at,
};

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

    /// Takes a later one in.
    fn merge(&mut self, later: &Self) {
        if !self.is_open {
            *self = *later;
            return;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.saturating_add(later.volume);
    }

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

/// The schemas of material records that an instrument may bring itself; they are not derived then.
const BROUGHT: u32 = bit(Schema::Trades) | bit(Schema::Mbp1) | bit(Schema::Mbp10);
/// The lengths of bars, each a multiple of the one before: ns, record type, schema.
pub(super) const SPANS: [(u64, u8, Schema); 4] = [
    (SECOND, rtype::OHLCV_1S, Schema::Ohlcv1S),
    (60 * SECOND, rtype::OHLCV_1M, Schema::Ohlcv1M),
    (3_600 * SECOND, rtype::OHLCV_1H, Schema::Ohlcv1H),
    (86_400 * SECOND, rtype::OHLCV_1D, Schema::Ohlcv1D),
];
/// The lengths of interval quotes are the first of these.
const QUOTES: [(u8, Schema); 2] = [(rtype::BBO_1S, Schema::Bbo1S), (rtype::BBO_1M, Schema::Bbo1M)];

/// What a record is observed with: what is derived, and what all instruments share.
pub(super) struct Shared<'a> {
    pub(super) schemas: u32,
    /// Orders that the books may grow by.
    pub(super) room: &'a mut usize,
    /// Where the records go that follow from the one observed.
    pub(super) derived: &'a mut Vec<u8>,
}

/// One instrument.
pub(super) struct State {
    id: u32,
    publisher: u16,
    /// The kind of record that its trades are taken from: the first that brought one. A feed may
    /// bring the same trade as `trades` and in `mbp-1`.
    trades_from: Option<u8>,
    /// What it brings itself: of [`BROUGHT`], bars and interval quotes.
    brings: u32,
    /// One for each of [`SPANS`], of what the shorter ones have told and the open ones have not.
    bars: [Bar; SPANS.len()],
    /// The last trade and the top of the book, as the next interval quote will tell.
    bbo: BboMsg,
    has_book: bool,
    /// Has there been a trade or a change of the book, for each of [`QUOTES`]?
    fresh: [bool; QUOTES.len()],
    /// Its book, where it brings orders.
    depth: Option<Box<Depth>>,
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
        Self {
            id,
            publisher,
            trades_from: None,
            brings: 0,
            bars: [Bar::NONE; SPANS.len()],
            bbo,
            has_book: false,
            fresh: [false; QUOTES.len()],
            depth: None,
        }
    }

    /// Takes note of a material record. True where it is the first of which the open second has
    /// something to tell.
    #[inline]
    pub(super) fn observe(&mut self, bare: &[u8], shared: &mut Shared<'_>) -> bool {
        let before = self.has(0);
        let rtype = rtype_of(bare);
        let layout = if rtype == rtype::MBO { &MBO } else { &MBP };
        let traded = bare[layout.action] == b'T' && self.trade(rtype, layout, bare);
        let quoted = match rtype {
            rtype::MBO => self.order(bare, shared),
            rtype::MBP_1 | rtype::MBP_10 => {
                self.bbo.levels = [top(bare)];
                true
            }
            _ => false,
        };
        if rtype != rtype::MBO {
            self.brings |= schema_of(rtype).map_or(0, bit) & BROUGHT;
        }
        self.has_book |= quoted;
        if quoted || traded {
            self.bbo.sequence = u32_at(bare, layout.sequence);
            self.bbo.flags = FlagSet::new(bare[layout.flags]);
            self.fresh[0] = self.has_book;
        }
        !before && self.has(0)
    }

    /// It brings records of these schemas itself: bars or interval quotes.
    pub(super) fn brings(&mut self, schemas: u32) {
        self.brings |= schemas;
    }

    /// Takes note of an order; true where the top of the book is another then.
    #[inline]
    fn order(&mut self, bare: &[u8], shared: &mut Shared<'_>) -> bool {
        let depth = self.depth.get_or_insert_with(|| Box::new(Depth::new()));
        let schemas = shared.schemas & !self.brings;
        let changed = depth.observe(bare, schemas, shared.room, shared.derived);
        let counts = changed && self.brings & (bit(Schema::Mbp1) | bit(Schema::Mbp10)) == 0;
        if counts {
            self.bbo.levels = [depth.top().clone()];
        }
        counts
    }

    /// What its orders had that no sound stream has.
    pub(super) fn faults(&self) -> Faults {
        self.depth.as_ref().map(|depth| depth.faults()).unwrap_or_default()
    }

    /// Has it something to tell of this span?
    #[inline]
    fn has(&self, span: usize) -> bool {
        self.bars[span].is_open || self.fresh.get(span) == Some(&true)
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
        self.bars[0].add(price, size);
        true
    }

    /// Appends what the span that ends at `end` has to tell, and gives it on to the next longer
    /// one; true where that had nothing before. None where `out` has no room, and nothing is done.
    pub(super) fn end(
        &mut self,
        span: usize,
        end: UnixNanos,
        schemas: u32,
        out: &mut Batch,
    ) -> Option<bool> {
        // For both records, so that they are told together; an empty batch has it.
        if !out.has_room(size_of::<BboMsg>() + 8 + size_of::<OhlcvMsg>()) {
            return None;
        }
        let longer = span + 1;
        let before = longer < SPANS.len() && self.has(longer);
        if self.fresh.get(span) == Some(&true) {
            self.end_quote(span, end, schemas, out);
        }
        let bar = std::mem::replace(&mut self.bars[span], Bar::NONE);
        if bar.is_open {
            self.end_bar(&bar, span, end, schemas, out);
            if let Some(longer) = self.bars.get_mut(longer) {
                longer.merge(&bar);
            }
        }
        Some(!before && longer < SPANS.len() && self.has(longer))
    }

    fn end_quote(&mut self, span: usize, end: UnixNanos, schemas: u32, out: &mut Batch) {
        let (rtype, schema) = QUOTES[span];
        self.fresh[span] = false;
        if let Some(longer) = self.fresh.get_mut(span + 1) {
            *longer = true;
        }
        if schemas & !self.brings & bit(schema) != 0 {
            (self.bbo.hd.rtype, self.bbo.ts_recv) = (rtype, end);
            out.push(bytes_of(&self.bbo));
        }
    }

    fn end_bar(&self, bar: &Bar, span: usize, end: u64, schemas: u32, out: &mut Batch) {
        let (length, rtype, schema) = SPANS[span];
        if schemas & !self.brings & bit(schema) != 0 {
            let Bar { open, high, low, close, volume, .. } = *bar;
            let hd = header::<OhlcvMsg>(rtype, self.publisher, self.id, end - length);
            out.push(bytes_of(&OhlcvMsg { hd, open, high, low, close, volume }));
        }
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
