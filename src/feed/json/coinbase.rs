//! Messages of Coinbase: level2 (snapshot, l2update), matches, ticker.

use serde::Deserialize;
use simd_json::Buffers;

use super::event::{Chain, Event, Level, What};
use crate::feed::time::instant;
use crate::wire::record::Side;

/// Every field of every message that is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    product_id: &'a str,
    time: Option<&'a str>,
    sequence: Option<u64>,
    trade_id: Option<u64>,
    #[serde(borrow)]
    bids: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    changes: Vec<(&'a str, &'a str, &'a str)>,
    price: Option<&'a str>,
    size: Option<&'a str>,
    side: Option<&'a str>,
    best_bid: Option<&'a str>,
    best_bid_size: Option<&'a str>,
    best_ask: Option<&'a str>,
    best_ask_size: Option<&'a str>,
}

/// Reads a message, in place.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse<'a>(json: &'a mut [u8], buffers: &mut Buffers) -> Result<Event<'a>, String> {
    let m: Message<'a> = simd_json::serde::from_slice_with_buffers(json, buffers)
        .map_err(|error| format!("no JSON of Coinbase: {error}"))?;
    let time = m.time.map(|text| instant(text).ok_or_else(|| format!("{text:?} is no time")));
    let missing = |what: &str| format!("a message without its {what}");
    let (kind, what) = match m.kind {
        "snapshot" => {
            let side = |side| move |(price, size)| (side, Level { price, size: Some(size) });
            let (bids, asks) = (m.bids.into_iter(), m.asks.into_iter());
            let levels = bids.map(side(Side::Bid)).chain(asks.map(side(Side::Ask))).collect();
            ("snapshot", What::Snapshot { levels, last: 0 })
        }
        "l2update" => {
            let level =
                |(side, price, size)| Ok((side_of(side)?, Level { price, size: Some(size) }));
            let levels = m.changes.into_iter().map(level).collect::<Result<_, String>>()?;
            ("l2update", What::Depth { levels, chain: Chain::default() })
        }
        "match" => {
            let maker = side_of(m.side.ok_or_else(|| missing("side"))?)?;
            let side = if maker == Side::Bid { Side::Ask } else { Side::Bid };
            let price = m.price.ok_or_else(|| missing("price"))?;
            let size = m.size.ok_or_else(|| missing("size"))?;
            ("match", What::Trade { price, size, side })
        }
        "last_match" => ("last_match", What::Nothing("was before the recording began")),
        "ticker" => {
            let bid = m.best_bid.ok_or_else(|| missing("best bid"))?;
            let ask = m.best_ask.ok_or_else(|| missing("best ask"))?;
            let bid = Level { price: bid, size: m.best_bid_size };
            ("ticker", What::Quote { bid, ask: Level { price: ask, size: m.best_ask_size } })
        }
        "subscriptions" => ("subscriptions", What::Nothing("is about the subscription")),
        "" => return Err("a message without its type".to_owned()),
        _ => ("other", What::Nothing("is of a kind that is not read")),
    };
    if m.product_id.is_empty() && !matches!(what, What::Nothing(_)) {
        return Err(missing("product_id"));
    }
    let sequence = m.sequence.or(m.trade_id).unwrap_or_default();
    Ok(Event { kind, symbol: m.product_id, time: time.transpose()?, sequence, what })
}

fn side_of(text: &str) -> Result<Side, String> {
    match text {
        "buy" => Ok(Side::Bid),
        "sell" => Ok(Side::Ask),
        _ => Err(format!("{text:?} is no side; it is buy or sell")),
    }
}
