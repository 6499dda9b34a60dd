//! The peers as they run: each subscriber gets every message from the first on; the publisher
//! speaks its broker's language.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// Longest that a test waits for bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that runs; it is ended when it is dropped.
struct Program(Child);

impl Program {
    fn start(path: &str, args: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// The port in its first line.
    fn port(&mut self) -> u16 {
        let mut line = String::new();
        let said = self.0.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        line.trim().rsplit_once("http://127.0.0.1:").unwrap().1.parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn subscribe(port: u16) -> WebSocket<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    tungstenite::client(format!("ws://127.0.0.1:{port}/"), socket).unwrap().0
}

fn number(message: &[u8]) -> u64 {
    assert_eq!(message.len(), 48);
    u64::from_le_bytes(message[..8].try_into().unwrap())
}

#[test]
fn every_subscriber_gets_every_message_from_the_first_on() {
    for path in [env!("CARGO_BIN_EXE_tungstenite"), env!("CARGO_BIN_EXE_fastwebsockets")] {
        let mut peer = Program::start(path, &["--connections", "2", "--rate", "5000"]);
        let port = peer.port();
        let mut clients = [subscribe(port), subscribe(port)];
        for client in &mut clients {
            for expected in 0..1_000 {
                let Message::Binary(message) = client.read().unwrap() else { panic!("no message") };
                assert_eq!(number(&message), expected, "{path}");
            }
        }
    }
}

#[test]
fn the_publisher_speaks_nats_and_says_when_the_broker_is_gone() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = broker.local_addr().unwrap().port().to_string();
    let args = ["--to", "nats", "--port", &port, "--topic", "t", "--rate", "5000"];
    let mut publisher = Program::start(env!("CARGO_BIN_EXE_publish"), &args);
    let mut lines = BufReader::new(broker.accept().unwrap().0);
    lines.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("CONNECT {"), "{line}");
    for expected in 0..500 {
        line.clear();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "PUB t 48\r\n");
        let mut message = [0; 50];
        lines.read_exact(&mut message).unwrap();
        assert_eq!((number(&message[..48]), &message[48..]), (expected, &b"\r\n"[..]));
    }
    drop((lines, broker));
    assert_eq!(publisher.0.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    publisher.0.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("the broker's connection"), "{said}");
}

#[test]
fn the_publisher_speaks_websocket() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = broker.local_addr().unwrap().port().to_string();
    let args = ["--to", "nchan", "--port", &port, "--topic", "/publish", "--rate", "5000"];
    let _publisher = Program::start(env!("CARGO_BIN_EXE_publish"), &args);
    let socket = broker.accept().unwrap().0;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = tungstenite::accept(socket).unwrap();
    for expected in 0..500 {
        let Message::Binary(message) = stream.read().unwrap() else { panic!("no message") };
        assert_eq!(number(&message), expected);
    }
}
