//! broadtape: a market's ticks in, out to many.

pub mod clock;
pub mod feed;
pub mod limits;
pub mod socket;
pub mod wire;
