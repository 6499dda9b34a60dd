//! HTTP/1.1 towards a server: its JSON pages, and the upgrade of a connection to a WebSocket.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake as http1};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::Handshake;
use super::target::Target;
use super::tls::{self, Tls};
use super::{ANSWER_TIMEOUT, ConnectError, Encoding};

/// Bytes of a page at most.
const PAGE_MAX: usize = 64 << 20;
/// Characters of an answer's body that an error message quotes.
const QUOTE_MAX: usize = 200;
/// Room for an answer to an upgrade, to begin with.
const ANSWER_BYTES: usize = 1 << 10;

/// Bytes both ways, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that was upgraded, and what had arrived behind the server's answer.
pub(crate) struct Upgraded {
    pub(crate) socket: Box<dyn Duplex>,
    pub(crate) leftover: Vec<u8>,
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
    let request = match target.token() {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {}", token.expose())),
        None => request,
    };
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
        let mut socket = connect(target).await?;
        let (handshake, request) = Handshake::new(target, Some(encoding.subprotocol()))?;
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        // Where that fails, reading says why, perhaps with an alert before.
        if socket.write_all(&request).await.is_ok() {
            socket.flush().await.unwrap_or_default();
        }
        loop {
            let read = socket.read_buf(&mut answer).await.map_err(|e| broken(target, &e))?;
            if let Some(head) = handshake.answer(target, &answer, read == 0)? {
                return Ok(Upgraded { socket, leftover: answer.split_off(head) });
            }
        }
    })
    .await
}

async fn connect(target: &Target) -> Result<Box<dyn Duplex>, ConnectError> {
    let address = target.authority();
    let socket = TcpStream::connect(&address).await;
    let socket = socket.and_then(|socket| socket.set_nodelay(true).map(|()| socket));
    let socket = socket.map_err(|reason| ConnectError::Refused { address, reason })?;
    match target.tls() {
        None => Ok(Box::new(socket)),
        Some(tls) => encrypt(target, tls, socket).await,
    }
}

async fn encrypt(
    target: &Target,
    tls: &Tls,
    socket: TcpStream,
) -> Result<Box<dyn Duplex>, ConnectError> {
    match tls.connect(socket).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let (address, reason) = (target.authority(), tls::unmade(&error));
            Err(ConnectError::Tls { address, reason })
        }
    }
}

async fn dial(target: &Target) -> Result<SendRequest<Empty<Bytes>>, ConnectError> {
    let socket = TokioIo::new(connect(target).await?);
    let (sender, connection) = http1(socket).await.map_err(|e| foreign(target, e))?;
    // Its errors reach the sender as well.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
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

/// The server's last word of TLS may be behind our handshake: that it wants a certificate.
fn broken(target: &Target, error: &io::Error) -> ConnectError {
    match tls::of(error) {
        Some(error) => {
            ConnectError::Tls { address: target.authority(), reason: tls::explain(error) }
        }
        None => foreign(target, error),
    }
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
