//! Whose server it is asked for (`Host`) and from whose page (`Origin`).
//!
//! A browser on this machine reaches loopback for any page whose name its DNS has point there: on
//! loopback only the machine's own names are answered, or those that the operator lists.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::{StatusCode, Version};

use super::handshake::{Refusal, single};

/// The names under which it may be asked, and the sites whose pages may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sites {
    hosts: Allowed<Authority>,
    origins: Allowed<Origin>,
}

/// A list in which `*` stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowed<T> {
    all: bool,
    listed: Vec<T>,
}

impl<T> Default for Allowed<T> {
    fn default() -> Self {
        Self { all: false, listed: Vec::new() }
    }
}

/// A host, and a port where one is said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    /// In lower case; of an IPv6 address with its brackets.
    name: String,
    port: Option<u16>,
}

/// Where a page is from: two are the same where all three parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    secure: bool,
    name: String,
    port: u16,
}

impl Sites {
    /// Reads the lists that an operator gives: hosts such as `example.com` or `example.com:8443`,
    /// origins such as `https://example.com`.
    ///
    /// # Errors
    /// The first entry that is none, and what would be right.
    pub fn parse(hosts: &[String], origins: &[String]) -> Result<Self, NotASite> {
        let host = |text: &str| authority(text).ok_or_else(|| NotASite::Host(text.to_owned()));
        let origin = |text: &str| origin(text).ok_or_else(|| NotASite::Origin(text.to_owned()));
        Ok(Self { hosts: list(hosts, host)?, origins: list(origins, origin)? })
    }

    /// Is this request for this server, which was reached at `local`?
    pub(super) fn check_host(
        &self,
        headers: &HeaderMap,
        version: Version,
        local: SocketAddr,
    ) -> Result<(), Refusal> {
        let Some(text) = single(headers, &HOST)? else {
            // No browser speaks HTTP/1.0; the health checks of load balancers do.
            return match version {
                Version::HTTP_10 => Ok(()),
                _ => Err(Refusal::malformed("there is no Host")),
            };
        };
        let host = authority(text).ok_or_else(|| Refusal::malformed("Host is malformed"))?;
        let listed = |known: &Authority| {
            known.name == host.name && (known.port.is_none() || known.port == host.port)
        };
        let local_only = local.ip().to_canonical().is_loopback();
        let open = !local_only && self.hosts.listed.is_empty();
        let own = local_only && host.is_loopback(local.port());
        if open || own || self.hosts.all || self.hosts.listed.iter().any(listed) {
            return Ok(());
        }
        let says = format!("{text:?} is not this server: name it with --hosts if it is");
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "host", says))
    }

    /// May a page of this origin connect? Who is no browser sends none, and may. `Host` has been
    /// checked.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(text) = single(headers, &ORIGIN)? else { return Ok(()) };
        let from = origin(text);
        let own = single(headers, &HOST)?.and_then(authority);
        let is_own = |from: &Origin| {
            own.as_ref().is_some_and(|own| {
                own.name == from.name && own.port.unwrap_or(default_port(from.secure)) == from.port
            })
        };
        if self.origins.all
            || from.is_some_and(|from| is_own(&from) || self.origins.listed.contains(&from))
        {
            return Ok(());
        }
        let says = format!("pages of {text:?} may not connect: list them with --origins");
        Err(Refusal::new(StatusCode::FORBIDDEN, "origin", says))
    }
}

/// What stands in a list and is no host or origin.
#[derive(Debug, thiserror::Error)]
pub enum NotASite {
    /// No host.
    #[error("{0:?} is no host: write example.com, example.com:8443, or *")]
    Host(String),
    /// No origin.
    #[error("{0:?} is no origin: write https://example.com or http://localhost:3000, or *")]
    Origin(String),
}

fn list<T>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, NotASite>,
) -> Result<Allowed<T>, NotASite> {
    let named = texts.iter().map(|text| text.trim()).filter(|text| *text != "*");
    Ok(Allowed {
        all: texts.iter().any(|text| text.trim() == "*"),
        listed: named.map(parse).collect::<Result<_, _>>()?,
    })
}

impl Authority {
    /// Is it this machine's own name, at this port?
    fn is_loopback(&self, port: u16) -> bool {
        let bracketed = self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let own = self.name == "localhost"
            || self.name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || bracketed.is_some_and(|ip| ip.parse() == Ok(Ipv6Addr::LOCALHOST));
        own && self.port.map_or(port == 80 || port == 443, |said| said == port)
    }
}

/// `example.com`, `example.com:8443`, `[::1]:80`.
fn authority(text: &str) -> Option<Authority> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']')?;
            ip.parse::<Ipv6Addr>().ok()?;
            (&text[..ip.len() + 2], rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if name.is_empty() || !name.starts_with('[') && !name.bytes().all(of_name) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None if port.is_empty() => None,
        None => return None,
    };
    Some(Authority { name: name.to_ascii_lowercase(), port })
}

/// `https://example.com`, as a browser writes it: no path, no upper case, nothing behind.
fn origin(text: &str) -> Option<Origin> {
    let (scheme, site) = text.split_once("://")?;
    let secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    if site.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let Authority { name, port } = authority(site)?;
    Some(Origin { secure, name, port: port.unwrap_or(default_port(secure)) })
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(hosts: &[&str], origins: &[&str]) -> Sites {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Sites::parse(&owned(hosts), &owned(origins)).unwrap()
    }

    fn headers(host: &str, origin: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if !origin.is_empty() {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn host(sites: &Sites, host: &str, local: &str) -> bool {
        let headers = headers(host, "");
        sites.check_host(&headers, Version::HTTP_11, local.parse().unwrap()).is_ok()
    }

    #[test]
    fn on_loopback_only_its_own_names_are_answered() {
        let (none, local) = (Sites::default(), "127.0.0.1:8080");
        for own in ["localhost:8080", "LocalHost:8080", "127.0.0.1:8080", "127.9.9.9:8080"] {
            assert!(host(&none, own, local), "{own}");
        }
        assert!(
            host(&none, "[::1]:8080", "[::1]:8080") && host(&none, "localhost", "127.0.0.1:80")
        );
        for other in [
            "evil.example:8080",
            "localhost",
            "localhost:8081",
            "localhost.evil.example:8080",
            "localhost.:8080",
            "127.0.0.1.evil.example:8080",
            "192.0.2.1:8080",
            "[::2]:8080",
            "2130706433:8080",
            "0x7f000001:8080",
            "0.0.0.0:8080",
        ] {
            assert!(!host(&none, other, local), "{other}");
        }
    }

    #[test]
    fn listed_hosts_are_answered_everywhere() {
        let listed = sites(&["md.example.com", "md.example.net:8443"], &[]);
        for local in ["127.0.0.1:8080", "192.0.2.1:8080"] {
            assert!(host(&listed, "md.example.com", local));
            assert!(host(&listed, "MD.example.com:99", local));
            assert!(host(&listed, "md.example.net:8443", local));
            assert!(!host(&listed, "md.example.net", local));
            assert!(!host(&listed, "example.com", local));
        }
        assert!(host(&Sites::default(), "anything.example", "192.0.2.1:8080"));
        assert!(host(&sites(&["*"], &[]), "anything.example", "127.0.0.1:8080"));
    }

    #[test]
    fn an_origin_is_its_own_or_listed_exactly() {
        let sites = sites(&[], &["https://app.example.com", "http://localhost:3000"]);
        let may = |host: &str, origin: &str| sites.check_origin(&headers(host, origin)).is_ok();
        for (host, origin, right) in [
            ("md.example.com:8080", "", true),
            ("md.example.com:8080", "http://md.example.com:8080", true),
            ("md.example.com:8080", "https://md.example.com:8080", true),
            ("MD.example.com:8080", "http://md.example.com:8080", true),
            ("md.example.com", "https://md.example.com", true),
            ("md.example.com", "http://md.example.com", true),
            ("md.example.com:443", "https://md.example.com", true),
            ("md.example.com", "https://md.example.com:443", true),
            ("[::1]:8080", "http://[::1]:8080", true),
            ("md.example.com", "https://app.example.com", true),
            ("md.example.com", "https://app.example.com:443", true),
            ("md.example.com", "http://localhost:3000", true),
            ("md.example.com", "http://app.example.com", false),
            ("md.example.com", "https://app.example.com:8443", false),
            ("md.example.com", "https://app.example.com.evil.example", false),
            ("md.example.com", "https://evil.example/app.example.com", false),
            ("md.example.com", "https://evil-app.example.com", false),
            ("md.example.com", "https://x.app.example.com", false),
            ("md.example.com", "https://app.example.com.", false),
            ("md.example.com", "https://app.example.com/", false),
            ("md.example.com", "https://APP.example.com", false),
            ("md.example.com", "HTTPS://app.example.com", false),
            ("md.example.com", "https://app.example.com@evil.example", false),
            ("md.example.com", "https://user@app.example.com", false),
            ("md.example.com", "https://app.example.com:", false),
            ("md.example.com", "https://app.example.com:0443x", false),
            ("md.example.com", "app.example.com", false),
            ("md.example.com", "//app.example.com", false),
            ("md.example.com", "null", false),
            ("md.example.com", "file://", false),
            ("md.example.com", "chrome-extension://abcdefghijklmnop", false),
            ("md.example.com", "http://xn--app-example.com", false),
            ("md.example.com", "https://app.example.com https://evil.example", false),
            ("md.example.com", "https://*.example.com", false),
            ("md.example.com:8080", "http://md.example.com", false),
            ("md.example.com:8080", "http://md.example.com:8081", false),
            ("localhost:8080", "http://127.0.0.1:8080", false),
        ] {
            assert_eq!(may(host, origin), right, "{origin:?} at {host:?}");
        }
        let mut twice = headers("md.example.com", "https://app.example.com");
        twice.append(ORIGIN, "https://evil.example".parse().unwrap());
        assert!(sites.check_origin(&twice).is_err());
        let mut foreign = headers("md.example.com", "");
        foreign.insert(ORIGIN, "https://äpp.example.com".parse().unwrap());
        assert!(sites.check_origin(&foreign).is_err());
    }

    #[test]
    fn what_is_no_site_is_named() {
        let parse = |hosts: &[&str], origins: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
            Sites::parse(&owned(hosts), &owned(origins)).map_err(|error| error.to_string())
        };
        for wrong in ["https://example.com", "", "example.com:", "example.com:70000", "a b", "[::1"]
        {
            assert!(parse(&[wrong], &[]).unwrap_err().contains("example.com:8443"), "{wrong}");
        }
        for wrong in ["example.com", "ws://example.com", "https://", "https://example.com/x"] {
            assert!(parse(&[], &[wrong]).unwrap_err().contains("is no origin"), "{wrong}");
        }
    }
}
