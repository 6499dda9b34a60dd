//! What a file tells of the symbols behind its instrument ids.

use std::ffi::CStr;
use std::mem::offset_of;

use dbn::{Metadata, SymbolMapping};

use crate::clock::{SECOND, UnixNanos};
use crate::limits::SYMBOL_BYTES;
use crate::wire::record::{self, InstrumentDefMsg, SType, SymbolMappingMsg, UNDEF_PRICE};

/// From when an id stands for a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) id: u32,
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
    pub(super) symbol: String,
}

/// What metadata says, in its order: symbols mapped to ids, or ids to symbols. Other mappings
/// (symbol to symbol) name no id.
pub(super) fn of_metadata(metadata: &Metadata) -> Vec<Span> {
    let from_id = metadata.stype_in == Some(SType::InstrumentId);
    let to_id = metadata.stype_out == SType::InstrumentId;
    let spans = |mapping: &SymbolMapping| -> Vec<Span> {
        let each = mapping.intervals.iter().filter_map(|interval| {
            let (id, symbol) = match (to_id, from_id) {
                (true, _) => (&interval.symbol, &mapping.raw_symbol),
                (false, true) => (&mapping.raw_symbol, &interval.symbol),
                (false, false) => return None,
            };
            let start = nanos(interval.start_date.midnight().assume_utc().unix_timestamp());
            let end = nanos(interval.end_date.midnight().assume_utc().unix_timestamp());
            Some(Span { id: id.parse().ok()?, start, end, symbol: valid(symbol)?.to_owned() })
        });
        each.collect()
    };
    metadata.mappings.iter().flat_map(spans).collect()
}

fn nanos(seconds: i64) -> UnixNanos {
    (seconds.max(0) as u64).saturating_mul(SECOND)
}

/// The symbol that a definition gives its instrument.
pub(super) fn of_definition(record: &[u8]) -> Option<&str> {
    text(record, offset_of!(InstrumentDefMsg, raw_symbol))
}

/// The symbol that a mapping gives its instrument: the one that is mapped to, as the venue has it,
/// else the one that was asked for.
pub(super) fn of_mapping(record: &[u8]) -> Option<&str> {
    let asked = text(record, offset_of!(SymbolMappingMsg, stype_in_symbol));
    let to_id = record[offset_of!(SymbolMappingMsg, stype_out)] == SType::InstrumentId as u8;
    if to_id && asked.is_some() {
        return asked;
    }
    text(record, offset_of!(SymbolMappingMsg, stype_out_symbol)).or(asked)
}

/// Smallest price step (1e-9 units) and round lot of a definition.
pub(super) fn steps(record: &[u8]) -> (Option<i64>, Option<u32>) {
    let at = offset_of!(InstrumentDefMsg, min_price_increment);
    let tick = record::u64_at(record, at) as i64;
    let at = offset_of!(InstrumentDefMsg, min_lot_size_round_lot);
    let lot = record::u32_at(record, at) as i32;
    let tick = (tick > 0 && tick != UNDEF_PRICE).then_some(tick);
    (tick, u32::try_from(lot).ok().filter(|lot| *lot > 0 && *lot != i32::MAX as u32))
}

fn text(record: &[u8], at: usize) -> Option<&str> {
    let field = record.get(at..=at + SYMBOL_BYTES)?;
    valid(CStr::from_bytes_until_nul(field).ok()?.to_str().ok()?)
}

/// The symbol, where it can be one.
fn valid(symbol: &str) -> Option<&str> {
    let sized = (1..=SYMBOL_BYTES).contains(&symbol.len());
    (sized && !symbol.chars().any(char::is_control)).then_some(symbol)
}
