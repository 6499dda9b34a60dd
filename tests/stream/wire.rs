//! What a server sent, read without any of its code: JSON by serde, records by the `dbn` crate.

use dbn::decode::DecodeRecordRef;
use dbn::decode::dbn::RecordDecoder;
use dbn::{Mbp1Msg, StatusMsg, SymbolMappingMsg, TradeMsg, VersionUpgradePolicy, rtype};
use serde_json::Value;
use tokio_tungstenite::tungstenite;

/// No message of the server is longer.
const MESSAGE_MAX: usize = 65_535;
const HEADER: usize = 24;

pub(crate) const SNAPSHOT: u8 = 1;
pub(crate) const CATCH_UP: u8 = 2;
pub(crate) const REPLAY: u8 = 4;
pub(crate) const CONFLATED: u8 = 8;
pub(crate) const GAP: u8 = 16;
const NAMES: [(&str, u8); 5] = [
    ("snapshot", SNAPSHOT),
    ("catch_up", CATCH_UP),
    ("replay", REPLAY),
    ("conflated", CONFLATED),
    ("gap", GAP),
];

/// One WebSocket message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// A text that is no data.
    Text(Value),
    /// Data, in either encoding.
    Batch(Batch),
    Ping,
    Pong(Vec<u8>),
    /// The code of a close frame.
    Close(u16),
}

/// A data frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) flags: u8,
    /// The low half of it where the encoding is `dbn`.
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) ts_send: u64,
    pub(crate) records: Vec<Record>,
}

/// A record of either encoding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) rtype: u8,
    pub(crate) instrument: u32,
    pub(crate) ts_out: u64,
    /// An MBP-1 record whose action is a trade.
    pub(crate) tbbo: bool,
    /// The symbol that a mapping, or the encoding `json`, says.
    pub(crate) symbol: Option<String>,
    /// The venue's number, where the record has one.
    pub(crate) sequence: u32,
    pub(crate) body: Body,
}

/// What a record was read from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Dbn(Vec<u8>),
    Json(Value),
}

impl Record {
    pub(crate) fn is_mapping(&self) -> bool {
        self.rtype == rtype::SYMBOL_MAPPING
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Dbn(bytes) => bytes,
            Body::Json(value) => panic!("no bytes: {value}"),
        }
    }
}

impl Message {
    pub(crate) fn read(message: tungstenite::Message) -> Self {
        assert!(message.len() <= MESSAGE_MAX, "a message of {} bytes", message.len());
        match message {
            tungstenite::Message::Binary(bytes) => Self::Batch(batch(&bytes)),
            tungstenite::Message::Text(text) => {
                let value: Value = serde_json::from_str(&text).expect(&text);
                match value["type"] == "data" {
                    true => Self::Batch(json_batch(value)),
                    false => Self::Text(value),
                }
            }
            tungstenite::Message::Ping(_) => Self::Ping,
            tungstenite::Message::Pong(payload) => Self::Pong(payload.to_vec()),
            tungstenite::Message::Close(close) => {
                Self::Close(close.map_or(1005, |frame| frame.code.into()))
            }
            tungstenite::Message::Frame(frame) => panic!("a raw frame {frame}"),
        }
    }
}

fn batch(bytes: &[u8]) -> Batch {
    let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(bytes[0], 1, "the version of the header");
    let count = u16::from_le_bytes([bytes[2], bytes[3]]);
    let body = &bytes[HEADER..];
    let policy = VersionUpgradePolicy::AsIs;
    let mut decoder = RecordDecoder::with_version(body, 3, policy, true).unwrap();
    let (mut records, mut read) = (Vec::new(), 0);
    while let Some(record) = decoder.decode_record_ref().unwrap() {
        read += record.as_ref().len();
        records.push(self::record(record));
    }
    assert_eq!(read, body.len(), "records fill their batch");
    assert_eq!(records.len(), usize::from(count), "the count of the header");
    let epoch = u64::from(u32::from_le_bytes(bytes[4..8].try_into().unwrap()));
    Batch { flags: bytes[1], epoch, seq: field(8), ts_send: field(16), records }
}

fn record(record: dbn::RecordRef<'_>) -> Record {
    let bytes = record.as_ref().to_vec();
    let ts_out = u64::from_le_bytes(bytes[bytes.len() - 8..].try_into().unwrap());
    let header = record.header();
    let mbp = record.get::<Mbp1Msg>();
    let mapping = record.get::<SymbolMappingMsg>();
    let sequence = record.get::<TradeMsg>().map(|trade| trade.sequence);
    assert!(header.rtype != rtype::STATUS || record.get::<StatusMsg>().is_some());
    Record {
        rtype: header.rtype,
        instrument: header.instrument_id,
        ts_out,
        tbbo: mbp.is_some_and(|mbp| mbp.action == b'T' as std::ffi::c_char),
        symbol: mapping.map(|mapping| mapping.stype_out_symbol().unwrap().to_owned()),
        sequence: sequence.or(mbp.map(|mbp| mbp.sequence)).unwrap_or(0),
        body: Body::Dbn(bytes),
    }
}

fn json_batch(mut value: Value) -> Batch {
    let flag = |name: &Value| NAMES.iter().find(|(known, _)| name == known).expect("a flag").1;
    let flags = value["flags"].as_array().unwrap().iter().map(flag).sum();
    let records = value["records"].take();
    let Value::Array(records) = records else { panic!("no records in {value}") };
    let epoch = if value.get("replay").is_some() { "replay" } else { "epoch" };
    let [epoch, seq, ts_send] = [epoch, "seq", "ts_send"].map(|field| long(&value[field]));
    Batch { flags, epoch, seq, ts_send, records: records.into_iter().map(json_record).collect() }
}

fn json_record(value: Value) -> Record {
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap_or(0)).unwrap();
    let rtype = u8::try_from(value["hd"]["rtype"].as_u64().unwrap()).unwrap();
    Record {
        rtype,
        instrument: number(&value["hd"]["instrument_id"]),
        ts_out: nanos(&value["ts_out"]),
        tbbo: rtype == rtype::MBP_1 && value["action"] == "T",
        symbol: Some(value["symbol"].as_str().expect("a symbol").to_owned()),
        sequence: number(&value["sequence"]),
        body: Body::Json(value),
    }
}

/// A 64-bit integer of our JSON: a decimal string.
pub(crate) fn long(value: &Value) -> u64 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).parse().unwrap()
}

/// A pretty time, `2025-11-24T16:00:00.000000000Z`, in ns.
fn nanos(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().expect(text);
    let byte = |range| u8::try_from(part(range)).unwrap();
    let month = time::Month::try_from(byte(5..7)).unwrap();
    let date =
        time::Date::from_calendar_date(part(0..4).cast_signed(), month, byte(8..10)).unwrap();
    let time = date.with_hms_nano(byte(11..13), byte(14..16), byte(17..19), part(20..29)).unwrap();
    assert_eq!(&text[29..], "Z");
    time.assume_utc().unix_timestamp_nanos().try_into().unwrap()
}
