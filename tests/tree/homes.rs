//! One home for each dependency: its name appears in one file or one folder of `src`, apart from
//! the exceptions below, each with its reason. Files of tests don't count.

use std::collections::BTreeSet;

use crate::source::{Source, Token};

/// Who may be named in several places: the crate, where (top modules; none: everywhere), and why.
const SEVERAL: &[(&str, &[&str], &str)] = &[
    ("arrayvec", &[], "a container, as those of std"),
    ("base64", &["gate", "latency"], "the key of a handshake; a histogram's log as text"),
    (
        "bytes",
        &["feed", "shard", "socket", "tape", "cli"],
        "framed bytes and blocks are handed on; our tools' requests",
    ),
    (
        "crossbeam",
        &["feed", "gate", "ring", "shard", "tape"],
        "cache lines of their own; queues of commands",
    ),
    ("dbn", &["wire", "feed", "cli"], "the vocabulary; files are read by `feed` and `inspect`"),
    ("fastwebsockets", &["gate", "cli"], "the handshake; the client side of our tools"),
    ("foldhash", &[], "a hasher, as those of std"),
    ("hdrhistogram", &["latency", "cli"], "the server's stages; a client's own figures"),
    ("http_body_util", &["gate", "node", "cli"], "hyper's bodies go where it goes"),
    ("hyper", &["gate", "node", "cli"], "who comes in, the pages, our tools' requests"),
    ("hyper_util", &["gate", "node", "cli"], "hyper's adapters go where it goes"),
    ("mio", &["shard", "socket", "cli"], "a shard waits for its sockets; so does our load tool"),
    ("rand", &["feed", "node", "cli"], "the market; the epoch; keys of handshakes"),
    ("rand_distr", &["feed", "cli"], "the market; popular symbols of our load tool"),
    ("rand_pcg", &["feed", "cli"], "the same, by the same seed each time"),
    (
        "rustls",
        &["gate", "socket", "cli"],
        "handshakes; what is encrypted since; the client side of our tools",
    ),
    (
        "rustix",
        &["feed", "shard", "socket", "node", "cli"],
        "pacing, alarms, sending, pinning, limits: each what it needs of the kernel",
    ),
    (
        "serde",
        &["wire", "gate", "node", "feed", "cli"],
        "messages, keys, settings, scenarios, reports",
    ),
    ("serde_json", &["wire", "gate", "node", "cli"], "messages, pages, reports"),
    ("slab", &[], "a container, as those of std"),
    ("socket2", &["gate", "socket", "cli"], "options of sockets: incoming, open, our tools' own"),
    ("thiserror", &[], "each boundary has its own error"),
    ("time", &["wire", "gate"], "the dates of DBN files and of certificates"),
    ("tokio", &["gate", "node", "shard", "feed", "cli"], "the control plane; answers to commands"),
    ("toml", &["node", "feed", "gate"], "settings, scenarios and keys are files that people write"),
    ("tokio_rustls", &["gate", "cli"], "handshakes go where tokio goes"),
    ("tracing", &[], "a thing is logged where it happens"),
    ("zeroize", &["wire", "gate", "cli"], "secrets are wiped wherever they were"),
    ("zerocopy", &["wire", "ring", "tape"], "records and headers are read and written in place"),
    ("zstd", &["wire", "tape"], "DBN files and the blocks of a tape are compressed with it"),
];

/// Dependencies that are named in more than one place without an exception, or outside of it.
pub(crate) fn violations(manifest: &toml::Table, sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for name in dependencies(manifest) {
        let files = files_that_name(&name, sources);
        let modules: BTreeSet<&str> = files.iter().map(|path| top(path)).collect();
        let exception = SEVERAL.iter().find(|(crate_name, ..)| *crate_name == name);
        let allowed = |module: &&str| match exception {
            Some((_, places, _)) => places.is_empty() || places.contains(module),
            None => false,
        };
        if modules.len() > 1 && !modules.iter().all(allowed) {
            found.push(format!(
                "`{name}` is named in {files:?}: give it one home, or enter the places and the \
                 reason in tests/tree/homes.rs"
            ));
        }
    }
    found
}

/// Dependencies that no file names.
pub(crate) fn unnamed(manifest: &toml::Table, sources: &[Source]) -> Vec<String> {
    let idle = |name: &String| files_that_name(name, sources).is_empty();
    dependencies(manifest).into_iter().filter(idle).collect()
}

/// The `[dependencies]`, as Rust spells them.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.into_iter().flat_map(toml::Table::keys).map(|name| name.replace('-', "_")).collect()
}

fn files_that_name<'a>(name: &str, sources: &'a [Source]) -> Vec<&'a str> {
    let names = |s: &&Source| s.text.contains(name) && is_named(name, s.tokens());
    let is_test = |s: &&Source| s.path.contains("/tests/") || s.path.ends_with("/tests.rs");
    let program = sources.iter().filter(|s| !is_test(s));
    program.filter(names).map(|s| s.path.as_str()).collect()
}

/// Is the crate named: `name::…` that no path leads to, or `use name as …`?
fn is_named(name: &str, tokens: &[Token]) -> bool {
    (0..tokens.len()).any(|at| {
        let mark = |offset: usize, mark| tokens.get(at + offset).is_some_and(|t| t.is_mark(mark));
        let inside_a_path = at > 0 && tokens[at - 1].is_mark(':') && !leading_colons(tokens, at);
        let used = at > 0 && tokens[at - 1].is_word("use");
        tokens[at].is_word(name) && !inside_a_path && (used || (mark(1, ':') && mark(2, ':')))
    })
}

/// Is it `::name`, a path from the crates, and not `a::name`?
fn leading_colons(tokens: &[Token], at: usize) -> bool {
    at >= 2
        && tokens[at - 2].is_mark(':')
        && !matches!(at.checked_sub(3).map(|i| &tokens[i]), Some(Token::Word(_)))
}

/// `src/feed/sim/book.rs` → `feed`.
fn top(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(path).trim_end_matches(".rs")
}

mod tests {
    use super::*;
    use crate::source::fake;

    fn check(dependency: &str, files: &[(&str, &str)]) -> usize {
        let manifest = format!("[dependencies]\n{dependency} = \"1\"").parse().unwrap();
        let sources: Vec<_> = files.iter().map(|(path, text)| fake(path, text)).collect();
        violations(&manifest, &sources).len()
    }

    #[test]
    fn a_crate_may_be_named_throughout_one_folder() {
        let files = [("src/tape/a.rs", "use zstd::X;"), ("src/tape/b.rs", "fn f() { zstd::f() }")];
        assert_eq!(check("zstd", &files), 0);
    }

    #[test]
    fn a_crate_may_not_be_named_in_two_folders() {
        let files = [("src/tape/a.rs", "use mem_map::X;"), ("src/feed/b.rs", "use mem_map;")];
        assert_eq!(check("mem-map", &files), 1);
        let qualified =
            [("src/tape/a.rs", "use nix::X;"), ("src/feed/b.rs", "fn f(x: ::nix::S) {}")];
        assert_eq!(check("nix", &qualified), 1);
    }

    #[test]
    fn an_exception_holds_where_it_says_and_nowhere_else() {
        let tracing = [("src/tape/a.rs", "use tracing::info;"), ("src/ring/b.rs", "tracing::x!()")];
        assert_eq!(check("tracing", &tracing), 0);
        let dbn = [("src/wire/a.rs", "use dbn::X;"), ("src/ring/b.rs", "use dbn::X;")];
        assert_eq!(check("dbn", &dbn), 1);
    }

    #[test]
    fn a_word_is_not_a_crate() {
        let files = [
            ("src/feed/a.rs", "use zstd::X;"),
            ("src/node/b.rs", "//! zstd::X\nfn f(zstd: u8) { crate::feed::zstd::f(zstd) }"),
        ];
        assert_eq!(check("zstd", &files), 0);
    }

    #[test]
    fn tests_have_no_home() {
        let files = [
            ("src/wire/a.rs", "use nix::X;"),
            ("src/ring/tests.rs", "use nix::X;"),
            ("src/shard/tests/b.rs", "use nix::X;"),
        ];
        assert_eq!(check("nix", &files), 0);
    }

    #[test]
    fn a_dependency_that_nobody_names_is_seen() {
        let manifest = "[dependencies]\nslab = \"1\"\nzstd = \"1\"".parse().unwrap();
        assert_eq!(unnamed(&manifest, &[fake("src/feed/a.rs", "use zstd::X;")]), ["slab"]);
    }
}
