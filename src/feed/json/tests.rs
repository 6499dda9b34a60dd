//! Recordings of exchanges made by hand, whole and damaged.

use std::sync::Arc;

use proptest::prelude::*;

use super::convert::GAPS;
use super::*;
use crate::feed::source::testing::{Brought, bring, bring_bytes, damage, file, recording};
use crate::wire::record::{rtype, u64_at};

const UNIT: i64 = 1_000_000_000;
/// Where a definition has its lot.
const LOT: usize = std::mem::offset_of!(dbn::InstrumentDefMsg, unit_of_measure_qty);

const QUOTE: &str =
    r#"{"stream":"x","data":{"u":5,"s":"BTC","b":"10.5","B":"0.30","a":"11","A":"1.25"}}"#;
const TRADE: &str = r#"{"e":"trade","E":1700000000001,"s":"BTC","t":7,"p":"11.00","q":"0.20","b":88,"a":99,"T":1700000000000,"m":false}"#;

fn depth(first: u64, last: u64, bids: &str, asks: &str) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":1700000000002,"s":"BTC","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}"#
    )
}

fn recorded(messages: &[&str]) -> String {
    let lines = messages.iter().enumerate();
    lines.map(|(n, m)| format!("{} {m}\n", 1_700_000_000_000_000_000 + n as u64)).collect()
}

fn spot(messages: &[&str]) -> Brought {
    bring_bytes(Format::BinanceSpot, recorded(messages).as_bytes())
}

fn event(name: &str, id: u64, price: i64, size: u32) -> (String, u64, i64, u32) {
    (name.to_owned(), id, price, size)
}

#[test]
fn quotes_and_trades_come_in_lots_of_the_finest_size() {
    let brought = spot(&[QUOTE, TRADE, QUOTE]);
    assert_eq!(brought.error, None);
    let definition = brought.of(rtype::INSTRUMENT_DEF).next().unwrap();
    assert_eq!(u64_at(definition, LOT), 10_000_000, "a lot is 0.01");
    let undefined = event("MN.", 0, i64::MAX, 0);
    let trade = event("TB.", 0, 11 * UNIT, 20);
    assert_eq!(brought.events(), [undefined.clone(), trade.clone(), trade, undefined]);
    let quote = brought.of(rtype::MBP_1).next().unwrap();
    assert_eq!((u64_at(quote, 48), u64_at(quote, 56)), (10_500_000_000, 11_000_000_000));
    let trade = brought.of(rtype::MBP_0).next().unwrap();
    let times = (u64_at(trade, 8), u64_at(trade, 32));
    assert_eq!(times, (1_700_000_000_000_000_000, 1_700_000_000_000_000_001));
}

#[test]
fn books_are_followed_and_holes_are_told() {
    let bid = 100 * UNIT as u64;
    let ask = (1 << 63) | (101 * UNIT as u64);
    let snapshot = r#"{"lastUpdateId":8,"bids":[["100","5"]],"asks":[["101","6"],["102","1"]]}"#;
    let brought = spot(&[
        &depth(1, 3, r#"["100","1"]"#, r#"["101","2"],["103","0"]"#),
        &depth(4, 4, r#"["100","3"]"#, r#"["101","0"]"#),
        snapshot,
        &depth(5, 8, r#"["100","9"]"#, ""),
        &depth(9, 9, r#"["100","9"]"#, ""),
        &depth(12, 12, r#"["100","2"]"#, ""),
    ]);
    assert_eq!(brought.error, None);
    let clear = |name| event(name, 0, i64::MAX, 0);
    let far = (1 << 63) | (102 * UNIT as u64);
    let expected = [
        event("AB", bid, 100 * UNIT, 1),
        event("AA.", ask, 101 * UNIT, 2),
        event("MB", bid, 100 * UNIT, 3),
        event("CA.", ask, 101 * UNIT, 2),
        clear("RN"),
        event("AB", bid, 100 * UNIT, 5),
        event("AA", ask, 101 * UNIT, 6),
        event("AA.", far, 102 * UNIT, 1),
        event("MB.", bid, 100 * UNIT, 9),
        clear("RN"),
        event("AB.", bid, 100 * UNIT, 2),
    ];
    assert_eq!(brought.events(), expected);
    assert_eq!((brought.tally.found(GAPS), brought.tally.skipped[0].2), (1, 1));
    let snapshots = brought.of(rtype::MBO).filter(|record| record[36] & 0x20 != 0);
    assert_eq!(snapshots.count(), 4);
    assert!(brought.of(rtype::MBO).all(|record| record[36] & 0x10 != 0));
}

const COINBASE: &str = concat!(
    "wss://ws-feed <-> 1618677816.84\n",
    "wss://ws-feed <- 1618677817.02: {\"type\":\"subscribe\"}\n",
    "1618677817.06: {\"type\":\"subscriptions\",\"channels\":[]}\n",
    "1618677817.07: {\"type\":\"snapshot\",\"product_id\":\"A-B\",\"asks\":[[\"2\",\"1.5\"]],",
    "\"bids\":[[\"1\",\"12.75\"]]}\n",
    "1618677817.08: {\"type\":\"ticker\",\"sequence\":3,\"product_id\":\"A-B\",",
    "\"best_bid\":\"1\",\"best_ask\":\"2\",\"time\":\"2021-04-17T16:43:30.244075Z\"}\n",
    "1618677817.09: {\"type\":\"match\",\"trade_id\":9,\"side\":\"sell\",\"size\":\"0.04\",",
    "\"price\":\"2\",\"product_id\":\"A-B\",\"time\":\"2021-04-17T16:43:30.244075Z\"}\n",
    "1618677817.10: {\"type\":\"l2update\",\"product_id\":\"A-B\",",
    "\"changes\":[[\"buy\",\"1\",\"0.00\"]],\"time\":\"2021-04-17T16:43:37.476129Z\"}\n",
);

#[test]
fn coinbase_is_read_as_cryptofeed_writes_it() {
    let brought = bring_bytes(Format::Coinbase, COINBASE.as_bytes());
    assert_eq!(brought.error, None);
    let (bid, ask) = (UNIT as u64, (1 << 63) | (2 * UNIT as u64));
    let expected = [
        event("RN", 0, i64::MAX, 0),
        event("AB", bid, UNIT, 1_275),
        event("AA.", ask, 2 * UNIT, 150),
        event("MN.", 0, i64::MAX, 0),
        event("TB.", 0, 2 * UNIT, 4),
        event("TB.", 0, 2 * UNIT, 4),
        event("CB.", bid, UNIT, 1_275),
    ];
    assert_eq!(brought.events(), expected);
    assert_eq!((brought.tally.total(), brought.tally.findings[0].count), (5, 2));
    let trade = brought.of(rtype::MBP_0).next().unwrap();
    let times = (u64_at(trade, 8), u64_at(trade, 32));
    assert_eq!(times, (1_618_677_810_244_075_000, 1_618_677_817_090_000_000));
}

#[test]
fn what_is_no_whole_number_of_lots_is_refused_and_may_be_left_out() {
    let file = file(recorded(&[QUOTE, TRADE]).as_bytes());
    let with = |lot: &str| {
        let mut of = recording(Format::BinanceSpot, file.path());
        Arc::make_mut(&mut of.how).add_lot(lot).unwrap();
        bring(&of)
    };
    let error = with("BTC=0.1").error.unwrap();
    let said = "line 1: size 1.25 of BTC is no whole number of lots of 0.1 below 4294967295";
    assert!(error.contains(said) && error.contains("--lot BTC=skip"), "{error}");
    assert!(with("BTC=0.0000000001").error.unwrap().contains("has more than 9 places"));
    let huge = spot(&[&TRADE.replace("0.20", "5000000000.1")]).error.unwrap();
    assert!(huge.contains("line 1: size 5000000000.1 of BTC"), "{huge}");
    let left = with("BTC=skip");
    assert_eq!((left.error, left.records.len(), left.tally.messages.len()), (None, 0, 2));
    assert_eq!(with("BTC=0.05").events()[1].3, 4);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let bad = TRADE.replace("11.00", "1e1");
    for (messages, said) in [
        (&[QUOTE, bad.as_str()][..], "line 2: price \"1e1\" is no decimal"),
        (&[QUOTE, "{\"e\":\"trade\"}"], "line 2: a message without its price"),
        (&[QUOTE, "{]", QUOTE], "line 2: no JSON of Binance"),
        (&["[]"], "line 1: has no JSON object"),
    ] {
        let error = spot(messages).error.unwrap();
        assert!(error.contains(said), "{error}");
    }
    let whole = recorded(&[QUOTE, TRADE]);
    let cut = bring_bytes(Format::BinanceSpot, &whole.as_bytes()[..whole.len() - 4]);
    assert_eq!((cut.error.as_deref(), cut.tally.total()), (None, 1));
    assert_eq!(cut.tally.found("files that end within a message"), 1);
    let foreign = bring_bytes(Format::BinanceSpot, b"\xd4\xc3\xb2\xa1 no lines").error.unwrap();
    assert!(foreign.contains("expected `<ns> <JSON>` or `<seconds>: <JSON>`"), "{foreign}");
}

#[test]
fn a_message_of_700_kb_is_read() {
    let levels: Vec<_> =
        (0..25_000).map(|n| format!("[\"{}.5\",\"1.00000000\"]", 100_000 + n)).collect();
    let brought = spot(&[&depth(1, 2, &levels.join(","), "")]);
    assert_eq!(brought.error, None);
    assert_eq!(brought.of(rtype::MBO).count(), 25_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_recordings_are_read_or_refused(
        bytes in damage(
            recorded(&[QUOTE, TRADE, &depth(1, 3, r#"["100","1"]"#, r#"["101","2"]"#), QUOTE])
                .into_bytes(),
        ),
    ) {
        bring_bytes(Format::BinanceSpot, &bytes);
        bring_bytes(Format::BinanceUsdm, &bytes);
    }

    #[test]
    fn damaged_recordings_of_coinbase_too(bytes in damage(COINBASE.as_bytes().to_vec())) {
        bring_bytes(Format::Coinbase, &bytes);
    }
}
