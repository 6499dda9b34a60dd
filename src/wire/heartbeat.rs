//! Heartbeats: the counts by which a client proves that it missed nothing.

use super::message::message;
use super::position::Position;
use super::text::Object;
use crate::clock::UnixNanos;
use crate::limits::{HEARTBEAT_ENTRY, SERVER_MESSAGE_MAX, SUBSCRIPTIONS_MAX};

/// What a subscription brought since it began; snapshots and mappings not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Which one.
    pub subscription: u32,
    /// Records sent.
    pub records: u64,
    /// Records left out because a newer state was sent in their place.
    pub conflated: u64,
    /// Records lost.
    pub dropped: u64,
}

impl Counts {
    pub(super) fn fields<'o>(&self, o: Object<'o>) -> Object<'o> {
        o.number("subscription", self.subscription)
            .long("records", self.records)
            .long("conflated", self.conflated)
            .long("dropped", self.dropped)
    }
}

/// All is well, this far.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// Real time, ns.
    pub server_time: UnixNanos,
    /// The last position examined for this client.
    pub at: Position,
    /// Records sent on this connection, a record that two subscriptions ask for once.
    pub records: u64,
}

impl Heartbeat {
    /// Appends it with the counts of at most [`SUBSCRIPTIONS_MAX`] subscriptions, which always fit.
    pub fn write(&self, counts: impl IntoIterator<Item = Counts>, out: &mut Vec<u8>) {
        message("heartbeat", out)
            .long("server_time", self.server_time)
            .position(self.at)
            .long("records", self.records)
            .list("subscriptions", counts, |out, c| c.fields(Object::open(out)).close())
            .close();
    }
}

const _: () = assert!(SUBSCRIPTIONS_MAX * HEARTBEAT_ENTRY + 256 <= SERVER_MESSAGE_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_largest_heartbeat_fits() {
        let most = u64::MAX;
        let counts =
            Counts { subscription: u32::MAX, records: most, conflated: most, dropped: most };
        let at = Position { epoch: most, seq: most };
        let beat = Heartbeat { server_time: most, at, records: most };
        let none = text(|out| beat.write([], out)).len();
        let full = text(|out| beat.write(vec![counts; SUBSCRIPTIONS_MAX], out)).len();
        assert!(full <= SERVER_MESSAGE_MAX, "{full}");
        assert_eq!((full - none + 1) / SUBSCRIPTIONS_MAX, HEARTBEAT_ENTRY);
    }

    #[test]
    fn a_heartbeat_counts_each_subscription() {
        let at = Position { epoch: 1, seq: 2 };
        let counts = Counts { subscription: 5, records: 6, conflated: 7, dropped: 8 };
        let right = concat!(
            r#"{"type":"heartbeat","server_time":"3","epoch":"1","seq":"2","records":"4","#,
            r#""subscriptions":[{"subscription":5,"records":"6","conflated":"7","dropped":"8"}]}"#
        );
        let beat = Heartbeat { server_time: 3, at, records: 4 };
        assert_eq!(text(|out| beat.write([counts], out)), right);
    }
}
