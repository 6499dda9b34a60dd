//! JSON Web Tokens, read as RFC 8725 asks: each key has one algorithm, and nothing is optional that
//! says for whom a token is, from whom, about whom and until when.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer, Serialize};

use super::files::is_name;
use super::keys::Keys;
use crate::clock::{SECOND, UnixNanos};
use crate::limits::{TOKEN_BYTES, TOKEN_LEEWAY, TOKEN_LIFE_MAX};
use crate::wire::grant::{Claims, Grant, RightsError, object};

/// What a token has to say of itself.
#[derive(Clone, Debug)]
pub struct Expected {
    /// What `aud` is, or holds.
    pub audience: String,
    /// What `iss` is.
    pub issuer: String,
}

/// Why a token is not accepted. It is never quoted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not the form of a token, or claims that are missing, of the wrong type or twice there.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It asks for what is not known to be harmless.
    #[error("its header asks for {0}")]
    Header(&'static str),
    /// No such key.
    #[error("its kid names no key")]
    Key,
    /// Another algorithm than that of its key.
    #[error("its alg is not that of its key")]
    Algorithm,
    /// It is not what its key has signed.
    #[error("its signature is wrong")]
    Signature,
    /// For somebody else.
    #[error("its aud is another")]
    Audience,
    /// From somebody else.
    #[error("its iss is another")]
    Issuer,
    /// About nobody.
    #[error("its {0} is empty, too long, or has control characters")]
    Name(&'static str),
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    Early,
    /// A time that is none.
    #[error("its exp is too far away")]
    Forever,
    /// What it gives is not written as it should be.
    #[error("its claim broadtape: {0}")]
    Rights(#[from] RightsError),
}

/// The claims of a token; others than these are for others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenClaims {
    /// From whom.
    pub iss: String,
    /// About whom.
    pub sub: String,
    /// For whom.
    pub aud: Audience,
    /// Until when: seconds, whole.
    pub exp: u64,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// Its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What it gives.
    #[serde(deserialize_with = "object")]
    pub broadtape: Claims,
}

/// All of them, as an object.
struct Whole(TokenClaims);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        object(reader).map(Self)
    }
}

/// One name, or several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Several(several) => several.iter().any(|one| one == name),
        }
    }
}

/// What a token gives at `now`.
///
/// # Errors
/// [`TokenError`]: the first thing that is wrong.
pub fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected,
    now: UnixNanos,
) -> Result<Grant, TokenError> {
    if token.len() > TOKEN_BYTES {
        return Err(TokenError::Malformed(format!("longer than {TOKEN_BYTES} bytes")));
    }
    let (kid, algorithm) = header(token)?;
    let key = keys.find(&kid).ok_or(TokenError::Key)?;
    if key.algorithm != algorithm {
        return Err(TokenError::Algorithm);
    }
    let Whole(claims) =
        decode(token, &key.decoding, &signature_only(algorithm)).map_err(reason)?.claims;
    check(&claims, expected, now)?;
    let expires = Some((claims.exp + TOKEN_LEEWAY.as_secs()).saturating_mul(SECOND));
    let (subject, token, rights) = (claims.sub, claims.jti, claims.broadtape.rights()?);
    Ok(Grant { subject, key: kid, seal: key.seal, token, expires, rights })
}

/// The key that a token names, and the algorithm.
fn header(token: &str) -> Result<(String, Algorithm), TokenError> {
    let header = decode_header(token).map_err(reason)?;
    let known = |typ: &String| ["JWT", "at+jwt"].iter().any(|t| typ.eq_ignore_ascii_case(t));
    match () {
        () if header.crit.is_some() => Err(TokenError::Header("crit")),
        () if header.typ.is_some_and(|typ| !known(&typ)) => Err(TokenError::Header("another typ")),
        () => Ok((header.kid.ok_or(TokenError::Key)?, header.alg)),
    }
}

/// The claims are checked here: this crate takes fractions, and what is missing, for good.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation
}

fn check(claims: &TokenClaims, expected: &Expected, now: UnixNanos) -> Result<(), TokenError> {
    let (now, leeway) = (now / SECOND, TOKEN_LEEWAY.as_secs());
    let last = now + TOKEN_LIFE_MAX.as_secs();
    match () {
        () if !claims.aud.holds(&expected.audience) => Err(TokenError::Audience),
        () if claims.iss != expected.issuer => Err(TokenError::Issuer),
        () if !is_name(&claims.sub) => Err(TokenError::Name("sub")),
        () if claims.jti.as_ref().is_some_and(|jti| !is_name(jti)) => Err(TokenError::Name("jti")),
        () if claims.exp > last => Err(TokenError::Forever),
        () if claims.exp + leeway <= now => Err(TokenError::Expired),
        () if claims.nbf.is_some_and(|nbf| nbf > now + leeway) => Err(TokenError::Early),
        () => Ok(()),
    }
}

fn reason(error: jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        // These name positions and fields, and what they expect; values are left out.
        ErrorKind::Json(error) => {
            TokenError::Malformed(format!("claims or header, column {}", error.column()))
        }
        _ => TokenError::Malformed("its form".to_owned()),
    }
}
