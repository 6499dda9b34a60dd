//! What a request over HTTP is refused with: the same error body as on the stream.

use hyper::StatusCode;
use serde::Serialize;

/// A refused request: a status, and a body as requests on the stream get it.
#[derive(Debug)]
pub(in crate::node) struct Refusal {
    pub(super) status: StatusCode,
    /// The protocol's code; differs from the status where HTTP means something else by it.
    pub(super) code: u16,
    pub(in crate::node) reason: &'static str,
    pub(super) message: String,
    /// The methods that would be right, where another was used.
    pub(super) allow: Option<&'static str>,
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
        Self { status, code: status.as_u16(), reason, message, allow: None }
    }

    /// 400, with a code of the protocol.
    pub(super) fn bad_request(code: u16, reason: &'static str, message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, reason, message, allow: None }
    }

    /// 405, with the methods that would be right.
    pub(in crate::node) fn method_not_allowed(allow: &'static str, message: String) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        Self { allow: Some(allow), ..refusal }
    }

    /// `{"error":{"code":…,"reason":"…","message":"…"}}`
    pub(super) fn body(&self) -> Vec<u8> {
        let Self { code, reason, message, .. } = self;
        super::json(&Body { error: Error { code: *code, reason, message } })
    }
}
