//! One segment as it is written: head, symbols, blocks, and the seal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zerocopy::IntoBytes;
use zstd::bulk::Compressor;

use super::block::facts;
use super::disk::{Disk, Output};
use super::folder::Name;
use super::index::Index;
use super::layout::{FRAME_HEAD, Facts, Head, Kind, SEGMENT_HEAD, SegmentHead, Trailer};
use super::symbols;
use crate::clock::UnixNanos;
use crate::limits::{TAPE_BLOCK, TAPE_INDEX};
use crate::wire::instrument::Instrument;

/// The level at which a block is compressed: the fastest that is not a trick.
const LEVEL: i32 = 1;

/// What a segment begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) epoch: u64,
    /// The number from which on it may hold records.
    pub(super) first_seq: u64,
    /// The last record of the tape before it.
    pub(super) prev_seq: u64,
    /// Now.
    pub(super) created: UnixNanos,
    /// Are its blocks compressed?
    pub(super) compress: bool,
}

/// Appends to one segment. After an error it is not to be used again.
pub(super) struct SegmentWriter {
    output: Arc<dyn Output>,
    pub(super) path: PathBuf,
    epoch: u64,
    /// Where the next frame goes.
    pub(super) at: u64,
    /// The last record of the tape.
    pub(super) last_seq: u64,
    index: Index,
    compressor: Option<Compressor<'static>>,
    /// A frame on its way, kept for its memory.
    frame: Vec<u8>,
}

impl SegmentWriter {
    /// Makes a segment.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn create(disk: &dyn Disk, folder: &Path, opening: &Opening) -> io::Result<Self> {
        let Opening { epoch, first_seq, prev_seq, created, compress } = *opening;
        let (path, output) = fresh(disk, folder, first_seq)?;
        let head = SegmentHead::new(epoch, first_seq, prev_seq, created);
        if let Err(error) = output.append(head.as_bytes()) {
            // A file without a head says nothing; where it can't be removed, readers pass it over.
            let _ = disk.remove(&path);
            return Err(error);
        }
        let compressor = if compress { Some(Compressor::new(LEVEL)?) } else { None };
        Ok(Self {
            output,
            path,
            epoch,
            at: SEGMENT_HEAD as u64,
            last_seq: prev_seq,
            index: Index::default(),
            compressor,
            frame: Vec::new(),
        })
    }

    /// The file, for whoever syncs it.
    pub(super) fn output(&self) -> &Arc<dyn Output> {
        &self.output
    }

    /// Appends instruments that became known.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn instruments<'a>(
        &mut self,
        instruments: impl IntoIterator<Item = &'a Instrument>,
    ) -> io::Result<()> {
        let (mut entries, mut count) = (Vec::new(), 0);
        for instrument in instruments {
            if entries.len() + symbols::ENTRY_MAX > TAPE_BLOCK {
                self.table(Kind::Instruments, count, &entries)?;
                entries.clear();
                count = 0;
            }
            symbols::append(instrument, &mut entries);
            count += 1;
        }
        self.table(Kind::Instruments, count, &entries)
    }

    /// Appends the definitions in force: published records.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn definitions<'a>(
        &mut self,
        definitions: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let (mut records, mut count) = (Vec::new(), 0);
        for record in definitions {
            if records.len() + record.len() > TAPE_BLOCK {
                self.table(Kind::Definitions, count, &records)?;
                records.clear();
                count = 0;
            }
            records.extend_from_slice(record);
            count += 1;
        }
        self.table(Kind::Definitions, count, &records)
    }

    /// Appends a table of instruments or definitions; nothing where it is empty.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn table(&mut self, kind: Kind, count: u32, entries: &[u8]) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let at = self.append(kind, &self.between(count), entries)?.0;
        self.index.symbols.push(at);
        Ok(())
    }

    /// Appends a block: published records, at most [`TAPE_BLOCK`] bytes, the first of them number
    /// `first_seq`, which is beyond all before.
    ///
    /// # Errors
    /// The disk's; records that are none.
    pub(super) fn block(&mut self, first_seq: u64, records: &[u8]) -> io::Result<()> {
        let facts = facts(records).map_err(io::Error::other)?;
        let facts = Facts { epoch: self.epoch, prev_seq: self.last_seq, first_seq, ..facts };
        let (at, head) = self.append(Kind::Records, &facts, records)?;
        self.last_seq = head.last_seq();
        self.index.add(at, &head, records);
        Ok(())
    }

    /// Ends the segment; nothing is appended after that. An index beyond all bounds is left out:
    /// readers make it. `published` is the newest number there is where the run ends with it.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn seal(&mut self, published: Option<u64>) -> io::Result<()> {
        self.index.published = published;
        let index = self.index.to_bytes();
        if index.len() <= TAPE_INDEX {
            let (at, _) = self.append(Kind::Seal, &self.between(0), &index)?;
            self.output.append(Trailer::new(at).as_bytes())?;
            self.at += size_of::<Trailer>() as u64;
        }
        Ok(())
    }

    /// `ts_out` of its last record; 0 where it has none.
    pub(super) fn last_ts_out(&self) -> UnixNanos {
        self.index.runs.last().map_or(0, |run| run.last_ts_out.get())
    }

    /// What is said of a frame without records.
    fn between(&self, count: u32) -> Facts {
        let (epoch, prev_seq) = (self.epoch, self.last_seq);
        Facts { epoch, prev_seq, first_seq: prev_seq + 1, count, ..Facts::default() }
    }

    /// Appends a frame in one write; returns where it begins.
    fn append(&mut self, kind: Kind, facts: &Facts, payload: &[u8]) -> io::Result<(u64, Head)> {
        self.frame.clear();
        self.frame.resize(FRAME_HEAD, 0);
        let compressed = match &mut self.compressor {
            Some(compressor) if kind != Kind::Seal => Some(compressor.compress(payload)?),
            _ => None,
        };
        let compressed = compressed.filter(|data| data.len() < payload.len());
        let stored = compressed.as_deref().unwrap_or(payload);
        self.frame.extend_from_slice(stored);
        let head = Head::new(kind, facts, payload.len(), compressed.is_some(), stored);
        self.frame[..FRAME_HEAD].copy_from_slice(head.as_bytes());
        self.output.append(&self.frame)?;
        let at = self.at;
        self.at += head.frame_len();
        Ok((at, head))
    }
}

/// A file under the first free name for a segment from `first_seq` on.
fn fresh(disk: &dyn Disk, folder: &Path, first_seq: u64) -> io::Result<(PathBuf, Arc<dyn Output>)> {
    let mut turn = 0;
    loop {
        let path = Name::new(folder, first_seq, turn).path;
        match disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => turn += 1,
            created => return Ok((path, created?)),
        }
    }
}
