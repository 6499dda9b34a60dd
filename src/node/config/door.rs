//! Second pass for who may connect: lists of networks and sites, and how many.

use std::num::NonZeroU32;

use super::check::{bad, get, one, or_none, within};
use super::error::ConfigError;
use super::typed::{Given, Typed};
use crate::gate::{AdmissionRules, DoorRules, Networks, NotASite, Sites};

const MILLION: usize = 1_000_000;

/// Who may connect.
///
/// # Errors
/// [`ConfigError`]: the first value that is wrong.
pub(super) fn rules(typed: &Typed) -> Result<DoorRules, ConfigError> {
    let trusted = networks(typed, "trusted_proxies")?;
    let proxy_protocol = one(typed, "proxy_protocol", |text| match text {
        "off" => Ok(false),
        "from-trusted" if trusted.is_empty() => Err("trusted_proxies lists none to take it from"),
        "from-trusted" => Ok(true),
        _ => Err("it is off or from-trusted"),
    })?;
    let count = |text: &str| within(text, 1..=10 * MILLION);
    let rate = |text: &str| {
        let most = NonZeroU32::MIN.saturating_add(MILLION as u32 - 1);
        within(text, NonZeroU32::MIN..=most)
    };
    Ok(DoorRules {
        admission: AdmissionRules {
            allow: networks(typed, "allow")?,
            deny: networks(typed, "deny")?,
            connections: one(typed, "max_connections", |text| match text {
                "auto" => Ok(None),
                _ => count(text).map(Some).map_err(|error| format!("{error}, or auto")),
            })?,
            per_address: or_none(typed, "max_per_address", count)?,
            pending_per_address: or_none(typed, "pending_per_address", count)?,
            rate_per_address: or_none(typed, "rate_per_address", rate)?,
            rate: or_none(typed, "handshake_rate", rate)?,
        },
        trusted,
        proxy_protocol,
        sites: sites(typed)?,
    })
}

fn networks(typed: &Typed, key: &'static str) -> Result<Networks, ConfigError> {
    let Given { texts, origin } = get(typed, key);
    Networks::parse(texts.iter().map(String::as_str))
        .map_err(|error| bad(key, texts.join(","), origin, &error.to_string()))
}

fn sites(typed: &Typed) -> Result<Sites, ConfigError> {
    let (hosts, origins) = (get(typed, "hosts"), get(typed, "origins"));
    Sites::parse(&hosts.texts, &origins.texts).map_err(|error| {
        let (key, given) = match error {
            NotASite::Host(_) => ("hosts", hosts),
            NotASite::Origin(_) => ("origins", origins),
        };
        bad(key, given.texts.join(","), given.origin, &error.to_string())
    })
}
