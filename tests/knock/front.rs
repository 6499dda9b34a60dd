//! A server and raw requests to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Program;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Front {
    pub(crate) program: Program,
}

impl Front {
    /// A quiet market, and what `args` say.
    pub(crate) fn start(args: &[&str]) -> Self {
        let quiet = ["serve", "--scenario", "metronome", "--rate", "10", "--symbols", "3"];
        Self { program: Program::start(&[&quiet[..], &["--log", "error"], args].concat()) }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.program.address
    }

    /// A connection that has said nothing.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address())
    }

    /// A connection that has said this.
    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream
    }

    /// Everything it answers to these bytes, until it ends the connection.
    pub(crate) fn answer(&self, bytes: impl AsRef<[u8]>) -> String {
        answer(self.address(), bytes.as_ref())
    }

    /// A handshake that is right, with more headers.
    pub(crate) fn handshake(&self, more: &str) -> String {
        handshake(self.address(), more)
    }

    /// A metric with this label.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        metric(&self.answer(get("/metrics", self.address())), name, label)
    }

    /// How often something happened that is not to be.
    pub(crate) fn events(&self, event: &str) -> f64 {
        self.metric("broadtape_security_events_total", &format!("{{event=\"{event}\"}}"))
    }

    /// `/v1/sessions`, once there are so many.
    pub(crate) fn sessions(&self, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let page = self.program.get("/v1/sessions");
            let sessions = page["sessions"].as_array().unwrap();
            if sessions.len() == count {
                return sessions.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{count} sessions are expected: {sessions:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that is answered to these bytes until the connection is ended.
pub(crate) fn answer(address: &str, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may have refused, and closed, before all of it was sent.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// What comes until the end; a reset is one.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let open =
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        assert!(!open, "not closed: {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The head of an answer, or nothing.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The status of the first answer; 0: none.
pub(crate) fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    code.map_or(0, |code| code.parse().unwrap())
}

pub(crate) fn metric(page: &str, name: &str, label: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(name) && line.contains(label));
    let line = line.unwrap_or_else(|| panic!("no {name} {label}: {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

pub(crate) fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

pub(crate) fn handshake(host: &str, more: &str) -> String {
    format!(
        "GET /v1/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}
