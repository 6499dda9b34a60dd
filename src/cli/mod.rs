//! cli: one file or folder a command.

pub mod bench;
mod client;
mod units;
pub mod watch;
