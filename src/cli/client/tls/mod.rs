//! TLS towards a server: whom our tools trust, who they are, and what would be right where they
//! don't get on.

mod anybody;
mod files;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::anybody::Anybody;
use self::files::Pem;

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
    /// The certificate to show to a server that asks for one, PEM; those between it and an
    /// authority may stand behind it
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// Why nobody can be trusted, or nothing be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("{flag} {path}: {reason}")]
    File { flag: &'static str, path: String, reason: String },
    #[error("--tls-key {key} does not go with --tls-cert {certificate}: {reason}")]
    Mismatch { certificate: String, key: String, reason: Error },
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
        match () {
            () if self.tls_ca.is_some() => Some("--tls-ca"),
            () if self.tls_insecure => Some("--tls-insecure"),
            () if self.tls_cert.is_some() => Some("--tls-cert"),
            () => None,
        }
    }

    /// Who is trusted, and what is shown.
    fn config(&self) -> Result<ClientConfig, TrustError> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match (self.tls_insecure, &self.tls_ca) {
            (true, _) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody::new(provider))),
            (false, Some(path)) => {
                let file = Pem { flag: "--tls-ca", path };
                builder.with_root_certificates(file.authorities()?)
            }
            (false, None) => builder.with_root_certificates(of_system()?),
        };
        let mut config = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let chain = Pem { flag: "--tls-cert", path: certificate }.chain()?;
                let der = Pem { flag: "--tls-key", path: key }.key()?;
                let shown = builder.with_client_auth_cert(chain, der);
                let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
                shown.map_err(|reason| TrustError::Mismatch { certificate, key, reason })?
            }
            _ => builder.with_no_client_auth(),
        };
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
            "it lets in only who has a certificate (tls_client_ca); write --tls-cert FILE and \
             --tls-key FILE with yours"
                .to_owned()
        }
        Error::AlertReceived(alert) if refuses_certificate(*alert) => {
            format!("it does not accept the certificate of --tls-cert ({error})")
        }
        _ => error.to_string(),
    }
}

/// Does an alert say that what was shown counts for nothing?
const fn refuses_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args(tls_ca: Option<&Path>) -> TlsArgs {
        let tls_ca = tls_ca.map(Path::to_owned);
        TlsArgs { tls_ca, tls_insecure: false, tls_cert: None, tls_key: None }
    }

    #[test]
    fn nobody_is_trusted_before_it_is_said_who() {
        let tls = Tls::new("localhost").unwrap();
        assert!(tls.session().is_err());
        let anybody = TlsArgs { tls_insecure: true, ..args(None) };
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
