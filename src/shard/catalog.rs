//! A shard's own view of the instruments: dense indices, found by id, by symbol and by pattern.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::shard::interest::Interest;
use crate::wire::error::ErrorCode;
use crate::wire::grant::Scope;
use crate::wire::instrument::{Directory, Instrument};
use crate::wire::symbols::{Pattern, Symbol, Symbols};

/// An instrument's place in the directory, dense from 0.
pub type Index = u32;

/// A symbol that was asked for and is not in what comes of that, and why.
pub type Rejected = (String, ErrorCode);

/// What this shard has seen of the [`Directory`].
pub struct Catalog {
    directory: Arc<Directory>,
    all: Vec<Arc<Instrument>>,
    by_id: HashMap<u32, Index, FixedState>,
    by_symbol: BTreeMap<String, Vec<Index>>,
}

impl Catalog {
    /// What it is a view of.
    pub(super) fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }

    /// A view of `directory` as it is now.
    pub fn new(directory: Arc<Directory>) -> Self {
        let by_id = HashMap::with_hasher(FixedState::default());
        let mut catalog = Self { directory, all: Vec::new(), by_id, by_symbol: BTreeMap::new() };
        catalog.sync();
        catalog
    }

    /// Takes in what has been registered since, and returns the indices of that.
    pub fn sync(&mut self) -> std::ops::Range<Index> {
        let from = self.all.len();
        for instrument in self.directory.since(from) {
            let index = self.all.len() as Index;
            self.by_id.insert(instrument.id, index);
            self.by_symbol.entry(instrument.symbol.clone()).or_default().push(index);
            self.all.push(instrument);
        }
        from as Index..self.all.len() as Index
    }

    /// The index of an instrument id.
    #[inline]
    pub fn index(&self, id: u32) -> Option<Index> {
        self.by_id.get(&id).copied()
    }

    /// The instrument at an index that this catalog has given.
    pub fn get(&self, index: Index) -> &Instrument {
        &self.all[index as usize]
    }

    /// Are these all that it knows, in their order?
    pub fn holds(&self, instruments: &[Instrument]) -> bool {
        self.all.len() == instruments.len()
            && self.all.iter().zip(instruments).all(|(known, other)| **known == *other)
    }

    /// How many it knows.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The instruments of one symbol.
    pub fn named(&self, symbol: &str) -> &[Index] {
        self.by_symbol.get(symbol).map_or(&[], Vec::as_slice)
    }

    /// The instruments whose symbols match `pattern`; looks at those that share what stands before
    /// its first `*`.
    pub fn matching(&self, pattern: &Pattern) -> Vec<Index> {
        let prefix = pattern.prefix();
        let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix), Bound::Unbounded);
        self.by_symbol
            .range::<str, _>(from)
            .take_while(|(symbol, _)| symbol.starts_with(prefix))
            .filter(|(symbol, _)| pattern.matches(symbol))
            .flat_map(|(_, indices)| indices.iter().copied())
            .collect()
    }

    /// Adds the instruments that are asked for, and given, to an interest that has none; what is
    /// not in it, and why.
    pub fn ask(
        &self,
        symbols: &Symbols,
        given: Option<&Arc<Scope>>,
        interest: &mut Interest,
    ) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        let unknown = |name| (name, ErrorCode::UnknownSymbol);
        match (symbols, given) {
            (Symbols::All, None) => interest.all = true,
            (Symbols::All, Some(given)) => {
                interest.instruments = self.within(given);
                interest.patterns = vec![Pattern::new("*")];
            }
            (Symbols::Listed(list), None) => {
                rejected.extend(self.resolve(list.iter(), interest).into_iter().map(unknown));
            }
            (Symbols::Listed(list), Some(given)) => {
                // Whether there is one that is not given is not told.
                let refused = |s: &&Symbol| matches!(s, Symbol::Name(name) if !given.allows(name));
                let (not, good): (Vec<_>, Vec<_>) = list.iter().partition(refused);
                let names = not.into_iter().map(|symbol| symbol.as_str().to_owned());
                rejected.extend(names.map(|name| (name, ErrorCode::NotEntitled)));
                let missing = self.resolve(good.into_iter(), interest);
                rejected.extend(missing.into_iter().map(unknown));
                interest.instruments.retain(|index| given.allows(&self.get(*index).symbol));
            }
        }
        interest.within = given.filter(|_| !interest.patterns.is_empty()).cloned();
        rejected
    }

    /// The instruments that are given, sorted.
    fn within(&self, given: &Scope) -> Vec<Index> {
        let names = given.names().iter().flat_map(|name| self.named(name).iter().copied());
        let patterns = given.patterns().iter().flat_map(|pattern| self.matching(pattern));
        let mut all: Vec<Index> = names.chain(patterns).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Adds the instruments that a list means to an interest that has none; the names that nobody
    /// has.
    fn resolve<'s>(
        &self,
        symbols: impl Iterator<Item = &'s Symbol>,
        interest: &mut Interest,
    ) -> Vec<String> {
        let mut unknown = Vec::new();
        let Interest { instruments, named, patterns, .. } = interest;
        for symbol in symbols {
            match symbol {
                Symbol::Pattern(pattern) => {
                    instruments.extend(self.matching(pattern));
                    patterns.push(pattern.clone());
                }
                Symbol::Name(name) => match self.named(name) {
                    [] => unknown.push(name.clone()),
                    found => named.extend_from_slice(found),
                },
            }
        }
        patterns.sort_unstable();
        named.sort_unstable();
        named.dedup();
        instruments.extend_from_slice(named);
        instruments.sort_unstable();
        instruments.dedup();
        if patterns.is_empty() {
            named.clear();
        }
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_instruments_are_found_after_a_sync() {
        let directory = Arc::new(Directory::default());
        let register = |id, symbol: &str| {
            let symbol = symbol.to_owned();
            let new = Instrument { id, publisher: 1, symbol, tick: None, lot: None, schemas: 0 };
            directory.register(new).unwrap();
        };
        register(10, "ESH4");
        let mut catalog = Catalog::new(directory.clone());
        register(11, "ESM4");
        register(12, "NQH4");
        assert_eq!(catalog.matching(&Pattern::new("ES*")), [0]);
        assert_eq!(catalog.sync(), 1..3);
        assert_eq!(catalog.matching(&Pattern::new("ES*")), [0, 1]);
        assert_eq!((catalog.index(12), catalog.named("NQH4")), (Some(2), &[2][..]));
    }
}
