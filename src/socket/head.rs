//! The head of a frame from a client, and all that RFC 6455 forbids clients to send.

use crate::limits::WS_CONTROL_MAX;
use crate::wire::close::CloseReason;
use crate::wire::frame::Opcode;

/// Bytes of the longest head of a client frame.
pub(super) const HEAD_MAX: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a client sent that ends its connection. The first forbidden byte decides which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 6455, 5.2: no extension was agreed on.
    #[error("a frame with reserved bits {0:#04x}: no extension was agreed on")]
    ReservedBits(u8),
    /// RFC 6455, 5.2.
    #[error("a frame of opcode {0}: 0, 1, 2, 8, 9 and 10 are known")]
    Opcode(u8),
    /// RFC 6455, 5.4.
    #[error("a new message before the fragments of the last one were complete")]
    Interleaved,
    /// RFC 6455, 5.4.
    #[error("a continuation of no message")]
    NothingToContinue,
    /// RFC 6455, 5.5.
    #[error("a control frame in fragments")]
    FragmentedControl,
    /// RFC 6455, 5.1.
    #[error("a frame without a mask: clients mask theirs")]
    NotMasked,
    /// RFC 6455, 5.5.
    #[error("a control frame with more than {WS_CONTROL_MAX} bytes")]
    LongControl,
    /// RFC 6455, 5.2.
    #[error("a length of {0} in more bytes than it needs")]
    LongLength(u64),
    /// RFC 6455, 5.2.
    #[error("a length of 2^63 or more")]
    HugeLength,
    /// The limit of this server, told in `welcome`.
    #[error("a message of {size} bytes or more: at most {max} are taken")]
    TooBig {
        /// What its frames up to this one announce.
        size: u64,
        /// What is allowed.
        max: u64,
    },
    /// They would never come to an end.
    #[error("a message with more than {0} empty fragments")]
    EmptyFragments(u32),
    /// RFC 6455, 8.1.
    #[error("a text that is not UTF-8")]
    BadUtf8,
    /// RFC 6455, 5.5.1.
    #[error("a close frame of one byte: its code takes two")]
    CloseLength,
    /// RFC 6455, 7.4.
    #[error("a close frame with code {0}, which none may carry")]
    CloseCode(u16),
}

impl Violation {
    /// What the connection is closed with.
    pub const fn reason(self) -> CloseReason {
        match self {
            Self::TooBig { .. } => CloseReason::TooBig,
            Self::EmptyFragments(_) => CloseReason::Policy,
            Self::BadUtf8 => CloseReason::BadUtf8,
            _ => CloseReason::ProtocolError,
        }
    }
}

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) last: bool,
    /// Bytes of the payload.
    pub(super) len: u64,
    pub(super) mask: [u8; 4],
    /// Bytes of the head itself.
    pub(super) size: usize,
}

impl Head {
    /// Reads a head; none while bytes of it are missing. Each byte is judged as soon as it is
    /// there, in their order, so that the verdict does not depend on how they came.
    /// `open`: a message waits for its continuation.
    pub(super) fn parse(bytes: &[u8], open: bool) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = kind(first, open)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(Violation::NotMasked);
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > WS_CONTROL_MAX {
            return Err(Violation::LongControl);
        }
        let Some((len, end)) = length(short, &bytes[2..])? else { return Ok(None) };
        let Some(&mask) = bytes[end..].first_chunk() else { return Ok(None) };
        Ok(Some(Self { opcode, last: first & FIN != 0, len, mask, size: end + 4 }))
    }
}

fn kind(first: u8, open: bool) -> Result<Opcode, Violation> {
    if first & RESERVED != 0 {
        return Err(Violation::ReservedBits(first & RESERVED));
    }
    let bits = first & 0x0f;
    let opcode = Opcode::from_bits(bits).ok_or(Violation::Opcode(bits))?;
    match opcode {
        Opcode::Text | Opcode::Binary if open => Err(Violation::Interleaved),
        Opcode::Continuation if !open => Err(Violation::NothingToContinue),
        _ if opcode.is_control() && first & FIN == 0 => Err(Violation::FragmentedControl),
        _ => Ok(opcode),
    }
}

/// The length of the payload, and where the mask begins.
fn length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (len, end, least) = match short {
        126 => match bytes.first_chunk() {
            Some(&long) => (u64::from(u16::from_be_bytes(long)), 4, 126),
            None => return Ok(None),
        },
        127 => match bytes.first_chunk() {
            Some(&long) => (u64::from_be_bytes(long), 10, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short), 2, 0),
    };
    if len >> 63 != 0 {
        return Err(Violation::HugeLength);
    }
    if len < least {
        return Err(Violation::LongLength(len));
    }
    Ok(Some((len, end)))
}

/// Removes a mask whose first byte stands for byte `phase` of the payload (mod 4).
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4], phase: usize) {
    let mut turned = mask;
    turned.rotate_left(phase % 4);
    let word = u64::from(u32::from_ne_bytes(turned));
    let word = word << 32 | word;
    let mut words = payload.chunks_exact_mut(8);
    for chunk in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ word).to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(turned.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Result<Option<Head>, Violation> {
        Head::parse(bytes, false)
    }

    #[test]
    fn a_head_is_whole_with_its_last_byte() {
        for (bytes, len) in [
            (&[0x81, 0x80, 1, 2, 3, 4][..], 0),
            (&[0x82, 0xfe, 0, 126, 1, 2, 3, 4], 126),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 65_536),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(head(&bytes[..cut]), Ok(None));
            }
            let whole = head(bytes).unwrap().unwrap();
            assert_eq!((whole.len, whole.size, whole.mask), (len, bytes.len(), [1, 2, 3, 4]));
        }
    }

    #[test]
    fn the_first_forbidden_byte_decides() {
        for (bytes, open, violation) in [
            (&[0xc1][..], false, Violation::ReservedBits(0x40)),
            (&[0x83], false, Violation::Opcode(3)),
            (&[0x8b], false, Violation::Opcode(11)),
            (&[0x80], false, Violation::NothingToContinue),
            (&[0x81], true, Violation::Interleaved),
            (&[0x09], true, Violation::FragmentedControl),
            (&[0x81, 0x00], false, Violation::NotMasked),
            (&[0x89, 0xfe], false, Violation::LongControl),
            (&[0x81, 0xfe, 0, 125], false, Violation::LongLength(125)),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], false, Violation::LongLength(65_535)),
            (&[0x81, 0xff, 128, 0, 0, 0, 0, 0, 0, 0], false, Violation::HugeLength),
        ] {
            let shorter = &bytes[..bytes.len() - 1];
            assert_eq!(Head::parse(shorter, open), Ok(None), "{violation}");
            assert_eq!(Head::parse(bytes, open), Err(violation));
        }
    }

    #[test]
    fn a_mask_is_removed_at_every_phase_and_length() {
        let mask = [0x11, 0x22, 0x44, 0x88];
        for phase in 0..5 {
            for len in 0..20 {
                let mut payload = vec![0; len];
                unmask(&mut payload, mask, phase);
                let right: Vec<_> = (0..len).map(|n| mask[(n + phase) % 4]).collect();
                assert_eq!(payload, right, "{phase} {len}");
            }
        }
    }
}
