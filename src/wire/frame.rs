//! WebSocket frames as a server sends them: whole, unmasked, so that all clients share the bytes.

use arrayvec::ArrayVec;

use crate::limits::WS_CONTROL_MAX;

/// Bytes of the longest head of a server frame.
pub const HEAD_MAX: usize = 10;
/// Bytes of the head of a frame with 126 to 65,535 bytes of payload, as data frames have.
pub const HEAD_DATA: usize = 4;

const FIN: u8 = 0x80;
/// Marks the two-byte length.
const LENGTH_16: u8 = 126;
/// Marks the eight-byte length.
const LENGTH_64: u8 = 127;

/// What a frame is (RFC 6455, 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of a fragmented message.
    Continuation = 0,
    /// UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The last frame of its sender.
    Close = 8,
    /// Answered with a pong of the same payload.
    Ping = 9,
    /// Answers a ping, or comes unasked.
    Pong = 10,
}

impl Opcode {
    /// From the low four bits of a frame's first byte; none where they are reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Close, ping or pong: short, never fragmented, allowed between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// The head of a whole message of `len` bytes in one frame.
pub fn head(opcode: Opcode, len: usize) -> ArrayVec<u8, HEAD_MAX> {
    let mut head = ArrayVec::new();
    head.push(FIN | opcode as u8);
    match len {
        0..=125 => head.push(len as u8),
        126..=0xffff => {
            head.push(LENGTH_16);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(LENGTH_64);
            head.extend((len as u64).to_be_bytes());
        }
    }
    head
}

/// Appends a message in one frame.
pub fn message_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&head(opcode, payload.len()));
    out.extend_from_slice(payload);
}

/// Appends a text message in one frame.
pub fn text_frame(payload: &str, out: &mut Vec<u8>) {
    message_frame(Opcode::Text, payload.as_bytes(), out);
}

/// Appends a text message that `write` appends, and returns what `write` does: the text is written
/// where it stays, its head put before it.
pub fn text_with<R>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_DATA]);
    let result = write(out);
    close_head(out, start, Opcode::Text);
    result
}

/// Fills in the head of a frame whose payload ends `out`: `HEAD_DATA` bytes were left for it at
/// `start`. A payload for which a head of another length is right is moved.
pub fn close_head(out: &mut Vec<u8>, start: usize, opcode: Opcode) {
    let head = head(opcode, out.len() - start - HEAD_DATA);
    match head.len() {
        HEAD_DATA => out[start..start + HEAD_DATA].copy_from_slice(&head),
        _ => drop(out.splice(start..start + HEAD_DATA, head)),
    }
}

/// Appends a close frame. `reason` is cut where a control frame ends.
pub fn close_frame(code: u16, reason: &str, out: &mut Vec<u8>) {
    let reason = &reason[..reason.floor_char_boundary(WS_CONTROL_MAX - 2)];
    out.extend_from_slice(&head(Opcode::Close, 2 + reason.len()));
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a close frame without a code: the answer to a client that gave none.
pub fn empty_close_frame(out: &mut Vec<u8>) {
    out.extend_from_slice(&head(Opcode::Close, 0));
}

/// Appends a ping. `payload` is cut to 125 bytes.
pub fn ping_frame(payload: &[u8], out: &mut Vec<u8>) {
    message_frame(Opcode::Ping, &payload[..payload.len().min(WS_CONTROL_MAX)], out);
}

/// Appends the pong that answers a ping of this payload (at most 125 bytes, else cut).
pub fn pong_frame(payload: &[u8], out: &mut Vec<u8>) {
    message_frame(Opcode::Pong, &payload[..payload.len().min(WS_CONTROL_MAX)], out);
}

/// Where one frame lies in a buffer, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSpan {
    /// Its first byte.
    pub start: usize,
    /// Where its payload begins.
    pub payload: usize,
    /// Behind its last byte.
    pub end: usize,
    /// What it is.
    pub opcode: Opcode,
}

/// The frames of a buffer of server frames, in order. Ends before one that is not whole.
pub fn frames(bytes: &[u8]) -> impl Iterator<Item = FrameSpan> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let span = frame_at(bytes, start)?;
        start = span.end;
        Some(span)
    })
}

fn frame_at(bytes: &[u8], start: usize) -> Option<FrameSpan> {
    let frame = bytes.get(start..)?;
    let opcode = Opcode::from_bits(frame.first()? & 0x0f)?;
    let (head, len) = match *frame.get(1)? {
        LENGTH_16 => (4, u64::from(u16::from_be_bytes(*frame.get(2..)?.first_chunk()?))),
        LENGTH_64 => (10, u64::from_be_bytes(*frame.get(2..)?.first_chunk()?)),
        len => (2, u64::from(len)),
    };
    let end = usize::try_from(len).ok()?.checked_add(start + head)?;
    (end <= bytes.len()).then_some(FrameSpan { start, payload: start + head, end, opcode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_minimal() {
        for (len, bytes) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(head(Opcode::Text, len).as_slice(), bytes, "{len}");
        }
    }

    #[test]
    fn a_text_written_in_place_equals_one_that_is_copied() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(len);
            let (mut copied, mut placed) = (vec![7], vec![7]);
            text_frame(&text, &mut copied);
            text_with(&mut placed, |out| out.extend_from_slice(text.as_bytes()));
            assert!(copied == placed, "{len}");
        }
    }

    #[test]
    fn frames_are_found_where_they_were_put() {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for len in [0, 5, 125, 126, 65_535, 65_536] {
            starts.push(bytes.len());
            message_frame(Opcode::Binary, &vec![0; len], &mut bytes);
        }
        starts.push(bytes.len());
        close_frame(4008, "slow", &mut bytes);
        let spans: Vec<_> = frames(&bytes).collect();
        assert_eq!(spans.iter().map(|s| s.start).collect::<Vec<_>>(), starts);
        assert_eq!(spans[5].end - spans[5].payload, 65_536);
        let close = spans[6];
        assert_eq!((close.opcode, close.end), (Opcode::Close, bytes.len()));
        assert_eq!(&bytes[close.payload..close.end], b"\x0f\xa8slow");
        for cut in 0..bytes.len() {
            let whole = spans.iter().filter(|s| s.end <= cut).count();
            assert_eq!(frames(&bytes[..cut]).count(), whole, "{cut}");
        }
    }

    #[test]
    fn nonsense_ends_the_frames() {
        assert_eq!(frames(&[0x83, 0]).count(), 0);
        assert_eq!(frames(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]).count(), 0);
    }

    #[test]
    fn control_frames_never_exceed_their_limit() {
        let mut out = Vec::new();
        close_frame(1002, &"ü".repeat(100), &mut out);
        ping_frame(&[0; 200], &mut out);
        pong_frame(&[0; 125], &mut out);
        let sizes: Vec<_> = frames(&out).map(|s| s.end - s.payload).collect();
        assert_eq!(sizes, [124, 125, 125]);
        assert!(std::str::from_utf8(&out[4..126]).is_ok());
    }
}
