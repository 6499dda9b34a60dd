//! The two encodings: the same batches, and in JSON what DBN's own encoder prints.

use dbn::decode::DecodeRecordRef;
use dbn::decode::dbn::{Decoder, RecordDecoder};
use dbn::encode::{EncodeRecordTextExt, json as official_json};
use dbn::{
    BboMsg, InstrumentDefMsg, Mbp1Msg, MetadataBuilder, OhlcvMsg, SType, StatusMsg,
    SymbolMappingMsg, TradeMsg, VersionUpgradePolicy, WithTsOut,
};
use serde_json::{Value, json};

use crate::client::Client;
use crate::market;
use crate::program::Program;
use crate::wire::{Body, Record};

/// Follows everything from the first record on, to a position.
async fn follow(server: &Program, encoding: &str, to: u64) -> Vec<Record> {
    let (mut client, welcome) = Client::connect_as(server, encoding).await;
    let schemas = ["trades", "mbp-1", "status", "definition", "ohlcv-1s", "ohlcv-1m", "bbo-1s"];
    let from = json!({"epoch": welcome["epoch"], "seq": 0});
    client.subscribe(json!({"schema": schemas, "symbols": "*", "from": from})).await;
    let mut records = Vec::new();
    while client.ledger.seq < to {
        records.extend(client.batch().await.records);
    }
    client.heartbeat().await;
    records
}

/// What the official encoder prints for a published record.
fn official(bytes: &[u8], symbol: &str, ts_out: u64) -> Value {
    let policy = VersionUpgradePolicy::AsIs;
    let mut decoder = RecordDecoder::with_version(bytes, 3, policy, true).unwrap();
    let record = decoder.decode_record_ref().unwrap().unwrap();
    let mut out = Vec::new();
    let mut encoder = official_json::Encoder::new(&mut out, false, true, true);
    macro_rules! encode {
        ($($kind:ty),*) => {
            $(if let Some(record) = record.get::<$kind>() {
                let record = WithTsOut::new(record.clone(), ts_out);
                encoder.encode_record_with_sym(&record, Some(symbol)).unwrap();
            })*
        };
    }
    encode!(TradeMsg, Mbp1Msg, BboMsg, OhlcvMsg, StatusMsg, InstrumentDefMsg, SymbolMappingMsg);
    serde_json::from_slice(&out).unwrap()
}

#[tokio::test]
async fn json_carries_the_records_that_dbn_does() {
    let server = market(3_000, &["--symbols", "20"]);
    let to = 6_000;
    let (binary, text) = tokio::join!(follow(&server, "dbn", to), follow(&server, "json", to));
    let both = binary.len().min(text.len());
    assert!(both as u64 >= to);
    let symbols: std::collections::HashMap<u32, String> =
        binary.iter().filter_map(|r| Some((r.instrument, r.symbol.clone()?))).collect();
    let mut kinds = std::collections::HashSet::new();
    for (binary, text) in binary.iter().zip(&text) {
        let Body::Json(text) = &text.body else { panic!("{text:?} in the encoding json") };
        let right = official(binary.bytes(), &symbols[&binary.instrument], binary.ts_out);
        if binary.is_mapping() {
            // Each client's own mappings are published when they are sent.
            assert_eq!(text["stype_out_symbol"], right["stype_out_symbol"]);
        } else {
            assert_eq!(*text, right);
        }
        kinds.insert(binary.rtype);
    }
    assert!(kinds.len() >= 6, "of every schema: {kinds:?}");
}

#[tokio::test]
async fn a_stream_behind_metadata_is_a_dbn_file() {
    let server = market(3_000, &["--symbols", "20"]);
    let records = follow(&server, "dbn", 3_000).await;
    let metadata = MetadataBuilder::new()
        .dataset("TEST".to_owned())
        .schema(None)
        .start(0)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .ts_out(true)
        .build();
    let mut file = Vec::new();
    dbn::encode::dbn::MetadataEncoder::new(&mut file).encode(&metadata).unwrap();
    records.iter().for_each(|record| file.extend(record.bytes()));
    let mut decoder = Decoder::new(&file[..]).unwrap();
    let mut read = 0;
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        assert_eq!(record.as_ref(), records[read].bytes());
        read += 1;
    }
    assert_eq!(read, records.len());
}
