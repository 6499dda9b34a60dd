//! The access log: a line of log for each stream that begins and for each that ends, with a target
//! of its own, `access`. It has no addresses asked for, no tokens, nothing that was sent.

use std::net::IpAddr;

use tracing::field::display;

use super::Caller;
use crate::clock::UnixNanos;
use crate::shard::access::Entry;
use crate::shard::command::Speech;
use crate::shard::departure::{Departure, Departures};

const NANOS_PER_MILLI: UnixNanos = 1_000_000;

/// A stream that begins.
pub(super) struct Opening {
    pub(super) caller: Caller,
    pub(super) user: Option<String>,
    pub(super) speech: Speech,
    pub(super) tls: Option<&'static str>,
}

impl Opening {
    /// Who has come in by this entry, as far as it says so.
    pub(super) fn user_of(entry: &Entry) -> Option<String> {
        match entry {
            Entry::Known(badge) => Some(badge.grant.subject.clone()),
            Entry::Open | Entry::Unknown => None,
        }
    }

    /// Says that it has this number from now on.
    pub(super) fn say(self, session: u64) {
        let Self { caller, user, speech, tls } = self;
        let (peer, via) = (display(caller.address), via(caller.via));
        let path = path(speech);
        tracing::info!(target: "access", session, peer, via, user, path, tls, "opened");
    }
}

/// Says which streams have ended since this was called last.
pub fn say_departures(departures: &Departures) {
    while let Some(departure) = departures.take() {
        say(&departure);
    }
    let unsaid = departures.unsaid();
    if unsaid > 0 {
        tracing::warn!(target: "access", unsaid, "more have closed than there was room to note");
    }
}

/// Says how many streams end without a line of their own, where there are any: their shard hangs,
/// or they came to it when it had ended.
pub fn say_unheard(unsaid: usize) {
    if unsaid > 0 {
        tracing::warn!(target: "access", unsaid, "more are cut off: their shard does not answer");
    }
}

fn say(departure: &Departure) {
    let Departure { session, since, until, records, bytes, ending, .. } = *departure;
    let (peer, via) = (display(departure.peer), via(departure.via));
    let user = departure.grant.as_ref().map(|grant| grant.subject.as_str());
    let path = path(departure.speech);
    let duration_ms = until.saturating_sub(since) / NANOS_PER_MILLI;
    let (code, reason) = (ending.code, ending.reason.name());
    tracing::info!(
        target: "access",
        session, peer, via, user, path, duration_ms, records, bytes, code, reason, "closed"
    );
}

fn via(proxy: Option<IpAddr>) -> Option<tracing::field::DisplayValue<IpAddr>> {
    proxy.map(display)
}

/// The path that is talked to, without what was asked for there.
const fn path(speech: Speech) -> &'static str {
    match speech {
        Speech::Stream(_) => "/v1/stream",
        Speech::Echo => "/v1/echo",
    }
}
