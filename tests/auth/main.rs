//! Who may come in, and what they get, through the front door: tokens of other makers, tokens that
//! are wrong in every way, expiry, refresh and revocation on a live connection, and that nothing
//! but what a grant gives ever arrives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

mod client;
mod delay;
mod entitled;
mod journal;
mod live;
mod minted;
mod operator;
#[path = "../program/mod.rs"]
mod program;
mod secrecy;
mod tools;
mod world;
