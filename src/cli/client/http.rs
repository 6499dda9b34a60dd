//! HTTP/1.1 towards a server: its JSON pages, and the upgrade of a connection to a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::handshake::generate_key;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::target::Target;
use super::{ANSWER_TIMEOUT, ConnectError, Encoding};

/// Bytes of a page at most.
const PAGE_MAX: usize = 64 << 20;
/// Characters of an answer's body that an error message quotes.
const QUOTE_MAX: usize = 200;

type Page = Request<Empty<Bytes>>;

/// A connection that was upgraded, and what had arrived behind the server's answer.
pub(crate) struct Upgraded {
    pub(crate) socket: TcpStream,
    pub(crate) leftover: Bytes,
}

/// The JSON document at `path` of a server.
///
/// # Errors
/// [`ConnectError`] where there is no server, no such page, or something else on it.
pub(crate) async fn get_json<T: DeserializeOwned>(
    target: &Target,
    path: &str,
) -> Result<T, ConnectError> {
    let request = Request::get(path).header(HOST, target.authority());
    let request = request.body(Empty::new()).map_err(|e| foreign(target, e))?;
    within(target, ANSWER_TIMEOUT, async {
        let response = dial(target).await?.send_request(request).await;
        let response = response.map_err(|e| foreign(target, e))?;
        if response.status() != StatusCode::OK {
            return Err(refused(target, path, response).await);
        }
        let body = Limited::new(response, PAGE_MAX).collect().await;
        let body = body.map_err(|e| foreign(target, e))?.to_bytes();
        serde_json::from_slice(&body).map_err(|e| {
            let what = format!("{path} holds something else than expected: {e}");
            ConnectError::NotBroadtape { address: target.authority(), what }
        })
    })
    .await
}

/// Connects, and upgrades to a stream of this encoding.
///
/// # Errors
/// [`ConnectError`] says which step failed, and what the server answered instead.
pub(crate) async fn upgrade(target: &Target, encoding: Encoding) -> Result<Upgraded, ConnectError> {
    within(target, ANSWER_TIMEOUT, async {
        let mut request = upgrade_request(target, encoding).map_err(|e| foreign(target, e))?;
        let expected = fastwebsockets::upgrade::upgrade(&mut request);
        let (expected, _) = expected.map_err(|e| foreign(target, e))?;
        let response = dial(target).await?.send_request(request).await;
        let mut response = response.map_err(|e| foreign(target, e))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refused(target, target.path(), response).await);
        }
        verify(response.headers(), expected.headers(), encoding)
            .map_err(|what| ConnectError::NotBroadtape { address: target.authority(), what })?;
        let upgraded = hyper::upgrade::on(&mut response).await;
        let parts = upgraded.map_err(|e| foreign(target, e))?.downcast::<TokioIo<TcpStream>>();
        let parts = parts.map_err(|_| foreign(target, "the connection changed its type"))?;
        Ok(Upgraded { socket: parts.io.into_inner(), leftover: parts.read_buf })
    })
    .await
}

fn upgrade_request(target: &Target, encoding: Encoding) -> Result<Page, hyper::http::Error> {
    Request::get(target.path())
        .header(HOST, target.authority())
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Protocol", encoding.subprotocol())
        .body(Empty::new())
}

/// Compares a 101 with the one that the request must get (RFC 6455, 4.1).
fn verify(got: &HeaderMap, expected: &HeaderMap, encoding: Encoding) -> Result<(), String> {
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("nothing").to_owned()
    };
    if !text(got, "upgrade").eq_ignore_ascii_case("websocket") {
        return Err(format!("it upgraded to {:?}, not to websocket", text(got, "upgrade")));
    }
    if got.get("sec-websocket-accept") != expected.get("sec-websocket-accept") {
        return Err("its Sec-WebSocket-Accept does not answer the key".to_owned());
    }
    let protocol = text(got, "sec-websocket-protocol");
    if protocol == encoding.subprotocol() {
        return Ok(());
    }
    Err(format!("of subprotocol {} it answered {protocol}", encoding.subprotocol()))
}

async fn dial(target: &Target) -> Result<SendRequest<Empty<Bytes>>, ConnectError> {
    let address = target.authority();
    let socket = TcpStream::connect(&address).await;
    let socket = socket.and_then(|socket| socket.set_nodelay(true).map(|()| socket));
    let socket = socket.map_err(|reason| ConnectError::Refused { address, reason })?;
    let (sender, connection) =
        handshake(TokioIo::new(socket)).await.map_err(|e| foreign(target, e))?;
    // Its errors reach the sender as well.
    tokio::spawn(async move { connection.with_upgrades().await.unwrap_or_default() });
    Ok(sender)
}

async fn within<T>(
    target: &Target,
    limit: Duration,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let silent = |_| ConnectError::Silent { address: target.authority() };
    timeout(limit, work).await.map_err(silent)?
}

fn foreign(target: &Target, reason: impl ToString) -> ConnectError {
    ConnectError::Foreign { address: target.authority(), reason: reason.to_string() }
}

/// Quotes an answer that is not the one that was asked for.
async fn refused(target: &Target, path: &str, response: Response<Incoming>) -> ConnectError {
    let status = response.status().as_u16();
    let body = Limited::new(response, PAGE_MAX).collect().await;
    let body = body.map(|b| b.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let quote: String = text.trim().chars().take(QUOTE_MAX).collect();
    let body = if quote.is_empty() { quote } else { format!(": {quote}") };
    ConnectError::Status { address: target.authority(), path: path.to_owned(), status, body }
}
