//! What has come of a message that is not whole: kept on the side, given up with its last byte.

use std::borrow::Cow;

use arrayvec::ArrayVec;

use super::event::{Event, whole};
use super::head::{HEAD_MAX, Head, Violation};
use super::read::take;
use crate::limits::{EMPTY_FRAGMENTS, WS_CONTROL_MAX};
use crate::wire::frame::Opcode;

/// What has come of a message that is not whole.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// A head that is cut. Empty while `frame` is.
    pub(super) head: ArrayVec<u8, HEAD_MAX>,
    /// A frame whose payload is cut, and how much of that has come.
    pub(super) frame: Option<(Head, u64)>,
    /// The payload of a control frame that is cut.
    control: ArrayVec<u8, WS_CONTROL_MAX>,
    /// The payloads of a message's frames, so far.
    message: Option<Message>,
}

/// Text or binary. Invariant of a text: `bytes[..valid]` is UTF-8, what is behind may become so.
#[derive(Debug)]
struct Message {
    opcode: Opcode,
    bytes: Vec<u8>,
    valid: usize,
    /// Fragments without payload.
    empty: u32,
}

impl Partial {
    /// Bytes of the message whose continuation is waited for.
    pub(super) fn held(&self) -> Option<usize> {
        self.message.as_ref().map(|message| message.bytes.len())
    }

    /// Is there nothing left to keep?
    pub(super) fn is_idle(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Moves bytes of the input to the head that is cut, up to its end.
    pub(super) fn more_of_head(
        &mut self,
        input: &mut &mut [u8],
        open: bool,
    ) -> Result<Option<Head>, Violation> {
        while let [byte] = take(input, 1) {
            self.head.push(*byte);
            if let Some(head) = Head::parse(&self.head, open)? {
                self.head.clear();
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Keeps a piece of a frame's payload; `ends`: the last one of the frame.
    pub(super) fn append(
        &mut self,
        head: &Head,
        piece: &[u8],
        ends: bool,
    ) -> Result<Option<Event<'static>>, Violation> {
        if piece.is_empty() && !ends {
            // Cut behind its head, a frame may yet come whole, and leave no message open.
            return Ok(None);
        }
        if head.opcode.is_control() {
            self.control.extend(piece.iter().copied());
            let payload = ends.then(|| std::mem::take(&mut self.control).to_vec());
            return payload.map(|bytes| whole(head.opcode, Cow::Owned(bytes))).transpose();
        }
        let message = self.message.get_or_insert_with(|| Message::new(head.opcode));
        message.append(piece)?;
        if !(ends && head.last) {
            return message.count_empty(head).map(|()| None);
        }
        let whole_one =
            self.message.take().map(|message| whole(message.opcode, message.bytes.into()));
        whole_one.transpose()
    }
}

impl Message {
    const fn new(opcode: Opcode) -> Self {
        Self { opcode, bytes: Vec::new(), valid: 0, empty: 0 }
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(piece);
        if self.opcode != Opcode::Text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.valid..]) {
            Ok(_) => self.valid = self.bytes.len(),
            Err(cut) if cut.error_len().is_none() => self.valid += cut.valid_up_to(),
            Err(_) => return Err(Violation::BadUtf8),
        }
        Ok(())
    }

    fn count_empty(&mut self, head: &Head) -> Result<(), Violation> {
        self.empty += u32::from(head.len == 0);
        if self.empty > EMPTY_FRAGMENTS {
            return Err(Violation::EmptyFragments(EMPTY_FRAGMENTS));
        }
        Ok(())
    }
}
