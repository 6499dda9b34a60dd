//! The program as it runs: against raw clients that read every byte.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longest that a client waits: a floor that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engines that this machine has.
fn engines() -> Vec<&'static str> {
    let there = |engine: &&str| {
        let probed = command(&["--engine", engine, "--probe"]).output().unwrap();
        if !probed.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&probed.stderr));
        }
        probed.status.success()
    };
    let found: Vec<_> = ["send", "uring"].into_iter().filter(there).collect();
    assert!(found.contains(&"send"));
    found
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floor"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A floor that runs; it is ended when it is dropped.
struct Floor {
    child: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Floor {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args).stderr(Stdio::inherit()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once("127.0.0.1:").unwrap().1.parse().unwrap();
        Self { child, said, port }
    }

    /// Asks it to end, and returns its last words.
    fn stop(&mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut words = String::new();
        self.said.read_to_string(&mut words).unwrap();
        assert!(self.child.wait().unwrap().success());
        words
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that takes frames as they come.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(floor: &Floor) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", floor.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = "GET /v1/stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n";
        socket.write_all(request.as_bytes()).unwrap();
        let mut client = Self(BufReader::new(socket));
        let mut line = String::new();
        client.0.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 101"), "{line}");
        while line != "\r\n" {
            line.clear();
            client.0.read_line(&mut line).unwrap();
        }
        client
    }

    /// The next frame: its first byte and its payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1]);
        assert!(length <= 126, "frame head {head:?}");
        if length == 126 {
            let mut wide = [0; 2];
            self.0.read_exact(&mut wide).unwrap();
            length = usize::from(u16::from_be_bytes(wide));
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    /// The number of the next raw message.
    fn seq(&mut self) -> u64 {
        let (first, payload) = self.frame();
        assert_eq!((first, payload.len()), (0x82, 48));
        u64_at(&payload, 0)
    }

    fn text(&mut self) -> Value {
        let (first, payload) = self.frame();
        assert_eq!(first, 0x81);
        serde_json::from_slice(&payload).unwrap()
    }

    /// Sends a short text, masked with zeros.
    fn ask(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.0.get_mut().write_all(&frame).unwrap();
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn all_get_every_record_from_the_first_on() {
    for engine in engines() {
        let args = ["--engine", engine, "--payload", "raw48", "--connections", "3"];
        let floor = Floor::start(&[&args[..], &["--rate", "20000"]].concat());
        let mut clients: Vec<_> = (0..3).map(|_| Client::connect(&floor)).collect();
        for client in &mut clients {
            let numbers: Vec<_> = (0..1_000).map(|_| client.seq()).collect();
            assert_eq!(numbers, (0..1_000).collect::<Vec<_>>(), "{engine}");
        }
    }
}

#[test]
fn a_part_of_the_subscribers_has_its_turn_with_each_tick() {
    for engine in engines() {
        let args = ["--engine", engine, "--payload", "raw48", "--connections", "4"];
        let floor = Floor::start(&[&args[..], &["--sends-per-tick", "2"]].concat());
        let mut clients: Vec<_> = (0..4).map(|_| Client::connect(&floor)).collect();
        let mut turns: Vec<_> = clients.iter_mut().map(|c| [c.seq(), c.seq(), c.seq()]).collect();
        turns.sort_unstable();
        assert_eq!(turns, [[0, 2, 4], [0, 2, 4], [1, 3, 5], [1, 3, 5]], "{engine}");
    }
}

#[test]
fn a_broadtape_client_is_answered_and_its_counts_agree() {
    for engine in engines() {
        let floor = Floor::start(&["--engine", engine, "--connections", "1", "--rate", "5000"]);
        let mut client = Client::connect(&floor);
        assert_eq!(client.text()["type"], "welcome");
        client.ask(r#"{"id":1,"method":"subscribe","params":{"schema":"trades"}}"#);
        assert_eq!(client.text()["success"], true);
        let (mut records, mut asked) = (0, false);
        let counts = loop {
            let (first, payload) = client.frame();
            if first == 0x81 {
                break serde_json::from_slice::<Value>(&payload).unwrap();
            }
            let count = u64::from(payload[2]) | u64::from(payload[3]) << 8;
            assert_eq!(payload.len() as u64, 24 + count * 56);
            records += count;
            assert_eq!(u64_at(&payload, 8), records, "the batch's cursor");
            if records >= 100 && !asked {
                client.ask(r#"{"id":2,"method":"subscriptions"}"#);
                asked = true;
            }
        };
        let told = &counts["result"]["subscriptions"][0];
        assert_eq!(
            (&told["records"], &told["dropped"]),
            (&records.to_string().into(), &"0".into())
        );
    }
}

#[test]
fn a_client_that_does_not_read_loses_records_and_delays_nobody() {
    for engine in engines() {
        let args = ["--engine", engine, "--payload", "raw48", "--connections", "2"];
        let mut floor = Floor::start(&[&args[..], &["--rate", "1000000"]].concat());
        let (mut stalled, mut healthy) = (Client::connect(&floor), Client::connect(&floor));
        // Far more bytes than any socket holds.
        (0..1_000_000).for_each(|number| assert_eq!(healthy.seq(), number, "{engine}"));
        // What it did get is whole frames, though a socket was filled in the middle of one.
        let mut last = None;
        while last < Some(1_000_000) {
            let number = stalled.seq();
            assert!(Some(number) > last, "{engine}: {number} after {last:?}");
            last = Some(number);
        }
        let words = floor.stop();
        assert!(!words.contains(" 0 records dropped"), "{engine}: {words}");
    }
}

#[test]
fn a_page_is_refused_and_its_place_is_free_again() {
    let mut floor = Floor::start(&["--payload", "raw48", "--connections", "1"]);
    let mut socket = TcpStream::connect(("127.0.0.1", floor.port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(Client::connect(&floor).seq(), 0);
    // Everybody has left: it ends of itself.
    let mut words = String::new();
    floor.said.read_to_string(&mut words).unwrap();
    assert!(words.contains("1 connections left"), "{words}");
}

#[test]
fn it_ends_when_asked_to_while_it_waits() {
    let mut floor = Floor::start(&["--connections", "2"]);
    let _one = Client::connect(&floor);
    assert!(floor.stop().starts_with("0 turns"));
}

fn refused(args: &[&str], code: i32, why: &str) {
    let Output { status, stderr, .. } = command(args).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn what_makes_no_sense_is_said() {
    refused(&["--connections", "2", "--sends-per-tick", "3"], 2, "more than --connections 2");
    refused(&["--rate", "0"], 2, "--rate");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&["--port", &port], 1, "can't listen on 127.0.0.1:");
}
