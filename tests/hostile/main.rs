//! Clients that mean harm: each gets what the protocol says and costs no more than its share, while
//! a witness beside it, that behaves, loses nothing.
#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]
#![allow(dead_code, reason = "what is shared with tests/faults is not all used here")]

#[path = "../program/mod.rs"]
mod program;
mod raw;
mod server;
mod witness;

mod crowd;
mod frames;
mod gaps;
mod leaving;
mod pages;
mod requests;
mod silence;
