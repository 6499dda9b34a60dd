//! broadtape: a market's ticks in, out to many.
//!
//! # The way of a tick
//!
//! ```text
//!     feed ──► ring ──► shard (one per core) ──► socket ──► subscriber
//!      │         └──► tape (a recorder, and what reads its files)
//!      └── sim · metronome · replay     ▲
//!                             gate ─────┘ (connections, not ticks)
//! ```
//!
//! The folders are the stages, in the order of the data:
//!
//! 1. [`feed`]: the publisher thread polls its sources ([`feed::Feed::poll`]), derives bars and
//!    interval quotes, and commits batches of DBN v3 records to the ring. Recordings of any format
//!    are decoded into such records behind [`feed::source::Source`].
//! 2. [`ring`]: one writer, many readers, no locks. The writer never waits; a reader that was
//!    lapped knows exactly which records it lost.
//! 3. [`shard`]: one thread per core, with its own connections and last values, sharing nothing.
//!    [`shard::Shard::turn`] drains one bounded batch, matches each record once, frames it once for
//!    each audience (connections that ask for the same), and writes to each connection once.
//! 4. [`socket`]: bytes to and from one client. What the kernel does not take waits in a bounded
//!    backlog, by reference; what a client sends is judged by a strict decoder.
//! 5. [`tape`]: one more reader of the ring writes it to disk, on a thread of its own; files are
//!    read again from any position, also while they are written. A shard that needs what the ring
//!    no longer has, for a client that catches up or replays, asks [`tape::desk`] and goes on;
//!    [`tape::workshop`] derives for a replay what follows from its recording.
//!
//! Beside them, never on the data threads: [`gate`] accepts and upgrades, and hands each connection
//! to the shard with the fewest; [`node`] configures, starts, answers HTTP and drains; [`cli`] is
//! the command line. [`wire`], [`book`], [`mod@derive`], [`clock`], [`latency`] and [`limits`] are
//! vocabulary: they name no stage.
//!
//! Who may name whom, held by `tests/tree`:
//! `main → cli → node → {feed → ring ← shard → socket}`, `gate` before the shards.
//!
//! # Invariants
//!
//! - **One sequence.** Records are numbered from 1 in the order of their commit, over all feeds and
//!   schemas; `ts_out` never decreases.
//! - **Encoded once.** Members of an audience get the same bytes; a record's JSON text is made once
//!   a turn, whoever asks. Nothing is copied per subscriber in user space while its socket keeps
//!   up.
//! - **Nobody waits for anybody.** A slow client costs its own queue and then its own policy; a
//!   slow shard loses what the ring overwrites, and says so. The one exception is a recording
//!   played as fast as possible, which waits for the slowest subscriber.
//! - **Never silent.** Each record that matches a subscription is delivered, conflated or dropped,
//!   and counted as such in the heartbeats; each loss is told at its place in the stream.
//! - **Bounded.** Every queue, message, table and turn has its limit in [`limits`].
//! - **Each way in is one queue**: a shard is changed by its [`shard::command::Mailbox`] alone.
//!
//! # What is deliberately absent
//!
//! There is no async code on the data path: a shard is a loop around a poller, because it never has
//! to wait for more than one thing, and a task per connection would cost every idle one hundreds of
//! bytes. There is no `unsafe` code but in `socket/uring.rs`. There is no allocation per record or
//! per subscriber in a warm turn.

pub mod book;
pub mod cli;
pub mod clock;
pub mod derive;
pub mod feed;
pub mod gate;
pub mod latency;
pub mod limits;
pub mod node;
pub mod ring;
pub mod shard;
pub mod socket;
pub mod tape;
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
