//! Recorded market data through the program, from the file to clients that share no code with it:
//! tungstenite carries the messages, the official `dbn` crate says what a file holds.
//!
//! [`oracle`] is what should come, [`client`] what came, [`compare`] holds one against the other.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod client;
mod compare;
mod course;
mod crowd;
mod delivery;
mod derived;
mod identity;
mod inspect;
mod oracle;
#[path = "../program/mod.rs"]
mod program;
mod slow;

use std::path::Path;

use client::{Client, Encoding};
use program::Program;

/// Orders of the ES future, a snapshot and two hours.
const ORDERS: &str = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";
/// Four minutes of the ES future: quotes, and the trades among them.
const QUOTES: &str = "databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst";
const TRADES: &str = "databento_ESU4_trades_2024-07-01T2358.dbn.zst";

/// Starts a replay of these files as fast as they are taken, once so many have subscribed.
fn replay(files: &[&Path], subscribers: usize, more: &[&str]) -> Program {
    play(files, subscribers, &[&["--speed", "max"], more].concat())
}

/// Starts a replay of these files, once so many have subscribed.
fn play(files: &[&Path], subscribers: usize, more: &[&str]) -> Program {
    let start = format!("on-subscribe={subscribers}");
    // Orders go round the ring several times; heartbeats end what waits for them.
    let fixed = ["--start", &start, "--ring", "1MiB", "--heartbeat", "50ms", "--log", "error"];
    let files = files.iter().map(|file| file.to_str().unwrap());
    let args: Vec<&str> = ["replay"].into_iter().chain(files).chain(fixed).collect();
    Program::start(&[&args, more].concat())
}

/// One client of each encoding, with what its beginning returns.
fn both<T>(server: &Program, begin: impl Fn(&mut Client) -> T) -> [(Client, T); 2] {
    [Encoding::Dbn, Encoding::Json].map(|encoding| {
        let mut client = Client::connect(&server.address, encoding);
        let begun = begin(&mut client);
        (client, begun)
    })
}

/// Does something with all of them at once: the file waits for a client that does not read.
fn for_each<T: Send>(all: &mut [T], each: impl Fn(&mut T) + Sync) {
    std::thread::scope(|scope| {
        for one in all {
            scope.spawn(|| each(one));
        }
    });
}
