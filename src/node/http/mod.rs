//! The HTTP pages: the live page, health, metrics, and what there is, as JSON.
//!
//! [`answer`] is a function of a request and a [`Status`]; the gate calls it for every request that
//! is not the stream's. Bodies of requests are never read. Every integer of 64 bits is a decimal
//! string in JSON, as on the stream.

mod access;
mod decimal;
mod download;
mod exposition;
mod health;
mod listing;
mod metrics;
mod overview;
mod query;
mod refusal;
mod tape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use rand::TryRng;
use rand::rngs::SysRng;
use serde::Serialize;

use super::report::Status;
use crate::gate::{Body, Pieces};
use crate::wire::grant::Rights;

pub use download::Downloads;
use query::Query;
pub(super) use refusal::Refusal;

/// The live page; `NONCE` stands where its own script and style carry their pass.
const INDEX: &str = include_str!("index.html");
const NONCE: &str = "{{nonce}}";

/// The content policy of everything that is no page.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What can be asked for.
#[derive(Clone, Copy)]
enum Page {
    Index,
    Healthz,
    Readyz,
    Metrics,
    Status,
    Latency,
    Instruments,
    Last,
    Recordings,
    Sessions,
    Stream,
}

const PAGES: [(&str, Page); 11] = [
    ("/", Page::Index),
    ("/healthz", Page::Healthz),
    ("/readyz", Page::Readyz),
    ("/metrics", Page::Metrics),
    ("/v1/status", Page::Status),
    ("/v1/latency", Page::Latency),
    ("/v1/instruments", Page::Instruments),
    ("/v1/last", Page::Last),
    ("/v1/recordings", Page::Recordings),
    ("/v1/sessions", Page::Sessions),
    ("/v1/stream", Page::Stream),
];

/// Who asks, and so which pages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody, where the operator has no listener of its own.
    All,
    /// Everybody; what is the operator's is on a listener of its own.
    Public,
    /// The operator.
    Operator,
}

impl Scope {
    fn has(self, page: Page) -> bool {
        match self {
            Self::All => true,
            Self::Public => !matches!(page, Page::Metrics | Page::Sessions),
            Self::Operator => !matches!(page, Page::Index | Page::Stream),
        }
    }

    fn pages(self) -> impl Iterator<Item = (&'static str, Page)> {
        PAGES.into_iter().filter(move |(_, page)| self.has(*page))
    }
}

/// What an answer carries.
enum Payload {
    Whole(Vec<u8>),
    Pieces(Pieces),
}

/// A good answer.
struct Reply {
    kind: &'static str,
    body: Payload,
    policy: Cow<'static, str>,
}

impl Reply {
    fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = Payload::Whole(body.into());
        Self { kind, body, policy: Cow::Borrowed(NO_CONTENT) }
    }
}

/// Answers a request that does not upgrade.
pub async fn answer<B, S: Status>(
    request: &Request<B>,
    status: &S,
    scope: Scope,
) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    response(reply(request, status, scope).await, is_head)
}

/// The answer to a request to the operator's listener that is no operator's, and the reason in it.
/// Health is for everybody.
pub(super) fn no_operator<B>(request: &Request<B>) -> Option<(&'static str, Response<Body>)> {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return None;
    }
    let refusal = access::operator(request.extensions().get()).err()?;
    Some((refusal.reason, response(Err(refusal), false)))
}

/// What an order has come to.
pub(super) fn told(value: &serde_json::Value) -> Response<Body> {
    response(Ok(Reply::new(JSON, json(value))), false)
}

/// Why an order is not followed.
pub(super) fn refused(refusal: Refusal) -> Response<Body> {
    response(Err(refusal), false)
}

/// Refuses a request to what takes no parameters, where it has some.
pub(super) fn takes_no_query<B>(request: &Request<B>) -> Result<(), Refusal> {
    Query::parse(request.uri().query(), &[]).map(drop)
}

fn response(reply: Result<Reply, Refusal>, head: bool) -> Response<Body> {
    let allow = reply.as_ref().err().and_then(|refusal| refusal.allow);
    let (code, Reply { kind, body, policy }) = match reply {
        Ok(reply) => (StatusCode::OK, reply),
        Err(refusal) => (refusal.status, Reply::new(JSON, refusal.body())),
    };
    let (length, body) = match body {
        Payload::Whole(body) => {
            (Some(body.len()), Body::from(if head { Vec::new() } else { body }))
        }
        Payload::Pieces(_) if head => (None, Body::from(Vec::new())),
        Payload::Pieces(pieces) => (None, Body::of(pieces)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let mut set = |name: HeaderName, value| {
        response.headers_mut().insert(name, value);
    };
    set(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = length {
        set(CONTENT_LENGTH, HeaderValue::from(length));
    }
    set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        set(CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(allow) = allow {
        set(ALLOW, HeaderValue::from_static(allow));
    }
    match code {
        StatusCode::UNAUTHORIZED => set(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        StatusCode::UPGRADE_REQUIRED => {
            set(UPGRADE, HeaderValue::from_static("websocket"));
            // What follows a handshake that a proxy has spoiled may be anything.
            set(CONNECTION, HeaderValue::from_static("upgrade, close"));
        }
        _ => {}
    }
    response
}

async fn reply<B, S: Status>(
    request: &Request<B>,
    status: &S,
    scope: Scope,
) -> Result<Reply, Refusal> {
    let (path, query) = (request.uri().path(), request.uri().query());
    let page = scope.pages().find(|(known, _)| *known == path).map(|(_, page)| page);
    let file = path.strip_prefix(download::UNDER).filter(|file| !file.is_empty());
    if page.is_none() && file.is_none() {
        return Err(not_found(path, scope));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let message = format!("{path} answers GET and HEAD, not {}", request.method());
        return Err(Refusal::method_not_allowed("GET, HEAD", message));
    }
    let json = |body: Vec<u8>| Reply::new(JSON, body);
    let rights = access::rights(page.as_ref(), request.extensions().get())?;
    let Some(page) = page else {
        let head = request.method() == Method::HEAD;
        return download::begin(file.unwrap_or_default(), query, head, status, rights).await;
    };
    match page {
        Page::Instruments => listing::instruments(query, status.directory(), rights).map(json),
        Page::Last => listing::last(query, status, rights).await.map(json),
        Page::Sessions => listing::sessions(query, status).await.map(json),
        Page::Stream => Err(upgrade_required()),
        plain => {
            takes_no_query(request)?;
            without_query(plain, status, rights).await
        }
    }
}

/// The pages that take no parameters.
async fn without_query<S: Status>(
    page: Page,
    status: &S,
    rights: Option<&Rights>,
) -> Result<Reply, Refusal> {
    Ok(match page {
        Page::Healthz => Reply::new(TEXT, "ok\n"),
        Page::Readyz => {
            status.readiness().map_err(not_ready)?;
            // Who streams is ready; that nothing is recorded is for people to know.
            let failure = status.recorder().and_then(|recorder| recorder.health.failure);
            let tape = failure.map(|failure| format!("; not recording: {failure}"));
            let health = health::words(&status.health());
            Reply::new(TEXT, format!("ready{}{health}\n", tape.unwrap_or_default()))
        }
        Page::Metrics => {
            let (feed, shards) = (status.feed().await, status.shards().await);
            let ready = status.readiness().is_ok();
            let recorder = status.recorder();
            let gate = [status.refusals(), status.security()];
            let page = metrics::page(status.info(), ready, &feed, &shards, &gate);
            let tape = recorder.map(|recorder| tape::page(&recorder));
            let health = health::page(&status.health());
            let tls = status.tls().map(|tls| metrics::tls(&tls)).unwrap_or_default();
            let tape = tape.unwrap_or_default() + &tape::downloads(status).await;
            Reply::new(PROMETHEUS, page + &health + &tape + &tls)
        }
        Page::Status => Reply::new(JSON, overview::status(status).await),
        Page::Latency => Reply::new(JSON, overview::latency(status).await),
        Page::Recordings => Reply::new(JSON, tape::recordings(&status.recordings().await, rights)),
        _ => index(),
    })
}

/// The live page runs its own script and style and asks its own server; nothing else, nowhere else.
fn index() -> Reply {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    Reply { policy: Cow::Owned(policy), ..Reply::new(HTML, INDEX.replace(NONCE, &nonce)) }
}

fn not_ready(why: String) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why)
}

fn not_found(path: &str, scope: Scope) -> Refusal {
    let pages: Vec<_> = scope.pages().map(|(path, _)| path).collect();
    let message = format!("there is no {path}; there are {}", pages.join(", "));
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

fn upgrade_required() -> Refusal {
    let message = "this is a WebSocket: connect with ws://, as in websocat ws://HOST/v1/stream";
    Refusal::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message.to_owned())
}

/// What nobody can guess; where the system has no randomness, the page gets no script.
fn nonce() -> String {
    match (SysRng.try_next_u64(), SysRng.try_next_u64()) {
        (Ok(high), Ok(low)) => format!("{high:016x}{low:016x}"),
        _ => String::new(),
    }
}

/// A value as JSON. Nothing here has a form that JSON lacks.
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
