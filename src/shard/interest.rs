//! Interest: what one subscription asks for, in the shard's own terms.

use std::sync::Arc;

use crate::shard::cache::{self, Key};
use crate::shard::catalog::Index;
use crate::wire::grant::Scope;
use crate::wire::instrument::bit;
use crate::wire::record::Schema;
use crate::wire::symbols::Pattern;

/// A set of schemas crossed with a set of instruments, at a rate. Two equal interests receive the
/// same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interest {
    /// Mask of schemas.
    pub schemas: u32,
    /// All instruments, those to come included.
    pub all: bool,
    /// The instruments, sorted; empty where `all`.
    pub instruments: Vec<Index>,
    /// Patterns for those to come, sorted.
    pub patterns: Vec<Pattern>,
    /// What patterns may bring; none: whatever they match.
    pub within: Option<Arc<Scope>>,
    /// Of the instruments, those asked for by name beside patterns, sorted.
    pub named: Vec<Index>,
    /// Instruments taken out of the patterns, sorted.
    pub except: Vec<Index>,
    /// Newest states only, this often a second and instrument; 0: every record.
    pub max_rate: u32,
}

impl Interest {
    /// Is this schema asked for?
    pub fn has_schema(&self, schema: Schema) -> bool {
        self.schemas & bit(schema) != 0
    }

    /// Is this instrument asked for?
    pub fn has_instrument(&self, index: Index) -> bool {
        self.all || self.instruments.binary_search(&index).is_ok()
    }

    /// Is this record asked for?
    pub fn covers(&self, schema: Schema, index: Index) -> bool {
        self.has_schema(schema) && self.has_instrument(index)
    }

    /// Are records of this key asked for?
    pub fn asks_for(&self, key: Key) -> bool {
        let (schema, index) = cache::parts(key);
        self.schemas.checked_shr(schema as u32).is_some_and(|rest| rest & 1 == 1)
            && self.has_instrument(index)
    }

    /// Does a pattern ask for this new instrument?
    pub fn wants(&self, index: Index, symbol: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(symbol))
            && self.within.as_ref().is_none_or(|given| given.allows(symbol))
            && self.except.binary_search(&index).is_err()
    }

    /// Takes a new instrument in where a pattern asks for it; was it?
    pub fn welcome(&mut self, index: Index, symbol: &str) -> bool {
        let wanted = self.wants(index, symbol);
        if wanted && let Err(place) = self.instruments.binary_search(&index) {
            self.instruments.insert(place, index);
        }
        wanted
    }

    /// Takes instruments (sorted) out, for good.
    pub fn subtract(&mut self, indices: &[Index]) {
        self.instruments.retain(|index| indices.binary_search(index).is_err());
        self.named.retain(|index| indices.binary_search(index).is_err());
        if !self.patterns.is_empty() {
            self.except.extend_from_slice(indices);
            self.except.sort_unstable();
            self.except.dedup();
        }
    }

    /// How many instruments it asks for, of `known` in all.
    pub fn count(&self, known: usize) -> u32 {
        (if self.all { known } else { self.instruments.len() }) as u32
    }

    /// What is left of `schemas` for those of these instruments (sorted) that are asked for.
    pub fn only(&self, schemas: u32, indices: &[Index]) -> Self {
        let asked = |index: &Index| indices.binary_search(index).is_ok();
        let instruments = self.instruments.iter().copied().filter(asked).collect();
        Self { schemas, instruments, max_rate: self.max_rate, ..Self::default() }
    }

    /// Are both lists of instruments that one could stand for, because all else is the same?
    pub fn may_absorb(&self, other: &Self) -> bool {
        let plain = |interest: &Self| !interest.all && interest.patterns.is_empty();
        let alike = (self.schemas, self.max_rate) == (other.schemas, other.max_rate);
        alike && plain(self) && plain(other)
    }

    /// Takes the instruments of such an interest in.
    pub fn absorb(&mut self, other: Self) {
        self.instruments.extend(other.instruments);
        self.instruments.sort_unstable();
        self.instruments.dedup();
    }

    /// The instruments that no pattern stands for.
    pub fn names(&self) -> impl Iterator<Item = Index> {
        let names = if self.patterns.is_empty() { &self.instruments } else { &self.named };
        names.iter().copied()
    }

    /// Does it ask for nothing any more?
    pub fn is_empty(&self) -> bool {
        let nothing = !self.all && self.instruments.is_empty() && self.patterns.is_empty();
        self.schemas == 0 || nothing
    }

    /// The `n`th instrument, in the order in which a snapshot goes through them.
    pub fn nth(&self, n: usize, known: usize) -> Option<Index> {
        match self.all {
            true => (n < known).then_some(n as Index),
            false => self.instruments.get(n).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::symbols::Symbol;

    #[test]
    fn a_pattern_brings_only_what_is_given() {
        let given = Scope::new([Symbol::new("ES*".to_owned()), Symbol::new("NQZ9".to_owned())]);
        let patterns = vec![Pattern::new("*")];
        let within = Some(Arc::new(given));
        let mut interest = Interest { schemas: 1, patterns, within, ..Interest::default() };
        assert!(interest.welcome(3, "ESH4") && interest.welcome(4, "NQZ9"));
        assert!(!interest.welcome(5, "NQH4") && !interest.has_instrument(5));
    }

    #[test]
    fn what_was_taken_out_of_a_pattern_does_not_come_back() {
        let patterns = vec![Pattern::new("ES*")];
        let mut interest =
            Interest { schemas: 1, instruments: vec![1, 3], patterns, ..Interest::default() };
        interest.subtract(&[3]);
        assert!(!interest.has_instrument(3) && !interest.welcome(3, "ESM4"));
        assert!(interest.welcome(2, "ESU4") && interest.has_instrument(2));
        assert_eq!(interest.instruments, [1, 2]);
    }
}
