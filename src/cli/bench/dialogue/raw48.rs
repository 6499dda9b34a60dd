//! A server that pushes binary messages of 48 bytes to everybody who connects.

use std::sync::Arc;

use super::checks::Checks;
use super::sequence::{Sequence, Steps};
use super::{Clock, Dialogue, Scope, Step, stamps};
use crate::cli::bench::interval::Measure;
use crate::cli::bench::task::Task;
use crate::cli::client::frame::{self, BINARY, CLOSE, PING, PONG, TEXT};
use crate::cli::client::stream::{End, closed};
use crate::wire::record::u64_at;

/// Bytes of one record.
pub(crate) const RECORD: usize = 48;
/// Bytes of a server's message at most; it holds one record or several.
pub(crate) const MESSAGE_MAX: usize = 1 << 20;

/// The records of one connection.
#[derive(Debug)]
pub(crate) struct Records {
    clock: Clock,
    numbers: Sequence,
    records: u64,
    /// Messages that are no records.
    pub(crate) foreign: u64,
}

impl Records {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, numbers: Sequence::new(Steps::ByOne), records: 0, foreign: 0 }
    }

    /// Measures what `scope` brings, where it counts.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// One record of 48 bytes.
    #[inline]
    pub(crate) fn take(&mut self, record: &[u8], measure: &mut Option<Measure<'_>>) {
        self.records += 1;
        self.numbers.see(u64_at(record, 0));
        if let Some(measure) = measure {
            measure.event(u64_at(record, 8));
        }
    }

    /// Only the numbers tell what was lost.
    pub(crate) fn checks(&self) -> Checks {
        let mut checks =
            Checks { records: self.records, foreign: self.foreign, ..Checks::default() };
        checks.enter(&self.numbers);
        checks.missing = checks.sequence_missing;
        checks
    }
}

/// One connection to such a server.
pub(crate) struct Listener {
    task: Arc<Task>,
    records: Records,
}

impl Listener {
    pub(crate) fn new(task: Arc<Task>) -> Self {
        Self { records: Records::new(task.clock), task }
    }
}

impl Dialogue for Listener {
    fn opened(&mut self, scope: &mut Scope<'_>) {
        *scope.step = Step::Ready;
    }

    /// The server answers with records or not at all.
    fn subscribe(&mut self, scope: &mut Scope<'_>) {
        if let Some(message) = &self.task.message {
            scope.send(TEXT, message.as_bytes());
        }
        *scope.step = Step::Subscribed;
    }

    #[inline]
    fn take(&mut self, bytes: &[u8], scope: &mut Scope<'_>) -> Result<usize, End> {
        let clock = self.records.clock();
        let mut measure = stamps(scope.collector, scope.measured, clock, scope.now);
        let taken = frames(&mut self.records, bytes, scope.outbox, &mut measure);
        if let Some(measure) = measure {
            measure.end();
        }
        taken
    }

    fn settle(&mut self, scope: &mut Scope<'_>) {
        *scope.step = Step::Settled;
    }

    fn checks(&self) -> Checks {
        self.records.checks()
    }
}

#[inline]
fn frames(
    records: &mut Records,
    bytes: &[u8],
    outbox: &mut Vec<u8>,
    measure: &mut Option<Measure<'_>>,
) -> Result<usize, End> {
    let mut at = 0;
    while let Some((frame, length)) = frame::next_within(&bytes[at..], MESSAGE_MAX)? {
        at += length;
        match frame.opcode {
            BINARY => {
                let parts = frame.payload.chunks_exact(RECORD);
                if !parts.remainder().is_empty() || frame.payload.is_empty() {
                    let length = frame.payload.len();
                    return Err(End::Message(format!(
                        "a binary message of {length} bytes: raw48 takes multiples of {RECORD}"
                    )));
                }
                if let Some(measure) = measure {
                    measure.frame();
                }
                parts.for_each(|record| records.take(record, measure));
            }
            PING => frame::push(outbox, PONG, frame.payload),
            CLOSE => return Err(closed(frame.payload)),
            PONG => {}
            _ => records.foreign += 1,
        }
    }
    Ok(at)
}
