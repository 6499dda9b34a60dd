//! A reader: copies what is new, at its own pace, and says what it lost.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

use super::Segment;
use super::place::{Place, Shared};

/// Records that were overwritten before they were read, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Number of the first.
    pub from_seq: u64,
    /// Number of the last.
    pub to_seq: u64,
}

/// What a read came upon besides the records in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Read {
    /// Lost between the last read's records and this one's.
    pub lost: Option<Lost>,
}

/// Reads the ring in order. A clone goes its own way from the same place.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    /// The record that is read next.
    place: Place,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, place: Place) -> Self {
        Self { shared, place }
    }

    /// Clears `segment` and copies into it what is new, whole records, as far as it has room. The
    /// segment may stay empty although records were lost: there may be more to read.
    #[inline]
    pub fn read(&mut self, segment: &mut Segment) -> Read {
        self.read_until(u64::MAX, segment)
    }

    /// The same, but not beyond position `end`, which another reader has stopped at.
    #[inline]
    pub fn read_until(&mut self, end: u64, segment: &mut Segment) -> Read {
        segment.clear();
        let expected = self.place.seq;
        let commit = self.shared.commit.load(Acquire);
        if commit - self.place.position > self.shared.words.capacity() {
            self.place = self.shared.oldest();
        }
        let at = self.place.position;
        let copied = commit.min(end).saturating_sub(at).min(segment.room() as u64) as usize;
        let mut taken = 0;
        if copied > 0 {
            segment.copy(&self.shared.words, at, copied);
            let torn = match self.shared.whole_from() > at {
                true => self.skip(at, copied),
                false => 0,
            };
            taken = segment.take(torn, copied, self.place.seq);
        }
        let to_seq = self.place.seq - 1;
        self.place.position += taken as u64;
        self.place.seq += segment.len() as u64;
        Read { lost: (to_seq >= expected).then_some(Lost { from_seq: expected, to_seq }) }
    }

    /// Goes on at the oldest record. Returns how much of what was copied from position `at` on lies
    /// before it, and may be torn.
    #[cold]
    fn skip(&mut self, at: u64, copied: usize) -> usize {
        self.place = self.shared.oldest();
        (self.place.position - at).min(copied as u64) as usize
    }

    /// Has anything been committed that this reader has not read?
    #[inline]
    pub fn has_news(&self) -> bool {
        self.lag_bytes() > 0
    }

    /// Bytes that the writer is ahead.
    #[inline]
    pub fn lag_bytes(&self) -> u64 {
        self.shared.commit.load(Acquire) - self.place.position
    }

    /// Bytes since the start, up to what has been read.
    #[inline]
    pub fn position(&self) -> u64 {
        self.place.position
    }

    /// Number of the last record that was read or lost; 0 before the first.
    #[inline]
    pub fn seq(&self) -> u64 {
        self.place.seq - 1
    }
}
