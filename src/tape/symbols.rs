//! The symbol table inside a segment: what each instrument id stands for, so that it stands alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use zerocopy::little_endian::{I64, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::facts;
use super::error::{Damage, Loss, TapeError};
use super::frame::{Frame, SegmentFile};
use super::layout::Kind;
use super::segment::Segment;
use crate::limits::SYMBOL_BYTES;
use crate::wire::instrument::Instrument;
use crate::wire::record::each;

/// The fixed part of an entry; the symbol follows.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    id: U32,
    publisher: U16,
    /// Bytes of the symbol.
    symbol: u8,
    /// Bit 0: `tick` is known; bit 1: `lot` is.
    known: u8,
    schemas: U32,
    lot: U32,
    tick: I64,
}

/// The longest entry.
pub(super) const ENTRY_MAX: usize = size_of::<Entry>() + SYMBOL_BYTES;

/// Appends an instrument's entry.
pub(super) fn append(instrument: &Instrument, out: &mut Vec<u8>) {
    let symbol = &instrument.symbol[..instrument.symbol.floor_char_boundary(SYMBOL_BYTES)];
    let known = u8::from(instrument.tick.is_some()) | u8::from(instrument.lot.is_some()) << 1;
    let entry = Entry {
        id: instrument.id.into(),
        publisher: instrument.publisher.into(),
        symbol: symbol.len() as u8,
        known,
        schemas: instrument.schemas.into(),
        lot: instrument.lot.unwrap_or_default().into(),
        tick: instrument.tick.unwrap_or_default().into(),
    };
    out.extend_from_slice(entry.as_bytes());
    out.extend_from_slice(symbol.as_bytes());
}

/// Reads entries; none where they are something else.
pub(super) fn parse(mut bytes: &[u8]) -> Option<Vec<Instrument>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (entry, rest) = Entry::read_from_prefix(bytes).ok()?;
        let (symbol, rest) = rest.split_at_checked(entry.symbol as usize)?;
        let symbol = std::str::from_utf8(symbol).ok()?;
        let sized = (1..=SYMBOL_BYTES).contains(&symbol.len());
        if !sized || symbol.chars().any(char::is_control) {
            return None;
        }
        all.push(Instrument {
            id: entry.id.get(),
            publisher: entry.publisher.get(),
            symbol: symbol.to_owned(),
            tick: (entry.known & 1 != 0).then_some(entry.tick.get()),
            lot: (entry.known & 2 != 0).then_some(entry.lot.get()),
            schemas: entry.schemas.get(),
        });
        bytes = rest;
    }
    Some(all)
}

/// What was known in a segment when record `seq` was written, with the schemas of its records.
///
/// # Errors
/// The disk's reasons; [`TapeError::Damaged`] where a table can't be read.
pub(super) fn instruments(segment: &Segment, seq: u64) -> Result<Vec<Instrument>, TapeError> {
    let mut known = BTreeMap::new();
    for (at, frame) in frames(segment, Kind::Instruments)? {
        if frame.head.prev_seq.get() < seq {
            let all = parse(&frame.payload).ok_or_else(|| unreadable(segment, at))?;
            known.extend(all.into_iter().map(|one| ((one.publisher, one.id), one)));
        }
    }
    for extent in segment.index.extents() {
        if let Some(one) = known.get_mut(&(extent.publisher.get(), extent.id.get())) {
            one.schemas |= extent.schemas.get();
        }
    }
    Ok(known.into_values().collect())
}

/// The definitions that a segment begins with, as published records.
///
/// # Errors
/// As [`instruments`].
pub(super) fn definitions(segment: &Segment) -> Result<Vec<Bytes>, TapeError> {
    let mut all = Vec::new();
    for (at, frame) in frames(segment, Kind::Definitions)? {
        facts(&frame.payload).map_err(|_| unreadable(segment, at))?;
        all.extend(each(&frame.payload).map(|record| frame.payload.slice_ref(record)));
    }
    Ok(all)
}

fn frames(segment: &Segment, kind: Kind) -> Result<Vec<(u64, Frame)>, TapeError> {
    let file = SegmentFile::open(segment.name.path.clone())?;
    let mut frames = Vec::new();
    for &at in &segment.index.symbols {
        let frame = file.frame(at)?.map_err(|_| unreadable(segment, at))?;
        if frame.head.kind() == Some(kind) && frame.head.epoch == segment.epoch {
            frames.push((at, frame));
        }
    }
    Ok(frames)
}

fn unreadable(segment: &Segment, offset: u64) -> TapeError {
    TapeError::Damaged(Box::new(Damage {
        path: segment.name.path.clone(),
        offset,
        reason: "a table of symbols or definitions can't be read".to_owned(),
        lost: Loss { from_seq: 1, ..Loss::default() },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let long = Instrument {
            id: u32::MAX,
            publisher: 1,
            symbol: "é".repeat(SYMBOL_BYTES / 2),
            tick: Some(-1),
            lot: Some(0),
            schemas: 0x8001,
        };
        let bare = Instrument {
            id: 0,
            publisher: 0,
            symbol: "A".to_owned(),
            tick: None,
            lot: None,
            schemas: 0,
        };
        let mut bytes = Vec::new();
        append(&long, &mut bytes);
        assert_eq!(bytes.len(), ENTRY_MAX);
        append(&bare, &mut bytes);
        assert_eq!(parse(&bytes), Some(vec![long, bare]));
        for cut in 1..bytes.len() {
            assert!(parse(&bytes[..cut]).is_none_or(|all| all.len() == 1 && cut == ENTRY_MAX));
        }
    }
}
