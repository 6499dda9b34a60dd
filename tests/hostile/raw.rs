//! A WebSocket client that can do wrong: it sends whatever bytes it is given, and tells how a
//! connection ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use socket2::SockRef;

use crate::server::Server;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame: `first` is its first byte (FIN, reserved bits, opcode).
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65_536 => {
            bytes.push(0xfe);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => bytes.extend(announced(first, len as u64)[1..10].iter()),
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The head of a frame with a length of 64 bits, and nothing behind it.
pub(crate) fn announced(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xff][..], &len.to_be_bytes(), &MASK].concat()
}

/// The head of a handshake for this path.
pub(crate) fn handshake(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// How a connection ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The code of the message `closing`.
    pub(crate) closing: Option<u64>,
    /// The code of the close frame; none: it had none, or there was none.
    pub(crate) code: Option<u16>,
    /// A close frame came.
    pub(crate) closed: bool,
    /// The end came as a reset.
    pub(crate) reset: bool,
}

/// A frame of the server.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Its text as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        if self.opcode == 1 { serde_json::from_slice(&self.payload).unwrap() } else { Value::Null }
    }
}

/// A connection to the stream.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    start: usize,
}

impl Raw {
    /// A client whose kernel takes little that it does not read.
    pub(crate) fn with_small_buffer(server: &Server, encoding: &str) -> Self {
        let address: std::net::SocketAddr = server.address().parse().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(crate::server::PATIENCE)).unwrap();
        Self::shake_hands(stream, encoding, b"")
    }

    /// An upgraded connection.
    pub(crate) fn open(server: &Server, encoding: &str) -> Self {
        Self::open_with(server, encoding, b"")
    }

    /// An upgraded connection that sends this right behind its handshake.
    pub(crate) fn open_with(server: &Server, encoding: &str, behind: &[u8]) -> Self {
        Self::shake_hands(server.connect(), encoding, behind)
    }

    /// Upgrades a connection, and sends this right behind the handshake.
    pub(crate) fn shake_hands(mut stream: TcpStream, encoding: &str, behind: &[u8]) -> Self {
        let head = handshake(&format!("/v1/stream?encoding={encoding}"));
        stream.write_all(&[head.as_bytes(), behind].concat()).unwrap();
        let mut raw = Self { stream, input: Vec::new(), start: 0 };
        let end = loop {
            if let Some(end) = raw.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            raw.read_more().unwrap();
        };
        let head = String::from_utf8_lossy(&raw.input[..end]).into_owned();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        raw.start = end + 4;
        raw
    }

    /// Its socket, and what was read of it and not taken.
    pub(crate) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.input[self.start..].to_vec())
    }

    /// Sends bytes; what the server does not take because it has closed is not the caller's matter.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a text.
    pub(crate) fn say(&mut self, text: &str) {
        assert!(self.send(&frame(0x81, text.as_bytes())));
    }

    /// Sends a request and returns its answer.
    pub(crate) fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.say(&json!({"id": id, "method": method, "params": params}).to_string());
        self.answer_to(id)
    }

    /// The answer to a request; what comes before it is passed over.
    pub(crate) fn answer_to(&mut self, id: u64) -> Value {
        self.until(|message| message["id"] == id)
    }

    /// The first message that is it.
    pub(crate) fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().unwrap();
            let message = frame.json();
            assert!(frame.opcode != 8 && message["type"] != "closing", "sent away: {message}");
            if is_it(&message) {
                return message;
            }
        }
    }

    /// The next frame. Pings are answered.
    pub(crate) fn next(&mut self) -> io::Result<Frame> {
        let head = self.take(2)?;
        let (opcode, short) = (head[0] & 0x0f, head[1]);
        assert!(head[0] & 0xf0 == 0x80 && short < 128, "a server's frames are whole and unmasked");
        let long = match short {
            126 => u16::from_be_bytes(self.take(2)?.try_into().unwrap()) as usize,
            127 => panic!("a server's message is below 64 KiB"),
            short => usize::from(short),
        };
        let payload = self.take(long)?;
        if opcode == 9 {
            self.send(&frame(0x8a, &payload));
        }
        Ok(Frame { opcode, payload })
    }

    /// Reads to the end of the connection.
    pub(crate) fn ending(&mut self) -> Ending {
        let mut ending = Ending::default();
        loop {
            match self.next() {
                Ok(frame) if frame.opcode == 8 => {
                    ending.closed = true;
                    ending.code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                }
                Ok(frame) => {
                    let message = frame.json();
                    if message["type"] == "closing" {
                        ending.closing = message["code"].as_u64();
                    }
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return ending,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Ending { reset: true, ..ending };
                }
                Err(error) => panic!("the server neither goes on nor ends: {error} {ending:?}"),
            }
        }
    }

    /// Ends it with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() - self.start < count {
            self.read_more()?;
        }
        let taken = self.input[self.start..self.start + count].to_vec();
        self.start += count;
        Ok(taken)
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.input.drain(..std::mem::take(&mut self.start));
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..count]);
        if count == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
