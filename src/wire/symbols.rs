//! What a client asks for by name: all instruments, names, patterns.

/// Which instruments a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symbols {
    /// `"*"`: every one, also those that are yet to come.
    All,
    /// Names and patterns as they were asked for, in that order, none twice, at least one.
    Listed(Vec<Symbol>),
}

/// One entry of a list of symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// The symbol itself.
    Name(String),
    /// All symbols that look like this.
    Pattern(Pattern),
}

impl Symbol {
    /// A name, or a pattern where there is a `*` in it.
    pub fn new(text: String) -> Self {
        if text.contains('*') { Self::Pattern(Pattern(text)) } else { Self::Name(text) }
    }

    /// As it was asked for.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Name(text) | Self::Pattern(Pattern(text)) => text,
        }
    }
}

/// A symbol with wildcards: each `*` stands for any number of characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Is this symbol one of those that are meant? Linear in the symbol for each wildcard.
    pub fn matches(&self, symbol: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(rest) = symbol.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        let Some(mut middle) = rest.strip_suffix(last) else { return false };
        parts.all(|part| match middle.split_once(part) {
            Some((_, behind)) => {
                middle = behind;
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        match Symbol::new(text.to_owned()) {
            Symbol::Pattern(pattern) => pattern,
            Symbol::Name(name) => panic!("{name} is a name"),
        }
    }

    /// The definition, in its slowest form.
    fn by_definition(pattern: &[char], symbol: &[char]) -> bool {
        match (pattern.split_first(), symbol.split_first()) {
            (None, _) => symbol.is_empty(),
            (Some(('*', rest)), None) => by_definition(rest, symbol),
            (Some(('*', rest)), Some((_, behind))) => {
                by_definition(rest, symbol) || by_definition(pattern, behind)
            }
            (Some((c, rest)), Some((s, behind))) => c == s && by_definition(rest, behind),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        for (text, yes, no) in [
            ("ES*", &["ES", "ESH4"][..], &["E", "NES", "es"][..]),
            ("*H4", &["ESH4", "H4"], &["ESH4-ESM4"]),
            ("E*-*4", &["ESH4-ESM4", "E-4"], &["ESH4", "-4"]),
            ("A*A", &["AA", "ABA"], &["A", "AB"]),
        ] {
            let pattern = pattern(text);
            assert!(yes.iter().all(|s| pattern.matches(s)), "{text}");
            assert!(!no.iter().any(|s| pattern.matches(s)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(
            p in "[abé*]{0,6}\\*[abé*]{0,3}",
            s in "[abé]{0,9}",
        ) {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(pattern(&p).matches(&s), by_definition(&chars(&p), &chars(&s)));
        }
    }
}
