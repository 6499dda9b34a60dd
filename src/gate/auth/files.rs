//! The files of keys and of what is revoked: read whole, and bounded.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::gate::watched;
use crate::limits::{KEYS_BYTES, KEYS_MAX, SUBJECT_BYTES};
use crate::wire::grant::Standing;

/// A file of keys that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It can't be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What stands in it is not what should.
    #[error("{}: {reason}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two keys of one id.
    #[error("two keys have the id {0:?}")]
    Twice(String),
}

/// May a subject, the id of a key or that of a token be called so?
pub(super) fn is_name(text: &str) -> bool {
    (1..=SUBJECT_BYTES).contains(&text.len()) && !text.contains(|c: char| c.is_control())
}

/// The text of a file that may be no larger than [`KEYS_BYTES`].
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let unreadable = |error| KeysError::Unreadable { path: path.to_owned(), error };
    watched::read(path, KEYS_BYTES).and_then(|bytes| watched::text(&bytes)).map_err(unreadable)
}

/// The same of a file that is read but once: it may be a pipe.
pub(super) fn read_once(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let unreadable = |error| KeysError::Unreadable { path: path.to_owned(), error };
    watched::read_once(path, KEYS_BYTES).and_then(|bytes| watched::text(&bytes)).map_err(unreadable)
}

/// What is wrong with a TOML file, and in which line, without what stands there: it may be a key.
pub(super) fn place(error: &toml::de::Error, text: &str) -> String {
    let line =
        error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

/// What a file of revocations says: lines of `jti`, `sub` or `kid`, and a name.
pub(super) fn revoked(path: &Path) -> Result<Standing, KeysError> {
    let text = read(path)?;
    let mut standing = Standing::default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    for (n, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let (what, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let revoked = match what {
            "jti" => &mut standing.revoked_tokens,
            "sub" => &mut standing.revoked_subjects,
            "kid" => &mut standing.revoked_keys,
            _ => {
                let reason = format!("line {}: it is jti, sub or kid, and a name", n + 1);
                return Err(KeysError::Wrong { path: path.to_owned(), reason });
            }
        };
        let name = name.trim();
        if name.is_empty() || revoked.len() == KEYS_MAX {
            let reason = match name {
                "" => format!("line {}: {what} of what?", n + 1),
                _ => format!("more than {KEYS_MAX} revocations"),
            };
            return Err(KeysError::Wrong { path: path.to_owned(), reason });
        }
        revoked.insert(name.to_owned());
    }
    Ok(standing)
}
