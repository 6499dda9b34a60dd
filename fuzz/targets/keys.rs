//! Files of keys that tokens are verified with: JSON Web Key Sets, and our own form. What is taken
//! of a set is there to another reader too, public, and meant for signatures; no secret is quoted.
#![no_main]

use broadtape::gate::auth::keys::Keys;
use broadtape::limits::KEYS_MAX;
use broadtape_fuzz::file;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 2 {
        0 => set(data),
        _ => ours(data),
    }
});

/// A key set.
fn set(data: &[u8]) {
    let mut keys = Keys::default();
    let read = keys.add_jwks(&file("jwks.json", data));
    let known: Option<Value> = serde_json::from_slice(data).ok();
    let entries = known.as_ref().and_then(|set| set["keys"].as_array()).cloned();
    let entries = entries.unwrap_or_default();
    if let Err(error) = read {
        let secrets = entries.iter().flat_map(|key| [key["k"].as_str(), key["d"].as_str()]);
        return check_words(&error.to_string(), data, secrets.flatten());
    }
    let taken: Vec<&str> = keys.seals().map(|(kid, _)| kid).collect();
    assert!(taken.len() <= entries.len().min(KEYS_MAX));
    for kid in taken {
        let is_it = |key: &Value| {
            key["kid"] == kid
                && ["RSA", "EC", "OKP", "oct"].iter().any(|kty| key["kty"] == *kty)
                && (key["use"].is_null() || key["use"] == "sig")
        };
        assert!(entries.iter().any(is_it), "{kid} is none of the set");
    }
    assert!(entries.iter().all(|key| key["d"].is_null()), "a private key is taken for a public");
}

/// A file of ours.
fn ours(data: &[u8]) {
    let mut keys = Keys::default();
    match keys.add_toml(&file("keys.toml", data)) {
        Ok(()) => assert!(keys.seals().count() <= KEYS_MAX),
        Err(error) => {
            let text = String::from_utf8_lossy(data);
            let secrets =
                text.split("secret = \"").skip(1).filter_map(|rest| rest.split('"').next());
            check_words(&error.to_string(), data, secrets);
        }
    }
}

/// Words for people, which hold no secret, unless the file has it elsewhere too.
fn check_words<'a>(said: &str, data: &[u8], secrets: impl Iterator<Item = &'a str>) {
    assert!(!said.is_empty());
    let text = String::from_utf8_lossy(data);
    for secret in secrets.filter(|secret| secret.len() >= 16) {
        let is_once = text.matches(secret).count() == 1;
        assert!(!is_once || !said.contains(secret), "quoted");
    }
}
