//! Messages of Binance, spot and futures settled in USD: bookTicker, trade, depth, and the snapshot
//! of a book that recorders put between them. Alone, or in the envelope of a combined stream.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use simd_json::Buffers;

use super::event::{Chain, Event, Level, What};
use crate::clock::UnixNanos;
use crate::wire::record::Side;

/// Every field of every message that is read; which there are, says what it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    data: Option<Box<Message<'a>>>,
    e: Option<&'a str>,
    #[serde(rename = "E")]
    event_ms: Option<u64>,
    #[serde(rename = "T")]
    time_ms: Option<u64>,
    #[serde(rename = "s")]
    symbol: Option<&'a str>,
    #[serde(rename = "U")]
    first: Option<u64>,
    #[serde(rename = "u")]
    last: Option<u64>,
    pu: Option<u64>,
    #[serde(borrow)]
    b: Either<'a>,
    #[serde(borrow)]
    a: Either<'a>,
    #[serde(rename = "B")]
    bid_size: Option<&'a str>,
    #[serde(rename = "A")]
    ask_size: Option<&'a str>,
    #[serde(rename = "t")]
    trade: Option<u64>,
    #[serde(rename = "p")]
    price: Option<&'a str>,
    #[serde(rename = "q")]
    quantity: Option<&'a str>,
    #[serde(rename = "m")]
    buyer_made: Option<bool>,
    #[serde(rename = "lastUpdateId")]
    snapshot: Option<u64>,
    #[serde(borrow)]
    bids: Either<'a>,
    #[serde(borrow)]
    asks: Either<'a>,
}

/// A side: levels in a depth message, a price in a bookTicker, an order's number in a trade.
#[derive(Default)]
enum Either<'a> {
    #[default]
    None,
    Price(&'a str),
    Levels(Vec<(&'a str, &'a str)>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Either<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Either<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price, price levels or a number")
            }

            fn visit_u64<E>(self, _: u64) -> Result<Either<'de>, E> {
                Ok(Either::None)
            }

            fn visit_borrowed_str<E>(self, price: &'de str) -> Result<Either<'de>, E> {
                Ok(Either::Price(price))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Either<'de>, S::Error> {
                let mut levels = Vec::new();
                while let Some(Pair(level)) = seq.next_element()? {
                    levels.push(level);
                }
                Ok(Either::Levels(levels))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A level: price and size; what old recordings have behind them is left out.
struct Pair<'a>((&'a str, &'a str));

impl<'de: 'a, 'a> Deserialize<'de> for Pair<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Pair<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price and a size")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Pair<'de>, S::Error> {
                let missing = || serde::de::Error::custom("a level without price and size");
                let price = seq.next_element()?.ok_or_else(missing)?;
                let size = seq.next_element()?.ok_or_else(missing)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Pair((price, size)))
            }
        }
        deserializer.deserialize_seq(Any)
    }
}

/// Reads a message, in place.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse<'a>(json: &'a mut [u8], buffers: &mut Buffers) -> Result<Event<'a>, String> {
    let message: Message<'a> = simd_json::serde::from_slice_with_buffers(json, buffers)
        .map_err(|error| format!("no JSON of Binance: {error}"))?;
    match message.data {
        Some(inner) => event(*inner),
        None => event(message),
    }
}

fn event(m: Message<'_>) -> Result<Event<'_>, String> {
    let symbol = m.symbol.unwrap_or_default();
    let time = m.time_ms.or(m.event_ms).map(nanos);
    let sequence = m.last.or(m.trade).or(m.snapshot).unwrap_or_default();
    let missing = |what: &str| format!("a message without its {what}");
    let (kind, what) = match (m.e, m.snapshot, m.b, m.a) {
        (_, Some(last), ..) => {
            let levels = levels(m.bids, m.asks);
            ("depth snapshot", What::Snapshot { levels, last })
        }
        (Some("trade"), ..) => {
            let price = m.price.ok_or_else(|| missing("price"))?;
            let size = m.quantity.ok_or_else(|| missing("quantity"))?;
            // Who made the market bought: who came to it sold.
            let sold = m.buyer_made.ok_or_else(|| missing("side"))?;
            let side = if sold { Side::Ask } else { Side::Bid };
            ("trade", What::Trade { price, size, side })
        }
        (Some("depthUpdate"), _, bids, asks) => {
            let chain = Chain { first: m.first, last: m.last, previous: m.pu };
            ("depthUpdate", What::Depth { levels: levels(bids, asks), chain })
        }
        (None | Some("bookTicker"), _, Either::Price(bid), Either::Price(ask)) => {
            let side = |price, size| Level { price, size };
            let (bid, ask) = (side(bid, m.bid_size), side(ask, m.ask_size));
            ("bookTicker", What::Quote { bid, ask })
        }
        _ => ("other", What::Nothing("is of a kind that is not read")),
    };
    if symbol.is_empty() && !matches!(what, What::Snapshot { .. } | What::Nothing(_)) {
        return Err(missing("symbol"));
    }
    Ok(Event { kind, symbol, time, sequence, what })
}

fn levels<'a>(bids: Either<'a>, asks: Either<'a>) -> Vec<(Side, Level<'a>)> {
    let of = |side, all| {
        let all = if let Either::Levels(levels) = all { levels } else { Vec::new() };
        let level = move |(price, size)| (side, Level { price, size: Some(size) });
        all.into_iter().map(level)
    };
    of(Side::Bid, bids).chain(of(Side::Ask, asks)).collect()
}

/// Milliseconds; newer recordings may have microseconds, of 16 digits.
fn nanos(time: u64) -> UnixNanos {
    let unit = if time < 100_000_000_000_000 { 1_000_000 } else { 1_000 };
    time.saturating_mul(unit)
}
