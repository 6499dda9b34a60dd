//! A data frame of the dbn encoding: a 24-byte header, then records, read in place.

use crate::limits::{BATCH_HEADER, RECORD_MAX, RECORD_MIN};
use crate::wire::record;

/// The batch is of a snapshot.
pub const SNAPSHOT: u8 = 1;
/// It is of the past, on the way to the live stream.
pub const CATCH_UP: u8 = 2;
/// It is of a replay.
pub const REPLAY: u8 = 4;
/// It holds newest states, and not each record.
pub const CONFLATED: u8 = 8;
/// Records before it were lost.
pub const GAP: u8 = 16;

/// What a data frame says about itself, in either encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// [`SNAPSHOT`] and its neighbours.
    pub flags: u8,
    /// Low half of the epoch.
    pub epoch_low: u32,
    /// The position up to which the stream was examined.
    pub seq: u64,
    /// When it was framed, ns.
    pub ts_send: u64,
}

/// A batch that breaks the protocol.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// Its header is cut.
    #[error("a batch of {0} bytes, shorter than its {BATCH_HEADER}-byte header")]
    Short(usize),
    /// It is of another version.
    #[error("batch version {0}; this tool reads version 1")]
    Version(u8),
    /// A record is cut, or no record's length.
    #[error("record {record} of a batch of {count} says it is {length} bytes; {left} are left")]
    Record {
        /// Which, from 0.
        record: u16,
        /// How many there are to be.
        count: u16,
        /// What it says of its length.
        length: usize,
        /// The bytes from its beginning to the batch's end.
        left: usize,
    },
    /// There is more than the count says.
    #[error("{left} bytes follow the {count} records of a batch")]
    Surplus {
        /// How many there are to be.
        count: u16,
        /// The bytes behind them.
        left: usize,
    },
    /// Its JSON is none, or not of its shape.
    #[error("a JSON data message can't be read: {0}")]
    Json(String),
}

/// The records of one batch, each checked as it is taken.
pub struct Batch<'a> {
    /// What it says about itself.
    pub head: Head,
    count: u16,
    taken: u16,
    rest: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads the header of a binary frame's payload.
    ///
    /// # Errors
    /// [`Malformed`] where it is short or of another version.
    pub fn open(payload: &'a [u8]) -> Result<Self, Malformed> {
        let Some((head, rest)) = payload.split_at_checked(BATCH_HEADER) else {
            return Err(Malformed::Short(payload.len()));
        };
        if head[0] != 1 {
            return Err(Malformed::Version(head[0]));
        }
        let count = u16::from_le_bytes([head[2], head[3]]);
        let head = Head {
            flags: head[1],
            epoch_low: record::u32_at(head, 4),
            seq: record::u64_at(head, 8),
            ts_send: record::u64_at(head, 16),
        };
        Ok(Self { head, count, taken: 0, rest })
    }

    #[inline]
    fn take(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        if self.taken == self.count {
            let (count, left) = (self.count, self.rest.len());
            return if left == 0 { Ok(None) } else { Err(Malformed::Surplus { count, left }) };
        }
        let length = record::length(self.rest);
        let whole = (RECORD_MIN..=RECORD_MAX).contains(&length) && length <= self.rest.len();
        if !whole {
            let (record, count, left) = (self.taken, self.count, self.rest.len());
            return Err(Malformed::Record { record, count, length, left });
        }
        let (record, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.taken += 1;
        Ok(Some(record))
    }
}

/// Published records (with `ts_out`), at least `RECORD_MIN` bytes each; ends at the first error.
impl<'a> Iterator for Batch<'a> {
    type Item = Result<&'a [u8], Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let taken = self.take().transpose();
        if matches!(taken, Some(Err(_))) {
            (self.rest, self.taken) = (&[], self.count);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{TradeMsg, bytes_of, header, publish_into, rtype};

    fn batch(count: u16, records: u16) -> Vec<u8> {
        let mut out = vec![1, CONFLATED];
        out.extend(count.to_le_bytes());
        out.extend(7u32.to_le_bytes());
        out.extend(8u64.to_le_bytes());
        out.extend(9u64.to_le_bytes());
        for id in 0..records {
            let hd = header::<TradeMsg>(rtype::MBP_0, 1, u32::from(id), 5);
            publish_into(&mut out, bytes_of(&TradeMsg { hd, ..TradeMsg::default() }), 6);
        }
        out
    }

    #[test]
    fn a_batch_gives_its_header_and_its_records() {
        let bytes = batch(2, 2);
        let batch = Batch::open(&bytes).unwrap();
        let head = Head { flags: CONFLATED, epoch_low: 7, seq: 8, ts_send: 9 };
        assert_eq!(batch.head, head);
        let records: Result<Vec<_>, _> = batch.collect();
        let ids: Vec<_> = records.unwrap().into_iter().map(record::instrument_id).collect();
        assert_eq!(ids, [0, 1]);
    }

    #[test]
    fn a_batch_that_is_cut_anywhere_is_malformed() {
        let bytes = batch(2, 2);
        for cut in 0..bytes.len() {
            let read = Batch::open(&bytes[..cut]).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            assert!(read.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_count_is_what_follows() {
        let (too_many, too_few) = (batch(1, 2), batch(3, 2));
        let more: Result<Vec<_>, _> = Batch::open(&too_many).unwrap().collect();
        assert_eq!(more, Err(Malformed::Surplus { count: 1, left: 56 }));
        let fewer = Batch::open(&too_few).unwrap().last();
        assert_eq!(fewer, Some(Err(Malformed::Record { record: 2, count: 3, length: 0, left: 0 })));
        let mut other = batch(0, 0);
        other[0] = 2;
        assert_eq!(Batch::open(&other).err(), Some(Malformed::Version(2)));
    }
}
