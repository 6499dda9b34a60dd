//! The keys that tokens are signed with: each with an id and one algorithm.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::files::{self, KeysError};
use super::{jwks, pem};
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
            check_name(&kid).map_err(wrong)?;
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
        for (kid, key) in jwks::read(&text).map_err(wrong)? {
            self.add(kid, key).map_err(wrong)?;
        }
        Ok(())
    }

    fn add(&mut self, kid: String, key: Key) -> Result<(), String> {
        match () {
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

/// Is it an id that a key may have? It is quoted elsewhere.
pub(super) fn check_name(kid: &str) -> Result<(), String> {
    match files::is_name(kid) {
        true => Ok(()),
        false => {
            Err(format!("its kid is not 1 to {SUBJECT_BYTES} bytes without control characters"))
        }
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

/// What tells a key from another of the same id.
pub(super) fn seal(algorithm: Algorithm, material: &[u8]) -> Seal {
    let mut context = Context::new(&SHA256);
    context.update(format!("{algorithm:?} ").as_bytes());
    context.update(material);
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(context.finish().as_ref());
    Seal(seal)
}

pub(super) fn long_enough(algorithm: Algorithm, bytes: usize) -> Result<(), String> {
    let least = SECRET_BYTES.iter().find(|(of, _)| *of == algorithm).map_or(0, |(_, least)| *least);
    match bytes >= least {
        true => Ok(()),
        false => Err(format!("its secret has {bytes} bytes: {algorithm:?} takes {least} or more")),
    }
}

/// Is this a key of its algorithm?
pub(super) fn parses(algorithm: Algorithm, der: &[u8]) -> Result<(), String> {
    let wrong = |error: &dyn fmt::Display| format!("it is no key for {algorithm:?}: {error}");
    if algorithm.family() == AlgorithmFamily::Rsa {
        // Its size is looked at here alone.
        PublicEncryptingKey::from_der(der).map_err(|error| wrong(&error))?;
    }
    let of: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        _ => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    let parsed = ParsedPublicKey::new(of, der);
    parsed.map(drop).map_err(|error| wrong(&error))
}

/// Their names.
const ALGORITHMS: &str = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, \
    PS512, ES256, ES384, EdDSA";

/// The algorithm of this name.
pub(super) fn algorithm(name: &str) -> Result<Algorithm, String> {
    name.parse().map_err(|_| format!("alg {name:?} is not known: there are {ALGORITHMS}"))
}
