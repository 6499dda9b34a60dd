//! The vocabulary of the wire: records, instruments, frames, control messages. Names no stage.

pub mod file;
pub mod instrument;
pub mod json;
pub mod record;
