//! Tokens, as they come and well signed around any claims, and files of API keys with a key. What
//! is taken is signed, for us, from our issuer, in its time, by the claims as another reader sees
//! them, and gives no more than they say; nothing is ever quoted.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broadtape::gate::auth::keys::Keys;
use broadtape::gate::auth::token::{Expected, verify};
use broadtape::gate::auth::{AuthOptions, Authority};
use broadtape::limits::{SUBJECT_BYTES, TOKEN_BYTES, TOKEN_LEEWAY, TOKEN_LIFE_MAX};
use broadtape::wire::grant::{Grant, Secret};
use broadtape::wire::record::schemas;
use broadtape_fuzz::{file, halves};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SECRET: [u8; 32] = [7; 32];
const NOW: u64 = 1_700_000_000;
const SECOND: u64 = 1_000_000_000;

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let text = format!("[[key]]\nkid = \"k\"\nalg = \"HS256\"\nsecret = \"{secret}\"\n");
    let mut keys = Keys::default();
    keys.add_toml(&file("keys.toml", text.as_bytes())).expect("a file of keys");
    keys
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 4 {
        0 => judge(&String::from_utf8_lossy(data), None),
        1 => judge(&signed(br#"{"alg":"HS256","kid":"k"}"#, data), Some(data)),
        2 => {
            let at = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
            let (header, claims) = data.split_at(at);
            judge(&signed(header, claims.get(1..).unwrap_or_default()), claims.get(1..));
        }
        _ => knock(data),
    }
});

/// A token with this header and these claims, whatever they are.
fn signed(header: &[u8], claims: &[u8]) -> String {
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let text = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), text.as_bytes());
    format!("{text}.{}", encode(tag.as_ref()))
}

fn judge(token: &str, claims: Option<&[u8]>) {
    let expected = Expected { audience: "broadtape".to_owned(), issuer: "us".to_owned() };
    match verify(token, &KEYS, &expected, NOW * SECOND) {
        Ok(grant) => {
            assert!(token.len() <= TOKEN_BYTES && grant.key == "k");
            let claims = claims.expect("nobody else has the key");
            check(&serde_json::from_slice(claims).expect("JSON to others too"), &grant);
        }
        Err(error) => check_words(&error.to_string(), token),
    }
}

/// Holds what is given against what its claims say to another reader.
fn check(claims: &Value, grant: &Grant) {
    assert_eq!(claims["iss"], "us");
    let audience = &claims["aud"];
    let holds = |list: &Vec<Value>| list.iter().any(|one| one == "broadtape");
    assert!(audience == "broadtape" || audience.as_array().is_some_and(holds));
    assert_eq!(claims["sub"], grant.subject.as_str());
    check_name(&grant.subject);
    assert_eq!(claims["jti"].as_str(), grant.token.as_deref());
    let (end, leeway) = (claims["exp"].as_u64().expect("an end"), TOKEN_LEEWAY.as_secs());
    assert!(end + leeway > NOW && end <= NOW + TOKEN_LIFE_MAX.as_secs());
    assert_eq!(grant.expires, Some((end + leeway) * SECOND));
    assert!(claims["nbf"].as_u64().is_none_or(|from| from <= NOW + leeway));
    let (said, rights) = (&claims["broadtape"], &grant.rights);
    for (name, given) in
        [("replay", rights.replay), ("publish", rights.publish), ("admin", rights.admin)]
    {
        assert_eq!(said[name].as_bool().unwrap_or(false), given, "{name}");
    }
    let named = |name: &str| {
        said["schemas"] == "*"
            || said["schemas"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
    };
    assert!(schemas().all(|schema| rights.has_schema(schema) == named(schema.as_str())));
    assert_eq!(rights.symbols.is_none(), said["symbols"] == "*");
    assert_eq!(rights.history == Duration::MAX, said["history"] == "all");
    assert_eq!(rights.delay.as_secs(), said["delay"].as_u64().unwrap_or(0));
    assert_eq!(rights.max_rate.map(u64::from), said["max_rate"].as_u64());
    assert!(rights.max_rate.is_none() || rights.delay.is_zero());
}

/// An API key knocks at a file of them, in which `@` stands for its hash.
fn knock(data: &[u8]) {
    let (key, text) = halves(data);
    let key = String::from_utf8_lossy(key).trim_end_matches('\n').to_owned();
    let hash = digest(&SHA256, key.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = String::from_utf8_lossy(text).replace('@', &hash);
    let api_keys = Some(file("api-keys.toml", text.as_bytes()));
    match Authority::new(AuthOptions { api_keys, ..AuthOptions::default() }) {
        Err(error) => check_words(&error.to_string(), &key),
        Ok(authority) => match authority.judge(&Secret::new(key.clone())) {
            Err(error) => check_words(&error.to_string(), &key),
            Ok(grant) => {
                assert!(text.to_lowercase().contains(&hash), "nobody has noted its hash");
                assert!(key.starts_with(&format!("bt_{}_", grant.key)) && grant.token.is_none());
                check_name(&grant.subject);
            }
        },
    }
}

fn check_name(name: &str) {
    assert!((1..=SUBJECT_BYTES).contains(&name.len()) && !name.contains(char::is_control));
}

/// Words for people, which hold nothing of what was sent.
fn check_words(said: &str, secret: &str) {
    assert!(!said.is_empty());
    assert!(secret.len() < 40 || !said.contains(secret), "quoted");
}
