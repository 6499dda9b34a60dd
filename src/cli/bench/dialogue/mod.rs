//! What is said on a connection, protocol by protocol, and what its records are told apart by.

pub(crate) mod checks;
pub(crate) mod sequence;

mod broadtape;
mod ledger;
mod nats;
pub(crate) mod raw48;
mod stamp;

use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};

use super::collector::Collector;
use super::interval::Measure;
use super::task::Task;
use crate::cli::client::frame;
use crate::cli::client::stream::End;
use crate::clock::{SECOND, UnixNanos};
use checks::Checks;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// docs/protocol.md: batches of records.
    Broadtape,
    /// Binary messages of 48 bytes: u64 number, u64 time in ns, u32 symbol, filler; little-endian.
    Raw48,
    /// The same 48 bytes as messages of NATS over WebSocket.
    Nats,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        ["broadtape", "raw48", "nats"][self as usize]
    }
}

/// Which clock the server's stamps are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clock {
    /// Time since the UNIX epoch.
    Real,
    /// The machine's monotonic clock: the server has to run on the same one.
    Monotonic,
}

impl Clock {
    /// This clock, ns, where the other one is at `unix`.
    #[inline]
    fn now(self, unix: UnixNanos) -> u64 {
        match self {
            Self::Real => unix,
            Self::Monotonic => {
                let now = clock_gettime(ClockId::Monotonic);
                now.tv_sec as u64 * SECOND + now.tv_nsec as u64
            }
        }
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// It is not connected.
    Connecting,
    /// It is in the handshake of TLS.
    Securing,
    /// It has asked for a WebSocket.
    Upgrading,
    /// It waits for what the server says first.
    Greeting,
    /// It may subscribe.
    Ready,
    /// It has asked to subscribe.
    Asking,
    /// It receives.
    Subscribed,
    /// It has asked for the last counts.
    Settling,
    /// It has them.
    Settled,
    /// It has said goodbye.
    Leaving,
}

/// What a dialogue may touch of its connection and its thread.
pub(crate) struct Scope<'a> {
    pub(crate) step: &'a mut Step,
    /// Bytes to be sent.
    pub(crate) outbox: &'a mut Vec<u8>,
    pub(crate) collector: &'a mut Collector,
    /// When the bytes were read.
    pub(crate) now: UnixNanos,
    /// What they hold counts as measured.
    pub(crate) measured: bool,
}

impl Scope<'_> {
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        frame::push(self.outbox, opcode, payload);
    }
}

/// Measures messages that say nothing but when they were due.
fn stamps(
    collector: &mut Collector,
    measured: bool,
    clock: Clock,
    now: UnixNanos,
) -> Option<Measure<'_>> {
    measured.then(|| collector.measure(None, clock.now(now)))
}

/// One connection's side of the talk.
pub(crate) trait Dialogue: Send {
    /// The connection has become a WebSocket.
    fn opened(&mut self, scope: &mut Scope<'_>);

    /// It is to subscribe.
    fn subscribe(&mut self, scope: &mut Scope<'_>);

    /// Takes of `bytes` what is whole, and returns how many those were.
    ///
    /// # Errors
    /// How the connection has ended, or has to.
    fn take(&mut self, bytes: &[u8], scope: &mut Scope<'_>) -> Result<usize, End>;

    /// It is to ask for what it needs to close its books.
    fn settle(&mut self, scope: &mut Scope<'_>);

    /// The server's last words, where it said why it closes.
    fn words(&self) -> Option<&str> {
        None
    }

    /// Symbols that the server refused, with its reasons; told once.
    fn rejected(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// What was found so far.
    fn checks(&self) -> Checks;
}

/// The dialogue of connection `number`.
pub(crate) fn of(task: &std::sync::Arc<Task>, number: usize) -> Box<dyn Dialogue> {
    match task.protocol {
        Protocol::Broadtape => Box::new(broadtape::Subscriber::new(task.clone(), number)),
        Protocol::Raw48 => Box::new(raw48::Listener::new(task.clone())),
        Protocol::Nats => Box::new(nats::Subscriber::new(task.clone())),
    }
}
