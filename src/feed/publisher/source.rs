//! A feed as the publisher polls it: one that panics has failed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::clock::UnixNanos;
use crate::feed::{Batch, Feed, Next};

/// A feed, and when it is polled next.
pub(super) struct Source {
    pub(super) feed: Box<dyn Feed>,
    pub(super) next: Next,
    /// Why it can bring no more, where it has not ended in order.
    pub(super) failure: Option<String>,
}

impl Source {
    /// To be polled at once.
    pub(super) fn new(feed: Box<dyn Feed>) -> Self {
        Self { feed, next: Next::Ready, failure: None }
    }

    /// Polls it. What it appended before it failed, or panicked, are whole records.
    pub(super) fn poll(&mut self, time: UnixNanos, out: &mut Batch) -> Next {
        let Self { feed, failure, .. } = self;
        let polled = catch_unwind(AssertUnwindSafe(|| feed.poll(time, out)));
        self.next = match polled {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => {
                *failure = Some(error.to_string());
                Next::Ended
            }
            Err(panic) => {
                *failure = Some(format!("{}: it panicked: {}", feed.name(), words_of(&*panic)));
                Next::Ended
            }
        };
        self.next
    }
}

/// What a panic said.
pub(super) fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}
