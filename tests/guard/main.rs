//! The guard of client frames: independent of how reads cut the bytes, and of one mind with others.
//!
//! Generated sequences, most of them wrong somewhere, are judged by the guard, by their own
//! making, by tungstenite and by the Python library wsproto.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails so"
)]

mod frames;
mod tungstenite;
mod wsproto;

use std::collections::BTreeSet;

use broadtape::limits::CLIENT_MESSAGE_MAX;
use broadtape::socket::read::{Event, Guard, Violation};
use frames::{BINARY, FAULTS, TEXT, event, frame, script};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Above the longest generated message.
const MAX: usize = 100_000;

fn name(said: &Event<'_>) -> String {
    match said {
        Event::Text(text) => event("text", text.as_bytes()),
        Event::Binary(bytes) => event("binary", bytes),
        Event::Ping(bytes) => event("ping", bytes),
        Event::Pong(bytes) => event("pong", bytes),
        Event::Close(None) => event("close", b""),
        Event::Close(Some((code, words))) => {
            event("close", &[&code.to_be_bytes(), words.as_bytes()].concat())
        }
    }
}

fn verdict_of(violation: &Violation) -> String {
    format!("violation:{}", violation.reason().code().expect("a code"))
}

/// What the guard says of these reads, one after the other.
fn judge<'a>(max: usize, reads: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut guard = Guard::new(max);
    let mut verdict = Vec::new();
    for read in reads {
        feed(&mut guard, read, &mut verdict);
    }
    verdict
}

fn feed(guard: &mut Guard, read: &[u8], verdict: &mut Vec<String>) {
    let mut read = read.to_vec();
    let mut input = &mut read[..];
    loop {
        match guard.next(&mut input) {
            Ok(Some(said)) => verdict.push(name(&said)),
            Ok(None) => return assert!(input.is_empty()),
            Err(violation) => verdict.push(verdict_of(&violation)),
        }
    }
}

/// How much has been said after each byte, when they come one by one.
fn bytewise(max: usize, bytes: &[u8]) -> (Vec<String>, Vec<usize>) {
    let mut guard = Guard::new(max);
    let (mut verdict, mut said) = (Vec::new(), vec![0]);
    for byte in bytes {
        feed(&mut guard, std::slice::from_ref(byte), &mut verdict);
        said.push(verdict.len());
    }
    (verdict, said)
}

/// A script, in half of the seeds with a few bits flipped and an end cut off.
fn bytes_of(seed: u64, rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = script(seed).bytes;
    if seed.is_multiple_of(2) && !bytes.is_empty() {
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        bytes.truncate(rng.random_range(0..=bytes.len()));
    }
    bytes
}

#[test]
fn every_script_gets_the_verdict_it_was_made_for() {
    let mut faults = BTreeSet::new();
    for seed in 0..5000 {
        let script = script(seed);
        let verdict = judge(MAX, [&script.bytes[..]]);
        assert_eq!(verdict, script.verdict, "seed {seed}: {}", script.fault);
        faults.insert(script.fault);
    }
    assert_eq!(faults.len(), 1 + FAULTS.len(), "{faults:?}");
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    for seed in 0..400 {
        let mut rng = Pcg64::seed_from_u64(seed);
        let bytes = bytes_of(seed, &mut rng);
        if bytes.len() > 1000 {
            continue;
        }
        let (verdict, said) = bytewise(MAX, &bytes);
        for cut in 0..=bytes.len() {
            let (before, behind) = bytes.split_at(cut);
            assert_eq!(judge(MAX, [before]), verdict[..said[cut]], "seed {seed}, cut {cut}");
            assert_eq!(judge(MAX, [before, behind]), verdict, "seed {seed}, cut {cut}");
        }
    }
}

#[test]
fn any_number_of_splits_changes_nothing() {
    for seed in 0..2000 {
        let mut rng = Pcg64::seed_from_u64(seed);
        let bytes = bytes_of(seed, &mut rng);
        let max = [200, MAX][rng.random_range(0..2)];
        let whole = judge(max, [&bytes[..]]);
        for most in [2, 20, 5000] {
            let mut rest = &bytes[..];
            let reads = std::iter::from_fn(|| {
                let read;
                (read, rest) = rest.split_at(rng.random_range(0..=most).min(rest.len()));
                (!read.is_empty() || !rest.is_empty()).then_some(read)
            });
            assert_eq!(judge(max, reads), whole, "seed {seed}, reads of up to {most}");
        }
    }
}

#[test]
fn random_bytes_end_in_a_verdict() {
    let mut rng = Pcg64::seed_from_u64(1);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
        let (verdict, _) = bytewise(MAX, &bytes);
        assert_eq!(judge(MAX, [&bytes[..]]), verdict, "{bytes:?}");
    }
}

#[test]
fn the_limit_counts_a_message_not_its_frames() {
    let mut rng = Pcg64::seed_from_u64(2);
    let mut guard = Guard::new(CLIENT_MESSAGE_MAX);
    let mut verdict = Vec::new();
    let piece = vec![b'x'; CLIENT_MESSAGE_MAX / 4];
    for first in [TEXT, 0, 0, 0x80] {
        feed(&mut guard, &frame(&mut rng, first, &piece), &mut verdict);
    }
    assert_eq!(verdict, [event("text", &piece.repeat(4))]);
    for first in [BINARY, 0, 0, 0] {
        feed(&mut guard, &frame(&mut rng, first, &piece), &mut verdict);
    }
    assert_eq!(verdict.len(), 1);
    feed(&mut guard, &frame(&mut rng, 0x80, b"y"), &mut verdict);
    assert_eq!(verdict[1..], ["violation:1009"]);
}

#[test]
fn tungstenite_is_of_the_same_mind() {
    for seed in 0..5000 {
        let script = script(seed);
        if tungstenite::is_known_to_differ(&script) {
            continue;
        }
        for max in [200, MAX] {
            // Where a frame is too big and wrong as well, the two look for it in another order.
            if max < MAX && !script.fault.is_empty() {
                continue;
            }
            let ours = judge(max, [&script.bytes[..]]);
            let theirs = tungstenite::judge(max, &script.bytes);
            assert_eq!(ours, theirs, "seed {seed}: {}", script.fault);
        }
    }
}

#[test]
fn wsproto_is_of_the_same_mind() {
    let scripts: Vec<_> = (10_000..14_000).map(script).collect();
    let Some(verdicts) = wsproto::judge(scripts.iter().map(|script| &script.bytes[..])) else {
        return;
    };
    assert_eq!(verdicts.len(), scripts.len());
    for (script, theirs) in scripts.iter().zip(verdicts) {
        assert_eq!(judge(MAX, [&script.bytes[..]]), theirs, "{}", script.fault);
    }
}
