//! The protocol through the front door: the program as a user starts it, and an independent client
//! that holds every frame to `docs/protocol.md` (`ledger`) whatever else a test looks at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod catchup;
mod client;
mod closing;
mod derived;
mod echo;
mod encodings;
mod heartbeats;
mod ledger;
mod pace;
#[path = "../program/mod.rs"]
mod program;
mod recording;
mod recordings;
mod replay;
mod requests;
mod resume;
mod slow;
mod slow_counts;
mod snapshots;
mod status;
mod subscribing;
mod unsubscribing;
mod wire;
mod wish;

use program::Program;

/// A server of evenly paced trades, `rate` a second.
fn metronome(rate: u32, more: &[&str]) -> Program {
    let rate = rate.to_string();
    let args = ["serve", "--scenario", "metronome", "--log", "error", "--rate", &rate];
    Program::start(&[&args[..], more].concat())
}

/// A server of a simulated market, `rate` records a second.
fn market(rate: u32, more: &[&str]) -> Program {
    let rate = rate.to_string();
    Program::start(&[&["serve", "--log", "error", "--rate", &rate][..], more].concat())
}
