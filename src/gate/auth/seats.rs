//! How many connections each subject has, over all shards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The subjects that are connected.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    taken: Arc<Mutex<HashMap<String, u32>>>,
}

/// The place of one connection, as long as it lives.
#[derive(Debug)]
pub struct Seat {
    subject: String,
    of: Seats,
}

impl Seats {
    /// A seat for one more connection of a subject, where it has fewer than `most`.
    pub fn take(&self, subject: &str, most: Option<u32>) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let there = taken.get(subject).copied().unwrap_or(0);
        if most.is_some_and(|most| there >= most) {
            return None;
        }
        taken.insert(subject.to_owned(), there + 1);
        Some(Seat { subject: subject.to_owned(), of: self.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.subject) {
            Some(there) if *there > 1 => *there -= 1,
            _ => drop(taken.remove(&self.subject)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_connection_ends() {
        let seats = Seats::default();
        let first = seats.take("alice", Some(2)).unwrap();
        let second = seats.take("alice", Some(2)).unwrap();
        assert!(seats.take("alice", Some(2)).is_none());
        let other = seats.take("bob", Some(1)).unwrap();
        drop(first);
        let third = seats.take("alice", Some(2)).unwrap();
        assert!(seats.take("alice", Some(2)).is_none());
        drop((second, third, other));
        assert!(seats.taken.lock().unwrap().is_empty());
    }
}
