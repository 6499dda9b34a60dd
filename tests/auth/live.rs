//! A live connection: its token expires, is refreshed, is revoked; and who says nothing is sent
//! away.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, PATIENCE, page};
use crate::program::{Program, broadtape, succeed};
use crate::world::{World, all, now};

/// What a token is accepted for beyond its `exp`, seconds.
const LEEWAY: u64 = 30;

fn trades() -> Value {
    json!({"schema": "trades", "symbols": "*"})
}

#[test]
fn who_says_nothing_is_sent_away() {
    let world = World::new(&["--auth-timeout", "300ms"]);
    let mut silent = Client::connect(world.server(), None);
    assert_eq!(silent.closed(), (4500, "auth_timeout".to_owned()));
    assert!(silent.data.is_empty() && silent.told.iter().all(|told| told["type"] == "heartbeat"));
}

#[test]
fn who_is_wrong_again_and_again_is_sent_away() {
    let world = World::new(&[]);
    let mut guesser = Client::connect(world.server(), None);
    for _ in 0..4 {
        let refused = guesser.refused("auth", json!({"token": "a.b.c"}));
        assert_eq!(refused, (402, "auth_failed".to_owned()));
    }
    assert_eq!(guesser.closed(), (4500, "auth_failed".to_owned()));
}

#[test]
fn a_token_that_expires_ends_its_connection() {
    let world = World::new(&[]);
    let token = world.token_until("alice", all(), now() + 2 - LEEWAY);
    let mut client = Client::connect(world.server(), Some(&token));
    client.granted("subscribe", trades());
    assert_eq!(client.closed(), (4500, "auth_expired".to_owned()));
}

#[test]
fn a_refresh_keeps_the_session() {
    let world = World::new(&["--heartbeat", "100ms"]);
    let end = now() + 3;
    let token = world.token_until("alice", all(), end - LEEWAY);
    let mut client = Client::connect(world.server(), Some(&token));
    client.granted("subscribe", trades());
    let other = client.refused("auth", json!({"token": world.token("bob", all())}));
    assert_eq!(other, (402, "auth_failed".to_owned()));
    let granted = client.granted("auth", json!({"token": world.token("alice", all())}));
    assert_eq!(granted["subject"], "alice");
    // Past the end of the first one, records still come.
    let begun = Instant::now();
    while now() < end + 2 {
        client.records();
        assert!(begun.elapsed() < PATIENCE);
    }
    client.granted("ping", json!({}));
}

#[test]
fn a_refresh_to_less_ends_what_is_not_given_any_more() {
    let world = World::new(&[]);
    let mut client = Client::connect(world.server(), Some(&world.token("alice", all())));
    let first = client.granted("subscribe", trades());
    let second = client.granted("subscribe", json!({"schema": "mbp-1", "symbols": "*"}));
    let less = json!({"schemas": ["mbp-1"], "symbols": "*"});
    client.granted("auth", json!({"token": world.token("alice", less)}));
    let ended = client.until(|message| message["type"] == "error");
    assert_eq!(ended["error"]["code"], 403);
    let told = ended["error"]["message"].as_str().unwrap();
    assert!(told.contains(&format!("subscription {} ", first["subscription"])), "{told}");
    client.data.clear();
    for _ in 0..20 {
        let records = client.records();
        assert!(records.iter().all(|record| record["hd"]["rtype"] == 1), "{records:?}");
    }
    let left = client.granted("subscriptions", json!({}));
    assert_eq!(left["subscriptions"].as_array().unwrap().len(), 1);
    assert_eq!(left["subscriptions"][0]["subscription"], second["subscription"]);
    assert_eq!(client.refused("subscribe", trades()).0, 403);
}

#[test]
fn who_is_given_nothing_of_what_it_asked_for_is_sent_away() {
    let world = World::new(&[]);
    let mut client = Client::connect(world.server(), Some(&world.token("alice", all())));
    client.granted("subscribe", trades());
    let quotes = client.granted("subscribe", json!({"schema": "mbp-1", "symbols": "*"}));
    // Without a subscription there is nothing to lose.
    let mut idle = Client::connect(world.server(), Some(&world.token("alice", all())));
    let nothing = world.token("alice", json!({"schemas": ["bbo-1s"], "symbols": "*"}));
    idle.granted("auth", json!({"token": nothing}));
    client.granted("auth", json!({"token": nothing}));
    assert_eq!(client.closed(), (4507, "not_entitled".to_owned()));
    let told: Vec<&Value> = client.told.iter().filter(|told| told["type"] == "error").collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|error| error["error"]["code"] == 403), "{told:?}");
    assert!(
        told[1]["error"]["message"]
            .as_str()
            .unwrap()
            .contains(&format!("subscription {} ", quotes["subscription"]))
    );
    let bbo = json!({"schema": "bbo-1s", "symbols": "*"});
    idle.granted("subscribe", bbo);
}

/// A key of bob's that gives this of all symbols, and the file that it stands in.
fn api_key(world: &World, gives: &[&str]) -> (String, String) {
    let file = world.path("api.toml");
    let mut made = broadtape();
    made.args(["token", "api-key"]).arg(&file).args(["--subject", "bob", "--symbols", "*"]);
    let key = succeed(made.args(gives)).trim().to_owned();
    (key, fs::read_to_string(&file).unwrap())
}

#[test]
fn what_an_api_key_gives_may_change_while_it_is_used() {
    let mut world = World::without_server();
    let (key, entry) = api_key(&world, &["--schemas", "trades,mbp-1"]);
    let schemas = entry.lines().find(|line| line.starts_with("schemas")).unwrap().to_owned();
    world.start(&[]);
    let mut client = Client::connect(world.server(), Some(&key));
    let first = client.granted("subscribe", trades());
    client.granted("subscribe", json!({"schema": "mbp-1", "symbols": "*"}));
    // A file that says the same changes nothing.
    world.write("api.toml", &format!("# as before\n{entry}"));
    world.write("api.toml", &entry.replace(&schemas, "schemas = [\"mbp-1\", \"bbo-1s\"]"));
    let ended = client.until(|message| message["type"] == "error");
    let told = ended["error"]["message"].as_str().unwrap();
    assert!(told.contains(&format!("subscription {} ", first["subscription"])), "{told}");
    client.records();
    client.granted("subscribe", json!({"schema": "bbo-1s", "symbols": "*"}));
    world.write("api.toml", &entry.replace(&schemas, "schemas = [\"ohlcv-1s\"]"));
    assert_eq!(client.closed(), (4507, "not_entitled".to_owned()));
    let mut other = Client::connect(world.server(), Some(&key));
    assert_eq!(other.refused("subscribe", trades()).0, 403);
    world.write("api.toml", &entry.replace("\"bob\"", "\"eve\""));
    assert_eq!(other.closed(), (4500, "auth_revoked".to_owned()));
}

#[test]
fn what_is_revoked_ends_at_once_and_does_not_come_back() {
    for what in ["sub", "jti", "kid"] {
        let world = World::new(&[]);
        let exp = now() + 600;
        let token = world.token_until("alice", all(), exp);
        let name = match what {
            "sub" => "alice".to_owned(),
            "jti" => format!("alice-{exp}"),
            _ => "hs".to_owned(),
        };
        let mut client = Client::connect(world.server(), Some(&token));
        client.granted("subscribe", trades());
        let mut in_band = Client::connect(world.server(), None);
        in_band.granted("auth", json!({"token": token}));
        world.write("revoked", &format!("# since today\n{what} {name}  # because\n"));
        assert_eq!(client.closed(), (4500, "auth_revoked".to_owned()), "{what}");
        assert_eq!(in_band.closed(), (4500, "auth_revoked".to_owned()), "{what}");
        let bearer = ("authorization", format!("Bearer {token}"));
        assert_eq!(Client::knock(world.server(), &[bearer]).err().unwrap().0, 401, "{what}");
        let mut again = Client::connect(world.server(), None);
        assert_eq!(again.refused("auth", json!({"token": token})).0, 402, "{what}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    let world = World::new(&[]);
    let token = world.token("alice", all());
    let pipe = world.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(&pipe, world.path("revoked")).unwrap();
    // It is looked at by order; what was known before stays, and a change to come is seen.
    world.server().hang_up();
    let mut client = Client::connect(world.server(), Some(&token));
    client.granted("subscribe", trades());
    world.write("revoked", "sub alice\n");
    assert_eq!(client.closed(), (4500, "auth_revoked".to_owned()));
}

/// Begins to take a download with this token, and takes no more of it.
fn begin_download(world: &World, token: &str) -> TcpStream {
    let host = &world.server().address;
    let path = "/v1/recordings/big.dbn";
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "{request}authorization: Bearer {token}\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        if status.ends_with(b"200") {
            return stream;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&status));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_download_ends_with_what_gave_it() {
    let mut world = World::without_server();
    let recordings = tempfile::TempDir::new().unwrap();
    let large = ["simulate", "--rate", "50000", "--for", "5s", "-o"];
    succeed(broadtape().args(large).arg(recordings.path().join("big.dbn")));
    let (key, entry) = api_key(&world, &["--schemas", "*", "--history", "all", "--replay"]);
    world.start(&["--recordings", recordings.path().to_str().unwrap()]);
    let [alice, carol] = ["alice", "carol"].map(|name| world.token(name, all()));
    let [mut revoked, mut less, mut other] =
        [&alice, &key, &carol].map(|token| begin_download(&world, token));
    world.write("revoked", "sub alice\n");
    world.write("api.toml", &entry.replace("replay = true", "replay = false"));
    let admin = world.token("operator", json!({"admin": true}));
    let ended = "broadtape_security_events_total{event=\"auth_failed\"} 2\n";
    let begun = Instant::now();
    while !page(world.server(), "/metrics", Some(&admin)).1.contains(ended) {
        assert!(begun.elapsed() < PATIENCE, "they are not ended, or not counted");
    }
    let whole = |stream: &mut TcpStream| {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut bytes);
        bytes.ends_with(b"\r\n0\r\n\r\n")
    };
    assert!(!whole(&mut revoked) && !whole(&mut less) && whole(&mut other));
}

#[test]
fn a_subject_has_as_many_connections_as_it_may() {
    let world = World::new(&[]);
    let rights = json!({"schemas": "*", "symbols": "*", "connections": 2});
    let token = world.token("alice", rights);
    let bearer = || [("authorization", format!("Bearer {token}"))];
    let first = Client::connect(world.server(), Some(&token));
    let mut second = Client::connect(world.server(), None);
    second.granted("auth", json!({"token": token}));
    // A refresh takes no second seat.
    second.granted("auth", json!({"token": token}));
    let (status, body) = Client::knock(world.server(), &bearer()).err().unwrap();
    assert_eq!((status, &body["error"]["reason"]), (429, &json!("too_many_connections")));
    let mut third = Client::connect(world.server(), None);
    let refused = third.refused("auth", json!({"token": token}));
    assert_eq!(refused, (406, "too_many_connections".to_owned()));
    assert_eq!(third.closed(), (4504, "connection_limit".to_owned()));
    let other = world.token("bob", json!({"connections": 1}));
    Client::connect(world.server(), Some(&other));
    drop(first);
    let begun = Instant::now();
    while Client::knock(world.server(), &bearer()).is_err() {
        assert!(begun.elapsed() < PATIENCE, "a seat that is left is free");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_asks_nobody_says_so() {
    let server = Program::start(&["serve", "--log", "error"]);
    let mut client = Client::connect(&server, None);
    let refused = client.refused("auth", json!({"token": "a.b.c"}));
    assert_eq!(refused, (409, "wrong_state".to_owned()));
    Client::connect(&server, Some("a.b.c")).granted("subscribe", trades());
}

#[test]
fn keys_that_nobody_is_asked_for_are_warned_of() {
    let world = World::without_server();
    let (keys, log) = (world.path("keys.toml"), world.path("log"));
    for (auth, warns) in [("auto", true), ("open", true), ("required", false)] {
        let args = ["serve", "--auth", auth, "--auth-keys", keys.to_str().unwrap()];
        Program::start_with_log(File::create(&log).unwrap(), &args).stop();
        let told = fs::read_to_string(&log).unwrap();
        assert_eq!(told.contains("there are keys, and nobody is asked for one"), warns, "{told}");
    }
}

#[test]
fn beyond_this_machine_a_server_does_not_start_without_keys() {
    for (args, code) in [
        (&["--insecure", "--listen", "0.0.0.0:0"][..], 2),
        (&["--insecure", "--listen", "127.0.0.1:0", "--listen", "[::]:0"], 2),
        (&["--auth", "required"], 2),
        (&["--listen=127.0.0.1:0", "--auth=required", "--auth-keys=/nowhere/keys.toml"], 1),
    ] {
        let output = broadtape().args(["serve"]).args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains("auth_keys, jwks or api_keys") || told.contains("/nowhere/keys"));
    }
}
