//! A subscriber on tokio-tungstenite. Everything it receives goes through its [`Ledger`].

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;

use crate::ledger::Ledger;
use crate::program::{Program, secure};
use crate::wire::{Batch, Message, Record, SNAPSHOT};

/// How long anything that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much a client that does not read lets the kernel hold for it.
const SMALL_WINDOW: usize = 4096;

/// A connection, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub(crate) struct Client {
    socket: WebSocketStream<Box<dyn Duplex>>,
    pub(crate) ledger: Ledger,
    last_id: u64,
}

impl Client {
    /// Connects and takes the welcome; data comes as DBN.
    pub(crate) async fn connect(server: &Program) -> Self {
        Self::connect_as(server, "dbn").await.0
    }

    /// Connects in an encoding; the welcome.
    pub(crate) async fn connect_as(server: &Program, encoding: &str) -> (Self, Value) {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        Self::over(secured(server, stream).await, server, encoding).await
    }

    /// Connects with small buffers, so that not reading is soon felt.
    pub(crate) async fn connect_narrow(server: &Program) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(SMALL_WINDOW).unwrap();
        let address: SocketAddr = server.address.parse().unwrap();
        socket.connect(&address.into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(socket.into()).unwrap();
        Self::over(secured(server, stream).await, server, "dbn").await.0
    }

    /// Upgrades a connection.
    pub(crate) async fn over(
        stream: Box<dyn Duplex>,
        server: &Program,
        encoding: &str,
    ) -> (Self, Value) {
        let url = format!("ws://{}/v1/stream?encoding={encoding}", server.address);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut client = Self { socket, ledger: Ledger::default(), last_id: 0 };
        let welcome = client.text(|_| true).await;
        (client, welcome)
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        let next = self.next_or_end().await;
        next.unwrap_or_else(|| panic!("it ended: {:?}", self.ledger.closing))
    }

    /// The next message; none at the end of the connection.
    pub(crate) async fn next_or_end(&mut self) -> Option<Message> {
        let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes in time");
        let message = Message::read(next?.expect("a sound stream"));
        self.ledger.take(&message);
        Some(message)
    }

    /// Reads until a message is what is looked for; what came before it.
    pub(crate) async fn until(&mut self, right: impl Fn(&Message) -> bool) -> Vec<Message> {
        let look = async {
            let mut seen = Vec::new();
            loop {
                let message = self.next().await;
                let found = right(&message);
                seen.push(message);
                if found {
                    return seen;
                }
            }
        };
        timeout(PATIENCE, look).await.expect("what is waited for comes in time")
    }

    /// The next text that is right.
    pub(crate) async fn text(&mut self, right: impl Fn(&Value) -> bool) -> Value {
        let found = |message: &Message| matches!(message, Message::Text(text) if right(text));
        match self.until(found).await.pop() {
            Some(Message::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// The next text of a type.
    pub(crate) async fn told(&mut self, kind: &str) -> Value {
        self.text(|text| text["type"] == kind).await
    }

    /// The next batch with records.
    pub(crate) async fn batch(&mut self) -> Batch {
        match self.until(|message| matches!(message, Message::Batch(_))).await.pop() {
            Some(Message::Batch(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until `count` more records have come, snapshots and mappings not counted.
    pub(crate) async fn records(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            let batch = self.batch().await;
            let counted = batch.flags & SNAPSHOT == 0;
            records.extend(batch.records.into_iter().filter(|r| counted && !r.is_mapping()));
        }
        records
    }

    /// Sends a request and returns its id.
    pub(crate) async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        self.ledger.asked(self.last_id, method, &params);
        let mut request = json!({"id": self.last_id, "method": method});
        if !params.is_null() {
            request["params"] = params;
        }
        self.send_raw(tungstenite::Message::text(request.to_string())).await;
        self.last_id
    }

    /// Sends a frame as it is.
    pub(crate) async fn send_raw(&mut self, message: tungstenite::Message) {
        timeout(PATIENCE, self.socket.send(message)).await.expect("it is read").unwrap();
    }

    /// Asks, and reads until the answer.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.text(|text| text["id"] == id).await
    }

    /// Asks for what is granted; the result.
    pub(crate) async fn granted(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"].clone()
    }

    /// Asks for what is refused; code and reason.
    pub(crate) async fn refused(&mut self, method: &str, params: Value) -> (u64, String) {
        let answer = self.ask(method, params).await;
        let error = &answer["error"];
        assert_eq!(answer["success"], false, "{answer}");
        (error["code"].as_u64().unwrap(), error["reason"].as_str().unwrap().to_owned())
    }

    /// Subscribes; the result.
    pub(crate) async fn subscribe(&mut self, params: Value) -> Value {
        self.granted("subscribe", params).await
    }

    /// Reads until the end; what came.
    pub(crate) async fn rest(&mut self) -> Vec<Message> {
        let mut rest = Vec::new();
        while let Some(message) = self.next_or_end().await {
            rest.push(message);
        }
        rest
    }

    /// The bytes up to the end of the connection, below the WebSocket: nothing is answered.
    pub(crate) async fn raw_rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let end = self.socket.get_mut().read_to_end(&mut bytes);
        timeout(PATIENCE, end).await.expect("the server ends it").unwrap();
        bytes
    }

    /// Waits until the feed has brought something.
    pub(crate) async fn records_ready(&mut self) {
        while self.ledger.seq == 0 {
            self.heartbeat().await;
        }
    }

    /// Reads to a heartbeat whose counts the ledger has checked.
    pub(crate) async fn heartbeat(&mut self) -> Value {
        self.told("heartbeat").await
    }
}

/// A connection as the server speaks it.
async fn secured(server: &Program, stream: TcpStream) -> Box<dyn Duplex> {
    if !server.encrypted {
        return Box::new(stream);
    }
    let connector = TlsConnector::from(secure::trusting());
    Box::new(connector.connect(secure::localhost(), stream).await.unwrap())
}

/// What a page of the server says.
pub(crate) async fn page(server: &Program, path: &str) -> Value {
    let stream = TcpStream::connect(&server.address).await.unwrap();
    let mut stream = secured(server, stream).await;
    let host = &server.address;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect(body)
}

/// Real time, ns.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos().try_into().unwrap()
}
