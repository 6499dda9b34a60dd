//! What our tools say who they are by: from a file or the environment, as arguments are seen by
//! everybody on the machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::limits::TOKEN_BYTES;
use crate::wire::grant::Secret;

/// The variable that holds a token.
const VARIABLE: &str = "BROADTAPE_TOKEN";

/// The flag of tools that are clients.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    /// A file with a token or an API key; by default the variable BROADTAPE_TOKEN holds one
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

/// A token that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("--token {path}: {error}")]
pub(crate) struct TokenFileError {
    path: String,
    error: io::Error,
}

impl TokenArgs {
    /// The token, where one is given.
    ///
    /// # Errors
    /// The file can't be read, or holds no token.
    pub(crate) fn read(&self) -> Result<Option<Secret>, TokenFileError> {
        match &self.token {
            Some(path) => read(path).map(Some),
            None => Ok(std::env::var(VARIABLE).ok().filter(|t| !t.is_empty()).map(Secret::new)),
        }
    }
}

/// The token in a file; `-` is standard input.
///
/// # Errors
/// The file can't be read, or holds no token.
pub(crate) fn read(path: &Path) -> Result<Secret, TokenFileError> {
    let wrong = |error| TokenFileError { path: path.display().to_string(), error };
    let mut text = Zeroizing::new(String::new());
    let most = TOKEN_BYTES as u64 + 2;
    let read = match path.as_os_str() == "-" {
        true => io::stdin().take(most).read_to_string(&mut text),
        false => File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    read.map_err(wrong)?;
    let token = text.trim();
    if token.is_empty() || token.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(wrong(io::Error::other("it has to hold one token, and nothing else")));
    }
    Ok(Secret::new(token.to_owned()))
}
