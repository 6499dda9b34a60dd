//! A real-time clock that jumps by an hour, forth and back: `libfaketime` moves it while the server
//! runs. Only the wall clock: the monotonic one does not jump on a machine either.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Program, skip};
use crate::raw::Raw;
use crate::server::Server;
use crate::witness::Witness;

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Where the library is; none where it is not installed.
fn library() -> Option<String> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
    let found = places.iter().map(|place| format!("{place}/{LIBRARY}"));
    let found = found.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skip("no libfaketime: it is Debian's package libfaketime");
    }
    found
}

#[test]
fn a_jump_of_an_hour_is_told_and_changes_nothing() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("time");
    let set = |offset: &str| {
        // As a whole: the server reads it all the time.
        let new = folder.path().join("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    set("+0\n");
    let preload = format!("LD_PRELOAD={library}");
    let place = format!("FAKETIME_TIMESTAMP_FILE={}", file.display());
    let fake = ["env", &preload, &place, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    let serve = ["serve", "--scenario", "metronome", "--rate", "1000", "--log", "error"];
    let limits = ["--hosts", "test", "--ping", "300ms", "--pong-timeout", "20s"];
    let server = Server::of(Program::start_under(&fake, &[&serve[..], &limits].concat()));
    let witness = Witness::start(&server);
    let mut raw = Raw::open(&server, "json");
    // Once it is answered, it is told what happens.
    assert_eq!(raw.ask(1, "ping", json!({}))["success"], true);
    let (begun, mut told, beats) = (Instant::now(), Vec::new(), Cell::new(0_u32));
    for (offset, words) in [("+3600\n", "by 3"), ("-3600\n", "by -7"), ("+0\n", "by 3")] {
        set(offset);
        raw.until(|message| {
            beats.set(beats.get() + u32::from(message["type"] == "heartbeat"));
            message["source"] == "clock"
                && message["state"] == "clock_stepped"
                && message["message"].as_str().unwrap().contains(words)
        });
        told.push(words);
    }
    // For as long as timers might go wrong.
    let (after, mut beats) = (Instant::now(), beats.get());
    while after.elapsed() < Duration::from_secs(3) {
        beats += u32::from(raw.next().unwrap().json()["type"] == "heartbeat");
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(f64::from(beats) <= seconds + 3.0, "{beats} heartbeats in {seconds:.1} s");
    assert_eq!(server.metric("broadtape_closes_total", ""), 0.0, "nobody was sent away");
    let trades = witness.lost_nothing();
    println!(
        "3 jumps of 1, 2 and 1 hours: {} told, 0 disconnections, {beats} heartbeats in \
         {seconds:.1} s, a witness lost 0 of {trades}",
        told.len()
    );
}
