//! TLS towards a server: whom our tools trust, and what would be right where they don't.

mod anybody;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::anybody::Anybody;
use crate::limits::PEM_BYTES_MAX;

/// The protocol inside.
const ALPN: &[u8] = b"http/1.1";

/// The flags of tools that are clients.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// With wss:// and https://, trust whom an authority in this file vouches for, PEM; by default
    /// the system's authorities
    #[arg(long, value_name = "FILE", conflicts_with = "tls_insecure")]
    tls_ca: Option<PathBuf>,
    /// With wss:// and https://, trust whoever answers: for trying it out
    #[arg(long)]
    tls_insecure: bool,
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("--tls-ca {path}: {reason}")]
    Authorities { path: String, reason: String },
    #[error(
        "this system has no authorities{reasons}; write --tls-ca FILE with the server's, or to \
         try it out --tls-insecure"
    )]
    NoSystem { reasons: String },
    #[error("{flag} is for wss:// and https://, and {url} is without TLS")]
    Plain { flag: &'static str, url: String },
    #[error("can't set TLS up: {0}")]
    Setup(#[from] Error),
}

impl TlsArgs {
    /// What has to be said where no check is made; none where there is one.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        const WARNING: &str = "WARNING: --tls-insecure: whoever answers is trusted, and may read \
                               and change everything, tokens too; use it to try things out only";
        self.tls_insecure.then_some(WARNING)
    }

    /// The flag that was given, where one was.
    pub(super) fn flag(&self) -> Option<&'static str> {
        match (&self.tls_ca, self.tls_insecure) {
            (Some(_), _) => Some("--tls-ca"),
            (None, true) => Some("--tls-insecure"),
            (None, false) => None,
        }
    }

    /// Who is trusted.
    fn config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match (self.tls_insecure, &self.tls_ca) {
            (true, _) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody::new(provider))),
            (false, Some(path)) => builder.with_root_certificates(authorities(path)?),
            (false, None) => builder.with_root_certificates(of_system()?),
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Connections of a bench stand for clients of their own: none knows a ticket of another's.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// A server's TLS: who it has to be, and who may vouch for it.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    name: ServerName<'static>,
    /// Without it, no session comes about.
    trust: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// That of a host by its name or address, trusting nobody yet; none where it is neither.
    pub(super) fn new(host: &str) -> Option<Self> {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        Some(Self { name, trust: None })
    }

    /// The same, trusting whom the flags say.
    ///
    /// # Errors
    /// [`TrustError`].
    pub(super) fn trusting(self, args: &TlsArgs) -> Result<Self, TrustError> {
        Ok(Self { trust: Some(Arc::new(args.config()?)), ..self })
    }

    /// A session that has not begun.
    ///
    /// # Errors
    /// Nobody is trusted.
    pub(crate) fn session(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(self.trust()?, self.name.clone())
    }

    /// Makes the handshake.
    ///
    /// # Errors
    /// Why it failed, for people to read.
    pub(super) async fn connect(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let trust = self.trust().map_err(io::Error::other)?;
        TlsConnector::from(trust).connect(self.name.clone(), socket).await
    }

    fn trust(&self) -> Result<Arc<ClientConfig>, Error> {
        self.trust.clone().ok_or_else(|| Error::General("nobody is trusted".to_owned()))
    }
}

/// The authorities of a file.
fn authorities(path: &Path) -> Result<RootCertStore, TrustError> {
    let wrong = |reason| TrustError::Authorities { path: path.display().to_string(), reason };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(wrong(format!("it is larger than {PEM_BYTES_MAX} bytes")));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong(
            "it holds no certificate; it has to hold an authority's, PEM".to_owned(),
        ));
    }
    Ok(roots)
}

/// The authorities that the system trusts; SSL_CERT_FILE and SSL_CERT_DIR name others.
fn of_system() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system may have some that are malformed: the others count all the same.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons = found.errors.iter().map(|error| format!("; {error}")).collect();
        return Err(TrustError::NoSystem { reasons });
    }
    Ok(roots)
}

/// What TLS says of an error of a connection; none where it is not its own.
pub(super) fn of(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Why no handshake came about.
pub(super) fn unmade(error: &io::Error) -> String {
    match of(error) {
        Some(tls) => explain(tls),
        None if error.kind() == io::ErrorKind::UnexpectedEof => ENDED.to_owned(),
        None => error.to_string(),
    }
}

/// Why no handshake came about where the server just left.
pub(crate) const ENDED: &str = "it ended the connection within the handshake";

/// What an error means, and what would be right.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody who is trusted vouches for its certificate; write --tls-ca FILE with its \
             authority, or to try it out --tls-insecure"
                .to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("{error}; write a URL with a name that its certificate has"),
        Error::InvalidMessage(_) => {
            format!("it does not speak TLS ({error}); write ws:// or http://")
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it lets in only who has a certificate (tls_client_ca), and this tool has none"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(tls_ca: Option<&Path>) -> TlsArgs {
        TlsArgs { tls_ca: tls_ca.map(Path::to_owned), tls_insecure: false }
    }

    #[test]
    fn nobody_is_trusted_before_it_is_said_who() {
        let tls = Tls::new("localhost").unwrap();
        assert!(tls.session().is_err());
        let anybody = TlsArgs { tls_ca: None, tls_insecure: true };
        assert!(tls.trusting(&anybody).unwrap().session().is_ok());
        assert!(anybody.warning().is_some() && args(None).warning().is_none());
    }

    #[test]
    fn a_file_that_holds_no_authority_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, words) in [("", "holds no certificate"), (broken, "certificate")] {
            std::fs::write(file.path(), text).unwrap();
            let said = args(Some(file.path())).config().unwrap_err().to_string();
            let path = file.path().display().to_string();
            assert!(said.contains(&path) && said.contains(words), "{said}");
        }
        let missing = args(Some(Path::new("/nowhere/ca.pem"))).config().unwrap_err();
        assert!(missing.to_string().starts_with("--tls-ca /nowhere/ca.pem: No such file"));
    }
}
