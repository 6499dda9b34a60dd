//! Session names (`?session=NAME`): a newer connection of the same user takes over from the older.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::oneshot;

use super::security::Event;
use super::{Caller, Gate};
use crate::limits::{NAMES_KEPT, SESSION_NAME};
use crate::shard::access::Entry;
use crate::shard::command::Command;
use crate::wire::close::CloseReason;

/// Whose a name is: different users may have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// Who its token says it is.
    Subject(String),
    /// Nobody is asked who they are: it is where it comes from.
    Anonymous(IpAddr),
}

impl Owner {
    /// Whose the name of a newcomer is; nobody's, where it has yet to say who it is: or it could
    /// end what others have.
    pub(super) fn of(entry: &Entry, caller: &Caller) -> Option<Self> {
        match entry {
            Entry::Known(badge) => Some(Self::Subject(badge.grant.subject.clone())),
            Entry::Open => Some(Self::Anonymous(caller.address.ip())),
            Entry::Unknown => None,
        }
    }
}

/// The connection that has a name, as long as it lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Its session.
    pub(super) session: u64,
    /// Where it is served.
    pub(super) shard: usize,
}

/// The names of all sessions.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashMap<(Owner, String), Weak<Holder>>>);

impl Names {
    /// Gives a name to a connection, which keeps it as long as it keeps what is returned; and who
    /// had it until now.
    pub(super) fn take(
        &self,
        owner: Owner,
        name: &str,
        holder: Holder,
    ) -> (Arc<Holder>, Option<Arc<Holder>>) {
        let holder = Arc::new(holder);
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= names.capacity().max(NAMES_KEPT) {
            names.retain(|_, holder| holder.strong_count() > 0);
        }
        let older = names.insert((owner, name.to_owned()), Arc::downgrade(&holder));
        (holder, older.and_then(|older| older.upgrade()))
    }
}

impl<P> Gate<P> {
    /// Tells the older connection of a name that a newer one carries on.
    pub(super) fn take_over(&self, session: u64, older: &Holder, caller: &Caller) {
        let why = format!("session {session} takes over from {}", older.session);
        self.door.security.note(Event::TakenOver, caller, &why);
        let (reply, _) = oneshot::channel();
        let command =
            Command::Disconnect { session: older.session, reason: CloseReason::TakenOver, reply };
        let told = self.shards.get(older.shard).is_some_and(|shard| shard.send(command).is_ok());
        if !told {
            tracing::warn!(session = older.session, "a shard's queue is full: not taken over");
        }
    }
}

/// Is it a name: letters, digits, `-`, `_` and `.`, not too many?
pub(super) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=SESSION_NAME).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(ip: &str) -> Owner {
        Owner::Anonymous(ip.parse().unwrap())
    }

    fn holder(session: u64) -> Holder {
        Holder { session, shard: 0 }
    }

    #[test]
    fn the_newest_has_it_and_others_names_are_others() {
        let names = Names::default();
        let (first, nobody) = names.take(owner("192.0.2.1"), "desk", holder(1));
        assert_eq!(nobody, None);
        assert_eq!(names.take(owner("192.0.2.2"), "desk", holder(2)).1, None);
        assert_eq!(names.take(owner("192.0.2.1"), "other", holder(3)).1, None);
        let (second, older) = names.take(owner("192.0.2.1"), "desk", holder(4));
        assert_eq!(older, Some(first));
        drop((older, second));
        assert_eq!(names.take(owner("192.0.2.1"), "desk", holder(5)).1, None);
    }

    #[test]
    fn names_of_those_who_have_gone_are_forgotten() {
        let names = Names::default();
        for n in 0..100_000 {
            drop(names.take(owner("192.0.2.1"), &n.to_string(), holder(n)));
        }
        assert!(names.0.lock().unwrap().len() <= 4 * NAMES_KEPT);
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(is_name("desk-7_A.b") && is_name(&"x".repeat(SESSION_NAME)));
        for wrong in ["", "a b", "a/b", "ä", "a%20", &"x".repeat(SESSION_NAME + 1)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
