//! The vocabulary of the wire: records, instruments, frames, control messages. Names no stage.

pub mod answer;
pub mod batch;
pub mod close;
pub mod columns;
pub mod csv;
pub mod encoding;
pub mod error;
pub mod file;
pub mod filter;
pub mod frame;
pub mod grant;
pub mod heartbeat;
pub mod instrument;
pub mod json;
pub mod message;
mod params;
pub mod position;
pub mod record;
pub mod replay;
pub mod request;
mod strict;
pub mod subscribe;
pub mod symbols;
mod text;
pub mod when;
