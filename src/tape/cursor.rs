//! A cursor: block after block, over segments, up to what is recorded now, and on from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::Block;
use super::error::{Damage, Loss, TapeError};
use super::folder::{self, Name};
use super::frame::SegmentFile;
use super::segment::{self, Segment};
use super::walk::{Step, Walk};
use crate::clock::UnixNanos;

/// Reads a tape in order. It goes on where more has been recorded, and keeps the file that it reads
/// open: what retention removes meanwhile it reads to its end.
#[derive(Debug)]
pub struct Cursor {
    folder: PathBuf,
    salvage: bool,
    name: Name,
    walk: Walk,
    /// The first number that has not been handed out.
    expected: u64,
    /// What was published before this time is left out.
    since: UnixNanos,
    /// The last number of this segment that counts, where a newer segment says so. The segment is
    /// complete then.
    last: Option<u64>,
    /// Damage that ends the tape, where nothing is salvaged.
    refused: Option<Damage>,
}

impl Cursor {
    pub(super) fn new(
        folder: &Path,
        segment: &Segment,
        walk: Walk,
        salvage: bool,
        expected: u64,
        since: UnixNanos,
    ) -> Result<Self, TapeError> {
        let name = segment.name.clone();
        let folder = folder.to_owned();
        // A head that can't be read is behind the place where the walk begins.
        let refused = segment.damage.first().filter(|damage| damage.offset == 0 && !salvage);
        let refused = refused.cloned();
        let mut cursor = Self { folder, salvage, name, walk, expected, since, last: None, refused };
        cursor.last = cursor.next_segment()?.map(|next| next.walk.last_seq);
        Ok(cursor)
    }

    /// Which segment the last block is of: the number in its name.
    pub fn segment(&self) -> u64 {
        self.name.first_seq
    }

    /// The number that is expected next.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// Does it read a file that is no more part of the tape? What more is recorded it never sees.
    pub(super) fn is_lost(&self) -> bool {
        self.walk.file.is_replaced()
    }

    /// The next block; none where nothing more is recorded now: a later call goes on. Where its
    /// first number is not the expected one, the records between are not on the tape: they were
    /// never recorded, were removed before the cursor came to them, or are damaged and skipped.
    ///
    /// # Errors
    /// [`TapeError::Damaged`] from the place on where records can't be read, unless the tape was
    /// opened to salvage; the disk's reasons, which may pass.
    pub fn next_block(&mut self) -> Result<Option<Block>, TapeError> {
        if let Some(damage) = &self.refused {
            return Err(TapeError::Damaged(Box::new(damage.clone())));
        }
        loop {
            match self.walk.next()? {
                Step::Records(_, block) => {
                    if self.last.is_some_and(|last| block.first_seq() > last) {
                        self.skip_void()?;
                    } else if let Some(block) = self.wanted(block) {
                        self.expected = block.last_seq() + 1;
                        return Ok(Some(block));
                    }
                }
                Step::Other(_) => {}
                Step::Damage(damage) => self.pass(*damage)?,
                Step::End(tail) => {
                    let Some(next) = self.next_segment()? else { return Ok(None) };
                    if self.last.is_none() {
                        // It may have grown before the next one was begun: it is read once more.
                        self.last = Some(next.walk.last_seq);
                        continue;
                    }
                    self.enter(next, &tail.reason)?;
                }
            }
        }
    }

    /// What of a block has not been handed out and is not too old.
    fn wanted(&mut self, block: Block) -> Option<Block> {
        let block = block.after(self.expected - 1)?;
        let block = if self.since > 0 { block.since(self.since)? } else { block };
        self.since = 0;
        Some(block)
    }

    /// Goes on with the next segment: what comes in this one never counted.
    fn skip_void(&mut self) -> Result<(), TapeError> {
        if let Some(next) = self.next_segment()? {
            self.walk.last_seq = self.walk.last_seq.min(next.walk.last_seq);
            self.enter(next, "")?;
        }
        Ok(())
    }

    /// Goes on with the next segment.
    fn enter(&mut self, next: NextSegment, reason: &str) -> Result<(), TapeError> {
        let lost = Loss {
            from_seq: self.walk.last_seq + 1,
            to_seq: next.walk.last_seq,
            after: self.walk.last_ts_out,
            before: 0,
        };
        let (path, offset) = (self.walk.file.path.clone(), self.walk.at);
        let last_ts_out = self.walk.last_ts_out;
        (self.name, self.walk, self.last) = (next.name, next.walk, None);
        self.walk.last_ts_out = last_ts_out;
        self.last = self.next_segment()?.map(|next| next.walk.last_seq);
        if lost.records() > 0 {
            let reason = match reason {
                "" => "the segment after it says that there was more".to_owned(),
                reason => reason.to_owned(),
            };
            self.pass(Damage { path, offset, reason, lost })?;
        }
        next.damage.map_or(Ok(()), |damage| self.pass(damage))
    }

    /// Passes damage, where nothing that is wanted is lost or it is to be passed.
    fn pass(&mut self, damage: Damage) -> Result<(), TapeError> {
        let before = damage.lost.records() > 0 && damage.lost.to_seq < self.expected;
        if self.salvage || before {
            return Ok(());
        }
        self.refused = Some(damage.clone());
        Err(TapeError::Damaged(Box::new(damage)))
    }

    /// The segment after this one, where there is one with a head or a frame.
    fn next_segment(&self) -> Result<Option<NextSegment>, TapeError> {
        for name in folder::list(&self.folder)?.into_iter().filter(|name| *name > self.name) {
            let file = match SegmentFile::open(name.path.clone()) {
                Err(TapeError::Io { error, .. })
                    if error.kind() == std::io::ErrorKind::NotFound =>
                {
                    continue;
                }
                file => Arc::new(file?),
            };
            if let Some((walk, damage)) = segment::start(&file)? {
                return Ok(Some(NextSegment { name, walk, damage }));
            }
        }
        Ok(None)
    }
}

/// The beginning of another segment.
struct NextSegment {
    name: Name,
    walk: Walk,
    damage: Option<Damage>,
}
