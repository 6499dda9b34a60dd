//! Rules of single files: an opening that says what it is for, nothing unfinished, short lines, no
//! registry hosts.

use std::cell::Cell;

use crate::source::Source;

/// Columns of a line.
const COLUMNS: usize = 100;

/// Code, where columns count and marks of unfinished work are looked for.
const CODE: [&str; 7] = ["rs", "sh", "py", "js", "cjs", "mjs", "css"];

/// Marks of unfinished work. Spelled in halves, or this file would hold them.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
];

/// Hosts of package registries: a package is named, never the place it comes from.
const HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("debian", ".org"),
];

/// A code file whose first line (after `#!`) is no comment: `//!` in Rust.
pub(crate) fn unopened(source: &Source) -> Vec<String> {
    let mut lines = source.text.lines().skip_while(|line| line.starts_with("#!"));
    let first = lines.next().unwrap_or_default();
    let opened = match source.path.rsplit_once('.').map(|(_, ext)| ext) {
        Some("rs") => source.text.starts_with("//! "),
        Some("sh") => first.starts_with("# "),
        Some("py") => first.starts_with("\"\"\"") || first.starts_with("# "),
        Some("js" | "cjs" | "mjs") => first.starts_with("// ") || first.starts_with("/*"),
        _ => true,
    };
    let message = format!("{}:1: the first line does not say what the file is for", source.path);
    if opened { Vec::new() } else { vec![message] }
}

/// Lines with a mark of unfinished work.
pub(crate) fn unfinished(source: &Source) -> Vec<String> {
    let mark_in = |line: &str| UNFINISHED.into_iter().find(|mark| has_word(line, mark));
    if source.is(&CODE) || source.is(&["md", "toml"]) { lines(source, mark_in) } else { vec![] }
}

/// Lines of code longer than 100 columns, apart from raw strings, which quote a text as it is, and
/// tables: items under `#[rustfmt::skip]`.
pub(crate) fn long_lines(source: &Source) -> Vec<String> {
    let table = Cell::new(false);
    let too_long = |line: &str| {
        table.set(line == "#[rustfmt::skip]" || table.get() && !line.starts_with([']', '}']));
        let free = table.get() || line.contains("r#\"");
        (!free && line.chars().count() > COLUMNS).then_some("over 100 columns")
    };
    if source.is(&CODE) { lines(source, too_long) } else { vec![] }
}

/// Addresses of package registries.
pub(crate) fn registry_hosts(source: &Source) -> Vec<String> {
    lines(source, |line| HOSTS.into_iter().find(|host| has_address(line, host)))
}

fn lines(source: &Source, rule: impl Fn(&str) -> Option<&'static str>) -> Vec<String> {
    let numbered = source.text.lines().zip(1..);
    numbered
        .filter_map(|(line, n)| rule(line).map(|what| format!("{}:{n}: {what}", source.path)))
        .collect()
}

/// Does `word` stand in the line, not as a part of a longer word?
fn has_word(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(in_word)
            && !line[at + word.len()..].chars().next().is_some_and(in_word)
    })
}

/// Does the host stand in an address: between `//` and the next `/`, blank or quote?
fn has_address(line: &str, host: &str) -> bool {
    line.match_indices(host).any(|(at, _)| {
        let before = &line[..at];
        let start = before.rfind(['/', ' ', '"']).map_or(0, |end| end + 1);
        before[..start].ends_with("//")
    })
}

mod tests {
    use super::*;
    use crate::source::fake;

    #[test]
    fn a_file_has_to_open_with_its_purpose() {
        assert!(unopened(&fake("a.rs", "//! What it is.\n")).is_empty());
        assert!(unopened(&fake("a.sh", "#!/bin/sh\n# What it is.\n")).is_empty());
        for (path, text) in
            [("a.rs", "// no"), ("b.rs", ""), ("c.sh", "#!/bin/sh\nls"), ("d.py", "x")]
        {
            assert_eq!(unopened(&fake(path, text)).len(), 1, "{path}");
        }
    }

    #[test]
    fn unfinished_work_is_seen_with_its_line() {
        let text = format!("fn f() {{\n    {}(\"later\")\n}}", UNFINISHED[3]);
        assert_eq!(unfinished(&fake("a.rs", &text)), [format!("a.rs:2: {}", UNFINISHED[3])]);
        let ignored = format!("{}]\nfn f() {{}}", UNFINISHED[5]);
        assert_eq!(unfinished(&fake("a.rs", &ignored)).len(), 1);
        assert!(unfinished(&fake("a.rs", "let todos = XXXL;")).is_empty());
    }

    #[test]
    fn columns_are_characters() {
        assert!(long_lines(&fake("a.rs", &"ü".repeat(100))).is_empty());
        assert_eq!(long_lines(&fake("a.rs", &"u".repeat(101))).len(), 1);
        assert!(long_lines(&fake("a.md", &"u".repeat(101))).is_empty());
    }

    #[test]
    fn tables_and_raw_strings_may_be_wide() {
        let wide = "u".repeat(101);
        assert!(long_lines(&fake("a.rs", &format!("f(r#\"{wide}\"#)"))).is_empty());
        let text = format!("#[rustfmt::skip]\nconst T: &[T] = &[\n    {wide},\n];\n");
        assert!(long_lines(&fake("a.rs", &text)).is_empty());
        assert_eq!(long_lines(&fake("a.rs", &format!("{text}{wide}"))).len(), 1);
    }

    #[test]
    fn registries_are_seen_in_addresses_only() {
        let host = HOSTS[3];
        assert_eq!(registry_hosts(&fake("a.md", &format!("see https://files.{host}/x"))).len(), 1);
        let index = format!("registry+https://github.com/rust-lang/{}-index", HOSTS[0]);
        assert!(registry_hosts(&fake("Cargo.lock", &index)).is_empty());
    }
}
