//! Is an update missing? Binance numbers its updates of a book: a message says which ones it holds
//! (`U` to `u`), on futures which one came before (`pu`).

use super::event::Chain;

/// The chain of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The last update that was seen.
    last: Option<u64>,
    /// Updates up to here are in the snapshot that came last.
    snapshot: u64,
}

/// What a message is to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It comes next, or nothing is known that it could not follow.
    Next,
    /// It is older than the snapshot, or than what has come.
    Stale,
    /// What came before it is missing.
    Gap {
        /// The update that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

impl Link {
    /// Takes in a message.
    pub(super) fn follow(&mut self, chain: Chain) -> Fit {
        let (Some(first), Some(last)) = (chain.first, chain.last) else { return Fit::Next };
        let before = self.last;
        if before.is_some_and(|before| last <= before) {
            return Fit::Stale;
        }
        self.last = Some(last);
        let fit = match (before, chain.previous) {
            (Some(before), Some(previous)) if previous != before => {
                Fit::Gap { expected: before, found: previous }
            }
            (Some(before), None) if first > before.saturating_add(1) => {
                Fit::Gap { expected: before + 1, found: first }
            }
            _ => Fit::Next,
        };
        if fit == Fit::Next && last <= self.snapshot { Fit::Stale } else { fit }
    }

    /// A snapshot came, which holds all up to this update.
    pub(super) fn snapshot(&mut self, last: u64) {
        self.snapshot = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(first: u64, last: u64) -> Chain {
        Chain { first: Some(first), last: Some(last), previous: None }
    }

    fn futures(first: u64, last: u64, previous: u64) -> Chain {
        Chain { previous: Some(previous), ..spot(first, last) }
    }

    #[test]
    fn spot_counts_without_a_hole() {
        let mut link = Link::default();
        let fits =
            [(5, 7), (8, 8), (10, 11), (9, 11), (12, 12)].map(|(a, b)| link.follow(spot(a, b)));
        let gap = Fit::Gap { expected: 9, found: 10 };
        assert_eq!(fits, [Fit::Next, Fit::Next, gap, Fit::Stale, Fit::Next]);
    }

    #[test]
    fn futures_name_the_one_before() {
        let mut link = Link::default();
        let fits =
            [(5, 7, 2), (20, 21, 7), (30, 31, 22)].map(|(a, b, c)| link.follow(futures(a, b, c)));
        assert_eq!(fits, [Fit::Next, Fit::Next, Fit::Gap { expected: 21, found: 22 }]);
    }

    #[test]
    fn what_a_snapshot_holds_is_stale() {
        let mut link = Link::default();
        link.snapshot(10);
        let fits = [(8, 9), (10, 12)].map(|(a, b)| link.follow(spot(a, b)));
        assert_eq!(fits, [Fit::Stale, Fit::Next]);
        assert_eq!(link.follow(Chain::default()), Fit::Next);
    }
}
