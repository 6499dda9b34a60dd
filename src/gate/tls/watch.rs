//! Certificates are read anew on SIGHUP, and when their files have changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

use super::Tls;
use crate::limits::CERTIFICATES_LOOK;

/// What tells one state of a file from another; none where it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Tls {
    /// Watches SIGHUP from here on, and the files while what it returns is polled.
    ///
    /// # Errors
    /// The system's.
    pub fn watch(self: Arc<Self>) -> io::Result<impl Future<Output = ()>> {
        let mut hangups = signal(SignalKind::hangup())?;
        let mut read = self.stamps();
        Ok(async move {
            let mut looks = interval(CERTIFICATES_LOOK);
            let mut seen = read.clone();
            loop {
                let told = tokio::select! {
                    told = hangups.recv() => told.is_some(),
                    _ = looks.tick() => false,
                };
                let stamps = self.stamps();
                // Whoever exchanges files does so one by one: not before they have come to rest.
                if told || stamps != read && stamps == seen {
                    self.reload();
                    read.clone_from(&stamps);
                }
                seen = stamps;
            }
        })
    }

    fn stamps(&self) -> Vec<Stamp> {
        let pairs = self.options.pairs.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
        pairs.chain(&self.options.client_ca).map(|path| stamp(path)).collect()
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
