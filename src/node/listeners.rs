//! Where a server listens: its own sockets, or those of the older process that it takes over from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::options::Options;
use super::server::ServerError;
use super::upgrade::{Inherited, Offer};
use crate::gate;

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// For everybody.
    pub public: Vec<SocketAddr>,
    /// For the operator.
    pub admin: Option<SocketAddr>,
}

impl Addresses {
    /// All of them.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.public.iter().chain(&self.admin).copied().collect()
    }
}

/// Bound sockets.
pub(super) struct Listeners {
    /// Those for everybody, then the operator's, where there is one.
    sockets: Vec<TcpListener>,
    pub(super) addresses: Addresses,
    older: Option<Inherited>,
}

impl Listeners {
    /// Binds what the options name, or takes it over where an older process waits.
    ///
    /// # Errors
    /// [`ServerError::Listen`], [`ServerError::Upgrade`].
    pub(super) fn bind(options: &Options) -> Result<Self, ServerError> {
        let mut older = inherit(options)?;
        let sockets = options.listen.iter().chain(&options.admin_listen).map(|address| {
            let inherited = older.as_mut().and_then(|older| older.take(*address));
            inherited.map_or_else(|| listen(*address), Ok)
        });
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        let all = sockets.iter().map(TcpListener::local_addr);
        let mut public = all.collect::<io::Result<Vec<_>>>()?;
        let admin = options.admin_listen.and_then(|_| public.pop());
        Ok(Self { sockets, addresses: Addresses { public, admin }, older })
    }

    /// Offers them to a newer process, where the options say so.
    ///
    /// # Errors
    /// [`ServerError::Upgrade`].
    pub(super) fn offer(&self, options: &Options) -> Result<Option<Offer>, ServerError> {
        let offer = |path| Offer::new(path, &self.sockets).map_err(|error| failed(path, error));
        options.upgrade.as_deref().map(offer).transpose()
    }

    /// The sockets for everybody, and the operator's. From here on the older process may go.
    pub(super) fn begin(self) -> (Vec<TcpListener>, Option<TcpListener>) {
        if let Some(Err(error)) = self.older.map(Inherited::ready) {
            tracing::warn!(%error, "the older process is gone already");
        }
        let mut sockets = self.sockets;
        let admin = self.addresses.admin.and_then(|_| sockets.pop());
        (sockets, admin)
    }
}

/// What an older process hands over, where one waits.
fn inherit(options: &Options) -> Result<Option<Inherited>, ServerError> {
    let Some(path) = &options.upgrade else { return Ok(None) };
    Inherited::from(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> ServerError {
    ServerError::Upgrade { path: path.to_owned(), error }
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    gate::listen(address).map_err(|error| ServerError::Listen { address, error })
}
