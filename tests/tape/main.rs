//! The tape through the front door: a server that records is killed, restarted, refused; what
//! counted as recorded is there, byte for byte as a subscriber received it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod again;
mod commands;
mod disk;
mod failing;
mod kill;
#[path = "../program/mod.rs"]
mod program;
mod subscriber;
