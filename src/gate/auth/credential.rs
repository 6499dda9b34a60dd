//! Where a handshake or a request for a page carries a token: in `Authorization`, or, from a
//! browser, which can set no header, as a subprotocol. Never in its address.

use hyper::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};

use crate::limits::TOKEN_BYTES;
use crate::wire::grant::Secret;

/// What a subprotocol that is a token begins with.
pub const SUBPROTOCOL: &str = "broadtape.bearer.";

/// A token that is not given as it should be. It is never quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Two of them.
    #[error("more than one token is given")]
    Several,
    /// Another scheme.
    #[error("Authorization has to be \"Bearer\" and a token")]
    Scheme,
    /// Too long to be one.
    #[error("the token is longer than {TOKEN_BYTES} bytes")]
    Long,
}

/// The token of a request, where it carries one.
///
/// # Errors
/// [`CredentialError`].
pub fn find(headers: &HeaderMap) -> Result<Option<Secret>, CredentialError> {
    let mut found = None;
    for value in headers.get_all(AUTHORIZATION) {
        let value = value.to_str().map_err(|_| CredentialError::Scheme)?;
        let (scheme, token) = value.trim().split_once(' ').ok_or(CredentialError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(CredentialError::Scheme);
        }
        keep(&mut found, token.trim())?;
    }
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    for list in offers.filter_map(|list| list.to_str().ok()) {
        for token in list.split(',').filter_map(|one| one.trim().strip_prefix(SUBPROTOCOL)) {
            keep(&mut found, token)?;
        }
    }
    Ok(found)
}

fn keep(found: &mut Option<Secret>, token: &str) -> Result<(), CredentialError> {
    if token.len() > TOKEN_BYTES {
        return Err(CredentialError::Long);
    }
    match found.replace(Secret::new(token.to_owned())) {
        Some(_) => Err(CredentialError::Several),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_where_it_may_stand() {
        for (headers, right) in [
            (&[][..], Ok(None)),
            (&[("authorization", "Bearer a.b.c")], Ok(Some("a.b.c"))),
            (&[("authorization", "bearer  a.b.c ")], Ok(Some("a.b.c"))),
            (&[("authorization", "Basic YTpi")], Err(CredentialError::Scheme)),
            (&[("authorization", "Bearer")], Err(CredentialError::Scheme)),
            (
                &[("sec-websocket-protocol", "broadtape.json.v1, broadtape.bearer.a.b.c")],
                Ok(Some("a.b.c")),
            ),
            (
                &[("authorization", "Bearer a"), ("sec-websocket-protocol", "broadtape.bearer.a")],
                Err(CredentialError::Several),
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            let found = find(&map);
            let found = found.as_ref().map(|secret| secret.as_ref().map(Secret::expose));
            assert_eq!(found, right.as_ref().map(|token| *token), "{headers:?}");
        }
    }
}
