//! The vocabulary of the wire: records, instruments, frames, control messages. Names no stage.

pub mod batch;
pub mod close;
pub mod encoding;
pub mod error;
pub mod frame;
pub mod instrument;
mod params;
pub mod position;
pub mod record;
pub mod request;
mod strict;
pub mod subscribe;
pub mod symbols;
