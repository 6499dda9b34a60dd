//! Bars and interval quotes of a recorded market: what is derived agrees with what was recorded.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

use std::path::PathBuf;

use broadtape::clock::SECOND;
use broadtape::feed::{Batch, Deriver};
use broadtape::wire::instrument::bit;
use broadtape::wire::record::{Schema, index_ts, rtype, rtype_of, ts_event, u32_at, u64_at};
use dbn::decode::{DbnDecoder, DecodeRecordRef};

/// The records of a recording; none where there are no recordings, which CI does not accept.
fn recorded(file: &str) -> Option<Vec<Vec<u8>>> {
    let folder = std::env::var_os("BROADTAPE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        Into::into,
    );
    let path = folder.join(file);
    if !path.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no {}", path.display());
        println!("skipped: no recorded data");
        return None;
    }
    let mut decoder = DbnDecoder::from_zstd_file(path).unwrap();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        records.push(record.as_ref().to_vec());
    }
    Some(records)
}

/// What is derived of these records, in batches that have to be changed often.
fn derive(schemas: u32, records: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut deriver, mut out, mut all) = (Deriver::new(schemas), Batch::new(576), Vec::new());
    let mut commit = |out: &mut Batch| {
        all.extend(out.iter().map(<[u8]>::to_vec));
        out.reset(576);
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
    commit(&mut out);
    all
}

const TRADES: &str = "databento_ESU4_trades_2024-07-01T2358.dbn.zst";
const QUOTES: &str = "databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst";

#[test]
fn bars_are_what_the_trades_say() {
    let Some(trades) = recorded(TRADES) else { return };
    let bars = derive(bit(Schema::Ohlcv1S), &trades);
    assert!(!bars.is_empty());
    let mut counted = 0;
    for bar in &bars {
        let start = ts_event(bar);
        let inside = trades.iter().filter(|r| (start..start + SECOND).contains(&index_ts(r)));
        let prices: Vec<_> = inside.clone().map(|r| u64_at(r, 16) as i64).collect();
        let volume: u64 = inside.map(|r| u64::from(u32_at(r, 24))).sum();
        let found = [16, 24, 32, 40].map(|at| u64_at(bar, at) as i64);
        let (high, low) = (prices.iter().max().unwrap(), prices.iter().min().unwrap());
        assert_eq!(found, [prices[0], *high, *low, prices[prices.len() - 1]]);
        assert_eq!(u64_at(bar, 48), volume);
        counted += prices.len();
    }
    assert_eq!(counted, trades.len(), "every trade is in one bar");
}

#[test]
fn bars_from_quotes_are_the_bars_from_trades() {
    let Some((trades, quotes)) = recorded(TRADES).zip(recorded(QUOTES)) else { return };
    let schemas = bit(Schema::Ohlcv1S) | bit(Schema::Ohlcv1M);
    assert!(derive(schemas, &trades) == derive(schemas, &quotes));
}

#[test]
fn interval_quotes_show_the_book_at_the_end_of_their_second() {
    let Some(quotes) = recorded(QUOTES) else { return };
    let derived = derive(bit(Schema::Bbo1S), &quotes);
    assert!(!derived.is_empty() && derived.iter().all(|r| rtype_of(r) == rtype::BBO_1S));
    for quote in &derived {
        let before = |r: &&Vec<u8>| index_ts(r) < index_ts(quote);
        let last = quotes.iter().rfind(before).unwrap();
        assert_eq!((&quote[48..80], u32_at(quote, 44)), (&last[48..80], u32_at(last, 44)));
        let trade = quotes.iter().filter(before).rfind(|r| r[28] == b'T').map(|r| ts_event(r));
        assert_eq!(ts_event(quote), trade.unwrap_or(u64::MAX));
    }
}
