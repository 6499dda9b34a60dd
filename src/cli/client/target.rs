//! Where the server is: the URL forms that the tools take.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

use super::tls::{Tls, TlsArgs, TrustError};
use crate::wire::grant::Secret;

/// The port of a server that was started without `--listen`.
const DEFAULT_PORT: u16 = 8080;
/// Where the stream is on every broadtape server.
const STREAM_PATH: &str = "/v1/stream";

/// A server's address and the path of its stream.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    host: String,
    port: u16,
    path: String,
    /// No path was typed.
    bare: bool,
    /// What to say who we are by.
    token: Option<Secret>,
    /// What its connections are encrypted with, where they are.
    tls: Option<Tls>,
}

/// A URL that names no server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TargetError {
    #[error("{0:?} is no URL; write ws[s]://HOST:PORT/v1/stream, http[s]://HOST:PORT or HOST:PORT")]
    NoUrl(String),
    #[error("{0:?} is not a scheme of a server; use ws://, wss://, http:// or https://")]
    Scheme(String),
}

impl Target {
    /// Host and port as a socket address or a `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The server as one that is no broadtape server: without a path, its root is meant.
    pub(crate) fn at_root(self) -> Self {
        let path = if self.bare { self.path.replacen(STREAM_PATH, "/", 1) } else { self.path };
        Self { path, ..self }
    }

    /// The same, with what to say who we are by.
    pub(crate) fn with_token(self, token: Option<Secret>) -> Self {
        Self { token, ..self }
    }

    /// The same, trusting whom the flags say where it is encrypted.
    ///
    /// # Errors
    /// [`TrustError`]: flags of TLS for a server without it, too.
    pub(crate) fn with_trust(self, args: &TlsArgs) -> Result<Self, TrustError> {
        let tls = match (self.tls.clone(), args.flag()) {
            (Some(tls), _) => Some(tls.trusting(args)?),
            (None, None) => None,
            (None, Some(flag)) => return Err(TrustError::Plain { flag, url: self.to_string() }),
        };
        Ok(Self { tls, ..self })
    }

    /// What its connections are encrypted with, where they are.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What to say who we are by.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Host and port, as the system's resolver takes them.
    pub(crate) fn address(&self) -> (&str, u16) {
        (bare(&self.host), self.port)
    }

    /// The path and query of the stream.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let no_url = || TargetError::NoUrl(text.to_owned());
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(s, r)| (Some(s), r));
        let (default_port, encrypted) = match scheme {
            None => (DEFAULT_PORT, false),
            Some("ws" | "http") => (80, false),
            Some("wss" | "https") => (443, true),
            Some(other) => return Err(TargetError::Scheme(other.to_owned())),
        };
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| no_url())?;
        let authority = uri.authority().filter(|a| !a.as_str().contains('@'));
        let authority = authority.ok_or_else(no_url)?;
        let after_host = &authority.as_str()[authority.host().len()..];
        let port = match (authority.port_u16(), after_host) {
            (Some(0), _) => return Err(no_url()),
            (Some(port), _) => port,
            (None, "") => default_port,
            (None, _) => return Err(no_url()),
        };
        let host = authority.host();
        let tls = match encrypted {
            true => Some(Tls::new(bare(host)).ok_or_else(no_url)?),
            false => None,
        };
        let bare = matches!(uri.path(), "" | "/");
        let path = if bare { STREAM_PATH } else { uri.path() };
        let path = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        Ok(Self { host: host.to_owned(), port, path, bare, token: None, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_url_names_the_stream() {
        for (text, url) in [
            ("ws://h:9000/v1/stream", "ws://h:9000/v1/stream"),
            ("http://h:9000", "ws://h:9000/v1/stream"),
            ("http://h:9000/", "ws://h:9000/v1/stream"),
            ("h:9000", "ws://h:9000/v1/stream"),
            ("h", "ws://h:8080/v1/stream"),
            ("ws://h", "ws://h:80/v1/stream"),
            ("[::1]:9000", "ws://[::1]:9000/v1/stream"),
            ("127.0.0.1:1/other?a=b", "ws://127.0.0.1:1/other?a=b"),
            ("h:1?session=x", "ws://h:1/v1/stream?session=x"),
            ("wss://h", "wss://h:443/v1/stream"),
            ("https://h:8443/", "wss://h:8443/v1/stream"),
            ("wss://[::1]/s", "wss://[::1]:443/s"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), url, "{text}");
        }
        let six: Target = "[::1]:7".parse().unwrap();
        assert_eq!((six.authority().as_str(), six.address()), ("[::1]:7", ("::1", 7)));
    }

    #[test]
    fn another_server_is_meant_at_its_root() {
        for (text, url) in [
            ("h:1", "ws://h:1/"),
            ("ws://h:1/?a", "ws://h:1/?a"),
            ("h:1/v1/stream", "ws://h:1/v1/stream"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().at_root().to_string(), url, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_says_what_would_be() {
        for bad in ["", "ws://", "h:port", "h:99999", "h:0", "two words", "user@h:1", "h:"] {
            assert!(matches!(bad.parse::<Target>(), Err(TargetError::NoUrl(_))), "{bad:?}");
        }
        assert!(matches!("wss://-h-".parse::<Target>(), Err(TargetError::NoUrl(_))));
        assert!(matches!("ftp://h".parse::<Target>(), Err(TargetError::Scheme(_))));
    }
}
