//! The certificates: read from PEM files, and chosen by the name that a client asks for.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::{Pair, TlsError, suites};
use crate::gate::watched;
use crate::limits::PEM_BYTES_MAX;

/// All of them, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// One certificate.
    pub(super) fn one(certificate: CertifiedKey) -> Self {
        Self(vec![Arc::new(certificate)])
    }

    /// Reads all pairs.
    ///
    /// # Errors
    /// [`TlsError`]: of the first that can't be used.
    pub(super) fn load(pairs: &[Pair]) -> Result<Self, TlsError> {
        pairs.iter().map(|pair| load(pair).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }
}

impl ResolvesServerCert for Certificates {
    /// The first that has the name and signs in a way that the client knows; where none has the
    /// name (or no name is asked for), the first that signs so: the client says what it thinks.
    /// Where none signs so, no suite will do either, and the client is told that.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let usable = || self.0.iter().filter(|c| c.key.choose_scheme(schemes).is_some());
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = name.and_then(|name| usable().find(|c| has_name(c, &name)));
        named.or_else(|| usable().next()).or(self.0.first()).cloned()
    }
}

fn has_name(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

fn load(pair: &Pair) -> Result<CertifiedKey, TlsError> {
    let chain = chain(&pair.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)?)
        .map_err(|error| malformed(&pair.key, "private key", &error))?;
    CertifiedKey::from_der(chain, key, &suites::provider()).map_err(|error| TlsError::Mismatch {
        certificate: pair.certificate.clone(),
        key: pair.key.clone(),
        reason: error.to_string(),
    })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| malformed(path, "certificate", &error))?;
    if chain.is_empty() {
        return Err(malformed(path, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// The authorities whose signature on a client's certificate counts.
///
/// # Errors
/// [`TlsError`].
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in chain(path)? {
        roots.add(authority).map_err(|error| TlsError::Malformed {
            path: path.to_owned(),
            what: "certificate of an authority",
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// A file that is small.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
    watched::read(path, PEM_BYTES_MAX).map_err(unreadable)
}

fn malformed(path: &Path, what: &'static str, error: &pem::Error) -> TlsError {
    TlsError::Malformed { path: path.to_owned(), what, reason: error.to_string() }
}
