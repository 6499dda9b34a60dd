//! Reads all of a tape and says what is wrong with it: what was never recorded, what is damaged,
//! what was left behind by a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Damage, Loss, TapeError};
use super::folder::{self, Name};
use super::frame::SegmentFile;
use super::index::Index;
use super::layout::Kind;
use super::segment::{sealed, start};
use super::walk::{Step, Tail, Walk};
use crate::clock::UnixNanos;
use crate::limits::TAPE_HOLES_SHOWN;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The sequence of its numbers.
    pub epoch: u64,
    /// Its segments, in order.
    pub segments: Vec<SegmentReport>,
    /// Records that count.
    pub records: u64,
    /// Numbers of the first and the last of them.
    pub seqs: Option<(u64, u64)>,
    /// When these were published.
    pub times: (UnixNanos, UnixNanos),
    /// Runs of numbers that were never recorded, the first [`TAPE_HOLES_SHOWN`] of them.
    pub holes: Vec<Loss>,
    /// All of them.
    pub holes_total: u64,
    /// What was recorded and can't be read.
    pub damage: Vec<Damage>,
}

/// What was found in one segment.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    /// Its file.
    pub path: PathBuf,
    /// Bytes of it.
    pub bytes: u64,
    /// Records that count.
    pub records: u64,
    /// Records that a newer segment has declared void.
    pub void: u64,
    /// Was it ended in order?
    pub sealed: bool,
    /// Numbers that were left out before it: the tape before it was not ended in order.
    pub skipped: u64,
    /// Bytes behind the last block, and why they are none.
    pub tail: (u64, String),
}

impl Report {
    /// Records that were recorded and can't be read.
    pub fn lost(&self) -> u64 {
        self.damage.iter().map(|damage| damage.lost.records()).sum()
    }

    /// A block of `count` records that follows what came before; numbers up to `given` are told of
    /// elsewhere, or were never published.
    fn add(&mut self, (first, last): (u64, u64), given: u64, times: (u64, u64), count: u64) {
        let expected = self.seqs.map_or(given, |(_, last)| last.max(given)) + 1;
        if first > expected {
            self.holes_total += 1;
            if self.holes.len() < TAPE_HOLES_SHOWN {
                let (from_seq, to_seq) = (expected, first - 1);
                let (after, before) = (self.times.1, times.0);
                self.holes.push(Loss { from_seq, to_seq, after, before });
            }
        }
        self.times.0 = if self.seqs.is_none() { times.0 } else { self.times.0 };
        self.times.1 = times.1;
        self.seqs = Some((self.seqs.map_or(first, |(first, _)| first), last));
        self.records += count;
    }
}

/// Reads a folder, or one segment file; `progress` is told of each stretch of bytes that was read,
/// and of how many there are.
///
/// # Errors
/// [`TapeError`]: no tape, two tapes, or the disk's reasons. Damage is no error but a finding.
pub fn verify(path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Report, TapeError> {
    let names = names(path)?;
    let bytes = |name: &Name| std::fs::metadata(&name.path).map_or(0, |file| file.len());
    let total = names.iter().map(bytes).sum();
    let mut report = Report::default();
    let mut prior: Option<Walk> = None;
    for (at, name) in names.iter().enumerate() {
        let file = Arc::new(SegmentFile::open(name.path.clone())?);
        let Some((walk, damage)) = start(&file)? else {
            report.segments.push(SegmentReport::stub(name, file.len()?));
            continue;
        };
        if prior.is_none() {
            report.epoch = walk.epoch;
        } else if walk.epoch != report.epoch {
            let (found, expected) = (walk.epoch, report.epoch);
            return Err(TapeError::Mixed { path: name.path.clone(), found, expected });
        }
        report.damage.extend(prior.as_ref().and_then(|prior| missing(prior, &walk)));
        report.damage.extend(damage);
        let last = last_that_counts(&names[at + 1..])?;
        let first_seq = name.first_seq;
        prior = Some(report.segment(walk, first_seq, last, &mut |bytes| progress(bytes, total))?);
    }
    match report.segments.iter().any(|segment| !segment.is_stub()) {
        true => Ok(report),
        false => Err(TapeError::Empty(path.to_owned())),
    }
}

/// The segments that are meant by a path.
pub(super) fn names(path: &Path) -> Result<Vec<Name>, TapeError> {
    match path.is_dir() {
        true => folder::list(path),
        false => Ok(vec![Name::any(path)]),
    }
}

/// What the next segment says was the last of the tape before it.
pub(super) fn last_that_counts(newer: &[Name]) -> Result<Option<u64>, TapeError> {
    for name in newer {
        let file = Arc::new(SegmentFile::open(name.path.clone())?);
        if let Some((walk, _)) = start(&file)? {
            return Ok(Some(walk.last_seq));
        }
    }
    Ok(None)
}

/// What a segment lacks of what the next one says was recorded.
fn missing(prior: &Walk, next: &Walk) -> Option<Damage> {
    let (from_seq, to_seq) = (prior.last_seq + 1, next.last_seq);
    let lost = Loss { from_seq, to_seq, after: prior.last_ts_out, before: 0 };
    let reason = "the segment after it says that there was more".to_owned();
    let (path, offset) = (prior.file.path.clone(), prior.at);
    (lost.records() > 0).then_some(Damage { path, offset, reason, lost })
}

impl Report {
    /// Reads one segment to its end; returns the walk as it ended.
    fn segment(
        &mut self,
        mut walk: Walk,
        first_seq: u64,
        last: Option<u64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Walk, TapeError> {
        let (told, given) = (sealed(&walk.file, &walk)?, first_seq.saturating_sub(1));
        let mut found = SegmentReport::stub(&Name::any(&walk.file.path), walk.file.len()?);
        found.skipped = given.saturating_sub(walk.last_seq);
        let (mut index, mut at, damaged) = (Index::default(), 0, self.damage.len());
        loop {
            match walk.next()? {
                Step::Records(frame, block) if last.is_some_and(|l| block.last_seq() > l) => {
                    found.void += block.len() as u64;
                    index.add(frame.offset, &frame.head, block.bytes());
                }
                Step::Records(frame, block) => {
                    let count = block.len() as u64;
                    let seqs = (block.first_seq(), block.last_seq());
                    let times = (block.first_ts_out(), block.last_ts_out());
                    self.add(seqs, block.prev_seq().max(given), times, count);
                    found.records += count;
                    index.add(frame.offset, &frame.head, block.bytes());
                }
                Step::Other(frame) if frame.head.kind() == Some(Kind::Seal) => {
                    found.sealed = true;
                    index.published = Index::parse(&frame.payload).and_then(|i| i.published);
                    break;
                }
                Step::Other(frame) => index.symbols.push(frame.offset),
                Step::Damage(damage) => self.damage.push(*damage),
                Step::End(Tail { bytes, reason }) => {
                    found.tail = (bytes, reason);
                    break;
                }
            }
            progress(walk.at - at);
            at = walk.at;
        }
        progress(found.bytes.saturating_sub(at));
        if self.damage.len() == damaged && told.is_some_and(|told| told != index) {
            let reason = "its index does not say what its blocks say".to_owned();
            let (path, offset) = (walk.file.path.clone(), walk.at);
            let lost = Loss { from_seq: 1, ..Loss::default() };
            self.damage.push(Damage { path, offset, reason, lost });
        }
        if last.is_some_and(|last| walk.last_seq > last) {
            walk.last_seq = last.unwrap_or_default();
        }
        self.segments.push(found);
        Ok(walk)
    }
}

impl SegmentReport {
    fn stub(name: &Name, bytes: u64) -> Self {
        let path = name.path.clone();
        let tail = (bytes, "neither a head nor a block".to_owned());
        Self { path, bytes, records: 0, void: 0, sealed: false, skipped: 0, tail }
    }

    /// Is there nothing in it?
    fn is_stub(&self) -> bool {
        self.records == 0 && !self.sealed && self.tail.0 == self.bytes
    }
}
