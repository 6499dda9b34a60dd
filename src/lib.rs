//! broadtape: a market's ticks in, out to many.

pub mod clock;
pub mod feed;
pub mod latency;
pub mod limits;
pub mod ring;
pub mod socket;
pub mod wire;
