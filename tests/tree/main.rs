//! The rules of the tree, as tests: who may name whom, one home for each dependency, files that say
//! what they are for, nothing unfinished. Each rule is a function of sources and has a test that
//! shows it can fail. Sizes are printed, not enforced.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod homes;
mod layers;
mod sizes;
mod source;
mod text;

use source::Source;

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn every_stage_names_only_what_lies_after_it() {
    assert_none(layers::violations(&source::rust("src")));
}

#[test]
fn every_dependency_has_one_home() {
    let manifest = source::manifest();
    let sources = source::rust("src");
    for name in homes::unnamed(&manifest, &sources) {
        println!("named nowhere in src: {name}");
    }
    assert_none(homes::violations(&manifest, &sources));
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_none(each(text::unopened));
}

#[test]
fn nothing_is_unfinished() {
    assert_none(each(text::unfinished));
}

#[test]
fn lines_are_short() {
    assert_none(each(text::long_lines));
}

#[test]
fn no_registry_is_named() {
    assert_none(each(text::registry_hosts));
}

#[test]
fn every_control_has_the_tests_that_it_names() {
    let table = std::fs::read_to_string("docs/security.md").unwrap();
    let sources = source::all();
    let is_test = |word: &&str| {
        word.contains('_') && word.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
    };
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #"));
    let named: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let missing = |name: &&str| {
        let function = format!("fn {name}(");
        !sources.iter().any(|source| source.text.contains(&function))
    };
    let tests: Vec<&str> = named.into_iter().filter(is_test).collect();
    assert!(tests.len() > 40, "docs/security.md is read wrongly: {tests:?}");
    let missing = tests.into_iter().filter(missing);
    assert_none(missing.map(|name| format!("docs/security.md names a test {name}")).collect());
}

#[test]
fn sizes_are_printed() {
    println!("{}", sizes::report(&source::rust("src")));
}

fn each(rule: fn(&Source) -> Vec<String>) -> Vec<String> {
    let all = source::all();
    assert!(all.iter().any(|s| s.path == "src/lib.rs"), "the walk does not see src/lib.rs");
    all.iter().flat_map(rule).collect()
}
