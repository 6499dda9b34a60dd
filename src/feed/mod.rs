//! feed: sources of ticks, one file each, behind [`Feed::poll`].
//!
//! The publisher thread polls its sources in turn. A source appends bare DBN v3 records (no
//! `ts_out`: the publisher stamps that once a commit) to the [`Batch`] it is given and says when to
//! come again. It never sleeps, never reads a clock and never touches the ring: the same seed or
//! file and the same sequence of `now` give the same bytes.

pub(crate) mod csv;
pub mod decimal;
mod iex;
mod itch;
mod json;
mod levels;
mod lobster;
mod lots;
mod metronome;
pub mod pcap;
pub mod publisher;
mod quotes;
pub mod replay;
mod sim;
pub mod source;
mod symbols;
mod tape;
pub mod time;

pub use crate::derive::{Batch, Deriver};
pub use metronome::Metronome;
pub use sim::{RATE_DEFAULT, SYMBOLS_DEFAULT, Scenario, ScenarioError, Sim, SimOptions};

use crate::clock::UnixNanos;
use crate::wire::instrument::Instrument;

/// When a source wants to be polled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has more that is due now: the batch was full, or it knows no pace.
    Ready,
    /// Nothing more is due before this time, ns on the publisher's timeline.
    At(UnixNanos),
    /// It will bring nothing more.
    Ended,
}

/// How a source relates to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It keeps time, whoever listens: a market.
    Timed,
    /// It waits for the slowest subscriber: a file at `--speed max`.
    Elastic,
}

/// A source that can't go on. What it appended before is good and is published.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {reason}")]
pub struct FeedError {
    /// The feed or the file.
    pub source_name: String,
    /// What was wrong and where (byte, record), and what was played before it.
    pub reason: String,
}

/// One source of ticks.
pub trait Feed: Send {
    /// What it is, for people: `sim calm`, `replay ES.dbn.zst`.
    fn name(&self) -> String;

    /// Its relation to time.
    fn pace(&self) -> Pace {
        Pace::Timed
    }

    /// Is silence of this source a fault? Not for a recording, which may have holes.
    fn is_live(&self) -> bool {
        true
    }

    /// The instruments known before the first record. Called once, before the first poll. Those
    /// that turn up later go through [`Batch::introduce`].
    fn instruments(&mut self) -> Vec<Instrument>;

    /// Appends the records that are due at `now` (ns on the publisher's timeline, UNIX scale, never
    /// decreasing) as far as `out` has room, oldest first, and says when to come again. The first
    /// call's `now` is the start of the feed.
    ///
    /// # Errors
    /// [`FeedError`] ends the source; records appended by the same call are still published.
    fn poll(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FeedError>;
}
