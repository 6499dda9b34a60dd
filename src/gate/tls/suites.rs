//! What is spoken: Mozilla's "intermediate" recommendation, version 5.7, without finite-field DHE.
//!
//! TLS 1.2 and 1.3, authenticated encryption and forward secrecy only. Clients choose: each of
//! these is good, and they know what their hardware is fast at.

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider, kx_group as group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// The versions.
pub(super) const VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

static SUITES: [SupportedCipherSuite; 9] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

static GROUPS: [&dyn SupportedKxGroup; 4] =
    [group::X25519MLKEM768, group::X25519, group::SECP256R1, group::SECP384R1];

/// The cryptography of the server's side.
pub(super) fn provider() -> CryptoProvider {
    let (cipher_suites, kx_groups) = (SUITES.to_vec(), GROUPS.to_vec());
    CryptoProvider { cipher_suites, kx_groups, ..default_provider() }
}
