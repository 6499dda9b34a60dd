//! The records that tell what happened in the simulated market.

use dbn::record::str_to_c_chars;

use super::book::{Change, Level, Top};
use super::text::Reason;
use crate::clock::UnixNanos;
use crate::wire::instrument::{Instrument, bit};
use crate::wire::record::{
    Action, BidAskPair, FlagSet, InstrumentDefMsg, Mbp1Msg, PUBLISHER_SIM, Schema, StatusAction,
    StatusMsg, StatusReason, TradeMsg, TriState, header, rtype,
};

/// The price step, 1e-9 dollars: a cent.
pub(in crate::feed) const TICK: i64 = 10_000_000;
/// Shares of a round lot.
pub(in crate::feed) const LOT: u32 = 100;
/// Ticks of a dollar.
pub(super) const TICKS_PER_DOLLAR: i64 = 100;

/// The schemas of the simulated market: what it brings, and what is derived from that.
const SCHEMAS: u32 = bit(Schema::Trades)
    | bit(Schema::Mbp1)
    | bit(Schema::Status)
    | bit(Schema::Definition)
    | bit(Schema::Ohlcv1S)
    | bit(Schema::Ohlcv1M)
    | bit(Schema::Bbo1S);

/// Who and when: what all records of one message share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) instrument: u32,
    /// The intended time, ns.
    pub(super) at: UnixNanos,
    /// When it was polled, ns.
    pub(super) received: UnixNanos,
    /// The venue's number of the message.
    pub(super) sequence: u32,
}

impl Stamp {
    /// From the venue's sending, which is its event, to us.
    #[inline]
    fn delay(&self) -> i32 {
        self.received.saturating_sub(self.at).min(i32::MAX as u64) as i32
    }
}

/// What the directory says of an instrument.
pub(in crate::feed) fn instrument(id: u32, symbol: &str, schemas: u32) -> Instrument {
    let symbol = symbol.to_owned();
    let (tick, lot) = (Some(TICK), Some(LOT));
    Instrument { id, publisher: PUBLISHER_SIM, symbol, tick, lot, schemas }
}

/// An instrument of the simulated market.
pub(super) fn listed(id: u32, symbol: &str) -> Instrument {
    instrument(id, symbol, SCHEMAS)
}

/// A trade as `trades` has it.
#[inline]
pub(super) fn trade(stamp: &Stamp, trade: &Change) -> TradeMsg {
    TradeMsg {
        hd: header::<TradeMsg>(rtype::MBP_0, PUBLISHER_SIM, stamp.instrument, stamp.at),
        price: trade.ticks * TICK,
        size: trade.lots * LOT,
        action: trade.action as i8,
        side: trade.side as i8,
        flags: FlagSet::empty(),
        depth: 0,
        ts_recv: stamp.received,
        ts_in_delta: stamp.delay(),
        sequence: stamp.sequence,
    }
}

/// A change and the top of the book with it; for a trade the top before its effect.
#[inline]
pub(super) fn mbp1(stamp: &Stamp, change: &Change, top: &Top) -> Mbp1Msg {
    let mut flags = FlagSet::empty();
    if change.action != Action::Trade {
        flags.set_last();
    }
    Mbp1Msg {
        hd: header::<Mbp1Msg>(rtype::MBP_1, PUBLISHER_SIM, stamp.instrument, stamp.at),
        price: change.ticks * TICK,
        size: change.lots * LOT,
        action: change.action as i8,
        side: change.side as i8,
        flags,
        depth: 0,
        ts_recv: stamp.received,
        ts_in_delta: stamp.delay(),
        sequence: stamp.sequence,
        levels: [pair(&top.bid, &top.ask)],
    }
}

#[inline]
fn pair(bid: &Level, ask: &Level) -> BidAskPair {
    BidAskPair {
        bid_px: bid.ticks * TICK,
        ask_px: ask.ticks * TICK,
        bid_sz: bid.lots * LOT,
        ask_sz: ask.lots * LOT,
        bid_ct: bid.orders,
        ask_ct: ask.orders,
    }
}

/// Trading stops for a reason, or goes on: after a halt for that reason, or because the day begins.
pub(super) fn status(stamp: &Stamp, open: bool, reason: Option<Reason>) -> StatusMsg {
    let action = match (open, reason) {
        (true, _) => StatusAction::Trading,
        (false, Some(Reason::Luld)) => StatusAction::Pause,
        (false, _) => StatusAction::Halt,
    };
    let why = match (open, reason) {
        (_, None) => StatusReason::Scheduled,
        (false, Some(Reason::News)) => StatusReason::NewsPending,
        (true, Some(Reason::News)) => StatusReason::NewsAndResumptionTimes,
        (_, Some(Reason::Luld)) => StatusReason::LuldPause,
        (false, Some(Reason::CircuitBreaker)) => StatusReason::MarketWideHaltLevel1,
        (true, Some(Reason::CircuitBreaker)) => StatusReason::MarketWideHaltResumption,
    };
    let is_open = if open { TriState::Yes } else { TriState::No } as u8 as i8;
    StatusMsg {
        hd: header::<StatusMsg>(rtype::STATUS, PUBLISHER_SIM, stamp.instrument, stamp.at),
        ts_recv: stamp.received,
        action: action as u16,
        reason: why as u16,
        is_trading: is_open,
        is_quoting: is_open,
        ..StatusMsg::default()
    }
}

/// The definition of an instrument: a common stock in dollars and cents.
pub(super) fn definition(stamp: &Stamp, symbol: &str) -> InstrumentDefMsg {
    InstrumentDefMsg {
        hd: header::<InstrumentDefMsg>(
            rtype::INSTRUMENT_DEF,
            PUBLISHER_SIM,
            stamp.instrument,
            stamp.at,
        ),
        ts_recv: stamp.received,
        min_price_increment: TICK,
        display_factor: 1_000_000_000,
        activation: stamp.at,
        raw_instrument_id: u64::from(stamp.instrument),
        market_depth: 1,
        min_lot_size: 1,
        min_lot_size_round_lot: LOT as i32,
        currency: chars("USD"),
        settl_currency: chars("USD"),
        raw_symbol: chars(symbol),
        asset: chars(symbol),
        exchange: chars("XSIM"),
        cfi: chars("ESXXXX"),
        security_type: chars("CS"),
        instrument_class: b'K' as i8,
        match_algorithm: b'F' as i8,
        security_update_action: b'A' as i8,
        ..InstrumentDefMsg::default()
    }
}

/// A text of a record; one that is too long for its place is left out.
fn chars<const N: usize>(text: &str) -> [i8; N] {
    str_to_c_chars(text).unwrap_or([0; N])
}
