//! States that have changed and were not sent yet, in the order in which they first changed.
//!
//! Taking a certain one out leaves its place in the order behind, which is passed over later: one
//! client may wait for the same states in hundreds of subscriptions, and to find each of them in
//! each order would cost the square of that.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;

use crate::shard::cache::Key;

/// Places that were left behind before the order is cleared of them.
const STALE_MIN: usize = 64;

/// Keys in the order in which they came, none twice. Invariant: a key of `set` stands in `order`
/// once with the number that `set` has for it; what stands there otherwise is stale.
#[derive(Default)]
pub struct Changed {
    order: VecDeque<(Key, u64)>,
    set: HashMap<Key, u64, FixedState>,
    next: u64,
}

impl Changed {
    /// Adds a state; false where it was in already, so that an older one is superseded.
    #[inline]
    pub fn insert(&mut self, key: Key) -> bool {
        let number = self.next;
        let known = *self.set.entry(key).or_insert(number);
        if known == number {
            self.order.push_back((key, number));
            self.next += 1;
        }
        known == number
    }

    /// Takes a certain one; false where it was not in.
    pub fn remove(&mut self, key: Key) -> bool {
        let there = self.set.remove(&key).is_some();
        if self.order.len() > 2 * self.set.len() + STALE_MIN {
            let Self { order, set, .. } = self;
            order.retain(|(key, number)| set.get(key) == Some(number));
        }
        there
    }

    /// Takes the one that has waited longest.
    pub fn pop(&mut self) -> Option<Key> {
        self.pop_before(u64::MAX)
    }

    /// Takes the one that has waited longest, of those that came before [`Changed::mark`] said so.
    pub fn pop_before(&mut self, mark: u64) -> Option<Key> {
        while let Some((key, number)) = self.order.front().copied().filter(|(_, n)| *n < mark) {
            self.order.pop_front();
            if self.set.get(&key) == Some(&number) {
                self.set.remove(&key);
                return Some(key);
            }
        }
        None
    }

    /// Tells what is in now from what comes later.
    pub fn mark(&self) -> u64 {
        self.next
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Key> {
        let waits = |(key, number): &&(Key, u64)| self.set.get(key) == Some(number);
        self.order.iter().filter(waits).map(|(key, _)| *key)
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.set.len()
    }
}

impl FromIterator<Key> for Changed {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        let mut changed = Self::default();
        keys.into_iter().for_each(|key| _ = changed.insert(key));
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, in its slowest form.
    #[derive(Default)]
    struct Slow(Vec<Key>);

    impl Slow {
        fn insert(&mut self, key: Key) -> bool {
            let new = !self.0.contains(&key);
            if new {
                self.0.push(key);
            }
            new
        }

        fn remove(&mut self, key: Key) -> bool {
            let at = self.0.iter().position(|known| *known == key);
            at.map(|at| self.0.remove(at)).is_some()
        }

        fn pop(&mut self) -> Option<Key> {
            (!self.0.is_empty()).then(|| self.0.remove(0))
        }
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_does(steps in prop::collection::vec((0..4_u8, 0..8_u32), 0..300)) {
            let (mut changed, mut slow) = (Changed::default(), Slow::default());
            for (what, key) in steps {
                match what {
                    0 | 1 => prop_assert_eq!(changed.insert(key), slow.insert(key)),
                    2 => prop_assert_eq!(changed.remove(key), slow.remove(key)),
                    _ => prop_assert_eq!(changed.pop(), slow.pop()),
                }
                prop_assert_eq!(changed.iter().collect::<Vec<_>>(), &slow.0[..]);
                prop_assert_eq!(changed.len(), slow.0.len());
                prop_assert_eq!(changed.is_empty(), slow.0.is_empty());
            }
        }
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let mut changed = Changed::default();
        changed.insert(0);
        for key in 1..100_000 {
            assert!(changed.insert(key) && changed.remove(key));
            assert!(changed.order.len() <= 2 + STALE_MIN + 1);
        }
        assert_eq!((changed.pop(), changed.pop()), (Some(0), None));
    }

    #[test]
    fn what_comes_behind_a_mark_is_not_before_it() {
        let mut changed = Changed::default();
        changed.insert(5);
        let mark = changed.mark();
        changed.insert(6);
        assert_eq!((changed.pop_before(mark), changed.pop_before(mark)), (Some(5), None));
        changed.insert(5);
        assert_eq!((changed.pop_before(mark), changed.len()), (None, 2));
    }
}
