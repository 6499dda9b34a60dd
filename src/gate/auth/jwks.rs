//! JSON Web Key Sets (RFC 7517): the public keys in them that signatures are verified with.

use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, RSAKeyParameters, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::keys::{Key, algorithm, check_name, long_enough, parses, seal};

/// Bytes of the exponent of an RSA key: with a longer one nothing is verified.
const EXPONENT_BYTES: usize = 4;

/// A set before its keys are taken for what they say they are.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Why a key is left out.
enum LeftOut {
    /// It says that it is for something else than signatures.
    Other,
    /// Its `kty`, `crv` or `alg` is none of ours (RFC 7517, section 5, has such keys ignored).
    Unknown,
}

/// The keys of a set, with their ids. Those for something else than signatures, and those of kinds
/// that are not known, are left out, counted.
///
/// # Errors
/// The first key that is wrong, and what is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<(String, Key)>, String> {
    let place = |error: serde_json::Error| {
        format!("no key set: line {}, column {}", error.line(), error.column())
    };
    let set: Set = serde_json::from_str(text).map_err(place)?;
    // What only who signs has, in a key of any kind.
    let is_private = |key: &Value| key.get("d").is_some_and(|part| !part.is_null());
    if let Some(n) = set.keys.iter().position(is_private) {
        return Err(format!("keys[{n}] is a private key: only its public part belongs here"));
    }
    let (mut keys, mut other, mut unknown) = (Vec::new(), 0, 0);
    for (n, key) in set.keys.into_iter().enumerate() {
        match left_out(&key) {
            Some(LeftOut::Other) => other += 1,
            Some(LeftOut::Unknown) => unknown += 1,
            None => keys.push(named(key).map_err(|reason| format!("keys[{n}]{reason}"))?),
        }
    }
    if other > 0 {
        tracing::info!(left_out = other, "keys of the set that are not for verifying signatures");
    }
    if unknown > 0 {
        tracing::warn!(
            left_out = unknown,
            "keys of the set whose kty, crv or alg is not known: no token of theirs is taken"
        );
    }
    Ok(keys)
}

/// Is it none to verify signatures with, by what it says of itself?
fn left_out(key: &Value) -> Option<LeftOut> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let operations = key.get("key_ops").and_then(Value::as_array);
    if text("use").is_some_and(|said| said != "sig")
        || operations.is_some_and(|all| all.iter().all(|one| one != "verify"))
    {
        return Some(LeftOut::Other);
    }
    let is_known = match text("kty") {
        Some("EC") => text("crv").is_none_or(|curve| ["P-256", "P-384"].contains(&curve)),
        Some("OKP") => text("crv").is_none_or(|curve| curve == "Ed25519"),
        kind => kind.is_none_or(|kind| ["RSA", "oct"].contains(&kind)),
    };
    let has_known_algorithm = text("alg").is_none_or(|name| algorithm(name).is_ok());
    (!is_known || !has_known_algorithm).then_some(LeftOut::Unknown)
}

/// A key with its id.
fn named(key: Value) -> Result<(String, Key), String> {
    // What serde says may repeat the key. Where a member is missing it makes an `Other` of the key.
    let jwk: Option<Jwk> = serde_json::from_value(key).ok();
    let jwk = jwk
        .filter(|jwk| !matches!(jwk.algorithm, AlgorithmParameters::Other(_)))
        .ok_or(": a member that its kty needs is missing, or one is of another type")?;
    let kid = jwk.common.key_id.clone().ok_or(" has no kid")?;
    check_name(&kid).map_err(|reason| format!(": {reason}"))?;
    let key = of_jwk(&jwk).map_err(|reason| format!(", {kid:?}: {reason}"))?;
    Ok((kid, key))
}

fn of_jwk(jwk: &Jwk) -> Result<Key, String> {
    let algorithm = algorithm_of(jwk)?;
    let decoding = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    if decoding.family() != algorithm.family() {
        return Err("its alg is not of its kty".to_owned());
    }
    match (algorithm.family(), decoding.try_get_as_bytes(), &jwk.algorithm) {
        (AlgorithmFamily::Hmac, Ok(secret), _) => long_enough(algorithm, secret.len())?,
        (AlgorithmFamily::Ec | AlgorithmFamily::Ed, Ok(key), _) => parses(algorithm, key)?,
        (AlgorithmFamily::Rsa, _, AlgorithmParameters::RSA(rsa)) => is_sound(rsa)?,
        _ => return Err("its kty is not known".to_owned()),
    }
    let print = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| error.to_string())?;
    Ok(Key { algorithm, decoding, seal: seal(algorithm, print.as_bytes()) })
}

/// The one that it states, or that its curve implies.
fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, String> {
    let stated = jwk.common.key_algorithm.map(|name| algorithm(&name.to_string())).transpose()?;
    let implied = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => return Err("its curve is not that of its kty".to_owned()),
        },
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        _ => None,
    };
    match (stated, implied) {
        (Some(stated), Some(implied)) if stated != implied => {
            Err("its alg is not that of its curve".to_owned())
        }
        (Some(algorithm), _) | (None, Some(algorithm)) => Ok(algorithm),
        (None, None) => Err("its alg is missing, and each key has one".to_owned()),
    }
}

/// Is it an RSA key that anything can be verified with? One that is none would be found out by its
/// tokens alone, each of which is refused.
fn is_sound(key: &RSAKeyParameters) -> Result<(), String> {
    let part = |name: &str, text: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its {name} is no number"))?;
        let is_odd = bytes.last().is_some_and(|last| last % 2 == 1);
        // The exponent 1 would leave a signature as it is.
        match is_odd && bytes != [1] {
            true => Ok(bytes),
            false => Err(format!("its {name} is not odd and greater than 1")),
        }
    };
    let (n, e) = (part("n", &key.n)?, part("e", &key.e)?);
    if e.len() > EXPONENT_BYTES {
        return Err(format!("its e is longer than {EXPONENT_BYTES} bytes"));
    }
    let built: Result<PublicEncryptingKey, _> = PublicKeyComponents { n, e }.try_into();
    let wrong = "it is no RSA key of 2048 to 8192 bits, written without leading zeros";
    built.map(drop).map_err(|_| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A key with what `change` says; null takes a member out.
    fn with(mut key: Value, change: Value) -> Value {
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key
    }

    fn encoded(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A number of so many bytes, odd, as the modulus of a key may be.
    fn modulus(bytes: usize) -> String {
        encoded(&(0..bytes).map(|at| (at * 7 + 129) as u8 | 1).collect::<Vec<_>>())
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "kid": "x", "alg": "RS256", "n": modulus(256), "e": "AQAB"})
    }

    /// The one of RFC 8037, A.2.
    fn ed() -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": x})
    }

    fn read_one(key: &Value) -> Result<usize, String> {
        read(&json!({ "keys": [key] }).to_string()).map(|keys| keys.len())
    }

    #[test]
    fn keys_that_nothing_can_be_verified_with_are_refused() {
        assert_eq!(read_one(&rsa()), Ok(1));
        let size = "of 2048 to 8192 bits";
        for (change, says) in [
            (json!({"n": modulus(128)}), size),
            (json!({"n": modulus(255)}), size),
            (json!({"n": modulus(1025)}), size),
            (json!({"n": modulus(1_000_000)}), size),
            (json!({"n": encoded(&[&[0], &[129; 256][..]].concat())}), size),
            (json!({"n": ""}), "its n is not odd"),
            (json!({"n": encoded(&[0; 256])}), "its n is not odd"),
            (json!({"n": "!"}), "Invalid symbol"),
            (json!({"e": "AQ"}), "its e is not odd and greater than 1"),
            (json!({"e": "Ag"}), "its e is not odd"),
            (json!({"e": ""}), "its e is not odd"),
            (json!({"e": modulus(5)}), "its e is longer than 4 bytes"),
            (json!({"alg": null}), "its alg is missing"),
            (json!({"alg": "HS256"}), "its alg is not of its kty"),
            (json!({"n": null}), "a member that its kty needs is missing"),
            (json!({"kty": null}), "a member that its kty needs is missing"),
            (json!({"use": 5}), "or one is of another type"),
        ] {
            let said = read_one(&with(rsa(), change.clone())).unwrap_err();
            assert!(said.contains(says) && said.len() < 200, "{change}: {said}");
        }
    }

    #[test]
    fn private_keys_are_refused_and_not_repeated() {
        for key in [rsa(), ed()] {
            let said = read_one(&with(key, json!({"d": "c2VjcmV0"}))).unwrap_err();
            assert!(said.contains("keys[0] is a private key") && !said.contains("c2V"), "{said}");
        }
    }

    #[test]
    fn keys_for_something_else_are_left_out() {
        for (change, count) in [
            (json!({"use": "sig"}), 1),
            (json!({"use": "enc"}), 0),
            (json!({"use": "else", "kid": null}), 0),
            (json!({"key_ops": ["verify"]}), 1),
            (json!({"key_ops": ["encrypt", "wrapKey"], "n": modulus(64)}), 0),
            (json!({"key_ops": []}), 0),
        ] {
            assert_eq!(read_one(&with(rsa(), change.clone())), Ok(count), "{change}");
        }
    }

    #[test]
    fn keys_of_kinds_that_are_not_known_are_left_out() {
        let ec = |curve: &str| json!({"kty": "EC", "crv": curve, "kid": "y", "x": "AA", "y": "AA"});
        for key in [
            ec("P-521"),
            ec("secp256k1"),
            with(ed(), json!({"crv": "X25519"})),
            with(ed(), json!({"crv": "Ed448"})),
            json!({"kty": "AKP", "kid": "y", "alg": "ML-DSA-44", "pub": "AA"}),
            with(rsa(), json!({"alg": "ES521"})),
            with(rsa(), json!({"alg": "RSA-OAEP-256"})),
        ] {
            let beside = read(&json!({ "keys": [key, ed()] }).to_string());
            assert_eq!(beside.map(|keys| keys.len()), Ok(1), "{key}");
        }
        let said = read_one(&ec("P-256")).unwrap_err();
        assert!(said.starts_with("keys[0], \"y\": "), "{said}");
    }

    #[test]
    fn names_are_bounded_and_quoted_only_where_they_are() {
        for kid in [json!(""), json!("k".repeat(129)), json!("k".repeat(1_000_000)), json!("a\nb")]
        {
            let said = read_one(&with(ed(), json!({ "kid": kid }))).unwrap_err();
            assert!(said.contains("its kid is not 1 to 128 bytes") && said.len() < 200, "{said}");
        }
        assert!(read_one(&with(ed(), json!({"kid": null}))).unwrap_err().contains("has no kid"));
        let deep = format!("{{\"keys\":[{{\"kty\":{}", "[".repeat(100_000));
        assert!(read(&deep).is_err());
    }
}
