//! A scripted server for tests of the client tools: speaks the protocol through tungstenite and
//! the dbn crate, shares no code with broadtape, and can do wrong on purpose.

#![allow(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dbn::{RecordHeader, SType, SymbolMappingMsg, TradeMsg, WithTsOut, rtype};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

/// How much earlier than it is sent every record says it happened.
pub(crate) const EVENT_AGE: Duration = Duration::from_millis(20);
/// Records of a batch.
pub(crate) const BATCH: u64 = 10;
const EPOCH: u64 = 0x1_0000_0007;

/// What the server does wrong, or out of the ordinary. Batches are numbered from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// A record of this batch is counted, and not sent.
    pub(crate) lose_in: Option<u64>,
    /// After this batch, it counts that many records more than it sent.
    pub(crate) count_wrong_after: Option<(u64, i64)>,
    /// Before this batch, a gap of so many records is announced.
    pub(crate) gap_before: Option<(u64, Option<u64>)>,
    /// The venue's sequence makes a step of this before this batch.
    pub(crate) step_before: Option<(u64, i32)>,
    /// The position goes back before this batch.
    pub(crate) go_back_before: Option<u64>,
    /// Clients that have to be subscribed (their pong tells) before a connection is ended.
    pub(crate) subscribers: usize,
    /// `closing` and a close frame after this batch at the earliest; the first connection only.
    pub(crate) close_after: Option<(u64, u16, &'static str)>,
    /// The first connection is cut after this batch at the earliest.
    pub(crate) cut_after: Option<u64>,
    /// This batch says it has one record more than it has.
    pub(crate) malformed: Option<u64>,
    /// Symbols that are not there.
    pub(crate) unknown: Vec<&'static str>,
    /// Subscriptions are refused.
    pub(crate) refuse: bool,
    /// Sent instead of the welcome.
    pub(crate) greeting: Option<&'static str>,
    /// No subprotocol is answered.
    pub(crate) no_protocol: bool,
    /// Nothing but HTTP 404.
    pub(crate) only_http: bool,
}

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Symbols of each subscribe request.
    pub(crate) symbols: Vec<Vec<String>>,
    /// Clients that answered the ping behind the answer to their subscribe.
    pub(crate) pongs: usize,
    /// Close frames of clients that had not been closed.
    pub(crate) goodbyes: usize,
}

/// A server that runs until the test ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub(crate) fn start(script: Script) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(accept(listener, script, shared));
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/v1/stream", self.address)
    }
}

/// Runs `broadtape` with these arguments to its end.
pub(crate) fn broadtape(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_broadtape")).args(args).output().unwrap()
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn accept(listener: std::net::TcpListener, script: Script, seen: Arc<Mutex<Seen>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let mut streams = 0;
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 64];
        let n = socket.peek(&mut head).await.unwrap();
        if script.only_http || head[..n].starts_with(b"GET /v1/instruments") {
            tokio::spawn(async move { page(&mut socket, script_page(&head)).await });
            continue;
        }
        let (script, seen, number) = (script.clone(), seen.clone(), streams);
        streams += 1;
        tokio::spawn(async move { Connection::open(socket, script, seen, number).await });
    }
}

/// Two pages of instruments; everything else is not there.
fn script_page(head: &[u8]) -> Option<Value> {
    let named = |from: u32| {
        (from..from + 5).map(|n| json!({"instrument_id": n, "symbol": format!("S{n}")}))
    };
    if head.starts_with(b"GET /v1/instruments?next=5 ") {
        return Some(json!({"instruments": named(5).collect::<Vec<_>>(), "next": null}));
    }
    let first = head.starts_with(b"GET /v1/instruments ");
    first.then(|| json!({"instruments": named(0).collect::<Vec<_>>(), "next": "5"}))
}

async fn page(socket: &mut TcpStream, page: Option<Value>) {
    let (status, body) = match page {
        Some(page) => ("200 OK", page.to_string()),
        None => ("404 Not Found", "nothing here".to_owned()),
    };
    let _ = socket.read(&mut [0; 4096]).await;
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = socket.write_all(head.as_bytes()).await;
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

struct Connection {
    ws: WebSocketStream<TcpStream>,
    script: Script,
    seen: Arc<Mutex<Seen>>,
    number: u64,
    json: bool,
    batches: u64,
    sent: u64,
    miscount: i64,
    seq: u64,
    sequence: u32,
    subscriptions: u64,
}

impl Connection {
    #[allow(clippy::result_large_err, reason = "tungstenite's callback is of that type")]
    async fn open(socket: TcpStream, script: Script, seen: Arc<Mutex<Seen>>, number: u64) {
        let mut json = false;
        let answer = |request: &Request, mut response: Response| {
            let protocol = request.headers()["sec-websocket-protocol"].clone();
            json = protocol == "broadtape.json.v1";
            if !script.no_protocol {
                response.headers_mut().insert("sec-websocket-protocol", protocol);
            }
            Ok(response)
        };
        let Ok(ws) = tokio_tungstenite::accept_hdr_async(socket, answer).await else { return };
        let connection = Self {
            ws,
            script,
            seen,
            number,
            json,
            batches: 0,
            sent: 0,
            miscount: 0,
            seq: 100,
            sequence: u32::MAX - 15,
            subscriptions: 0,
        };
        // A client that goes away is no failure of the server.
        let _ = connection.serve().await;
    }

    async fn text(&mut self, value: Value) -> Option<()> {
        self.ws.send(Message::text(value.to_string())).await.ok()
    }

    async fn serve(mut self) -> Option<()> {
        match self.script.greeting {
            Some(greeting) => self.ws.send(Message::text(greeting)).await.ok()?,
            None => {
                let epoch = EPOCH.to_string();
                self.text(json!({"type":"welcome","version":1,"epoch":epoch,"seq":"100"})).await?;
            }
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        loop {
            tokio::select! {
                message = self.ws.next() => self.message(message?.ok()?).await?,
                _ = ticks.tick(), if self.subscriptions > 0 => self.tick().await?,
            }
        }
    }

    async fn message(&mut self, message: Message) -> Option<()> {
        match message {
            Message::Text(text) => self.request(serde_json::from_str(&text).unwrap()).await,
            Message::Pong(data) if data == "subscribed?" => {
                self.seen.lock().unwrap().pongs += 1;
                Some(())
            }
            Message::Close(_) => {
                self.seen.lock().unwrap().goodbyes += 1;
                None
            }
            _ => Some(()),
        }
    }

    async fn request(&mut self, request: Value) -> Option<()> {
        let (id, method) = (&request["id"], request["method"].as_str().unwrap());
        if self.script.refuse {
            let error = json!({"code":406,"reason":"too_many","message":"no more of you"});
            return self.text(json!({"id":id,"method":method,"success":false,"error":error})).await;
        }
        let result = match method {
            "subscribe" => self.subscribe(&request["params"]),
            "subscriptions" => json!({ "subscriptions": self.counts() }),
            _ => panic!("the tools don't ask for {method}"),
        };
        self.text(json!({"id":id,"method":method,"success":true,"result":result})).await?;
        if method == "subscribe" {
            self.ws.send(Message::Ping("subscribed?".into())).await.ok()?;
        }
        if method == "subscribe" && !self.json {
            let map = mapping(7, "SEVEN");
            self.binary(1, &[map]).await?;
        }
        Some(())
    }

    fn subscribe(&mut self, params: &Value) -> Value {
        let asked: Vec<String> = match &params["symbols"] {
            Value::Array(list) => list.iter().map(|s| s.as_str().unwrap().to_owned()).collect(),
            all => vec![all.as_str().unwrap().to_owned()],
        };
        let rejected: Vec<Value> = asked
            .iter()
            .filter(|symbol| self.script.unknown.contains(&symbol.as_str()))
            .map(|symbol| json!({"symbol":symbol,"code":404,"reason":"unknown_symbol"}))
            .collect();
        self.seen.lock().unwrap().symbols.push(asked);
        self.subscriptions += 1;
        let (id, epoch) = (self.subscriptions, EPOCH.to_string());
        json!({"subscription":id,"epoch":epoch,"seq":"100","instruments":[],"rejected":rejected})
    }

    /// All records belong to the first subscription.
    fn counts(&self) -> Vec<Value> {
        let records = |id| if id == 1 { self.counted() } else { 0 }.to_string();
        (1..=self.subscriptions)
            .map(
                |id| json!({"subscription":id,"records":records(id),"conflated":"0","dropped":"0"}),
            )
            .collect()
    }

    fn counted(&self) -> u64 {
        self.sent.checked_add_signed(self.miscount).unwrap()
    }

    async fn heartbeat(&mut self) -> Option<()> {
        let (seq, counts) = (self.seq.to_string(), self.counts());
        let records = self.counted().to_string();
        self.text(json!({"type":"heartbeat","epoch":EPOCH.to_string(),"seq":seq,
            "records":records,"subscriptions":counts}))
            .await
    }

    async fn tick(&mut self) -> Option<()> {
        let batch = self.batches;
        self.before(batch).await?;
        let lost = self.script.lose_in == Some(batch);
        let records: Vec<Vec<u8>> = (0..BATCH).map(|_| self.trade()).collect();
        self.sent += BATCH;
        self.seq += BATCH;
        let sent = &records[usize::from(lost)..];
        let count = sent.len() as u16 + u16::from(self.script.malformed == Some(batch));
        if self.json {
            self.json_data(sent).await?
        } else {
            self.binary(count, sent).await?
        }
        self.batches += 1;
        self.after(batch).await
    }

    async fn before(&mut self, batch: u64) -> Option<()> {
        if let Some((at, records)) = self.script.gap_before
            && at == batch
        {
            let records = records.map(|n| n.to_string());
            let mut gap = json!({"type":"gap","from_seq":"3","to_seq":"9","reason":"overrun"});
            gap["records"] = records.into();
            self.text(gap).await?;
        }
        if let Some((at, step)) = self.script.step_before
            && at == batch
        {
            self.sequence = self.sequence.wrapping_add_signed(step);
        }
        if self.script.go_back_before == Some(batch) {
            self.seq -= 2 * BATCH;
        }
        Some(())
    }

    async fn after(&mut self, batch: u64) -> Option<()> {
        if let Some((at, records)) = self.script.count_wrong_after
            && at == batch
        {
            self.miscount = records;
        }
        if batch.is_multiple_of(10) {
            self.heartbeat().await?;
        }
        if self.number > 0 || self.seen.lock().unwrap().pongs < self.script.subscribers {
            return Some(());
        }
        if self.script.cut_after.is_some_and(|at| at <= batch) {
            return None;
        }
        match self.script.close_after {
            Some((at, code, reason)) if at <= batch => {
                let closing = json!({"type":"closing","code":code,"reason":reason,"message":""});
                self.text(closing).await?;
                let frame = CloseFrame { code: code.into(), reason: reason.into() };
                self.ws.close(Some(frame)).await.ok()
            }
            _ => Some(()),
        }
    }

    fn trade(&mut self) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let ts_event = now() - EVENT_AGE.as_nanos() as u64;
        let trade = TradeMsg {
            hd: RecordHeader::new::<TradeMsg>(rtype::MBP_0, 64_000, 7, ts_event),
            price: 12_500_000_000,
            size: 3,
            side: b'B' as std::ffi::c_char,
            action: b'T' as std::ffi::c_char,
            sequence: self.sequence,
            ..TradeMsg::default()
        };
        WithTsOut::new(trade, now()).as_ref().to_vec()
    }

    async fn binary(&mut self, count: u16, records: &[Vec<u8>]) -> Option<()> {
        let mut frame = vec![1, 0];
        frame.extend(count.to_le_bytes());
        frame.extend((EPOCH as u32).to_le_bytes());
        frame.extend(self.seq.to_le_bytes());
        frame.extend(now().to_le_bytes());
        records.iter().for_each(|record| frame.extend(record));
        self.ws.send(Message::binary(frame)).await.ok()
    }

    async fn json_data(&mut self, records: &[Vec<u8>]) -> Option<()> {
        let texts: Vec<String> = records.iter().map(|record| json_trade(record)).collect();
        let text = format!(
            r#"{{"type":"data","epoch":"{EPOCH}","seq":"{}","ts_send":"{}","records":[{}]}}"#,
            self.seq,
            now(),
            texts.join(",")
        );
        self.ws.send(Message::text(text)).await.ok()
    }
}

fn mapping(id: u32, symbol: &str) -> Vec<u8> {
    let hd = RecordHeader::new::<SymbolMappingMsg>(rtype::SYMBOL_MAPPING, 64_000, id, now());
    let (raw, number) = (SType::RawSymbol, SType::InstrumentId);
    let map = SymbolMappingMsg::new(id, now(), raw, symbol, number, symbol, 0, 0).unwrap();
    WithTsOut::new(SymbolMappingMsg { hd, ..map }, now()).as_ref().to_vec()
}

/// As DBN's own JSON encoder prints it, through the decoder of the same crate.
fn json_trade(record: &[u8]) -> String {
    use dbn::encode::EncodeRecordTextExt;
    let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    let trade = TradeMsg {
        hd: RecordHeader::new::<TradeMsg>(rtype::MBP_0, 64_000, 7, word(8)),
        price: word(16) as i64,
        size: word(24) as u32,
        side: b'B' as std::ffi::c_char,
        action: b'T' as std::ffi::c_char,
        sequence: (word(40) >> 32) as u32,
        ..TradeMsg::default()
    };
    let mut text = Vec::new();
    let mut encoder = dbn::encode::json::Encoder::new(&mut text, false, true, true);
    encoder.encode_record_with_sym(&WithTsOut::new(trade, word(48)), Some("SEVEN")).unwrap();
    String::from_utf8(text).unwrap().trim().to_owned()
}
