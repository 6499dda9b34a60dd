//! `broadtape bench` against a real server: every shape of load, and what the report says of it.

#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

mod program;

use std::process::{Command, Output};

use program::{Program, broadtape};
use serde_json::Value;

/// A server whose records can be counted: `rate` a second of `symbols` in turn.
fn metronome(rate: &str, symbols: &str) -> Program {
    let even = ["serve", "--scenario", "metronome", "--shards", "1", "--queue", "128KiB"];
    Program::start(&[&even[..], &["--rate", rate, "--symbols", symbols]].concat())
}

/// The same market in states, which may be conflated.
fn simulated() -> Program {
    let market = ["serve", "--symbols", "10", "--rate", "20000", "--queue", "128KiB"];
    Program::start(&[&market[..], &["--shards", "1"]].concat())
}

/// Runs a short bench against it, and gives its result.
fn bench(server: &Program, args: &[&str]) -> (Output, Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command: Command = broadtape();
    command.args(["bench", &server.url(), "--warmup", "100ms"]).args(args);
    if !args.contains(&"--duration") {
        command.args(["--duration", "500ms"]);
    }
    let output = command.arg("--json").arg(file.path()).output().unwrap();
    let report = std::fs::read(file.path()).unwrap();
    (output, serde_json::from_slice(&report).unwrap_or(Value::Null))
}

#[track_caller]
fn measured(server: &Program, args: &[&str]) -> Value {
    let (output, report) = bench(server, args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    report
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_shape_receives_exactly_its_own() {
    let server = metronome("2000", "20");
    let listed = server.get("/v1/instruments");
    let symbol = |n: usize| listed["instruments"][n]["symbol"].as_str().unwrap();
    let two = format!("{},{}", symbol(3), symbol(4));
    let report = |shape: &str| {
        let report = measured(&server, &["-c", "4", "--symbols", shape, "--check-sequence"]);
        assert_eq!((&report["lost"], &report["checks"]["verified"]), (&0.into(), &4.into()));
        assert_eq!((&report["duplicated"], &report["reordered"]), (&0.into(), &0.into()));
        assert_eq!(report["checks"]["sequence_gaps"], 0);
        (report["symbols"].as_str().unwrap().to_owned(), report["records"].as_u64().unwrap())
    };
    let (_, all) = report("all");
    for (shape, said) in [
        (two.as_str(), ", "),
        ("5", "5 symbols each"),
        ("one", "one symbol each"),
        ("zipf:6", "symbols of 6 Zipf draws each"),
    ] {
        let (symbols, records) = report(shape);
        assert!(symbols.contains(said), "{symbols}");
        // A part of the symbols is a part of the records.
        assert!(records > 0 && records < all * 2 / 3, "{shape}: {records} of {all}");
    }
}

#[test]
fn those_that_stop_reading_are_told_apart_and_with_their_end() {
    let server = metronome("50000", "5");
    let args = ["-c", "3", "--stall", "1", "--duration", "1500ms", "--fail-if", "stalled_ended<1"];
    let report = measured(&server, &args);
    let lagging = &report["lagging"];
    assert_eq!((&lagging["stalled"], &lagging["stayed"]), (&1.into(), &0.into()), "{lagging}");
    let ended: Vec<_> = lagging["ended"].as_object().unwrap().keys().collect();
    assert!(ended[0].contains("closed by the server with 4008 (slow)"), "{ended:?}");
    // It is in no figure of the others.
    assert_eq!((&report["measured"], &report["checks"]["verified"]), (&2.into(), &2.into()));
    assert_eq!((&report["lost"], &report["disconnects"]), (&0.into(), &serde_json::json!({})));
}

#[test]
fn slow_readers_are_conflated_where_states_are() {
    let server = simulated();
    let args = ["-c", "3", "--schema", "mbp-1", "--slow", "16KiB/s", "--slow-clients", "2"];
    let report = measured(&server, &[&args[..], &["--duration", "2s"]].concat());
    let lagging = &report["lagging"];
    assert_eq!((&lagging["slow"], &lagging["stayed"]), (&2.into(), &2.into()), "{lagging}");
    assert_eq!(lagging["slow_bytes_per_s"], 16_384);
    assert!(lagging["checks"]["conflated"].as_u64().unwrap() > 0, "{lagging}");
    assert_eq!((&report["checks"]["conflated"], &report["lost"]), (&0.into(), &0.into()));
}

#[test]
fn each_visitor_that_was_due_is_counted() {
    let server = metronome("1000", "5");
    let report = measured(&server, &["-c", "2", "--churn", "100", "--threads", "2"]);
    let churn = &report["churn"];
    let (done, failed) = (churn["done"].as_u64().unwrap(), churn["failed"].as_u64().unwrap());
    // Those of half a second, on each of the threads give or take one.
    assert!((48..=52).contains(&done) && failed == 0, "{churn}");
    assert_eq!(churn["connect_ns"]["count"], done);
    assert_eq!((&report["connect_ns"]["count"], &report["lost"]), (&2.into(), &0.into()));
}

#[test]
fn the_servers_cost_is_measured_and_can_stop_a_pipeline() {
    let server = metronome("2000", "5");
    let pid = server.id().to_string();
    let (output, report) = bench(
        &server,
        &["-c", "5", "--server-pid", &pid, "--fail-if", "cpu>1ns", "--fail-if", "rss_peak<1GiB"],
    );
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("--fail-if cpu>1ns: it is") && said.contains("rss_peak<1GiB: it is"));
    let cost = &report["server"];
    let per_record = cost["cpu_ns_per_record"].as_f64().unwrap();
    let records = report["records"].as_f64().unwrap();
    assert!((per_record * records / cost["cpu_ns"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    for size in ["rss_start", "rss_connected", "rss_end", "rss_peak"] {
        assert!(cost[size].as_u64().unwrap() > 1 << 20, "{size}: {cost}");
    }
    let (output, _) = bench(&server, &["--fail-if", "cpu>1ns"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--fail-if cpu>1ns needs --server-pid"));
    let (output, _) = bench(&server, &["--server-pid", "4294967295"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--server-pid 4294967295: /proc/"), "{}", stderr(&output));
}

#[test]
fn connections_are_opened_at_the_rate_that_is_asked_for() {
    let server = metronome("1000", "5");
    let report = measured(&server, &["-c", "6", "--ramp", "40/s", "--threads", "2"]);
    assert_eq!((&report["ramp"], &report["connect_ns"]["count"]), (&"at 40/s".into(), &6.into()));
    let (output, _) = bench(&server, &["--ramp", "fast"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("write it like 10s or 500/s"));
}

#[test]
fn the_page_is_well_formed_and_holds_the_figures() {
    let server = metronome("2000", "5");
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["-c", "2", "--duration", "1500ms", "--html", path];
    let report = measured(&server, &args);
    let page = std::fs::read_to_string(path).unwrap();
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let named =
        |name: &'static str| page.descendants().filter(move |node| node.tag_name().name() == name);
    let text = |node: roxmltree::Node<'_, '_>| {
        node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect::<String>()
    };
    let json = named("pre").find(|node| node.attribute("id") == Some("json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text(json)).unwrap(), report);
    assert_eq!(report["seconds"].as_array().unwrap().len(), 2);
    assert_eq!(named("svg").count(), 3);
    assert!(named("polyline").count() > 3 && named("script").count() == 0);
    let labels: Vec<String> = named("text").map(text).collect();
    for label in ["percentile", "latency", "records/s", "time since the window began, s"] {
        assert!(labels.iter().any(|text| text == label), "{label}: {labels:?}");
    }
    let cells: Vec<String> = named("td").map(text).collect();
    let received = cells.iter().find(|cell| cell.contains(" records, ")).unwrap();
    let digits: String = received.split(' ').next().unwrap().replace(',', "");
    assert_eq!(digits, report["records"].to_string());
}

#[test]
fn what_makes_no_sense_together_is_a_usage_error() {
    for (args, words) in [
        (&["-c", "2", "--stall", "2"][..], "leave no connection to be measured"),
        (&["--slow", "1KiB"], "write --slow-clients N"),
        (&["--slow", "0"], "is --stall"),
        (&["--slow-clients", "1"], "--slow <BYTES/S>"),
        (&["--protocol", "raw48", "--symbols", "5"], "are for --protocol broadtape"),
        (&["--subscribe-message", "x"], "is for --protocol raw48 or nats"),
        (&["--fail-if", "churn.p99>1s"], "needs --churn"),
        (&["--symbols", "zipf:0"], "draws nothing"),
    ] {
        let output = broadtape().args(["bench", "h"]).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
    let nowhere = ["bench", "h", "--html", "/nowhere/at/all"];
    let output = broadtape().args(nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("can't write /nowhere/at/all"));
}
