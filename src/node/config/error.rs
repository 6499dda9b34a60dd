//! What can be wrong with a configuration: which value, where it came from, what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value came from; the later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// A line of the configuration file, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", shown(path)),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A path on one line, whatever is in it.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: can't read the configuration: {source}", shown(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: not TOML: {message}")]
    Syntax {
        /// Where in the file.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// A key that no setting has.
    #[error("{origin}: unknown setting {key:?}; {hint}")]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
        /// Which key was probably meant, or where all are listed.
        hint: String,
    },
    /// A value that its setting can't have, on its own or beside another one.
    #[error("{origin}: {key} can't be {value:?}: {reason}")]
    BadValue {
        /// Where it came from.
        origin: Origin,
        /// The setting.
        key: &'static str,
        /// The value.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// A recording to nowhere.
    #[error("no folder to record to: give one, as in broadtape record tapes/today")]
    NoFolder,
    /// A replay of nothing.
    #[error("no files to replay: give at least one, as in broadtape replay day.dbn.zst")]
    NoFiles,
}
