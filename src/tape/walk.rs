//! A walk over the frames of one segment: each follows the one before it, or what is between them
//! is named.

use std::sync::Arc;

use super::block::Block;
use super::error::{Damage, Loss, TapeError};
use super::frame::{Fault, Frame, SegmentFile};
use super::layout::{Head, Kind, SEGMENT_HEAD};
use crate::clock::UnixNanos;

/// Where a walk stands.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) file: Arc<SegmentFile>,
    pub(super) epoch: u64,
    /// Where the next frame begins.
    pub(super) at: u64,
    /// The last record of the tape before that place.
    pub(super) last_seq: u64,
    /// Its `ts_out`.
    pub(super) last_ts_out: UnixNanos,
}

/// What a walk comes upon.
pub(super) enum Step {
    /// A block.
    Records(Frame, Block),
    /// Another frame.
    Other(Frame),
    /// Frames that can't be read. The next step reads what comes after them.
    Damage(Box<Damage>),
    /// Nothing more, now. Where bytes are left, they are no whole frame: it is still being written,
    /// or never was.
    End(Tail),
}

/// What a segment ends with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Bytes behind the last frame.
    pub(super) bytes: u64,
    /// Why they are none.
    pub(super) reason: String,
}

impl Walk {
    /// From the beginning of a segment that follows number `prev_seq`.
    pub(super) fn new(file: Arc<SegmentFile>, epoch: u64, prev_seq: u64) -> Self {
        Self { file, epoch, at: SEGMENT_HEAD as u64, last_seq: prev_seq, last_ts_out: 0 }
    }

    /// The next step.
    ///
    /// # Errors
    /// The disk's reasons.
    pub(super) fn next(&mut self) -> Result<Step, TapeError> {
        let fault = match self.frame()? {
            Ok((frame, block)) => return Ok(self.accept(frame, block)),
            Err(Fault::End) => return Ok(Step::End(Tail::default())),
            Err(Fault::Cut) => "the file ends within a block".to_owned(),
            Err(Fault::Bad(reason)) => reason,
        };
        let Some((next, head)) = self.file.resync(self.at + 1, self.epoch, self.last_seq)? else {
            let bytes = self.file.len()?.saturating_sub(self.at);
            return Ok(Step::End(Tail { bytes, reason: fault }));
        };
        // A recorder may have written both while they were looked for.
        if let Ok((frame, block)) = self.frame()? {
            return Ok(self.accept(frame, block));
        }
        Ok(self.damage(fault, next, &head))
    }

    /// The frame here, and its block where it has records.
    fn frame(&self) -> Result<Result<(Frame, Option<Block>), Fault>, TapeError> {
        let frame = match self.file.frame(self.at)? {
            Ok(frame) => frame,
            Err(fault) => return Ok(Err(fault)),
        };
        if frame.head.epoch != self.epoch {
            return Ok(Err(Fault::Bad("a block of another tape".to_owned())));
        }
        if frame.head.prev_seq < self.last_seq {
            return Ok(Err(Fault::Bad("a block that is out of order".to_owned())));
        }
        if frame.head.kind() != Some(Kind::Records) {
            return Ok(Ok((frame, None)));
        }
        Ok(match Block::new(&frame.head, frame.payload.clone()) {
            Ok(block) => Ok((frame, Some(block))),
            Err(reason) => Err(Fault::Bad(reason)),
        })
    }

    fn accept(&mut self, frame: Frame, block: Option<Block>) -> Step {
        if frame.head.prev_seq.get() > self.last_seq {
            let reason = "a block says that there was another one before it".to_owned();
            return self.damage(reason, self.at, &frame.head);
        }
        self.at += frame.head.frame_len();
        self.last_seq = frame.head.last_seq();
        match block {
            Some(block) => {
                self.last_ts_out = block.last_ts_out();
                Step::Records(frame, block)
            }
            None => Step::Other(frame),
        }
    }

    /// What is here can't be read; the frame with this head at `next` can.
    fn damage(&mut self, reason: String, next: u64, head: &Head) -> Step {
        let lost = Loss {
            from_seq: self.last_seq + 1,
            to_seq: head.prev_seq.get(),
            after: self.last_ts_out,
            before: head.first_ts_out.get(),
        };
        let damage = Damage { path: self.file.path.clone(), offset: self.at, reason, lost };
        self.at = next;
        self.last_seq = head.prev_seq.get();
        Step::Damage(Box::new(damage))
    }
}
