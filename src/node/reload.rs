//! What is read again while the server runs, at SIGHUP: here the networks that may not connect.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::gate::{Door, Networks};

/// A file of networks that may not connect (`--deny-file`).
pub(super) struct DenyFile {
    pub(super) path: PathBuf,
    pub(super) door: Arc<Door>,
}

impl DenyFile {
    /// Reads it, and says how many it denies.
    ///
    /// # Errors
    /// What is wrong with it: then nothing has changed.
    pub(super) fn read(&self) -> Result<usize, String> {
        let at =
            |error: &dyn std::fmt::Display| format!("--deny-file {}: {error}", self.path.display());
        let text = std::fs::read_to_string(&self.path).map_err(|error| at(&error))?;
        let networks = Networks::parse_lines(&text).map_err(|error| at(&error))?;
        let count = networks.len();
        self.door.deny(networks);
        Ok(count)
    }
}

/// Watches SIGHUP from here on: the future reads the file again at each. A server without one takes
/// the signal as well, and goes on.
///
/// # Errors
/// What the system says.
pub(super) fn watch(file: Option<DenyFile>) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            match file.as_ref().map(DenyFile::read) {
                Some(Ok(networks)) => {
                    tracing::info!(networks, "the file of denied networks is read")
                }
                Some(Err(error)) => tracing::error!(%error, "nothing has changed"),
                None => {}
            }
        }
    })
}

/// Has everything read again that is read at SIGHUP.
///
/// # Errors
/// What the system says.
pub(super) fn order() -> std::io::Result<()> {
    kill_process(getpid(), Signal::HUP).map_err(Into::into)
}
