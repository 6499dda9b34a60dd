//! Sizes of files and functions: a compass, printed.

use std::fmt::Write;

use crate::source::{Source, Token};

const SHOWN: usize = 5;

/// Files: median and largest; functions: median, 90th percentile and longest. Lines.
pub(crate) fn report(sources: &[Source]) -> String {
    let files: Vec<_> = sources.iter().map(|s| (s.text.lines().count(), s.path.clone())).collect();
    let functions: Vec<_> = sources.iter().flat_map(functions).collect();
    let mut out = String::new();
    section(&mut out, "files", files);
    section(&mut out, "functions", functions);
    out
}

fn section(out: &mut String, what: &str, mut sizes: Vec<(usize, String)>) {
    sizes.sort();
    let at = |share: usize| sizes.get(sizes.len() * share / 100).map_or(0, |(lines, _)| *lines);
    let _ = writeln!(out, "{} {what}: median {} lines, p90 {}", sizes.len(), at(50), at(90));
    for (lines, name) in sizes.iter().rev().take(SHOWN) {
        let _ = writeln!(out, "  {lines:>5}  {name}");
    }
}

/// Every function with a body: lines from its `fn` to its closing brace, and where it is.
fn functions(source: &Source) -> Vec<(usize, String)> {
    let tokens = source.tokens();
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [Token::Word(word), Token::Word(name)] = pair else { continue };
        if word != "fn" {
            continue;
        }
        if let Some(end) = body_end(&tokens[at + 2..]) {
            let start = word.span().start().line;
            found.push((end - start + 1, format!("{name} ({}:{start})", source.path)));
        }
    }
    found
}

/// The line of the brace that closes the first body from here; none where a `;` comes first.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let mut open = 0;
    for token in tokens {
        match token {
            Token::Mark('{' | '(' | '[', _) => open += 1,
            Token::Mark('}', line) if open == 1 => return Some(*line),
            Token::Mark('}' | ')' | ']', _) => open -= 1,
            Token::Mark(';', _) if open == 0 => return None,
            _ => {}
        }
    }
    None
}

mod tests {
    use super::*;
    use crate::source::fake;

    #[test]
    fn a_function_is_as_long_as_its_lines() {
        let text = "trait T { fn none(&self) -> [u8; 3]; }\nfn two(x: [u8; 2]) {\n}\nfn one() {}";
        let sizes: Vec<_> = functions(&fake("src/a.rs", text)).into_iter().collect();
        assert_eq!(sizes, [(2, "two (src/a.rs:2)".into()), (1, "one (src/a.rs:4)".into())]);
    }

    #[test]
    fn an_empty_tree_has_a_report() {
        assert!(report(&[]).starts_with("0 files: median 0 lines"));
    }
}
