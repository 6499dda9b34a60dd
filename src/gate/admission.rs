//! Admission: how many may come, from where, how fast.
//!
//! What is counted is given back when a ticket is dropped, which a shard's thread does when the
//! connection ends: without a lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use governor::{DefaultDirectRateLimiter, Quota};

use super::networks::{Networks, household};
use super::security::Event;
use crate::limits::{ADDRESS_MEMORY, ADDRESSES_KNOWN};

/// Who may come, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionRules {
    /// Nobody else; empty: everybody.
    pub allow: Networks,
    /// These never.
    pub deny: Networks,
    /// Connections at once; none: as many as there are descriptors for.
    pub connections: Option<usize>,
    /// Connections of one address at once.
    pub per_address: Option<usize>,
    /// Handshakes and pages of one address in progress at once.
    pub pending_per_address: Option<usize>,
    /// New connections a second of one address; twice as many at once.
    pub rate_per_address: Option<NonZeroU32>,
    /// New connections a second of all; twice as many at once.
    pub rate: Option<NonZeroU32>,
}

/// Why somebody does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// The lists say so.
    Denied,
    /// The server has as many connections as it takes.
    Full,
    /// The address has.
    Crowded,
    /// The address has as many on their way in as it may.
    Pending,
    /// The address comes too often.
    Hurried,
    /// All together come too often.
    Storm,
}

impl Turned {
    /// What it is counted and logged as.
    pub(super) const fn event(self) -> Event {
        match self {
            Self::Denied => Event::Denied,
            Self::Full => Event::Connections,
            Self::Crowded => Event::ConnectionsOfAddress,
            Self::Pending => Event::PendingOfAddress,
            Self::Hurried => Event::RateOfAddress,
            Self::Storm => Event::Rate,
        }
    }

    /// What a client is told.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Denied => "this address is not let in",
            Self::Full => "the server has as many connections as it takes",
            Self::Crowded => "your address has as many connections as it may",
            Self::Pending => "your address has as many handshakes in progress as it may",
            Self::Hurried => "your address connects too often",
            Self::Storm => "too many connect at once",
        }
    }

    /// Is it all that are too many, rather than this one?
    pub(super) const fn is_everybody(self) -> bool {
        matches!(self, Self::Full | Self::Storm)
    }
}

/// Counts connections, and says who may come in.
pub(super) struct Admission {
    rules: AdmissionRules,
    /// What is denied besides, and may change while it runs.
    denied: RwLock<Arc<Networks>>,
    connections: usize,
    open: Arc<AtomicUsize>,
    pace: Option<DefaultDirectRateLimiter>,
    visitors: Mutex<HashMap<IpAddr, Known>>,
}

/// An address, and when it last came.
struct Known {
    visitor: Arc<Visitor>,
    seen: Instant,
}

/// What is counted of one address.
#[derive(Default)]
struct Visitor {
    open: AtomicUsize,
    pending: AtomicUsize,
    pace: Option<DefaultDirectRateLimiter>,
}

/// One more of a count, given back when it is dropped.
pub(super) struct Counted<T: Counter>(T);

/// Where a count stands.
pub(super) trait Counter {
    /// The count.
    fn count(&self) -> &AtomicUsize;
}

/// Connections of all.
pub(super) struct OfAll(Arc<AtomicUsize>);
/// Connections of an address.
pub(super) struct OfAddress(Arc<Visitor>);
/// Handshakes of an address.
pub(super) struct OnTheWay(Arc<Visitor>);

impl Counter for OfAll {
    fn count(&self) -> &AtomicUsize {
        &self.0
    }
}

impl Counter for OfAddress {
    fn count(&self) -> &AtomicUsize {
        &self.0.open
    }
}

impl Counter for OnTheWay {
    fn count(&self) -> &AtomicUsize {
        &self.0.pending
    }
}

impl<T: Counter> Counted<T> {
    /// One more, where that is not above the limit.
    fn take(counter: T, limit: Option<usize>) -> Option<Self> {
        let one_more = |n| (n < limit.unwrap_or(usize::MAX)).then_some(n + 1);
        counter.count().fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Self(counter))
    }
}

impl<T: Counter> Drop for Counted<T> {
    fn drop(&mut self) {
        self.0.count().fetch_sub(1, Relaxed);
    }
}

/// What a connection holds of the limits on an address, as long as it lives.
pub(super) struct Visit {
    visitor: Option<Arc<Visitor>>,
    _open: Option<Counted<OfAddress>>,
}

impl Admission {
    /// Counts up to `connections`, where the rules don't say.
    pub(super) fn new(rules: AdmissionRules, connections: usize) -> Self {
        Self {
            denied: RwLock::default(),
            connections: rules.connections.unwrap_or(connections),
            open: Arc::default(),
            pace: rules.rate.map(limiter),
            visitors: Mutex::default(),
            rules,
        }
    }

    /// Denies these from now on, besides those that the rules deny.
    pub(super) fn deny(&self, networks: Arc<Networks>) {
        *self.denied.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    /// Connections now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// A place among all connections.
    pub(super) fn enter(&self) -> Result<Counted<OfAll>, Turned> {
        if self.pace.as_ref().is_some_and(|pace| pace.check().is_err()) {
            return Err(Turned::Storm);
        }
        Counted::take(OfAll(self.open.clone()), Some(self.connections)).ok_or(Turned::Full)
    }

    /// Do the lists let an address in?
    pub(super) fn lists(&self, address: IpAddr) -> Result<(), Turned> {
        let denied = self.denied.read().unwrap_or_else(PoisonError::into_inner);
        let kept_out = self.rules.deny.contains(address) || denied.contains(address);
        let let_in = self.rules.allow.is_empty() || self.rules.allow.contains(address);
        if kept_out || !let_in { Err(Turned::Denied) } else { Ok(()) }
    }

    /// A visit from an address, where its limits allow one more. On loopback there are none.
    pub(super) fn visit(&self, address: IpAddr, now: Instant) -> Result<Visit, Turned> {
        if address.to_canonical().is_loopback() {
            return Ok(Visit::unlimited());
        }
        let visitor = self.visitor(household(address), now).ok_or(Turned::Storm)?;
        if visitor.pace.as_ref().is_some_and(|pace| pace.check().is_err()) {
            return Err(Turned::Hurried);
        }
        let open = Counted::take(OfAddress(visitor.clone()), self.rules.per_address);
        let open = open.ok_or(Turned::Crowded)?;
        Ok(Visit { visitor: Some(visitor), _open: Some(open) })
    }

    /// What a visit holds until it has been let in.
    pub(super) fn wait(&self, visit: &Visit) -> Result<Option<Counted<OnTheWay>>, Turned> {
        let Some(visitor) = &visit.visitor else { return Ok(None) };
        let pending = Counted::take(OnTheWay(visitor.clone()), self.rules.pending_per_address);
        pending.map(Some).ok_or(Turned::Pending)
    }

    /// The counts of an address; none where more are known than can be.
    fn visitor(&self, address: IpAddr, now: Instant) -> Option<Arc<Visitor>> {
        let mut visitors = self.visitors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = visitors.get_mut(&address) {
            known.seen = now;
            return Some(known.visitor.clone());
        }
        if visitors.len() >= visitors.capacity().min(ADDRESSES_KNOWN) {
            visitors.retain(|_, known| known.is_remembered(now));
        }
        if visitors.len() >= ADDRESSES_KNOWN {
            return None;
        }
        let pace = self.rules.rate_per_address.map(limiter);
        let visitor = Arc::new(Visitor { pace, ..Visitor::default() });
        visitors.insert(address, Known { visitor: visitor.clone(), seen: now });
        Some(visitor)
    }
}

impl Known {
    /// Does it count still? Who has no connection is forgotten once all of its pace is back.
    fn is_remembered(&self, now: Instant) -> bool {
        Arc::strong_count(&self.visitor) > 1
            || now.saturating_duration_since(self.seen) < ADDRESS_MEMORY
    }
}

impl Visit {
    /// One that nothing counts.
    pub(super) const fn unlimited() -> Self {
        Self { visitor: None, _open: None }
    }
}

/// So many a second, twice as many at once.
fn limiter(rate: NonZeroU32) -> DefaultDirectRateLimiter {
    let burst = rate.saturating_add(rate.get());
    DefaultDirectRateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> AdmissionRules {
        AdmissionRules {
            allow: Networks::default(),
            deny: Networks::default(),
            connections: Some(3),
            per_address: Some(2),
            pending_per_address: Some(1),
            rate_per_address: None,
            rate: None,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_ends_is_given_back() {
        let admission = Admission::new(rules(), 100);
        let mut places: Vec<_> = (0..3).map(|_| admission.enter().unwrap()).collect();
        assert_eq!(admission.enter().err(), Some(Turned::Full));
        places.pop();
        assert_eq!(admission.open(), 2);
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn a_household_shares_its_limits_and_loopback_has_none() {
        let admission = Admission::new(rules(), 100);
        let visit = |address: &str| admission.visit(ip(address), Instant::now());
        let first = visit("2001:db8::1").unwrap();
        let second = visit("2001:db8::2").unwrap();
        assert_eq!(visit("2001:db8::3").err(), Some(Turned::Crowded));
        assert!(visit("2001:db8:0:1::3").is_ok());
        let waits = admission.wait(&first).unwrap();
        assert_eq!(admission.wait(&second).err(), Some(Turned::Pending));
        drop(waits);
        assert!(admission.wait(&second).is_ok());
        drop((first, second));
        assert!(visit("2001:db8::3").is_ok());
        let local: Vec<_> = (0..100).map(|_| visit("127.0.0.1").unwrap()).collect();
        assert!(local.iter().all(|visit| admission.wait(visit).unwrap().is_none()));
    }

    #[test]
    fn an_address_that_comes_too_often_is_sent_away_and_others_are_not() {
        let rate_per_address = NonZeroU32::new(1);
        let rules = AdmissionRules { rate_per_address, per_address: None, ..rules() };
        let admission = Admission::new(rules, 100);
        let visit = |address: &str| admission.visit(ip(address), Instant::now()).err();
        let turned: Vec<_> = (0..50).filter_map(|_| visit("192.0.2.1")).collect();
        assert!(turned.len() >= 40 && turned.iter().all(|turned| *turned == Turned::Hurried));
        assert_eq!(visit("192.0.2.2"), None);
    }

    #[test]
    fn the_lists_say_who() {
        let networks = |text| Networks::parse([text]).unwrap();
        let rules = AdmissionRules {
            allow: networks("10.0.0.0/8"),
            deny: networks("10.6.0.0/16"),
            ..rules()
        };
        let admission = Admission::new(rules, 100);
        assert_eq!(admission.lists(ip("10.1.0.1")), Ok(()));
        assert_eq!(admission.lists(ip("::ffff:10.1.0.1")), Ok(()));
        assert_eq!(admission.lists(ip("10.6.0.1")), Err(Turned::Denied));
        assert_eq!(admission.lists(ip("192.0.2.1")), Err(Turned::Denied));
        admission.deny(Arc::new(networks("10.1.0.0/24")));
        assert_eq!(admission.lists(ip("10.1.0.1")), Err(Turned::Denied));
        admission.deny(Arc::default());
        assert_eq!(admission.lists(ip("10.1.0.1")), Ok(()));
    }

    #[test]
    fn addresses_that_have_gone_are_forgotten() {
        let admission = Admission::new(rules(), 100);
        let begun = Instant::now();
        let kept = admission.visit(ip("192.0.2.1"), begun).unwrap();
        for n in 0..2_000_u32 {
            let later = begun + ADDRESS_MEMORY * n;
            drop(admission.visit(IpAddr::from(n.to_be_bytes()), later).unwrap());
        }
        let visitors = admission.visitors.lock().unwrap();
        assert!(visitors.len() < 50 && visitors.contains_key(&ip("192.0.2.1")));
        drop((visitors, kept));
    }
}
