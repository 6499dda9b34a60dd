//! The guard: decodes what clients send, strictly, and without a socket.
//!
//! Fed with whatever a read brought, it hands out whole messages, and refuses at the first
//! byte that RFC 6455 or a limit forbids. What it says depends on the bytes alone, not on how the
//! reads cut them. A frame that is whole in the input is unmasked in place and borrowed; only what
//! is cut, or fragmented, is kept, and no more of it than has come: a frame that announces a
//! gigabyte costs nothing.

use std::borrow::Cow;

use arrayvec::ArrayVec;

pub use super::head::Violation;
use super::head::{HEAD_MAX, Head, unmask};
use crate::limits::{EMPTY_FRAGMENTS, WS_CONTROL_MAX};
use crate::wire::close::is_close_code;
use crate::wire::frame::Opcode;

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message of text.
    Text(Cow<'a, str>),
    /// A whole message of bytes.
    Binary(Cow<'a, [u8]>),
    /// To be answered with a pong of the same bytes, at most 125.
    Ping(Cow<'a, [u8]>),
    /// The answer to a ping, or one that nobody asked for.
    Pong(Cow<'a, [u8]>),
    /// The client ends the connection: code and words, where it gave them. Nothing follows.
    Close(Option<(u16, Cow<'a, str>)>),
}

/// The decoder of one connection. An idle one is these few bytes.
#[derive(Debug)]
pub struct Guard {
    max: usize,
    ended: bool,
    partial: Option<Box<Partial>>,
}

/// What has come of a message that is not whole.
#[derive(Debug, Default)]
struct Partial {
    /// A head that is cut. Empty while `frame` is.
    head: ArrayVec<u8, HEAD_MAX>,
    /// A frame whose payload is cut, and how much of that has come.
    frame: Option<(Head, u64)>,
    /// The payload of a control frame that is cut.
    control: ArrayVec<u8, WS_CONTROL_MAX>,
    /// The payloads of a message's frames, so far.
    message: Option<Message>,
}

/// Text or binary. Invariant of a text: `bytes[..valid]` is UTF-8, what is behind may become so.
#[derive(Debug)]
struct Message {
    opcode: Opcode,
    bytes: Vec<u8>,
    valid: usize,
    /// Fragments without payload.
    empty: u32,
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
        let open = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        let held = open.map_or(0, |message| message.bytes.len());
        let open = open.is_some();
        let head = match self.partial.as_mut() {
            Some(partial) if !partial.head.is_empty() => partial.more_of_head(input, open)?,
            _ => Head::parse(input, open)?.inspect(|head| _ = take(input, head.size)),
        };
        let Some(head) = head else {
            let rest = take(input, HEAD_MAX);
            self.partial.get_or_insert_default().head.extend(rest.iter().copied());
            return Ok(None);
        };
        let (size, max) = (held as u64 + head.len, self.max as u64);
        if !head.opcode.is_control() && size > max {
            return Err(Violation::TooBig { size, max });
        }
        Ok(Some(head))
    }
}

impl Partial {
    fn is_idle(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    /// Moves bytes of the input to the head that is cut, up to its end.
    fn more_of_head(
        &mut self,
        input: &mut &mut [u8],
        open: bool,
    ) -> Result<Option<Head>, Violation> {
        while let [byte] = take(input, 1) {
            self.head.push(*byte);
            if let Some(head) = Head::parse(&self.head, open)? {
                self.head.clear();
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Keeps a piece of a frame's payload; `ends`: the last one of the frame.
    fn append(
        &mut self,
        head: &Head,
        piece: &[u8],
        ends: bool,
    ) -> Result<Option<Event<'static>>, Violation> {
        if head.opcode.is_control() {
            self.control.extend(piece.iter().copied());
            let payload = ends.then(|| std::mem::take(&mut self.control).to_vec());
            return payload.map(|bytes| whole(head.opcode, Cow::Owned(bytes))).transpose();
        }
        let message = self.message.get_or_insert_with(|| Message::new(head.opcode));
        message.append(piece)?;
        if !(ends && head.last) {
            return message.count_empty(head).map(|()| None);
        }
        let whole_one =
            self.message.take().map(|message| whole(message.opcode, message.bytes.into()));
        whole_one.transpose()
    }
}

impl Message {
    const fn new(opcode: Opcode) -> Self {
        Self { opcode, bytes: Vec::new(), valid: 0, empty: 0 }
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Violation> {
        self.bytes.extend_from_slice(piece);
        if self.opcode != Opcode::Text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.valid..]) {
            Ok(_) => self.valid = self.bytes.len(),
            Err(cut) if cut.error_len().is_none() => self.valid += cut.valid_up_to(),
            Err(_) => return Err(Violation::BadUtf8),
        }
        Ok(())
    }

    fn count_empty(&mut self, head: &Head) -> Result<(), Violation> {
        self.empty += u32::from(head.len == 0);
        if self.empty > EMPTY_FRAGMENTS {
            return Err(Violation::EmptyFragments(EMPTY_FRAGMENTS));
        }
        Ok(())
    }
}

/// Splits up to `n` bytes off the front of the input.
fn take<'a>(input: &mut &'a mut [u8], n: usize) -> &'a mut [u8] {
    let n = n.min(input.len());
    let (front, rest) = std::mem::take(input).split_at_mut(n);
    *input = rest;
    front
}

fn whole(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Event<'_>, Violation> {
    Ok(match opcode {
        Opcode::Text => Event::Text(text(payload)?),
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => Event::Close(close(payload)?),
        Opcode::Binary | Opcode::Continuation => Event::Binary(payload),
    })
}

fn text(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Violation> {
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.ok_or(Violation::BadUtf8)
}

/// The code and the words of a close frame's payload.
fn close(payload: Cow<'_, [u8]>) -> Result<Option<(u16, Cow<'_, str>)>, Violation> {
    let Some(&code) = payload.first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseLength) };
    };
    let code = u16::from_be_bytes(code);
    if !is_close_code(code) {
        return Err(Violation::CloseCode(code));
    }
    let words = match payload {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[2..]),
        Cow::Owned(bytes) => Cow::Owned(bytes[2..].to_vec()),
    };
    Ok(Some((code, text(words)?)))
}

const _: () = assert!(size_of::<Guard>() <= 24, "a few bytes for an idle connection");

#[cfg(test)]
mod tests {
    use super::*;

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
                let held = guard.partial.as_ref().and_then(|p| p.message.as_ref()).unwrap();
                assert!(held.bytes.capacity() <= 2 * max);
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
