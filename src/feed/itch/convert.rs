//! What each message of ITCH becomes: records of DBN, named by the stock's locate number.

use dbn::{ImbalanceMsg, InstrumentClass, record::str_to_c_chars};

use super::message::{Body, Imbalance, Message};
use super::orders::{Order, Orders, TooMany};
use crate::feed::source::{Records, Stamp, Tally, last, yes};
use crate::wire::record::{
    Action, MboMsg, Side, StatusAction, StatusReason, UNDEF_PRICE, header, rtype,
};

/// 1e-9 in 1e-4, the unit of ITCH prices.
const PRICE: i64 = 100_000;
const UNSEEN: &str = "is about an order that was not seen";
const MARKET: &str = "is about the whole market";
const UNDEF_SIZE: u32 = u32::MAX;

/// What is known of the day so far.
pub(super) struct Converter {
    orders: Orders,
    /// Symbols by locate number; empty where none was told.
    symbols: Vec<String>,
}

impl Default for Converter {
    fn default() -> Self {
        Self { orders: Orders::default(), symbols: vec![String::new(); 1 << 16] }
    }
}

/// A side as DBN has it, and the other one.
fn sides(side: u8) -> (Side, Side) {
    if side == b'B' { (Side::Bid, Side::Ask) } else { (Side::Ask, Side::Bid) }
}

impl Converter {
    /// Appends what a message becomes. `stamp` names its instrument.
    pub(super) fn convert(
        &mut self,
        kind: &'static str,
        message: &Message<'_>,
        stamp: &Stamp,
        out: &mut Records,
        tally: &mut Tally,
    ) -> Result<(), TooMany> {
        let skip = match message.body {
            Body::System | Body::Breaker => Some(MARKET),
            Body::Broken => Some("takes back a trade, which no record says"),
            Body::Participant => Some("is about a market maker"),
            Body::Ipo | Body::Collar | Body::Listing | Body::Retail => Some("has no record in DBN"),
            _ => None,
        };
        if let Some(symbol) = symbol_of(&message.body) {
            self.name(message.locate, symbol, stamp, out);
        }
        let told = match skip {
            Some(reason) => Err(reason),
            None => self.records(&message.body, stamp, out)?,
        };
        if let Err(reason) = told {
            tally.skip(kind, reason);
        }
        Ok(())
    }

    /// Names an instrument where its symbol is new.
    fn name(&mut self, locate: u16, symbol: &str, stamp: &Stamp, out: &mut Records) {
        let known = &mut self.symbols[usize::from(locate)];
        if known != symbol {
            symbol.clone_into(known);
            out.push(&stamp.mapping(symbol));
        }
    }

    /// Appends the records of a message; else why it has none.
    fn records(
        &mut self,
        body: &Body<'_>,
        stamp: &Stamp,
        out: &mut Records,
    ) -> Result<Result<(), &'static str>, TooMany> {
        let told = match *body {
            Body::Add { order, side, size, price, .. } => {
                let instrument = stamp.instrument;
                let added = Order { instrument, price, size, side: sides(side).0 as u8 };
                self.add(order, added, stamp, out)?;
                Ok(())
            }
            Body::Executed { order, size } => self.execute(order, size, None, true, stamp, out),
            Body::ExecutedAt { order, size, printable, price } => {
                self.execute(order, size, Some(price), printable, stamp, out)
            }
            Body::Cancel { order, size } => self.cancel(order, size, last_of, stamp, out),
            Body::Delete { order } => self.cancel(order, u32::MAX, last_of, stamp, out),
            Body::Replace { order, new, size, price } => match self.orders.remove(order) {
                Some(old) => {
                    out.push(&cancelled(stamp, order, &old, old.size));
                    self.add(new, Order { price, size, ..old }, stamp, out)?;
                    Ok(())
                }
                None => Err(UNSEEN),
            },
            Body::Trade { size, price, .. } => {
                out.push(&stamp.trade(Side::None, i64::from(price) * PRICE, size));
                Ok(())
            }
            Body::Cross { size, price, .. } => cross(size, price, stamp, out),
            Body::Imbalance(ref imbalance) => {
                out.push(&auction(imbalance, stamp));
                Ok(())
            }
            _ => state(body, stamp, out),
        };
        Ok(told)
    }

    fn add(
        &mut self,
        id: u64,
        order: Order,
        stamp: &Stamp,
        out: &mut Records,
    ) -> Result<(), TooMany> {
        self.orders.add(id, order)?;
        let (side, price) = (side_of(&order), i64::from(order.price) * PRICE);
        out.push(&last_of(stamp.mbo(Action::Add, side, id, price, order.size)));
        Ok(())
    }

    /// An execution: the trade, the fill of the resting order, and what it takes off it.
    fn execute(
        &mut self,
        id: u64,
        size: u32,
        price: Option<u32>,
        printable: bool,
        stamp: &Stamp,
        out: &mut Records,
    ) -> Result<(), &'static str> {
        let before = self.orders.reduce(id, size);
        let side = before.map(|(order, _)| side_of(&order));
        let at = price.or(before.map(|(order, _)| order.price)).ok_or(UNSEEN)?;
        let at = i64::from(at) * PRICE;
        let aggressor = match side {
            Some(Side::Bid) => Side::Ask,
            Some(_) => Side::Bid,
            None => Side::None,
        };
        let trade = stamp.mbo(Action::Trade, aggressor, 0, at, size);
        let Some(((order, taken), side)) = before.zip(side) else {
            if printable {
                out.push(&last_of(trade));
            }
            return if printable { Ok(()) } else { Err(UNSEEN) };
        };
        if printable {
            out.push(&trade);
        }
        out.push(&stamp.mbo(Action::Fill, side, id, at, size));
        out.push(&last_of(cancelled(stamp, id, &order, taken)));
        Ok(())
    }

    fn cancel(
        &mut self,
        id: u64,
        size: u32,
        flag: fn(MboMsg) -> MboMsg,
        stamp: &Stamp,
        out: &mut Records,
    ) -> Result<(), &'static str> {
        let (order, taken) = self.orders.reduce(id, size).ok_or(UNSEEN)?;
        out.push(&flag(cancelled(stamp, id, &order, taken)));
        Ok(())
    }
}

fn symbol_of<'a>(body: &Body<'a>) -> Option<&'a str> {
    Some(match *body {
        Body::Directory { symbol, .. }
        | Body::Trading { symbol, .. }
        | Body::ShortSale { symbol, .. }
        | Body::Operational { symbol, .. }
        | Body::Add { symbol, .. }
        | Body::Trade { symbol, .. }
        | Body::Cross { symbol, .. } => symbol,
        Body::Imbalance(imbalance) => imbalance.symbol,
        _ => return None,
    })
}

fn side_of(order: &Order) -> Side {
    sides(order.side).0
}

fn last_of(record: MboMsg) -> MboMsg {
    MboMsg { flags: last(), ..record }
}

fn cancelled(stamp: &Stamp, id: u64, order: &Order, size: u32) -> MboMsg {
    stamp.mbo(Action::Cancel, side_of(order), id, i64::from(order.price) * PRICE, size)
}

fn cross(size: u64, price: u32, stamp: &Stamp, out: &mut Records) -> Result<(), &'static str> {
    if size == 0 {
        return Err("is an auction without a trade");
    }
    let size = u32::try_from(size).ok().filter(|size| *size != UNDEF_SIZE);
    let size = size.ok_or("has more shares than a record can say")?;
    out.push(&stamp.trade(Side::None, i64::from(price) * PRICE, size));
    Ok(())
}

/// Directory entries and changes of state.
fn state(body: &Body<'_>, stamp: &Stamp, out: &mut Records) -> Result<(), &'static str> {
    match *body {
        Body::Directory { symbol, lot } => {
            let mut definition = stamp.definition(symbol);
            definition.instrument_class = InstrumentClass::Stock as _;
            definition.min_lot_size_round_lot = i32::try_from(lot).unwrap_or(i32::MAX);
            definition.exchange = str_to_c_chars("XNAS").unwrap_or_default();
            definition.currency = str_to_c_chars("USD").unwrap_or_default();
            out.push(&definition);
        }
        Body::Trading { state, reason, .. } => {
            let (action, trading, quoting) = match state {
                b'H' => (StatusAction::Halt, false, false),
                b'P' => (StatusAction::Pause, false, false),
                b'Q' => (StatusAction::Quoting, false, true),
                b'T' => (StatusAction::Trading, true, true),
                _ => return Err("has a state that ITCH 5.0 doesn't know"),
            };
            let mut status = stamp.status(action, why(reason));
            (status.is_trading, status.is_quoting) = (yes(trading), yes(quoting));
            out.push(&status);
        }
        Body::ShortSale { action, .. } => {
            let mut status = stamp.status(StatusAction::SsrChange, StatusReason::None);
            status.is_short_sell_restricted = yes(action != b'0');
            out.push(&status);
        }
        Body::Operational { action, .. } => {
            let halted = action == b'H';
            let action = if halted { StatusAction::Halt } else { StatusAction::Trading };
            let mut status = stamp.status(action, StatusReason::Operational);
            status.is_trading = yes(!halted);
            out.push(&status);
        }
        _ => return Err("has no record in DBN"),
    }
    Ok(())
}

/// The reason of a halt, where DBN has a word for it.
fn why(code: [u8; 4]) -> StatusReason {
    match &code {
        b"T1  " => StatusReason::NewsPending,
        b"T2  " => StatusReason::NewsReleased,
        b"T3  " | b"R4  " | b"R9  " => StatusReason::NewsAndResumptionTimes,
        b"T6  " | b"H4  " => StatusReason::NonCompliance,
        b"T8  " => StatusReason::Etf,
        b"T12 " => StatusReason::AdditionalInformationRequested,
        b"H9  " => StatusReason::FilingsNotCurrent,
        b"H10 " => StatusReason::SecTradingSuspension,
        b"H11 " => StatusReason::Regulatory,
        b"LUDP" | b"LUDS" | b"T5  " => StatusReason::LuldPause,
        b"MWC1" => StatusReason::MarketWideHaltLevel1,
        b"MWC2" => StatusReason::MarketWideHaltLevel2,
        b"MWC3" => StatusReason::MarketWideHaltLevel3,
        b"MWC0" => StatusReason::MarketWideHaltCarryover,
        b"MWCQ" => StatusReason::MarketWideHaltResumption,
        b"IPO1" | b"IPOQ" => StatusReason::NewIssue,
        b"R1  " => StatusReason::IssueAvailable,
        b"R2  " => StatusReason::IssuesReviewed,
        _ => StatusReason::None,
    }
}

fn auction(imbalance: &Imbalance<'_>, stamp: &Stamp) -> ImbalanceMsg {
    // A price of 0 says that there is none; a size beyond DBN's is undefined.
    let price = |price: u32| if price == 0 { UNDEF_PRICE } else { i64::from(price) * PRICE };
    let size = |size: u64| u32::try_from(size).unwrap_or(UNDEF_SIZE);
    let side = match imbalance.direction {
        b'B' => Side::Bid,
        b'S' => Side::Ask,
        _ => Side::None,
    };
    let (publisher, instrument) = (stamp.publisher, stamp.instrument);
    ImbalanceMsg {
        hd: header::<ImbalanceMsg>(rtype::IMBALANCE, publisher, instrument, stamp.ts_event),
        ts_recv: stamp.ts_recv,
        ref_price: price(imbalance.reference),
        cont_book_clr_price: price(imbalance.near),
        auct_interest_clr_price: price(imbalance.far),
        paired_qty: size(imbalance.paired),
        total_imbalance_qty: size(imbalance.unpaired),
        auction_type: imbalance.cross as _,
        side: side as _,
        ..ImbalanceMsg::default()
    }
}
