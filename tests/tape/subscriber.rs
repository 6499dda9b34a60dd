//! A subscriber to everything that changes, which keeps the records as they came.

use std::net::TcpStream;

use broadtape::wire::record::{length, rtype, rtype_of};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::program::Program;

/// Bytes of a batch's header.
const HEADER: usize = 24;
/// The flag of a batch that is made for one subscriber when it begins.
const SNAPSHOT: u8 = 1;

pub(crate) struct Subscriber {
    socket: WebSocket<TcpStream>,
    pub(crate) epoch: u64,
    /// Where live delivery began.
    pub(crate) began: u64,
    /// Trades and quotes, published, in order.
    pub(crate) records: Vec<Vec<u8>>,
}

impl Subscriber {
    pub(crate) fn new(server: &Program) -> Self {
        let stream = TcpStream::connect(&server.address).unwrap();
        let url = format!("{}?encoding=dbn", server.url());
        let (mut socket, _) = client(url, stream).unwrap();
        let request = r#"{"id":1,"method":"subscribe","params":
            {"schema":["trades","mbp-1"],"symbols":"*","snapshot":false,"policy":"disconnect"}}"#;
        socket.send(Message::text(request)).unwrap();
        let answer = loop {
            if let Message::Text(text) = socket.read().unwrap() {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] == 1 {
                    assert_eq!(message["success"], true, "{message}");
                    break message;
                }
            }
        };
        let number = |key: &str| answer["result"][key].as_str().unwrap().parse().unwrap();
        Self { epoch: number("epoch"), began: number("seq"), records: Vec::new(), socket }
    }

    /// Reads one batch.
    pub(crate) fn read(&mut self) {
        loop {
            if let Message::Binary(batch) = self.socket.read().unwrap() {
                // The mappings that it begins with are its own; all others are shared.
                if batch[1] == SNAPSHOT {
                    continue;
                }
                assert_eq!(batch[1], 0, "a batch of a subscriber that keeps up has no flags");
                let mut rest = &batch[HEADER..];
                while !rest.is_empty() {
                    let (record, after) = rest.split_at(length(rest));
                    if is_kept(record) {
                        self.records.push(record.to_vec());
                    }
                    rest = after;
                }
                return;
            }
        }
    }
}

/// Is it one of those that a subscriber keeps?
pub(crate) fn is_kept(record: &[u8]) -> bool {
    matches!(rtype_of(record), rtype::MBP_0 | rtype::MBP_1)
}
