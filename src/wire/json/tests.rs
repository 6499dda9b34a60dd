//! JSON text against DBN's own encoder.

use dbn::encode::{EncodeRecordTextExt, json};
use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ErrorMsg, ImbalanceMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg,
    OhlcvMsg, RecordBuf, StatMsg, StatusMsg, SymbolMappingMsg, SystemMsg, TradeMsg, WithTsOut,
    rtype,
};
use proptest::prelude::*;

use super::fields::{self, Kind};
use super::*;

/// What DBN's own encoder prints for a published record.
fn official(published: &[u8], symbol: &str) -> String {
    let (bare, ts_out) = (published.len() - 8, record::ts_out(published));
    let mut buffer = RecordBuf::<528>::from(StatusMsg::default());
    buffer.raw_buf_mut()[..bare].copy_from_slice(&published[..bare]);
    buffer.raw_buf_mut()[0] = (bare / 4) as u8;
    let mut out = Vec::new();
    let mut encoder = json::Encoder::new(&mut out, false, true, true);
    macro_rules! encode {
        ($($record:ty),*) => {
            $(if let Some(record) = buffer.get::<$record>() {
                let record = WithTsOut::new(record.clone(), ts_out);
                encoder.encode_record_with_sym(&record, Some(symbol)).unwrap();
            })*
        };
    }
    encode!(
        MboMsg,
        TradeMsg,
        Mbp1Msg,
        Mbp10Msg,
        BboMsg,
        Cmbp1Msg,
        CbboMsg,
        OhlcvMsg,
        StatusMsg,
        InstrumentDefMsg,
        ImbalanceMsg,
        StatMsg,
        SymbolMappingMsg,
        SystemMsg,
        ErrorMsg
    );
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

fn ours(published: &[u8], symbol: &str) -> String {
    let mut out = Vec::new();
    encode(published, symbol, &mut out);
    String::from_utf8(out).unwrap()
}

/// A published record of this type whose other bytes are `noise`, repeated.
fn noisy(kind: u8, noise: &[u8]) -> Vec<u8> {
    let length = bare_length(3, kind).unwrap() + 8;
    let mut record: Vec<u8> = noise.iter().copied().cycle().take(length).collect();
    (record[0], record[1]) = ((length / 4) as u8, kind);
    record
}

fn kinds() -> impl Strategy<Value = u8> {
    // `TBBO` is a type that no record of the crate has.
    let known = (0..=255).filter(|&kind| bare_length(3, kind).is_some() && kind != rtype::TBBO);
    proptest::sample::select(known.collect::<Vec<u8>>())
}

proptest! {
    #[test]
    fn any_bytes_are_json(kind in 0u8.., noise in proptest::collection::vec(0u8.., 1..600)) {
        let mut record = noise.clone();
        if bare_length(3, kind).is_some() {
            record = noisy(kind, &noise);
        }
        let json: serde_json::Value = serde_json::from_str(&ours(&record, "A\"")).unwrap();
        prop_assert!(json.is_null() || json["symbol"] == "A\"");
    }

    #[test]
    fn it_is_what_dbn_prints(
        kind in kinds(),
        noise in proptest::collection::vec(0u8.., 1..600),
        symbol in ".{0,20}",
    ) {
        let mut record = noisy(kind, &noise);
        for field in fields::of(kind).unwrap() {
            let byte = &mut record[field.at];
            let printable = (b' '..=b'~').contains(byte) && *byte != b'\'';
            if matches!(field.kind, Kind::Char) && !printable {
                *byte = 0;
            }
        }
        prop_assert_eq!(ours(&record, &symbol), official(&record, &symbol));
    }

    #[test]
    fn text_fields_end_where_dbn_ends_them(kind in kinds(), text in "[a-zé/]{1,40}\0") {
        let mut record = noisy(kind, text.as_bytes());
        for field in fields::of(kind).unwrap() {
            if matches!(field.kind, Kind::Char) {
                record[field.at] = b'A';
            }
        }
        prop_assert_eq!(ours(&record, "X"), official(&record, "X"));
    }
}

#[test]
fn undefined_values_are_null() {
    let mut trade = noisy(rtype::MBP_0, &[0xff]);
    trade[16..24].copy_from_slice(&i64::MAX.to_le_bytes());
    (trade[28], trade[29]) = (0, b'N');
    let json: serde_json::Value = serde_json::from_str(&ours(&trade, "X")).unwrap();
    assert!(json["price"].is_null() && json["ts_recv"].is_null() && json["action"].is_null());
    assert_eq!(json["side"], "N");
    assert_eq!(ours(&trade, "X"), official(&trade, "X"));
}

#[test]
fn what_is_no_record_is_null() {
    for bytes in [&[][..], &[14], &[14, rtype::MBP_0], &noisy(rtype::MBP_0, &[1])[..55]] {
        assert_eq!(ours(bytes, "X"), "null");
    }
}
