//! pcap: captures of networks (pcap and pcapng) as UDP payloads, in the order of their files.
//!
//! [`Capture`] reads one or several files (the lines of one feed, merged by time), [`packet`] finds
//! the payload in a packet, [`arbiter`] puts the packets of a stream in the order of their
//! sequence: each once, whichever line brought it.

pub mod arbiter;
mod block;
mod capture;
#[cfg(test)]
pub(super) mod captures;
pub mod framing;
mod packet;
pub mod stream;

pub use capture::{Capture, Cut};
pub use packet::{Flow, Payload};
