//! TLS through the front door: handshakes good and bad, streams whose counts are exact all the
//! same, certificates that are renewed under load.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod authority;
#[path = "../stream/client.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod client;
mod handshakes;
#[path = "../stream/ledger.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod ledger;
#[path = "../program/mod.rs"]
mod program;
mod renewal;
mod scan;
mod server;
mod streams;
mod tools;
#[path = "../stream/wire.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod wire;
#[path = "../stream/wish.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod wish;
