//! One subscription of one connection: what it asks for, and what it has counted.

use crate::shard::audience::{Counts, Delivery};
use crate::shard::cache::Key;
use crate::shard::catalog::Index;
use crate::shard::changed::Changed;
use crate::shard::interest::Interest;
use crate::wire::subscribe::Policy;

/// One interest of a subscription, and its place in the audience.
pub(super) struct Share {
    pub(super) interest: Interest,
    /// Its place among the interests of the audience.
    pub(super) place: usize,
    /// The audience's counts when it was joined.
    pub(super) base: Counts,
    /// States that were waiting for their time when an audience was left.
    pub(super) waiting: Changed,
}

/// One subscription of one connection.
pub struct Subscription {
    /// Its id, unique on the connection.
    pub id: u32,
    /// What happens when the client is slow; none: as each schema has it.
    pub policy: Option<Policy>,
    /// What it asks for: interests that share no instrument.
    pub(super) shares: Vec<Share>,
    /// Counted before the present audience was joined, or outside of one.
    pub(super) counted: Counts,
    /// The records framed for the connection when it began: those were not for it.
    since: u64,
}

impl Subscription {
    /// A subscription that has delivered nothing.
    pub(super) fn new(id: u32, interest: Interest, policy: Option<Policy>, since: u64) -> Self {
        let mut new = Self { id, policy, shares: Vec::new(), counted: Counts::default(), since };
        new.ask(interest, Changed::default());
        new
    }

    /// How many instruments it asks for, of `known` in all.
    pub fn instruments(&self, known: usize) -> u32 {
        self.interests().map(|interest| interest.count(known)).sum()
    }

    /// What it asks for.
    pub fn interests(&self) -> impl Iterator<Item = &Interest> {
        self.shares.iter().map(|share| &share.interest)
    }

    /// Does it ask for records of this key?
    pub fn asks_for(&self, key: Key) -> bool {
        self.interests().any(|interest| interest.asks_for(key))
    }

    /// Takes a new instrument in where a pattern asks for it.
    pub fn welcome(&mut self, index: Index, symbol: &str) {
        for share in &mut self.shares {
            share.interest.welcome(index, symbol);
        }
    }

    /// Takes schemas, or instruments of these schemas (sorted), out. What remains of those
    /// instruments becomes a share of its own: a record that is of two schemas, a trade of `mbp-1`
    /// that is a `tbbo` as well, stays in one share and counts once.
    pub fn subtract(&mut self, schemas: u32, indices: Option<&[Index]>) {
        for mut share in std::mem::take(&mut self.shares) {
            let rest = share.interest.schemas & !schemas;
            match indices {
                None => share.interest.schemas = rest,
                Some(indices) if rest != share.interest.schemas => {
                    let part = share.interest.only(rest, indices);
                    let waiting = share.waiting.iter().filter(|key| part.asks_for(*key)).collect();
                    self.ask(part, waiting);
                    share.interest.subtract(indices);
                }
                Some(_) => {}
            }
            let waiting = share.waiting.iter().filter(|key| share.interest.asks_for(*key));
            let waiting = waiting.collect();
            self.ask(share.interest, waiting);
        }
    }

    /// How a connection that is behind takes its records.
    pub fn when_behind(&self) -> Delivery {
        let paced = self.interests().any(|interest| interest.max_rate > 0);
        match self.policy {
            _ if paced => Delivery::Latest,
            Some(Policy::Conflate) => Delivery::Latest,
            Some(_) => Delivery::Each,
            None => Delivery::LatestOfStates,
        }
    }

    /// Takes a record outside of an audience: as one that is sent, or, where it is not, as a state
    /// that waits for its time.
    pub(super) fn take(&mut self, key: Key, sent: bool) {
        let Some(share) = self.shares.iter_mut().find(|share| share.interest.asks_for(key)) else {
            return;
        };
        let superseded = if sent { share.waiting.remove(key) } else { !share.waiting.insert(key) };
        self.counted.conflated += u64::from(superseded);
        self.counted.records += u64::from(sent);
    }

    /// Does it take each record of this key, as long as it keeps up? Where it does not (`slow`),
    /// only those that may not be conflated.
    pub(super) fn takes_each(&self, key: Key, slow: bool) -> bool {
        let each = |interest: &Interest| interest.max_rate == 0 && interest.asks_for(key);
        self.interests().any(each) && !(slow && self.when_behind().is_latest(key))
    }

    /// Is a record of this key, framed after `before` others of the connection, for it?
    pub(super) fn has_counted(&self, before: u64, key: Key) -> bool {
        self.since <= before && self.asks_for(key)
    }

    /// What it has counted outside of an audience.
    pub fn counted(&self) -> Counts {
        self.counted
    }

    /// Adds an interest: to a share of the same schemas where there is one of plain instruments.
    fn ask(&mut self, interest: Interest, waiting: Changed) {
        if interest.is_empty() {
            return;
        }
        let alike = self.shares.iter_mut().find(|share| share.interest.may_absorb(&interest));
        match alike {
            Some(share) => {
                share.interest.absorb(interest);
                waiting.iter().for_each(|key| _ = share.waiting.insert(key));
            }
            None => {
                let (place, base) = (0, Counts::default());
                // Most have one, and there are many of them: no room is kept for more.
                self.shares.reserve_exact(1);
                self.shares.push(Share { interest, place, base, waiting });
            }
        }
    }
}
