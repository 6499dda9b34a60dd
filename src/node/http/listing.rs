//! `/v1/instruments`, `/v1/last`, `/v1/sessions`: what there is, page by page.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::decimal::Decimal;
use super::query::Query;
use super::refusal::Refusal;
use crate::clock::{SECOND, unix_now};
use crate::limits::INSTRUMENTS_MAX;
use crate::node::report::{Session, SessionSubscription, Status};
use crate::wire::grant::Rights;
use crate::wire::instrument::{Directory, Instrument};
use crate::wire::json;
use crate::wire::record::{instrument_id, schemas};

/// Instruments on a page: by default, at most.
const INSTRUMENTS: (u64, u64) = (1_000, 10_000);
/// Sessions on a page: by default, at most.
const SESSIONS: (u64, u64) = (100, 1_000);

#[derive(Serialize)]
struct Instruments {
    instruments: Vec<Listed>,
    rejected: Vec<Rejected>,
    /// To be passed back as `?next=`; null on the last page.
    next: Option<Decimal>,
}

#[derive(Serialize)]
struct Listed {
    instrument_id: u32,
    symbol: String,
    schemas: Vec<&'static str>,
    /// As prices are: units with nine decimals.
    tick: Option<String>,
    lot: Option<u32>,
}

#[derive(Serialize)]
struct Rejected {
    symbol: String,
    code: u16,
    reason: &'static str,
}

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<Client>,
    next: Option<Decimal>,
}

#[derive(Serialize)]
struct Client {
    session: Decimal,
    shard: usize,
    peer: String,
    /// The proxy that says who it is.
    via: Option<String>,
    /// The subject of its grant; null where nobody is asked.
    user: Option<String>,
    tls: Option<&'static str>,
    encoding: &'static str,
    state: &'static str,
    since: Decimal,
    queued_bytes: Decimal,
    records: Decimal,
    bytes: Decimal,
    /// Over its whole life.
    records_per_second: Decimal,
    subscriptions: Vec<Subscription>,
}

#[derive(Serialize)]
struct Subscription {
    subscription: Decimal,
    schemas: Vec<&'static str>,
    symbols: Vec<String>,
    count: u32,
    policy: &'static str,
    max_rate: Option<u32>,
    records: Decimal,
    conflated: Decimal,
    dropped: Decimal,
}

/// `/v1/instruments`
pub(super) fn instruments(
    query: Option<&str>,
    directory: &Directory,
    rights: Option<&Rights>,
) -> Result<Vec<u8>, Refusal> {
    let query = Query::parse(query, &["symbols", "next", "limit"])?;
    if query.has("symbols") {
        let (found, rejected) = find(&query.symbols()?, directory, rights);
        let instruments = found.iter().map(|one| listed(one, rights)).collect();
        return Ok(super::json(&Instruments { instruments, rejected, next: None }));
    }
    let from = query.number("next", 0..=INSTRUMENTS_MAX as u64, 0)?;
    let limit = query.number("limit", 1..=INSTRUMENTS.1, INSTRUMENTS.0)?;
    let page = directory.page(from as usize, limit as usize);
    let end = from + page.len() as u64;
    let next = (end < directory.len() as u64).then_some(Decimal(end));
    let given = page.iter().filter(|one| rights.is_none_or(|r| r.has_symbol(&one.symbol)));
    let instruments = given.map(|one| listed(one, rights)).collect();
    Ok(super::json(&Instruments { instruments, rejected: Vec::new(), next }))
}

/// `/v1/last`
pub(super) async fn last(
    query: Option<&str>,
    status: &impl Status,
    rights: Option<&Rights>,
) -> Result<Vec<u8>, Refusal> {
    let query = Query::parse(query, &["symbols"])?;
    let (found, rejected) = find(&query.symbols()?, status.directory(), rights);
    let schemas = rights.map_or(u32::MAX, |rights| rights.schemas);
    let symbols: HashMap<u32, &str> = found.iter().map(|i| (i.id, i.symbol.as_str())).collect();
    let ids = found.iter().map(|instrument| instrument.id).collect();
    let records = status.last(ids, schemas).await;
    let mut body = format!("{{\"epoch\":\"{}\",\"records\":[", status.info().epoch).into_bytes();
    for (n, record) in records.iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        let symbol = symbols.get(&instrument_id(record)).copied().unwrap_or_default();
        json::encode(record, symbol, &mut body);
    }
    body.extend_from_slice(b"],\"rejected\":");
    body.extend_from_slice(&super::json(&rejected));
    body.push(b'}');
    Ok(body)
}

/// `/v1/sessions`
pub(super) async fn sessions(
    query: Option<&str>,
    status: &impl Status,
) -> Result<Vec<u8>, Refusal> {
    let query = Query::parse(query, &["next", "limit"])?;
    let after = query.number("next", 0..=u64::MAX, 0)?;
    let limit = query.number("limit", 1..=SESSIONS.1, SESSIONS.0)? as usize;
    let mut page = status.sessions(after, limit + 1).await;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|session| Decimal(session.id));
    let now = unix_now();
    let sessions = page.into_iter().map(|session| client(session, now)).collect();
    Ok(super::json(&Sessions { sessions, next }))
}

/// The instruments of symbols, and the symbols that have none.
fn find(
    symbols: &[&str],
    directory: &Directory,
    rights: Option<&Rights>,
) -> (Vec<Arc<Instrument>>, Vec<Rejected>) {
    let (mut found, mut rejected) = (Vec::new(), Vec::new());
    for &symbol in symbols {
        // Whether there is one that is not given is not told.
        if rights.is_some_and(|rights| !rights.has_symbol(symbol)) {
            let symbol = symbol.to_owned();
            rejected.push(Rejected { symbol, code: 403, reason: "not_entitled" });
            continue;
        }
        let mut instruments = directory.find(symbol);
        if instruments.is_empty() {
            let symbol = symbol.to_owned();
            rejected.push(Rejected { symbol, code: 404, reason: "unknown_symbol" });
        }
        found.append(&mut instruments);
    }
    (found, rejected)
}

fn listed(instrument: &Arc<Instrument>, rights: Option<&Rights>) -> Listed {
    let given = |schema| rights.is_none_or(|rights| rights.has_schema(schema));
    Listed {
        instrument_id: instrument.id,
        symbol: instrument.symbol.clone(),
        schemas: schemas()
            .filter(|&schema| instrument.has(schema) && given(schema))
            .map(|schema| schema.as_str())
            .collect(),
        tick: instrument.tick.map(price),
        lot: instrument.lot,
    }
}

/// 10_000_000 → `0.010000000`, as DBN prints prices.
fn price(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:09}", units / 1_000_000_000, units % 1_000_000_000)
}

fn client(session: Session, now: u64) -> Client {
    let lived = now.saturating_sub(session.since).max(1);
    let rate = u128::from(session.records) * u128::from(SECOND) / u128::from(lived);
    Client {
        session: Decimal(session.id),
        shard: session.shard,
        peer: session.peer.to_string(),
        via: session.via.map(|via| via.to_string()),
        user: session.user,
        tls: session.tls,
        encoding: session.encoding,
        state: session.state,
        since: Decimal(session.since),
        queued_bytes: Decimal(session.queued_bytes),
        records: Decimal(session.records),
        bytes: Decimal(session.bytes),
        records_per_second: Decimal(u64::try_from(rate).unwrap_or(u64::MAX)),
        subscriptions: session.subscriptions.into_iter().map(subscription).collect(),
    }
}

fn subscription(subscription: SessionSubscription) -> Subscription {
    Subscription {
        subscription: Decimal(subscription.id),
        schemas: subscription.schemas.iter().map(|schema| schema.as_str()).collect(),
        symbols: subscription.symbols,
        count: subscription.count,
        policy: subscription.policy,
        max_rate: (subscription.max_rate > 0).then_some(subscription.max_rate),
        records: Decimal(subscription.counts.records),
        conflated: Decimal(subscription.counts.conflated),
        dropped: Decimal(subscription.counts.dropped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_nine_decimals() {
        assert_eq!(price(10_000_000), "0.010000000");
        assert_eq!(price(-1_500_000_000), "-1.500000000");
        assert_eq!(price(i64::MIN), "-9223372036.854775808");
    }
}
