//! API keys: `bt_ID_SECRET`. The file holds the SHA-256 of each, never the key: who reads the file
//! can't come in with it. A key is as long as its hash, so a slow hash would only cost the server.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::AuthError;
use super::files::{self, KeysError, is_name};
use crate::clock::{SECOND, UnixNanos};
use crate::limits::{KEYS_MAX, SUBJECT_BYTES};
use crate::wire::grant::{Claims, Grant, Rights, SEAL_BYTES, Seal, Secret};

/// What an API key begins with; no token does.
pub const PREFIX: &str = "bt_";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    sha256: String,
    subject: String,
    /// Seconds since the UNIX epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    grant: Claims,
}

#[derive(Clone, Debug, PartialEq)]
struct ApiKey {
    /// The SHA-256 of the key is its seal as well.
    hash: [u8; SEAL_BYTES],
    subject: String,
    expires: Option<UnixNanos>,
    rights: Rights,
}

/// API keys by their ids.
#[derive(Debug, Default)]
pub struct ApiKeys {
    all: HashMap<String, ApiKey>,
}

impl ApiKeys {
    /// Those of a file.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let wrong = |reason: String| KeysError::Wrong { path: path.to_owned(), reason };
        let text = files::read(path)?;
        let file: File = toml::from_str(&text).map_err(|e| wrong(files::place(&e, &text)))?;
        if file.key.len() > KEYS_MAX {
            return Err(wrong(format!("more than {KEYS_MAX} keys")));
        }
        let mut all = HashMap::with_capacity(file.key.len());
        for entry in file.key {
            let id = entry.id.clone();
            let key = ApiKey::of(entry).map_err(|r| wrong(format!("key {id:?}: {r}")))?;
            if all.insert(id.clone(), key).is_some() {
                return Err(wrong(format!("key {id:?} is given twice")));
            }
        }
        Ok(Self { all })
    }

    /// What a key gives at `now`.
    ///
    /// # Errors
    /// [`AuthError`].
    pub(super) fn grant(&self, secret: &Secret, now: UnixNanos) -> Result<Grant, AuthError> {
        let id = id_of(secret.expose()).ok_or(AuthError::ApiKey)?;
        let hash = digest(&SHA256, secret.expose().as_bytes());
        let key = self.all.get(id).ok_or(AuthError::ApiKey)?;
        verify_slices_are_equal(hash.as_ref(), &key.hash).map_err(|_| AuthError::ApiKey)?;
        if key.expires.is_some_and(|at| at <= now) {
            return Err(AuthError::Expired(id.to_owned()));
        }
        Ok(key.grant(id))
    }

    /// Takes keys that were known before from there: what is the same is one, and compared at once.
    pub(super) fn keep(&mut self, before: &Self) {
        for (id, key) in &mut self.all {
            if let Some(old) = before.all.get(id).filter(|old| *old == key) {
                key.clone_from(old);
            }
        }
    }

    /// What each gives, by its id.
    pub(super) fn grants(&self) -> HashMap<String, Arc<Grant>> {
        let given = |(id, key): (&String, &ApiKey)| (id.clone(), Arc::new(key.grant(id)));
        self.all.iter().map(given).collect()
    }

    /// Their ids, and which keys they are.
    pub(super) fn seals(&self) -> impl Iterator<Item = (&str, Seal)> {
        self.all.iter().map(|(id, key)| (id.as_str(), Seal(key.hash)))
    }
}

/// `bt_ID_SECRET` → `ID`.
fn id_of(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

impl ApiKey {
    fn grant(&self, id: &str) -> Grant {
        Grant {
            subject: self.subject.clone(),
            key: id.to_owned(),
            seal: Seal(self.hash),
            token: None,
            expires: self.expires,
            rights: self.rights.clone(),
        }
    }

    fn of(entry: Entry) -> Result<Self, String> {
        if entry.id.contains('_') || !is_name(&entry.id) {
            return Err(format!("its id is 1 to {SUBJECT_BYTES} bytes without \"_\""));
        }
        if !is_name(&entry.subject) {
            return Err(format!("its subject is 1 to {SUBJECT_BYTES} bytes"));
        }
        let hash = unhex(&entry.sha256).ok_or("its sha256 is not 64 hexadecimal digits")?;
        let rights = entry.grant.rights().map_err(|error| error.to_string())?;
        let expires = entry.expires.map(|at| at.saturating_mul(SECOND));
        Ok(Self { hash, subject: entry.subject, expires, rights })
    }
}

/// The entry of a key for the file.
pub(super) fn entry(
    id: &str,
    key: &Secret,
    subject: &str,
    expires: Option<u64>,
    grant: Claims,
) -> Result<String, toml::ser::Error> {
    let hash = digest(&SHA256, key.expose().as_bytes());
    let sha256 = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let (id, subject) = (id.to_owned(), subject.to_owned());
    toml::to_string(&File { key: vec![Entry { id, sha256, subject, expires, grant }] })
}

fn unhex(text: &str) -> Option<[u8; SEAL_BYTES]> {
    let mut bytes = [0; SEAL_BYTES];
    if text.len() != 2 * SEAL_BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}
