//! The guard: decodes what clients send, strictly, and without a socket.
//!
//! Fed with whatever a read brought, it hands out whole messages, and refuses at the first
//! byte that RFC 6455 or a limit forbids. What it says depends on the bytes alone, not on how the
//! reads cut them. A frame that is whole in the input is unmasked in place and borrowed; only what
//! is cut, or fragmented, is kept, and no more of it than has come: a frame that announces a
//! gigabyte costs nothing.

use std::borrow::Cow;

use super::event::whole;
use super::head::{HEAD_MAX, Head, unmask};
use super::partial::Partial;
use crate::wire::frame::Opcode;

pub use super::event::Event;
pub use super::head::Violation;

/// The decoder of one connection. An idle one is these few bytes.
#[derive(Debug)]
pub struct Guard {
    max: usize,
    ended: bool,
    partial: Option<Box<Partial>>,
}

impl Guard {
    /// A guard for messages of at most `max` bytes, all fragments together.
    pub const fn new(max: usize) -> Self {
        Self { max, ended: false, partial: None }
    }

    /// Does it hold part of a frame or of a message?
    pub const fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// The next event of the input, which is consumed up to there; none when all of it is.
    /// Call it until then.
    ///
    /// # Errors
    /// [`Violation`]. The guard takes nothing more then, as after a close frame: what follows is
    /// consumed and ignored.
    pub fn next<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        while !input.is_empty() && !self.ended {
            let event = self.step(input);
            self.ended = matches!(&event, Err(_) | Ok(Some(Event::Close(_))));
            if self.ended || self.partial.as_ref().is_some_and(|partial| partial.is_idle()) {
                self.partial = None;
            }
            if let Some(event) = event? {
                return Ok(Some(event));
            }
        }
        *input = &mut [];
        Ok(None)
    }

    /// Takes one frame of the input, or what there is of it. The input is not empty.
    fn step<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        let begun = self.partial.as_mut().and_then(|partial| partial.frame.take());
        let (head, came) = match begun {
            Some(begun) => begun,
            None => match self.head(input)? {
                Some(head) => (head, 0),
                None => return Ok(None),
            },
        };
        let missing = head.len - came;
        let payload = take(input, usize::try_from(missing).unwrap_or(usize::MAX));
        unmask(payload, head.mask, came as usize);
        let ends = payload.len() as u64 == missing;
        if came == 0 && ends && head.last && head.opcode != Opcode::Continuation {
            return whole(head.opcode, Cow::Borrowed(payload)).map(Some);
        }
        let partial = self.partial.get_or_insert_default();
        let event = partial.append(&head, payload, ends);
        partial.frame = (!ends).then_some((head, came + payload.len() as u64));
        event
    }

    /// Takes the head of a frame, or what there is of it, and holds it against the limit before any
    /// of the payload is looked at.
    fn head(&mut self, input: &mut &mut [u8]) -> Result<Option<Head>, Violation> {
        let held = self.partial.as_ref().and_then(|partial| partial.held());
        let open = held.is_some();
        let head = match self.partial.as_mut() {
            Some(partial) if !partial.head.is_empty() => partial.more_of_head(input, open)?,
            _ => Head::parse(input, open)?.inspect(|head| _ = take(input, head.size)),
        };
        let Some(head) = head else {
            let rest = take(input, HEAD_MAX);
            self.partial.get_or_insert_default().head.extend(rest.iter().copied());
            return Ok(None);
        };
        let (size, max) = (held.unwrap_or(0) as u64 + head.len, self.max as u64);
        if !head.opcode.is_control() && size > max {
            return Err(Violation::TooBig { size, max });
        }
        Ok(Some(head))
    }
}

/// Splits up to `n` bytes off the front of the input.
pub(super) fn take<'a>(input: &mut &'a mut [u8], n: usize) -> &'a mut [u8] {
    let n = n.min(input.len());
    let (front, rest) = std::mem::take(input).split_at_mut(n);
    *input = rest;
    front
}

const _: () = assert!(size_of::<Guard>() <= 24, "a few bytes for an idle connection");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::EMPTY_FRAGMENTS;

    const MASK: [u8; 4] = [0x5a, 0x01, 0xff, 0x80];

    /// A masked frame; `first` holds FIN and opcode.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            len @ 0..126 => bytes.push(0x80 | len as u8),
            len @ 126..65_536 => {
                bytes.push(0xfe);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(0xff);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        let start = bytes.len();
        bytes.extend(payload);
        unmask(&mut bytes[start..], MASK, 0);
        bytes
    }

    #[test]
    fn a_whole_message_is_borrowed_and_nothing_kept() {
        let mut bytes = [frame(0x81, "héllo".as_bytes()), frame(0x89, b"hi")].concat();
        let mut guard = Guard::new(100);
        let mut input = &mut bytes[..];
        let text = guard.next(&mut input).unwrap();
        assert!(matches!(text, Some(Event::Text(Cow::Borrowed("héllo")))), "{text:?}");
        let ping = guard.next(&mut input).unwrap();
        assert!(matches!(ping, Some(Event::Ping(Cow::Borrowed(b"hi")))), "{ping:?}");
        assert_eq!(guard.next(&mut input), Ok(None));
        assert!(input.is_empty() && !guard.is_partial());
    }

    #[test]
    fn a_cut_message_is_kept_until_it_is_whole() {
        let mut bytes = [frame(0x01, b"a"), frame(0x8a, b""), frame(0x80, b"b")].concat();
        let mut guard = Guard::new(2);
        let mut events = Vec::new();
        for piece in bytes.chunks_mut(3) {
            let mut input = piece;
            while let Some(event) = guard.next(&mut input).unwrap() {
                events.push(format!("{event:?}"));
            }
        }
        assert_eq!(events, [r#"Pong([])"#, r#"Text("ab")"#]);
        assert!(!guard.is_partial());
    }

    #[test]
    fn a_frame_cut_behind_its_head_leaves_nothing_open() {
        let mut bytes = [frame(0x81, b"a"), frame(0x82, b"b")].concat();
        let mut guard = Guard::new(10);
        let (mut head, mut rest) = bytes.split_at_mut(6);
        assert_eq!(guard.next(&mut head), Ok(None));
        assert_eq!(guard.next(&mut rest), Ok(Some(Event::Text("a".into()))));
        assert!(!guard.is_partial());
        assert_eq!(guard.next(&mut rest), Ok(Some(Event::Binary(b"b"[..].into()))));
    }

    #[test]
    fn a_size_is_refused_before_its_bytes_come() {
        let announced = |len: u64| {
            let mut bytes = vec![0x82, 0xff];
            bytes.extend(len.to_be_bytes());
            bytes.extend(MASK);
            bytes
        };
        let max = 64 << 10;
        for size in [max + 1, 60 << 20, (1 << 63) - 1] {
            let mut bytes = announced(size);
            let refused = Guard::new(max as usize).next(&mut &mut bytes[..]);
            assert_eq!(refused, Err(Violation::TooBig { size, max }));
        }
        let mut guard = Guard::new(max as usize);
        assert_eq!(guard.next(&mut &mut announced(max)[..]), Ok(None));
        assert!(guard.is_partial());
    }

    #[test]
    fn fragments_are_counted_together() {
        let max = 64 << 10;
        for (piece, first_refused) in [(300 << 10, 0), (20_000, 3), (1, max)] {
            let mut guard = Guard::new(max);
            let mut taken = 0;
            let violation = loop {
                let mut bytes = frame(if taken == 0 { 0x02 } else { 0 }, &vec![0; piece]);
                match guard.next(&mut &mut bytes[..]) {
                    Ok(event) => assert_eq!(event, None),
                    Err(violation) => break violation,
                }
                taken += 1;
                let held = guard.partial.as_ref().and_then(|partial| partial.held());
                assert!(held.is_some_and(|held| held <= max));
            };
            assert_eq!((violation.reason().code(), taken), (Some(1009), first_refused), "{piece}");
            assert!(!guard.is_partial());
        }
    }

    #[test]
    fn empty_fragments_come_to_an_end() {
        let mut guard = Guard::new(10);
        let refused = (0..).find_map(|n| {
            let mut bytes = frame(if n == 0 { 0x01 } else { 0 }, b"");
            guard.next(&mut &mut bytes[..]).err().map(|violation| (n, violation))
        });
        let many = Violation::EmptyFragments(EMPTY_FRAGMENTS);
        assert_eq!(refused, Some((EMPTY_FRAGMENTS, many)));
    }

    #[test]
    fn bad_utf8_is_refused_at_its_first_byte() {
        let payload = b"\xce\xba\xf4\x90\x80\x80";
        let mut bytes = frame(0x81, payload);
        let mut guard = Guard::new(100);
        let bad = bytes.len() - payload.len() + 3;
        let refused = bytes.chunks_mut(1).position(|byte| guard.next(&mut { byte }).is_err());
        assert_eq!(refused, Some(bad));
        for (fragments, good) in [
            (&[(0x01, &b"\xce"[..]), (0x80, b"\xba")][..], true),
            (&[(0x01, b"\xce"), (0x80, b"")], false),
            (&[(0x01, b"\xce"), (0x00, b"x")], false),
            (&[(0x02, b"\xce"), (0x80, b"")], true),
        ] {
            let mut bytes: Vec<_> = fragments.iter().flat_map(|(f, p)| frame(*f, p)).collect();
            let result = Guard::new(100).next(&mut &mut bytes[..]);
            assert_eq!(result.is_ok(), good, "{fragments:?}");
        }
    }

    #[test]
    fn a_close_frame_is_the_last_and_must_make_sense() {
        let closed = |payload: &[u8]| {
            let mut bytes = [frame(0x88, payload), vec![0xff; 20]].concat();
            let mut input = &mut bytes[..];
            let mut guard = Guard::new(100);
            let event = guard.next(&mut input);
            let event = event.map(|event| format!("{event:?}"));
            assert_eq!(guard.next(&mut input), Ok(None));
            assert!(input.is_empty());
            event
        };
        assert_eq!(closed(b"").unwrap(), "Some(Close(None))");
        assert_eq!(closed(b"\x03\xe8bye").unwrap(), r#"Some(Close(Some((1000, "bye"))))"#);
        assert_eq!(closed(b"\x03"), Err(Violation::CloseLength));
        assert_eq!(closed(b"\x03\xed"), Err(Violation::CloseCode(1005)));
        assert_eq!(closed(b"\x03\xe8\xff"), Err(Violation::BadUtf8));
    }
}
