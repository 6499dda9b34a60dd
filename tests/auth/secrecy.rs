//! Tokens and keys are in no log, at whatever level.

use std::fs::{self, File};
use std::io::Write;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Client, PATIENCE, page};
use crate::program::{Program, broadtape};
use crate::world::{World, all, claims, now, sign};

#[test]
fn no_log_holds_a_token_or_a_key() {
    let world = World::without_server();
    let api = world.path("api.toml");
    let key = broadtape()
        .args(["token", "api-key"])
        .arg(&api)
        .args(["--subject", "bob", "--schemas", "trades"])
        .output()
        .unwrap();
    let key = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    let path = |name: &str| world.path(name).to_str().unwrap().to_owned();
    let log = world.path("log");
    let server = Program::start_with_log(
        File::create(&log).unwrap(),
        &[
            "serve",
            "--auth",
            "required",
            "--auth-keys",
            &path("keys.toml"),
            "--api-keys",
            &path("api.toml"),
            "--revoked",
            &path("revoked"),
            "--log",
            "trace",
            "--rate",
            "100",
        ],
    );
    let right = world.token("alice", all());
    let expired = world.token_until("alice", all(), now() - 600);
    let forged = sign("es", jsonwebtoken::Algorithm::HS256, &claims("eve", all(), now() + 60));
    for token in [&right, &expired, &forged, &key] {
        let _ = Client::knock(&server, &[("authorization", format!("Bearer {token}"))]);
        let offers = format!("broadtape.json.v1, broadtape.bearer.{token}");
        let _ = Client::knock(&server, &[("sec-websocket-protocol", offers)]);
        let _ = Client::knock(&server, &[("authorization", format!("Basic {token}"))]);
        Client::connect(&server, None).ask("auth", json!({"token": token}));
        Client::connect(&server, None).ask("auth", json!({"tokens": token}));
        Client::connect(&server, None).ask(token, json!({}));
        for query in ["token", "key", "symbols"] {
            page(&server, &format!("/v1/instruments?{query}={token}"), None);
            page(&server, &format!("/v1/stream?{query}={token}%"), None);
        }
        page(&server, "/metrics", Some(token));
        page(&server, &format!("/{token}"), None);
    }
    // A broken file of keys is told by its place, not by what stands there.
    let (keys, entry) = (path("keys.toml"), World::hs_entry());
    let mut file = fs::OpenOptions::new().append(true).open(&keys).unwrap();
    writeln!(file, "{}", entry.replace("secret", "sekret")).unwrap();
    kill_process(Pid::from_raw(server.id() as i32).unwrap(), Signal::HUP).unwrap();
    let begun = std::time::Instant::now();
    while !fs::read_to_string(&log).unwrap().contains("keys can't be read") {
        assert!(begun.elapsed() < PATIENCE, "the broken file is not told");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.stop();
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("token not accepted") && log.contains("auth refused"), "{log}");
    assert!(log.contains("\"target\":\"access\""), "streams have lines");
    let secret = entry.split('"').nth(5).unwrap().to_owned();
    for token in [&right, &expired, &forged, &key, &secret] {
        for part in token.split('.').chain([token.as_str()]).filter(|part| part.len() > 12) {
            // The header is the same for all tokens of a key, and no secret.
            let header = part.starts_with("eyJ0eXAi") || part.starts_with("eyJhbGci");
            assert!(header || !log.contains(part), "the log holds {part}");
        }
        assert!(!log.contains(token.as_str()));
    }
}
