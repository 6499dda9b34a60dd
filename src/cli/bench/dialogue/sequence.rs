//! What the numbers of the records that one connection received tell: lost, duplicated, reordered.

use std::ops::Range;

/// Holes that are remembered; a record that comes later than that counts as duplicated.
const HOLES: usize = 1024;

/// How the numbers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steps {
    /// By one: a number that is left out is a record that is missing.
    ByOne,
    /// Upward: of a stream of which only a part was asked for.
    Upward,
}

/// The numbers of one connection.
#[derive(Debug)]
pub(crate) struct Sequence {
    steps: Steps,
    first: u64,
    /// One above the largest number; none before the first.
    next: Option<u64>,
    /// Numbers below `next` that have not come, in order.
    holes: Vec<Range<u64>>,
    pub(crate) gaps: u64,
    pub(crate) missing: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
}

impl Sequence {
    pub(crate) fn new(steps: Steps) -> Self {
        let holes = Vec::new();
        Self {
            steps,
            first: 0,
            next: None,
            holes,
            gaps: 0,
            missing: 0,
            duplicates: 0,
            reordered: 0,
        }
    }

    /// A record came.
    #[inline]
    pub(crate) fn see(&mut self, number: u64) {
        if self.next == Some(number) {
            self.next = Some(number + 1);
        } else {
            self.out_of_step(number);
        }
    }

    /// A record came of which the lower half of the number is known.
    #[inline]
    pub(crate) fn see_low(&mut self, low: u32) {
        // One epoch of 2^32 lies below the first number, so that nothing is below 0.
        let next = self.next.unwrap_or(1 << 32 | u64::from(low));
        let ahead = low.wrapping_sub(next as u32).cast_signed();
        self.see(next.saturating_add_signed(ahead.into()));
    }

    #[cold]
    fn out_of_step(&mut self, number: u64) {
        let above = number.saturating_add(1);
        match self.next {
            None => (self.first, self.next) = (number, Some(above)),
            Some(next) if number > next => {
                self.next = Some(above);
                self.skipped(next..number);
            }
            Some(next) => self.late(number, next),
        }
    }

    fn skipped(&mut self, hole: Range<u64>) {
        if self.steps == Steps::Upward {
            return;
        }
        self.gaps += 1;
        self.missing += hole.end - hole.start;
        if self.holes.len() == HOLES {
            self.holes.remove(0);
        }
        self.holes.push(hole);
    }

    /// A number below the largest: one that was waited for, or one that had come.
    fn late(&mut self, number: u64, next: u64) {
        if let Some(at) = self.holes.iter().position(|hole| hole.contains(&number)) {
            self.reordered += 1;
            self.missing -= 1;
            self.fill(at, number);
        } else if number < self.first || self.steps == Steps::Upward && number + 1 < next {
            self.reordered += 1;
        } else {
            self.duplicates += 1;
        }
    }

    /// What is left of a hole when one of its numbers has come.
    fn fill(&mut self, at: usize, number: u64) {
        let hole = self.holes.remove(at);
        let parts = [hole.start..number, number + 1..hole.end];
        let left = parts.into_iter().filter(|part| !part.is_empty());
        let before = self.holes.len();
        self.holes.splice(at..at, left);
        self.gaps = self.gaps + (self.holes.len() - before) as u64 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(steps: Steps, numbers: &[u64]) -> [u64; 4] {
        let mut sequence = Sequence::new(steps);
        numbers.iter().for_each(|number| sequence.see(*number));
        let Sequence { gaps, missing, duplicates, reordered, .. } = sequence;
        [gaps, missing, duplicates, reordered]
    }

    #[test]
    fn each_number_is_one_of_four_things() {
        let by_one = |numbers: &[u64]| seen(Steps::ByOne, numbers);
        assert_eq!(by_one(&[7, 8, 9]), [0, 0, 0, 0]);
        assert_eq!(by_one(&[7, 11, 12, 14]), [2, 4, 0, 0]);
        assert_eq!(by_one(&[7, 8, 8, 7]), [0, 0, 2, 0]);
        assert_eq!(by_one(&[7, 6, 8]), [0, 0, 0, 1]);
        // A number that comes late was not lost, and a second time it is a duplicate.
        assert_eq!(by_one(&[1, 5, 3, 3]), [2, 2, 1, 1]);
        assert_eq!(by_one(&[1, 5, 2, 4, 3]), [0, 0, 0, 3]);
    }

    #[test]
    fn parts_of_a_stream_only_go_upward() {
        assert_eq!(seen(Steps::Upward, &[1, 5, 9, 9, 5, 10]), [0, 0, 1, 1]);
    }

    #[test]
    fn half_numbers_wrap_around() {
        let mut sequence = Sequence::new(Steps::ByOne);
        for low in [u32::MAX - 1, u32::MAX, 0, 1, 3, 2] {
            sequence.see_low(low);
        }
        assert_eq!((sequence.missing, sequence.reordered, sequence.duplicates), (0, 1, 0));
    }

    #[test]
    fn holes_that_are_forgotten_stay_missing() {
        let mut sequence = Sequence::new(Steps::ByOne);
        (0..=HOLES as u64 + 1).for_each(|n| sequence.see(2 * n));
        sequence.see(1);
        let missing = HOLES as u64 + 1;
        assert_eq!((sequence.missing, sequence.duplicates), (missing, 1));
    }
}
