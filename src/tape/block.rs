//! A block: records with consecutive numbers as they were in the ring, shared and never changed.

use bytes::Bytes;

use super::layout::{Facts, Head};
use crate::clock::UnixNanos;
use crate::limits::{RECORD_MAX, RECORD_MIN};
use crate::wire::file::bare_length;
use crate::wire::record::{each, index_ts, length, rtype_of, ts_out};

/// Published records with consecutive numbers. A clone shares them.
///
/// Invariant: `records` is `count >= 1` whole records end to end, each as long as DBN v3 says that
/// its type is, with `ts_out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    first_seq: u64,
    count: u32,
    prev_seq: u64,
    records: Bytes,
}

impl Block {
    /// The block of a frame with this payload, decompressed.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn new(head: &Head, records: Bytes) -> Result<Self, String> {
        let facts = facts(&records)?;
        let stated = Facts {
            count: head.count.get(),
            first_ts_out: head.first_ts_out.get(),
            last_ts_out: head.last_ts_out.get(),
            min_time: head.min_time.get(),
            max_time: head.max_time.get(),
            ..Facts::default()
        };
        if facts != stated {
            return Err("a block's head does not say what its records say".to_owned());
        }
        let (first_seq, prev_seq) = (head.first_seq.get(), head.prev_seq.get());
        Ok(Self { first_seq, count: facts.count, prev_seq, records })
    }

    /// Number of its first record. Where it is beyond the number that was expected, those between
    /// are not on the tape.
    pub fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Number of its last record.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count) - 1
    }

    /// The last record that was on the tape when this block was written.
    pub fn prev_seq(&self) -> u64 {
        self.prev_seq
    }

    /// Records in it, at least one.
    #[allow(clippy::len_without_is_empty, reason = "no block is empty")]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// `ts_out` of its first record.
    pub fn first_ts_out(&self) -> UnixNanos {
        self.records().next().map_or(0, ts_out)
    }

    /// `ts_out` of its last record.
    pub fn last_ts_out(&self) -> UnixNanos {
        // The last record ends where the block does, with its `ts_out`.
        ts_out(&self.records)
    }

    /// Its records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        each(&self.records)
    }

    /// The bytes of its records, end to end.
    pub fn bytes(&self) -> &Bytes {
        &self.records
    }

    /// What of it comes after number `seq`, sharing its bytes; none where nothing does.
    pub(super) fn after(self, seq: u64) -> Option<Self> {
        let skip = (seq + 1).saturating_sub(self.first_seq);
        self.without_first(skip.min(u64::from(u32::MAX)) as u32)
    }

    /// What of it was published at this time or later; none where nothing was.
    pub(super) fn since(self, time: UnixNanos) -> Option<Self> {
        let earlier = self.records().take_while(|record| ts_out(record) < time).count();
        self.without_first(earlier as u32)
    }

    fn without_first(mut self, skip: u32) -> Option<Self> {
        if skip == 0 {
            return Some(self);
        }
        let left = self.count.checked_sub(skip).filter(|left| *left > 0)?;
        let cut: usize = self.records().take(skip as usize).map(<[u8]>::len).sum();
        self.records = self.records.slice(cut..);
        // What was left out is the tape before it, whatever was before that.
        self.prev_seq = self.first_seq + u64::from(skip) - 1;
        (self.first_seq, self.count) = (self.prev_seq + 1, left);
        Some(self)
    }
}

/// Walks a run of published records: their count, and what times they span.
///
/// # Errors
/// Where they are none, or not whole records of DBN v3: which one, and what is wrong with it.
pub(super) fn facts(records: &[u8]) -> Result<Facts, String> {
    let mut facts = Facts { min_time: u64::MAX, ..Facts::default() };
    let mut rest = records;
    while !rest.is_empty() {
        let (record, after) = rest
            .split_at_checked(length(rest))
            .filter(|(record, _)| is_published(record))
            .ok_or_else(|| format!("record {} of a block is none of DBN v3", facts.count + 1))?;
        let time = index_ts(record);
        facts.min_time = facts.min_time.min(time);
        facts.max_time = facts.max_time.max(time);
        facts.last_ts_out = ts_out(record);
        if facts.count == 0 {
            facts.first_ts_out = facts.last_ts_out;
        }
        facts.count += 1;
        rest = after;
    }
    if facts.count == 0 { Err("a block without records".to_owned()) } else { Ok(facts) }
}

/// Is it as long as a record of its type is, once published?
#[inline]
fn is_published(record: &[u8]) -> bool {
    (RECORD_MIN..=RECORD_MAX).contains(&record.len())
        && bare_length(3, rtype_of(record)) == Some(record.len() - 8)
}
