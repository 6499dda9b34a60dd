//! WebSocket frames as a client sees them: a server's read in place, its own masked.

use rand::TryRng;
use rand::rngs::SysRng;

use crate::limits::{SERVER_MESSAGE_MAX, WS_CONTROL_MAX};

/// Opcode of a text message.
pub const TEXT: u8 = 1;
/// Opcode of a binary message.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// One whole frame of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// [`TEXT`] and its neighbours.
    pub opcode: u8,
    /// What it carries.
    pub payload: &'a [u8],
}

/// A frame that no broadtape server sends.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// Only clients mask.
    #[error("a masked frame: servers never mask")]
    Masked,
    /// A message in pieces.
    #[error("a fragmented message (first byte {0:#04x}): the protocol has none")]
    Fragmented(u8),
    /// No frame begins so.
    #[error("reserved bits or opcode in the first byte {0:#04x}")]
    Reserved(u8),
    /// It announces more than such a frame may have.
    #[error("{length} bytes in a frame: over {limit}")]
    TooLong {
        /// What it announces.
        length: u64,
        /// What it may.
        limit: usize,
    },
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    /// Bytes of the head.
    pub head: usize,
    /// Bytes of the payload behind it.
    pub length: u64,
}

/// The head that `bytes` start with; none where it is incomplete.
///
/// # Errors
/// [`FrameError::Masked`].
#[inline]
pub fn head(bytes: &[u8]) -> Result<Option<FrameHead>, FrameError> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    let (head, length) = match second {
        0..=125 => (2, u64::from(second)),
        126 => match bytes.get(2..4) {
            Some(&[a, b]) => (4, u64::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|b| b.try_into().ok()) {
            Some(wide) => (10, u64::from_be_bytes(wide)),
            None => return Ok(None),
        },
        _ => return Err(FrameError::Masked),
    };
    Ok(Some(FrameHead { first, head, length }))
}

/// The frame of a broadtape server that `bytes` start with, and how many of them it takes; none
/// where it is incomplete.
///
/// # Errors
/// [`FrameError`] as soon as the head shows it, before the payload has arrived.
#[inline]
pub fn next(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    next_within(bytes, SERVER_MESSAGE_MAX)
}

/// The same of a server whose messages may have up to `limit` bytes.
///
/// # Errors
/// As [`next`].
#[inline]
pub fn next_within(bytes: &[u8], limit: usize) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some(FrameHead { first, head, length }) = head(bytes)? else { return Ok(None) };
    check(first, length, limit)?;
    let end = head + length as usize;
    let Some(payload) = bytes.get(head..end) else { return Ok(None) };
    Ok(Some((Frame { opcode: first & 0x0f, payload }, end)))
}

#[inline]
fn check(first: u8, length: u64, limit: usize) -> Result<(), FrameError> {
    let limit = match first {
        0x81 | 0x82 => limit,
        0x88..=0x8a => WS_CONTROL_MAX,
        0x00..=0x02 | 0x80 => return Err(FrameError::Fragmented(first)),
        _ => return Err(FrameError::Reserved(first)),
    };
    if length > limit as u64 { Err(FrameError::TooLong { length, limit }) } else { Ok(()) }
}

/// Appends a client's frame, masked with a random key.
pub fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    // Masks protect proxies from scripts; where the system has no randomness, any mask will do.
    let key = SysRng.try_next_u32().unwrap_or(0x5a17_c0de).to_le_bytes();
    push_masked(out, opcode, payload, key);
}

/// Appends a client's frame, masked with `key`.
fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], key: [u8; 4]) {
    out.push(0x80 | opcode);
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(len as u8),
            len => out.extend([126, (len >> 8) as u8, len as u8]),
        }
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn a_frame_is_read_once_it_is_whole() {
        for payload in [&b""[..], b"abc", &[7; 126], &[9; 65_535]] {
            let bytes = server_frame(0x82, payload);
            for cut in [0, 1, 2, 3, bytes.len() - 1] {
                assert_eq!(next(&bytes[..cut.min(bytes.len() - 1)]), Ok(None));
            }
            assert_eq!(next(&bytes), Ok(Some((Frame { opcode: BINARY, payload }, bytes.len()))));
        }
    }

    #[test]
    fn what_no_server_sends_is_refused_by_its_head() {
        assert_eq!(next(&[0x82, 0x85]), Err(FrameError::Masked));
        assert_eq!(next(&[0x02, 1]), Err(FrameError::Fragmented(0x02)));
        assert_eq!(next(&[0x80, 1]), Err(FrameError::Fragmented(0x80)));
        assert_eq!(next(&[0xc2, 1]), Err(FrameError::Reserved(0xc2)));
        assert_eq!(next(&[0x83, 1]), Err(FrameError::Reserved(0x83)));
        assert_eq!(
            next(&[0x89, 126, 0, 126]),
            Err(FrameError::TooLong { length: 126, limit: 125 })
        );
        let wide = [0x82, 126, 1, 0];
        assert_eq!(next_within(&wide, 255), Err(FrameError::TooLong { length: 256, limit: 255 }));
        let long = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(next(&long), Err(FrameError::TooLong { length: 65_536, limit: 65_535 }));
    }

    #[test]
    fn a_masked_frame_unmasks_to_what_it_was() {
        let mut out = Vec::new();
        push_masked(&mut out, TEXT, b"hello", [1, 2, 3, 4]);
        assert_eq!(out[..6], [0x81, 0x85, 1, 2, 3, 4]);
        let plain: Vec<u8> = out[6..].iter().zip([1, 2, 3, 4, 1]).map(|(b, k)| b ^ k).collect();
        assert_eq!(plain, b"hello");
    }
}
