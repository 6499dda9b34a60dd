//! A reader's private copy of a run of records, allocated once and filled again and again.

use zerocopy::IntoBytes;

use super::slot::{Words, length, slots_of};
use crate::limits::{RECORD_SLOTS_MAX, SLOT_BYTES, SLOT_WORDS};

/// Published records with consecutive numbers, each in one piece.
pub struct Segment {
    slots: Box<[Words]>,
    /// Slot at which each record starts.
    starts: Vec<u32>,
    /// Number of the first record.
    first: u64,
}

impl Segment {
    /// Room for `slots` slots.
    ///
    /// # Panics
    /// Where that is less than the longest record takes, or more than `u32` counts.
    pub fn new(slots: usize) -> Self {
        assert!(
            (RECORD_SLOTS_MAX..=u32::MAX as usize).contains(&slots),
            "a segment of {slots} slots"
        );
        let starts = Vec::with_capacity(slots);
        Self { slots: vec![[0; SLOT_WORDS]; slots].into_boxed_slice(), starts, first: 1 }
    }

    /// Records in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Is it empty?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Record `index`, whole, as it was published.
    ///
    /// # Panics
    /// Where there is no such record.
    #[inline]
    pub fn record(&self, index: usize) -> &[u8] {
        self.record_at(self.starts[index])
    }

    /// Number of record `index`.
    #[inline]
    pub fn seq(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    /// Number of the first record, where there is one.
    pub fn first_seq(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.first)
    }

    /// Number of the last record, where there is one.
    pub fn last_seq(&self) -> Option<u64> {
        Some(self.first + self.len().checked_sub(1)? as u64)
    }

    /// Its records, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator {
        self.starts.iter().map(|start| self.record_at(*start))
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.starts.clear();
    }

    /// Where slots are copied to.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [Words] {
        &mut self.slots
    }

    /// Takes the slots `from..to` as whole records that begin with number `first`; a last one that
    /// is cut off is left out. Returns the slots taken.
    #[inline]
    pub(super) fn index(&mut self, from: usize, to: usize, first: u64) -> usize {
        self.first = first;
        let mut next = from;
        // Every slot is looked at and not only each record's first: which of them that is the
        // processor guesses, where a chain of loads, each at an address from the last, would wait.
        for at in from..to {
            if at == next {
                let taken = slots_of(length(self.slots[at][0]));
                assert!(taken > 0, "torn or out of order: a record without a length (invariant 3)");
                if at + taken > to {
                    break;
                }
                self.starts.push(at as u32);
                next = at + taken;
            }
        }
        next - from
    }

    #[inline]
    fn record_at(&self, start: u32) -> &[u8] {
        let start = start as usize;
        let at = start * SLOT_BYTES;
        &self.slots.as_bytes()[at..at + length(self.slots[start][0])]
    }
}
