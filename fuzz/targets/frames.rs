//! What clients send: the guard's verdict depends on the bytes alone, not on how reads cut them,
//! and is that of an independent decoder.
#![no_main]

use std::io::{self, Read, Write};

use broadtape::socket::read::{Event, Guard, Violation};
use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

/// The largest message.
const MAX: usize = 1 << 16;

/// What was said: the events as texts, then what was wrong.
type Verdict = (Vec<String>, Option<Violation>);

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else { return };
    let whole = judge(bytes, bytes.len().max(1));
    assert_eq!(judge(bytes, 1), whole, "byte by byte");
    assert_eq!(judge(bytes, 1 + usize::from(*cut)), whole, "{cut} more than one at a time");
    compare(&whole, &theirs(bytes));
});

/// What the guard says when `most` bytes come at a time.
fn judge(bytes: &[u8], most: usize) -> Verdict {
    let mut guard = Guard::new(MAX);
    let (mut events, mut violation) = (Vec::new(), None);
    for piece in bytes.chunks(most) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        loop {
            match guard.next(&mut input) {
                Ok(Some(event)) => events.push(text(&event)),
                Ok(None) => break assert!(input.is_empty()),
                Err(wrong) => assert_eq!(violation.replace(wrong), None, "one is enough"),
            }
        }
    }
    (events, violation)
}

fn text(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text {text}"),
        Event::Binary(bytes) => format!("binary {bytes:?}"),
        Event::Ping(bytes) => format!("ping {bytes:?}"),
        Event::Pong(bytes) => format!("pong {bytes:?}"),
        Event::Close(said) => match said {
            Some((code, words)) => format!("close {code} {words}"),
            None => "close".to_owned(),
        },
    }
}

/// Input only: what is written is forgotten.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite says: the events, and the close code of what is wrong.
fn theirs(bytes: &[u8]) -> (Vec<String>, Option<u16>) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX)).max_frame_size(Some(MAX));
    let mut socket = WebSocket::from_raw_socket(Input(bytes), Role::Server, Some(config));
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => events.push(format!("text {text}")),
            Ok(Message::Binary(bytes)) => events.push(format!("binary {:?}", &bytes[..])),
            Ok(Message::Ping(bytes)) => events.push(format!("ping {:?}", &bytes[..])),
            Ok(Message::Pong(bytes)) => events.push(format!("pong {:?}", &bytes[..])),
            Ok(Message::Close(None)) => events.push("close".to_owned()),
            // A close code that it refuses comes back as its own answer to it.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                return (events, Some(1002));
            }
            Ok(Message::Close(Some(frame))) => {
                events.push(format!("close {} {}", u16::from(frame.code), frame.reason));
            }
            Ok(Message::Frame(_)) => unreachable!("reads give messages"),
            Err(Error::Io(_) | Error::ConnectionClosed) => return (events, None),
            Err(Error::Utf8(_)) => return (events, Some(1007)),
            Err(Error::Capacity(_)) => return (events, Some(1009)),
            Err(Error::Protocol(_)) => return (events, Some(1002)),
            Err(error) => panic!("{error}"),
        }
        if events.last().is_some_and(|event| event.starts_with("close")) {
            return (events, None);
        }
    }
}

/// Nothing that ours refuses is taken by the other, but for what it is known to be lax about, and
/// nothing that ours takes is refused.
fn compare(ours: &Verdict, theirs: &(Vec<String>, Option<u16>)) {
    let (events, violation) = ours;
    match violation {
        // Close code 1014 came to the registry late: the other does not know it.
        None if events.last().is_some_and(|last| last.starts_with("close 1014")) => {
            assert!(events.starts_with(&theirs.0));
        }
        None => assert_eq!((events, None), (&theirs.0, theirs.1)),
        // It takes lengths in more bytes than they need (a control frame's too), any number of
        // empty fragments, and waits for what no client can mean.
        Some(
            Violation::LongLength(_)
            | Violation::LongControl
            | Violation::HugeLength
            | Violation::EmptyFragments(_)
            | Violation::TooBig { .. },
        ) => assert!(theirs.0.starts_with(events)),
        Some(wrong) => {
            assert_eq!(events, &theirs.0, "{wrong}");
            let code = wrong.reason().code();
            // Ours refuses at the first wrong byte; it waits for the rest of a head or of a text.
            let waits = theirs.1.is_none();
            // Of a frame that is wrong in two ways it may see the other one first: the words of a
            // close frame before its code, the length of a frame before anything else.
            let close = matches!(wrong, Violation::CloseCode(_)) && theirs.1 == Some(1007);
            let length = theirs.1 == Some(1009);
            assert!(waits || close || length || theirs.1 == code, "{wrong}: {:?}", theirs.1);
        }
    }
}
