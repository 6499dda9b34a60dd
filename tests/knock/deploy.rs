//! `deploy/`: what it names, the server has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::front::Front;
use crate::program::skip;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !of_name(c));
    words.filter(|word| word.starts_with("broadtape_")).collect()
}

/// The values that a text selects a label by: `reason="slow"`, `event=~"a|b"`.
fn selected<'t>(text: &'t str, label: &str) -> Vec<&'t str> {
    let text = text.split(label).skip(1);
    let values = text.filter_map(|rest| {
        let rest = rest
            .strip_prefix("=~")
            .or_else(|| rest.strip_prefix("!~"))
            .or_else(|| rest.strip_prefix("!=").or_else(|| rest.strip_prefix('=')))?;
        rest.trim_start_matches('\\').strip_prefix('"')?.split(['"', '\\']).next()
    });
    values.filter(|value| !value.contains('$')).flat_map(|value| value.split('|')).collect()
}

/// `/metrics` of a server that has all of its parts.
fn metrics() -> String {
    let tape = TempDir::new().unwrap();
    let tape = tape.path().join("tape").display().to_string();
    let front = Front::start(&["--record", &tape, "--tls-self-signed", "--memory-max", "1GiB"]);
    front.program.page("/metrics")
}

#[test]
fn every_metric_that_is_watched_is_there() {
    let page = metrics();
    let there = named(&page);
    for name in ["alerts.yml", "grafana.json"] {
        let text = file(name);
        let missing: Vec<_> = named(&text).difference(&there).copied().collect();
        assert!(missing.is_empty(), "{name} names {missing:?}");
        assert!(named(&text).len() >= 10, "{name}");
        for label in ["reason", "event", "stage", "result"] {
            for value in selected(&text, label) {
                let sample = format!("{label}=\"{value}\"");
                assert!(page.contains(&sample), "{name}: no sample has {sample}");
            }
        }
    }
    assert_eq!(
        selected("a{event=~\"x|y\"} b{event=\"$z\"} c{event!=\\\"w\\\"}", "event"),
        ["x", "y", "w"]
    );
}

/// Counters that are on no dashboard and in no rule.
const UNWATCHED: [&str; 8] = [
    // Others that are there grow with them.
    "broadtape_published_bytes_total",
    "broadtape_ring_read_records_total",
    "broadtape_tape_records_total",
    "broadtape_tape_segments_total",
    "broadtape_download_bytes_total",
    // For those who measure.
    "broadtape_sends_total",
    "broadtape_replayed_records_total",
    "broadtape_latency_out_of_range_total",
];

#[test]
fn what_is_counted_is_watched() {
    let (page, rules, dashboard) = (metrics(), file("alerts.yml"), file("grafana.json"));
    let mut watched = named(&rules);
    watched.extend(named(&dashboard));
    let counters = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let counters: BTreeSet<_> = counters.filter_map(|line| line.strip_suffix(" counter")).collect();
    let unwatched: BTreeSet<_> = counters.difference(&watched).copied().collect();
    assert_eq!(unwatched, BTreeSet::from(UNWATCHED), "deploy/ or UNWATCHED has to know them");
    let events: BTreeSet<_> = selected(&page, "event").into_iter().collect();
    let ruled: BTreeSet<_> = selected(&rules, "event").into_iter().collect();
    assert!(events.len() >= 19, "{events:?}");
    assert_eq!(events, ruled, "each security event is in a rule of alerts.yml");
    assert!(dashboard.contains("sum by (event) (rate(broadtape_security_events_total"));
    let told = fs::read_to_string("docs/operations.md").unwrap();
    let untold: Vec<_> =
        events.iter().filter(|event| !told.contains(&format!("`{event}`"))).collect();
    assert!(untold.is_empty(), "docs/operations.md does not say what {untold:?} are");
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: serde_json::Value = serde_json::from_str(&file("grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
    }
}

#[test]
fn prometheus_takes_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yml");
    let Ok(output) = Command::new("promtool").args(["check", "rules"]).arg(path).output() else {
        return skip("no promtool: tools/check.sh test installs it");
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("no systemd-analyze: tools/check.sh test installs it");
    }
    let folder = TempDir::new().unwrap();
    let unit = folder.path().join("broadtape.service");
    let text = file("broadtape.service");
    assert!(text.contains("/usr/local/bin/broadtape serve"));
    let ours = env!("CARGO_BIN_EXE_broadtape");
    fs::write(&unit, text.replace("/usr/local/bin/broadtape", ours)).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).arg(&unit).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        said
    };
    let said = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(!said.contains("Unknown key") && !said.contains("Failed to parse"), "{said}");
    // 1.2 of 10 where this was written; the network is what it is there for.
    analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
}
