//! `broadtape watch` against a scripted server: what it prints, what it tells, how it exits.

#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

mod scripted;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use scripted::{Script, Server, broadtape, stderr};
use serde_json::Value;

fn watch(script: Script, args: &[&str]) -> Output {
    let server = Server::start(script);
    broadtape(&[&["watch", &server.url()], args].concat())
}

#[track_caller]
fn exited(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

#[test]
fn a_line_is_printed_for_each_update_in_either_encoding() {
    let columns = |encoding: &str| -> Vec<Vec<String>> {
        let args = ["SEVEN", "--count", "3", "--encoding", encoding];
        let output = watch(Script::default(), &args);
        exited(&output, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        let words = |line: &str| line.split_whitespace().skip(1).map(str::to_owned).collect();
        text.lines().map(words).collect()
    };
    let expected = ["SEVEN", "trades", "12.50", "3", "buy", "-", "-"];
    for encoding in ["dbn", "json"] {
        assert_eq!(columns(encoding), [expected, expected, expected], "{encoding}");
    }
}

#[test]
fn json_lines_hold_the_same() {
    let output = watch(Script::default(), &["all", "-n", "2", "--json"]);
    exited(&output, 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let update: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&update["symbol"], &update["price"]), (&"SEVEN".into(), &"12.50".into()));
    }
}

#[test]
fn what_is_amiss_is_told_on_standard_error() {
    let script =
        Script { unknown: vec!["NOPE"], gap_before: Some((1, Some(7))), ..Script::default() };
    let output = watch(script, &["SEVEN", "NOPE", "-n", "15"]);
    exited(&output, 0);
    let told = stderr(&output);
    assert!(told.contains("rejected: NOPE (404 unknown_symbol)"), "{told}");
    assert!(told.contains("gap: 7 records lost between positions 3 and 9 (overrun)"), "{told}");
}

#[test]
fn nothing_to_watch_is_a_failure() {
    let script = Script { unknown: vec!["NOPE", "NO"], ..Script::default() };
    let output = watch(script, &["NOPE", "NO"]);
    exited(&output, 1);
    assert!(stderr(&output).contains("none of the symbols is known"), "{}", stderr(&output));
    let output = watch(Script { refuse: true, ..Script::default() }, &["SEVEN"]);
    exited(&output, 1);
    assert!(stderr(&output).contains("406 too_many"), "{}", stderr(&output));
}

#[test]
fn a_lost_connection_is_a_failure_with_its_reason() {
    let closed = Script { close_after: Some((5, 1012, "drain")), ..Script::default() };
    let cut = Script { cut_after: Some(5), ..Script::default() };
    for (script, words) in [(closed, "the server said: 1012 drain"), (cut, "connection lost")] {
        let output = watch(script, &["SEVEN"]);
        exited(&output, 1);
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(!output.stdout.is_empty());
    }
}

fn watching(server: &Server) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    command.args(["watch", &server.url(), "SEVEN"]).stdout(Stdio::piped());
    command.stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let server = Server::start(Script::default());
    let mut child = watching(&server);
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("SEVEN"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_interrupt_ends_it_with_success() {
    let server = Server::start(Script::default());
    let mut child = watching(&server);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(server.seen.lock().unwrap().goodbyes, 1);
}
