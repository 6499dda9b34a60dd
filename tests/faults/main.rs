//! Faults: of the server's own parts, of the machine, of whole crowds of clients. Each test says
//! what must hold and prints the figures that it saw; `tools/faults.sh` gives them longer turns.
#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]
#![allow(dead_code, reason = "what is shared with tests/hostile is not all used here")]

#[path = "../program/mod.rs"]
mod program;
#[path = "../hostile/raw.rs"]
mod raw;
#[path = "../hostile/server.rs"]
mod server;
#[path = "../hostile/witness.rs"]
mod witness;

mod clock;
mod crowd;
mod descriptors;
mod dribble;
mod embedded;
mod group;
mod idle;
mod memory;
mod net;
mod panics;
mod peers;
mod stuck;
