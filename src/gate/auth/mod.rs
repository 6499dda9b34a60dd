//! Who somebody is, and what that gives: tokens and API keys, judged.
//!
//! Whoever fails is told one and the same, whatever was wrong; what it was stands in the log at
//! level debug, without the token. Keys and revocations are read anew while it runs; what can't be
//! read changes nothing.

pub mod apikey;
mod clerk;
pub mod credential;
pub mod files;
mod jwks;
pub mod keys;
pub mod mint;
mod pem;
pub mod seats;
pub mod token;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::{UnixNanos, unix_now};
use crate::shard::access::{Badge, Verdict};
use crate::wire::grant::{Grant, Secret, Standing};
use apikey::ApiKeys;
use files::KeysError;
use keys::Keys;
use seats::Seats;
use token::{Expected, TokenError};

/// Where keys are, and what a token has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthOptions {
    /// Must clients say who they are?
    pub required: bool,
    /// Keys of tokens, as TOML.
    pub keys: Option<PathBuf>,
    /// Keys of tokens, as a JSON Web Key Set.
    pub jwks: Option<PathBuf>,
    /// API keys.
    pub api_keys: Option<PathBuf>,
    /// What is revoked.
    pub revoked: Option<PathBuf>,
    /// What `aud` has to be, or hold.
    pub audience: String,
    /// What `iss` has to be.
    pub issuer: String,
    /// How long a client may take to say who it is.
    pub timeout: Duration,
}

impl AuthOptions {
    /// Is there a key to tell anybody by?
    pub fn has_keys(&self) -> bool {
        [&self.keys, &self.jwks, &self.api_keys].into_iter().any(Option::is_some)
    }
}

/// What is known of keys at one time.
#[derive(Debug, Default)]
struct Known {
    keys: Keys,
    api_keys: ApiKeys,
    standing: Arc<Standing>,
    /// What was in its place. It is kept until a shard that still has it has let go of it, so that
    /// none has to free what may be 100,000 names.
    _before: Arc<Standing>,
}

/// Judges who comes in.
pub struct Authority {
    options: AuthOptions,
    expected: Expected,
    known: RwLock<Arc<Known>>,
    seats: Seats,
}

/// Why somebody is not let in. What the client is told of it is one word.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// An API key that there is not, or not with this secret.
    #[error("no such API key")]
    ApiKey,
    /// An API key whose time is over.
    #[error("the API key {0} has expired")]
    Expired(String),
    /// It was good once.
    #[error("{0}")]
    Revoked(&'static str),
}

impl Authority {
    /// One that knows the keys of these files.
    ///
    /// # Errors
    /// [`KeysError`]: a file that can't be read, or is wrong.
    pub fn new(options: AuthOptions) -> Result<Arc<Self>, KeysError> {
        let known = read(&options, &Known::default())?;
        let expected =
            Expected { audience: options.audience.clone(), issuer: options.issuer.clone() };
        let (known, seats) = (RwLock::new(Arc::new(known)), Seats::default());
        Ok(Arc::new(Self { options, expected, known, seats }))
    }

    /// What a token or an API key gives.
    ///
    /// # Errors
    /// [`AuthError`], for the log.
    pub fn judge(&self, secret: &Secret) -> Result<Grant, AuthError> {
        self.judge_at(secret, unix_now())
    }

    fn judge_at(&self, secret: &Secret, now: UnixNanos) -> Result<Grant, AuthError> {
        let known = self.known();
        let grant = match secret.expose().starts_with(apikey::PREFIX) {
            true => known.api_keys.grant(secret, now)?,
            false => token::verify(secret.expose(), &known.keys, &self.expected, now)?,
        };
        known.standing.judge(&grant).map_err(AuthError::Revoked)?;
        Ok(grant)
    }

    /// Lets somebody in, where its subject has a seat left.
    pub fn admit(&self, grant: Grant) -> Verdict {
        let most = grant.rights.connections;
        match self.seats.take(&grant.subject, most) {
            Some(seat) => {
                Verdict::Granted(Badge { grant: Arc::new(grant), seat: Some(Box::new(seat)) })
            }
            None => Verdict::Full(most.unwrap_or_default()),
        }
    }

    /// What its keys are worth now.
    pub fn standing(&self) -> Arc<Standing> {
        self.known().standing.clone()
    }

    /// Reads the files again: what the keys are worth from now on, where they could be read.
    pub fn reload(&self) -> Option<Arc<Standing>> {
        match read(&self.options, &self.known()) {
            Ok(known) => {
                let standing = known.standing.clone();
                tracing::info!(keys = standing.keys.len(), "keys and revocations are read anew");
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
                Some(standing)
            }
            Err(error) => {
                tracing::error!(%error, "keys can't be read: those known before stay");
                None
            }
        }
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(options: &AuthOptions, before: &Known) -> Result<Known, KeysError> {
    let mut keys = Keys::default();
    if let Some(path) = &options.keys {
        keys.add_toml(path)?;
    }
    if let Some(path) = &options.jwks {
        keys.add_jwks(path)?;
    }
    let api_keys = options.api_keys.as_deref().map(ApiKeys::read).transpose()?;
    let mut api_keys = api_keys.unwrap_or_default();
    api_keys.keep(&before.api_keys);
    let mut standing = match &options.revoked {
        Some(path) => files::revoked(path)?,
        None => Standing::default(),
    };
    standing.grants = api_keys.grants();
    for (id, seal) in keys.seals().chain(api_keys.seals()) {
        if standing.keys.insert(id.to_owned(), seal).is_some() {
            return Err(KeysError::Twice(id.to_owned()));
        }
    }
    let standing = Arc::new(standing);
    Ok(Known { keys, api_keys, standing, _before: before.standing.clone() })
}
