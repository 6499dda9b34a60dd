//! Tapes as recordings: what a server recorded, published or written anew.
//!
//! Mapping records name the instruments before the records of each segment, since an id may stand
//! for something else after a restart; then come the records as they are, without `ts_out`, which
//! is kept beside them.

use std::collections::VecDeque;
use std::path::Path;

use bytes::Bytes;

use super::source::{Recording, Source, Tally};
use crate::clock::UnixNanos;
use crate::limits::RECORD_MAX;
use crate::tape::{Cursor, Tape, TapeError};
use crate::wire::file::{Extent, Fault, FileError, Place};
use crate::wire::instrument::Instrument;
use crate::wire::json::time_text;
use crate::wire::record::{self, bytes_of, mapping};

/// Opens a tape's folder.
///
/// # Errors
/// [`FileError`]: there is no tape in it, or it can't be read.
pub(super) fn open(of: &Recording, folder: &Path) -> Result<Box<dyn Source>, FileError> {
    let fault = |error: TapeError| of.fault(&error.to_string());
    let tape = Tape::open(folder).map_err(fault)?;
    let cursor = match of.how.from {
        Some(from) => tape.cursor_near(from),
        None => tape.cursor_after(tape.first_seq() - 1),
    };
    let cursor = cursor.map_err(fault)?;
    let last = of.how.to.map_or(u64::MAX, |to| tape.last_before(to));
    Ok(Box::new(TapeSource {
        name: of.name(),
        expected: cursor.expected(),
        last,
        tape,
        cursor,
        rest: Bytes::new(),
        named: Vec::new(),
        mappings: VecDeque::new(),
        record: Vec::with_capacity(RECORD_MAX),
        ts_out: None,
        records: 0,
        read: 0,
        segment: None,
        tally: Tally::default(),
    }))
}

struct TapeSource {
    name: String,
    tape: Tape,
    cursor: Cursor,
    /// The number after the last record of the block.
    expected: u64,
    /// What comes in blocks behind this number is not wanted.
    last: u64,
    /// What is left of the block: published records.
    rest: Bytes,
    /// The instruments as they were named last.
    named: Vec<Instrument>,
    /// Those that are to be named before the block.
    mappings: VecDeque<Instrument>,
    /// The record it stands at, bare.
    record: Vec<u8>,
    ts_out: Option<UnixNanos>,
    records: u64,
    read: u64,
    /// The segment that the block is of.
    segment: Option<u64>,
    tally: Tally,
}

impl TapeSource {
    /// Takes the next block; false at the end of what is recorded.
    fn next_block(&mut self) -> Result<bool, TapeError> {
        let Some(block) = self.cursor.next_block()? else { return Ok(false) };
        let (expected, first) = (self.expected, block.first_seq());
        if first > self.last {
            return Ok(false);
        }
        if first > expected {
            self.tally.find("records that were not recorded", first - expected, || {
                let time = time_text(block.first_ts_out());
                format!("{expected} to {}, before {time}", first - 1)
            });
        }
        if self.segment.replace(self.cursor.segment()) != Some(self.cursor.segment()) {
            let named = self.tape.instruments_at(first)?;
            let new = |instrument: &&Instrument| !self.named.contains(instrument);
            self.mappings = match self.named.is_empty() {
                true => named.iter().cloned().collect(),
                false => named.iter().filter(new).cloned().collect(),
            };
            self.named = named;
        }
        self.expected = block.last_seq() + 1;
        self.read += block.bytes().len() as u64;
        self.rest = block.bytes().clone();
        Ok(true)
    }

    fn load(&mut self) -> Result<bool, TapeError> {
        self.record.clear();
        self.ts_out = None;
        while self.rest.is_empty() && self.mappings.is_empty() {
            if !self.next_block()? {
                return Ok(false);
            }
        }
        if let Some(Instrument { id, publisher, symbol, .. }) = self.mappings.pop_front() {
            let time = record::index_ts(&self.rest);
            self.record.extend_from_slice(bytes_of(&mapping(publisher, id, &symbol, time)));
            // Of the record that it comes before.
            self.ts_out = Some(record::ts_out(&self.rest[..record::length(&self.rest)]));
        } else {
            let published = self.rest.split_to(record::length(&self.rest));
            self.ts_out = Some(record::ts_out(&published));
            self.record.extend_from_slice(&published[..published.len() - 8]);
            self.record[0] -= 2;
        }
        self.records += 1;
        Ok(true)
    }
}

impl Source for TapeSource {
    fn advance(&mut self) -> Result<bool, FileError> {
        let loaded = self.load();
        if loaded.is_err() {
            // It stands at the end, and no record is before that one.
            self.last = 0;
            self.rest.clear();
            self.mappings.clear();
        }
        loaded.map_err(|error| FileError {
            file: self.name.clone(),
            place: Place::File,
            fault: Fault::Format(error.to_string()),
        })
    }

    fn record(&self) -> &[u8] {
        &self.record
    }

    fn set_instrument_id(&mut self, id: u32) {
        if let Some(bytes) = self.record.get_mut(4..8) {
            bytes.copy_from_slice(&id.to_le_bytes());
        }
    }

    fn ts_out(&self) -> Option<UnixNanos> {
        self.ts_out
    }

    fn span(&self) -> Option<(UnixNanos, UnixNanos)> {
        self.tape.index_times()
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn extent(&self) -> Extent {
        let size = self.tape.bytes();
        // Blocks may be compressed: what was read is not known to the byte.
        Extent { size, read: self.read.min(size) }
    }

    fn tally(&self) -> Option<&Tally> {
        Some(&self.tally)
    }
}
