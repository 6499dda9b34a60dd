//! Line arbitration: of the packets of one stream, which come twice, late, or not at all, each
//! once and in the order of their numbers.
//!
//! A packet ahead of its turn waits, until those before it have come or so many wait that they
//! won't come any more: then the hole is told. What waits is bounded in packets and bytes.

use std::collections::BTreeMap;

use crate::clock::UnixNanos;
use crate::limits::{HELD_BYTES_MAX, HELD_PACKETS_MAX};

/// A packet, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it was captured.
    pub time: UnixNanos,
    /// Its first number.
    pub sequence: u64,
    /// How many numbers it has.
    pub count: u64,
    /// The whole packet, its header included.
    pub bytes: Vec<u8>,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is its turn, but for the first so many messages, which have been.
    Take(u64),
    /// All of it has been.
    Duplicate,
    /// It waits for those before it, or has nothing.
    Wait,
}

/// Numbers that never came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: u64,
    /// How many.
    pub count: u64,
}

/// One stream.
#[derive(Debug, Default)]
pub struct Arbiter {
    /// The number whose turn it is; none before the first packet.
    next: Option<u64>,
    held: BTreeMap<u64, Held>,
    bytes: usize,
}

impl Arbiter {
    /// Judges a packet with `count` numbers from `sequence` on.
    pub fn judge(&self, sequence: u64, count: u64) -> Verdict {
        let next = self.next.unwrap_or(sequence);
        if sequence > next {
            return Verdict::Wait;
        }
        let have = next - sequence;
        match count {
            0 => Verdict::Wait,
            _ if have >= count => Verdict::Duplicate,
            _ => Verdict::Take(have),
        }
    }

    /// A packet was taken.
    pub fn took(&mut self, sequence: u64, count: u64) {
        self.next = Some(sequence.saturating_add(count));
    }

    /// The number whose turn it is.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Keeps a packet ahead of its turn; false where one with this number waits already.
    pub fn hold(&mut self, packet: Held) -> bool {
        if self.held.get(&packet.sequence).is_some_and(|held| held.count >= packet.count) {
            return false;
        }
        self.bytes += packet.bytes.len();
        if let Some(shorter) = self.held.insert(packet.sequence, packet) {
            self.bytes -= shorter.bytes.len();
        }
        true
    }

    /// A packet that waited and whose turn it is, or that has been overtaken.
    pub fn release(&mut self) -> Option<Held> {
        let first = self.held.first_key_value()?;
        let due = self.next.is_none_or(|next| *first.0 <= next);
        due.then(|| self.pop()).flatten()
    }

    /// Where more wait than may, or at the end of all: the hole before the first of them, which
    /// then is past.
    pub fn give_up(&mut self, end: bool) -> Option<Gap> {
        let full = self.held.len() > HELD_PACKETS_MAX || self.bytes > HELD_BYTES_MAX;
        let first = *self.held.first_key_value()?.0;
        let from = self.next?;
        if !(full || end) || first <= from {
            return None;
        }
        self.next = Some(first);
        Some(Gap { from, count: first - from })
    }

    fn pop(&mut self) -> Option<Held> {
        let (_, held) = self.held.pop_first()?;
        self.bytes -= held.bytes.len();
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Puts packets (first number, count) in order: what is taken, the holes, the duplicates.
    fn arbitrate(packets: &[(u64, u64)]) -> (Vec<u64>, Vec<Gap>, u64) {
        let (mut arbiter, mut taken, mut gaps, mut twice) =
            (Arbiter::default(), Vec::new(), Vec::new(), 0);
        let mut offer = |arbiter: &mut Arbiter, sequence: u64, count: u64| match arbiter
            .judge(sequence, count)
        {
            Verdict::Take(skip) => {
                taken.extend(sequence + skip..sequence + count);
                arbiter.took(sequence, count);
            }
            Verdict::Duplicate => twice += 1,
            Verdict::Wait => {
                let held = Held { time: 0, sequence, count, bytes: vec![0; 10] };
                twice += u64::from(count > 0 && !arbiter.hold(held));
            }
        };
        for &(sequence, count) in packets {
            offer(&mut arbiter, sequence, count);
            while let Some(held) = arbiter.release() {
                offer(&mut arbiter, held.sequence, held.count);
            }
        }
        while let Some(gap) = arbiter.give_up(true) {
            gaps.push(gap);
            while let Some(held) = arbiter.release() {
                offer(&mut arbiter, held.sequence, held.count);
            }
        }
        (taken, gaps, twice)
    }

    #[test]
    fn the_second_line_fills_the_first() {
        let lines = [(1, 2), (1, 2), (5, 1), (3, 2), (3, 2), (5, 1), (6, 1)];
        assert_eq!(arbitrate(&lines), ((1..=6).collect(), vec![], 3));
    }

    #[test]
    fn what_never_came_is_told() {
        let gap = Gap { from: 3, count: 2 };
        assert_eq!(arbitrate(&[(1, 2), (5, 2), (7, 0)]), (vec![1, 2, 5, 6], vec![gap], 0));
    }

    #[test]
    fn packets_that_overlap_give_what_is_new() {
        assert_eq!(arbitrate(&[(1, 3), (2, 4), (4, 1)]), ((1..=5).collect(), vec![], 1));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut arbiter = Arbiter::default();
        arbiter.took(1, 1);
        for sequence in 3.. {
            arbiter.hold(Held { time: 0, sequence, count: 1, bytes: vec![0; 1 << 10] });
            if let Some(gap) = arbiter.give_up(false) {
                assert_eq!(gap, Gap { from: 2, count: 1 });
                break;
            }
            assert!(sequence < 3 + 2 * HELD_PACKETS_MAX as u64);
        }
        assert_eq!(arbiter.release().unwrap().sequence, 3);
    }

    proptest! {
        #[test]
        fn any_two_lines_give_each_number_once(
            lost in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..200),
            late in 0_usize..8,
        ) {
            let mut packets = vec![(0, 1)];
            for (at, (a, b)) in lost.iter().enumerate() {
                if !a { packets.push((at as u64 + 1, 1)); }
                if !b && at >= late { packets.push(((at - late) as u64 + 1, 1)); }
            }
            let (taken, gaps, _) = arbitrate(&packets);
            prop_assert!(taken.is_sorted_by(|a, b| a < b), "{taken:?}");
            let all: std::collections::BTreeSet<u64> = packets.iter().map(|p| p.0).collect();
            prop_assert_eq!(taken.iter().copied().collect::<std::collections::BTreeSet<_>>(), all);
            let missing: u64 = gaps.iter().map(|gap| gap.count).sum();
            let last = taken.last().copied().unwrap_or_default();
            prop_assert_eq!(last + 1, taken.len() as u64 + missing);
        }
    }
}
