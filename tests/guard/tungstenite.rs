//! What tungstenite says of a client's bytes.

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::frames::{Script, event};

/// Input only: reads end in `WouldBlock`, what is written is forgotten.
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

/// It takes lengths in more bytes than they need (RFC 6455, 5.2: "the minimal number of bytes MUST
/// be used"), and waits for the payload of a length that no client can mean.
pub(crate) fn is_known_to_differ(script: &Script) -> bool {
    script.fault.starts_with("length")
}

pub(crate) fn judge(max: usize, bytes: &[u8]) -> Vec<String> {
    let config = WebSocketConfig::default().max_message_size(Some(max)).max_frame_size(Some(max));
    let mut socket = WebSocket::from_raw_socket(Input(bytes), Role::Server, Some(config));
    let mut verdict = Vec::new();
    loop {
        verdict.push(match socket.read() {
            Ok(Message::Text(text)) => event("text", text.as_bytes()),
            Ok(Message::Binary(bytes)) => event("binary", &bytes),
            Ok(Message::Ping(bytes)) => event("ping", &bytes),
            Ok(Message::Pong(bytes)) => event("pong", &bytes),
            Ok(Message::Close(frame)) => {
                verdict
                    .push(close(frame.map(|frame| (frame.code.into(), frame.reason.to_string()))));
                return verdict;
            }
            Ok(Message::Frame(_)) => unreachable!("reads give messages"),
            Err(Error::Io(_)) => return verdict,
            Err(error) => {
                verdict.push(violation(&error));
                return verdict;
            }
        });
    }
}

/// A close code that it refuses comes back as its own answer to it.
fn close(frame: Option<(u16, String)>) -> String {
    match frame {
        None => event("close", b""),
        Some((1002, words)) if words == "Protocol violation" => "violation:1002".to_owned(),
        Some((code, words)) => event("close", &[&code.to_be_bytes(), words.as_bytes()].concat()),
    }
}

fn violation(error: &Error) -> String {
    let code = match error {
        Error::Utf8(_) => 1007,
        Error::Capacity(_) => 1009,
        Error::Protocol(_) => 1002,
        other => panic!("{other}"),
    };
    format!("violation:{code}")
}
