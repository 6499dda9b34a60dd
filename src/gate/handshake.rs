//! The WebSocket handshake: which requests are one, and which of them are right (RFC 6455, 4.2.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::admission::Turned;
use super::auth::credential::SUBPROTOCOL;
use super::body::Body;
use super::names::is_name;
use super::security::Event;
use super::site::Sites;
use crate::limits::{RETRY_SECONDS, SESSION_NAME};
use crate::shard::command::Speech;
use crate::wire::encoding::Encoding;

/// The one version of the WebSocket protocol.
const VERSION: &str = "13";
const KEY_BYTES: usize = 16;
/// Of a cause that names a site.
const CAUSE_CHARS: usize = 200;
/// The reason of a refusal that is no fault of the client's.
const OVERLOAD: &str = "overload";

/// What a request is to the gate.
pub enum Verdict {
    /// For the pages.
    Page,
    /// A handshake that is right.
    Accepted {
        /// What the connection will talk.
        speech: Speech,
        /// What to agree to.
        subprotocol: Option<&'static str>,
        /// The session's name.
        name: Option<String>,
    },
    /// A handshake that is not.
    Refused(Refusal),
}

/// What is wrong with a handshake.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    reason: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, reason, message: message.into() }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// The security event that it is; none where nothing is wrong with the client.
    pub(super) fn event(&self) -> Option<Event> {
        let named = |event: &Event| event.name() == self.reason;
        let event = Event::ALL.into_iter().find(named).unwrap_or(Event::Handshake);
        (self.reason != "draining" && !self.is_overload()).then_some(event)
    }

    /// The cause for the log: what was sent is not in it, but the name of a site.
    pub(super) fn cause(&self) -> String {
        match self.reason {
            "host" | "origin" => self.message.chars().take(CAUSE_CHARS).collect(),
            reason => reason.to_owned(),
        }
    }

    /// Is it no fault of the client's?
    pub(super) fn is_overload(&self) -> bool {
        self.reason == OVERLOAD
    }

    /// One and the same, whatever was wrong with a token.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth_failed", "the token is not accepted")
    }

    /// A subject has as many connections as it may.
    pub(super) fn full(most: u32) -> Self {
        let says = format!("this subject has {most} connections, and may have no more");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", says)
    }

    /// Says so to the client, and closes the connection: what follows a handshake that failed may
    /// be anything.
    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.may_retry() {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        }
        response
    }

    /// The same, for a connection whose request has not been read.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (body, status) = (self.body(), self.status);
        let retry = match self.may_retry() {
            true => format!("retry-after: {RETRY_SECONDS}\r\n"),
            false => String::new(),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\ncache-control: no-store\r\n{retry}\r\n{body}",
            body.len()
        );
        head.into_bytes()
    }

    fn body(&self) -> String {
        let Self { status, reason, message } = self;
        let (code, error) = (status.as_u16(), "error");
        serde_json::json!({error: {"code": code, "reason": reason, "message": message}}).to_string()
    }

    fn may_retry(&self) -> bool {
        matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
    }
}

impl From<Turned> for Refusal {
    fn from(turned: Turned) -> Self {
        let status = match turned {
            Turned::Denied => StatusCode::FORBIDDEN,
            _ if turned.is_everybody() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, turned.event().name(), turned.words())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.message)
    }
}

/// Is a request what it seems, to this server as to a proxy before it? No page of ours takes a body
/// in chunks, so there is no reason to send one; a target with a host in it is a proxy's.
///
/// # Errors
/// [`Refusal`] says what is odd.
pub fn check_form<B>(request: &Request<B>) -> Result<(), Refusal> {
    let refused = |says: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "request", says));
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return refused("a request has no Transfer-Encoding here");
    }
    if request.uri().authority().is_some() || request.method() == Method::CONNECT {
        return refused("a request names its path alone: this is no proxy");
    }
    Ok(())
}

/// Why no handshake is accepted, however right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The server is shutting down.
    Draining,
    /// It can serve no more clients.
    Overloaded,
}

impl Shut {
    fn refusal(self) -> Refusal {
        let (reason, message) = match self {
            Self::Draining => {
                ("draining", "the server is shutting down: connect anew in a few seconds")
            }
            Self::Overloaded => {
                (OVERLOAD, "the server can serve no more clients now: try again in a while")
            }
        };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, message)
    }
}

/// Is this request a handshake, and a right one?
pub fn judge<B>(request: &Request<B>, sites: &Sites, echo: bool, shut: Option<Shut>) -> Verdict {
    let path = request.uri().path();
    let wants = path == "/v1/stream" || path == "/v1/echo" && echo;
    let asks = request.headers().contains_key(SEC_WEBSOCKET_KEY)
        || has_token(request.headers(), &UPGRADE, "websocket");
    if !wants || !asks {
        return Verdict::Page;
    }
    let accepted = check(request, sites).and_then(|()| agree(request, path == "/v1/echo"));
    match (accepted, shut) {
        (Ok(_), Some(shut)) => Verdict::Refused(shut.refusal()),
        (Ok(Agreed { speech, subprotocol, name }), None) => {
            Verdict::Accepted { speech, subprotocol, name }
        }
        (Err(refusal), _) => Verdict::Refused(refusal),
    }
}

/// Everything that RFC 6455 asks of a handshake, and the origin.
fn check<B>(request: &Request<B>, sites: &Sites) -> Result<(), Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET {
        let says = format!("a handshake is a GET, not a {}", request.method());
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", says));
    }
    if single(headers, &CONTENT_LENGTH)?.is_some_and(|length| length != "0") {
        return Err(Refusal::malformed("a handshake has no body"));
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::malformed("a handshake is HTTP/1.1"));
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refusal::malformed("Upgrade has to be websocket"));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::malformed("Connection has to name Upgrade"));
    }
    match single(headers, &SEC_WEBSOCKET_VERSION)? {
        Some(VERSION) => {}
        other => {
            let says = format!("Sec-WebSocket-Version is {other:?}: 13 is spoken here");
            return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "version", says));
        }
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY)?.unwrap_or_default();
    if STANDARD.decode(key).map(|key| key.len()) != Ok(KEY_BYTES) {
        return Err(Refusal::malformed("Sec-WebSocket-Key has to be 16 bytes in base64"));
    }
    single(headers, &HOST)?.ok_or_else(|| Refusal::malformed("there is no Host"))?;
    sites.check_origin(headers)
}

/// What is agreed on.
struct Agreed {
    speech: Speech,
    subprotocol: Option<&'static str>,
    name: Option<String>,
}

/// The encoding: by subprotocol, else by query, else JSON.
fn agree<B>(request: &Request<B>, echo: bool) -> Result<Agreed, Refusal> {
    if echo {
        return Ok(Agreed { speech: Speech::Echo, subprotocol: None, name: None });
    }
    let (queried, name) = queried(request.uri().query().unwrap_or_default())?;
    let mut offered = offers(request.headers()).peekable();
    if offered.peek().is_none() {
        let speech = Speech::Stream(queried.unwrap_or(Encoding::Json));
        return Ok(Agreed { speech, subprotocol: None, name });
    }
    match offered.find_map(Encoding::from_subprotocol) {
        Some(encoding) => {
            let subprotocol = Some(encoding.subprotocol());
            Ok(Agreed { speech: Speech::Stream(encoding), subprotocol, name })
        }
        None => {
            let known = Encoding::ALL.map(Encoding::subprotocol).join(" or ");
            Err(Refusal::malformed(format!("no known subprotocol is offered: there is {known}")))
        }
    }
}

/// The encoding and the session's name that the address asks for.
fn queried(query: &str) -> Result<(Option<Encoding>, Option<String>), Refusal> {
    let (mut encoding, mut session) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("encoding", name)) => {
                encoding = Some(Encoding::from_name(name).ok_or_else(|| {
                    Refusal::malformed(format!("encoding is {name:?}: there is dbn and json"))
                })?);
            }
            Some(("session", name)) if is_name(name) => session = Some(name.to_owned()),
            Some(("session", _)) => {
                return Err(Refusal::malformed(format!(
                    "session is 1 to {SESSION_NAME} letters, digits, and characters of -_."
                )));
            }
            _ => {
                // Its value may be a token: that is neither answered nor logged.
                let name = pair.split('=').next().unwrap_or_default();
                let says = match name {
                    "token" | "access_token" | "api_key" | "key" | "auth" | "jwt" => {
                        "a token never stands in an address, which logs keep: give it in \
                         Authorization, as a subprotocol, or by auth"
                            .to_owned()
                    }
                    _ => format!(
                        "query parameter {name:?} is not known: there are encoding, session"
                    ),
                };
                return Err(Refusal::malformed(says));
            }
        }
    }
    Ok((encoding, session))
}

fn offers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let lists = lists.filter_map(|list| list.to_str().ok());
    let offers = lists.flat_map(|list| list.split(',')).map(str::trim);
    offers.filter(|offer| !offer.starts_with(SUBPROTOCOL))
}

/// The value of a header that may stand there once.
pub(super) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Refusal::malformed(format!("there is more than one {name}")));
    }
    value
        .map(|value| value.to_str().map(str::trim))
        .transpose()
        .map_err(|_| Refusal::malformed(format!("{name} is not plain text")))
}

/// Does a header list this token, whatever its case?
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lists = headers.get_all(name).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(token))
}

/// The answer to a handshake that is right.
pub(super) fn accepted(
    upgrade: Response<Empty<Bytes>>,
    subprotocol: Option<&'static str>,
) -> Response<Body> {
    let mut response = upgrade.map(|_| Body::from(Bytes::new()));
    if let Some(subprotocol) = subprotocol {
        let value = HeaderValue::from_static(subprotocol);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(change: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/v1/stream")
            .header("host", "localhost:8080")
            .header("upgrade", "websocket")
            .header("connection", "keep-alive, Upgrade")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(())
            .unwrap();
        for (name, value) in change {
            let name: HeaderName = name.parse().unwrap();
            match *value {
                "" => drop(request.headers_mut().remove(name)),
                value => drop(request.headers_mut().insert(name, value.parse().unwrap())),
            }
        }
        request
    }

    fn status(request: &Request<()>) -> u16 {
        match judge(request, &Sites::default(), false, None) {
            Verdict::Page => 0,
            Verdict::Accepted { .. } => 101,
            Verdict::Refused(refusal) => refusal.status.as_u16(),
        }
    }

    #[test]
    fn what_is_not_right_is_refused() {
        for (change, expected) in [
            (&[][..], 101),
            (&[("upgrade", ""), ("sec-websocket-key", "")], 0),
            (&[("upgrade", "h2c")], 400),
            (&[("connection", "keep-alive")], 400),
            (&[("sec-websocket-version", "12")], 426),
            (&[("sec-websocket-version", "")], 426),
            (&[("sec-websocket-key", "c2hvcnQ=")], 400),
            (&[("sec-websocket-key", "not base64 at all!!!!!!!")], 400),
            (&[("host", "")], 400),
            (&[("origin", "http://localhost:8080")], 101),
            (&[("origin", "http://localhost:8081")], 403),
            (&[("origin", "http://localhost:8080.evil.example")], 403),
            (&[("origin", "null")], 403),
            (&[("sec-websocket-protocol", "broadtape.dbn.v1, other")], 101),
            (&[("sec-websocket-protocol", "other")], 400),
        ] {
            assert_eq!(status(&handshake(change)), expected, "{change:?}");
        }
        let mut twice = handshake(&[]);
        twice.headers_mut().append("host", "other".parse().unwrap());
        assert_eq!(status(&twice), 400);
    }

    #[test]
    fn the_subprotocol_goes_before_the_query() {
        let speech = |uri: &str, change: &[(&str, &str)]| {
            let mut request = handshake(change);
            *request.uri_mut() = uri.parse().unwrap();
            match judge(&request, &Sites::default(), true, None) {
                Verdict::Accepted { speech, .. } => Some(speech),
                _ => None,
            }
        };
        let dbn = [("sec-websocket-protocol", "broadtape.dbn.v1")];
        assert_eq!(speech("/v1/stream", &[]), Some(Speech::Stream(Encoding::Json)));
        assert_eq!(speech("/v1/stream?encoding=dbn", &[]), Some(Speech::Stream(Encoding::Dbn)));
        assert_eq!(speech("/v1/stream?encoding=json", &dbn), Some(Speech::Stream(Encoding::Dbn)));
        assert_eq!(speech("/v1/stream?encoding=xml", &[]), None);
        assert_eq!(speech("/v1/stream?colour=red", &[]), None);
        let named = speech("/v1/stream?session=desk-7&encoding=dbn", &[]);
        assert_eq!(named, Some(Speech::Stream(Encoding::Dbn)));
        assert_eq!(speech("/v1/stream?session=", &[]), None);
        assert_eq!(speech("/v1/stream?session=a%20b", &[]), None);
        assert_eq!(speech("/v1/echo", &[]), Some(Speech::Echo));
    }
}
