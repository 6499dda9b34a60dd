//! PEM files that tools are given: the authorities whom they trust, the certificate that they show.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::TrustError;
use crate::limits::PEM_BYTES_MAX;
use crate::wire::file::bytes_within;

/// A file, and the flag that names it.
#[derive(Clone, Copy)]
pub(super) struct Pem<'a> {
    pub(super) flag: &'static str,
    pub(super) path: &'a Path,
}

impl Pem<'_> {
    /// The authorities in it.
    pub(super) fn authorities(self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.wrong(&error))?;
        }
        match roots.is_empty() {
            true => Err(self.wrong(&"it holds no certificate; it has to hold an authority's, PEM")),
            false => Ok(roots),
        }
    }

    /// A certificate, and those between it and an authority.
    pub(super) fn chain(self) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let chain = self.certificates()?;
        match chain.is_empty() {
            true => Err(self.wrong(&"it holds no certificate; it has to hold your own first, PEM")),
            false => Ok(chain),
        }
    }

    /// The key of a certificate.
    pub(super) fn key(self) -> Result<PrivateKeyDer<'static>, TrustError> {
        let bytes = self.read()?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
            pem::Error::NoItemsFound => self.wrong(&"it holds no private key, PEM"),
            error => self.wrong(&error),
        })
    }

    fn certificates(self) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let bytes = self.read()?;
        let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>();
        all.map_err(|error| self.wrong(&error))
    }

    fn read(self) -> Result<Zeroizing<Vec<u8>>, TrustError> {
        let bytes = bytes_within(self.path, PEM_BYTES_MAX).map_err(|error| self.wrong(&error))?;
        bytes.ok_or_else(|| self.wrong(&format!("it is larger than {PEM_BYTES_MAX} bytes")))
    }

    /// What is wrong with it.
    pub(super) fn wrong(self, reason: &dyn ToString) -> TrustError {
        let path = self.path.display().to_string();
        TrustError::File { flag: self.flag, path, reason: reason.to_string() }
    }
}
