//! The floor of a fan-out: what the kernel alone costs, for everything above it to be divided by.
//!
//! N subscribers are accepted; from then on, each millisecond, each of them is sent the same
//! bytes, framed once, in one call. There is no queue, no matching, no clock but the metronome's.
//!
//! ```text
//! crowd (accept, handshake, subscribe) ──► metronome ──► framer ──► engine: one send each
//! ```
//!
//! The metronome and the 48-byte message are a library: the peers in `tools/peers` keep the same
//! time and send the same payload.

pub mod client_frame;
pub mod connection;
pub mod crowd;
pub mod dialogue;
pub mod engine;
pub mod framer;
pub mod handshake;
pub mod metronome;
pub mod raw48;
pub mod tally;
pub mod uring;
