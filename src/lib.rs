//! broadtape: a market's ticks in, out to many.

pub mod cli;
pub mod clock;
pub mod feed;
pub mod limits;
pub mod wire;
