//! The files of keys and of what is revoked: read whole, bounded, and watched.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::AuthOptions;
use crate::limits::{KEYS_BYTES, KEYS_MAX};
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

/// The text of a file that may be no larger than [`KEYS_BYTES`].
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    let unreadable = |error| KeysError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(KEYS_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > KEYS_BYTES {
        let reason = format!("larger than {KEYS_BYTES} bytes");
        return Err(KeysError::Wrong { path: path.to_owned(), reason });
    }
    Ok(text)
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

/// What shows that a file is another: where it is, how long, since when.
type Mark = Option<(u64, u64, i64, i64)>;

/// Files, and how they were when they were looked at last.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    marks: Mutex<Vec<Mark>>,
}

impl Files {
    pub(super) fn new(options: &AuthOptions) -> Self {
        let AuthOptions { keys, jwks, api_keys, revoked, .. } = options;
        let paths: Vec<PathBuf> =
            [keys, jwks, api_keys, revoked].into_iter().flatten().cloned().collect();
        let marks = Mutex::new(marks(&paths));
        Self { paths, marks }
    }

    /// Is any of them another than at the last look?
    pub(super) fn have_changed(&self) -> bool {
        let now = marks(&self.paths);
        let mut before = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *before, now.clone()) != now
    }
}

fn marks(paths: &[PathBuf]) -> Vec<Mark> {
    let mark = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    paths.iter().map(mark).collect()
}
