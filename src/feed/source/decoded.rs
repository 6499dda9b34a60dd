//! A recording of another format: its decoder, and the records that the last message became.

use dbn::HasRType;

use super::{Source, Tally};
use crate::wire::file::{Extent, FileError};
use crate::wire::json::time_text;
use crate::wire::record::{self, UNDEF_TIMESTAMP, bytes_of, rtype};

/// Turns the messages of a format into records.
pub(crate) trait Decode: Send {
    /// Reads on, by whole messages, until records have come; false at the end. What the messages
    /// became is counted in `tally`.
    ///
    /// # Errors
    /// [`FileError`] where it can't be read on.
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError>;

    /// How far it has read its files.
    fn extent(&self) -> Extent;
}

/// Bare records on their way out of a decoder, oldest first.
#[derive(Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    at: usize,
    /// Where the one that was appended last begins.
    last: usize,
}

/// Where `mbo` has its flags.
const MBO_FLAGS: usize = std::mem::offset_of!(dbn::MboMsg, flags);
/// The flag of the last record of an event.
const LAST: u8 = dbn::flags::LAST;

impl Records {
    /// Appends a record.
    #[inline]
    pub(crate) fn push<T: HasRType + AsRef<[u8]>>(&mut self, record: &T) {
        self.last = self.bytes.len();
        self.bytes.extend_from_slice(bytes_of(record));
    }

    /// The `mbo` record that was appended last is the last of its event.
    pub(crate) fn end_event(&mut self) {
        if let Some(record) = self.bytes.get_mut(self.last..)
            && record.get(1) == Some(&rtype::MBO)
        {
            record[MBO_FLAGS] |= LAST;
        }
    }

    /// Is there none?
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The first of them.
    #[inline]
    fn first(&self) -> &[u8] {
        let rest = &self.bytes[self.at..];
        &rest[..record::length(rest)]
    }

    #[inline]
    fn drop_first(&mut self) {
        self.at += self.first().len();
        if self.is_empty() {
            self.bytes.clear();
            (self.at, self.last) = (0, 0);
        }
    }
}

/// A recording that is decoded as it is read.
pub(crate) struct Decoded<D> {
    decoder: D,
    records: Records,
    /// What its messages became.
    tally: Tally,
    count: u64,
    /// The newest time so far.
    newest: u64,
    ended: bool,
    /// Why it ends, once what came before that is out.
    failed: Option<FileError>,
}

impl<D: Decode> Decoded<D> {
    pub(crate) fn new(decoder: D) -> Self {
        let (records, tally) = (Records::default(), Tally::default());
        Self { decoder, records, tally, count: 0, newest: 0, ended: false, failed: None }
    }

    /// Counts times that go back. The order stays that of the file.
    fn watch_time(&mut self) {
        let time = record::index_ts(self.records.first());
        if time == UNDEF_TIMESTAMP {
            return;
        }
        if time < self.newest {
            let (count, newest) = (self.count, self.newest);
            self.tally.find("times that go back", 1, || {
                format!("record {count}: {} after {}", time_text(time), time_text(newest))
            });
        }
        self.newest = self.newest.max(time);
    }
}

impl<D: Decode> Source for Decoded<D> {
    fn advance(&mut self) -> Result<bool, FileError> {
        self.records.drop_first();
        while self.records.is_empty() {
            if self.ended {
                return self.failed.take().map_or(Ok(false), Err);
            }
            match self.decoder.decode(&mut self.records, &mut self.tally) {
                Ok(more) => self.ended = !more,
                Err(error) => (self.ended, self.failed) = (true, Some(error)),
            }
        }
        self.count += 1;
        self.watch_time();
        Ok(true)
    }

    fn record(&self) -> &[u8] {
        self.records.first()
    }

    fn set_instrument_id(&mut self, id: u32) {
        let at = self.records.at;
        if let Some(field) = self.records.bytes.get_mut(at + 4..at + 8) {
            field.copy_from_slice(&id.to_le_bytes());
        }
    }

    fn records(&self) -> u64 {
        self.count
    }

    fn extent(&self) -> Extent {
        self.decoder.extent()
    }

    fn tally(&self) -> Option<&Tally> {
        Some(&self.tally)
    }
}
