//! node: the control plane. What an operator sets, and what people and machines are told over HTTP.

mod admin;
pub mod config;
mod engine;
mod gates;
pub mod http;
mod listeners;
mod machinery;
mod memory;
pub mod options;
pub mod record;
mod recording;
mod recordings;
mod reload;
pub mod report;
pub mod server;
mod status;
pub mod units;
mod upgrade;
mod watchdog;
