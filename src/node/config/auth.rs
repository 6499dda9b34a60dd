//! The settings of who may come in, and of the operator's listener, where tokens may be asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::check::{bad, get, one, time};
use super::error::ConfigError;
use super::typed::{Given, Typed};
use crate::node::options::AuthOptions;

const HOUR: Duration = Duration::from_secs(3600);

/// Who may come in. Where they must say who they are, something has to say who they may be; so it
/// is with the operator, where its listener is reached from other machines.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn options(
    typed: &Typed,
    listen: &[SocketAddr],
    admin: Option<SocketAddr>,
) -> Result<AuthOptions, ConfigError> {
    let local = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
    let required = one(typed, "auth", |text| match text {
        "auto" => Ok(!listen.iter().all(local)),
        "open" => Ok(false),
        "required" => Ok(true),
        _ => Err("it is auto, open or required"),
    })?;
    let options = AuthOptions {
        required,
        keys: file(typed, "auth_keys")?,
        jwks: file(typed, "jwks")?,
        api_keys: file(typed, "api_keys")?,
        revoked: file(typed, "revoked")?,
        audience: name(typed, "token_audience")?,
        issuer: name(typed, "token_issuer")?,
        timeout: time(typed, "auth_timeout", Duration::from_millis(100)..=HOUR)?,
    };
    let keyless = !options.has_keys();
    let wrong = |key, reason| {
        let Given { texts, origin } = get(typed, key);
        Err(bad(key, texts.join(","), origin, reason))
    };
    match admin {
        _ if required && keyless => wrong(
            "auth",
            "clients must say who they are (they are not all on this machine), and there \
             is no key to tell by: give auth_keys, jwks or api_keys, or auth open where \
             everybody who reaches it may read everything",
        ),
        Some(admin) if !local(&admin) && keyless => wrong(
            "admin_listen",
            "beyond loopback its orders need a token that gives admin, and there is no key to tell \
             by: give auth_keys, jwks or api_keys, or an address on loopback",
        ),
        _ => Ok(options),
    }
}

/// Where the operator's own pages and orders are.
///
/// # Errors
/// [`ConfigError::BadValue`].
pub(super) fn admin_listen(typed: &Typed) -> Result<Option<SocketAddr>, ConfigError> {
    one(typed, "admin_listen", |text| match text.parse::<SocketAddr>() {
        _ if text == "none" => Ok(None),
        Ok(address) => Ok(Some(address)),
        Err(_) => Err("it is an address and a port, such as 127.0.0.1:9090, or none"),
    })
}

fn file(typed: &Typed, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
    one(typed, key, super::check::file)
}

fn name(typed: &Typed, key: &'static str) -> Result<String, ConfigError> {
    one(typed, key, |text| match text {
        "" => Err("it is a name"),
        name => Ok(name.to_owned()),
    })
}
