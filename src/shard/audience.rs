//! An audience: connections whose interests and encoding are the same share one, and so one framed
//! range of bytes per turn.
//!
//! What it counts, it counts since it began; a member's counts are the difference to those at its
//! join.

use std::rc::Rc;

use crate::shard::cache::Key;
use crate::shard::changed::Changed;
use crate::shard::interest::Interest;
use crate::wire::encoding::Encoding;
use crate::wire::record::{Schema, is_state, is_tbbo};

/// What an interest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records delivered.
    pub records: u64,
    /// Records that a newer state took the place of.
    pub conflated: u64,
    /// Records lost.
    pub dropped: u64,
}

impl Counts {
    /// The difference to an earlier state of the same counts.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            records: self.records - earlier.records,
            conflated: self.conflated - earlier.conflated,
            dropped: self.dropped - earlier.dropped,
        }
    }

    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            conflated: self.conflated + other.conflated,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// How an audience takes the records of one of its interests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each of them.
    Each,
    /// The newest of each schema and instrument, when it is time.
    Latest,
    /// `Latest` where the schema is a state, else `Each`.
    LatestOfStates,
}

impl Delivery {
    /// May a record of this key wait, and be superseded?
    #[inline]
    pub fn is_latest(self, key: Key) -> bool {
        match self {
            Self::Each => false,
            Self::Latest => true,
            Self::LatestOfStates => {
                Schema::try_from(super::cache::parts(key).0 as u16).is_ok_and(is_state)
            }
        }
    }
}

/// What makes two connections the same audience.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// How records are written.
    pub encoding: Encoding,
    /// What is asked for, sorted.
    pub interests: Vec<Interest>,
}

/// Connections that receive the same bytes.
pub struct Audience {
    /// Who they are to the index.
    pub cast: Rc<Cast>,
    /// One connection that is behind, served alone; never joined by others.
    pub solitary: bool,
    /// For each interest: how.
    pub deliveries: Vec<Delivery>,
    /// For each interest: what was delivered.
    pub counts: Vec<Counts>,
    /// For each interest: what waits for its time.
    pub changed: Vec<Changed>,
    /// For each interest: is it in the queue of those whose time has come?
    pub(super) due: Vec<bool>,
    /// The key that [`Audience::has_each`] was last asked for, and what it said.
    pub(super) asked: Option<(Key, bool)>,
    /// Records delivered, each once.
    pub records: u64,
    /// Places in this turn's segment, ascending.
    pub matched: Vec<u32>,
    /// The members' connections.
    pub members: Vec<u32>,
    /// The member to begin with.
    pub first: usize,
}

/// States of a shared audience whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub audience: u32,
    /// Of which interest.
    pub interest: usize,
    /// Which states, as [`Changed::mark`] said it: what changes later waits for the next time.
    pub until: u64,
}

impl Audience {
    pub(super) fn new(cast: Rc<Cast>, solitary: bool, deliveries: Vec<Delivery>) -> Self {
        let interests = cast.interests.len();
        Self {
            cast,
            solitary,
            deliveries,
            counts: vec![Counts::default(); interests],
            changed: (0..interests).map(|_| Changed::default()).collect(),
            due: vec![false; interests],
            asked: None,
            records: 0,
            matched: Vec::new(),
            members: Vec::new(),
            first: 0,
        }
    }

    /// Takes record `place` of the turn for one interest; true where it is the turn's first.
    #[inline]
    pub(super) fn take(&mut self, interest: usize, place: u32, key: Key) -> bool {
        if self.deliveries[interest].is_latest(key) {
            let sent = self.has_each(key);
            let changed = &mut self.changed[interest];
            let superseded = if sent { changed.remove(key) } else { !changed.insert(key) };
            self.counts[interest].conflated += u64::from(superseded);
            if !sent {
                return false;
            }
        }
        self.counts[interest].records += 1;
        if self.matched.last() != Some(&place) {
            self.records += 1;
        }
        self.take_uncounted(place)
    }

    /// Takes record `place` without counting it.
    #[inline]
    pub(super) fn take_uncounted(&mut self, place: u32) -> bool {
        if self.matched.last() == Some(&place) {
            return false;
        }
        self.matched.push(place);
        self.matched.len() == 1
    }

    /// The key that stands for a record of `key` in what is kept for its members: a trade of
    /// `mbp-1` is a `tbbo` where that is asked for, an event and no state.
    #[inline]
    pub fn key_of(&self, record: &[u8], key: Key) -> Key {
        let tbbo = super::cache::key(Schema::Tbbo, super::cache::parts(key).1);
        match is_tbbo(record) && self.cast.interests.iter().any(|i| i.asks_for(tbbo)) {
            true => tbbo,
            false => key,
        }
    }

    /// Is there an interest that takes each record of this key? Every interest that asks for a
    /// record wants to know, and looks at all others: so the answer is kept until another key
    /// comes.
    fn has_each(&mut self, key: Key) -> bool {
        if let Some((asked, answer)) = self.asked
            && asked == key
        {
            return answer;
        }
        let mut interests = self.cast.interests.iter().zip(&self.deliveries);
        let answer = interests.any(|(interest, how)| !how.is_latest(key) && interest.asks_for(key));
        self.asked = Some((key, answer));
        answer
    }

    /// Takes a state that is due, counted. Where it is not `known` any more, it counts as lost, and
    /// the next one is taken.
    pub fn pop_due(&mut self, due: &Due, known: impl Fn(Key) -> bool) -> Option<Key> {
        loop {
            let key = self.changed[due.interest].pop_before(due.until)?;
            if self.count_state(due.interest, key, known(key)) {
                return Some(key);
            }
        }
    }

    /// Takes the state that has waited longest for the first interest that waits for any.
    pub fn pop_changed(&mut self, known: impl Fn(Key) -> bool) -> Option<Key> {
        loop {
            let at = self.changed.iter().position(|changed| !changed.is_empty())?;
            let key = self.changed[at].pop()?;
            if self.count_state(at, key, known(key)) {
                return Some(key);
            }
        }
    }

    /// Counts a state as sent, once for every interest that asks for it, as its client does, and at
    /// whichever rate it was waited for: none waits for it any longer. Or as lost for those that
    /// did.
    fn count_state(&mut self, interest: usize, key: Key, known: bool) -> bool {
        self.records += u64::from(known);
        for (at, asked) in self.cast.interests.iter().enumerate() {
            let waited = at == interest || self.changed[at].remove(key);
            self.counts[at].records += u64::from(known && (waited || asked.asks_for(key)));
            self.counts[at].dropped += u64::from(waited && !known);
        }
        known
    }

    /// Nothing is due for this interest any more.
    pub fn settle_due(&mut self, interest: usize) {
        self.due[interest] = false;
    }
}
