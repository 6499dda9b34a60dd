//! What each message of TOPS and DEEP becomes: records of DBN.

use dbn::record::str_to_c_chars;
use dbn::{ImbalanceMsg, InstrumentClass, StatMsg, StatType};

use super::message::{Auction, Body, Message};
use crate::feed::levels::Levels;
use crate::feed::quotes::Quotes;
use crate::feed::source::{Records, Stamp, Tally, last, yes};
use crate::feed::symbols::Symbols;
use crate::limits::ORDERS_MAX;
use crate::wire::record::{FlagSet, Side, StatusAction, StatusReason, UNDEF_PRICE, header, rtype};

/// What is known so far.
#[derive(Default)]
pub(super) struct Converter {
    symbols: Symbols,
    quotes: Quotes,
    levels: Levels,
}

impl Converter {
    /// Appends what a message becomes; `stamp` gets its instrument.
    ///
    /// # Errors
    /// More instruments or levels than are kept.
    pub(super) fn convert(
        &mut self,
        kind: &'static str,
        message: &Message<'_>,
        mut stamp: Stamp,
        out: &mut Records,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let reason = match message.body {
            Body::System => Some("is about the whole market"),
            Body::Break => Some("takes back a trade, which no record says"),
            Body::Security => Some("has no record in DBN"),
            _ => None,
        };
        if let Some(reason) = reason {
            tally.skip(kind, reason);
            return Ok(());
        }
        self.symbols.id(message.symbol, &mut stamp, out)?;
        match message.body {
            Body::Quote { bid, ask } => {
                // A side of size 0 is none.
                let side = |(price, size)| if size == 0 { (UNDEF_PRICE, 0) } else { (price, size) };
                self.quotes.quote(side(bid), side(ask), &stamp, out);
            }
            Body::Trade { size, price } => {
                self.quotes.trade(Side::None, price, size, &stamp, out);
            }
            Body::Level { buy, last: end, size, price } => {
                let side = if buy { Side::Bid } else { Side::Ask };
                let flags = if end { last() } else { FlagSet::empty() };
                let told = self.levels.set((side, price, size), &stamp, flags, out);
                if !told.map_err(|_| format!("more than {ORDERS_MAX} price levels"))? {
                    tally.skip(kind, "says what the level was already");
                }
            }
            _ => {
                if let Err(reason) = state(message, &stamp, out) {
                    tally.skip(kind, reason);
                }
            }
        }
        Ok(())
    }
}

/// Directory entries, changes of state, official prices, auctions.
fn state(message: &Message<'_>, stamp: &Stamp, out: &mut Records) -> Result<(), &'static str> {
    match message.body {
        Body::Directory { lot, .. } => {
            let mut definition = stamp.definition(message.symbol);
            definition.instrument_class = InstrumentClass::Stock as _;
            definition.min_lot_size_round_lot = i32::try_from(lot).unwrap_or(i32::MAX);
            definition.exchange = str_to_c_chars("IEXG").unwrap_or_default();
            definition.currency = str_to_c_chars("USD").unwrap_or_default();
            out.push(&definition);
        }
        Body::Trading { status, .. } => {
            let (action, trading, quoting) = match status {
                b'H' => (StatusAction::Halt, false, false),
                b'P' => (StatusAction::Pause, false, true),
                b'O' => (StatusAction::PreOpen, false, true),
                b'T' => (StatusAction::Trading, true, true),
                _ => return Err("has a state that TOPS doesn't know"),
            };
            let mut status = stamp.status(action, StatusReason::None);
            (status.is_trading, status.is_quoting) = (yes(trading), yes(quoting));
            out.push(&status);
        }
        Body::Operational { status } => {
            let halted = status == b'O';
            let action = if halted { StatusAction::Halt } else { StatusAction::Trading };
            let mut status = stamp.status(action, StatusReason::Operational);
            status.is_trading = yes(!halted);
            out.push(&status);
        }
        Body::ShortSale { status } => {
            let mut record = stamp.status(StatusAction::SsrChange, StatusReason::None);
            record.is_short_sell_restricted = yes(status != 0);
            out.push(&record);
        }
        Body::Official { kind, price } => {
            let stat_type = match kind {
                b'Q' => StatType::OpeningPrice,
                b'M' => StatType::ClosePrice,
                _ => return Err("has a kind of price that TOPS doesn't know"),
            };
            let (publisher, instrument) = (stamp.publisher, stamp.instrument);
            out.push(&StatMsg {
                hd: header::<StatMsg>(rtype::STATISTICS, publisher, instrument, stamp.ts_event),
                ts_recv: stamp.ts_recv,
                price,
                sequence: stamp.sequence,
                stat_type: stat_type as _,
                ..StatMsg::default()
            });
        }
        Body::Auction(auction) => out.push(&imbalance(&auction, stamp)),
        _ => return Err("has no record in DBN"),
    }
    Ok(())
}

fn imbalance(auction: &Auction, stamp: &Stamp) -> ImbalanceMsg {
    let price = |price: i64| if price == 0 { UNDEF_PRICE } else { price };
    let side = match auction.side {
        b'B' => Side::Bid,
        b'S' => Side::Ask,
        _ => Side::None,
    };
    let (publisher, instrument) = (stamp.publisher, stamp.instrument);
    ImbalanceMsg {
        hd: header::<ImbalanceMsg>(rtype::IMBALANCE, publisher, instrument, stamp.ts_event),
        ts_recv: stamp.ts_recv,
        ref_price: price(auction.reference),
        auction_time: u64::from(auction.time) * 1_000_000_000,
        cont_book_clr_price: price(auction.indicative),
        auct_interest_clr_price: price(auction.clearing),
        upper_collar: price(auction.upper),
        lower_collar: price(auction.lower),
        paired_qty: auction.paired,
        total_imbalance_qty: auction.imbalance,
        auction_type: auction.kind as _,
        side: side as _,
        num_extensions: auction.extensions,
        ..ImbalanceMsg::default()
    }
}
