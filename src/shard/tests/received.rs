//! What a client was sent, as it reads it: whole messages in order.

use serde_json::Value;

use crate::wire::batch::{self, BatchHeader};
use crate::wire::frame::{Opcode, frames};
use crate::wire::record::{self, Schema};

/// A record as the tests know it: its schema, its instrument, its position.
pub(super) type Seen = (Schema, usize, u64);

/// One message.
pub(super) enum Item {
    /// Records and the cursor they came with. Mappings are left out.
    Data { seq: u64, flags: u8, records: Vec<Seen> },
    /// An answer, a heartbeat, a notice.
    Text(Value),
    /// The close frame's code.
    Close(u16),
}

/// The messages in `bytes`, which end between two frames where they are `whole`.
pub(super) fn items(bytes: &[u8], whole: bool) -> Vec<Item> {
    let mut end = 0;
    let items = frames(bytes).map(|frame| {
        end = frame.end;
        item(frame.opcode, &bytes[frame.payload..frame.end])
    });
    let items = items.collect();
    assert!(end == bytes.len() || !whole, "a frame is cut after {end} of {} bytes", bytes.len());
    items
}

fn item(opcode: Opcode, payload: &[u8]) -> Item {
    match opcode {
        Opcode::Binary => batch(payload),
        Opcode::Close => Item::Close(u16::from_be_bytes([payload[0], payload[1]])),
        Opcode::Text => {
            let text: Value = serde_json::from_slice(payload).unwrap();
            if text["type"] == "data" { data(&text) } else { Item::Text(text) }
        }
        opcode => panic!("{opcode:?}"),
    }
}

fn batch(payload: &[u8]) -> Item {
    let (header, mut rest) = BatchHeader::decode(payload).unwrap();
    let (mut records, mut count) = (Vec::new(), 0);
    while !rest.is_empty() {
        let (record, after) = rest.split_at(record::length(rest));
        (rest, count) = (after, count + 1);
        if let Some(schema) = record::schema_of(record::rtype_of(record)) {
            let sequence = u64::from(record::u32_at(record, 44));
            records.push((schema, record::instrument_id(record) as usize - 1, sequence));
        }
    }
    assert_eq!(header.count.get(), count);
    Item::Data { seq: header.seq.get(), flags: header.flags, records }
}

fn data(text: &Value) -> Item {
    let number = |value: &Value| value.as_u64().unwrap();
    let seen = |record: &Value| {
        let schema = record::schema_of(number(&record["hd"]["rtype"]) as u8)?;
        let instrument = number(&record["hd"]["instrument_id"]) as usize - 1;
        Some((schema, instrument, number(&record["sequence"])))
    };
    let flagged = |(_, name): &&(u8, &str)| {
        text["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == name))
    };
    Item::Data {
        seq: long(&text["seq"]),
        flags: batch::FLAGS.iter().filter(flagged).fold(0, |all, (flag, _)| all | flag),
        records: text["records"].as_array().unwrap().iter().filter_map(seen).collect(),
    }
}

/// A 64-bit integer as our JSON writes it.
pub(super) fn long(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}
