//! A client that behaves, beside those that do not: it proves that it lost nothing.
//!
//! The metronome numbers its trades over all instruments, so every record that is missing shows.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{Message, client};

use crate::server::{PATIENCE, Server};

/// Where a trade has its venue's number, and its type.
const SEQUENCE: usize = 44;
const TRADE: u8 = 0;

/// A subscriber on a thread of its own.
pub(crate) struct Witness {
    thread: JoinHandle<Seen>,
    enough: mpsc::Sender<()>,
}

/// What it has seen.
#[derive(Default)]
struct Seen {
    numbered: bool,
    trades: u64,
    last: Option<u32>,
    cursor: u64,
    /// Counts that the server said, which were its own each time.
    beats: u64,
}

impl Witness {
    /// Subscribes to all trades.
    pub(crate) fn start(server: &Server) -> Self {
        let url = format!("ws://{}/v1/stream?encoding=dbn", server.address());
        let (mut socket, _) = client(url, server.connect()).unwrap();
        let params = json!({"schema": "trades", "symbols": "*"});
        let subscribe = json!({"id": 1, "method": "subscribe", "params": params}).to_string();
        socket.send(Message::text(subscribe)).unwrap();
        let (enough, told) = mpsc::channel();
        let numbered = server.numbered;
        let thread =
            thread::spawn(move || watch(socket, Seen { numbered, ..Seen::default() }, &told));
        Self { thread, enough }
    }

    /// Watches until one more heartbeat has counted the same, and says how many trades came.
    pub(crate) fn lost_nothing(self) -> u64 {
        self.enough.send(()).unwrap();
        let seen = self.thread.join().unwrap();
        assert!(seen.trades > 0, "there was nothing to lose");
        seen.trades
    }
}

fn watch(mut socket: WebSocket<TcpStream>, mut seen: Seen, enough: &mpsc::Receiver<()>) -> Seen {
    socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut beats_then = None;
    loop {
        match socket.read().unwrap() {
            Message::Binary(batch) => seen.take(&batch),
            Message::Text(text) => seen.hear(&serde_json::from_str(&text).unwrap()),
            Message::Close(close) => panic!("the witness was sent away: {close:?}"),
            _ => {}
        }
        if beats_then.is_none() && enough.recv_timeout(Duration::ZERO).is_ok() {
            beats_then = Some(seen.beats);
        }
        if beats_then.is_some_and(|then| seen.beats > then) {
            return seen;
        }
    }
}

impl Seen {
    fn take(&mut self, batch: &[u8]) {
        let (header, mut records) = batch.split_at(24);
        let cursor = u64::from_le_bytes(header[8..16].try_into().unwrap());
        assert!(cursor >= self.cursor, "the cursor went down: {cursor} after {}", self.cursor);
        self.cursor = cursor;
        while let Some(length) = records.first().map(|words| usize::from(*words) * 4) {
            let (record, rest) = records.split_at(length);
            records = rest;
            // A snapshot is what came before, and has no part in the count.
            if record[1] == TRADE && header[1] & 1 == 0 {
                let number = u32::from_le_bytes(record[SEQUENCE..SEQUENCE + 4].try_into().unwrap());
                let follows = self.last.is_none_or(|last| number == last + 1);
                assert!(follows || !self.numbered, "{number} after {:?}", self.last);
                self.last = Some(number);
                self.trades += 1;
            }
        }
    }

    fn hear(&mut self, message: &Value) {
        match message["type"].as_str() {
            Some("heartbeat") => {
                assert_eq!(message["records"], self.trades.to_string(), "the counts differ");
                self.beats += 1;
            }
            Some(bad @ ("gap" | "lagging" | "closing" | "error")) => panic!("{bad}: {message}"),
            _ => assert_ne!(message["success"], false, "{message}"),
        }
    }
}
