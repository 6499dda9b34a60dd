//! What many instruments are told at one instant, a record each, over as many batches as it takes.

use super::market::Market;
use super::print::{Stamp, definition, status};
use super::story::Scope;
use super::text::Reason;
use crate::clock::UnixNanos;
use crate::feed::Batch;
use crate::wire::record::bytes_of;

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// It is listed: its definition.
    Listed,
    /// It stops trading.
    Stopped(Reason),
    /// It trades, again where it was stopped for a reason.
    Trading(Option<Reason>),
}

/// News on its way to a scope of instruments.
#[derive(Debug)]
pub(super) struct Notice {
    news: News,
    scope: Scope,
    /// When it became so, ns since the start.
    at: u64,
    /// The place in the scope of who is told next.
    place: u32,
}

impl Notice {
    /// Nobody has been told yet.
    pub(super) fn new(news: News, scope: Scope, at: u64) -> Self {
        Self { news, scope, at, place: 0 }
    }

    /// Goes on telling. False where `out` has no room for the next record.
    pub(super) fn tell(
        &mut self,
        market: &Market,
        start: UnixNanos,
        now: UnixNanos,
        out: &mut Batch,
    ) -> bool {
        while let Some(rank) = self.scope.get(self.place) {
            let at = start + self.at;
            let stamp = Stamp { instrument: rank + 1, at, received: now, sequence: 0 };
            let told = match self.news {
                News::Listed => out.push(bytes_of(&definition(&stamp, market.symbol(rank)))),
                News::Stopped(reason) => out.push(bytes_of(&status(&stamp, false, Some(reason)))),
                News::Trading(reason) => out.push(bytes_of(&status(&stamp, true, reason))),
            };
            if !told {
                return false;
            }
            self.place += 1;
        }
        true
    }
}
