//! tape: what the ring carried, on disk, to be read again from any position.
//!
//! A tape is a folder of segment files; `docs/formats.md` has them field by field. One recorder
//! appends, beside the ring's other readers; any number of readers follow, in the same process or
//! others.
//!
//! ```no_run
//! use broadtape::tape::{Tape, TapeError};
//!
//! fn read(folder: &str, seq: u64) -> Result<(), TapeError> {
//!     let tape = Tape::open(folder)?; // or Tape::salvage(folder), past damage
//!     println!("epoch {}: records {} to {}", tape.epoch(), tape.first_seq(), tape.last_seq());
//!     let mut cursor = tape.cursor_after(seq)?; // or cursor_at_time(ts_out)
//!     let mut expected = cursor.expected();
//!     while let Some(block) = cursor.next_block()? {
//!         if block.first_seq() > expected {
//!             println!("{expected} to {} are not on the tape", block.first_seq() - 1);
//!         }
//!         for record in block.records() {
//!             println!("{} bytes with ts_out", record.len());
//!         }
//!         expected = block.last_seq() + 1;
//!     }
//!     Ok(()) // none: nothing more is recorded now; a later next_block() goes on
//! }
//! # let _ = read;
//! ```
//!
//! Invariants
//! 1. What has been written is never changed, only appended to, removed as a whole segment by
//!    retention, or declared void by a newer segment.
//! 2. Each frame says which record came before it on the tape (`prev_seq`). So what is missing
//!    because it was not recorded is told from what is missing because it was damaged since.
//! 3. Within an epoch no number is given twice: where a tape is continued that was not ended in
//!    order, the numbers go on beyond all that may have been published.
//! 4. Nothing that is read is believed before its checksum holds, and every length is bounded
//!    before anything is allocated.

mod block;
mod cursor;
mod derivation;
pub mod desk;
pub mod disk;
mod error;
mod folder;
mod frame;
mod index;
mod layout;
pub mod library;
mod read;
pub mod recorder;
mod repair;
mod segment;
mod symbols;
#[cfg(test)]
mod tests;
mod transcript;
mod verify;
mod walk;
pub mod workshop;
mod write;

pub use block::Block;
pub use cursor::Cursor;
pub use error::{Damage, Loss, TapeError};
pub use read::Tape;
pub use repair::repair;
pub use transcript::{Transcript, is_abandoned};
pub use verify::{Report, SegmentReport, verify};
