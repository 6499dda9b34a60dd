//! The segments that are complete: what retention removes, oldest first.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::UnixNanos;
use crate::tape::disk::Disk;

/// A segment that nothing is appended to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Bytes of it.
    pub(crate) bytes: u64,
    /// `ts_out` of its last record; 0 where it has none.
    pub(crate) last_ts_out: UnixNanos,
    /// Its last record, or the last before it.
    pub(crate) last_seq: u64,
}

/// Complete segments, oldest first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    kept: VecDeque<Kept>,
}

impl Shelf {
    /// With what was there before.
    pub(super) fn new(kept: Vec<Kept>) -> Self {
        Self { kept: kept.into() }
    }

    /// Adds the newest.
    pub(super) fn push(&mut self, kept: Kept) {
        self.kept.push_back(kept);
    }

    /// Bytes of all.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    /// Are there none?
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Forgets those whose files are gone. Returns the last record before what is left, where the
    /// oldest are gone.
    pub(super) fn forget_gone(&mut self) -> Option<u64> {
        let is_gone = |kept: &Kept| kept.path.try_exists().is_ok_and(|there| !there);
        let mut gone = None;
        while let Some(oldest) = self.kept.front().filter(|kept| is_gone(kept)) {
            gone = Some(oldest.last_seq);
            self.kept.pop_front();
        }
        self.kept.retain(|kept| !is_gone(kept));
        gone
    }

    /// Removes the oldest while all together with the `active` bytes being written are more than
    /// `bytes`, or its records are older than `age` at `now`. Returns the last record that was
    /// removed, if any was. What can't be removed is tried again another time.
    pub(super) fn trim(
        &mut self,
        disk: &dyn Disk,
        (bytes, active): (Option<u64>, u64),
        (age, now): (Option<Duration>, UnixNanos),
    ) -> Option<u64> {
        let mut removed = None;
        let mut total = self.bytes() + active;
        while let Some(oldest) = self.kept.front() {
            let too_many = bytes.is_some_and(|most| total > most);
            let too_old = age
                .is_some_and(|age| oldest.last_ts_out.saturating_add(age.as_nanos() as u64) < now);
            if !too_many && !too_old {
                break;
            }
            if let Err(error) = disk.remove(&oldest.path)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(path = %oldest.path.display(), %error, "can't remove a segment");
                break;
            }
            total -= oldest.bytes;
            removed = Some(oldest.last_seq);
            self.kept.pop_front();
        }
        removed
    }
}
