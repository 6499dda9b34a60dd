//! What was done, said once at the end.

use std::fmt;

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Turns in which something was due.
    pub turns: u64,
    /// Sends that were asked of the kernel.
    pub sends: u64,
    /// Of those, cut short by a full socket; the rest of the frame follows later.
    pub partial: u64,
    /// Records that a full socket did not take (EAGAIN): they are gone.
    pub dropped: u64,
    /// Connections that ended before the run did.
    pub left: u64,
    /// The latest turn, ns behind its tick.
    pub latest: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { turns, sends, partial, dropped, left, latest } = self;
        let latest = latest / 1_000;
        write!(f, "{turns} turns, {sends} sends, {partial} partial, {dropped} records dropped ")?;
        write!(f, "(EAGAIN), {left} connections left, latest turn {latest} us late")
    }
}
