//! What becomes of handshakes and of reloads, counted.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustls::{Error, InvalidMessage, ProtocolVersion};

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Failure {
    /// It took too long.
    Timeout,
    /// What came is no TLS.
    NotTls,
    /// No version, suite, group or signature that both know.
    Incompatible,
    /// No certificate, or none that one of our authorities has signed.
    ClientCertificate,
    /// The client refused: our certificate, most of the time.
    RefusedByClient,
    /// The client went away.
    Gone,
    /// Anything else that TLS forbids.
    Broken,
}

impl Failure {
    const ALL: [Self; 7] = [
        Self::Timeout,
        Self::NotTls,
        Self::Incompatible,
        Self::ClientCertificate,
        Self::RefusedByClient,
        Self::Gone,
        Self::Broken,
    ];

    /// What the error of a handshake means.
    pub(super) fn of(error: &io::Error) -> Self {
        if error.kind() == ErrorKind::TimedOut {
            return Self::Timeout;
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            None => Self::Gone,
            // It is TLS, of a chain that is too long.
            Some(Error::InvalidMessage(
                InvalidMessage::HandshakePayloadTooLarge
                | InvalidMessage::CertificatePayloadTooLarge,
            )) => Self::Broken,
            Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => Self::NotTls,
            Some(Error::PeerIncompatible(_)) => Self::Incompatible,
            Some(Error::NoCertificatesPresented | Error::InvalidCertificate(_)) => {
                Self::ClientCertificate
            }
            Some(Error::AlertReceived(_)) => Self::RefusedByClient,
            Some(_) => Self::Broken,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::ClientCertificate => "client_certificate",
            Self::RefusedByClient => "refused_by_client",
            Self::Gone => "gone",
            Self::Broken => "broken",
        }
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// TLS 1.2, TLS 1.3.
    versions: [AtomicU64; 2],
    failures: [AtomicU64; Failure::ALL.len()],
    /// Failed, done.
    reloads: [AtomicU64; 2],
}

/// What was counted: names and counts.
#[derive(Clone, Debug, Default)]
pub struct TlsReport {
    /// Handshakes that succeeded, by version.
    pub versions: Vec<(&'static str, u64)>,
    /// Handshakes that failed, by reason.
    pub failures: Vec<(&'static str, u64)>,
    /// Reloads of certificates, by result.
    pub reloads: Vec<(&'static str, u64)>,
}

impl Counts {
    pub(super) fn succeeded(&self, version: Option<ProtocolVersion>) {
        let newest = version == Some(ProtocolVersion::TLSv1_3);
        self.versions[usize::from(newest)].fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn reloaded(&self, done: bool) {
        self.reloads[usize::from(done)].fetch_add(1, Relaxed);
    }

    pub(super) fn report(&self) -> TlsReport {
        let named = |names: &[&'static str], counts: &[AtomicU64]| {
            names.iter().copied().zip(counts.iter().map(|c| c.load(Relaxed))).collect()
        };
        TlsReport {
            versions: named(&["1.2", "1.3"], &self.versions),
            failures: named(&Failure::ALL.map(Failure::name), &self.failures),
            reloads: named(&["failed", "done"], &self.reloads),
        }
    }
}
