//! Two files that call different instruments by the same id: both are served, each under an id of
//! its own, and the mappings say which.

use dbn::decode::DbnMetadata;
use dbn::decode::dbn::Decoder;
use dbn::encode::EncodeRecordRef;
use dbn::encode::dbn::Encoder;
use dbn::{VersionUpgradePolicy, v1};
use serde_json::json;

use crate::compare::assert_received;
use crate::program::recording;
use crate::{QUOTES, TRADES, both, for_each, oracle, replay};

/// The id of ESU4 in both recordings.
const ID: u32 = 118;

/// A recording as if another market had traded AAPL under this id.
fn abroad(recorded: &[u8], id: u32) -> Vec<u8> {
    let mut decoder =
        Decoder::with_upgrade_policy(recorded, VersionUpgradePolicy::UpgradeToV3).unwrap();
    let mut metadata = decoder.metadata().clone();
    metadata.dataset = "XNAS.ITCH".to_owned();
    for mapping in &mut metadata.mappings {
        mapping.raw_symbol = "AAPL".to_owned();
        mapping.intervals.iter_mut().for_each(|interval| interval.symbol = id.to_string());
    }
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, &metadata).unwrap();
    while let Some(record) = decoder.decode_ref().unwrap() {
        let mut trade = record.get::<v1::TradeMsg>().unwrap().clone();
        trade.hd.instrument_id = id;
        encoder.encode_record_ref((&trade).into()).unwrap();
    }
    out
}

#[test]
fn ids_that_collide_are_kept_apart() {
    let (Some(quotes), Some(trades)) = (recording(QUOTES), recording(TRADES)) else { return };
    let recorded = oracle::plain(&trades);
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.dbn");
    std::fs::write(&foreign, abroad(&recorded, ID)).unwrap();
    let quotes = (oracle::read(&quotes), quotes);
    let total = quotes.0.records.len() + oracle::read(&trades).records.len();
    let server = replay(&[&quotes.1, &foreign], 2, &[]);
    let mut clients = both(&server, |client| {
        let symbols = ["ESU4", "AAPL"];
        client.subscribe(
            json!({"schema": ["mbp-1", "trades"], "symbols": symbols, "snapshot": false}),
        )
    });
    for_each(&mut clients, |(client, _)| drop(client.until_seq(total as u64)));
    for (client, result) in &clients {
        let id = |symbol| {
            let instruments = result["instruments"].as_array().unwrap();
            let instrument = instruments.iter().find(|i| i["symbol"] == symbol).unwrap();
            instrument["instrument_id"].as_u64().unwrap() as u32
        };
        assert_eq!(id("ESU4"), ID, "the first file keeps its id");
        assert_ne!(id("AAPL"), ID);
        let foreign = oracle::whole(&abroad(&recorded, id("AAPL")));
        let merged = oracle::merge([&quotes.0, &foreign]);
        assert_received(client, &merged, "colliding ids");
    }
}
