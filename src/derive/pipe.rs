//! A deriver in a pipe: what it makes is handed on, before a record and behind it, in order.

use super::{Batch, Deriver};
use crate::limits::BATCH_BYTES;

/// A deriver, and where it puts what it has made.
pub struct Pipe {
    /// What derives.
    pub deriver: Deriver,
    /// Empty between two calls.
    batch: Batch,
}

impl Pipe {
    /// One that derives the schemas of this mask, as [`Deriver::new`] says.
    pub fn new(schemas: u32) -> Self {
        Self { deriver: Deriver::new(schemas), batch: Batch::new(BATCH_BYTES) }
    }

    /// Takes note of the next bare record, and hands on what it is too late for.
    ///
    /// # Errors
    /// Those of `hand_on`.
    pub fn before<E>(
        &mut self,
        bare: &[u8],
        hand_on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.drain(|deriver, batch| deriver.observe(bare, batch), hand_on)
    }

    /// Hands on what follows from that record, once that has been handed on itself.
    ///
    /// # Errors
    /// Those of `hand_on`.
    pub fn behind<E>(&mut self, hand_on: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.drain(Deriver::follow, hand_on)
    }

    /// Hands on the last intervals: no record follows.
    ///
    /// # Errors
    /// Those of `hand_on`.
    pub fn end<E>(&mut self, hand_on: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.drain(Deriver::end_intervals, hand_on)
    }

    /// Hands on all that `make` brings: it is false while it has no room for the rest.
    fn drain<E>(
        &mut self,
        mut make: impl FnMut(&mut Deriver, &mut Batch) -> bool,
        mut hand_on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let done = make(&mut self.deriver, &mut self.batch);
            self.batch.iter().try_for_each(&mut hand_on)?;
            self.batch.clear();
            if done {
                return Ok(());
            }
        }
    }
}
