//! The client side of the wire, shared by the tools: connect, handshake, subscribe, read frames.
//!
//! Written against the protocol and not against the server's code: a tool that measures and checks
//! a server must not share its mistakes. The decoders are public for those who fuzz them.

pub mod batch;
pub mod frame;
pub(crate) mod handshake;
pub(crate) mod http;
pub mod json;
pub(crate) mod message;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod tls;
pub(crate) mod token;

use std::time::Duration;

use clap::ValueEnum;

/// Longest that a connect, a handshake, or the answer to a request may take.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that is waited for the other side's close frame.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How data frames are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// Batches of binary DBN records.
    Dbn,
    /// JSON text.
    Json,
}

impl Encoding {
    /// Its WebSocket subprotocol.
    pub(crate) fn subprotocol(self) -> &'static str {
        match self {
            Self::Dbn => "broadtape.dbn.v1",
            Self::Json => "broadtape.json.v1",
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dbn => "dbn",
            Self::Json => "json",
        }
    }
}

/// Why a connection could not be established.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("can't connect to {address}: {reason}")]
    Refused { address: String, reason: std::io::Error },
    #[error("no TLS with {address}: {reason}")]
    Tls { address: String, reason: String },
    #[error("{address} did not answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Silent { address: String },
    #[error("{address} does not answer in HTTP: {reason}")]
    Foreign { address: String, reason: String },
    #[error("{address} answered {path} with HTTP {status}{body}")]
    Status { address: String, path: String, status: u16, body: String },
    #[error("{address} is no WebSocket server: {what}")]
    NoWebSocket { address: String, what: String },
    #[error("{address} is not a broadtape server: {what}")]
    NotBroadtape { address: String, what: String },
    #[error("{address} ended the connection before its welcome: {end}")]
    Ended { address: String, end: stream::End },
}
