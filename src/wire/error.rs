//! What a request is refused with: a code as in HTTP, a reason for programs, words for people.

use std::borrow::Cow;

/// Why something that a client asked for was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// Not JSON, or not a request.
    Malformed,
    /// A method that this server does not have.
    UnknownMethod,
    /// A parameter that is missing, unknown, of the wrong type or out of range.
    BadParams,
    /// It has not said who it is, and has to.
    NotAuthenticated,
    /// What it said who it is by is not accepted.
    AuthFailed,
    /// Not for who it is.
    NotEntitled,
    /// No instrument has this symbol, or none of its feeds bring the schema for it.
    UnknownSymbol,
    /// No such schema, or no feed brings it.
    UnknownSchema,
    /// This connection has no such subscription.
    UnknownSubscription,
    /// There is no recording of this name.
    UnknownRecording,
    /// More symbols or patterns than one request may hold.
    TooManySymbols,
    /// More subscriptions than one connection may hold.
    TooManySubscriptions,
    /// More connections than its grant gives.
    TooManyConnections,
    /// Understood, but not in the state that the connection or the server is in.
    WrongState,
    /// The position is older than what is retained, or of an unknown epoch.
    NotRetained,
    /// More requests than the rate allows.
    TooManyRequests,
    /// A fault of the server.
    Internal,
    /// The server drains: it takes no new subscriptions.
    Draining,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Malformed,
        Self::UnknownMethod,
        Self::BadParams,
        Self::NotAuthenticated,
        Self::AuthFailed,
        Self::NotEntitled,
        Self::UnknownSymbol,
        Self::UnknownSchema,
        Self::UnknownSubscription,
        Self::UnknownRecording,
        Self::TooManySymbols,
        Self::TooManySubscriptions,
        Self::TooManyConnections,
        Self::WrongState,
        Self::NotRetained,
        Self::TooManyRequests,
        Self::Internal,
        Self::Draining,
    ];

    /// The number in `error.code`.
    pub const fn code(self) -> u16 {
        match self {
            Self::Malformed | Self::UnknownMethod | Self::BadParams => 400,
            Self::NotAuthenticated => 401,
            Self::AuthFailed => 402,
            Self::NotEntitled => 403,
            Self::UnknownSymbol
            | Self::UnknownSchema
            | Self::UnknownSubscription
            | Self::UnknownRecording => 404,
            Self::TooManySymbols => 405,
            Self::TooManySubscriptions | Self::TooManyConnections => 406,
            Self::WrongState => 409,
            Self::NotRetained => 410,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Draining => 503,
        }
    }

    /// The word in `error.reason`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownMethod => "unknown_method",
            Self::BadParams => "bad_params",
            Self::NotAuthenticated => "not_authenticated",
            Self::AuthFailed => "auth_failed",
            Self::NotEntitled => "not_entitled",
            Self::UnknownSymbol => "unknown_symbol",
            Self::UnknownSchema => "unknown_schema",
            Self::UnknownSubscription => "unknown_subscription",
            Self::UnknownRecording => "unknown_recording",
            Self::TooManySymbols => "too_many_symbols",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyConnections => "too_many_connections",
            Self::WrongState => "wrong_state",
            Self::NotRetained => "not_retained",
            Self::TooManyRequests => "too_many_requests",
            Self::Internal => "internal",
            Self::Draining => "draining",
        }
    }
}

/// A refusal as the client reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {message}", code.code(), code.reason())]
pub struct ControlError {
    /// What kind.
    pub code: ErrorCode,
    /// What was wrong, where, and what would be right.
    pub message: Cow<'static, str>,
}

impl ControlError {
    /// A refusal in these words.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn reasons_are_distinct_and_codes_in_range() {
        let reasons: BTreeSet<_> = ErrorCode::ALL.iter().map(|e| e.reason()).collect();
        assert_eq!(reasons.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|e| (400..=503).contains(&e.code())));
    }
}
