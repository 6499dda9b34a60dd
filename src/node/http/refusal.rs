//! What a request over HTTP is refused with: the same error body as on the stream.

use hyper::StatusCode;
use serde::Serialize;

/// A refused request: a status, and a body as requests on the stream get it.
#[derive(Debug)]
pub(in crate::node) struct Refusal {
    pub(in crate::node) status: StatusCode,
    /// The protocol's code; differs from the status where HTTP means something else by it.
    pub(in crate::node) code: u16,
    pub(in crate::node) reason: &'static str,
    pub(in crate::node) message: String,
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
    pub(in crate::node) fn new(status: StatusCode, reason: &'static str, message: String) -> Self {
        Self { status, code: status.as_u16(), reason, message }
    }

    /// 400, with a code of the protocol.
    pub(in crate::node) fn bad_request(code: u16, reason: &'static str, message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, reason, message }
    }

    /// `{"error":{"code":…,"reason":"…","message":"…"}}`
    pub(in crate::node) fn body(&self) -> Vec<u8> {
        let Self { code, reason, message, .. } = self;
        super::json(&Body { error: Error { code: *code, reason, message } })
    }
}
