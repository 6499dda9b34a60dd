//! What the records of one message have in common, and records that every importer makes alike.

use dbn::record::str_to_c_chars;
use dbn::{FlagSet, TriState};

use crate::clock::UnixNanos;
use crate::limits::SYMBOL_BYTES;
use crate::wire::record::{
    Action, BidAskPair, InstrumentDefMsg, MboMsg, Mbp1Msg, Side, StatusAction, StatusMsg,
    StatusReason, SymbolMappingMsg, TradeMsg, header, mapping, rtype,
};

/// The venue, the instrument, the times and the number of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) publisher: u16,
    pub(crate) instrument: u32,
    pub(crate) ts_event: UnixNanos,
    pub(crate) ts_recv: UnixNanos,
    pub(crate) sequence: u32,
}

/// The last record of an event.
pub(crate) fn last() -> FlagSet {
    FlagSet::empty().set_last()
}

impl Stamp {
    /// What names the instrument, of the time at which its records come.
    pub(crate) fn mapping(&self, symbol: &str) -> SymbolMappingMsg {
        mapping(self.publisher, self.instrument, symbol, self.ts_recv)
    }

    /// A change of an order.
    pub(crate) fn mbo(
        &self,
        action: Action,
        side: Side,
        order_id: u64,
        price: i64,
        size: u32,
    ) -> MboMsg {
        MboMsg {
            hd: header::<MboMsg>(rtype::MBO, self.publisher, self.instrument, self.ts_event),
            order_id,
            price,
            size,
            channel_id: 0,
            action: action as _,
            side: side as _,
            ts_recv: self.ts_recv,
            sequence: self.sequence,
            ..MboMsg::default()
        }
    }

    /// A trade; `side` is that of who came to the market.
    pub(crate) fn trade(&self, side: Side, price: i64, size: u32) -> TradeMsg {
        TradeMsg {
            hd: header::<TradeMsg>(rtype::MBP_0, self.publisher, self.instrument, self.ts_event),
            price,
            size,
            action: Action::Trade as _,
            side: side as _,
            flags: last(),
            ts_recv: self.ts_recv,
            sequence: self.sequence,
            ..TradeMsg::default()
        }
    }

    /// A change of the best bid or offer, or a trade, and both sides after it.
    pub(crate) fn mbp1(
        &self,
        action: Action,
        side: Side,
        (price, size): (i64, u32),
        after: BidAskPair,
    ) -> Mbp1Msg {
        Mbp1Msg {
            hd: header::<Mbp1Msg>(rtype::MBP_1, self.publisher, self.instrument, self.ts_event),
            price,
            size,
            action: action as _,
            side: side as _,
            flags: last(),
            ts_recv: self.ts_recv,
            sequence: self.sequence,
            levels: [after],
            ..Mbp1Msg::default()
        }
    }

    /// A change of an instrument's state; whether it is traded and quoted is left open.
    pub(crate) fn status(&self, action: StatusAction, reason: StatusReason) -> StatusMsg {
        let open = TriState::NotAvailable as _;
        StatusMsg {
            hd: header::<StatusMsg>(rtype::STATUS, self.publisher, self.instrument, self.ts_event),
            ts_recv: self.ts_recv,
            action: action as _,
            reason: reason as _,
            is_trading: open,
            is_quoting: open,
            is_short_sell_restricted: open,
            ..StatusMsg::default()
        }
    }

    /// What an instrument is, as far as every format says it.
    pub(crate) fn definition(&self, symbol: &str) -> InstrumentDefMsg {
        let (kind, ts) = (rtype::INSTRUMENT_DEF, self.ts_event);
        let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES)];
        InstrumentDefMsg {
            hd: header::<InstrumentDefMsg>(kind, self.publisher, self.instrument, ts),
            ts_recv: self.ts_recv,
            raw_instrument_id: u64::from(self.instrument),
            raw_symbol: str_to_c_chars(symbol).unwrap_or([0; SYMBOL_BYTES + 1]),
            security_update_action: b'A' as _,
            ..InstrumentDefMsg::default()
        }
    }
}

/// Yes or no, as DBN writes it.
pub(crate) fn yes(is: bool) -> std::ffi::c_char {
    (if is { TriState::Yes } else { TriState::No }) as _
}
