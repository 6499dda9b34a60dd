//! What one poll of the sources brings: bare records, end to end, and instruments that are new.

use crate::clock::UnixNanos;
use crate::limits::{RECORD_MAX, RECORD_MIN};
use crate::wire::instrument::Instrument;
use crate::wire::record::{self, bytes_of, mapping};

/// Bare records on their way to the ring, bounded in bytes there.
///
/// Invariant: `records` is a sequence of whole records whose headers tell their lengths, each
/// `RECORD_MIN - 8 ..= RECORD_MAX - 8` bytes and a multiple of 8.
pub struct Batch {
    records: Vec<u8>,
    introduced: Vec<Instrument>,
    limit: usize,
    count: usize,
}

impl Batch {
    /// An empty batch for at most `limit` bytes of the ring, at least what one record can take.
    pub fn new(limit: usize) -> Self {
        let records = Vec::with_capacity(limit);
        Self { records, introduced: Vec::new(), limit, count: 0 }
    }

    /// Has it room for a record of `bare` bytes?
    #[inline]
    pub fn has_room(&self, bare: usize) -> bool {
        self.bytes() + bare + 8 <= self.limit
    }

    /// Appends a bare record; false (and nothing appended) where it has no room.
    ///
    /// # Panics
    /// Where the record's length is none that DBN knows: the caller has checked what came from
    /// outside.
    #[inline]
    pub fn push(&mut self, bare: &[u8]) -> bool {
        let published = bare.len() + 8;
        assert!((RECORD_MIN..=RECORD_MAX).contains(&published) && bare.len().is_multiple_of(8));
        assert!(record::length(bare) == bare.len(), "a record's header counts its bytes");
        if !self.has_room(bare.len()) {
            return false;
        }
        self.records.extend_from_slice(bare);
        self.count += 1;
        true
    }

    /// Appends a new instrument's mapping, which has to come before its first record; false where
    /// the batch has no room.
    pub fn introduce(&mut self, instrument: Instrument, ts: UnixNanos) -> bool {
        let map = mapping(instrument.publisher, instrument.id, &instrument.symbol, ts);
        let pushed = self.push(bytes_of(&map));
        if pushed {
            self.introduced.push(instrument);
        }
        pushed
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Is it empty?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the ring that its records will take, each with `ts_out` appended.
    pub fn bytes(&self) -> usize {
        self.records.len() + 8 * self.count
    }

    /// Its records, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        record::each(&self.records)
    }

    /// Its record, where it is alone.
    pub fn only(&self) -> Option<&[u8]> {
        (self.count == 1).then_some(&self.records)
    }

    /// The records appended after byte `mark` (see [`Batch::mark`]) as one slice.
    pub fn after(&self, mark: usize) -> &[u8] {
        &self.records[mark..]
    }

    /// A position for [`Batch::after`]: bytes so far.
    pub fn mark(&self) -> usize {
        self.records.len()
    }

    /// Takes the instruments that were introduced.
    pub fn take_introduced(&mut self) -> Vec<Instrument> {
        std::mem::take(&mut self.introduced)
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.records.clear();
        self.introduced.clear();
        self.count = 0;
    }

    /// Empties it, and bounds it anew to `limit` bytes.
    pub fn reset(&mut self, limit: usize) {
        self.clear();
        self.limit = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{TradeMsg, header, rtype};

    #[test]
    fn it_holds_what_fits_and_refuses_the_rest() {
        let mut batch = Batch::new(9 * 56);
        let trade =
            TradeMsg { hd: header::<TradeMsg>(rtype::MBP_0, 1, 1, 1), ..TradeMsg::default() };
        for _ in 0..9 {
            assert!(batch.push(bytes_of(&trade)));
        }
        assert!(!batch.push(bytes_of(&trade)));
        assert_eq!((batch.len(), batch.bytes(), batch.iter().count()), (9, 9 * 56, 9));
        batch.reset(3 * 56);
        assert!(batch.is_empty() && batch.iter().next().is_none());
    }
}
