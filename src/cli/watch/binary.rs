//! Updates from published DBN records, read where they lie.

use std::mem::{offset_of, size_of};

use super::price::Price;
use super::update::{Level, Side, Update};
use crate::wire::record::{
    self, BidAskPair, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, StatusMsg,
    SymbolMappingMsg, TradeMsg, rtype,
};

/// A record of any length that was checked to hold the fields of its type.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn price(&self, at: usize) -> Option<Price> {
        Price::new(record::u64_at(self.0, at) as i64)
    }

    fn level(&self, price: usize, size: usize) -> Option<Level> {
        let price = self.price(price)?;
        Some(Level { price, size: record::u32_at(self.0, size) })
    }
}

/// The update that a record stands for; none where it is shorter than its type, or has no schema.
pub(crate) fn update(bytes: &[u8], symbol: &str) -> Option<Update> {
    let rtype = record::rtype_of(bytes);
    let schema = record::schema_of(rtype)?.as_str();
    if bytes.len() < least(rtype) + size_of::<u64>() {
        return None;
    }
    let mut update = Update::bare(record::ts_event(bytes), symbol.to_owned(), schema);
    let fields = Fields(bytes);
    match rtype {
        rtype::MBP_0 => trade(&fields, &mut update),
        rtype::MBP_1 | rtype::MBP_10 | rtype::TBBO => book(&fields, &mut update),
        rtype::BBO_1S | rtype::BBO_1M => {
            trade(&fields, &mut update);
            levels(&fields, &mut update);
        }
        rtype::MBO => order(&fields, &mut update),
        rtype::STATUS => status(&fields, &mut update),
        rtype::INSTRUMENT_DEF => definition(&fields, &mut update),
        _ if is_bar(rtype) => bar(&fields, &mut update),
        _ => {}
    }
    Some(update)
}

/// Bytes that a record of this type has at least, `ts_out` apart.
fn least(rtype: u8) -> usize {
    match rtype {
        rtype::MBP_0 => size_of::<TradeMsg>(),
        rtype::MBP_1 | rtype::TBBO | rtype::BBO_1S | rtype::BBO_1M => size_of::<Mbp1Msg>(),
        rtype::MBP_10 => size_of::<Mbp10Msg>(),
        rtype::MBO => size_of::<MboMsg>(),
        rtype::STATUS => size_of::<StatusMsg>(),
        rtype::INSTRUMENT_DEF => size_of::<InstrumentDefMsg>(),
        _ if is_bar(rtype) => size_of::<OhlcvMsg>(),
        _ => record::HEADER,
    }
}

fn is_bar(rtype: u8) -> bool {
    matches!(
        rtype,
        rtype::OHLCV_1S | rtype::OHLCV_1M | rtype::OHLCV_1H | rtype::OHLCV_1D | rtype::OHLCV_EOD
    )
}

fn trade(fields: &Fields<'_>, update: &mut Update) {
    update.price = fields.price(offset_of!(TradeMsg, price));
    let size = record::u32_at(fields.0, offset_of!(TradeMsg, size));
    update.size = update.price.map(|_| u64::from(size));
    update.side = Side::of(fields.0[offset_of!(TradeMsg, side)]);
}

/// Price and size of a book update that is no trade are those of a level, which `bid` and `ask`
/// tell better.
fn book(fields: &Fields<'_>, update: &mut Update) {
    if fields.0[offset_of!(Mbp1Msg, action)] == b'T' {
        trade(fields, update);
    }
    levels(fields, update);
}

fn levels(fields: &Fields<'_>, update: &mut Update) {
    const TOP: usize = offset_of!(Mbp1Msg, levels);
    let at = |offset: usize| TOP + offset;
    update.bid =
        fields.level(at(offset_of!(BidAskPair, bid_px)), at(offset_of!(BidAskPair, bid_sz)));
    update.ask =
        fields.level(at(offset_of!(BidAskPair, ask_px)), at(offset_of!(BidAskPair, ask_sz)));
}

fn order(fields: &Fields<'_>, update: &mut Update) {
    update.price = fields.price(offset_of!(MboMsg, price));
    update.size = Some(u64::from(record::u32_at(fields.0, offset_of!(MboMsg, size))));
    update.side = Side::of(fields.0[offset_of!(MboMsg, side)]);
    let action = char::from(fields.0[offset_of!(MboMsg, action)]);
    let order = record::u64_at(fields.0, offset_of!(MboMsg, order_id));
    update.note = note::order(action, order);
}

fn bar(fields: &Fields<'_>, update: &mut Update) {
    let price = |at| fields.price(at);
    update.price = price(offset_of!(OhlcvMsg, close));
    update.size = Some(record::u64_at(fields.0, offset_of!(OhlcvMsg, volume)));
    let (open, high) = (price(offset_of!(OhlcvMsg, open)), price(offset_of!(OhlcvMsg, high)));
    update.note = note::bar(open, high, price(offset_of!(OhlcvMsg, low)));
}

fn status(fields: &Fields<'_>, update: &mut Update) {
    let action = fields.u16(offset_of!(StatusMsg, action));
    update.note = note::status(action, fields.u16(offset_of!(StatusMsg, reason)));
}

fn definition(fields: &Fields<'_>, update: &mut Update) {
    let tick = fields.price(offset_of!(InstrumentDefMsg, min_price_increment));
    update.note = note::definition(tick);
}

/// What has no column, in words; both encodings say it alike.
pub(crate) mod note {
    use super::Price;
    use crate::wire::record::{StatusAction, StatusReason};

    /// What happened to which order.
    pub(crate) fn order(action: char, order: u64) -> String {
        format!("{action} order {order}")
    }

    /// The rest of a bar.
    pub(crate) fn bar(open: Option<Price>, high: Option<Price>, low: Option<Price>) -> String {
        let show = |price: Option<Price>| price.map_or("-".to_owned(), |price| price.to_string());
        format!("open {} high {} low {}", show(open), show(high), show(low))
    }

    /// What an instrument's trading does now, and why.
    pub(crate) fn status(action: u16, reason: u16) -> String {
        let action = StatusAction::try_from(action).map_or(action.to_string(), words);
        match StatusReason::try_from(reason) {
            Ok(StatusReason::None) => action,
            Ok(reason) => format!("{action}: {}", words(reason)),
            Err(_) => format!("{action}: {reason}"),
        }
    }

    /// An instrument's price step.
    pub(crate) fn definition(tick: Option<Price>) -> String {
        tick.map_or(String::new(), |tick| format!("tick {tick}"))
    }

    /// `NotAvailableForTrading` as `not available for trading`.
    fn words(variant: impl std::fmt::Debug) -> String {
        let mut words = String::new();
        for c in format!("{variant:?}").chars() {
            if c.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        }
        words
    }
}

/// The instrument and its symbol, where the record is a mapping.
pub(crate) fn mapping(bytes: &[u8]) -> Option<(u32, String)> {
    const AT: usize = offset_of!(SymbolMappingMsg, stype_in_symbol);
    if record::rtype_of(bytes) != rtype::SYMBOL_MAPPING {
        return None;
    }
    let symbol = bytes.get(AT..AT + crate::limits::SYMBOL_BYTES)?;
    let symbol = symbol.split(|byte| *byte == 0).next()?;
    Some((record::instrument_id(bytes), String::from_utf8_lossy(symbol).into_owned()))
}

const _: () = {
    assert!(offset_of!(Mbp1Msg, price) == offset_of!(TradeMsg, price));
    assert!(offset_of!(Mbp1Msg, size) == offset_of!(TradeMsg, size));
    assert!(offset_of!(Mbp1Msg, side) == offset_of!(TradeMsg, side));
    assert!(offset_of!(Mbp1Msg, levels) == offset_of!(Mbp10Msg, levels));
    assert!(offset_of!(Mbp1Msg, levels) == offset_of!(record::BboMsg, levels));
    assert!(offset_of!(record::BboMsg, price) == offset_of!(TradeMsg, price));
    assert!(offset_of!(record::BboMsg, side) == offset_of!(TradeMsg, side));
    assert!(size_of::<record::BboMsg>() == size_of::<Mbp1Msg>());
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{bytes_of, header, publish_into};

    fn published<T: dbn::HasRType + AsRef<[u8]>>(bare: &T) -> Vec<u8> {
        let mut out = Vec::new();
        publish_into(&mut out, bytes_of(bare), 9);
        out
    }

    #[test]
    fn a_trade_has_price_size_and_aggressor() {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, 1, 5);
        let trade = TradeMsg {
            hd,
            price: 1_500_000_000,
            size: 7,
            side: b'A' as std::ffi::c_char,
            ..TradeMsg::default()
        };
        let update = update(&published(&trade), "A").unwrap();
        let expected = Update {
            price: Price::new(1_500_000_000),
            size: Some(7),
            side: Some(Side::Sell),
            ..Update::bare(5, "A".to_owned(), "trades")
        };
        assert_eq!(update, expected);
    }

    #[test]
    fn a_book_update_has_both_sides_and_a_price_only_when_it_traded() {
        let hd = header::<Mbp1Msg>(rtype::MBP_1, 1, 1, 5);
        let mut book = Mbp1Msg { hd, price: 3_000_000_000, size: 4, ..Mbp1Msg::default() };
        (book.levels[0].bid_px, book.levels[0].bid_sz) = (1_000_000_000, 2);
        let quote = update(&published(&book), "A").unwrap();
        let bid = Level { price: Price::new(1_000_000_000).unwrap(), size: 2 };
        assert_eq!((quote.bid, quote.ask, quote.price), (Some(bid), None, None));
        book.action = b'T' as std::ffi::c_char;
        assert_eq!(update(&published(&book), "A").unwrap().size, Some(4));
    }

    #[test]
    fn a_record_shorter_than_its_type_is_no_update() {
        for rtype in 0..=u8::MAX {
            let mut short = [0; 48];
            (short[0], short[1]) = (12, rtype);
            if let Some(update) = update(&short, "A") {
                assert!(least(rtype) <= 40, "{update:?} of type {rtype}");
            }
        }
    }

    #[test]
    fn a_status_is_told_in_words() {
        assert_eq!(note::status(8, 0), "halt");
        assert_eq!(note::status(15, 0), "not available for trading");
        assert_eq!(note::status(999, 998), "999: 998");
    }

    #[test]
    fn a_mapping_names_its_instrument() {
        let bytes = published(&record::mapping(64_000, 7, "AAPL", 5));
        assert_eq!(mapping(&bytes), Some((7, "AAPL".to_owned())));
        assert_eq!(update(&bytes, "A"), None);
    }
}
