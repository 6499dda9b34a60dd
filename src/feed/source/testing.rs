//! What tests of importers share: a recording made by hand, what it brings, and damage to it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::{Format, How, Recording, Tally};
use crate::wire::record::{self, rtype, u32_at, u64_at};

/// A file of these bytes.
pub(crate) fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A recording of one file, with everything known that a format may ask for.
pub(crate) fn recording(format: Format, path: &Path) -> Recording {
    let mut how = How { symbol: Some("AAPL".to_owned()), ..How::default() };
    how.set_date("2019-12-30").unwrap();
    Recording { format, paths: vec![path.to_owned()], how: Arc::new(how) }
}

/// What a recording brought.
pub(crate) struct Brought {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) tally: Tally,
    /// Why it could not be read, or not further.
    pub(crate) error: Option<String>,
}

/// Reads all of a recording.
pub(crate) fn bring(recording: &Recording) -> Brought {
    let mut brought = Brought { records: Vec::new(), tally: Tally::default(), error: None };
    let mut source = match recording.open() {
        Ok(source) => source,
        Err(error) => {
            brought.error = Some(error.to_string());
            return brought;
        }
    };
    loop {
        match source.advance() {
            Ok(true) => brought.records.push(source.record().to_vec()),
            Ok(false) => break,
            Err(error) => {
                brought.error = Some(error.to_string());
                assert!(!source.advance().unwrap(), "it goes on after an error");
                break;
            }
        }
    }
    brought.tally = source.tally().unwrap().clone();
    let lengths = brought.records.iter().all(|r| record::length(r) == r.len());
    assert!(lengths && source.records() == brought.records.len() as u64);
    brought
}

/// Reads all of a file of a format.
pub(crate) fn bring_bytes(format: Format, bytes: &[u8]) -> Brought {
    bring(&recording(format, file(bytes).path()))
}

impl Brought {
    /// The records of a type.
    pub(crate) fn of(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(Vec::as_slice).filter(move |r| record::rtype_of(r) == kind)
    }

    /// Order changes and trades: action, side, order, price in 1e-9, size. The last record of an
    /// event has a `.` after its action.
    pub(crate) fn events(&self) -> Vec<(String, u64, i64, u32)> {
        let each = self.records.iter().filter_map(|r| {
            let (order, price, size, at) = match r[1] {
                rtype::MBO => (u64_at(r, 16), u64_at(r, 24), u32_at(r, 32), 36),
                rtype::MBP_0 | rtype::MBP_1 => (0, u64_at(r, 16), u32_at(r, 24), 28),
                _ => return None,
            };
            let (action, side, flags) =
                if at == 36 { (r[38], r[39], r[36]) } else { (r[28], r[29], r[30]) };
            let end = if flags & 0x80 == 0 { "" } else { "." };
            let event = format!("{}{}{end}", action as char, side as char);
            Some((event, order, price as i64, size))
        });
        each.collect()
    }
}

/// Damage to a file: bytes flipped, cut out, put in, and its end cut off.
pub(crate) fn damage(whole: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let place = || 0..whole.len().max(1);
    let flips = proptest::collection::vec((place(), 1_u8..), 0..6);
    let cuts = proptest::collection::vec((place(), 1_usize..9), 0..2);
    let more = proptest::collection::vec((place(), proptest::collection::vec(0_u8.., 1..9)), 0..2);
    (flips, cuts, more, place(), any::<bool>()).prop_map(move |(flips, cuts, more, end, cut)| {
        let mut bytes = whole.clone();
        flips.into_iter().for_each(|(at, flip)| bytes[at] ^= flip);
        for (at, put) in more {
            bytes.splice(at..at, put);
        }
        for (at, length) in cuts {
            let at = at.min(bytes.len());
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        bytes.truncate(if cut { end } else { usize::MAX });
        bytes
    })
}
