//! Bars and interval quotes out of records made by hand.

use super::*;
use crate::clock::SECOND;
use crate::wire::record::{
    BidAskPair, Mbp1Msg, TradeMsg, bytes_of, header, publisher_id, rtype, rtype_of, ts_event,
    u32_at, u64_at,
};

const OPEN: u64 = 1_700_490_600 * SECOND;

fn trade(id: u32, at: u64, price: i64, size: u32) -> Vec<u8> {
    let hd = header::<TradeMsg>(rtype::MBP_0, 9, id, at - 5);
    let side = b'A' as i8;
    let msg = TradeMsg { hd, price, size, side, ts_recv: at, ..TradeMsg::default() };
    let mut bytes = bytes_of(&msg).to_vec();
    bytes[28] = b'T';
    bytes
}

fn quote(id: u32, at: u64, action: u8, bid: i64) -> Vec<u8> {
    let hd = header::<Mbp1Msg>(rtype::MBP_1, 9, id, at - 5);
    let levels = [BidAskPair { bid_px: bid, ask_px: bid + 1, ..BidAskPair::default() }];
    let (price, size, action) = (bid, 50, action as i8);
    let msg = Mbp1Msg { hd, price, size, action, levels, ts_recv: at, ..Mbp1Msg::default() };
    bytes_of(&msg).to_vec()
}

/// Everything that a deriver brings for these records and at the end, from batches of `bytes`.
fn derive(schemas: u32, records: &[Vec<u8>], bytes: usize) -> Vec<Vec<u8>> {
    let (mut deriver, mut out, mut all) = (Deriver::new(schemas), Batch::new(bytes), Vec::new());
    let mut commit = |out: &mut Batch| {
        assert!(!out.is_empty(), "a call that finds no room gets on all the same");
        all.extend(out.iter().map(<[u8]>::to_vec));
        out.reset(bytes);
    };
    for record in records {
        while !deriver.observe(record, &mut out) {
            commit(&mut out);
        }
        while !deriver.follow(&mut out) {
            commit(&mut out);
        }
    }
    while !deriver.finish(&mut out) {
        commit(&mut out);
    }
    all.extend(out.iter().map(<[u8]>::to_vec));
    all
}

/// Start, open, high, low, close and volume of a bar.
fn bar(record: &[u8]) -> (u64, [i64; 4], u64) {
    let price = |at| u64_at(record, at) as i64;
    (ts_event(record), [price(16), price(24), price(32), price(40)], u64_at(record, 48))
}

#[test]
fn a_bar_is_of_its_second_and_a_second_without_trade_has_none() {
    let records = [
        trade(1, OPEN, 100, 5),
        trade(1, OPEN + 1, 120, 5),
        trade(1, OPEN + 2, 90, 5),
        trade(1, OPEN + SECOND - 1, 110, 5),
        trade(1, OPEN + 3 * SECOND, 130, 1),
    ];
    let bars = derive(bit(Schema::Ohlcv1S), &records, 6_400);
    assert!(bars.iter().all(|r| rtype_of(r) == rtype::OHLCV_1S && publisher_id(r) == 9));
    let found: Vec<_> = bars.iter().map(|r| bar(r)).collect();
    let second = (OPEN + 3 * SECOND, [130; 4], 1);
    assert_eq!(found, [(OPEN, [100, 120, 90, 110], 20), second]);
}

#[test]
fn a_minute_sums_its_seconds_and_follows_the_last_of_them() {
    let records: Vec<_> = (0..90).map(|s| trade(1, OPEN + s * SECOND, 100 + s as i64, 2)).collect();
    let all = derive(bit(Schema::Ohlcv1S) | bit(Schema::Ohlcv1M), &records, 6_400);
    let minutes: Vec<_> =
        (0..all.len()).filter(|n| rtype_of(&all[*n]) == rtype::OHLCV_1M).collect();
    assert_eq!(minutes, [60, 91], "after sixty seconds and their bars");
    assert_eq!(bar(&all[60]), (OPEN, [100, 159, 100, 159], 120));
    assert_eq!(bar(&all[91]), (OPEN + 60 * SECOND, [160, 189, 160, 189], 60));
}

#[test]
fn an_hour_and_a_day_sum_their_minutes_and_begin_where_utc_says() {
    let hour = 3_600 * SECOND;
    // From 14:30 on 2023-11-20, every 20 minutes, until 02:10 of the next day.
    let records: Vec<_> =
        (0..36).map(|n| trade(1, OPEN + n * hour / 3, 100 + n as i64, 1)).collect();
    let hours = derive(bit(Schema::Ohlcv1H), &records, 6_400);
    let starts: Vec<_> = hours.iter().map(|r| bar(r).0).collect();
    let first = OPEN - OPEN % hour;
    assert_eq!(starts, (0..13).map(|n| first + n * hour).collect::<Vec<_>>());
    assert_eq!(hours.iter().map(|r| bar(r).2).sum::<u64>(), 36);
    assert!(hours.iter().all(|r| rtype_of(r) == rtype::OHLCV_1H));
    let days = derive(bit(Schema::Ohlcv1D), &records, 6_400);
    let midnight = OPEN - OPEN % (24 * hour) + 24 * hour;
    let expected =
        [(midnight - 24 * hour, [100, 128, 100, 128], 29), (midnight, [129, 135, 129, 135], 7)];
    assert_eq!(days.iter().map(|r| bar(r)).collect::<Vec<_>>(), expected);
}

#[test]
fn a_minute_of_quotes_ends_with_its_last_one() {
    let records = [
        quote(1, OPEN + 1, b'A', 99),
        quote(1, OPEN + 30 * SECOND, b'A', 100),
        quote(1, OPEN + 200 * SECOND, b'A', 101),
    ];
    let quotes = derive(bit(Schema::Bbo1M), &records, 6_400);
    let found: Vec<_> = quotes.iter().map(|r| (u64_at(r, 32) - OPEN, u64_at(r, 48))).collect();
    assert!(quotes.iter().all(|r| rtype_of(r) == rtype::BBO_1M));
    assert_eq!(found, [(60 * SECOND, 100), (240 * SECOND, 101)]);
}

#[test]
fn a_trade_that_two_schemas_bring_counts_once() {
    let twins = [trade(1, OPEN, 100, 50), quote(1, OPEN, b'T', 100)];
    let bars = derive(bit(Schema::Ohlcv1S), &twins, 6_400);
    assert_eq!(bars.iter().map(|r| bar(r).2).collect::<Vec<_>>(), [50]);
    let alone = derive(bit(Schema::Ohlcv1S), &twins[1..], 6_400);
    assert_eq!(alone, bars, "from mbp-1 alone the same bar");
}

#[test]
fn interval_quotes_carry_the_last_trade_and_the_last_book() {
    let records = [
        trade(2, OPEN, 70, 1),
        quote(1, OPEN + 1, b'A', 99),
        quote(1, OPEN + SECOND, b'A', 100),
        trade(1, OPEN + SECOND + 7, 101, 30),
        quote(1, OPEN + 2 * SECOND, b'M', 102),
        trade(1, OPEN + 9 * SECOND, 103, 40),
    ];
    let quotes = derive(bit(Schema::Bbo1S), &records, 6_400);
    assert!(quotes.iter().all(|r| rtype_of(r) == rtype::BBO_1S && instrument_id(r) == 1));
    let found: Vec<_> = quotes
        .iter()
        .map(|r| (u64_at(r, 32) - OPEN, ts_event(r), u32_at(r, 24), u64_at(r, 48)))
        .collect();
    let (first, second) = (OPEN + SECOND + 2, OPEN + 9 * SECOND - 5);
    let expected = [
        (SECOND, UNDEF_TIMESTAMP, 0, 99),
        (2 * SECOND, first, 30, 100),
        (3 * SECOND, first, 30, 102),
        (10 * SECOND, second, 40, 102),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_a_batch_cannot_hold_comes_with_the_next_in_the_same_order() {
    let mut records = Vec::new();
    for second in 58..62 {
        for id in 0..500 {
            let at = OPEN + second * SECOND + u64::from(id);
            records.push(trade(id, at, 100, 1));
            records.push(quote(id, at, b'A', 99));
        }
    }
    let whole = derive(Deriver::SCHEMAS, &records, 6_400_000);
    assert_eq!(whole.len(), 4 * 500 * 2 + 2 * 500 * 2 + 500 + 500);
    for bytes in [576, 640, 6_400] {
        assert!(derive(Deriver::SCHEMAS, &records, bytes) == whole, "batches of {bytes} bytes");
    }
}

#[test]
fn the_clock_ends_an_interval_and_what_comes_late_counts_in_the_next() {
    let (mut deriver, mut out) = (Deriver::new(Deriver::SCHEMAS), Batch::new(6_400));
    assert_eq!(deriver.next_deadline(), None);
    assert!(deriver.observe(&trade(1, OPEN + 5, 100, 1), &mut out));
    assert_eq!(deriver.next_deadline(), Some(OPEN + SECOND));
    assert!(deriver.advance(OPEN + SECOND - 1, &mut out) && out.is_empty());
    assert!(deriver.advance(OPEN + SECOND, &mut out));
    assert_eq!(out.iter().map(bar).collect::<Vec<_>>(), [(OPEN, [100; 4], 1)]);
    assert_eq!(deriver.next_deadline(), Some(OPEN + 60 * SECOND));
    out.reset(6_400);
    assert!(deriver.observe(&trade(1, OPEN + 6, 90, 2), &mut out));
    assert!(deriver.advance(OPEN + 2 * SECOND, &mut out));
    assert_eq!(out.iter().map(bar).collect::<Vec<_>>(), [(OPEN + SECOND, [90; 4], 2)]);
}

#[test]
fn strange_records_bring_nothing_and_harm_nothing() {
    let mut timeless = trade(1, OPEN, 100, 1);
    timeless[8..16].fill(0xff);
    timeless[32..40].fill(0xff);
    let mut last = trade(1, OPEN, 100, 1);
    last[32..40].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
    let first = trade(1, 5, 100, 1);
    let mut short = trade(1, OPEN, 100, 1);
    short.truncate(40);
    (short[0], short[1]) = (10, rtype::MBP_10);
    let priceless = trade(1, OPEN, i64::MAX, 1);
    assert!(derive(Deriver::SCHEMAS, &[timeless.clone(), short, priceless], 6_400).is_empty());
    let bars = derive(bit(Schema::Ohlcv1S), &[first, timeless, last], 6_400);
    assert_eq!(bars.iter().map(|r| bar(r).2).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn bars_and_quotes_that_an_instrument_brings_are_not_derived_again() {
    let records: Vec<_> = (0..90)
        .flat_map(|s| {
            [1, 2].map(|id| {
                [trade(id, OPEN + s * SECOND, 100, 1), quote(id, OPEN + s * SECOND + 1, b'A', 99)]
            })
        })
        .flatten()
        .collect();
    let schemas = bit(Schema::Ohlcv1S) | bit(Schema::Ohlcv1M) | bit(Schema::Bbo1S);
    // As one who derives records them; only the first instrument's are told on.
    let (mut deriver, mut out) = (Deriver::new(schemas), Batch::new(1 << 20));
    let mut recorded = Vec::new();
    let of = |record: &&[u8]| instrument_id(record) == 1 && rtype_of(record) != rtype::OHLCV_1M;
    for record in &records {
        assert!(deriver.observe(record, &mut out));
        recorded.extend(out.iter().filter(of).map(<[u8]>::to_vec));
        recorded.push(record.clone());
        out.clear();
    }
    let again = derive(schemas, &recorded, 6_400);
    let count = |id, kind| {
        let right = |r: &&Vec<u8>| instrument_id(r) == id && rtype_of(r) == kind;
        again.iter().filter(right).count()
    };
    assert_eq!([rtype::OHLCV_1S, rtype::BBO_1S].map(|kind| count(1, kind)), [0, 0]);
    assert_eq!([rtype::OHLCV_1S, rtype::BBO_1S].map(|kind| count(2, kind)), [90, 90]);
    assert_eq!([1, 2].map(|id| count(id, rtype::OHLCV_1M)), [2, 2], "those it does not bring");
}

#[test]
fn nothing_asked_nothing_kept() {
    let mut deriver = Deriver::new(bit(Schema::Status));
    let mut out = Batch::new(576);
    assert!(deriver.observe(&trade(1, OPEN, 100, 1), &mut out));
    assert_eq!(deriver.next_deadline(), None);
}
