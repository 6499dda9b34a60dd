//! Tokens of every kind: right ones come in by every way, wrong ones by none, and all of these are
//! told the same.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::client::{Client, page};
use crate::program::{broadtape, python, succeed};
use crate::world::{World, all, claims, now, sign};

/// Knocks with a token, and says it on a live connection: both refuse it in the same words.
fn is_refused(world: &World, name: &str, token: &str) {
    let header = ("authorization", format!("Bearer {token}"));
    let (status, body) = Client::knock(world.server(), &[header]).err().unwrap_or_else(|| {
        panic!("{name}: it came in by {token}");
    });
    assert_eq!(status, 401, "{name}: {body}");
    assert_eq!(body["error"]["message"], "the token is not accepted", "{name}");
    let mut client = Client::connect(world.server(), None);
    let answer = client.ask("auth", json!({"token": token}));
    assert_eq!(answer["error"]["code"], 402, "{name}: {answer}");
    assert_eq!(answer["error"]["message"], "the token is not accepted", "{name}");
    assert_eq!(client.refused("subscriptions", json!({})).0, 401, "{name}");
    assert_eq!(page(world.server(), "/v1/instruments", Some(token)).0, 401, "{name}");
}

fn comes_in(world: &World, name: &str, token: &str) {
    let mut client = Client::connect(world.server(), Some(token));
    client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    let mut client = Client::connect(world.server(), None);
    let granted = client.granted("auth", json!({"token": token}));
    assert!(granted["subject"].is_string(), "{name}: {granted}");
}

#[test]
fn a_token_comes_in_by_header_subprotocol_and_message() {
    let world = World::new(&[]);
    let token = world.token("alice", all());
    let mut client = Client::connect(world.server(), Some(&token));
    assert!(client.welcome["seq"].is_string(), "{}", client.welcome);
    client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    let offers = format!("broadtape.json.v1, broadtape.bearer.{token}");
    let client = Client::knock(world.server(), &[("sec-websocket-protocol", offers)]);
    assert!(client.unwrap().welcome["seq"].is_string());

    let mut client = Client::connect(world.server(), None);
    assert_eq!(client.welcome["auth_required"], true);
    assert!(client.welcome.get("seq").is_none() && client.welcome.get("epoch").is_none());
    let unknown = (401, "not_authenticated".to_owned());
    let wish = json!({"schema": "trades", "symbols": "*"});
    assert_eq!(client.refused("subscribe", wish.clone()), unknown);
    assert_eq!(client.refused("replay", json!({"recording": "live"})), unknown);
    client.granted("ping", json!({}));
    let granted = client.granted("auth", json!({"token": token}));
    assert_eq!(
        (&granted["subject"], &granted["entitlements"]["symbols"]),
        (&json!("alice"), &json!("*"))
    );
    client.granted("subscribe", wish);
    client.records();
}

#[test]
fn a_token_in_an_address_is_refused_and_not_repeated() {
    let world = World::new(&[]);
    let token = world.token("alice", all());
    for name in ["token", "access_token", "jwt"] {
        let (status, body) = page(world.server(), &format!("/v1/instruments?{name}={token}"), None);
        assert!((400..=401).contains(&status) && !body.contains(&token), "{body}");
    }
    let url = format!(
        "GET /v1/stream?token={token} HTTP/1.1\r\nhost: {}\r\nupgrade: websocket\r\n\
        connection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        world.server().address
    );
    let mut stream = std::net::TcpStream::connect(&world.server().address).unwrap();
    std::io::Write::write_all(&mut stream, url.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("never stands in an address"));
    assert!(!answer.contains(&token));
}

#[test]
fn a_token_that_is_wrong_anywhere_is_refused() {
    let world = World::new(&[]);
    let right = claims("alice", all(), now() + 600);
    let with = |change: Value| {
        let mut claims = right.clone();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        sign("hs", Algorithm::HS256, &claims)
    };
    comes_in(&world, "right", &with(json!({})));
    comes_in(&world, "several audiences", &with(json!({"aud": ["x", "broadtape"]})));
    let soon = now() + 600;
    for (name, change) in [
        ("no iss", json!({"iss": null})),
        ("another iss", json!({"iss": "evil"})),
        ("iss is a list", json!({"iss": ["broadtape"]})),
        ("no aud", json!({"aud": null})),
        ("another aud", json!({"aud": "other"})),
        ("no aud of them", json!({"aud": ["a", "b"]})),
        ("aud is a number", json!({"aud": 1})),
        ("no sub", json!({"sub": null})),
        ("empty sub", json!({"sub": ""})),
        ("sub is a number", json!({"sub": 1})),
        ("long sub", json!({"sub": "s".repeat(129)})),
        ("no exp", json!({"exp": null})),
        ("exp is past", json!({"exp": now() - 60})),
        ("exp is a string", json!({"exp": soon.to_string()})),
        ("exp is a float", json!({"exp": soon as f64 + 0.5})),
        ("exp is a whole float", json!({"exp": soon as f64})),
        ("exp is negative", json!({"exp": -1})),
        ("exp is huge", json!({"exp": u64::MAX})),
        ("exp is too far", json!({"exp": 99_999_999_999_u64})),
        ("exp is a list", json!({"exp": [soon]})),
        ("nbf is a string", json!({"nbf": "0"})),
        ("nbf is a float", json!({"nbf": 1.5})),
        ("nbf is negative", json!({"nbf": -5})),
        ("nbf is huge", json!({"nbf": u64::MAX})),
        ("nbf is to come", json!({"nbf": now() + 600})),
        ("no rights", json!({"broadtape": null})),
        ("unknown right", json!({"broadtape": {"schemas": "*", "everything": true}})),
        ("unknown schema", json!({"broadtape": {"schemas": ["trade"]}})),
        ("rights are a list", json!({"broadtape": ["*"]})),
    ] {
        is_refused(&world, name, &with(change));
    }
    let good = with(json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let swap = if signature.starts_with('A') { 'B' } else { 'A' };
    for (name, token) in [
        ("no signature", format!("{head}.")),
        ("another signature", format!("{head}.{swap}{}", &signature[1..])),
        ("two parts", head.to_owned()),
        ("four parts", format!("{good}.x")),
        ("no token", "x".to_owned()),
        ("another kid", sign("nobody", Algorithm::HS256, &right)),
        ("another algorithm of the family", sign("hs", Algorithm::HS384, &right)),
        ("the secret under a public key's kid", sign("es", Algorithm::HS256, &right)),
        ("an API key that is none", "bt_0123456789abcdef_abcdefgh".to_owned()),
    ] {
        is_refused(&world, name, &token);
    }
}

/// Tokens made by PyJWT, which knows nothing of this code.
#[test]
fn tokens_of_an_independent_library_are_judged_alike() {
    let Some(mut python) = python() else { return };
    let mut world = World::without_server();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/auth/mint.py");
    let minted = succeed(python.arg(script).arg(world.folder.path()));
    let jwks = world.path("jwks.json");
    world.start(&["--jwks", jwks.to_str().unwrap()]);
    let cases: Vec<Value> =
        minted.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut right, mut wrong) = (0, 0);
    for case in &cases {
        let (name, token) = (case["name"].as_str().unwrap(), case["token"].as_str().unwrap());
        match case["right"].as_bool().unwrap() {
            true => {
                comes_in(&world, name, token);
                right += 1;
            }
            false => {
                is_refused(&world, name, token);
                wrong += 1;
            }
        }
    }
    assert!(right >= 10 && wrong >= 25, "{right} right, {wrong} wrong");
}

#[test]
fn an_api_key_comes_in_and_its_file_does_not_hold_it() {
    let world = World::new(&[]);
    let api = world.path("api.toml");
    let rights = ["--schemas", "trades", "--symbols", "*", "--admin"];
    let key = succeed(
        broadtape().args(["token", "api-key"]).arg(&api).args(["--subject", "bob"]).args(rights),
    );
    let key = key.trim();
    let text = fs::read_to_string(&api).unwrap();
    assert!(key.starts_with("bt_") && !text.contains(key.rsplit('_').next().unwrap()));
    let begun = std::time::Instant::now();
    while page(world.server(), "/v1/sessions", Some(key)).0 != 200 {
        assert!(begun.elapsed() < crate::client::PATIENCE, "the new key is not read");
    }
    let mut client = Client::connect(world.server(), Some(key));
    client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    let sessions = page(world.server(), "/v1/sessions", Some(key)).1;
    assert!(sessions.contains("\"user\":\"bob\""), "{sessions}");
    is_refused(&world, "another secret", &format!("{}x", &key[..key.len() - 1]));
    is_refused(&world, "the hash", &format!("bt_{}", text.split('"').nth(3).unwrap()));
    // A key that is taken out of the file is nobody's, and who came in with it goes.
    world.write("api.toml", "");
    assert_eq!(client.closed(), (4500, "auth_revoked".to_owned()));
    is_refused(&world, "a key that is gone", key);
}

#[test]
fn keys_rotate_and_a_broken_file_keeps_the_old() {
    let world = World::new(&[]);
    let (old, keys) = (world.token("alice", all()), fs::read_to_string(world.path("keys.toml")));
    let keys = keys.unwrap();
    let mut client = Client::connect(world.server(), Some(&old));
    world.write("keys.toml", "[[key]]\nkid = \"hs\"\n");
    // Nothing tells that it was looked at: what was good stays good, however often it is tried.
    for _ in 0..20 {
        comes_in(&world, "while the file is broken", &old);
        client.granted("ping", json!({}));
    }
    // The same secret under another id: tokens of the old one are nobody's.
    world.write("keys.toml", &keys.replace("\"hs\"", "\"hs2\""));
    assert_eq!(client.closed(), (4500, "auth_revoked".to_owned()));
    is_refused(&world, "a key that was rotated out", &old);
    let new = sign("hs2", Algorithm::HS256, &claims("alice", all(), now() + 600));
    comes_in(&world, "the new key", &new);
}

/// A key of `broadtape token key` as a JSON Web Key: its point is the end of its DER.
fn jwk_of(world: &World, kid: &str) -> Value {
    let toml = fs::read_to_string(world.path(&format!("{kid}.toml"))).unwrap();
    let pem: String = toml.split("-----").nth(2).unwrap().split_whitespace().collect();
    let der = STANDARD.decode(pem).unwrap();
    let (x, y) = der[der.len() - 64..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
           "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
}

/// Makes the key pair `kid`, in the place of one before; what it signs for alice.
fn pair_of(world: &World, kid: &str) -> String {
    for ending in ["key", "toml"] {
        let _ = fs::remove_file(world.path(&format!("{kid}.{ending}")));
    }
    succeed(broadtape().args(["token", "key"]).arg(world.path(kid)));
    let rights = ["--subject", "alice", "--schemas", "*", "--symbols", "*", "--expires", "1h"];
    let key = world.path(&format!("{kid}.key"));
    succeed(broadtape().args(["token", "mint"]).arg(key).args(rights)).trim().to_owned()
}

fn api_key_of(world: &World, id: &str) -> (String, String) {
    let file = world.path(&format!("{id}.toml"));
    let mut made = broadtape();
    made.args(["token", "api-key"]).arg(&file).args(["--subject", "bob", "--schemas", "trades"]);
    let key = succeed(made.args(["--symbols", "*"])).trim().to_owned();
    (key, fs::read_to_string(file).unwrap())
}

#[test]
fn a_key_that_is_replaced_under_its_id_ends_what_the_old_one_let_in() {
    let mut world = World::without_server();
    let public = |world: &World| fs::read_to_string(world.path("es.toml")).unwrap();
    let jwks = |world: &World| json!({"keys": [jwk_of(world, "set")]}).to_string();
    let (pem, set) = (pair_of(&world, "es"), pair_of(&world, "set"));
    let (api, entry) = api_key_of(&world, "one");
    world.write("keys.toml", &format!("{}\n{}", World::hs_entry(), public(&world)));
    world.write("set.jwks", &jwks(&world));
    world.write("api.toml", &entry);
    world.start(&["--jwks", world.path("set.jwks").to_str().unwrap()]);
    let secret = world.token("alice", all());
    let [mut by_secret, mut by_pem, mut by_set, mut by_api] =
        [&secret, &pem, &set, &api].map(|token| Client::connect(world.server(), Some(token)));
    let revoked = (4500, "auth_revoked".to_owned());

    // A key of a file: those of the others go on, whatever else is written anew around them.
    let new = pair_of(&world, "es");
    world.write("keys.toml", &format!("# anew\n{}\n{}", public(&world), World::hs_entry()));
    assert_eq!(by_pem.closed(), revoked);
    is_refused(&world, "signed by the old key", &pem);
    comes_in(&world, "signed by the new key", &new);
    for others in [&mut by_secret, &mut by_set, &mut by_api] {
        others.granted("ping", json!({}));
    }

    // A key of a set.
    let new = pair_of(&world, "set");
    world.write("set.jwks", &jwks(&world));
    assert_eq!(by_set.closed(), revoked);
    is_refused(&world, "signed by the old key of the set", &set);
    comes_in(&world, "signed by the new key of the set", &new);

    // A secret.
    world.write("keys.toml", &World::hs_entry().replace("\"c2Vj", "\"AAAA"));
    assert_eq!(by_secret.closed(), revoked);
    is_refused(&world, "signed by the old secret", &secret);

    // An API key, whose entry is as before but for its hash.
    by_api.granted("ping", json!({}));
    let (new, other) = api_key_of(&world, "two");
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    world.write("api.toml", &other.replace(&id(&new), &id(&api)));
    assert_eq!(by_api.closed(), revoked);
    is_refused(&world, "the old API key", &api);
}
