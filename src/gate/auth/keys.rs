//! The keys that tokens are signed with: each with an id and one algorithm.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::files::{self, KeysError};
use super::pem;
use crate::limits::{KEYS_MAX, SUBJECT_BYTES};
use crate::wire::grant::{SEAL_BYTES, Seal};

/// Bytes of the secret of HS256, and of its greater siblings, at least (RFC 7518, 3.2).
const SECRET_BYTES: [(Algorithm, usize); 3] =
    [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)];

/// A key that verifies tokens.
pub struct Key {
    /// The one algorithm that it is for.
    pub algorithm: Algorithm,
    /// The key itself.
    pub decoding: DecodingKey,
    /// Which key it is.
    pub seal: Seal,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Keys by their ids.
#[derive(Debug, Default)]
pub struct Keys {
    all: HashMap<String, Key>,
}

/// A file of keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kid: String,
    alg: String,
    /// A public key, as PEM.
    public: Option<String>,
    /// The path of a file with one, from the folder of this one.
    file: Option<PathBuf>,
    /// The secret of an HS key, base64url.
    secret: Option<Zeroizing<String>>,
}

impl Keys {
    /// Adds those of a TOML file.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn add_toml(&mut self, path: &Path) -> Result<(), KeysError> {
        let wrong = |reason: String| KeysError::Wrong { path: path.to_owned(), reason };
        let text = files::read(path)?;
        let file: File = toml::from_str(&text).map_err(|e| wrong(files::place(&e, &text)))?;
        for entry in file.key {
            let kid = entry.kid.clone();
            let key = of_entry(entry, path).map_err(|r| wrong(format!("key {kid:?}: {r}")))?;
            self.add(kid, key).map_err(wrong)?;
        }
        Ok(())
    }

    /// Adds those of a JSON Web Key Set: signing keys with a `kid`.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn add_jwks(&mut self, path: &Path) -> Result<(), KeysError> {
        let wrong = |reason: String| KeysError::Wrong { path: path.to_owned(), reason };
        let text = files::read(path)?;
        let set: JwkSet = serde_json::from_str(&text).map_err(|error| {
            wrong(format!("no key set: line {}, column {}", error.line(), error.column()))
        })?;
        for (n, jwk) in set.keys.iter().enumerate() {
            if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
                continue;
            }
            let kid = jwk.common.key_id.clone();
            let kid = kid.ok_or_else(|| wrong(format!("keys[{n}] has no kid")))?;
            let key = of_jwk(jwk).map_err(|r| wrong(format!("key {kid:?}: {r}")))?;
            self.add(kid, key).map_err(wrong)?;
        }
        Ok(())
    }

    fn add(&mut self, kid: String, key: Key) -> Result<(), String> {
        match () {
            () if kid.is_empty() || kid.len() > SUBJECT_BYTES => {
                Err(format!("kid {kid:?} is empty or longer than {SUBJECT_BYTES} bytes"))
            }
            () if self.all.len() == KEYS_MAX => Err(format!("more than {KEYS_MAX} keys")),
            () if self.all.contains_key(&kid) => Err(format!("kid {kid:?} is given twice")),
            () => {
                self.all.insert(kid, key);
                Ok(())
            }
        }
    }

    /// The key of an id.
    pub fn find(&self, kid: &str) -> Option<&Key> {
        self.all.get(kid)
    }

    /// Their ids, and which keys they are.
    pub fn seals(&self) -> impl Iterator<Item = (&str, Seal)> {
        self.all.iter().map(|(kid, key)| (kid.as_str(), key.seal))
    }
}

fn of_entry(entry: Entry, path: &Path) -> Result<Key, String> {
    let algorithm = algorithm(&entry.alg)?;
    let hmac = algorithm.family() == AlgorithmFamily::Hmac;
    let public = match (entry.public, entry.file, entry.secret) {
        (None, None, Some(secret)) if hmac => return of_secret(algorithm, &secret),
        (Some(public), None, None) if !hmac => public,
        (None, Some(file), None) if !hmac => {
            let file = path.parent().unwrap_or(Path::new("")).join(file);
            files::read(&file).map_err(|error| error.to_string())?.to_string()
        }
        _ if hmac => return Err(format!("{} takes a secret, and no other key", entry.alg)),
        _ => return Err(format!("{} takes one public key: public or file", entry.alg)),
    };
    let der = pem::decoded(&public, "PUBLIC KEY")?;
    let decoding = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_der(&der),
        AlgorithmFamily::Ec => DecodingKey::from_ec_der(&der),
        _ => DecodingKey::from_ed_der(&der),
    };
    parses(algorithm, &der)?;
    Ok(Key { algorithm, decoding, seal: seal(algorithm, &der) })
}

fn of_secret(algorithm: Algorithm, text: &str) -> Result<Key, String> {
    let secret = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let secret = Zeroizing::new(secret.map_err(|_| "its secret is not base64url".to_owned())?);
    long_enough(algorithm, secret.len())?;
    let decoding = DecodingKey::from_secret(&secret).map_err(|e| e.to_string())?;
    Ok(Key { algorithm, decoding, seal: seal(algorithm, &secret) })
}

fn of_jwk(jwk: &Jwk) -> Result<Key, String> {
    let stated = jwk.common.key_algorithm.map(|name| algorithm(&name.to_string())).transpose()?;
    let implied = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(Algorithm::ES256),
            EllipticCurve::P384 => Some(Algorithm::ES384),
            _ => return Err("its curve is not known: there are P-256 and P-384".to_owned()),
        },
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        _ => None,
    };
    let algorithm = match (stated, implied) {
        (Some(stated), Some(implied)) if stated != implied => {
            return Err("its alg is not that of its curve".to_owned());
        }
        (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
        (None, None) => return Err("its alg is missing, and each key has one".to_owned()),
    };
    let decoding = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    if decoding.family() != algorithm.family() {
        return Err("its alg is not of its kty".to_owned());
    }
    match (algorithm.family(), decoding.try_get_as_bytes()) {
        (AlgorithmFamily::Hmac, Ok(secret)) => long_enough(algorithm, secret.len())?,
        (AlgorithmFamily::Ec | AlgorithmFamily::Ed, Ok(key)) => parses(algorithm, key)?,
        _ => {}
    }
    let print = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| error.to_string())?;
    Ok(Key { algorithm, decoding, seal: seal(algorithm, print.as_bytes()) })
}

/// What tells a key from another of the same id.
fn seal(algorithm: Algorithm, material: &[u8]) -> Seal {
    let mut context = Context::new(&SHA256);
    context.update(format!("{algorithm:?} ").as_bytes());
    context.update(material);
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(context.finish().as_ref());
    Seal(seal)
}

fn long_enough(algorithm: Algorithm, bytes: usize) -> Result<(), String> {
    let least = SECRET_BYTES.iter().find(|(of, _)| *of == algorithm).map_or(0, |(_, least)| *least);
    match bytes >= least {
        true => Ok(()),
        false => Err(format!("its secret has {bytes} bytes: {algorithm:?} takes {least} or more")),
    }
}

/// Is this a key of its algorithm?
fn parses(algorithm: Algorithm, der: &[u8]) -> Result<(), String> {
    let of: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    let parsed = ParsedPublicKey::new(of, der);
    parsed.map(drop).map_err(|error| format!("it is no key for {algorithm:?}: {error}"))
}

/// The algorithm of this name.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|_| {
        format!(
            "alg {name:?} is not known: there are HS256, HS384, HS512, RS256, RS384, RS512, \
             PS256, PS384, PS512, ES256, ES384, EdDSA"
        )
    })
}
