//! What a request over HTTP is refused with: the same error body as on the stream.

use hyper::StatusCode;
use serde::Serialize;

/// A refused request: a status, and a body as requests on the stream get it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The protocol's code; differs from the status where HTTP means something else by it.
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: u16,
    reason: &'a str,
    message: &'a str,
}

impl Refusal {
    /// With the code that the status has.
    pub(super) fn new(status: StatusCode, reason: &'static str, message: String) -> Self {
        Self { status, code: status.as_u16(), reason, message }
    }

    /// 400, with a code of the protocol.
    pub(super) fn bad_request(code: u16, reason: &'static str, message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, reason, message }
    }

    /// `{"error":{"code":…,"reason":"…","message":"…"}}`
    pub(super) fn body(&self) -> Vec<u8> {
        let Self { code, reason, message, .. } = self;
        super::json(&Body { error: Error { code: *code, reason, message } })
    }
}
