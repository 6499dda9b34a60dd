//! Writes a clean copy of a tape: every segment sealed, with what can be read, and nothing else.

use std::path::Path;
use std::sync::Arc;

use super::disk::Files;
use super::error::TapeError;
use super::folder::Lock;
use super::frame::SegmentFile;
use super::index::Index;
use super::layout::Kind;
use super::segment::start;
use super::verify::{Report, last_that_counts, names, verify};
use super::walk::{Step, Walk};
use super::write::{Opening, SegmentWriter};
use crate::clock::unix_now;

/// Copies a folder or a segment to a folder that is new. What is damaged becomes a hole, as if it
/// had not been recorded: only with `salvage`, else nothing is written. Returns what was found.
/// `progress` is told of bytes as by [`verify`].
///
/// # Errors
/// [`TapeError::Damaged`] without `salvage`; a folder that is there already; the disk's reasons.
pub fn repair(
    from: &Path,
    to: &Path,
    salvage: bool,
    progress: impl FnMut(u64, u64),
) -> Result<Report, TapeError> {
    let report = verify(from, progress)?;
    if let Some(damage) = report.damage.first().filter(|_| !salvage) {
        return Err(TapeError::Damaged(Box::new(damage.clone())));
    }
    std::fs::create_dir(to).map_err(TapeError::io(to))?;
    let _lock = Lock::take(to)?;
    let names = names(from)?;
    let mut last_seq = None;
    for (at, name) in names.iter().enumerate() {
        let file = Arc::new(SegmentFile::open(name.path.clone())?);
        let Some((walk, _)) = start(&file)? else { continue };
        let limit = last_that_counts(&names[at + 1..])?.unwrap_or(u64::MAX);
        let prev_seq = last_seq.unwrap_or(walk.last_seq);
        last_seq = Some(copy(walk, to, name.first_seq, prev_seq, limit)?);
    }
    Ok(report)
}

/// Copies a segment; returns the last record of the tape behind it.
fn copy(
    mut walk: Walk,
    to: &Path,
    first_seq: u64,
    prev_seq: u64,
    limit: u64,
) -> Result<u64, TapeError> {
    let first_seq = first_seq.max(prev_seq + 1);
    let (epoch, created, compress) = (walk.epoch, unix_now(), false);
    let opening = Opening { epoch, first_seq, prev_seq, created, compress };
    let failed = |error| TapeError::Io { path: to.to_owned(), error };
    let mut writer = SegmentWriter::create(&Files, to, &opening).map_err(failed)?;
    let mut published = None;
    loop {
        match walk.next()? {
            Step::Records(_, block) if block.last_seq() <= limit => {
                writer.block(block.first_seq(), block.bytes()).map_err(failed)?;
            }
            Step::Other(frame) => match frame.head.kind() {
                Some(kind @ (Kind::Instruments | Kind::Definitions)) => {
                    let count = frame.head.count.get();
                    writer.table(kind, count, &frame.payload).map_err(failed)?;
                }
                _ => {
                    published = Index::parse(&frame.payload).and_then(|index| index.published);
                    break;
                }
            },
            Step::Records(..) | Step::Damage(_) => {}
            Step::End(_) => break,
        }
    }
    writer.seal(published).map_err(failed)?;
    writer.output().sync().map_err(failed)?;
    Ok(writer.last_seq)
}
