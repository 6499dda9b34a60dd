//! The reader on whole, cut and damaged files.

use std::io::Cursor;

use dbn::encode::dbn::Encoder;
use dbn::{
    Metadata, MetadataBuilder, OhlcvMsg, SType, StatusMsg, SymbolMapping, TradeMsg, WithTsOut, v1,
    v2,
};
use proptest::prelude::*;

use super::*;
use crate::wire::json;
use crate::wire::record::{bytes_of, header, publish_into, rtype_of};

fn metadata(version: u8, schema: Option<Schema>, ts_out: bool) -> Metadata {
    let mapping = SymbolMapping { raw_symbol: "ESZ3".to_owned(), intervals: vec![] };
    let mut metadata = MetadataBuilder::new()
        .dataset("GLBX.MDP3")
        .schema(schema)
        .start(1)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .ts_out(ts_out)
        .mappings(vec![mapping])
        .build();
    metadata.version = version;
    metadata.symbol_cstr_len = dbn::compat::version_symbol_cstr_len(version);
    metadata
}

/// A file of these records, whatever they are.
fn file(metadata: &Metadata, records: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, metadata).unwrap();
    bytes.extend(records.concat());
    bytes
}

fn trade(sequence: u32) -> TradeMsg {
    TradeMsg { hd: header::<TradeMsg>(rtype::MBP_0, 1, 7, 9), sequence, ..TradeMsg::default() }
}

/// A file of three trades and one status.
fn small() -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut records: Vec<_> = (1..=3).map(|n| bytes_of(&trade(n)).to_vec()).collect();
    records.push(bytes_of(&StatusMsg::default()).to_vec());
    let each: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    (file(&metadata(3, None, false), &each), records)
}

/// What a reader makes of these bytes: the records, and the error that ended them.
fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<FileError>) {
    let mut reader = match Reader::new("x".to_owned(), Cursor::new(bytes.to_vec())) {
        Ok(reader) => reader,
        Err(error) => return (vec![], Some(error)),
    };
    let mut records = Vec::new();
    loop {
        match reader.advance() {
            Ok(true) => records.push(reader.record().to_vec()),
            Ok(false) => return (records, None),
            Err(error) => {
                assert_eq!((reader.advance().ok(), reader.record()), (Some(false), &[][..]));
                return (records, Some(error));
            }
        }
    }
}

fn refusal(bytes: &[u8]) -> String {
    let (records, error) = read(bytes);
    assert!(records.is_empty());
    error.unwrap().to_string()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn plain_and_compressed_in_frames_are_the_same() {
    let (bytes, records) = small();
    let (head, tail) = bytes.split_at(bytes.len() - 60);
    let skippable = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&bytes)].concat();
    for bytes in [bytes.clone(), zstd(&bytes), [zstd(head), zstd(tail)].concat(), skippable] {
        let (read, error) = read(&bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(read, records);
    }
}

#[test]
fn cut_anywhere_it_brings_what_is_whole_and_tells_the_place() {
    let (bytes, records) = small();
    let body = bytes.len() - 3 * 48 - 40;
    for cut in 0..bytes.len() {
        let (read, error) = read(&bytes[..cut]);
        assert_eq!(read, records[..read.len()], "cut at {cut}");
        let Some(error) = error else {
            assert!(cut >= body && (cut - body).is_multiple_of(48), "cut at {cut} unseen");
            continue;
        };
        let (number, byte) = (read.len() as u64 + 1, (body + read.len() * 48) as u64);
        let place = if cut < body { Place::File } else { Place::Record { number, byte } };
        assert_eq!(error.place, place, "cut at {cut}: {error}");
    }
}

#[test]
fn compressed_and_cut_anywhere_it_never_passes_for_whole() {
    let (bytes, records) = small();
    let compressed = zstd(&bytes);
    for cut in 0..compressed.len() {
        let (read, error) = read(&compressed[..cut]);
        assert!(error.is_some() && records.starts_with(&read), "cut at {cut}");
    }
}

#[test]
fn no_flipped_bit_makes_it_panic() {
    let (bytes, records) = small();
    let compressed = zstd(&bytes);
    let (mut sound, mut damaged) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (came, error) = read(&flipped);
        assert!(came.len() == records.len() || error.is_some(), "bit {bit}");
        assert!(came.iter().all(|r| Some(r.len()) == bare_length(3, rtype_of(r))));
        *if error.is_some() { &mut damaged } else { &mut sound } += 1;
        if let Some(byte) = compressed.get(bit / 8) {
            let mut flipped = compressed.clone();
            flipped[bit / 8] = byte ^ (1 << (bit % 8));
            read(&flipped);
        }
    }
    assert!(sound > 0 && damaged > 0);
}

#[test]
fn what_is_no_dbn_is_refused_by_what_it_is() {
    assert!(refusal(b"").contains("is empty"));
    assert!(refusal(&zstd(b"")).contains("is empty"));
    assert!(refusal(b"\x89PNG\r\n\x1a\n....").contains("a PNG picture"));
    assert!(refusal(&zstd(b"ts,price\n1,2\n")).contains("\"ts,price\""));
    assert!(refusal(b"\x51\x2a\x4d\x18\xff\0\0\0DBZ\x01....").contains("is DBZ"));
    assert!(refusal(b"DBN\x04\0\0\0\0........").contains("version 4; versions 1 to 3"));
    assert!(refusal(b"DBN\x03\xff\xff\xff\x7f........").contains("2147483647 bytes; at most"));
    assert!(refusal(b"DBN\x03\x01\0\0\0x.......").contains("metadata is damaged"));
    assert!(refusal(b"DBN\x03").contains("ends within its metadata"));
    let folder = Reader::open(std::env::temp_dir().as_path()).err().unwrap();
    assert!(folder.to_string().contains("is a directory"));
}

#[test]
fn a_record_of_another_kind_or_length_is_told() {
    let good = trade(1);
    let mut unknown = bytes_of(&good).to_vec();
    unknown[1] = 0x77;
    let error = read(&file(&metadata(3, None, false), &[bytes_of(&good), &unknown])).1.unwrap();
    assert!(error.to_string().contains("type 0x77 is no record type"), "{error}");
    let mut short = bytes_of(&good).to_vec();
    short[0] = 11;
    let error = read(&file(&metadata(3, None, false), &[bytes_of(&good), &short])).1.unwrap();
    assert!(error.to_string().contains("with 44 bytes, which has 48"), "{error}");
    short[0] = 0;
    assert!(read(&file(&metadata(3, None, false), &[&short])).1.is_some());
}

#[test]
fn ts_out_is_stripped() {
    let published = WithTsOut::new(trade(5), 77);
    let bytes = file(&metadata(3, Some(Schema::Trades), true), &[published.as_ref()]);
    let expected = vec![bytes_of(&trade(5)).to_vec()];
    assert_eq!(read(&bytes).0, expected);
    assert_eq!(read(published.as_ref()).0, expected, "a fragment tells by its lengths");
    let bare = file(&metadata(3, Some(Schema::Trades), true), &[bytes_of(&trade(5))]);
    assert!(read(&bare).1.unwrap().to_string().contains("with 48 bytes, which has 56"));
}

#[test]
fn bars_of_the_old_type_are_what_the_schema_says() {
    let mut bar = OhlcvMsg::default_for_schema(Schema::Ohlcv1M);
    bar.hd.rtype = rtype::OHLCV_DEPRECATED;
    let told = file(&metadata(1, Some(Schema::Ohlcv1M), false), &[bytes_of(&bar)]);
    assert_eq!(rtype_of(&read(&told).0[0]), rtype::OHLCV_1M);
    let untold = file(&metadata(1, None, false), &[bytes_of(&bar)]);
    assert!(read(&untold).1.unwrap().to_string().contains("no ohlcv schema"));
}

#[test]
fn an_id_is_changed_in_place() {
    let old = v1::StatMsg::default();
    for bytes in [small().0, file(&metadata(1, None, false), &[old.as_ref()])] {
        let mut reader = Reader::new("x".to_owned(), Cursor::new(bytes)).unwrap();
        reader.set_instrument_id(3);
        assert!(reader.advance().unwrap());
        reader.set_instrument_id(4_000_000_000);
        assert_eq!(super::super::record::instrument_id(reader.record()), 4_000_000_000);
    }
}

proptest! {
    #[test]
    fn any_body_is_read_and_printed(
        version in VERSIONS,
        kind in 0u8..,
        noise in proptest::collection::vec(0u8.., 1..600),
        ts_out in any::<bool>(),
    ) {
        let Some(bare) = bare_length(version, kind) else { return Ok(()) };
        let length = bare + if ts_out { 8 } else { 0 };
        let mut record: Vec<u8> = noise.iter().copied().cycle().take(length).collect();
        (record[0], record[1]) = ((length / 4) as u8, kind);
        let bytes = file(&metadata(version, Some(Schema::Ohlcv1S), ts_out), &[&record]);
        let (read, error) = read(&bytes);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(Some(read[0].len()), bare_length(3, rtype_of(&read[0])));
        let (mut published, mut out) = (Vec::new(), Vec::new());
        publish_into(&mut published, &read[0], 1);
        json::encode(&published, "X", &mut out);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    }

    #[test]
    fn any_enum_byte_of_an_old_definition_comes_through(action in 0u8.., user in 0u8..) {
        let (first, second) = (v1::InstrumentDefMsg::default(), v2::InstrumentDefMsg::default());
        let mut first = (1, first.as_ref().to_vec());
        let mut second = (2, second.as_ref().to_vec());
        first.1[std::mem::offset_of!(v1::InstrumentDefMsg, security_update_action)] = action;
        first.1[std::mem::offset_of!(v1::InstrumentDefMsg, user_defined_instrument)] = user;
        second.1[std::mem::offset_of!(v2::InstrumentDefMsg, security_update_action)] = action;
        second.1[std::mem::offset_of!(v2::InstrumentDefMsg, user_defined_instrument)] = user;
        for (version, record) in [first, second] {
            let read = read(&file(&metadata(version, None, false), &[&record])).0;
            let at = std::mem::offset_of!(dbn::InstrumentDefMsg, security_update_action);
            prop_assert_eq!(read[0][at], action);
            let at = std::mem::offset_of!(dbn::InstrumentDefMsg, user_defined_instrument);
            prop_assert_eq!(read[0][at], user);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(0u8.., 0..2000)) {
        read(&bytes);
        read(&[&b"DBN\x03"[..], &bytes].concat());
        let mut length = bytes.clone();
        length.splice(0..0, (bytes.len() as u32).to_le_bytes());
        read(&[&b"DBN\x01"[..], &length].concat());
        read(&[&b"DBN\x03"[..], &length].concat());
    }
}
