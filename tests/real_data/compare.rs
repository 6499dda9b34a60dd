//! What came against what should have come, `ts_out` apart.

use std::collections::HashMap;
use std::num::NonZeroU64;

use dbn::decode::dbn::Decoder;
use dbn::encode::dbn::MetadataEncoder;
use dbn::{MetadataBuilder, SType, SymbolMappingMsg, WithTsOut};

use crate::client::{Client, Encoding, MAPPING};
use crate::oracle::Expected;

/// Panics at the first record that is not the one that should have come, in either encoding; each
/// instrument's mapping has to come before its first record.
pub(crate) fn assert_received<'a>(
    client: &Client,
    expected: impl IntoIterator<Item = &'a Expected>,
    what: &str,
) {
    let expected: Vec<&Expected> = expected.into_iter().collect();
    let came = client.records;
    assert_eq!(came, expected.len() as u64, "{what} {:?}: records that came", client.encoding);
    match client.encoding {
        Encoding::Dbn => compare_bytes(client, &expected, what),
        Encoding::Json => compare_text(client, &expected, what),
    }
}

fn compare_bytes(client: &Client, expected: &[&Expected], what: &str) {
    for (number, (came, want)) in decoded(client).iter().zip(expected).enumerate() {
        // The first byte is the length, which counts `ts_out`.
        let same = came.bytes[1..] == want.bytes[1..] && came.symbol == want.symbol;
        assert!(same, "{what} dbn: record {number} is\n{came:?}\nnot\n{want:?}");
    }
}

/// A record as the official reader finds it in the stream.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Without `ts_out`.
    pub(crate) bytes: Vec<u8>,
    /// As the mapping before it said.
    pub(crate) symbol: String,
}

/// The stream of the dbn encoding as a file: metadata in front of the batches, headers stripped.
pub(crate) fn decoded(client: &Client) -> Vec<Decoded> {
    let mut file = metadata();
    client.received.iter().for_each(|received| file.extend_from_slice(&received.body));
    let mut decoder = Decoder::new(&file[..]).unwrap();
    let (mut symbols, mut records, mut newest) = (HashMap::new(), Vec::new(), 0);
    while let Some(record) = decoder.decode_ref().unwrap() {
        let id = record.header().instrument_id;
        if let Some(mapping) = record.get::<WithTsOut<SymbolMappingMsg>>() {
            symbols.insert(id, mapping.rec.stype_out_symbol().unwrap().to_owned());
            continue;
        }
        let (bytes, ts_out) = record.as_ref().split_at(record.as_ref().len() - 8);
        let ts_out = u64::from_le_bytes(ts_out.try_into().unwrap());
        assert!(ts_out >= newest, "ts_out fell from {newest} to {ts_out}");
        newest = ts_out;
        let symbol = symbols.get(&id);
        let symbol = symbol.unwrap_or_else(|| panic!("no mapping before a record of {id}"));
        records.push(Decoded { bytes: bytes.to_vec(), symbol: symbol.clone() });
    }
    records
}

/// Metadata of a stream with `ts_out`.
fn metadata() -> Vec<u8> {
    let metadata = MetadataBuilder::new()
        .dataset("XTST.TEST")
        .schema(None)
        .start(0)
        .end(NonZeroU64::new(1))
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .ts_out(true)
        .build();
    let mut file = Vec::new();
    MetadataEncoder::new(&mut file).encode(&metadata).unwrap();
    file
}

fn compare_text(client: &Client, expected: &[&Expected], what: &str) {
    let (mut mapped, mut newest) = (Vec::new(), String::new());
    let mut expected = expected.iter().enumerate();
    for received in &client.received {
        let text = std::str::from_utf8(&received.body).unwrap();
        let (bare, ts_out) = split_ts_out(text);
        if received.rtype == MAPPING {
            mapped.push(field(text, "\"stype_out_symbol\":"));
            continue;
        }
        assert!(*ts_out >= *newest, "ts_out fell from {newest} to {ts_out}");
        newest = ts_out.to_owned();
        let (number, want) = expected.next().unwrap();
        assert_eq!(bare, want.line, "{what} json: record {number}");
        let symbol = field(text, "\"symbol\":");
        assert!(mapped.contains(&symbol), "{what} json: no mapping before {text}");
    }
}

/// The text without its `ts_out`, and that.
fn split_ts_out(text: &str) -> (String, &str) {
    let (before, rest) = text.split_once(r#""ts_out":""#).unwrap();
    let (ts_out, after) = rest.split_once(r#"","#).unwrap();
    (format!("{before}{after}"), ts_out)
}

/// The quoted value behind the last place where `key` is.
fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let (_, rest) = text.rsplit_once(key).unwrap();
    rest[1..].split('"').next().unwrap()
}
