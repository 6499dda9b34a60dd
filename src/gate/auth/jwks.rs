//! JSON Web Key Sets (RFC 7517): the public keys in them that signatures are verified with.

use aws_lc_rs::rsa::{PublicEncryptingKey, PublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
    RSAKeyParameters, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::keys::{ALGORITHMS, Key, algorithm, check_name, long_enough, parses, seal};

/// Bytes of the exponent of an RSA key: with a longer one nothing is verified.
const EXPONENT_BYTES: usize = 4;

/// What a key set must not hold: what only who signs has.
#[derive(Deserialize)]
struct Exposed {
    keys: Vec<Private>,
}

#[derive(Deserialize)]
struct Private {
    /// The private part of a key of any kind.
    d: Option<IgnoredAny>,
}

/// The keys of a set, with their ids; those for something else than signatures are left out.
///
/// # Errors
/// The first key that is wrong, and what is wrong with it.
pub(super) fn read(text: &str) -> Result<Vec<(String, Key)>, String> {
    let place = |error: serde_json::Error| {
        format!("no key set: line {}, column {}", error.line(), error.column())
    };
    let set: JwkSet = serde_json::from_str(text).map_err(place)?;
    let exposed: Exposed = serde_json::from_str(text).map_err(place)?;
    if let Some(n) = exposed.keys.iter().position(|key| key.d.is_some()) {
        return Err(format!("keys[{n}] is a private key: only its public part belongs here"));
    }
    let mut keys = Vec::new();
    for (n, jwk) in set.keys.iter().enumerate().filter(|(_, jwk)| is_for_signatures(jwk)) {
        let kid = jwk.common.key_id.clone().ok_or_else(|| format!("keys[{n}] has no kid"))?;
        check_name(&kid).map_err(|reason| format!("keys[{n}]: {reason}"))?;
        let key = of_jwk(jwk).map_err(|reason| format!("key {kid:?}: {reason}"))?;
        keys.push((kid, key));
    }
    let left_out = set.keys.len() - keys.len();
    if left_out > 0 {
        tracing::info!(left_out, "keys of the set that are not for verifying signatures");
    }
    Ok(keys)
}

/// May signatures be verified with it, by what it says of itself?
fn is_for_signatures(jwk: &Jwk) -> bool {
    let (said, operations) = (&jwk.common.public_key_use, &jwk.common.key_operations);
    said.as_ref().is_none_or(|said| *said == PublicKeyUse::Signature)
        && operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify))
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
    let stated = match jwk.common.key_algorithm {
        Some(KeyAlgorithm::UNKNOWN_ALGORITHM) => {
            return Err(format!("its alg is not known: there are {ALGORITHMS}"));
        }
        stated => stated.map(|name| algorithm(&name.to_string())).transpose()?,
    };
    let implied = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => return Err("its curve is not known: there are P-256 and P-384".to_owned()),
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
    use serde_json::{Value, json};

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
            (json!({"alg": "ES521"}), "its alg is not known: there are HS256"),
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
