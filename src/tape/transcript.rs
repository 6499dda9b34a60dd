//! A tape of records that come from elsewhere, so that they can be read as any tape is: from any
//! time, by block, from several places at once.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::Files;
use super::error::TapeError;
use super::folder::Lock;
use super::write::{Opening, SegmentWriter};
use crate::clock::{UnixNanos, unix_now};
use crate::limits::{RECORD_MAX, TAPE_BLOCK};
use crate::wire::instrument::Instrument;
use crate::wire::record::publish_into;

/// A tape in the making: of one segment, compressed, numbered from 1.
pub struct Transcript {
    folder: PathBuf,
    writer: SegmentWriter,
    /// Records of the next block, published.
    block: Vec<u8>,
    /// Number of the first of them.
    first: u64,
    records: u64,
    _lock: Lock,
}

impl Transcript {
    /// Begins one in a folder that is made where it is not there.
    ///
    /// # Errors
    /// [`TapeError`]: somebody else writes to it, or the disk's reasons.
    pub fn create(folder: &Path, epoch: u64) -> Result<Self, TapeError> {
        let lock = Lock::take(folder)?;
        let (first_seq, prev_seq, created, compress) = (1, 0, unix_now(), true);
        let opening = Opening { epoch, first_seq, prev_seq, created, compress };
        let writer = SegmentWriter::create(&Files, folder, &opening);
        let writer = writer.map_err(TapeError::io(folder))?;
        let block = Vec::with_capacity(TAPE_BLOCK);
        let folder = folder.to_owned();
        Ok(Self { folder, writer, block, first: 1, records: 0, _lock: lock })
    }

    /// Names instruments, before their first records.
    ///
    /// # Errors
    /// The disk's reasons.
    pub fn introduce(&mut self, instruments: &[Instrument]) -> Result<(), TapeError> {
        if instruments.is_empty() {
            return Ok(());
        }
        self.flush()?;
        self.writer.instruments(instruments).map_err(TapeError::io(&self.folder))
    }

    /// Appends a record, bare, of DBN v3.
    ///
    /// # Errors
    /// The disk's reasons.
    #[inline]
    pub fn push(&mut self, record: &[u8], ts_out: UnixNanos) -> Result<(), TapeError> {
        if self.block.len() + RECORD_MAX > TAPE_BLOCK {
            self.flush()?;
        }
        publish_into(&mut self.block, record, ts_out);
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TapeError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let written = self.writer.block(self.first, &self.block);
        written.map_err(TapeError::io(&self.folder))?;
        self.block.clear();
        self.first = self.records + 1;
        Ok(())
    }

    /// Ends it. It is on the disk then.
    ///
    /// # Errors
    /// The disk's reasons.
    pub fn finish(mut self) -> Result<(), TapeError> {
        self.flush()?;
        let end = |writer: &mut SegmentWriter, published| -> io::Result<()> {
            writer.seal(Some(published))?;
            writer.output().sync()
        };
        end(&mut self.writer, self.records).map_err(TapeError::io(&self.folder))
    }
}

/// Is nobody writing a tape to this folder any more? Then it may be removed.
pub fn is_abandoned(folder: &Path) -> bool {
    Lock::take(folder).is_ok()
}
