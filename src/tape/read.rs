//! A tape as it is on disk: what it holds, and cursors over it. A recorder may append meanwhile.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::cursor::Cursor;
use super::error::{Damage, TapeError};
use super::folder::{self, Name};
use super::recorder::Kept;
use super::segment::Segment;
use super::symbols;
use crate::clock::UnixNanos;
use crate::wire::instrument::Instrument;

/// What a folder of segments holds, as of the last look ([`Tape::refresh`]).
#[derive(Debug)]
pub struct Tape {
    folder: PathBuf,
    salvage: bool,
    epoch: u64,
    segments: Vec<Segment>,
    /// Names of files without a single frame, as a crash may leave them.
    stubs: Vec<Name>,
    /// Between segments, and in them as far as is known.
    damage: Vec<Damage>,
}

impl Tape {
    /// Looks at a folder. Where records in its middle can't be read, the tape ends before them.
    ///
    /// # Errors
    /// [`TapeError`]: no tape, two tapes, or the disk's reasons.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, TapeError> {
        Self::open_with(folder.as_ref(), false)
    }

    /// The same, but with what can be read behind damage: holes as if it had not been recorded.
    ///
    /// # Errors
    /// As [`Tape::open`].
    pub fn salvage(folder: impl AsRef<Path>) -> Result<Self, TapeError> {
        Self::open_with(folder.as_ref(), true)
    }

    fn open_with(folder: &Path, salvage: bool) -> Result<Self, TapeError> {
        let mut tape = Self {
            folder: folder.to_owned(),
            salvage,
            epoch: 0,
            segments: Vec::new(),
            stubs: Vec::new(),
            damage: Vec::new(),
        };
        tape.refresh()?;
        if tape.segments.is_empty() {
            return Err(TapeError::Empty(tape.folder));
        }
        Ok(tape)
    }

    /// Looks again: what was appended, what retention has removed. What has not changed is not read
    /// again.
    ///
    /// # Errors
    /// As [`Tape::open`].
    pub fn refresh(&mut self) -> Result<(), TapeError> {
        let mut known = std::mem::take(&mut self.segments);
        self.stubs.clear();
        for name in folder::list(&self.folder)? {
            let at = known.iter().position(|segment| segment.name == name);
            let looked_at = match at.map(|at| known.swap_remove(at)) {
                Some(segment) => segment.refresh(self.salvage),
                None => Segment::open(name.clone(), self.salvage),
            };
            match looked_at {
                Ok(Some(segment)) => self.segments.push(segment),
                Ok(None) => self.stubs.push(name),
                Err(TapeError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.link()
    }

    /// Holds each segment against the one after it.
    fn link(&mut self) -> Result<(), TapeError> {
        self.epoch = self.segments.first().map_or(0, |segment| segment.epoch);
        self.damage.clear();
        for at in 0..self.segments.len() {
            let (before, from) = self.segments.split_at_mut(at);
            let segment = &mut from[0];
            if segment.epoch != self.epoch {
                return Err(TapeError::Mixed {
                    path: segment.name.path.clone(),
                    found: segment.epoch,
                    expected: self.epoch,
                });
            }
            if let Some(before) = before.last_mut() {
                before.end_at(segment.prev_seq)?;
                if self.salvage || before.damage.is_empty() {
                    self.damage.extend(before.missing_before(segment));
                }
            }
            self.damage.extend(segment.damage.iter().cloned());
        }
        Ok(())
    }

    /// What is known to be damaged. Where it is not empty and nothing is salvaged, the tape ends
    /// before the first of it.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The segments up to the first damage.
    fn readable(&self) -> &[Segment] {
        if self.salvage {
            return &self.segments;
        }
        let mut last = None;
        for (at, segment) in self.segments.iter().enumerate() {
            let whole = last.is_none_or(|seq| seq == segment.prev_seq);
            if !whole {
                return &self.segments[..at];
            }
            if !segment.damage.is_empty() {
                return &self.segments[..=at];
            }
            last = Some(segment.last_seq());
        }
        &self.segments
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sequence that its numbers belong to.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Number of its oldest record; one more than the last before it where it has none.
    pub fn first_seq(&self) -> u64 {
        let runs = self.readable().iter().flat_map(|segment| segment.index.runs.first());
        let first = runs.map(|run| run.first_seq.get()).next();
        first.unwrap_or_else(|| self.segments.first().map_or(1, |segment| segment.prev_seq + 1))
    }

    /// Number of its newest record that can be read; that of the last before it where it has none.
    pub fn last_seq(&self) -> u64 {
        self.readable().last().map_or(0, Segment::last_seq)
    }

    /// `ts_out` of its oldest record; none where it has none.
    pub fn first_time(&self) -> Option<UnixNanos> {
        let mut runs = self.readable().iter().flat_map(|segment| segment.index.runs.first());
        runs.next().map(|run| run.first_ts_out.get())
    }

    /// `ts_out` of its newest record.
    pub fn last_time(&self) -> Option<UnixNanos> {
        let mut runs = self.readable().iter().rev().flat_map(|segment| segment.index.runs.last());
        runs.next().map(|run| run.last_ts_out.get())
    }

    /// Least and greatest index time of its records.
    pub fn index_times(&self) -> Option<(UnixNanos, UnixNanos)> {
        let runs = || self.readable().iter().flat_map(|segment| segment.index.runs.iter());
        let least = runs().map(|run| run.min_time.get()).min()?;
        Some((least, runs().map(|run| run.max_time.get()).max()?))
    }

    /// Records on it.
    pub fn records(&self) -> u64 {
        self.readable().iter().map(|segment| segment.index.records()).sum()
    }

    /// Bytes of its files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Mask of the schemas of its records, bit `1 << schema`.
    pub fn schemas(&self) -> u32 {
        let extents = self.readable().iter().flat_map(|segment| segment.index.extents());
        extents.fold(0, |mask, extent| mask | extent.schemas.get())
    }

    /// The instruments that were known when record `seq` was written, and their schemas. Where an
    /// id has changed its meaning with a restart, what it meant then.
    ///
    /// # Errors
    /// The disk's reasons; [`TapeError::Damaged`] where a symbol table is.
    pub fn instruments_at(&self, seq: u64) -> Result<Vec<Instrument>, TapeError> {
        self.segment_of(seq).map_or(Ok(Vec::new()), |segment| symbols::instruments(segment, seq))
    }

    /// The definitions (published records) that were in force when the segment of record `seq`
    /// began; newer ones are among the records.
    ///
    /// # Errors
    /// As [`Tape::instruments_at`].
    pub fn definitions_at(&self, seq: u64) -> Result<Vec<Bytes>, TapeError> {
        self.segment_of(seq).map_or(Ok(Vec::new()), symbols::definitions)
    }

    fn segment_of(&self, seq: u64) -> Option<&Segment> {
        let segments = self.readable();
        let at = segments.partition_point(|segment| segment.prev_seq < seq).saturating_sub(1);
        segments.get(at)
    }

    /// All instruments that are known at its end.
    ///
    /// # Errors
    /// As [`Tape::instruments_at`].
    pub fn instruments(&self) -> Result<Vec<Instrument>, TapeError> {
        self.instruments_at(u64::MAX)
    }

    /// The instruments of which it holds records: publisher, id, mask of schemas, records.
    pub fn contents(&self) -> Vec<(u16, u32, u32, u64)> {
        let mut all = std::collections::BTreeMap::new();
        for extent in self.readable().iter().flat_map(|segment| segment.index.extents()) {
            let key = (extent.publisher.get(), extent.id.get());
            let entry = all.entry(key).or_insert((0, 0));
            *entry = (entry.0 | extent.schemas.get(), entry.1 + extent.records.get());
        }
        all.into_iter().map(|((publisher, id), (mask, n))| (publisher, id, mask, n)).collect()
    }

    /// A cursor whose first record is the first after number `seq`. It may be beyond the newest:
    /// then it waits for what comes.
    ///
    /// # Errors
    /// [`TapeError::NotRetained`] where that record was on the tape and is no more.
    pub fn cursor_after(&self, seq: u64) -> Result<Cursor, TapeError> {
        let segments = self.readable();
        let oldest = segments.first().ok_or_else(|| TapeError::Empty(self.folder.clone()))?;
        if seq < oldest.prev_seq || seq == u64::MAX {
            return Err(self.not_retained());
        }
        let at = segments.partition_point(|segment| segment.last_seq() <= seq);
        let segment = &segments[at.min(segments.len() - 1)];
        let walk = segment.walk_to(|run| run.last_seq.get() <= seq)?;
        Cursor::new(&self.folder, segment, walk, self.salvage, seq + 1, 0)
    }

    /// A cursor whose first record is the first with this `ts_out` or a later one. Where there is
    /// none yet it waits for what comes.
    ///
    /// # Errors
    /// [`TapeError::NotRetained`] where that record may have been on the tape and is no more.
    pub fn cursor_at_time(&self, ts_out: UnixNanos) -> Result<Cursor, TapeError> {
        let segments = self.readable();
        let oldest = segments.first().ok_or_else(|| TapeError::Empty(self.folder.clone()))?;
        if oldest.prev_seq > 0 && self.first_time().is_some_and(|first| ts_out < first) {
            return Err(self.not_retained());
        }
        let at = segments.iter().position(|segment| segment.last_ts_out() >= ts_out);
        let segment = &segments[at.unwrap_or(segments.len() - 1)];
        let walk = segment.walk_to(|run| run.last_ts_out.get() < ts_out)?;
        let expected = walk.last_seq + 1;
        Cursor::new(&self.folder, segment, walk, self.salvage, expected, ts_out)
    }

    /// A cursor from which the first record with this index time (ns), or a later one, is to come:
    /// at a run of blocks that reaches it, so that earlier ones may come before. The oldest record
    /// where all are later; where none is, it waits for what comes.
    ///
    /// # Errors
    /// [`TapeError::Empty`], and the disk's reasons.
    pub fn cursor_near(&self, time: UnixNanos) -> Result<Cursor, TapeError> {
        let segments = self.readable();
        let reaches =
            |segment: &&Segment| segment.index.runs.iter().any(|run| run.max_time.get() >= time);
        let Some(segment) = segments.iter().find(reaches) else {
            return self.cursor_after(self.last_seq());
        };
        let walk = segment.walk_to(|run| run.max_time.get() < time)?;
        let expected = walk.last_seq + 1;
        Cursor::new(&self.folder, segment, walk, self.salvage, expected, 0)
    }

    /// Behind this number there is no record with an index time before this one (ns); 0 where there
    /// is none at all.
    pub fn last_before(&self, time: UnixNanos) -> u64 {
        let runs = self.readable().iter().flat_map(|segment| segment.index.runs.iter());
        let early = runs.filter(|run| run.min_time.get() < time);
        early.map(|run| run.last_seq.get()).max().unwrap_or(0)
    }

    /// The newest number that was published, where the tape was ended in order.
    pub fn published(&self) -> Option<u64> {
        self.stubs.is_empty().then_some(self.segments.last()?.index.published?)
    }

    /// The newest number that it holds or one of its files is named after, less one.
    pub(super) fn named_seq(&self) -> u64 {
        let names = self.segments.iter().map(|segment| &segment.name).chain(&self.stubs);
        let named = names.map(|name| name.first_seq.saturating_sub(1)).max();
        named.unwrap_or(0).max(self.last_seq())
    }

    /// Its segments, for whoever keeps order among them.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let kept = |name: &Name, bytes, last_ts_out, last_seq| {
            (name.clone(), Kept { path: name.path.clone(), bytes, last_ts_out, last_seq })
        };
        let segments = self.segments.iter();
        let segments = segments.map(|s| kept(&s.name, s.bytes, s.last_ts_out(), s.last_seq()));
        let stubs = self.stubs.iter();
        let stubs = stubs.map(|name| kept(name, 0, 0, name.first_seq.saturating_sub(1)));
        let mut all: Vec<_> = segments.chain(stubs).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.into_iter().map(|(_, kept)| kept).collect()
    }

    fn not_retained(&self) -> TapeError {
        TapeError::NotRetained { oldest: self.first_seq(), newest: self.last_seq() }
    }
}
