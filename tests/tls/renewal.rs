//! Certificates are renewed while everybody is served; those that can't be used change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::json;

use crate::authority::write;
use crate::server::{HERE, Server};

const RELOADS: &str = "broadtape_tls_reloads_total";
const ROUNDS: usize = 100;

#[tokio::test]
async fn a_hundred_renewals_drop_nobody() {
    let server = Arc::new(Server::start(&[]));
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut client = server.client(server.trusting()).await;
        client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
        let over = over.clone();
        readers.push(tokio::spawn(async move {
            let first = client.records(1).await[0].sequence;
            while !over.load(Relaxed) {
                client.batch().await;
            }
            client.heartbeat().await;
            let last = client.records(1).await.last().unwrap().sequence;
            assert_eq!(u64::from(last - first) + 1, client.ledger.records, "no hole");
        }));
    }
    let renewing = server.clone();
    let renew = move || {
        for round in 0..ROUNDS {
            let next = renewing.authority.issue(HERE);
            next.write(renewing.folder.path(), "server");
            renewing.program.hang_up();
            renewing.wait_until(&format!("renewal {round}"), |s| s.shown() == next.der());
        }
    };
    tokio::task::spawn_blocking(renew).await.unwrap();
    over.store(true, Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let server = Arc::into_inner(server).unwrap();
    tokio::task::spawn_blocking(move || server.wait_for(RELOADS, "done", ROUNDS as u64))
        .await
        .unwrap();
}

#[test]
fn a_change_is_seen_without_being_told() {
    let server = Server::start(&[]);
    assert_eq!(server.shown(), server.identity.der());
    let next = server.authority.issue(HERE);
    next.write(server.folder.path(), "server");
    server.wait_until("the new one is shown", |server| server.shown() == next.der());
}

#[test]
fn what_can_not_be_used_leaves_the_old_one() {
    let server = Server::start(&[]);
    let strange = server.authority.issue(HERE);
    for (round, (file, text)) in [
        ("server.crt", "no certificate at all"),
        ("server.crt", &server.identity.certificate[..200]),
        ("server.crt", &strange.certificate),
        ("server.key", "no key at all"),
    ]
    .into_iter()
    .enumerate()
    {
        write(server.folder.path(), file, text);
        server.program.hang_up();
        server.wait_for(RELOADS, "failed", round as u64 + 1);
        assert_eq!(server.shown(), server.identity.der(), "{file}: {text}");
    }
    strange.write(server.folder.path(), "server");
    server.program.hang_up();
    server.wait_until("a good one is taken", |server| server.shown() == strange.der());
}
