//! The pages, asked as a client asks them, of a server that stands still.

use std::collections::HashMap;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;

use super::answer;
use crate::clock::SECOND;
use crate::latency::{Latency, Stage};
use crate::node::report::{
    Counts, FeedReport, Info, Session, SessionSubscription, ShardReport, Status,
};
use crate::wire::instrument::{Directory, Instrument, bit};
use crate::wire::record::{Schema, TradeMsg, bytes_of, header, publish_into, rtype};

struct Still {
    info: Info,
    directory: Directory,
    draining: bool,
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
    Still { info, directory, draining: false }
}

impl Status for Still {
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

    async fn last(&self, instruments: Vec<u32>) -> Vec<Vec<u8>> {
        instruments.into_iter().map(trade).collect()
    }
}

fn session(id: u64) -> Session {
    let subscription = SessionSubscription {
        id: 1,
        schemas: vec![Schema::Trades],
        symbols: vec!["AAPL".to_owned(), "ES*".to_owned()],
        counts: Counts { records: 3, ..Counts::default() },
        policy: "disconnect",
        max_rate: 0,
    };
    Session {
        id,
        shard: 0,
        peer: "[::1]:9".parse().unwrap(),
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
    let request = Request::builder().method(method).uri(target).body(Empty::<Bytes>::new());
    let response = answer(&request.unwrap(), status).await;
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

#[tokio::test]
async fn health_is_said_in_a_word() {
    assert_eq!(get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    let (response, body) = ask("GET", "/readyz", &Still { draining: true, ..still() }).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let want = r#"{"error":{"code":503,"reason":"not_ready","message":"draining"}}"#;
    assert_eq!(body, want);
    let (alive, _) = ask("GET", "/healthz", &Still { draining: true, ..still() }).await;
    assert_eq!(alive.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_there_is_not_gets_a_list_of_what_there_is() {
    let message = refused("/v1/nothing", StatusCode::NOT_FOUND, "not_found").await;
    for path in ["/metrics", "/v1/latency", "/v1/instruments", "/v1/last", "/v1/stream"] {
        assert!(message.contains(path), "{message}");
    }
    refused("/healthz/", StatusCode::NOT_FOUND, "not_found").await;
    refused("/v1/stream", StatusCode::UPGRADE_REQUIRED, "upgrade_required").await;
}

#[tokio::test]
async fn other_methods_are_told_which() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let (response, body) = ask(method, "/metrics", &still()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        assert!(body.contains(method), "{body}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    for path in ["/", "/healthz", "/v1/instruments", "/v1/nothing"] {
        let (get, body) = ask("GET", path, &still()).await;
        let (head, nothing) = ask("HEAD", path, &still()).await;
        assert_eq!((head.status(), nothing.as_str()), (get.status(), ""), "{path}");
        assert_eq!(head.headers()["content-length"], body.len().to_string().as_str(), "{path}");
        assert_eq!(head.headers()["content-type"], get.headers()["content-type"], "{path}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    for path in ["/", "/metrics", "/v1/sessions", "/nothing"] {
        let (response, _) = ask("GET", path, &still()).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn the_live_page_runs_its_own_script_only_and_loads_nothing() {
    let (response, page) = ask("GET", "/", &still()).await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(nonce.len(), 32);
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));
    assert!(page.contains(&format!("<style nonce=\"{nonce}\">")));
    assert!(!page.contains("{{") && !page.contains(" style=") && !page.contains(" onclick="));
    assert!(!page.contains("src=") && !page.contains("//cdn") && !page.contains("@import"));
    let (again, _) = ask("GET", "/", &still()).await;
    assert_ne!(again.headers()["content-security-policy"], policy);
}

#[tokio::test]
async fn parameters_are_read_strictly() {
    for target in [
        "/healthz?x=1",
        "/metrics?name=x",
        "/v1/instruments?limits=1",
        "/v1/instruments?limit=0",
        "/v1/instruments?limit=10001",
        "/v1/instruments?next=-1",
        "/v1/instruments?symbols=",
        "/v1/last",
        "/v1/last?symbols=%ZZ",
        "/v1/sessions?limit=1&limit=2",
    ] {
        refused(target, StatusCode::BAD_REQUEST, "bad_params").await;
    }
}

#[tokio::test]
async fn instruments_come_in_pages() {
    let first = json("/v1/instruments?limit=2").await;
    assert_eq!(first["next"], "2");
    let aapl = &first["instruments"][0];
    assert_eq!((&aapl["instrument_id"], &aapl["symbol"]), (&Value::from(1), &"AAPL".into()));
    assert_eq!(aapl["schemas"], serde_json::json!(["mbp-1", "trades"]));
    assert_eq!((&aapl["tick"], &aapl["lot"]), (&"0.010000000".into(), &100.into()));
    let second = json("/v1/instruments?limit=2&next=2").await;
    assert_eq!(
        (second["instruments"].as_array().unwrap().len(), &second["next"]),
        (1, &Value::Null)
    );
    let past = json("/v1/instruments?next=7").await;
    assert_eq!((past["instruments"].as_array().unwrap().len(), &past["next"]), (0, &Value::Null));
    let some = json("/v1/instruments?symbols=MSFT,BRK%2FA,NOPE").await;
    assert_eq!(some["instruments"][0]["symbol"], "MSFT");
    assert_eq!(some["instruments"][1]["symbol"], "BRK/A");
    let rejected = serde_json::json!([{"symbol": "NOPE", "code": 404, "reason": "unknown_symbol"}]);
    assert_eq!(some["rejected"], rejected);
}

#[tokio::test]
async fn last_values_are_records_as_the_stream_prints_them() {
    let last = json("/v1/last?symbols=MSFT,NOPE,AAPL").await;
    assert_eq!(last["epoch"], u64::MAX.to_string());
    let records = last["records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[0]["symbol"], &records[0]["price"]),
        (&"MSFT".into(), &"1.500000000".into())
    );
    assert_eq!(records[1]["hd"]["instrument_id"], 1);
    assert_eq!(records[1]["ts_out"], "1970-01-01T00:00:02.000000000Z");
    assert_eq!(last["rejected"][0]["symbol"], "NOPE");
}

#[tokio::test]
async fn sessions_come_in_pages() {
    let first = json("/v1/sessions?limit=3").await;
    assert_eq!((first["sessions"].as_array().unwrap().len(), &first["next"]), (3, &"3".into()));
    let client = &first["sessions"][0];
    assert_eq!((&client["session"], &client["peer"]), (&"1".into(), &"[::1]:9".into()));
    let subscription = &client["subscriptions"][0];
    assert_eq!(subscription["symbols"], serde_json::json!(["AAPL", "ES*"]));
    assert_eq!((&subscription["records"], &subscription["max_rate"]), (&"3".into(), &Value::Null));
    let second = json("/v1/sessions?limit=3&next=3").await;
    assert_eq!((second["sessions"].as_array().unwrap().len(), &second["next"]), (2, &Value::Null));
}

#[tokio::test]
async fn latency_is_told_by_stage_and_shard() {
    let all = json("/v1/latency").await;
    let stages = all["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["source_to_feed", "feed_to_ring", "ring_to_shard", "shard_to_kernel"]);
    assert_eq!(
        (&stages[0]["out_of_range"], &stages[0]["shards"]),
        (&"5".into(), &Value::Array(vec![]))
    );
    let kernel = &stages[3];
    assert_eq!((&kernel["count"], &kernel["shards"][1]["count"]), (&"8".into(), &"4".into()));
    for key in ["p50", "p90", "p99", "p99.9", "p99.99", "max"] {
        let ns: f64 = kernel["shards"][0][key].as_str().unwrap().parse().unwrap();
        assert!((ns / 70_000.0 - 1.0).abs() < 0.01, "{key}: {ns}");
    }
    assert!(kernel["histogram"].as_str().unwrap().starts_with("HISTFAAA"));
}

#[tokio::test]
async fn the_overview_has_what_the_live_page_draws() {
    let all = json("/v1/status").await;
    assert_eq!((&all["version"], &all["epoch"]), (&"1.2.3".into(), &u64::MAX.to_string().into()));
    assert_eq!((&all["feed"]["records"], &all["not_ready"]), (&"42".into(), &Value::Null));
    assert_eq!(all["shards"][1]["records"], u64::MAX.to_string());
    assert_eq!(all["latency"][3]["count"], "8");
}

/// A family of the Prometheus text format: its type, and its samples as written.
type Family = (String, Vec<(String, f64)>);

/// Reads the Prometheus text format, and panics at whatever a scraper would not take.
fn parse(page: &str) -> HashMap<String, Family> {
    assert!(page.ends_with('\n'));
    let mut families: HashMap<String, Family> = HashMap::new();
    let (mut helped, mut current) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') || help.contains(':') || help.contains('%'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "a TYPE follows its HELP");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let fresh = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(fresh.is_none(), "{name} is announced twice");
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, _) = series.split_at(series.find('{').unwrap_or(series.len()));
            check_labels(&series[name.len()..]);
            let (kind, samples) = families.get_mut(&current).unwrap();
            let suffixes: &[_] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            let ours = suffixes.iter().any(|suffix| format!("{current}{suffix}") == name);
            assert!(ours, "{line} stands under {current}");
            assert!(samples.iter().all(|(other, _)| other != series), "{series} stands twice");
            samples.push((series.to_owned(), value.parse().unwrap()));
        }
    }
    families
}

/// `{name="value",…}`, values escaped.
fn check_labels(labels: &str) {
    let Some(inner) = labels.strip_prefix('{') else { return assert_eq!(labels, "") };
    let mut rest = inner.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{labels}");
        let mut escaped = false;
        let end = after.find(|c| {
            assert!(!escaped || matches!(c, '\\' | '"' | 'n'), "{labels}");
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &after[end.unwrap() + 1..];
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',').unwrap() };
    }
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let (response, page) = ask("GET", "/metrics", &still()).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let families = parse(&page);
    let value = |family: &str, series: &str| {
        let (_, samples) = &families[family];
        samples.iter().find(|(name, _)| name == series).map(|(_, value)| *value)
    };
    let of = |series: &str| value(series.split('{').next().unwrap(), series);
    assert_eq!(of("broadtape_ready"), Some(1.0));
    assert_eq!(of("broadtape_published_records_total"), Some(42.0));
    let schema = "broadtape_published_schema_records_total{schema=\"mbp-1\"}";
    assert_eq!(of(schema), Some(12.0));
    assert_eq!(of("broadtape_connections{shard=\"1\"}"), Some(7.0));
    assert_eq!(of("broadtape_closes_total{shard=\"0\",reason=\"slow\"}"), Some(1.0));
    let late = "broadtape_latency_out_of_range_total{stage=\"source_to_feed\"}";
    assert_eq!(of(late), Some(5.0));
}

#[tokio::test]
async fn latency_histograms_grow_to_their_count() {
    let families = parse(&get("/metrics").await.1);
    let (_, samples) = &families["broadtape_latency_seconds"];
    let labels = "stage=\"shard_to_kernel\",shard=\"1\"";
    let ours: Vec<_> = samples.iter().filter(|(name, _)| name.contains(labels)).collect();
    let bucket = |le: &str| {
        let end = format!("le=\"{le}\"}}");
        ours.iter().find(|(name, _)| name.ends_with(&end)).unwrap().1
    };
    assert_eq!((bucket("0.000001"), bucket("0.0001"), bucket("0.0002")), (0.0, 0.0, 4.0));
    let buckets: Vec<_> = ours.iter().filter(|(name, _)| name.contains("_bucket")).collect();
    assert!(buckets.is_sorted_by_key(|(_, value)| *value) && buckets.len() == 23);
    let end = |suffix: &str| ours.iter().find(|(name, _)| name.contains(suffix)).unwrap().1;
    assert_eq!((bucket("+Inf"), end("_count"), end("_sum")), (4.0, 4.0, 560_000e-9));
}
