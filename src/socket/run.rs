//! A run of whole WebSocket frames that wait for the kernel: what they are decides what becomes of
//! them.

use std::ops::Range;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::shared::Shared;

/// Whole frames of one kind; the first one may have been begun.
#[derive(Debug)]
pub(super) enum Run {
    /// Data that others may hold as well, and whether it stays when the queue is full.
    Data { shared: Rc<Shared>, range: Range<usize>, sealed: bool },
    /// Text and control frames of this connection alone.
    Note(Bytes),
    /// A note that says how much data stands before it, and goes with that.
    Count(Bytes),
    /// Data of this connection alone, which has no cursor and is not dropped.
    Own(Bytes),
    /// Notes that overtake, in their order, as one run: thousands may come with one read.
    Urgent(BytesMut),
}

impl Run {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Data { shared, range, .. } => &shared.bytes[range.clone()],
            Self::Note(bytes) | Self::Count(bytes) | Self::Own(bytes) => bytes,
            Self::Urgent(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// The keys of its records after the first `begun` bytes, which end a frame; none where sealed.
    pub(super) fn keys(&self, begun: usize) -> &[u32] {
        match self {
            Self::Note(_) | Self::Count(_) | Self::Own(_) | Self::Urgent(_) => &[],
            Self::Data { sealed: true, .. } => &[],
            Self::Data { shared, range, .. } => {
                let from = shared.records_before(range.start + begun);
                &shared.keys[from..shared.records_before(range.end)]
            }
        }
    }

    /// Bytes of notes in it.
    pub(super) fn note_len(&self) -> usize {
        match self {
            Self::Data { .. } | Self::Own(_) => 0,
            Self::Note(_) | Self::Count(_) | Self::Urgent(_) => self.len(),
        }
    }

    /// The position of one who has got its first `begun` bytes, which end a frame.
    pub(super) fn position(&self, begun: usize) -> Option<u64> {
        match self {
            Self::Data { shared, range, .. } => Some(shared.position(range.start + begun)),
            Self::Note(_) | Self::Count(_) | Self::Own(_) | Self::Urgent(_) => None,
        }
    }

    /// Takes the first `n` bytes off.
    pub(super) fn split_to(&mut self, n: usize) -> Self {
        match self {
            Self::Data { shared, range, sealed } => {
                let head = range.start..range.start + n;
                range.start = head.end;
                Self::Data { shared: shared.clone(), range: head, sealed: *sealed }
            }
            Self::Note(bytes) => Self::Note(bytes.split_to(n)),
            Self::Count(bytes) => Self::Count(bytes.split_to(n)),
            Self::Own(bytes) => Self::Own(bytes.split_to(n)),
            Self::Urgent(bytes) => Self::Urgent(bytes.split_to(n)),
        }
    }
}

/// The whole length of the server frame that starts `bytes`.
pub(super) fn frame_length(bytes: &[u8]) -> usize {
    match bytes[1] & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]])),
        127 => {
            let mut length = [0; 8];
            length.copy_from_slice(&bytes[2..10]);
            10 + u64::from_be_bytes(length) as usize
        }
        short => 2 + usize::from(short),
    }
}

/// Bytes missing to the end of the frame that byte `at` of `frames` lies in; 0 between two frames.
pub(super) fn missing(frames: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        end += frame_length(&frames[end..]);
    }
    end - at
}
