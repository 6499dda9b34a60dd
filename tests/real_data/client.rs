//! A client that knows docs/protocol.md and nothing of the server's code: tungstenite over a
//! blocking socket. Whatever it receives it checks for what holds always: sizes, epochs, positions
//! that never decrease, heartbeats that count what came before them.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message, client};

/// The server is silent for longer only where it hangs: a heartbeat is due far sooner.
const PATIENCE: Duration = Duration::from_secs(30);
/// `rtype` of a symbol mapping.
pub(crate) const MAPPING: u8 = 22;
/// Flag bits of a batch, by name.
const FLAGS: [&str; 5] = ["snapshot", "catch_up", "replay", "conflated", "gap"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Dbn,
    Json,
}

/// A record or a mapping, as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) rtype: u8,
    /// In the dbn encoding its bytes, in json its text.
    pub(crate) body: Vec<u8>,
}

/// What came next.
pub(crate) enum Event {
    /// A batch of data, which was put to the others.
    Data,
    /// A control message.
    Message(Value),
    /// The end, with the close frame.
    Closed(Option<CloseFrame>),
}

/// One connection.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    pub(crate) encoding: Encoding,
    pub(crate) epoch: u64,
    /// The newest cursor.
    pub(crate) seq: u64,
    /// Everything that came as data, mappings included.
    pub(crate) received: Vec<Received>,
    /// How many of these were records.
    pub(crate) records: u64,
    /// Names of all flags that batches with records had.
    pub(crate) flags: Vec<&'static str>,
    /// Types of all control messages that came.
    kinds: Vec<String>,
    requests: u64,
}

impl Client {
    /// Connects to `HOST:PORT` and takes the welcome.
    pub(crate) fn connect(address: &str, encoding: Encoding) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), encoding)
    }

    /// As [`Client::connect`] does, over a connection that is there.
    pub(crate) fn over(stream: TcpStream, encoding: Encoding) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = if encoding == Encoding::Dbn { "dbn" } else { "json" };
        let host = stream.peer_addr().unwrap();
        let url = format!("ws://{host}/v1/stream?encoding={name}");
        let (socket, _) = client(url, stream).unwrap();
        let mut client = Self {
            socket,
            encoding,
            epoch: 0,
            seq: 0,
            received: Vec::new(),
            records: 0,
            flags: Vec::new(),
            kinds: Vec::new(),
            requests: 0,
        };
        let welcome = client.until("welcome");
        assert_eq!(welcome["encoding"], name);
        (client.epoch, client.seq) = (whole(&welcome["epoch"]), whole(&welcome["seq"]));
        client
    }

    /// Subscribes and returns the result; `params` are those of the protocol.
    pub(crate) fn subscribe(&mut self, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        let request = json!({"id": id, "method": "subscribe", "params": params});
        self.socket.send(Message::text(request.to_string())).unwrap();
        let answer = self.find(|message| message["id"] == id);
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"].clone()
    }

    /// The next control message of this type; what comes before it is taken in.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        self.find(|message| message["type"] == kind)
    }

    fn find(&mut self, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        loop {
            match self.next() {
                Event::Message(message) if is_it(&message) => return message,
                Event::Closed(frame) => panic!("closed with {frame:?}"),
                _ => {}
            }
        }
    }

    /// Receives until a heartbeat says that everything up to a position was looked at.
    pub(crate) fn until_seq(&mut self, seq: u64) -> Value {
        self.find(|message| message["type"] == "heartbeat" && whole(&message["seq"]) >= seq)
    }

    /// Receives until it has at least so many records.
    pub(crate) fn until_records(&mut self, records: u64) {
        while self.records < records {
            if let Event::Closed(frame) = self.next() {
                panic!("closed with {frame:?}");
            }
        }
    }

    /// Has the server said a message of this type?
    pub(crate) fn said(&self, kind: &str) -> bool {
        self.kinds.iter().any(|said| said == kind)
    }

    /// Receives until the server closes; its close code, and what `closing` said.
    pub(crate) fn until_closed(&mut self) -> (CloseCode, Value) {
        let mut closing = Value::Null;
        loop {
            match self.next() {
                Event::Message(message) if message["type"] == "closing" => closing = message,
                Event::Closed(frame) => return (frame.unwrap().code, closing),
                _ => {}
            }
        }
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> Event {
        let message = self.socket.read().unwrap();
        assert!(message.len() <= 65_535, "a message of {} bytes", message.len());
        match message {
            Message::Binary(batch) => self.take_batch(&batch),
            Message::Text(text) => return self.take_text(&text),
            Message::Close(frame) => {
                // Sends the answer, waits until the server has ended its side, and ends this one.
                let end = self.socket.read().unwrap_err();
                assert!(matches!(end, Error::ConnectionClosed), "{end}");
                self.socket.get_ref().shutdown(Shutdown::Both).unwrap();
                return Event::Closed(frame);
            }
            Message::Ping(_) => return Event::Message(Value::Null),
            other => panic!("{other:?}"),
        }
        Event::Data
    }

    /// A batch of the dbn encoding: 24 bytes of header, then records.
    fn take_batch(&mut self, batch: &[u8]) {
        assert_eq!(self.encoding, Encoding::Dbn);
        let long = |at: usize| u64::from_le_bytes(batch[at..at + 8].try_into().unwrap());
        assert_eq!((batch[0], long(0) >> 32), (1, self.epoch & 0xffff_ffff), "version, epoch");
        let flags = (0..5).filter(|bit| batch[1] >> bit & 1 == 1).map(|bit| FLAGS[bit]);
        let flags: Vec<_> = flags.collect();
        self.advance(long(8));
        let (mut rest, count) = (&batch[24..], u16::from_le_bytes([batch[2], batch[3]]));
        for _ in 0..count {
            let (record, more) = rest.split_at(usize::from(rest[0]) * 4);
            self.take_record(record[1], record, &flags);
            rest = more;
        }
        assert!(rest.is_empty(), "{} bytes behind {count} records", rest.len());
    }

    fn take_text(&mut self, text: &str) -> Event {
        if text.starts_with(r#"{"type":"data""#) {
            self.take_data(serde_json::from_str(text).unwrap());
            return Event::Data;
        }
        let message: Value = serde_json::from_str(text).unwrap();
        if let Some(kind) = message["type"].as_str()
            && !self.said(kind)
        {
            self.kinds.push(kind.to_owned());
        }
        if message["type"] == "heartbeat" {
            self.advance(whole(&message["seq"]));
            assert_eq!(whole(&message["records"]), self.records, "{message}");
        }
        Event::Message(message)
    }

    fn take_data(&mut self, data: Data) {
        assert_eq!(self.encoding, Encoding::Json);
        assert_eq!(data.epoch, self.epoch.to_string());
        let flags: Vec<_> = data.flags.into_iter().map(|name| FLAGS[flag_of(name)]).collect();
        self.advance(data.seq.parse().unwrap());
        for record in data.records {
            let shape: Shape = serde_json::from_str(record.get()).unwrap();
            self.take_record(shape.hd.rtype, record.get().as_bytes(), &flags);
        }
    }

    /// States have no place in these tests: who subscribes before the first record, or from a
    /// position, gets mappings only.
    fn take_record(&mut self, rtype: u8, body: &[u8], flags: &[&'static str]) {
        if rtype != MAPPING {
            assert!(!flags.contains(&"snapshot"), "a state");
            let new = flags.iter().filter(|flag| !self.flags.contains(flag));
            let new: Vec<_> = new.copied().collect();
            self.flags.extend(new);
            self.records += 1;
        }
        self.received.push(Received { rtype, body: body.to_vec() });
    }

    fn advance(&mut self, seq: u64) {
        assert!(seq >= self.seq, "seq fell from {} to {seq}", self.seq);
        self.seq = seq;
    }
}

/// A batch of the json encoding.
#[derive(Deserialize)]
struct Data<'a> {
    epoch: &'a str,
    seq: &'a str,
    flags: Vec<&'a str>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Shape {
    hd: Head,
}

#[derive(Deserialize)]
struct Head {
    rtype: u8,
}

fn flag_of(name: &str) -> usize {
    FLAGS.iter().position(|flag| *flag == name).unwrap()
}

/// A 64-bit integer, which the server writes as a string of digits.
pub(crate) fn whole(value: &Value) -> u64 {
    value.as_str().unwrap_or_else(|| panic!("no decimal string: {value}")).parse().unwrap()
}
