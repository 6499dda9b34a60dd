//! Files that are read again while the server runs: keys and revocations, certificates, networks
//! that may not connect. There is one watch for all of them: when they have changed, and at SIGHUP.

mod files;
mod notices;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::interval;

use self::files::Files;
use self::notices::{Notice, Notices};
use super::options::{AuthOptions, Options};
use crate::gate::auth::Authority;
use crate::gate::tls::{Tls, TlsOptions};
use crate::gate::{Door, Networks, watched};
use crate::limits::{CERTIFICATES_REST, FILES_LOOK, KEYS_BYTES};
use crate::shard::command::{Denied, Mailbox};

/// The files of a server.
pub(super) struct Watch {
    hangups: Signals,
    keys: Files,
    certificates: Files,
    denied: Files,
}

/// Who reads them.
pub(super) struct Readers {
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) tls: Option<Arc<Tls>>,
    /// The doors that the denied don't come through.
    pub(super) doors: Vec<Arc<Door>>,
    /// Who has connections that were let in before.
    pub(super) shards: Vec<Mailbox>,
}

impl Watch {
    /// Looks at the files of a server, before anything of them is read, and watches SIGHUP from
    /// here on: one that comes while the server starts is taken once it has. Called in a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let AuthOptions { keys, jwks, api_keys, revoked, .. } = &options.auth;
        let tls = options.tls.as_ref();
        let pairs = tls.into_iter().flat_map(|tls: &TlsOptions| &tls.pairs);
        let pairs = pairs.flat_map(|pair| [&pair.certificate, &pair.key]);
        Ok(Self {
            hangups: signal(SignalKind::hangup())?,
            keys: Files::new([keys, jwks, api_keys, revoked].into_iter().flatten()),
            certificates: Files::new(pairs.chain(tls.and_then(|tls| tls.client_ca.as_ref()))),
            denied: Files::new(&options.deny_file),
        })
    }

    /// Has the files read again, as they change and at SIGHUP. A server without files takes the
    /// signal as well, and goes on.
    pub(super) async fn run(mut self, readers: Readers) {
        let mut looks = interval(FILES_LOOK);
        let mut notices = Notices::default();
        loop {
            let told = tokio::select! {
                told = self.hangups.recv() => told.is_some(),
                _ = looks.tick() => false,
            };
            self.look(told, &readers, &mut notices).await;
            notices.send();
        }
    }

    async fn look(&mut self, told: bool, readers: &Readers, notices: &mut Notices) {
        let Readers { authority, tls, doors, shards } = readers;
        if let Some(authority) = authority.clone()
            && self.keys.are_due(told, 0)
            && let Some(Some(standing)) = aside(move || authority.reload()).await
        {
            doors.iter().for_each(|door| door.review());
            notices.owe(shards, &Notice::Standing(standing));
        }
        // Whoever exchanges these does so one by one.
        if let Some(tls) = tls.clone()
            && self.certificates.are_due(told, CERTIFICATES_REST)
        {
            aside(move || tls.reload()).await;
        }
        if self.denied.are_due(told, 1) {
            let (paths, doors) = (self.denied.paths.clone(), doors.clone());
            match aside(move || deny(&paths, &doors)).await {
                Some(Ok((networks, denied))) => {
                    tracing::info!(networks, "the file of denied networks is read");
                    denied.into_iter().for_each(|who| notices.owe(shards, &Notice::Denied(who)));
                }
                Some(Err(error)) => tracing::error!(%error, "nothing has changed"),
                None => {}
            }
        }
    }
}

/// Reads files on another thread than this one, which lets everybody in meanwhile: tens of
/// thousands of keys take a second. None where that panicked.
async fn aside<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let read = tokio::task::spawn_blocking(read).await;
    read.inspect_err(|error| tracing::error!(%error, "a fault while files were read again")).ok()
}

/// Reads the networks that may not connect (`--deny-file`) for these doors: how many there are, and
/// what says of an address whether it is denied.
///
/// # Errors
/// What is wrong with the file: then nothing has changed.
pub(super) fn deny<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    doors: &[Arc<Door>],
) -> Result<(usize, Option<Denied>), String> {
    let (mut count, mut denied) = (0, None);
    for path in paths {
        let at = |error: &dyn std::fmt::Display| format!("--deny-file {}: {error}", path.display());
        let bytes = watched::read(path, KEYS_BYTES);
        let text = bytes.and_then(|bytes| watched::text(&bytes)).map_err(|error| at(&error))?;
        let networks = Arc::new(Networks::parse_lines(&text).map_err(|error| at(&error))?);
        count = networks.len();
        for door in doors {
            denied.get_or_insert(door.deny(networks.clone()));
        }
    }
    Ok((count, denied))
}

/// Has everything read again that is read at SIGHUP.
///
/// # Errors
/// What the system says.
pub(super) fn order() -> io::Result<()> {
    kill_process(getpid(), Signal::HUP).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn others_are_let_in_while_files_are_read() {
        let (let_in, told) = std::sync::mpsc::channel();
        let read = aside(move || told.recv_timeout(Duration::from_secs(60)));
        let (read, sent) = tokio::join!(read, async { let_in.send(()) });
        assert_eq!((read, sent), (Some(Ok(())), Ok(())));
        assert_eq!(aside(|| panic!("a fault")).await, None::<()>);
    }
}
