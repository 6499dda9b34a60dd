//! What files hold, as the official reader has it: records upgraded to DBN v3, the symbols of their
//! instruments, the text that the official encoder prints; and the order in which several files are
//! played together.

use std::path::Path;

use dbn::decode::DbnMetadata;
use dbn::decode::dbn::fsm::DbnFsm;
use dbn::decode::dbn::{Decoder, RecordDecoder};
use dbn::encode::{EncodeRecordTextExt, json};
use dbn::{
    InstrumentDefMsg, Mbp1Msg, Metadata, RType, Record, RecordRef, Schema, UNDEF_TIMESTAMP,
    VersionUpgradePolicy,
};

/// One record that should come.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// DBN v3, without `ts_out`.
    pub(crate) bytes: Vec<u8>,
    /// What the official encoder prints for it, without `ts_out`.
    pub(crate) line: String,
    pub(crate) symbol: String,
    pub(crate) instrument: u32,
    /// DBN's index time, ns; 0 where it has none.
    pub(crate) time: u64,
    /// The schema of its type.
    pub(crate) schema: Schema,
    /// A quote with a trade: it is of schema `tbbo` as well.
    pub(crate) tbbo: bool,
}

impl Expected {
    pub(crate) fn of(record: RecordRef, symbol: String) -> Self {
        let time = record.raw_index_ts();
        let trade = |quote: &Mbp1Msg| quote.action == b'T' as i8;
        Self {
            bytes: record.as_ref().to_vec(),
            line: line(record, &symbol),
            symbol,
            instrument: record.header().instrument_id,
            time: if time == UNDEF_TIMESTAMP { 0 } else { time },
            schema: RType::try_into_schema(record.header().rtype.into()).unwrap(),
            tbbo: record.get::<Mbp1Msg>().is_some_and(trade),
        }
    }

    /// Does a subscription to this schema get it?
    pub(crate) fn is(&self, schema: Schema) -> bool {
        self.schema == schema || schema == Schema::Tbbo && self.tbbo
    }
}

/// A file: its records in their order, and the schema to subscribe to for all of them.
pub(crate) struct File {
    pub(crate) schema: Schema,
    pub(crate) records: Vec<Expected>,
}

/// Reads a file, whole or a fragment, as its name says.
pub(crate) fn read(path: &Path) -> File {
    let bytes = plain(path);
    if path.to_string_lossy().contains(".frag") { fragment(&bytes) } else { whole(&bytes) }
}

/// A file's bytes, decompressed where its name says so.
pub(crate) fn plain(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::stream::decode_all(&bytes[..]).unwrap();
    }
    bytes
}

/// A file with metadata.
pub(crate) fn whole(bytes: &[u8]) -> File {
    let policy = VersionUpgradePolicy::UpgradeToV3;
    let mut decoder = Decoder::with_upgrade_policy(bytes, policy).unwrap();
    let metadata = decoder.metadata().clone();
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_ref().unwrap() {
        records.push(Expected::of(record, symbol(record, Some(&metadata))));
    }
    File { schema: metadata.schema.unwrap(), records }
}

/// Records without metadata; those that are recorded are definitions.
fn fragment(bytes: &[u8]) -> File {
    let fsm = DbnFsm::builder().skip_metadata(true).build().unwrap();
    let mut decoder = RecordDecoder::with_fsm(bytes, fsm);
    let mut records = Vec::new();
    while let Some(record) = decoder.decode_ref().unwrap() {
        records.push(Expected::of(record, symbol(record, None)));
    }
    File { schema: Schema::Definition, records }
}

/// The symbol that metadata gives a record's instrument, else its definition's, else its id.
fn symbol(record: RecordRef, metadata: Option<&Metadata>) -> String {
    let id = record.header().instrument_id.to_string();
    let mappings = metadata.map_or(&[][..], |metadata| &metadata.mappings);
    let named = mappings.iter().find(|m| m.intervals.iter().any(|i| i.symbol == id));
    let definition = || Some(record.get::<InstrumentDefMsg>()?.raw_symbol().unwrap().to_owned());
    named.map(|mapping| mapping.raw_symbol.clone()).or_else(definition).unwrap_or(id)
}

/// What the official encoder prints for a record with pretty prices and times.
fn line(record: RecordRef, symbol: &str) -> String {
    let mut out = Vec::new();
    let mut encoder = json::Encoder::new(&mut out, false, true, true);
    encoder.encode_ref_with_sym(record, Some(symbol)).unwrap();
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

/// Files played together: stably merged by index time, each in its own order.
pub(crate) fn merge<'a>(files: impl IntoIterator<Item = &'a File>) -> Vec<Expected> {
    let mut keyed = Vec::new();
    for file in files {
        let mut newest = 0;
        keyed.extend(file.records.iter().map(|record| {
            newest = record.time.max(newest);
            (newest, record.clone())
        }));
    }
    keyed.sort_by_key(|(newest, _)| *newest);
    keyed.into_iter().map(|(_, record)| record).collect()
}
