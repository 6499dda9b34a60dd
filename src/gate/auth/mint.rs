//! Making keys, tokens and API keys, and saying what is in a token.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::{SystemRandom, fill};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Deserialize;
use std::path::Path;
use zeroize::Zeroizing;

use super::apikey::{self, PREFIX};
use super::files::{self, KeysError};
use super::keys::algorithm;
use super::pem;
use super::token::TokenClaims;
use crate::limits::SUBJECT_BYTES;
use crate::wire::grant::{Claims, Secret};

/// A key pair: what signs, and what verifies.
pub struct Pair {
    /// The file of who signs.
    pub signing: Zeroizing<String>,
    /// The file of who verifies.
    pub verifying: Zeroizing<String>,
    /// May everybody see the second?
    pub public: bool,
}

/// What can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The file of a key.
    #[error(transparent)]
    File(#[from] KeysError),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

fn other(what: impl ToString) -> MintError {
    MintError::Other(what.to_string())
}

/// A new pair for an algorithm.
///
/// # Errors
/// An algorithm that keys are not made for here.
pub fn pair(kid: &str, name: &str) -> Result<Pair, MintError> {
    let failed = |_| other("the system has no randomness to give");
    let random = SystemRandom::new();
    let (private, public) = match algorithm(name).map_err(other)? {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return secret_pair(kid, name),
        Algorithm::ES256 | Algorithm::ES384 => {
            let of = match name {
                "ES256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
                _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
            };
            let private = EcdsaKeyPair::generate_pkcs8(of, &random).map_err(failed)?;
            let pair = EcdsaKeyPair::from_pkcs8(of, private.as_ref()).map_err(other)?;
            let public =
                AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(failed)?;
            (Zeroizing::new(private.as_ref().to_vec()), public.as_ref().to_vec())
        }
        Algorithm::EdDSA => {
            // The first version of PKCS #8: the second, which holds the public key as well, is
            // unknown to many.
            let private = Ed25519KeyPair::generate_pkcs8v1(&random).map_err(failed)?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref());
            let pair = pair.map_err(other)?;
            let public =
                AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(failed)?;
            (Zeroizing::new(private.as_ref().to_vec()), public.as_ref().to_vec())
        }
        _ => return Err(other(format!("no {name} keys are made here: use openssl, or ES256"))),
    };
    let private = pem::encoded("PRIVATE KEY", &private);
    let public = pem::encoded("PUBLIC KEY", &public);
    let head = format!("kid = {}\nalg = {name:?}\n", quoted(kid));
    Ok(Pair {
        signing: Zeroizing::new(format!("{head}private = \"\"\"\n{}\"\"\"\n", *private)),
        verifying: Zeroizing::new(format!("[[key]]\n{head}public = \"\"\"\n{}\"\"\"\n", *public)),
        public: true,
    })
}

fn secret_pair(kid: &str, name: &str) -> Result<Pair, MintError> {
    let mut secret = Zeroizing::new([0; 64]);
    fill(&mut *secret).map_err(|_| other("the system has no randomness to give"))?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(*secret));
    let body = format!("kid = {}\nalg = {name:?}\nsecret = {:?}\n", quoted(kid), *secret);
    let verifying = Zeroizing::new(format!("[[key]]\n{body}"));
    Ok(Pair { signing: Zeroizing::new(body), verifying, public: false })
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The file of who signs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signing {
    kid: String,
    alg: String,
    private: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
}

/// A name that servers take, of a subject or a token.
///
/// # Errors
/// What would be right.
pub fn name(text: &str) -> Result<String, String> {
    match files::is_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("it is 1 to {SUBJECT_BYTES} bytes without control characters")),
    }
}

/// A token with these claims, signed with the key of a file.
///
/// # Errors
/// [`MintError`].
pub fn token(path: &Path, claims: &TokenClaims) -> Result<Secret, MintError> {
    let wrong = |reason: String| KeysError::Wrong { path: path.to_owned(), reason };
    let text = files::read_once(path)?;
    let file: Signing = toml::from_str(&text).map_err(|e| wrong(files::place(&e, &text)))?;
    let algorithm = algorithm(&file.alg).map_err(wrong)?;
    let key = match (&file.private, &file.secret, algorithm) {
        (None, Some(secret), Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) => {
            let secret = URL_SAFE_NO_PAD.decode(secret.as_bytes()).map(Zeroizing::new);
            let secret = secret.map_err(|_| wrong("its secret is not base64url".to_owned()))?;
            EncodingKey::from_secret(&secret).map_err(other)?
        }
        (Some(private), None, Algorithm::ES256 | Algorithm::ES384) => {
            EncodingKey::from_ec_der(&pem::decoded(private, "PRIVATE KEY").map_err(wrong)?)
        }
        (Some(private), None, Algorithm::EdDSA) => {
            EncodingKey::from_ed_der(&pem::decoded(private, "PRIVATE KEY").map_err(wrong)?)
        }
        _ => {
            let says = "it is no key that signs: broadtape token key makes one, NAME.key";
            return Err(wrong(says.to_owned()).into());
        }
    };
    let header = Header { kid: Some(file.kid), ..Header::new(algorithm) };
    encode(&header, claims, &key).map(Secret::new).map_err(other)
}

/// The `alg`, the `kid` and the claims of a token, unverified.
///
/// # Errors
/// It is no token.
pub fn contents(token: &Secret) -> Result<(String, Option<String>, serde_json::Value), MintError> {
    let data = insecure_decode::<serde_json::Value>(token.expose())
        .map_err(|_| other("this is no JSON Web Token"))?;
    Ok((format!("{:?}", data.header.alg), data.header.kid, data.claims))
}

/// A new API key, and its entry for the file of the server.
///
/// # Errors
/// The system has no randomness.
pub fn api_key(
    subject: &str,
    expires: Option<u64>,
    claims: Claims,
) -> Result<(Secret, String), MintError> {
    let (id, mut bytes) = (id()?, Zeroizing::new([0; 32]));
    fill(&mut *bytes).map_err(|_| other("the system has no randomness to give"))?;
    let key = Secret::new(format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(*bytes)));
    let entry = apikey::entry(&id, &key, subject, expires, claims).map_err(other)?;
    Ok((key, entry))
}

/// A random id.
///
/// # Errors
/// The system has no randomness.
pub fn id() -> Result<String, MintError> {
    let mut bytes = [0; 8];
    fill(&mut bytes).map_err(|_| other("the system has no randomness to give"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
