//! Security events: what somebody tried that is not to be. All are counted, some a second logged.
//!
//! The log gets who and why, never what was sent: no payloads, no headers, no tokens.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use governor::{DefaultDirectRateLimiter, Quota};

use crate::limits::SECURITY_LINES;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// An address that the lists keep out.
    Denied,
    /// More connections than the server takes.
    Connections,
    /// More connections than an address may have.
    ConnectionsOfAddress,
    /// More handshakes in progress than an address may have.
    PendingOfAddress,
    /// More new connections a second than an address may make.
    RateOfAddress,
    /// More new connections a second than all may make.
    Rate,
    /// A trusted proxy sent no right PROXY header.
    ProxyHeader,
    /// A trusted proxy sent an `X-Forwarded-For` that names nobody.
    Forwarded,
    /// A request for another server's name.
    Host,
    /// A handshake or an order from a page of another site.
    Origin,
    /// A request that can be read in two ways, or is none.
    Request,
    /// A handshake that is not right.
    Handshake,
    /// A TLS handshake that failed: not TLS, nothing in common, no certificate that counts.
    Tls,
    /// A newer connection took over from an older one of the same name.
    TakenOver,
    /// The operator ended a session, drained or reloaded.
    Order,
    /// An order that was not right.
    OrderRefused,
    /// The operator's listener was asked for something without a token that gives admin.
    NoOperator,
    /// A token or an API key that is not accepted.
    Auth,
    /// More connections than a subject may have.
    ConnectionsOfSubject,
}

impl Event {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Denied,
        Self::Connections,
        Self::ConnectionsOfAddress,
        Self::PendingOfAddress,
        Self::RateOfAddress,
        Self::Rate,
        Self::ProxyHeader,
        Self::Forwarded,
        Self::Host,
        Self::Origin,
        Self::Request,
        Self::Handshake,
        Self::Tls,
        Self::TakenOver,
        Self::Order,
        Self::OrderRefused,
        Self::NoOperator,
        Self::Auth,
        Self::ConnectionsOfSubject,
    ];

    /// Its name in metrics and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Connections => "connection_limit",
            Self::ConnectionsOfAddress => "address_limit",
            Self::PendingOfAddress => "pending_limit",
            Self::RateOfAddress => "address_rate",
            Self::Rate => "handshake_rate",
            Self::ProxyHeader => "proxy_header",
            Self::Forwarded => "forwarded_header",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Request => "request",
            Self::Handshake => "handshake",
            Self::Tls => "tls",
            Self::TakenOver => "taken_over",
            Self::Order => "order",
            Self::OrderRefused => "order_refused",
            Self::NoOperator => "no_operator",
            Self::Auth => "auth_failed",
            Self::ConnectionsOfSubject => "too_many_connections",
        }
    }
}

/// The one place where they are counted and logged.
#[derive(Debug)]
pub struct Security {
    counts: [AtomicU64; Event::ALL.len()],
    /// Since the last line of the log, that it does not show.
    unsaid: AtomicU64,
    pace: DefaultDirectRateLimiter,
}

impl Default for Security {
    fn default() -> Self {
        let pace = DefaultDirectRateLimiter::direct(Quota::per_second(SECURITY_LINES));
        Self { counts: Default::default(), unsaid: AtomicU64::new(0), pace }
    }
}

impl Security {
    /// Counts an event, and logs it unless too many are: who it was, and why, in words that hold
    /// nothing of what was sent.
    pub fn note(&self, event: Event, peer: &dyn Display, why: &dyn Display) {
        self.counts[event as usize].fetch_add(1, Relaxed);
        if self.pace.check().is_err() {
            self.unsaid.fetch_add(1, Relaxed);
            return;
        }
        let unsaid = self.unsaid.swap(0, Relaxed);
        let event = event.name();
        tracing::warn!(target: "security", event, %peer, unsaid, "{why}");
    }

    /// Each event's name and count.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let count = |event: &Event| self.counts[*event as usize].load(Relaxed);
        Event::ALL.iter().map(|event| (event.name(), count(event))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_is_complete_in_order_and_named() {
        for (n, event) in Event::ALL.iter().enumerate() {
            assert_eq!(*event as usize, n);
        }
        assert_eq!(Event::ConnectionsOfSubject as usize + 1, Event::ALL.len());
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
    }

    #[test]
    fn a_flood_is_counted_whole() {
        let security = Security::default();
        for _ in 0..10_000 {
            security.note(Event::Denied, &"192.0.2.1", &"test");
        }
        assert_eq!(security.counts()[0], ("denied", 10_000));
        assert!(security.unsaid.load(Relaxed) > 9_000);
    }
}
