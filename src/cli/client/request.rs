//! What the tools ask of a server, as the texts they send.

use serde::Serialize;

/// Symbols in one request, by the server's default.
pub(crate) const SYMBOLS_PER_REQUEST: usize = crate::limits::SYMBOLS_PER_REQUEST;

#[derive(Serialize)]
struct Request<'a, P> {
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Serialize)]
struct Subscribe<'a> {
    schema: &'a [String],
    symbols: Symbols<'a>,
    snapshot: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Symbols<'a> {
    All(&'a str),
    These(&'a [String]),
}

/// The requests, numbered from 1, that subscribe to `schemas` of `symbols` (none: to all of them).
pub(crate) fn subscribe(
    schemas: &[String],
    symbols: Option<&[String]>,
    snapshot: bool,
) -> Vec<String> {
    let parts: Vec<Symbols<'_>> = match symbols {
        None => vec![Symbols::All("*")],
        Some(these) => these.chunks(SYMBOLS_PER_REQUEST).map(Symbols::These).collect(),
    };
    let numbered = (1..).zip(parts);
    numbered
        .map(|(id, symbols)| {
            let params = Subscribe { schema: schemas, symbols, snapshot };
            text(&Request { id, method: "subscribe", params })
        })
        .collect()
}

/// The request for all subscriptions with their counts.
pub(crate) fn subscriptions(id: u64) -> String {
    #[derive(Serialize)]
    struct None {}
    text(&Request { id, method: "subscriptions", params: None {} })
}

fn text(request: &impl Serialize) -> String {
    // Nothing but strings and numbers: it can't fail.
    serde_json::to_string(request).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_symbols_take_several_requests() {
        let schemas = ["trades".to_owned()];
        let symbols: Vec<String> = (0..2500).map(|n| format!("S{n}")).collect();
        let requests = subscribe(&schemas, Some(&symbols), false);
        assert_eq!(requests.len(), 3);
        let last: serde_json::Value = serde_json::from_str(&requests[2]).unwrap();
        assert_eq!((&last["id"], &last["params"]["snapshot"]), (&3.into(), &false.into()));
        assert_eq!(last["params"]["symbols"].as_array().unwrap().len(), 2500 - 2048);
        let all: serde_json::Value =
            serde_json::from_str(&subscribe(&schemas, None, true)[0]).unwrap();
        assert_eq!(all["params"]["symbols"], "*");
    }
}
