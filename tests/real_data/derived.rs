//! `--derive`: bars that a client receives are those that the recorded trades make.

use std::collections::BTreeMap;

use dbn::{OhlcvMsg, RecordHeader, RecordRef, Schema, TradeMsg, rtype};
use serde_json::json;

use crate::compare::assert_received;
use crate::oracle::{self, Expected};
use crate::program::recording;
use crate::{TRADES, both, for_each, replay};

/// Price and size of a trade, at its place in the record.
fn price_and_size(trade: &Expected) -> (i64, u64) {
    const PRICE: usize = std::mem::offset_of!(TradeMsg, price);
    const SIZE: usize = std::mem::offset_of!(TradeMsg, size);
    let price = i64::from_le_bytes(trade.bytes[PRICE..PRICE + 8].try_into().unwrap());
    let size = u32::from_le_bytes(trade.bytes[SIZE..SIZE + 4].try_into().unwrap());
    (price, size.into())
}

/// The bars of these trades, by the time at which they begin.
fn bars(trades: &[Expected], rtype: u8, interval: u64) -> Vec<Expected> {
    let mut bars: BTreeMap<u64, OhlcvMsg> = BTreeMap::new();
    for trade in trades {
        let begin = trade.time - trade.time % interval;
        let (price, size) = price_and_size(trade);
        let bar = bars.entry(begin).or_insert_with(|| OhlcvMsg {
            hd: RecordHeader::new::<OhlcvMsg>(rtype, 1, trade.instrument, begin),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0,
        });
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
        bar.close = price;
        bar.volume += size;
    }
    bars.values().map(|bar| Expected::of(RecordRef::from(bar), "ESU4".to_owned())).collect()
}

#[test]
fn bars_are_those_that_the_trades_make() {
    const SECOND: u64 = 1_000_000_000;
    let Some(path) = recording(TRADES) else { return };
    let trades = oracle::read(&path).records;
    let seconds = bars(&trades, rtype::OHLCV_1S, SECOND);
    let minutes = bars(&trades, rtype::OHLCV_1M, 60 * SECOND);
    let hours = bars(&trades, rtype::OHLCV_1H, 3_600 * SECOND);
    let days = bars(&trades, rtype::OHLCV_1D, 86_400 * SECOND);
    assert!(seconds.len() > minutes.len() && minutes.len() > 2);
    assert_eq!((hours.len(), days.len()), (2, 2), "it goes past midnight");
    let wanted = [
        (Schema::Trades, &trades),
        (Schema::Ohlcv1S, &seconds),
        (Schema::Ohlcv1M, &minutes),
        (Schema::Ohlcv1H, &hours),
        (Schema::Ohlcv1D, &days),
    ];
    let total: usize = wanted.iter().map(|(_, expected)| expected.len()).sum();
    let server = replay(&[&path], 2 * wanted.len(), &["--derive"]);
    let mut clients = Vec::new();
    for (schema, expected) in wanted {
        let params = json!({"schema": schema.as_str(), "symbols": ["ESU4"], "snapshot": false});
        let begun = both(&server, |client| drop(client.subscribe(params.clone())));
        clients.extend(begun.map(|(client, ())| (client, schema, expected)));
    }
    for_each(&mut clients, |(client, schema, expected)| {
        client.until_seq(total as u64);
        assert_received(client, expected.iter(), schema.as_str());
        assert_eq!(client.seq, total as u64, "nothing else was published");
    });
}
