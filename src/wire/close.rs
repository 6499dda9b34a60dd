//! Every reason a connection ends, one name each: what the client is told and what metrics count.

/// Why a connection ended or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CloseReason {
    /// The client sent a close frame; it was answered with the client's own code.
    ClientClosed,
    /// The client ended the TCP stream without a close frame.
    ClientGone,
    /// The client, or something on the way to it, reset the TCP connection.
    Reset,
    /// The kernel refused to send, or gave up retransmitting.
    WriteError,
    /// What the client sent is not TLS, or it sent a TLS alert.
    TlsError,
    /// The handshake was answered with an HTTP error.
    HandshakeRefused,
    /// The handshake was not complete in time.
    HandshakeTimeout,
    /// The server did all it was started for.
    Normal,
    /// The feed has ended, and the server with it.
    GoingAway,
    /// Frames that RFC 6455 forbids.
    ProtocolError,
    /// A binary message, where only text is understood.
    UnsupportedData,
    /// Text that is not UTF-8.
    BadUtf8,
    /// Traffic that no well-meant client sends.
    Policy,
    /// A message above the limit.
    TooBig,
    /// A fault of the server.
    Internal,
    /// The server restarts: it is draining.
    Drain,
    /// More load than the server takes on.
    Overload,
    /// No pong within the timeout.
    NoPong,
    /// The keys of its TLS 1.2, which can't be renewed, have encrypted as much as they may.
    TlsKeys,
    /// It read more slowly than its subscriptions bring, and its policy is `disconnect`.
    Slow,
    /// A newer connection of the same user carries on with the same session name.
    TakenOver,
    /// It did not say who it is in time.
    AuthTimeout,
    /// What it said who it is by was not accepted, again and again.
    AuthFailed,
    /// Its token has expired.
    AuthExpired,
    /// Its token, its key or its subject was revoked.
    AuthRevoked,
    /// Its subject has as many connections as it may.
    ConnectionLimit,
    /// Nothing of what it asked for is given to it any more.
    NotEntitled,
    /// The operator ended it.
    Disconnected,
    /// The operator has denied its address meanwhile.
    Denied,
}

impl CloseReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::ClientClosed,
        Self::ClientGone,
        Self::Reset,
        Self::WriteError,
        Self::TlsError,
        Self::HandshakeRefused,
        Self::HandshakeTimeout,
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::BadUtf8,
        Self::Policy,
        Self::TooBig,
        Self::Internal,
        Self::Drain,
        Self::Overload,
        Self::NoPong,
        Self::TlsKeys,
        Self::Slow,
        Self::TakenOver,
        Self::AuthTimeout,
        Self::AuthFailed,
        Self::AuthExpired,
        Self::AuthRevoked,
        Self::ConnectionLimit,
        Self::NotEntitled,
        Self::Disconnected,
        Self::Denied,
    ];

    /// The code of the close frame that the server sends of its own accord; none where the client
    /// closed first or no WebSocket frame can reach it.
    pub const fn code(self) -> Option<u16> {
        Some(match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::UnsupportedData => 1003,
            Self::BadUtf8 => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Drain => 1012,
            Self::Overload => 1013,
            Self::NoPong => 4001,
            Self::TlsKeys => 4002,
            Self::Slow => 4008,
            Self::TakenOver => 4011,
            Self::Disconnected => 4012,
            Self::AuthTimeout | Self::AuthFailed | Self::AuthExpired | Self::AuthRevoked => 4500,
            Self::ConnectionLimit => 4504,
            Self::NotEntitled => 4507,
            Self::Denied => 4508,
            Self::ClientClosed
            | Self::ClientGone
            | Self::Reset
            | Self::WriteError
            | Self::TlsError
            | Self::HandshakeRefused
            | Self::HandshakeTimeout => return None,
        })
    }

    /// Its name in metrics, in `closing` and in the close frame.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientGone => "client_gone",
            Self::Reset => "reset",
            Self::WriteError => "write_error",
            Self::TlsError => "tls_error",
            Self::HandshakeRefused => "handshake_refused",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Normal => "normal",
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedData => "unsupported_data",
            Self::BadUtf8 => "bad_utf8",
            Self::Policy => "policy",
            Self::TooBig => "too_big",
            Self::Internal => "internal",
            Self::Drain => "drain",
            Self::Overload => "overload",
            Self::NoPong => "no_pong",
            Self::TlsKeys => "tls_keys",
            Self::Slow => "slow",
            Self::TakenOver => "taken_over",
            Self::AuthTimeout => "auth_timeout",
            Self::AuthFailed => "auth_failed",
            Self::AuthExpired => "auth_expired",
            Self::AuthRevoked => "auth_revoked",
            Self::ConnectionLimit => "connection_limit",
            Self::NotEntitled => "not_entitled",
            Self::Disconnected => "disconnected",
            Self::Denied => "denied",
        }
    }

    /// Does a client that comes back unchanged have a chance of being served?
    pub const fn may_return(self) -> bool {
        !matches!(
            self,
            Self::ProtocolError
                | Self::UnsupportedData
                | Self::BadUtf8
                | Self::Policy
                | Self::TooBig
                | Self::TakenOver
                | Self::AuthTimeout
                | Self::AuthFailed
                | Self::AuthExpired
                | Self::AuthRevoked
                | Self::ConnectionLimit
                | Self::NotEntitled
                | Self::Denied
                | Self::Normal
        )
    }
}

/// May a close frame carry this code (RFC 6455, 7.4, and its registry)?
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_is_complete_and_in_order() {
        for (n, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, n);
        }
        assert_eq!(CloseReason::Denied as usize + 1, CloseReason::ALL.len());
    }

    #[test]
    fn names_are_distinct_and_snake_case() {
        let names: BTreeSet<_> = CloseReason::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), CloseReason::ALL.len());
        let snake =
            |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b"_8".contains(&b));
        assert!(names.iter().all(snake), "{names:?}");
    }

    #[test]
    fn every_code_may_stand_in_a_close_frame() {
        let mut codes: Vec<_> = CloseReason::ALL.iter().filter_map(|r| r.code()).collect();
        assert!(codes.iter().all(|&code| is_close_code(code)), "{codes:?}");
        // All that is about who somebody is has one code; the reason says what.
        codes.dedup_by(|a, b| a == b && *a == 4500);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        for never in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(!is_close_code(never), "{never}");
        }
    }
}
