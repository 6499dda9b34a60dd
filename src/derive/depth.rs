//! What the orders of one instrument (`mbo`) bring besides: its trades, and its book after each
//! event as `mbp-1` and `mbp-10`.
//!
//! A trade goes out as it is told, beside the book as the last event left it: what it does to the
//! book other records tell. The book goes out where an event ends (DBN's flag LAST) and another
//! best level (or, of ten, another level) is there than before; in the midst of an event it may be
//! crossed. The record tells the event's first change of these levels, with the time, the sequence
//! and the flags of its last record.

use crate::book::{Book, Event, Faults, TEN};
use crate::wire::instrument::bit;
use crate::wire::record::{
    BidAskPair, FlagSet, MboMsg, Mbp1Msg, Mbp10Msg, Schema, TradeMsg, bytes_of, flags, header,
    i32_at, instrument_id, rtype,
};

const TS_IN_DELTA: usize = std::mem::offset_of!(MboMsg, ts_in_delta);

/// The book of an instrument, and what was last told of it.
pub(super) struct Depth {
    book: Book,
    /// As the last event left it; the first level alone where `mbp-10` is not derived.
    levels: [BidAskPair; TEN],
    /// The first change of this event that touched the best level, and one of the ten.
    first: Option<Event>,
    first_of_ten: Option<Event>,
}

impl Depth {
    pub(super) fn new() -> Self {
        let mut book = Book::default();
        let levels = book.ten();
        Self { book, levels, first: None, first_of_ten: None }
    }

    /// Takes the next `mbo` record in; appends to `derived` the records of these schemas that
    /// follow from it. True where an event has ended that changed the best level.
    #[inline]
    pub(super) fn observe(
        &mut self,
        bare: &[u8],
        schemas: u32,
        room: &mut usize,
        derived: &mut Vec<u8>,
    ) -> bool {
        let event = Event::of(bare);
        self.book.apply(&event, room);
        if event.action == b'T' {
            self.trade(bare, &event, schemas, derived);
        }
        if self.first_of_ten.is_none() && self.book.is_touched(true) {
            self.first_of_ten = Some(event);
        }
        if self.first.is_none() && self.book.is_touched(false) {
            self.first = Some(event);
        }
        event.flags & flags::LAST != 0 && self.first_of_ten.is_some() && {
            self.end(bare, &event, schemas, derived)
        }
    }

    /// The best level, as the last event left it.
    pub(super) fn top(&self) -> &BidAskPair {
        &self.levels[0]
    }

    pub(super) fn faults(&self) -> Faults {
        self.book.faults()
    }

    fn trade(&self, bare: &[u8], event: &Event, schemas: u32, derived: &mut Vec<u8>) {
        let asks = |schema| schemas & bit(schema) != 0;
        if asks(Schema::Trades) {
            derived.extend_from_slice(bytes_of(&trade(bare, event)));
        }
        if asks(Schema::Mbp1) {
            let levels = [self.levels[0].clone()];
            derived.extend_from_slice(bytes_of(&mbp_1(bare, event, event, levels)));
        }
        if asks(Schema::Mbp10) {
            derived.extend_from_slice(bytes_of(&mbp_10(bare, event, event, self.levels.clone())));
        }
    }

    /// An event that changed something has ended with this record.
    fn end(&mut self, bare: &[u8], last: &Event, schemas: u32, derived: &mut Vec<u8>) -> bool {
        let deep = schemas & bit(Schema::Mbp10) != 0;
        let (first, first_of_ten) = (self.first.take(), self.first_of_ten.take());
        if first.is_none() && !deep {
            return false;
        }
        let mut changed = false;
        if let Some(cause) = first {
            let top = self.book.top();
            changed = top != self.levels[0];
            if changed && schemas & bit(Schema::Mbp1) != 0 {
                derived.extend_from_slice(bytes_of(&mbp_1(bare, last, &cause, [top.clone()])));
            }
            self.levels[0] = top;
        }
        if deep && let Some(cause) = first_of_ten {
            let ten = self.book.ten();
            if changed || ten != self.levels {
                derived.extend_from_slice(bytes_of(&mbp_10(bare, last, &cause, ten.clone())));
            }
            self.levels = ten;
        }
        changed
    }
}

fn trade(bare: &[u8], event: &Event) -> TradeMsg {
    TradeMsg {
        hd: header::<TradeMsg>(rtype::MBP_0, event.publisher, instrument_id(bare), event.ts_event),
        price: event.price,
        size: event.size,
        action: event.action as i8,
        side: event.side as i8,
        flags: FlagSet::new(event.flags),
        depth: 0,
        ts_recv: event.ts_recv,
        ts_in_delta: i32_at(bare, TS_IN_DELTA),
        sequence: event.sequence,
    }
}

/// The book after `cause`, with the time of the event's last record.
fn mbp_1(bare: &[u8], last: &Event, cause: &Event, levels: [BidAskPair; 1]) -> Mbp1Msg {
    Mbp1Msg {
        hd: header::<Mbp1Msg>(rtype::MBP_1, last.publisher, instrument_id(bare), last.ts_event),
        price: cause.price,
        size: cause.size,
        action: cause.action as i8,
        side: cause.side as i8,
        flags: FlagSet::new(last.flags),
        depth: depth(cause, &levels),
        ts_recv: last.ts_recv,
        ts_in_delta: i32_at(bare, TS_IN_DELTA),
        sequence: last.sequence,
        levels,
    }
}

fn mbp_10(bare: &[u8], last: &Event, cause: &Event, levels: [BidAskPair; TEN]) -> Mbp10Msg {
    Mbp10Msg {
        hd: header::<Mbp10Msg>(rtype::MBP_10, last.publisher, instrument_id(bare), last.ts_event),
        price: cause.price,
        size: cause.size,
        action: cause.action as i8,
        side: cause.side as i8,
        flags: FlagSet::new(last.flags),
        depth: depth(cause, &levels),
        ts_recv: last.ts_recv,
        ts_in_delta: i32_at(bare, TS_IN_DELTA),
        sequence: last.sequence,
        levels,
    }
}

/// Levels that are better than the price of a change; 0 for what is no change of an order.
fn depth(cause: &Event, levels: &[BidAskPair]) -> u8 {
    let better = |pair: &&BidAskPair| match cause.side {
        b'B' => pair.bid_ct > 0 && pair.bid_px > cause.price,
        b'A' => pair.ask_ct > 0 && pair.ask_px < cause.price,
        _ => false,
    };
    match cause.action {
        b'A' | b'C' | b'M' => levels.iter().filter(better).count() as u8,
        _ => 0,
    }
}
