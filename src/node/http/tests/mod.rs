//! The pages, asked as a client asks them, of a server that stands still.

mod access;
mod metrics;
mod pages;

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use super::{Downloads, Scope, answer};
use crate::clock::SECOND;
use crate::latency::{Latency, Stage};
use crate::node::report::{
    Counts, FeedReport, Info, Session, SessionSubscription, ShardReport, Status,
};
use crate::wire::grant::{Access, Grant, Rights};
use crate::wire::instrument::{Directory, Instrument, bit};
use crate::wire::record::{Schema, TradeMsg, bytes_of, header, publish_into, rtype};

struct Still {
    info: Info,
    directory: Directory,
    draining: bool,
    downloads: Arc<Downloads>,
}

fn still() -> Still {
    let listen: Vec<SocketAddr> = vec!["127.0.0.1:8080".parse().unwrap()];
    let info = Info { version: "1.2.3", epoch: u64::MAX, started: 5 * SECOND, listen };
    let directory = Directory::default();
    for (id, symbol) in [(1, "AAPL"), (2, "BRK/A"), (3, "MSFT")] {
        let schemas = bit(Schema::Trades) | bit(Schema::Mbp1);
        let (symbol, tick) = (symbol.to_owned(), Some(10_000_000));
        let lot = Some(100);
        directory
            .register(Instrument { id, publisher: 64000, symbol, tick, lot, schemas })
            .unwrap();
    }
    Still { info, directory, draining: false, downloads: Arc::default() }
}

impl Status for Still {
    fn downloads(&self) -> &Arc<Downloads> {
        &self.downloads
    }

    fn refusals(&self) -> Vec<(&'static str, u64)> {
        vec![("handshake_refused", 3)]
    }

    fn security(&self) -> Vec<(&'static str, u64)> {
        vec![("origin", 2)]
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn directory(&self) -> &Directory {
        &self.directory
    }

    fn readiness(&self) -> Result<(), String> {
        if self.draining { Err("draining".to_owned()) } else { Ok(()) }
    }

    async fn shards(&self) -> Vec<ShardReport> {
        let report = |shard: usize| {
            let mut latency = Latency::default();
            latency.record(Stage::RingToShard, 0, 3_000, 2);
            latency.record(Stage::ShardToKernel, 0, 70_000 * (1 + shard as u64), 4);
            let closes = vec![("normal", 2), ("slow", 1)];
            ShardReport {
                shard,
                connections: 7,
                records: u64::MAX,
                closes,
                latency,
                ..Default::default()
            }
        };
        vec![report(0), report(1)]
    }

    async fn feed(&self) -> FeedReport {
        let mut latency = Latency::default();
        latency.record(Stage::SourceToFeed, 9, 8, 5);
        let records_by_schema = vec![(Schema::Trades, 30), (Schema::Mbp1, 12)];
        let name = "sim \"calm\"\\\n".to_owned();
        let state = "live".to_owned();
        FeedReport { name, state, records: 42, records_by_schema, latency, ..Default::default() }
    }

    async fn sessions(&self, after: u64, limit: usize) -> Vec<Session> {
        (after + 1..=5).take(limit).map(session).collect()
    }

    async fn last(&self, instruments: Vec<u32>, _schemas: u32) -> Vec<Vec<u8>> {
        instruments.into_iter().map(trade).collect()
    }
}

fn session(id: u64) -> Session {
    let subscription = SessionSubscription {
        id: 1,
        schemas: vec![Schema::Trades],
        symbols: vec!["AAPL".to_owned(), "ES*".to_owned()],
        count: 3,
        counts: Counts { records: 3, ..Counts::default() },
        policy: "disconnect",
        max_rate: 0,
    };
    Session {
        id,
        shard: 0,
        peer: "[::1]:9".parse().unwrap(),
        via: None,
        user: None,
        tls: Some("1.3"),
        encoding: "dbn",
        since: 1,
        subscriptions: vec![subscription],
        queued_bytes: 0,
        records: 3,
        bytes: 200,
        state: "live",
    }
}

fn trade(instrument: u32) -> Vec<u8> {
    let hd = header::<TradeMsg>(rtype::MBP_0, 64000, instrument, SECOND);
    let trade = TradeMsg { hd, price: 1_500_000_000, size: 3, ..TradeMsg::default() };
    let mut record = Vec::new();
    publish_into(&mut record, bytes_of(&trade), 2 * SECOND);
    record
}

async fn ask(method: &str, target: &str, status: &Still) -> (Response<()>, String) {
    ask_as(method, target, status, Some(Access::Open)).await
}

async fn ask_as(
    method: &str,
    target: &str,
    status: &Still,
    access: Option<Access>,
) -> (Response<()>, String) {
    let request = Request::builder().method(method).uri(target).body(Empty::<Bytes>::new());
    let mut request = request.unwrap();
    access.into_iter().for_each(|access| drop(request.extensions_mut().insert(access)));
    let response = answer(&request, status, Scope::All).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

async fn get(target: &str) -> (StatusCode, String) {
    let (response, body) = ask("GET", target, &still()).await;
    (response.status(), body)
}

async fn json(target: &str) -> Value {
    let (status, body) = get(target).await;
    assert_eq!(status, StatusCode::OK, "{target}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn refused(target: &str, status: StatusCode, reason: &str) -> String {
    let (response, body) = get(target).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((response, body["error"]["reason"].as_str()), (status, Some(reason)), "{target}");
    body["error"]["message"].as_str().unwrap().to_owned()
}
