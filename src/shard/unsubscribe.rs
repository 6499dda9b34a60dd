//! Unsubscribe: a subscription ends, or a part of all of them; after the answer comes nothing more
//! of it.

use crate::clock::UnixNanos;
use crate::shard::Shard;
use crate::shard::subscribe::answer_to;
use crate::shard::subscription::Subscription;
use crate::socket::write::Engine;
use crate::wire::answer::Remaining;
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::request::Request;
use crate::wire::subscribe::Unsubscribe;
use crate::wire::symbols::{Symbol, Symbols};

impl<E: Engine> Shard<E> {
    /// Ends what a client names, or says why that can't be.
    pub(super) fn unsubscribe(
        &mut self,
        token: u32,
        request: &Request,
        what: &Unsubscribe,
        time_in: UnixNanos,
    ) -> Result<(), ControlError> {
        let subscriptions = &self.connections[token as usize].subscriptions;
        let matching = |schemas: u32| {
            subscriptions.iter().any(|s| s.interests().any(|i| i.schemas & schemas != 0))
        };
        let (chosen, schemas, indices) = match what {
            Unsubscribe::Subscription(id) => {
                if !subscriptions.iter().any(|subscription| subscription.id == *id) {
                    let words = format!("there is no subscription {id}");
                    return Err(ControlError::new(ErrorCode::UnknownSubscription, words));
                }
                (Some(*id), u32::MAX, None)
            }
            Unsubscribe::Matching { schemas, .. } if !matching(*schemas) => {
                let words = "no subscription has any of these schemas".to_owned();
                return Err(ControlError::new(ErrorCode::UnknownSubscription, words));
            }
            Unsubscribe::Matching { schemas, symbols: Symbols::All } => (None, *schemas, None),
            Unsubscribe::Matching { schemas, symbols: Symbols::Listed(symbols) } => {
                let open = subscriptions.iter().flat_map(Subscription::interests);
                if open.into_iter().any(|i| i.all && i.schemas & schemas != 0) {
                    let words = "symbols can't be taken out of \"*\": unsubscribe, then list them";
                    return Err(ControlError::new(ErrorCode::BadParams, words));
                }
                (None, *schemas, Some(self.indices_of(symbols)?))
            }
        };
        let Self { connections, audiences, progress, id, .. } = self;
        let connection = &mut connections[token as usize];
        connection.leave(token, audiences);
        if chosen.is_none() {
            // What is queued for the part that ends was counted for a subscription that goes on.
            connection.backlog.seal();
        }
        for subscription in &mut connection.subscriptions {
            if chosen.is_none_or(|chosen| chosen == subscription.id) {
                subscription.subtract(schemas, indices.as_deref());
            }
        }
        let ended = |s: &mut Subscription| s.interests().next().is_none();
        for gone in connection.subscriptions.extract_if(.., ended) {
            self.tally.ended = self.tally.ended.plus(gone.counted());
        }
        if connection.subscriptions.is_empty() {
            progress.of(*id).leave();
        }
        self.answer_unsubscribed(token, request, time_in);
        self.rejoin(token);
        Ok(())
    }

    fn answer_unsubscribed(&mut self, token: u32, request: &Request, time_in: UnixNanos) {
        let subscriptions = &self.connections[token as usize].subscriptions;
        let known = self.catalog.count();
        let remaining: Vec<Remaining> = subscriptions
            .iter()
            .map(|s| Remaining { subscription: s.id, count: s.instruments(known) })
            .collect();
        self.tell(token, |out| answer_to(request, time_in).unsubscribed(&remaining, out));
    }

    /// The instruments that a list means; names that nobody knows are an error here.
    fn indices_of(&self, symbols: &[Symbol]) -> Result<Vec<u32>, ControlError> {
        let mut indices = Vec::new();
        for symbol in symbols {
            match symbol {
                Symbol::Pattern(pattern) => indices.extend(self.catalog.matching(pattern)),
                Symbol::Name(name) => match self.catalog.named(name) {
                    [] => {
                        let words = format!("no instrument is called {name}");
                        return Err(ControlError::new(ErrorCode::UnknownSymbol, words));
                    }
                    found => indices.extend_from_slice(found),
                },
            }
        }
        indices.sort_unstable();
        indices.dedup();
        Ok(indices)
    }
}
