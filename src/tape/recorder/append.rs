//! What the recorder does to the tape: it appends blocks, and ends and begins segments.

use std::io;
use std::time::Instant;

use super::claim::Durability;
use super::outage::Failure;
use super::pending::Mark;
use super::run::Recorder;
use super::shelf::Kept;
use crate::clock::unix_now;
use crate::tape::error::Loss;
use crate::tape::write::{Opening, SegmentWriter};

/// The segment that is being written.
pub(super) struct Active {
    pub(super) writer: SegmentWriter,
    /// The place before it.
    pub(super) opened: Mark,
    since: Instant,
    /// Instruments that it knows.
    known: usize,
}

impl Recorder {
    /// Appends what is pending as a block.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        let known = self.directory.len();
        if known > active.known {
            let fresh = self.directory.since(active.known);
            active.known += fresh.len();
            active.writer.instruments(fresh.iter().map(|one| &**one)).map_err(Failure::Write)?;
        }
        let (first_seq, before) = (self.pending.first_seq, active.writer.at);
        let oldest = self.shelf.is_empty() && active.writer.last_seq == active.opened.last_seq;
        active.writer.block(first_seq, &self.pending.records).map_err(Failure::Write)?;
        let last_seq = active.writer.last_seq;
        self.watermark.add_bytes(active.writer.at - before);
        if oldest {
            self.watermark.set_oldest(first_seq);
        }
        let hole = self.note_hole(first_seq);
        self.written.counts.records += last_seq - first_seq + 1;
        self.written.last_seq = last_seq;
        self.written.reader = self.pending.end.clone();
        self.pending.records.clear();
        self.publish();
        self.wrote_after(hole);
        self.rotate_when_due(now)
    }

    /// Counts what is missing before a block that begins with `first_seq`. What a restart leaves
    /// out was never published.
    fn note_hole(&mut self, first_seq: u64) -> Option<Loss> {
        let from_seq = self.written.last_seq.max(self.origin.seq) + 1;
        let hole = Loss { from_seq, to_seq: first_seq - 1, ..Loss::default() };
        if hole.records() == 0 {
            return None;
        }
        self.written.counts.holes += 1;
        self.written.counts.lost += hole.records();
        Some(hole)
    }

    /// Ends the segment where it is large or old enough, and begins another.
    pub(super) fn rotate_when_due(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(active) = &self.active else { return Ok(()) };
        let long = now.saturating_duration_since(active.since) >= self.options.segment_time;
        let empty = active.writer.last_seq == active.opened.last_seq;
        if empty || !long && active.writer.at < self.options.segment_bytes {
            return Ok(());
        }
        self.close(None)?;
        self.open().map_err(Failure::Write)
    }

    /// Seals the segment.
    pub(super) fn close(&mut self, published: Option<u64>) -> Result<(), Failure> {
        if let Some(active) = &mut self.active {
            active.writer.seal(published).map_err(Failure::Write)?;
            self.sync_all()?;
        }
        self.shelve();
        Ok(())
    }

    /// Puts the active segment to the complete ones.
    pub(super) fn shelve(&mut self) {
        if let Some(Active { writer, .. }) = self.active.take() {
            let (path, bytes) = (writer.path.clone(), writer.at);
            let (last_ts_out, last_seq) = (writer.last_ts_out(), writer.last_seq);
            self.shelf.push(Kept { path, bytes, last_ts_out, last_seq });
        }
    }

    /// Forgets the complete segments that somebody has removed.
    pub(super) fn forget_gone(&mut self) {
        if let Some(gone) = self.shelf.forget_gone() {
            self.watermark.set_oldest(gone + 1);
        }
        self.watermark.set_size(self.shelf.bytes());
    }

    /// Begins a segment behind the last place that was written.
    pub(in crate::tape) fn open(&mut self) -> io::Result<()> {
        let prev_seq = self.written.last_seq;
        let opening = Opening {
            epoch: self.origin.epoch,
            first_seq: prev_seq.max(self.origin.seq) + 1,
            prev_seq,
            created: unix_now(),
            compress: self.options.compress,
        };
        let folder = &self.options.folder;
        let mut writer = SegmentWriter::create(&*self.disk, folder, &opening)?;
        if self.options.durability != Durability::None {
            self.disk.sync_names(folder)?;
        }
        let instruments = self.directory.since(0);
        writer.instruments(instruments.iter().map(|one| &**one))?;
        writer.definitions(self.definitions.iter())?;
        self.watermark.add_segment();
        let (opened, since) = (self.written.clone(), Instant::now());
        self.active = Some(Active { writer, opened, since, known: instruments.len() });
        Ok(())
    }
}
