//! A certificate of the server's own making: encryption without anybody who vouches, to try it out.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};

use super::certificates::Certificates;
use super::{TlsError, suites};
use crate::clock::unix_now;

/// How long it holds: longer than anybody tries things out.
const DAYS: i64 = 90;
/// The names that the machine has for itself.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes it for these addresses, and says its fingerprint, by which a client can know it.
///
/// # Errors
/// [`TlsError::SelfSigned`], [`TlsError::Mismatch`].
pub(super) fn make(addresses: &[SocketAddr]) -> Result<Certificates, TlsError> {
    let failed = |error: rcgen::Error| TlsError::SelfSigned(error.to_string());
    let mut names: BTreeSet<String> = NAMES.map(str::to_owned).into();
    let concrete = addresses.iter().map(|a| a.ip()).filter(|ip| !ip.is_unspecified());
    names.extend(concrete.map(|ip| ip.to_string()));
    let mut params =
        CertificateParams::new(names.into_iter().collect::<Vec<_>>()).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "broadtape, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_now()))
        .map_err(|error| TlsError::SelfSigned(error.to_string()))?;
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(DAYS);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let fingerprint = fingerprint(certificate.der());
    tracing::warn!(%fingerprint, "a self-signed certificate: for trying it out");
    let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    CertifiedKey::from_der(vec![certificate.der().clone()], der, &suites::provider())
        .map(Certificates::one)
        .map_err(|error| TlsError::SelfSigned(error.to_string()))
}

/// The SHA-256 of a certificate, as browsers and openssl write it.
fn fingerprint(certificate: &[u8]) -> String {
    let bytes = digest(&SHA256, certificate);
    let pairs: Vec<String> = bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
