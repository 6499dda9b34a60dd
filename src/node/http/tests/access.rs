//! Pages where clients have to say who they are.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::wire::grant::{Scope, Seal};
use crate::wire::symbols::Symbol;

fn granted(rights: Rights) -> Option<Access> {
    let (subject, key, seal) = ("alice".to_owned(), "k".to_owned(), Seal::default());
    let grant = Grant { subject, key, seal, token: None, expires: None, rights };
    Some(Access::Granted(Arc::new(grant)))
}

async fn status_of(target: &str, access: Option<Access>) -> u16 {
    ask_as("GET", target, &still(), access).await.0.status().as_u16()
}

#[tokio::test]
async fn who_is_nobody_sees_whether_it_lives_and_no_more() {
    for access in [Some(Access::Anonymous), None] {
        for (target, right) in [
            ("/", 200),
            ("/healthz", 200),
            ("/readyz", 200),
            ("/metrics", 401),
            ("/v1/status", 401),
            ("/v1/latency", 401),
            ("/v1/instruments", 401),
            ("/v1/last?symbols=AAPL", 401),
            ("/v1/recordings", 401),
            ("/v1/sessions", 401),
        ] {
            assert_eq!(status_of(target, access.clone()).await, right, "{target}");
        }
    }
    let (response, _) = ask_as("GET", "/metrics", &still(), None).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn who_is_connected_is_for_administrators() {
    for (admin, right) in [(false, 403), (true, 200)] {
        for target in ["/metrics", "/v1/sessions"] {
            let rights = Rights { admin, ..Rights::default() };
            assert_eq!(status_of(target, granted(rights)).await, right, "{target}");
        }
    }
}

#[tokio::test]
async fn a_page_shows_what_is_given() {
    let scope = Arc::new(Scope::new([Symbol::new("A*".to_owned())]));
    let schemas = bit(Schema::Trades);
    let rights = Rights { schemas, symbols: Some(scope), ..Rights::default() };
    let page = async |target| {
        let (_, body) = ask_as("GET", target, &still(), granted(rights.clone())).await;
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let all = page("/v1/instruments").await;
    assert_eq!(all["instruments"].as_array().unwrap().len(), 1);
    assert_eq!(all["instruments"][0]["symbol"], "AAPL");
    assert_eq!(all["instruments"][0]["schemas"], serde_json::json!(["trades"]));
    let last = page("/v1/last?symbols=AAPL,MSFT,NOPE").await;
    assert_eq!(last["records"].as_array().unwrap().len(), 1);
    assert!(last["rejected"].as_array().unwrap().iter().all(|one| one["code"] == 403));
    let all = || Rights { replay: true, history: Duration::MAX, ..rights.clone() };
    for (query, rights, right) in [
        ("", all(), 403),
        ("?symbols=MSFT", all(), 403),
        ("?symbols=AAPL&schema=mbp-1", all(), 403),
        ("?symbols=AAPL", Rights { replay: false, ..all() }, 403),
        ("?symbols=AAPL", Rights { history: Duration::from_secs(9), ..all() }, 403),
        ("?symbols=AAPL", Rights { delay: Duration::from_secs(9), ..all() }, 403),
        ("?symbols=AAPL", all(), 404),
    ] {
        let target = format!("/v1/recordings/no.dbn{query}");
        assert_eq!(status_of(&target, granted(rights)).await, right, "{target}");
    }
    let late = Rights { delay: Duration::from_secs(60), ..rights.clone() };
    assert_eq!(status_of("/v1/last?symbols=AAPL", granted(late)).await, 403);
}
