//! DBN v3 records as the ring, the wire and the disk hold them: bytes, read in place.
//!
//! A *published* record ends in `ts_out` (u64, ns: when it was committed to the ring), which its
//! header's `length` counts (DBN's own `WithTsOut`). A *bare* record is one without it.

pub use dbn::{
    Action, BboMsg, BidAskPair, FlagSet, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg,
    RecordHeader, SType, Schema, Side, StatusAction, StatusMsg, StatusReason, SymbolMappingMsg,
    TradeMsg, TriState, UNDEF_PRICE, UNDEF_TIMESTAMP, flags, rtype,
};
use dbn::{HasRType, record::str_to_c_chars};

use crate::clock::UnixNanos;
use crate::limits::SYMBOL_BYTES;

/// Schemas that DBN knows; `Schema as usize` is below it.
pub const SCHEMAS: usize = 20;

/// Bytes of a record header.
pub const HEADER: usize = 16;

/// Publisher ids that are broadtape's own.
pub const PUBLISHERS: std::ops::RangeInclusive<u16> = 64000..=64999;
/// `publisher_id` of the simulated market and of the metronome.
pub const PUBLISHER_SIM: u16 = 64000;
/// `publisher_id` of records that no publisher is known of.
pub const PUBLISHER_NONE: u16 = 64999;

/// A record's length in bytes, from its header. 0 for an empty slice.
#[inline]
pub fn length(record: &[u8]) -> usize {
    record.first().map_or(0, |words| *words as usize * 4)
}

/// The records of a run of them, end to end. It ends where no whole record follows.
pub fn each(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (record, after) = rest.split_at_checked(length(rest))?;
        rest = after;
        (!record.is_empty()).then_some(record)
    })
}

/// A record's type byte ([`rtype`]). The record holds at least a header.
#[inline]
pub fn rtype_of(record: &[u8]) -> u8 {
    record[1]
}

/// Little-endian u64 at byte `at`. The record reaches that far.
#[inline]
pub fn u64_at(record: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&record[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Little-endian u32 at byte `at`. The record reaches that far.
#[inline]
pub fn u32_at(record: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&record[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Little-endian i32 at byte `at`. The record reaches that far.
#[inline]
pub fn i32_at(record: &[u8], at: usize) -> i32 {
    u32_at(record, at) as i32
}

/// The publisher of a record.
#[inline]
pub fn publisher_id(record: &[u8]) -> u16 {
    u16::from_le_bytes([record[2], record[3]])
}

/// The instrument of a record.
#[inline]
pub fn instrument_id(record: &[u8]) -> u32 {
    u32_at(record, 4)
}

/// When it happened, ns.
#[inline]
pub fn ts_event(record: &[u8]) -> UnixNanos {
    u64_at(record, 8)
}

/// When a published record was committed to the ring, ns.
#[inline]
pub fn ts_out(record: &[u8]) -> UnixNanos {
    u64_at(record, record.len() - 8)
}

/// Where the record type keeps `ts_recv`, bytes from its start.
pub const fn ts_recv_offset(rtype: u8) -> Option<usize> {
    Some(match rtype {
        rtype::MBO => 40,
        rtype::MBP_0 | rtype::MBP_1 | rtype::MBP_10 | rtype::TBBO => 32,
        rtype::BBO_1S | rtype::BBO_1M => 32,
        rtype::CMBP_1 | rtype::CBBO_1S | rtype::CBBO_1M | rtype::TCBBO => 32,
        rtype::STATUS | rtype::INSTRUMENT_DEF | rtype::IMBALANCE | rtype::STATISTICS => 16,
        _ => return None,
    })
}

/// DBN's index time of a record, ns: `ts_recv` where the schema has a defined one, else `ts_event`.
pub fn index_ts(record: &[u8]) -> UnixNanos {
    match ts_recv_offset(rtype_of(record)) {
        Some(at) if u64_at(record, at) != UNDEF_TIMESTAMP => u64_at(record, at),
        _ => ts_event(record),
    }
}

/// The schema that a record type belongs to; none for mappings, system and error messages.
///
/// A record of type MBP-1 whose action is `T` belongs to `tbbo` as well: see [`is_tbbo`].
pub const fn schema_of(rtype: u8) -> Option<Schema> {
    Some(match rtype {
        rtype::MBO => Schema::Mbo,
        rtype::MBP_0 => Schema::Trades,
        rtype::MBP_1 => Schema::Mbp1,
        rtype::MBP_10 => Schema::Mbp10,
        rtype::TBBO => Schema::Tbbo,
        rtype::OHLCV_1S => Schema::Ohlcv1S,
        rtype::OHLCV_1M => Schema::Ohlcv1M,
        rtype::OHLCV_1H => Schema::Ohlcv1H,
        rtype::OHLCV_1D => Schema::Ohlcv1D,
        rtype::OHLCV_EOD => Schema::OhlcvEod,
        rtype::STATUS => Schema::Status,
        rtype::INSTRUMENT_DEF => Schema::Definition,
        rtype::IMBALANCE => Schema::Imbalance,
        rtype::STATISTICS => Schema::Statistics,
        rtype::CMBP_1 => Schema::Cmbp1,
        rtype::CBBO_1S => Schema::Cbbo1S,
        rtype::CBBO_1M => Schema::Cbbo1M,
        rtype::TCBBO => Schema::Tcbbo,
        rtype::BBO_1S => Schema::Bbo1S,
        rtype::BBO_1M => Schema::Bbo1M,
        _ => return None,
    })
}

/// Is this an MBP-1 record of a trade? DBN defines `tbbo` as exactly that part of `mbp-1`.
#[inline]
pub fn is_tbbo(record: &[u8]) -> bool {
    const ACTION: usize = 28;
    rtype_of(record) == rtype::MBP_1 && record[ACTION] == b'T'
}

/// Is the newest record of this schema the whole state of its instrument, so that older ones may be
/// conflated?
pub const fn is_state(schema: Schema) -> bool {
    matches!(
        schema,
        Schema::Mbp1
            | Schema::Mbp10
            | Schema::Bbo1S
            | Schema::Bbo1M
            | Schema::Cmbp1
            | Schema::Cbbo1S
            | Schema::Cbbo1M
            | Schema::Status
    )
}

/// Every schema, in the order of their numbers.
pub fn schemas() -> impl Iterator<Item = Schema> {
    (0..SCHEMAS as u16).filter_map(|n| Schema::try_from(n).ok())
}

/// A header for a bare record of type `T`.
pub fn header<T: HasRType>(rtype: u8, publisher: u16, instrument: u32, ts: u64) -> RecordHeader {
    RecordHeader::new::<T>(rtype, publisher, instrument, ts)
}

/// The bytes of a bare record.
pub fn bytes_of<T: HasRType + AsRef<[u8]>>(record: &T) -> &[u8] {
    record.as_ref()
}

/// The mapping that tells a client which symbol an instrument id stands for.
/// `symbol` longer than [`SYMBOL_BYTES`] is cut.
pub fn mapping(publisher: u16, instrument: u32, symbol: &str, ts: UnixNanos) -> SymbolMappingMsg {
    let symbol = &symbol[..symbol.floor_char_boundary(SYMBOL_BYTES)];
    let chars = str_to_c_chars(symbol).unwrap_or([0; SYMBOL_BYTES + 1]);
    SymbolMappingMsg {
        hd: header::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, publisher, instrument, ts),
        stype_in: SType::RawSymbol as u8,
        stype_in_symbol: chars,
        stype_out: SType::InstrumentId as u8,
        stype_out_symbol: chars,
        start_ts: UNDEF_TIMESTAMP,
        end_ts: UNDEF_TIMESTAMP,
    }
}

/// Appends a bare record to `out` as a published one.
pub fn publish_into(out: &mut Vec<u8>, bare: &[u8], ts_out: UnixNanos) {
    let start = out.len();
    out.extend_from_slice(bare);
    out.extend_from_slice(&ts_out.to_le_bytes());
    out[start] = (bare.len() / 4 + 2) as u8;
}

const _: () = {
    assert!(size_of::<TradeMsg>() == 48 && size_of::<Mbp1Msg>() == 80);
    assert!(size_of::<InstrumentDefMsg>() + 8 == crate::limits::RECORD_MAX);
    assert!(size_of::<StatusMsg>() + 8 == crate::limits::RECORD_MIN);
    assert!(std::mem::offset_of!(TradeMsg, ts_recv) == 32);
    assert!(std::mem::offset_of!(MboMsg, ts_recv) == 40);
    assert!(std::mem::offset_of!(Mbp1Msg, action) == 28);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_a_dbn_record_that_dbn_reads() {
        let map = mapping(PUBLISHER_SIM, 7, "AAPL", 5);
        let bytes = bytes_of(&map);
        assert_eq!(length(bytes), bytes.len());
        assert_eq!((instrument_id(bytes), publisher_id(bytes)), (7, PUBLISHER_SIM));
        assert_eq!(map.stype_out_symbol().unwrap(), "AAPL");
    }

    #[test]
    fn publishing_appends_ts_out_and_counts_it() {
        let mut out = Vec::new();
        let map = mapping(PUBLISHER_SIM, 7, "AAPL", 5);
        publish_into(&mut out, bytes_of(&map), 99);
        assert_eq!((length(&out), out.len(), ts_out(&out)), (184, 184, 99));
    }

    #[test]
    fn every_schema_has_a_number_below_the_count() {
        assert_eq!(schemas().count(), SCHEMAS);
        assert!(schemas().all(|s| (s as usize) < SCHEMAS));
    }
}
