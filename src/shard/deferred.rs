//! Requests that have to wait until their connection is live, bounded in number and in bytes.

use std::collections::VecDeque;

use crate::clock::UnixNanos;
use crate::limits::DEFERRED_BYTES;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::request::Request;

/// Requests that wait, first first.
#[derive(Default)]
pub struct Deferred {
    requests: VecDeque<Waiting>,
    /// Bytes of their texts.
    bytes: usize,
}

/// A request, as it came.
pub struct Waiting {
    /// What it asks for.
    pub request: Request,
    /// When it came.
    pub time_in: UnixNanos,
    /// Bytes of its text.
    pub bytes: usize,
}

impl Deferred {
    /// Whether a request of so many bytes may wait behind the others, of at most so many.
    ///
    /// # Errors
    /// As many wait as may, or as many bytes.
    pub fn admit(&self, bytes: usize, most: usize) -> Result<(), ControlError> {
        let count = self.requests.len();
        if count < most && (count == 0 || self.bytes + bytes <= DEFERRED_BYTES) {
            return Ok(());
        }
        let words = format!("{count} requests of {} bytes wait already: first read on", self.bytes);
        Err(ControlError::new(ErrorCode::TooManyRequests, words))
    }

    /// Lets it wait behind the others.
    pub fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.requests.push_back(waiting);
    }

    /// Lets one wait on that had its turn.
    pub fn put_back(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.requests.push_front(waiting);
    }

    /// The one that has waited longest.
    pub fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.requests.pop_front()?;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }
}
