//! One segment as a reader sees it: from its index where it is sealed, else from a walk over it.

use std::fs;
use std::sync::Arc;

use super::error::{Damage, Loss, TapeError};
use super::folder::Name;
use super::frame::{Identity, SegmentFile};
use super::index::{Index, Run};
use super::layout::{Kind, SEGMENT_HEAD};
use super::walk::{Step, Tail, Walk};
use crate::clock::UnixNanos;

/// What is known of one segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    pub(super) epoch: u64,
    /// The last record of the tape before it.
    pub(super) prev_seq: u64,
    pub(super) index: Index,
    /// Was it ended in order? Then nothing is appended to it.
    pub(super) sealed: bool,
    /// What can't be read of it, as far as is known.
    pub(super) damage: Vec<Damage>,
    /// What is behind its last frame.
    pub(super) tail: Tail,
    /// Where its first frame is.
    begin: u64,
    /// Where a walk over it ended; none where its index told.
    walk: Option<Walk>,
    /// Bytes of its file, when it was looked at.
    pub(super) bytes: u64,
    identity: Identity,
}

impl Segment {
    /// Looks at a segment. One without head and frames, as a crash may leave it, is none. With
    /// `salvage`, damage is skipped.
    ///
    /// # Errors
    /// The disk's reasons.
    pub(super) fn open(name: Name, salvage: bool) -> Result<Option<Self>, TapeError> {
        let file = Arc::new(SegmentFile::open(name.path.clone())?);
        let Some((mut walk, damage)) = start(&file)? else { return Ok(None) };
        let index = if damage.is_none() { sealed(&file, &walk)? } else { None };
        let mut segment = Self {
            name,
            epoch: walk.epoch,
            prev_seq: walk.last_seq,
            begin: walk.at,
            sealed: index.is_some(),
            index: index.unwrap_or_default(),
            damage: damage.into_iter().collect(),
            tail: Tail::default(),
            bytes: file.len()?,
            identity: file.identity()?,
            walk: None,
        };
        if !segment.sealed {
            segment.walk_on(&mut walk, salvage)?;
            segment.walk = (!segment.sealed).then_some(walk);
        }
        Ok(Some(segment))
    }

    /// Looks at what was appended since. A recorder that lost its folder may have begun the same
    /// segment anew: another file is looked at from its beginning.
    ///
    /// # Errors
    /// The disk's reasons.
    pub(super) fn refresh(mut self, salvage: bool) -> Result<Option<Self>, TapeError> {
        let path = &self.name.path;
        let there = fs::metadata(path).map_err(TapeError::io(path))?;
        let grown = self.walk.is_none() && there.len() != self.bytes;
        if grown || Identity::of(&there) != self.identity {
            return Self::open(self.name, salvage);
        }
        if let Some(mut walk) = self.walk.take() {
            self.bytes = walk.file.len()?;
            self.walk_on(&mut walk, salvage)?;
            self.walk = (!self.sealed).then_some(walk);
        }
        Ok(Some(self))
    }

    /// Walks to the end, or to the first damage.
    fn walk_on(&mut self, walk: &mut Walk, salvage: bool) -> Result<(), TapeError> {
        if !salvage && !self.damage.is_empty() {
            return Ok(());
        }
        loop {
            match walk.next()? {
                Step::Records(frame, block) => {
                    self.index.add(frame.offset, &frame.head, block.bytes());
                }
                Step::Other(frame) => match frame.head.kind() {
                    Some(Kind::Seal) => {
                        let index = Index::parse(&frame.payload);
                        self.index.published = index.and_then(|index| index.published);
                        self.sealed = true;
                        return Ok(());
                    }
                    _ => self.index.symbols.push(frame.offset),
                },
                Step::Damage(damage) => {
                    self.damage.push(*damage);
                    if !salvage {
                        return Ok(());
                    }
                }
                Step::End(tail) => {
                    self.tail = tail;
                    return Ok(());
                }
            }
        }
    }

    /// Leaves out what it holds beyond number `last`: the segment after it says that this never
    /// counted as recorded.
    ///
    /// # Errors
    /// The disk's reasons.
    pub(super) fn end_at(&mut self, last: u64) -> Result<(), TapeError> {
        if self.last_seq() <= last {
            return Ok(());
        }
        let file = Arc::new(SegmentFile::open(self.name.path.clone())?);
        let mut walk = Walk::new(file, self.epoch, self.prev_seq);
        walk.at = self.begin;
        let symbols = std::mem::take(&mut self.index).symbols;
        self.index.symbols = symbols;
        (self.walk, self.sealed) = (None, true);
        loop {
            match walk.next()? {
                Step::Records(frame, block) if block.last_seq() <= last => {
                    self.index.add(frame.offset, &frame.head, block.bytes());
                }
                Step::Records(..) | Step::End(_) => return Ok(()),
                Step::Other(_) | Step::Damage(_) => {}
            }
        }
    }

    /// What it lacks of what the segment after it says was recorded.
    pub(super) fn missing_before(&self, next: &Self) -> Option<Damage> {
        let lost = Loss {
            from_seq: self.last_seq() + 1,
            to_seq: next.prev_seq,
            after: self.last_ts_out(),
            before: next.index.runs.first().map_or(0, |run| run.first_ts_out.get()),
        };
        let reason = match self.tail.reason.as_str() {
            "" => "the segment after it says that there was more".to_owned(),
            reason => reason.to_owned(),
        };
        let offset = self.bytes.saturating_sub(self.tail.bytes);
        let damage = Damage { path: self.name.path.clone(), offset, reason, lost };
        (lost.records() > 0).then_some(damage)
    }

    /// Number of its last record; that of the last before it where it has none.
    pub(super) fn last_seq(&self) -> u64 {
        self.index.runs.last().map_or(self.prev_seq, |run| run.last_seq.get())
    }

    /// `ts_out` of its last record; 0 where it has none.
    pub(super) fn last_ts_out(&self) -> UnixNanos {
        self.index.runs.last().map_or(0, |run| run.last_ts_out.get())
    }

    /// A walk that begins at or before the first record for whose run `before` does not hold.
    ///
    /// # Errors
    /// The system's reasons.
    pub(super) fn walk_to(&self, before: impl Fn(&Run) -> bool) -> Result<Walk, TapeError> {
        let file = Arc::new(SegmentFile::open(self.name.path.clone())?);
        let mut walk = Walk::new(file, self.epoch, self.prev_seq);
        walk.at = self.begin;
        let runs = &self.index.runs;
        // The last run may have grown since: there is no run behind it to begin at.
        let at = runs.partition_point(before).min(runs.len().saturating_sub(1));
        if let Some(passed) = at.checked_sub(1).map(|at| &runs[at]) {
            walk.at = runs[at].offset.get();
            walk.last_seq = passed.last_seq.get();
            walk.last_ts_out = passed.last_ts_out.get();
        }
        Ok(walk)
    }
}

/// A walk from the beginning of a segment, and what is wrong with its head; none where it has
/// neither a head nor a frame.
///
/// # Errors
/// [`TapeError::Renamed`]; the disk's reasons.
pub(super) fn start(file: &Arc<SegmentFile>) -> Result<Option<(Walk, Option<Damage>)>, TapeError> {
    let reason = match file.head()? {
        Ok(head) => {
            let (path, first_seq) = (&file.path, head.first_seq.get());
            if Name::of(path).is_some_and(|name| name.first_seq != first_seq) {
                return Err(TapeError::Renamed { path: path.clone(), first_seq });
            }
            let walk = Walk::new(file.clone(), head.epoch.get(), head.prev_seq.get());
            return Ok(Some((walk, None)));
        }
        Err(reason) => reason,
    };
    let Some((at, head)) = file.first_frame()? else { return Ok(None) };
    let mut walk = Walk::new(file.clone(), head.epoch.get(), head.prev_seq.get());
    walk.at = at;
    // What it held before its first whole frame is told by the tape before it, where there is one.
    let lost = Loss { from_seq: 1, ..Loss::default() };
    Ok(Some((walk, Some(Damage { path: file.path.clone(), offset: 0, reason, lost }))))
}

/// The index of a segment that was sealed and is whole there.
pub(super) fn sealed(file: &SegmentFile, walk: &Walk) -> Result<Option<Index>, TapeError> {
    let Some(at) = file.seal()?.filter(|at| *at >= SEGMENT_HEAD as u64) else { return Ok(None) };
    let Ok(frame) = file.frame(at)? else { return Ok(None) };
    let ours = frame.head.kind() == Some(Kind::Seal) && frame.head.epoch == walk.epoch;
    Ok(Index::parse(&frame.payload).filter(|index| ours && index.fits(walk.last_seq, at)))
}
