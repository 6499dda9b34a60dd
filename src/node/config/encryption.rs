//! The settings of encryption, and that nothing is listened on in the clear by mistake.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::check::{bad, get, one, switch};
use super::error::ConfigError;
use super::typed::{Given, Typed};
use crate::limits::CERTIFICATES_MAX;
use crate::node::options::{Pair, TlsOptions};

/// How what is listened on is encrypted, where it is.
///
/// # Errors
/// [`ConfigError`]: certificates without keys, or what needs certificates without any.
pub(super) fn tls(typed: &Typed) -> Result<Option<TlsOptions>, ConfigError> {
    let pairs = pairs(typed)?;
    let self_signed = one(typed, "tls_self_signed", switch)?;
    let client_ca = one(typed, "tls_client_ca", |text| match text {
        "" => Err("it is the path of a PEM file, or none"),
        "none" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    })?;
    let wrong = |key, reason| {
        let Given { texts, origin } = get(typed, key);
        Err(bad(key, texts.join(","), origin, reason))
    };
    match (self_signed, pairs.is_empty(), &client_ca) {
        (true, false, _) => wrong("tls_self_signed", "there is a tls_cert: give one of them"),
        (false, true, Some(_)) => wrong("tls_client_ca", "it needs a tls_cert with its tls_key"),
        (false, true, None) => Ok(None),
        _ => Ok(Some(TlsOptions { pairs, client_ca, self_signed })),
    }
}

fn pairs(typed: &Typed) -> Result<Vec<Pair>, ConfigError> {
    let (certificates, keys) = (get(typed, "tls_cert"), get(typed, "tls_key"));
    let (many, others) = (certificates.texts.len(), keys.texts.len());
    if many > CERTIFICATES_MAX {
        let reason = format!("more than {CERTIFICATES_MAX} are given");
        return Err(bad("tls_cert", many.to_string(), certificates.origin, &reason));
    }
    if many != others {
        let (key, given) = match many > others {
            true => ("tls_cert", certificates),
            false => ("tls_key", keys),
        };
        let reason = format!("each tls_cert has its tls_key: there are {many} and {others}");
        return Err(bad(key, given.texts.join(","), given.origin, &reason));
    }
    let paths = certificates.texts.into_iter().zip(keys.texts);
    Ok(paths
        .map(|(certificate, key)| Pair { certificate: certificate.into(), key: key.into() })
        .collect())
}

/// Refuses an address beyond loopback that is to be listened on in the clear.
///
/// # Errors
/// [`ConfigError::BadValue`].
pub(super) fn exposed(
    typed: &Typed,
    key: &'static str,
    listen: &[SocketAddr],
    encrypted: bool,
) -> Result<(), ConfigError> {
    let insecure = one(typed, "insecure", switch)?;
    let exposed = listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    match exposed {
        Some(address) if !encrypted && !insecure => {
            let reason = "beyond loopback it needs tls_cert and tls_key (or tls_self_signed, to \
                          try it out); insecure allows it in the clear";
            Err(bad(key, address.to_string(), get(typed, key).origin, reason))
        }
        _ => Ok(()),
    }
}
