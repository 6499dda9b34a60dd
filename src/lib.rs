//! broadtape: a market's ticks in, out to many.

pub mod clock;
pub mod feed;
pub mod limits;
pub mod ring;
pub mod socket;
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
