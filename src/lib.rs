//! broadtape: a market's ticks in, out to many.

pub mod cli;
pub mod clock;
pub mod feed;
pub mod gate;
pub mod latency;
pub mod limits;
pub mod node;
pub mod ring;
pub mod shard;
pub mod socket;
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
