//! Each page, and what is said where there is none.

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Scope, answer};
use super::{Access, Still, ask, get, json, refused, still};

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

/// What hyper makes of an answer: two requests over one connection, byte for byte.
#[tokio::test]
async fn head_leaves_the_connection_usable() {
    let (client, server) = tokio::io::duplex(64 << 10);
    let service = service_fn(async |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Access::Open);
        Ok::<_, Infallible>(answer(&request, &still(), Scope::All).await)
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let asking = async move {
        let (mut from, mut to) = tokio::io::split(client);
        to.write_all(b"HEAD /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        to.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answers = String::new();
        from.read_to_string(&mut answers).await.unwrap();
        answers
    };
    let (served, answers) = tokio::join!(serving, asking);
    served.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
    assert_eq!(answers.matches("content-length: 3\r\n").count(), 2, "{answers}");
    assert!(answers.matches("ok\n").count() == 1 && answers.ends_with("\r\n\r\nok\n"), "{answers}");
}
