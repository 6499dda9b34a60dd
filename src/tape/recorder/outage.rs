//! When the disk fails: back to the last place that can be vouched for, and try again.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::claim::Durability;
use super::run::Recorder;
use super::sync::Syncer;
use crate::clock::unix_now;
use crate::limits::{TAPE_HOLES_TOLD, TAPE_RETRY, TAPE_STOP};
use crate::tape::error::{Loss, TapeError};
use crate::tape::folder::Lock;
use crate::wire::message::SourceState;

/// What the disk did.
#[derive(Debug)]
pub(super) enum Failure {
    /// It took no more, or not all.
    Write(io::Error),
    /// It does not say that it has what it took.
    Sync(io::Error),
    /// The segment's file is in no folder any more.
    Gone,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => write!(f, "can't write: {error}"),
            Self::Sync(error) => write!(f, "what was written may be lost (fdatasync): {error}"),
            Self::Gone => f.write_str("its file was removed"),
        }
    }
}

/// When the disk is tried again, and what has to come before the interruption is over.
#[derive(Debug)]
pub(super) struct Retry {
    at: Instant,
    pause: Duration,
    /// A sync has failed: that a block was written says nothing until one succeeds.
    unsynced: bool,
    /// A block was written since; what is not on the tape before it.
    wrote: Option<Option<Loss>>,
}

/// Holes that have not been told.
#[derive(Debug, Default)]
pub(super) struct Untold {
    holes: Vec<Loss>,
    /// Those beyond what a message names: how many, and their records.
    more: (u64, u64),
}

impl Untold {
    fn add(&mut self, hole: Loss) {
        if self.holes.len() < TAPE_HOLES_TOLD {
            self.holes.push(hole);
        } else {
            self.more = (self.more.0 + 1, self.more.1 + hole.records());
        }
    }

    /// Each of them, for a message; none where there is none.
    pub(super) fn take(&mut self) -> Option<String> {
        let Self { holes, more } = std::mem::take(self);
        let mut named: Vec<_> = holes.iter().map(Loss::to_string).collect();
        if let (runs @ 1.., records) = more {
            named.push(format!("{records} records in {runs} more runs"));
        }
        (!named.is_empty()).then(|| named.join("; "))
    }
}

impl Recorder {
    /// Gives the segment up, and goes back to the last place that counts.
    pub(super) fn fail(&mut self, failure: Failure, now: Instant) {
        let mut unsynced = matches!(failure, Failure::Sync(_));
        let (mark, named) = match &failure {
            Failure::Gone => (self.active.as_ref().map(|active| active.opened.clone()), false),
            Failure::Sync(_) => (Some(self.durable.clone()), true),
            // What was written before may still be put on the disk: no sync has failed.
            Failure::Write(_) => {
                let synced = self.options.durability == Durability::None || self.sync_all().is_ok();
                unsynced = !synced;
                (Some(if synced { &self.written } else { &self.durable }.clone()), true)
            }
        };
        self.give_up_segment(named);
        if matches!(failure, Failure::Gone) {
            self.forget_gone();
        }
        // Nobody wants the result of a wait for what was given up.
        let _ = self.syncer.result(TAPE_STOP);
        if self.syncer.is_waiting()
            && let Ok(syncer) = Syncer::start()
        {
            // A thread that the disk does not answer is left behind.
            self.syncer = syncer;
        }
        if let Some(mark) = mark {
            self.reader = mark.reader.clone();
            self.written = mark.clone();
            self.durable = mark;
        }
        self.pending.clear(&self.reader);
        if let Some(progress) = self.progress.recorder() {
            progress.step_aside();
        }
        self.complain(&failure.to_string(), now);
        if let Some(retry) = &mut self.retry {
            retry.unsynced |= unsynced;
        }
    }

    /// A segment that nothing was recorded to is removed, where it can be.
    fn give_up_segment(&mut self, named: bool) {
        if let Some(active) = &self.active
            && active.writer.last_seq == active.opened.last_seq
        {
            let removed = self.disk.remove(&active.writer.path);
            if removed.is_ok() || !named {
                self.active = None;
            }
        }
        self.shelve();
    }

    /// Tells that recording is interrupted, once, and plans the next attempt.
    fn complain(&mut self, reason: &str, now: Instant) {
        let folder = self.options.folder.display();
        match &mut self.retry {
            Some(retry) => {
                retry.pause = (retry.pause * 2).min(TAPE_RETRY.1);
                retry.at = now + retry.pause;
                retry.wrote = None;
                tracing::debug!(%reason, pause = ?retry.pause, "the recorder tries again later");
            }
            None => {
                let message = format!("{folder}: {reason}; streaming goes on without a tape");
                self.watermark.set_health(Some(message.clone()), unix_now());
                let (at, pause) = (now + TAPE_RETRY.0, TAPE_RETRY.0);
                self.retry = Some(Retry { at, pause, unsynced: false, wrote: None });
                self.tell(SourceState::Failed, message);
            }
        }
    }

    /// Tries to begin a new segment, where that is due.
    pub(super) fn try_again(&mut self, now: Instant) {
        if self.retry.as_ref().is_some_and(|retry| now < retry.at) {
            return;
        }
        // The folder may be another one under the same name by now.
        self.lock = None;
        let opened = Lock::take(&self.options.folder).and_then(|lock| {
            self.lock = Some(lock);
            self.forget_gone();
            self.open().map_err(TapeError::io(&self.options.folder.clone()))
        });
        if let Err(error) = opened {
            self.complain(&error.to_string(), now);
        }
    }

    /// A block was written; before it, this is not on the tape. Without a failed sync, an
    /// interruption is over with that.
    pub(super) fn wrote_after(&mut self, hole: Option<Loss>) {
        match &mut self.retry {
            Some(retry) if retry.wrote.is_none() => retry.wrote = Some(hole),
            _ => hole.into_iter().for_each(|hole| self.untold.add(hole)),
        }
        if self.retry.as_ref().is_some_and(|retry| !retry.unsynced) {
            self.recovered();
        }
    }

    /// An interruption is over where a block was written since, and told.
    pub(super) fn recovered(&mut self) {
        let over = self.retry.take_if(|retry| retry.wrote.is_some());
        let Some(hole) = over.and_then(|retry| retry.wrote) else { return };
        self.watermark.set_health(None, unix_now());
        let message = match hole {
            Some(hole) => format!("recording again; not on the tape: {hole}"),
            None => "recording again; nothing is missing".to_owned(),
        };
        self.tell(SourceState::Resumed, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hole_is_named_and_of_very_many_the_rest_is_counted() {
        let mut untold = Untold::default();
        assert_eq!(untold.take(), None);
        let hole = |from_seq, to_seq| Loss { from_seq, to_seq, ..Loss::default() };
        untold.add(hole(5, 9));
        untold.add(hole(20, 20));
        assert_eq!(untold.take().as_deref(), Some("5 records, 5 to 9; record 20"));
        for n in 0..TAPE_HOLES_TOLD as u64 + 3 {
            untold.add(hole(10 * n + 1, 10 * n + 2));
        }
        let told = untold.take().unwrap();
        assert!(told.ends_with("; 2 records, 151 to 152; 6 records in 3 more runs"), "{told}");
        assert_eq!(untold.take(), None);
    }
}
