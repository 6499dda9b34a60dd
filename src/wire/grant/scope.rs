//! The instruments that a grant gives: names and patterns.

use crate::wire::symbols::{Pattern, Symbol};

/// Some instruments, those that are yet to come included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Sorted.
    names: Vec<String>,
    /// Sorted.
    patterns: Vec<Pattern>,
}

impl Scope {
    /// The instruments that these stand for.
    pub fn new(symbols: impl IntoIterator<Item = Symbol>) -> Self {
        let mut scope = Self::default();
        for symbol in symbols {
            match symbol {
                Symbol::Name(name) => scope.names.push(name),
                Symbol::Pattern(pattern) => scope.patterns.push(pattern),
            }
        }
        scope.names.sort_unstable();
        scope.patterns.sort_unstable();
        scope
    }

    /// Is this one of them?
    pub fn allows(&self, symbol: &str) -> bool {
        self.names.binary_search_by(|name| name.as_str().cmp(symbol)).is_ok()
            || self.patterns.iter().any(|pattern| pattern.matches(symbol))
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The patterns.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// All of it as it is written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let patterns = self.patterns.iter().map(Pattern::as_str);
        self.names.iter().map(String::as_str).chain(patterns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_are_allowed() {
        let of = |texts: &[&str]| Scope::new(texts.iter().map(|t| Symbol::new((*t).to_owned())));
        let scope = of(&["MSFT", "ES*", "AAPL"]);
        assert!(["AAPL", "MSFT", "ES", "ESH4"].iter().all(|s| scope.allows(s)));
        assert!(!["AAP", "AAPLX", "NQH4", "es", ""].iter().any(|s| scope.allows(s)));
        assert!(!of(&[]).allows("AAPL"));
        assert_eq!(scope.texts().collect::<Vec<_>>(), ["AAPL", "MSFT", "ES*"]);
    }
}
