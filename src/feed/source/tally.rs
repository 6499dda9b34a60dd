//! What became of a recording's messages: counted by kind, skipped with the reason, found odd.

use crate::limits::FINDINGS_SHOWN;

/// The finding of a file that lacks its end: what came before counts.
pub(in crate::feed) const CUT: &str = "files that end within a message";

/// The counts of one recording. Kinds and reasons are few and fixed, so they are searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages by kind.
    pub messages: Vec<(&'static str, u64)>,
    /// Those of them that became no record: kind, reason, how many.
    pub skipped: Vec<(&'static str, &'static str, u64)>,
    /// What was odd about it.
    pub findings: Vec<Finding>,
}

/// Something odd, how often, and the first places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How often, or how many.
    pub count: u64,
    /// The first times, for people.
    pub places: Vec<String>,
}

impl Tally {
    /// Counts a message.
    #[inline]
    pub(crate) fn message(&mut self, kind: &'static str) {
        match self.messages.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.messages.push((kind, 1)),
        }
    }

    /// Counts a message that becomes no record.
    pub(crate) fn skip(&mut self, kind: &'static str, reason: &'static str) {
        match self.skipped.iter_mut().find(|(k, r, _)| *k == kind && *r == reason) {
            Some((.., count)) => *count += 1,
            None => self.skipped.push((kind, reason, 1)),
        }
    }

    /// Counts something odd; `place` says where, and is asked for the first few times.
    pub(crate) fn find(&mut self, what: &'static str, count: u64, place: impl FnOnce() -> String) {
        let at = self.findings.iter().position(|finding| finding.what == what);
        let at = at.unwrap_or_else(|| {
            self.findings.push(Finding { what, count: 0, places: Vec::new() });
            self.findings.len() - 1
        });
        let finding = &mut self.findings[at];
        // A packet may claim any number, and what lies before it be missing.
        finding.count = finding.count.saturating_add(count);
        if finding.places.len() < FINDINGS_SHOWN {
            finding.places.push(place());
        }
    }

    /// How many messages of a kind there were.
    pub fn of(&self, kind: &str) -> u64 {
        self.messages.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count)
    }

    /// How often something was found.
    pub fn found(&self, what: &str) -> u64 {
        self.findings.iter().find(|f| f.what == what).map_or(0, |f| f.count)
    }

    /// All messages.
    pub fn total(&self) -> u64 {
        self.messages.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_counts_are_not() {
        let mut tally = Tally::default();
        for n in 0..100 {
            tally.message(if n % 2 == 0 { "even" } else { "odd" });
            tally.find("gaps", 2, || format!("at {n}"));
            tally.skip("odd", "is odd");
        }
        assert_eq!((tally.of("even"), tally.total(), tally.found("gaps")), (50, 100, 200));
        assert_eq!(tally.findings[0].places.len(), FINDINGS_SHOWN);
        assert_eq!(tally.skipped, [("odd", "is odd", 100)]);
    }
}
