//! Who may name whom: `main → cli → node → {feed → ring ← shard → socket}`, `gate` before the
//! shards, `tape` beside the ring. The vocabulary names no stage.

use crate::source::{Source, Token};

/// Modules that everybody may name, and that name only each other.
///
/// `book` is one of them: the feed derives from an order book, and a shard sends it as a snapshot.
/// So is `derive`: the feed derives what is published, the tape what a client has replayed.
const VOCABULARY: [&str; 6] = ["wire", "book", "derive", "clock", "latency", "limits"];

/// What each stage may name besides itself and the vocabulary.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["node", "gate", "feed", "shard", "socket", "tape", "ring"]),
    ("node", &["gate", "feed", "shard", "socket", "tape", "ring"]),
    ("gate", &["shard", "socket"]),
    ("shard", &["socket", "tape", "ring"]),
    ("feed", &["tape", "ring"]),
    ("tape", &["ring"]),
    ("ring", &[]),
    ("socket", &[]),
];

/// References that the table does not allow, and modules it does not know.
pub(crate) fn violations(sources: &[Source]) -> Vec<String> {
    sources.iter().filter(|s| s.path != "src/lib.rs").flat_map(of).collect()
}

fn of(source: &Source) -> Vec<String> {
    let path: Vec<&str> = source.path.trim_end_matches(".rs").split('/').skip(1).collect();
    let Some(&from) = path.first() else { return Vec::new() };
    let vocabulary = VOCABULARY.contains(&from);
    let Some(allowed) = allowed(from) else {
        return vec![format!("{}: `{from}` has no place in tests/tree/layers.rs", source.path)];
    };
    let depth = path.len() - usize::from(path.last() == Some(&"mod"));
    let named = references(source.tokens(), depth);
    let is_stage = |to: &str| MAY_NAME.iter().any(|(name, _)| *name == to);
    let refused = |to: &String| to != from && is_stage(to) && !allowed.contains(&to.as_str());
    let what =
        if vocabulary { "the vocabulary names no stage" } else { "it does not lie after it" };
    named
        .into_iter()
        .filter(refused)
        .map(|to| format!("{}: `{from}` names `{to}`: {what}", source.path))
        .collect()
}

fn allowed(from: &str) -> Option<&'static [&'static str]> {
    if VOCABULARY.contains(&from) {
        return Some(&[]);
    }
    MAY_NAME.iter().find(|(name, _)| *name == from).map(|(_, to)| *to)
}

/// The top modules that a file names: after `crate::`, after `broadtape::`, and after as many
/// `super::` as lead out of a file at `depth` (modules from the root to its own).
pub(crate) fn references(tokens: &[Token], depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        let ups = climb(tokens, &mut at);
        let from_root = tokens[start].is_word("crate") || tokens[start].is_word("broadtape");
        if from_root && path_follows(tokens, start + 1) {
            heads(&tokens[start + 3..], &mut found);
        } else if ups >= depth && ups > 0 {
            heads(&tokens[at..], &mut found);
        }
        at = at.max(start + 1);
    }
    found.sort();
    found.dedup();
    found
}

/// Steps over `super::super::…` and counts them.
fn climb(tokens: &[Token], at: &mut usize) -> usize {
    let mut ups = 0;
    while tokens.get(*at).is_some_and(|t| t.is_word("super")) && path_follows(tokens, *at + 1) {
        ups += 1;
        *at += 3;
    }
    ups
}

fn path_follows(tokens: &[Token], at: usize) -> bool {
    let colon = |t: Option<&Token>| t.is_some_and(|t| t.is_mark(':'));
    colon(tokens.get(at)) && colon(tokens.get(at + 1))
}

/// The first words of the paths that start here: one, or those of a group.
fn heads(tokens: &[Token], found: &mut Vec<String>) {
    match tokens.first() {
        Some(Token::Word(word)) => found.push(word.to_string()),
        Some(Token::Mark('{', _)) => group_heads(&tokens[1..], found),
        _ => {}
    }
}

fn group_heads(tokens: &[Token], found: &mut Vec<String>) {
    let (mut nested, mut fresh) = (0, true);
    for token in tokens {
        match token {
            Token::Mark('{', _) => nested += 1,
            Token::Mark('}', _) if nested == 0 => return,
            Token::Mark('}', _) => nested -= 1,
            Token::Mark(',', _) if nested == 0 => fresh = true,
            Token::Word(word) if fresh => {
                found.push(word.to_string());
                fresh = false;
            }
            _ => {}
        }
    }
}

mod tests {
    use super::*;
    use crate::source::fake;

    fn check(path: &str, text: &str) -> usize {
        violations(&[fake(path, text)]).len()
    }

    #[test]
    fn a_stage_may_name_what_comes_after_it() {
        assert_eq!(check("src/node/server.rs", "use crate::{feed::Feed, ring, wire::json};"), 0);
        assert_eq!(check("src/ring/slot.rs", "use super::Writer; use crate::limits::X;"), 0);
        assert_eq!(check("src/main.rs", "fn main() { broadtape::cli::run() }"), 0);
    }

    #[test]
    fn a_stage_may_not_name_what_comes_before_it() {
        assert_eq!(check("src/ring/mod.rs", "use crate::feed::Batch;"), 1);
        assert_eq!(check("src/socket/write.rs", "use crate::{limits, shard::{self, Turn}};"), 1);
        assert_eq!(check("src/shard/mod.rs", "fn f() { log!(\"{}\", crate::node::X) }"), 1);
        assert_eq!(check("src/main.rs", "fn main() { broadtape::ring::open() }"), 1);
    }

    #[test]
    fn the_vocabulary_names_no_stage() {
        assert_eq!(check("src/wire/frame.rs", "use crate::{clock, ring::Ring};"), 1);
        assert_eq!(check("src/clock.rs", "use super::gate::Token;"), 1);
    }

    #[test]
    fn supers_that_stay_inside_are_no_references() {
        assert_eq!(check("src/feed/sim/book.rs", "use super::super::Feed;"), 0);
        assert_eq!(check("src/feed/sim/book.rs", "use super::super::super::node::X;"), 1);
        assert_eq!(check("src/feed/mod.rs", "use super::shard::X;"), 1);
        assert_eq!(check("src/wire/json.rs", "mod tests { use super::*; }"), 0);
        assert_eq!(check("src/clock.rs", "mod tests { use super::{Now, Timeline}; }"), 0);
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        let text = "//! See crate::node.\nconst S: &str = \"crate::node\";";
        assert_eq!(check("src/ring/mod.rs", text), 0);
    }

    #[test]
    fn a_module_without_a_place_is_refused() {
        assert_eq!(check("src/utils/mod.rs", ""), 1);
    }
}
