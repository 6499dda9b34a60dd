//! The vocabulary of the wire: records, instruments, frames, control messages. Names no stage.

pub mod batch;
pub mod close;
pub mod error;
pub mod frame;
pub mod instrument;
pub mod record;
pub mod strict;
