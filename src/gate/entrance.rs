//! Who asks: what a request says who it is from, and what becomes of that.

use std::sync::Arc;

use hyper::Request;

use super::auth::{Authority, credential};
use super::handshake::Refusal;
use super::{Caller, Gate};
use crate::shard::access::{Entry, Verdict};
use crate::wire::grant::{Access, Grant};

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
