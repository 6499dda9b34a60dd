//! An interval of time, and the instruments of which it has something to tell at its end.

use crate::clock::UnixNanos;

/// The open interval of one length on the grid of the epoch.
pub(super) struct Interval {
    length: u64,
    /// Its end, exclusive, ns; 0 before the first record.
    end: UnixNanos,
    /// Places of the instruments it has something of, in the order of their first record in it.
    touched: Vec<u32>,
    /// How many of them have told theirs, while it is being closed.
    told: usize,
}

impl Interval {
    pub(super) fn new(length: u64) -> Self {
        Self { length, end: 0, touched: Vec::new(), told: 0 }
    }

    /// Notes an instrument that has something to tell of this interval for the first time.
    #[inline]
    pub(super) fn touch(&mut self, place: u32, first: bool) {
        if first {
            self.touched.push(place);
        }
    }

    /// Its end, where it has something to tell.
    pub(super) fn deadline(&self) -> Option<UnixNanos> {
        (!self.touched.is_empty()).then_some(self.end)
    }

    /// Is it known where time stands?
    pub(super) fn is_set(&self) -> bool {
        self.end != 0
    }

    /// Is it the interval of `now`?
    #[inline]
    pub(super) fn is_open_at(&self, now: UnixNanos) -> bool {
        now < self.end
    }

    /// If it is over at `now`, lets each instrument `tell` (its end, the place) what it has, and
    /// opens the interval of `now`. False where one could not; the next call goes on with that one.
    #[inline]
    pub(super) fn close(
        &mut self,
        now: UnixNanos,
        mut tell: impl FnMut(UnixNanos, u32) -> bool,
    ) -> bool {
        if self.is_open_at(now) {
            return true;
        }
        for place in &self.touched[self.told..] {
            if !tell(self.end, *place) {
                return false;
            }
            self.told += 1;
        }
        self.touched.clear();
        self.told = 0;
        self.end = (now - now % self.length).saturating_add(self.length);
        true
    }
}
