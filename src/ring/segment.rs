//! A reader's private copy of a run of records, allocated once and filled again and again.

use zerocopy::IntoBytes;

use super::slot::{Slots, Words, length, slots_of};
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

    /// Slots that it has room for.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.slots.len()
    }

    /// Copies `count` slots of a ring from `position` on and takes them as whole records that begin
    /// with number `first`: one pass for both. What it took means something only once the copy has
    /// been found whole; [`Found::slots`] is for then.
    #[inline]
    pub(super) fn copy(&mut self, ring: &Slots, position: u64, count: usize, first: u64) -> Found {
        let Self { slots, starts, .. } = self;
        self.first = first;
        let mut found = Found { next: 0, whole: 0, end: count };
        ring.copy(position, &mut slots[..count], |at, word| found.look(at, word, starts));
        found
    }

    /// Takes the slots `from..to`, which have been copied, as whole records that begin with number
    /// `first`, and nothing before them. Returns the slots taken.
    #[inline]
    pub(super) fn index(&mut self, from: usize, to: usize, first: u64) -> usize {
        let Self { slots, starts, .. } = self;
        self.first = first;
        starts.clear();
        let mut found = Found { next: from, whole: from, end: to };
        (from..to).for_each(|at| found.look(at, slots[at][0], starts));
        found.slots() - from
    }

    #[inline]
    fn record_at(&self, start: u32) -> &[u8] {
        let start = start as usize;
        let at = start * SLOT_BYTES;
        &self.slots.as_bytes()[at..at + length(self.slots[start][0])]
    }
}

/// Where records start in a run of slots; a last one that is cut off is left out.
///
/// Every slot is looked at and not only each record's first: which of them that is the processor
/// guesses, where a chain of loads, each at an address from the last, would wait.
pub(super) struct Found {
    /// Where the next record starts.
    next: usize,
    /// Where the last whole one ends.
    whole: usize,
    /// Where the run ends.
    end: usize,
}

impl Found {
    /// Looks at a slot and its first word.
    #[inline]
    fn look(&mut self, at: usize, word: u64, starts: &mut Vec<u32>) {
        if at == self.next {
            self.next += slots_of(length(word));
            if self.next > at && self.next <= self.end {
                starts.push(at as u32);
                self.whole = self.next;
            }
        }
    }

    /// Where the last whole record ends.
    ///
    /// # Panics
    /// Where a record has no length.
    #[inline]
    pub(super) fn slots(&self) -> usize {
        assert!(
            self.next >= self.end,
            "torn or out of order: a record without a length (invariant 3)"
        );
        self.whole
    }
}
