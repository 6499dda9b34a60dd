//! A reader's private copy of a run of records, allocated once and filled again and again.

use zerocopy::IntoBytes;

use super::words::{Words, length};
use crate::limits::{RECORD_MAX, RECORD_MIN};

/// Published records with consecutive numbers, one behind the other.
pub struct Segment {
    words: Box<[u64]>,
    /// Word at which each record starts.
    starts: Vec<u32>,
    /// Word behind the last record.
    end: usize,
    /// Number of the first record.
    first: u64,
}

impl Segment {
    /// Room for `bytes` of records.
    ///
    /// # Panics
    /// Where that is less than the longest record takes, or more than `u32` counts.
    pub fn new(bytes: usize) -> Self {
        assert!((RECORD_MAX..=u32::MAX as usize).contains(&bytes), "a segment of {bytes} bytes");
        let starts = Vec::with_capacity(bytes / RECORD_MIN);
        Self { words: vec![0; bytes / 8].into_boxed_slice(), starts, end: 0, first: 1 }
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

    /// All its records, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        let start = self.starts.first().map_or(self.end, |start| *start as usize);
        self.words[start..self.end].as_bytes()
    }

    /// Empties it.
    #[inline]
    pub fn clear(&mut self) {
        self.starts.clear();
        self.end = 0;
    }

    /// Bytes that it has room for.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.words.len() * 8
    }

    /// Copies `bytes` of a ring from `position` on. They are no records yet: that is for
    /// [`Segment::take`], once the copy has been found whole.
    #[inline]
    pub(super) fn copy(&mut self, ring: &Words, position: u64, bytes: usize) {
        ring.copy(position, &mut self.words[..bytes / 8]);
    }

    /// Takes the bytes `from..to`, which have been copied, as whole records that begin with number
    /// `first`; a last one that is cut off is left out. Returns the bytes taken.
    ///
    /// # Panics
    /// Where a record has no length.
    #[inline]
    pub(super) fn take(&mut self, from: usize, to: usize, first: u64) -> usize {
        let Self { words, starts, end, .. } = self;
        let (mut next, to) = (from / 8, to / 8);
        while next < to {
            let each = length(words[next]) / 8;
            assert!(each > 0, "torn or out of order: a record without a length (invariant 3)");
            if next + each > to {
                break;
            }
            // The processor guesses that one is as long as the last, where a chain of loads, each
            // at an address from the last, would wait.
            let mut alike = true;
            while alike && next + each <= to {
                starts.push(next as u32);
                next += each;
                alike = next < to && length(words[next]) / 8 == each;
            }
        }
        (*end, self.first) = (next, first);
        next * 8 - from
    }

    #[inline]
    fn record_at(&self, start: u32) -> &[u8] {
        let start = start as usize;
        let bytes = length(self.words[start]);
        &self.words.as_bytes()[start * 8..start * 8 + bytes]
    }
}
