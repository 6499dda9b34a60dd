//! The vocabulary of the wire: records, instruments, frames, control messages. Names no stage.

pub mod instrument;
pub mod record;
