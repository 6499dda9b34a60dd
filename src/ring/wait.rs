//! How idle readers sleep, and how the writer wakes them for the price of one wake-up.
//!
//! A wake-up costs the writer some 10 µs. So it wakes one sleeper, who wakes the next: a chain.
//! While a chain is on its way the writer leaves those in it alone.
//!
//! Invariants
//! 1. A reader whose bit is in `parked` sleeps or is about to look for news once more. Whoever
//!    clears the bit wakes it, unless it did so itself.
//! 2. A reader whose bit is in `chain` has somebody to wake it: the writer, in the midst of
//!    [`Waits::notify`], or a reader that has been woken and not yet passed the chain on.
//!
//! No wake-up is lost. A reader sets its bit, fences and looks for news; the writer commits, fences
//! and looks for bits: sequentially consistent fences, so one of them sees all that the other did
//! before. Clearing a bit of `parked` acquires and releases: who finds its own cleared sees the
//! `chain` that it has to pass on.

use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::{Arc, OnceLock};

use crossbeam::utils::CachePadded;

use super::sync::{AtomicU64, fence};
use crate::limits::SHARDS_MAX;

/// Something that ends a reader's sleep, now or the next one if it does not sleep yet.
pub trait Wake: Send + Sync {
    /// Ends it. Called from any thread.
    fn wake(&self);
}

/// The sleepers of one ring, one bit a reader.
pub struct Waits {
    masks: CachePadded<Masks>,
    /// May readers sleep? Settled once: by the first that registers, or by a writer that wakes
    /// none.
    sleepers: OnceLock<bool>,
    wakes: [OnceLock<Arc<dyn Wake>>; SHARDS_MAX],
}

struct Masks {
    /// Who sleeps (invariant 1).
    parked: AtomicU64,
    /// Who will be woken by whom the writer has woken (invariant 2).
    chain: AtomicU64,
}

impl Waits {
    pub(super) fn new() -> Self {
        let masks = Masks { parked: AtomicU64::new(0), chain: AtomicU64::new(0) };
        let wakes = std::array::from_fn(|_| OnceLock::new());
        Self { masks: CachePadded::new(masks), sleepers: OnceLock::new(), wakes }
    }

    /// Nobody will ever sleep here.
    ///
    /// # Panics
    /// Where a reader has registered.
    pub(super) fn forbid(&self) {
        assert!(!*self.sleepers.get_or_init(|| false), "a reader that may sleep is registered");
    }

    /// Says what wakes reader `id`, once and for all: a reader that starts again keeps it.
    ///
    /// # Panics
    /// Where `id` is not below `SHARDS_MAX`, or registered already, or the writer wakes nobody.
    pub fn register(&self, id: usize, wake: Arc<dyn Wake>) {
        assert!(*self.sleepers.get_or_init(|| true), "the writer of this ring wakes nobody");
        assert!(self.wakes[id].set(wake).is_ok(), "reader {id} is registered already");
    }

    /// Announces that reader `id` is going to sleep. None where `has_news` says that it must not;
    /// else it may block until woken, and drops the guard when it goes on.
    ///
    /// # Panics
    /// Where `id` has not been registered: nobody could wake it.
    pub fn park(self: &Arc<Self>, id: usize, has_news: impl FnOnce() -> bool) -> Option<Parked> {
        assert!(self.wakes[id].get().is_some(), "reader {id} is not registered");
        self.masks.parked.fetch_or(1 << id, AcqRel);
        let parked = Parked { waits: self.clone(), id };
        fence(SeqCst);
        if has_news() {
            return None;
        }
        Some(parked)
    }

    /// Wakes who sleeps. The writer calls it after each commit.
    #[inline]
    pub(super) fn notify(&self) {
        fence(SeqCst);
        let parked = self.masks.parked.load(Relaxed);
        if parked != 0 {
            self.start_chain(parked);
        }
    }

    #[cold]
    fn start_chain(&self, parked: u64) {
        let unattended = parked & !self.masks.chain.load(Relaxed);
        if unattended != 0 {
            self.masks.chain.fetch_or(unattended, AcqRel);
            self.pass_on();
        }
    }

    /// Wakes the next of the chain who still sleeps.
    fn pass_on(&self) {
        loop {
            let chain = self.masks.chain.load(Relaxed);
            if chain == 0 {
                return;
            }
            let id = chain.trailing_zeros() as usize;
            self.masks.chain.fetch_and(!(1 << id), AcqRel);
            if let (true, Some(wake)) = (self.unpark(id), self.wakes[id].get()) {
                return wake.wake();
            }
        }
    }

    /// Clears the bit of reader `id` in `parked`. Was it set?
    fn unpark(&self, id: usize) -> bool {
        self.masks.parked.fetch_and(!(1 << id), AcqRel) & (1 << id) != 0
    }
}

/// A reader that sleeps. Dropped when it goes on, whatever woke it.
#[must_use]
pub struct Parked {
    waits: Arc<Waits>,
    id: usize,
}

impl Drop for Parked {
    /// Whoever was woken by another wakes the next.
    fn drop(&mut self) {
        if !self.waits.unpark(self.id) {
            self.waits.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Says(usize, Sender<usize>);

    impl Wake for Says {
        fn wake(&self) {
            self.1.send(self.0).unwrap();
        }
    }

    #[test]
    fn the_writer_wakes_one_who_wakes_the_next() {
        let waits = Arc::new(Waits::new());
        let (says, woken) = channel();
        for id in [3, 5, 63] {
            waits.register(id, Arc::new(Says(id, says.clone())));
        }
        assert!(waits.park(5, || true).is_none(), "there is news");
        let [three, last] = [3, 63].map(|id| waits.park(id, || false));
        waits.notify();
        waits.notify();
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [3]);
        drop(three);
        assert_eq!(woken.try_iter().collect::<Vec<_>>(), [63]);
        drop(last);
        waits.notify();
        assert_eq!(woken.try_iter().count(), 0, "nobody sleeps");
    }

    #[test]
    #[should_panic(expected = "wakes nobody")]
    fn nobody_may_sleep_where_nobody_is_woken() {
        let waits = Waits::new();
        waits.forbid();
        waits.register(0, Arc::new(Says(0, channel().0)));
    }

    #[test]
    #[should_panic(expected = "may sleep")]
    fn who_may_sleep_is_woken() {
        let waits = Waits::new();
        waits.register(0, Arc::new(Says(0, channel().0)));
        waits.forbid();
    }

    #[test]
    fn one_that_wakes_by_itself_is_left_alone() {
        let waits = Arc::new(Waits::new());
        let (says, woken) = channel();
        waits.register(0, Arc::new(Says(0, says)));
        drop(waits.park(0, || false));
        waits.notify();
        assert_eq!(woken.try_iter().count(), 0);
    }
}
