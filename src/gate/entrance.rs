//! Who asks: what a request says who it is from, and what becomes of that.

use std::sync::Arc;

use hyper::Request;

use super::auth::{Authority, credential};
use super::handshake::Refusal;
use super::{Caller, Gate};
use crate::limits::KEYS_LOOK;
use crate::shard::access::{Entry, Verdict};
use crate::shard::command::{Command, Mailbox};
use crate::wire::grant::{Access, Grant, Standing};

impl<P> Gate<P> {
    /// Who a request for a page is from.
    pub(super) fn access<B>(
        &self,
        request: &Request<B>,
        caller: &Caller,
    ) -> Result<Access, Refusal> {
        let Some(authority) = &self.authority else { return Ok(Access::Open) };
        match grant(authority, request, caller)? {
            Some(grant) => Ok(Access::Granted(Arc::new(grant))),
            None => Ok(Access::Anonymous),
        }
    }

    /// How a handshake comes in.
    pub(super) fn entry<B>(&self, request: &Request<B>, caller: &Caller) -> Result<Entry, Refusal> {
        let Some(authority) = &self.authority else { return Ok(Entry::Open) };
        let Some(grant) = grant(authority, request, caller)? else { return Ok(Entry::Unknown) };
        match authority.admit(grant) {
            Verdict::Granted(badge) => Ok(Entry::Known(badge)),
            Verdict::Failed => Err(Refusal::unauthorized()),
            Verdict::Full(most) => Err(Refusal::full(most)),
        }
    }

    /// Looks after the files of keys for ever, and tells the shards what has changed; `told` says
    /// when they are to be read in any case.
    pub async fn watch_keys(self: Arc<Self>, mut told: impl AsyncFnMut()) {
        let Some(authority) = &self.authority else { return };
        let mut look = tokio::time::interval(KEYS_LOOK);
        // Shards whose queue was full: they have to learn of it all the same.
        let mut owed: Vec<(Mailbox, Arc<Standing>)> = Vec::new();
        loop {
            let in_any_case = tokio::select! {
                _ = look.tick() => false,
                () = told() => true,
            };
            if let Some(standing) = authority.look(in_any_case) {
                owed = self.shards.iter().map(|shard| (shard.clone(), standing.clone())).collect();
            }
            owed.retain(|(shard, standing)| shard.send(Command::Review(standing.clone())).is_err());
            if !owed.is_empty() {
                tracing::error!(shards = owed.len(), "full queues: revocations wait");
            }
        }
    }
}

/// What the token of a request gives, where it carries one.
fn grant<B>(
    authority: &Authority,
    request: &Request<B>,
    caller: &Caller,
) -> Result<Option<Grant>, Refusal> {
    let found = credential::find(request.headers());
    let secret = found.map_err(|error| Refusal::malformed(error.to_string()))?;
    let Some(secret) = secret else { return Ok(None) };
    authority.judge(&secret).map(Some).map_err(|error| {
        tracing::debug!(peer = %caller, %error, "token not accepted");
        Refusal::unauthorized()
    })
}
