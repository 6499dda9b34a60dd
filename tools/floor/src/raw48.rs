//! The message that every peer sends: 48 bytes, little-endian.
//!
//! | offset | type | |
//! |---|---|---|
//! | 0 | u64 | its number, from 0, going up by one |
//! | 8 | u64 | when it was due, ns since the UNIX epoch |
//! | 16 | u32 | symbol |
//! | 20 | | filler |

/// Bytes of a message.
pub const MESSAGE: usize = 48;
/// Symbols that take turns.
pub const SYMBOLS: u64 = 16;
const FILLER: u8 = 0x55;

/// The message with this number, due at that time.
pub fn message(seq: u64, at: u64) -> [u8; MESSAGE] {
    let mut message = [FILLER; MESSAGE];
    message[..8].copy_from_slice(&seq.to_le_bytes());
    message[8..16].copy_from_slice(&at.to_le_bytes());
    message[16..20].copy_from_slice(&((seq % SYMBOLS) as u32).to_le_bytes());
    message
}
