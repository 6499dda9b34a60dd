//! Who may knock: bad handshakes, limits on addresses, proxies that speak for others, orders of the
//! operator; alone, and behind nginx and HAProxy.
#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

mod behind;
mod deploy;
mod front;
mod handshakes;
mod limits;
mod names;
mod orders;
#[path = "../program/mod.rs"]
mod program;
mod proxied;
mod sites;
