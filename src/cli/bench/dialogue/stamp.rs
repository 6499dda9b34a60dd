//! What the bench looks at in a record: its times and its venue sequence, in either encoding.

use std::mem::offset_of;

use serde::Deserialize;

use crate::cli::client::json::Time;
use crate::wire::record::{self, MboMsg, Mbp1Msg, Mbp10Msg, TradeMsg, rtype};

/// One record's stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) rtype: u8,
    /// When it happened, ns.
    pub(crate) ts_event: u64,
    /// When it was published, ns.
    pub(crate) ts_out: u64,
    /// The venue's sequence number, where the schema has one.
    pub(crate) sequence: Option<u32>,
}

impl Stamp {
    /// Reads a published record of at least `RECORD_MIN` bytes.
    #[inline]
    pub(crate) fn of(record: &[u8]) -> Self {
        let rtype = record::rtype_of(record);
        let (ts_event, ts_out) = (record::ts_event(record), record::ts_out(record));
        Self { rtype, ts_event, ts_out, sequence: sequence(rtype, record) }
    }

    /// Is it a record that the server counts? Mappings are not.
    #[inline]
    pub(crate) fn is_counted(self) -> bool {
        self.rtype != rtype::SYMBOL_MAPPING
    }
}

#[inline]
fn sequence(rtype: u8, record: &[u8]) -> Option<u32> {
    const MARKET: usize = offset_of!(TradeMsg, sequence);
    const ORDER: usize = offset_of!(MboMsg, sequence);
    let at = match rtype {
        rtype::MBP_0 | rtype::MBP_1 | rtype::MBP_10 | rtype::TBBO => MARKET,
        rtype::MBO => ORDER,
        _ => return None,
    };
    (record.len() >= at + 4).then(|| record::u32_at(record, at))
}

const _: () = {
    assert!(offset_of!(TradeMsg, sequence) == offset_of!(Mbp1Msg, sequence));
    assert!(offset_of!(TradeMsg, sequence) == offset_of!(Mbp10Msg, sequence));
};

/// The same of a record of the JSON encoding.
#[derive(Deserialize)]
pub(crate) struct JsonStamp {
    hd: JsonHeader,
    #[serde(default)]
    ts_out: Option<Time>,
    #[serde(default)]
    sequence: Option<u32>,
}

#[derive(Deserialize)]
struct JsonHeader {
    #[serde(default)]
    ts_event: Option<Time>,
    rtype: u8,
}

impl From<JsonStamp> for Stamp {
    fn from(record: JsonStamp) -> Self {
        let undefined = Time(record::UNDEF_TIMESTAMP);
        Self {
            rtype: record.hd.rtype,
            ts_event: record.hd.ts_event.unwrap_or(undefined).0,
            ts_out: record.ts_out.unwrap_or(undefined).0,
            sequence: record.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{bytes_of, header, publish_into};

    #[test]
    fn both_encodings_give_the_same_stamp() {
        let hd = header::<TradeMsg>(rtype::MBP_0, 1, 1, 1_000_000_001);
        let trade = TradeMsg { hd, sequence: 77, ..TradeMsg::default() };
        let mut record = Vec::new();
        publish_into(&mut record, bytes_of(&trade), 2_000_000_000);
        let json = r#"{"ts_recv":"1970-01-01T00:00:01.5Z","hd":{"ts_event":
            "1970-01-01T00:00:01.000000001Z","rtype":0,"publisher_id":1,"instrument_id":1},
            "sequence":77,"ts_out":"1970-01-01T00:00:02.000000000Z","symbol":"A"}"#;
        let json: JsonStamp = serde_json::from_str(json).unwrap();
        let expected = Stamp {
            rtype: rtype::MBP_0,
            ts_event: 1_000_000_001,
            ts_out: 2_000_000_000,
            sequence: Some(77),
        };
        assert_eq!((Stamp::of(&record), Stamp::from(json)), (expected, expected));
    }

    #[test]
    fn a_record_too_short_for_its_type_has_no_sequence() {
        let mut record = [0; 48];
        (record[0], record[1]) = (12, rtype::MBO);
        assert_eq!(Stamp::of(&record).sequence, None);
    }
}
