//! Updates from records of the JSON encoding.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::binary::note;
use super::price::Price;
use super::update::{Level, Side, Update};
use crate::cli::client::json::Time;
use crate::cli::client::message::Number;
use crate::wire::record::{self, UNDEF_TIMESTAMP, rtype};

/// A record of any schema, as DBN prints it: the fields that the ticker shows.
#[derive(Deserialize)]
pub(crate) struct JsonRecord<'a> {
    hd: Header,
    #[serde(borrow, default)]
    symbol: Option<Cow<'a, str>>,
    /// A letter, or a number in a status.
    #[serde(default)]
    action: Value,
    #[serde(borrow, default)]
    side: Option<Cow<'a, str>>,
    price: Option<Price>,
    size: Option<Number>,
    #[serde(default)]
    levels: Vec<JsonLevel>,
    order_id: Option<Number>,
    open: Option<Price>,
    high: Option<Price>,
    low: Option<Price>,
    close: Option<Price>,
    volume: Option<Number>,
    #[serde(default)]
    reason: u16,
    min_price_increment: Option<Price>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    ts_event: Option<Time>,
    rtype: u8,
}

#[derive(Deserialize)]
struct JsonLevel {
    bid_px: Option<Price>,
    ask_px: Option<Price>,
    #[serde(default)]
    bid_sz: u32,
    #[serde(default)]
    ask_sz: u32,
}

impl JsonRecord<'_> {
    /// The update that it stands for; none where it has no schema (a mapping).
    pub(crate) fn update(self) -> Option<Update> {
        let rtype = self.hd.rtype;
        let schema = record::schema_of(rtype)?.as_str();
        let ts_event = self.hd.ts_event.map_or(UNDEF_TIMESTAMP, |time| time.0);
        let symbol = self.symbol.as_deref().unwrap_or("?").to_owned();
        let mut update = Update::bare(ts_event, symbol, schema);
        update.note = self.note();
        if self.trades() {
            update.price = self.price.or(self.close);
            update.size = self.size.or(self.volume).map(|size| size.0);
            update.size = update.size.filter(|_| update.price.is_some());
            update.side = self.side.and_then(|side| Side::of(*side.as_bytes().first()?));
        }
        if let Some(top) = self.levels.first() {
            update.bid = top.bid_px.map(|price| Level { price, size: top.bid_sz });
            update.ask = top.ask_px.map(|price| Level { price, size: top.ask_sz });
        }
        Some(update)
    }

    /// Has it a price of its own, beside those of the book?
    fn trades(&self) -> bool {
        let book = matches!(self.hd.rtype, rtype::MBP_1 | rtype::MBP_10 | rtype::TBBO);
        !book || self.action == "T"
    }

    fn note(&self) -> String {
        match self.hd.rtype {
            rtype::STATUS => note::status(self.action.as_u64().unwrap_or(0) as u16, self.reason),
            rtype::INSTRUMENT_DEF => note::definition(self.min_price_increment),
            rtype::MBO => {
                let action = self.action.as_str().and_then(|text| text.chars().next());
                note::order(action.unwrap_or('?'), self.order_id.unwrap_or_default().0)
            }
            _ if self.close.is_some() => note::bar(self.open, self.high, self.low),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::watch::binary;
    use crate::wire::record::{Mbp1Msg, OhlcvMsg, StatusMsg, TradeMsg, header, publish_into};
    use dbn::encode::EncodeRecordTextExt;
    use dbn::enums::{Action, Side as DbnSide};
    use std::ffi::c_char;

    /// The record as DBN's own encoder prints it.
    fn printed<R: dbn::encode::DbnEncodable>(bare: &R) -> String {
        let mut text = Vec::new();
        let mut encoder = dbn::encode::json::Encoder::new(&mut text, false, true, true);
        encoder.encode_record_with_sym(bare, Some("A.B")).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn same<R: dbn::encode::DbnEncodable + AsRef<[u8]> + dbn::HasRType>(bare: &R) {
        let mut bytes = Vec::new();
        publish_into(&mut bytes, record::bytes_of(bare), 9);
        let text = printed(bare);
        let json: JsonRecord<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(json.update(), binary::update(&bytes, "A.B"), "{text}");
    }

    #[test]
    fn both_encodings_give_the_same_update() {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, 1, 1_719_878_280_123_456_789);
        let (action, side) = (Action::Trade as u8 as c_char, DbnSide::Ask as u8 as c_char);
        same(&TradeMsg { hd, price: 1_250_000_000, size: 3, action, side, ..Default::default() });
        let hd = header::<Mbp1Msg>(rtype::MBP_1, 1, 1, 5);
        let mut book =
            Mbp1Msg { hd, action: Action::Add as u8 as c_char, price: 5, ..Default::default() };
        (book.levels[0].ask_px, book.levels[0].ask_sz) = (7_000_000_000, 9);
        same(&book);
        same(&Mbp1Msg { action, side, size: 2, ..book });
        let hd = header::<OhlcvMsg>(rtype::OHLCV_1S, 1, 1, 5);
        same(&OhlcvMsg { hd, open: 1, high: 4, low: 1, close: 2, volume: 5_000_000_000 });
        let hd = header::<StatusMsg>(rtype::STATUS, 1, 1, 5);
        same(&StatusMsg { hd, action: 8, reason: 30, ..Default::default() });
    }
}
