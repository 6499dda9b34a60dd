//! TLS at the gate: certificates, handshakes, and their renewal while connections are served.
//!
//! What a handshake needs is one immutable [`ServerConfig`], exchanged as a whole: connections keep
//! what they have begun with, and a set of files that can't be used changes nothing. The keys of
//! session tickets go with it, so that nobody resumes what new certificates would not let in; where
//! clients show certificates there are none.

mod certificates;
mod clients;
mod counts;
mod self_signed;
mod suites;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use certificates::Certificates;
pub use counts::TlsReport;
use counts::{Counts, Failure};
pub(super) use wire::Wire;

/// The protocol that a client may ask for.
const ALPN: &[u8] = b"http/1.1";

/// Where certificates come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Chains and their keys; a client gets the first that has the name it asks for.
    pub pairs: Vec<Pair>,
    /// Only clients with a certificate that one of these authorities has signed.
    pub client_ca: Option<PathBuf>,
    /// A certificate of its own making, for trying it out.
    pub self_signed: bool,
}

/// The files of one certificate, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, and those between it and an authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Certificates that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("can't read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{} holds no {what}: {reason}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A key that is not its certificate's, or of a kind that is not known.
    #[error("{} can't be used with {}: {reason}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate of our own.
    #[error("can't make a certificate: {0}")]
    SelfSigned(String),
    /// What the library says.
    #[error("can't set TLS up: {0}")]
    Setup(String),
}

/// TLS of all listeners.
#[derive(Debug)]
pub struct Tls {
    options: TlsOptions,
    /// What new connections get.
    current: Mutex<Arc<ServerConfig>>,
    counts: Counts,
}

impl Tls {
    /// Reads the certificates, or makes one for these addresses.
    ///
    /// # Errors
    /// [`TlsError`]: which file, and what is wrong with it.
    pub fn new(options: TlsOptions, addresses: &[SocketAddr]) -> Result<Self, TlsError> {
        let certificates = match options.self_signed {
            true => self_signed::make(addresses)?,
            false => Certificates::load(&options.pairs)?,
        };
        let config = config(certificates, &options)?;
        Ok(Self { options, current: Mutex::new(config), counts: Counts::default() })
    }

    /// What was counted.
    pub fn report(&self) -> TlsReport {
        self.counts.report()
    }

    /// The handshake of a connection.
    ///
    /// # Errors
    /// Why it failed, which has been counted. A client that listens has been told by an alert.
    pub(super) async fn accept(&self, stream: TcpStream, time: Duration) -> io::Result<Wire> {
        let config = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let accepted = timeout(time, TlsAcceptor::from(config).accept(stream)).await;
        let accepted = accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match &accepted {
            Ok(stream) => self.counts.succeeded(stream.get_ref().1.protocol_version()),
            Err(error) => self.counts.failed(Failure::of(error)),
        }
        accepted.map(|stream| Wire::Encrypted(Box::new(stream)))
    }

    /// Reads the files again. Where they can't be used, new connections get what they got before.
    pub fn reload(&self) {
        if self.options.self_signed {
            return tracing::info!("a self-signed certificate stays until the end");
        }
        let certificates = Certificates::load(&self.options.pairs);
        match certificates.and_then(|certificates| config(certificates, &self.options)) {
            Ok(config) => {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
                self.counts.reloaded(true);
                tracing::info!(certificates = self.options.pairs.len(), "certificates read anew");
            }
            Err(error) => {
                self.counts.reloaded(false);
                tracing::error!(%error, "new certificates can't be used: the old ones stay");
            }
        }
    }
}

fn config(certificates: Certificates, options: &TlsOptions) -> Result<Arc<ServerConfig>, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let provider = Arc::new(suites::provider());
    let verifier = verifier(options, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(suites::VERSIONS)
        .map_err(setup)?
        .with_client_cert_verifier(verifier);
    let mut config = builder.with_cert_resolver(Arc::new(certificates));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // What comes early may be a replay of it.
    config.max_early_data_size = 0;
    match options.client_ca {
        None => config.ticketer = Ticketer::new().map_err(setup)?,
        // Who resumes shows no certificate, which may have expired: each shows it anew.
        Some(_) => {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
    }
    Ok(Arc::new(config))
}

/// Who checks what clients show.
fn verifier(
    options: &TlsOptions,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = &options.client_ca else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    clients::signed_by(certificates::authorities(path)?, provider)
}
