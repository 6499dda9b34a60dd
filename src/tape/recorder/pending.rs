//! The block that is being collected, and the places that recording can go back to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::status::Counts;
use crate::limits::{TAPE_BLOCK, TAPE_TURN_BYTES};
use crate::ring::{Reader, Segment};
use crate::wire::record::{instrument_id, publisher_id, rtype, rtype_of};

/// A place on the tape, and the place behind it in the ring.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) reader: Reader,
    /// The last record of the tape.
    pub(super) last_seq: u64,
    pub(super) counts: Counts,
}

/// Records with consecutive numbers that no block holds yet.
pub(super) struct Pending {
    pub(super) records: Vec<u8>,
    /// Number of the first.
    pub(super) first_seq: u64,
    /// Behind the last.
    pub(super) end: Reader,
    since: Instant,
}

impl Pending {
    /// None, behind this place.
    pub(super) fn new(end: Reader) -> Self {
        let records = Vec::with_capacity(TAPE_BLOCK);
        Self { records, first_seq: 0, end, since: Instant::now() }
    }

    /// Adds what was read. It follows what is here; `end` is behind it.
    pub(super) fn add(&mut self, segment: &Segment, end: &Reader, now: Instant) {
        if let (true, Some(first)) = (self.records.is_empty(), segment.first_seq()) {
            (self.first_seq, self.since) = (first, now);
        }
        self.records.extend_from_slice(segment.bytes());
        self.end = end.clone();
    }

    /// Takes them all back.
    pub(super) fn clear(&mut self, end: &Reader) {
        self.records.clear();
        self.end = end.clone();
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Is there no room for what one more read may bring?
    pub(super) fn is_full(&self) -> bool {
        self.records.len() + TAPE_TURN_BYTES > TAPE_BLOCK
    }

    /// How long the first of them has waited.
    pub(super) fn age(&self, now: Instant) -> Duration {
        match self.is_empty() {
            true => Duration::ZERO,
            false => now.saturating_duration_since(self.since),
        }
    }
}

/// The newest definition of each instrument that has one, for the beginning of a segment.
#[derive(Default)]
pub(super) struct Definitions {
    newest: HashMap<(u16, u32), Box<[u8]>>,
}

impl Definitions {
    /// Keeps those that were read.
    pub(super) fn observe(&mut self, segment: &Segment) {
        let all = segment.iter().filter(|record| rtype_of(record) == rtype::INSTRUMENT_DEF);
        self.newest.extend(all.map(|r| ((publisher_id(r), instrument_id(r)), r.into())));
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.newest.values().map(|record| &**record)
    }
}
