//! Upgrade without a refused connection: a newer process takes the listening sockets over.
//!
//! ```text
//! old: waits at --upgrade PATH ◄── connects ── new
//!      its listeners ───────────────────────►  listens on them as well, waits at PATH itself
//!      stops accepting, drains ◄─── "ready" ──
//! ```
//!
//! Both accept for a moment, so that there is always one who does. A newer process that fails
//! before it is ready changes nothing. Only processes of the same user are answered.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::retry_on_intr;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::getuid;
use tokio::sync::mpsc;

use crate::limits::{LISTENERS_MAX, UPGRADE_PATIENCE, UPGRADE_PAUSE};

/// Says that the newer process listens.
const READY: u8 = b'R';

/// Room for the descriptors of all listeners.
const SPACE: usize = rustix::cmsg_space!(ScmRights(LISTENERS_MAX + 1)); // And the operator's.

/// What an older process handed over.
pub(super) struct Inherited {
    listeners: Vec<TcpListener>,
    older: UnixStream,
}

impl Inherited {
    /// The listening sockets of the process that waits at `path`; none where no process does.
    ///
    /// # Errors
    /// A process waits there, and hands nothing over; or there is something that is no socket.
    pub(super) fn from(path: &Path) -> io::Result<Option<Self>> {
        // A connect says the same of a file as of a socket that was left behind.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket()) {
            return Err(io::Error::other("there is a file, and no socket"));
        }
        let older = match UnixStream::connect(path) {
            Ok(older) => older,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        older.set_read_timeout(Some(UPGRADE_PATIENCE))?;
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = retry_on_intr(|| {
            recvmsg(&older, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)
        });
        let got = got.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => {
                let words = format!("who waits there does not answer within {UPGRADE_PATIENCE:?}");
                io::Error::new(ErrorKind::TimedOut, words)
            }
            _ => error.into(),
        })?;
        let mut listeners = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                listeners.extend(descriptors.map(TcpListener::from));
            }
        }
        if got.bytes == 0 || listeners.is_empty() {
            return Err(io::Error::other("it hands no listening sockets over"));
        }
        Ok(Some(Self { listeners, older }))
    }

    /// The listener of an address, where it is among them.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_it = |l: &TcpListener| l.local_addr().is_ok_and(|known| known == address);
        let at = self.listeners.iter().position(is_it)?;
        Some(self.listeners.swap_remove(at))
    }

    /// Has the older process drain: this one listens.
    ///
    /// # Errors
    /// It is gone already.
    pub(super) fn ready(mut self) -> io::Result<()> {
        self.older.write_all(&[READY])
    }
}

/// Is it an error of a path where no process waits?
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Waits for a newer process, on a thread of its own.
pub(super) struct Offer {
    path: PathBuf,
    taken: mpsc::Receiver<()>,
}

impl Offer {
    /// Waits at `path`, in place of whoever waited there, with these listeners.
    ///
    /// # Errors
    /// The path can't be made a socket, or a listener can't be duplicated.
    pub(super) fn new(path: &Path, listeners: &[TcpListener]) -> io::Result<Self> {
        let listeners =
            listeners.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
        let waiting = bind(path)?;
        let (sender, taken) = mpsc::channel(1);
        std::thread::Builder::new().name("upgrade".to_owned()).spawn(move || {
            wait(&waiting, &listeners);
            // Where nobody listens, the server has ended.
            let _ = sender.blocking_send(());
        })?;
        Ok(Self { path: path.to_owned(), taken })
    }

    /// Returns when a newer process has taken over, and listens.
    pub(super) async fn taken(&mut self) {
        match self.taken.recv().await {
            Some(()) => {}
            None => std::future::pending().await,
        }
    }

    /// Nobody waits at the path any more. Not to be called once a newer process does.
    pub(super) fn withdraw(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the upgrade socket is gone already");
        }
    }
}

/// A socket at `path`, for this user only: made beside it and moved into place, so that there is
/// always one.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let waiting = UnixListener::bind(&beside)?;
    let placed = fs::set_permissions(&beside, Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&beside, path));
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    placed.map(|()| waiting)
}

/// Returns once a newer process has the listeners, and is ready.
fn wait(waiting: &UnixListener, listeners: &[TcpListener]) {
    loop {
        match waiting.accept().and_then(|(newer, _)| hand_over(newer, listeners)) {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "a newer process did not take over");
                // Where accepting fails, it fails again at once.
                std::thread::sleep(UPGRADE_PAUSE);
            }
        }
    }
}

/// Hands the listeners to a newer process; true once it is ready.
fn hand_over(mut newer: UnixStream, listeners: &[TcpListener]) -> io::Result<bool> {
    if socket_peercred(&newer)?.uid != getuid() {
        tracing::warn!("a process of another user asked for the listening sockets");
        return Ok(false);
    }
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many listeners for one message"));
    }
    sendmsg(&newer, &[IoSlice::new(&[READY])], &mut control, SendFlags::NOSIGNAL)?;
    newer.set_read_timeout(Some(UPGRADE_PATIENCE))?;
    let mut said = [0];
    newer.read_exact(&mut said)?;
    Ok(said == [READY])
}
