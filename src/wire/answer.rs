//! Answers: exactly one to each request.
//!
//! No answer exceeds [`SERVER_MESSAGE_MAX`]. Where lists would, the head of each result is written
//! for certain, then as many rejections as fit (and how many more there are), then the instruments,
//! whole or not at all: `count` says how many there are, and mappings name each before its records.

use super::error::{ControlError, ErrorCode};
use super::grant::Grant;
use super::heartbeat::Counts;
use super::instrument::schemas_of;
use super::message::{self, error_body};
use super::position::Position;
use super::replay::{Granted, State};
use super::request::{Id, Refused};
use super::subscribe::Policy;
use super::text::{Object, decimal, string};
use crate::clock::UnixNanos;
use crate::limits::{SERVER_MESSAGE_MAX, SYMBOLS_SHOWN};

/// Bytes that close an answer: brackets and two times.
const TAIL: usize = 80;
/// Bytes that say how a list goes on.
const MORE: usize = 32;
/// Bytes of a subscribe result without its lists, at most.
const RESULT_HEAD: usize = 200;

/// The answer to a request that was understood.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The request's.
    pub id: &'a Id,
    /// The request's.
    pub method: &'a str,
    /// When the request's bytes were read, ns.
    pub time_in: UnixNanos,
    /// When this answer is framed, ns.
    pub time_out: UnixNanos,
}

/// What became of one subscribe object.
#[derive(Clone, Copy, Debug)]
pub struct Subscribed<'a> {
    /// The number of the new subscription.
    pub subscription: u32,
    /// Where live delivery starts: with the record behind this.
    pub at: Position,
    /// Instruments in it.
    pub count: u32,
    /// All of them (symbol, id); none where they are not to be listed.
    pub instruments: Option<&'a [(&'a str, u32)]>,
    /// What was asked for and is not in it.
    pub rejected: &'a [(&'a str, ErrorCode)],
    /// Updates a second and instrument, where they are fewer than was asked for.
    pub max_rate: Option<u32>,
}

/// A subscription that goes on after an unsubscribe.
#[derive(Clone, Copy, Debug)]
pub struct Remaining {
    /// Its number.
    pub subscription: u32,
    /// Instruments left in it.
    pub count: u32,
}

/// A subscription as `subscriptions` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Subscription<'a> {
    /// Bit `1 << schema` for each schema.
    pub schemas: u32,
    /// What was asked for; none for all.
    pub symbols: Option<&'a [&'a str]>,
    /// Instruments in it.
    pub count: u32,
    /// What to do when the client is slow; none: as each schema has it.
    pub policy: Option<Policy>,
    /// Updates a second and instrument.
    pub max_rate: Option<u32>,
    /// Its number and what it brought.
    pub counts: Counts,
}

impl Answer<'_> {
    fn success(&self, out: &mut Vec<u8>, result: impl FnOnce(Object<'_>, usize) -> Object<'_>) {
        let end = out.len() + SERVER_MESSAGE_MAX - TAIL;
        identified(self.id, out)
            .text("method", self.method)
            .flag("success", true)
            .object("result", |o| result(o, end))
            .long("time_in", self.time_in)
            .long("time_out", self.time_out)
            .close();
    }

    /// Appends the answer to a subscribe with one object.
    pub fn subscribed(&self, result: &Subscribed<'_>, out: &mut Vec<u8>) {
        self.success(out, |o, end| result.fields(o, end));
    }

    /// Appends the answer to a subscribe with a list of at most 64 objects.
    pub fn subscribed_all(&self, results: &[Subscribed<'_>], out: &mut Vec<u8>) {
        self.success(out, |o, end| {
            let mut heads = results.len() * RESULT_HEAD;
            o.list("subscriptions", results, |out, result| {
                heads -= RESULT_HEAD;
                result.fields(Object::open(out), end.saturating_sub(heads)).close();
            })
        });
    }

    /// Appends the answer to an unsubscribe: what remains on the connection.
    pub fn unsubscribed(&self, remaining: &[Remaining], out: &mut Vec<u8>) {
        self.success(out, |o, _| {
            o.list("subscriptions", remaining, |out, r| {
                Object::open(out)
                    .number("subscription", r.subscription)
                    .number("count", r.count)
                    .close();
            })
        });
    }

    /// Appends the answer to a replay.
    pub fn replay(&self, granted: &Granted, out: &mut Vec<u8>) {
        self.success(out, |o, _| granted.fields(o));
    }

    /// Appends the answer to what controls a replay.
    pub fn replay_state(&self, state: &State<'_>, out: &mut Vec<u8>) {
        self.success(out, |o, _| state.fields(o));
    }

    /// Appends the answer to `subscriptions`: those after the one asked for, in the order of their
    /// numbers; where not all fit, `next` is the number to ask for the rest with.
    pub fn subscriptions(&self, subscriptions: &[Subscription<'_>], out: &mut Vec<u8>) {
        self.success(out, |o, end| {
            let (o, shown) =
                o.list_within("subscriptions", end - MORE, subscriptions, |out, s| s.write(out));
            match subscriptions[..shown].last() {
                Some(last) if shown < subscriptions.len() => {
                    o.number("next", last.counts.subscription)
                }
                _ => o,
            }
        });
    }

    /// Appends the answer to an `auth`: who it is, what that gives, until when.
    pub fn granted(&self, grant: &Grant, out: &mut Vec<u8>) {
        self.success(out, |o, end| grant.fields(o, end));
    }

    /// Appends the answer to a ping.
    pub fn pong(&self, data: Option<&str>, out: &mut Vec<u8>) {
        self.success(out, |o, _| {
            let o = o.long("time_in", self.time_in).long("time_out", self.time_out);
            match data {
                Some(data) => o.text("data", data),
                None => o,
            }
        });
    }

    /// Appends the refusal of a request that was understood.
    pub fn failure(&self, error: &ControlError, out: &mut Vec<u8>) {
        failure(identified(self.id, out).text("method", self.method), error)
            .long("time_in", self.time_in)
            .long("time_out", self.time_out)
            .close();
    }
}

/// Appends the refusal of a text that was no request; an `error` where its id could not be read.
pub fn refused(what: &Refused, time_in: UnixNanos, time_out: UnixNanos, out: &mut Vec<u8>) {
    let Some(id) = &what.id else { return message::error(&what.error, time_out, out) };
    let o = identified(id, out);
    let o = match &what.method {
        Some(method) => o.text("method", method),
        None => o.null("method"),
    };
    failure(o, &what.error).long("time_in", time_in).long("time_out", time_out).close();
}

fn identified<'o>(id: &Id, out: &'o mut Vec<u8>) -> Object<'o> {
    Object::open(out).value("id", |out| match id {
        Id::Number(n) => decimal(out, *n),
        Id::Text(text) => string(out, text),
    })
}

fn failure<'o>(o: Object<'o>, error: &ControlError) -> Object<'o> {
    o.flag("success", false).value("error", |out| error_body(error, out))
}

impl Subscribed<'_> {
    /// Its fields, within `end` bytes of the buffer.
    fn fields<'o>(&self, o: Object<'o>, end: usize) -> Object<'o> {
        let o = o.number("subscription", self.subscription).position(self.at);
        let o = o.number("count", self.count);
        let o = match self.max_rate {
            Some(rate) => o.number("max_rate", rate),
            None => o,
        };
        let rejections = end.saturating_sub(MORE);
        let (o, told) =
            o.list_within("rejected", rejections, self.rejected, |out, (symbol, code)| {
                Object::open(out)
                    .text("symbol", symbol)
                    .number("code", u32::from(code.code()))
                    .text("reason", code.reason())
                    .close();
            });
        let o = match self.rejected.len() - told {
            0 => o,
            more => o.number("rejected_more", more as u32),
        };
        let Some(instruments) = self.instruments else { return o };
        o.list_whole("instruments", end, instruments, |out, (symbol, id)| {
            Object::open(out).text("symbol", symbol).number("instrument_id", *id).close();
        })
    }
}

impl Subscription<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let asked = schemas_of(self.schemas);
        let o = self.counts.fields(Object::open(out));
        let o = o.list("schema", asked, |out, schema| string(out, schema.as_str()));
        let o = match self.symbols {
            None => o.text("symbols", "*"),
            Some(all) if all.len() > SYMBOLS_SHOWN => o,
            Some(all) => o.list("symbols", all, |out, symbol| string(out, symbol)),
        };
        let o = o.number("count", self.count);
        let o = match self.policy {
            Some(policy) => o.text("policy", policy.name()),
            None => o,
        };
        match self.max_rate {
            Some(rate) => o.number("max_rate", rate),
            None => o,
        }
        .close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::instrument::bit;
    use super::super::record::Schema;
    use super::super::request::parse;
    use super::*;
    use crate::limits::{
        ClientLimits, PARAMS_PER_REQUEST, SUBSCRIPTIONS_MAX, SYMBOL_BYTES, SYMBOLS_PER_REQUEST,
    };
    use serde_json::{Value, json};

    const AT: Position = Position { epoch: u64::MAX, seq: u64::MAX };

    fn answered(write: impl FnOnce(&Answer<'_>, &mut Vec<u8>)) -> Value {
        let id = Id::Text("\u{1}".repeat(36).parse().unwrap());
        let (time_in, time_out) = (u64::MAX, u64::MAX);
        let mut out = vec![b' '; 1000];
        write(&Answer { id: &id, method: "subscribe", time_in, time_out }, &mut out);
        assert!(out.len() <= SERVER_MESSAGE_MAX + 1000, "{}", out.len());
        serde_json::from_slice(&out).unwrap()
    }

    fn subscribed<'a>(
        instruments: Option<&'a [(&'a str, u32)]>,
        rejected: &'a [(&'a str, ErrorCode)],
    ) -> Subscribed<'a> {
        let (subscription, count) = (u32::MAX, u32::MAX);
        Subscribed { subscription, at: AT, count, instruments, rejected, max_rate: None }
    }

    #[test]
    fn a_subscribe_is_answered_as_the_protocol_says() {
        let id = Id::Number(1);
        let answer = Answer { id: &id, method: "subscribe", time_in: 5, time_out: 6 };
        let rejected = [("NOPE", ErrorCode::UnknownSymbol)];
        let instruments = [("ESH4", 17)];
        let at = Position { epoch: 2, seq: 3 };
        let what = Subscribed {
            subscription: 1,
            at,
            count: 1,
            ..subscribed(Some(&instruments), &rejected)
        };
        let mut out = Vec::new();
        answer.subscribed(&what, &mut out);
        let right = concat!(
            r#"{"id":1,"method":"subscribe","success":true,"result":{"subscription":1,"#,
            r#""epoch":"2","seq":"3","count":1,"#,
            r#""rejected":[{"symbol":"NOPE","code":404,"reason":"unknown_symbol"}],"#,
            r#""instruments":[{"symbol":"ESH4","instrument_id":17}]},"#,
            r#""time_in":"5","time_out":"6"}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), right);
    }

    #[test]
    fn instruments_are_listed_whole_or_not_at_all() {
        let widest = "\"".repeat(SYMBOL_BYTES);
        for (symbol, listed) in [("A", true), (&widest, false)] {
            let instruments = vec![(symbol, u32::MAX); SYMBOLS_PER_REQUEST];
            let answer = answered(|a, out| a.subscribed(&subscribed(Some(&instruments), &[]), out));
            let there = answer["result"]["instruments"].as_array();
            assert_eq!(there.map(Vec::len), listed.then_some(SYMBOLS_PER_REQUEST));
            assert_eq!(answer["result"]["count"], u32::MAX);
        }
    }

    #[test]
    fn rejections_come_first_and_say_how_many_more() {
        let widest = "\\".repeat(SYMBOL_BYTES);
        let rejected = vec![(widest.as_str(), ErrorCode::UnknownSubscription); SYMBOLS_PER_REQUEST];
        let instruments = [(widest.as_str(), 1); 600];
        let answer =
            answered(|a, out| a.subscribed(&subscribed(Some(&instruments), &rejected), out));
        let result = &answer["result"];
        let told = result["rejected"].as_array().unwrap().len();
        assert!(told > 300, "{told}");
        assert_eq!(result["rejected_more"], json!(SYMBOLS_PER_REQUEST - told));
        assert_eq!(result.get("instruments"), None);
    }

    #[test]
    fn a_list_of_results_always_has_all_its_heads() {
        let widest = "\"".repeat(SYMBOL_BYTES);
        let rejected = vec![(widest.as_str(), ErrorCode::UnknownSymbol); SYMBOLS_PER_REQUEST];
        let instruments = [("A", 1); 16];
        for (rejected, instruments) in
            [(&rejected[..], Some(&instruments[..])), (&[], Some(&instruments)), (&[], None)]
        {
            let results = vec![subscribed(instruments, rejected); PARAMS_PER_REQUEST];
            let answer = answered(|a, out| a.subscribed_all(&results, out));
            let list = answer["result"]["subscriptions"].as_array().unwrap();
            assert_eq!(list.len(), PARAMS_PER_REQUEST);
            for result in list {
                let told = result["rejected"].as_array().unwrap().len();
                let more = result.get("rejected_more").map_or(0, |m| m.as_u64().unwrap());
                assert_eq!(told + more as usize, rejected.len());
            }
        }
    }

    #[test]
    fn subscriptions_are_paged() {
        let symbols = vec!["\\"; SYMBOLS_SHOWN];
        let subscription = |n| Subscription {
            schemas: (1 << crate::wire::record::SCHEMAS) - 1,
            symbols: Some(&symbols),
            count: 9,
            policy: Some(Policy::Disconnect),
            max_rate: Some(100),
            counts: Counts { subscription: n, records: u64::MAX, ..Counts::default() },
        };
        let all: Vec<_> = (1..=SUBSCRIPTIONS_MAX as u32).map(subscription).collect();
        let (mut seen, mut pages) = (0, 0);
        loop {
            let page = answered(|a, out| a.subscriptions(&all[seen..], out));
            let list = page["result"]["subscriptions"].as_array().unwrap();
            assert_eq!(list[0]["subscription"], json!(seen + 1));
            (seen, pages) = (seen + list.len(), pages + 1);
            let Some(next) = page["result"].get("next") else { break };
            assert_eq!(*next, json!(seen));
        }
        assert!(seen == all.len() && pages > 1, "{seen} in {pages}");
    }

    #[test]
    fn a_subscription_shows_what_it_is() {
        let names = ["A"; SYMBOLS_SHOWN + 1];
        let counts = Counts { subscription: 2, records: 3, conflated: 4, dropped: 5 };
        let schemas = bit(Schema::Mbp1) | bit(Schema::Trades);
        let plain =
            Subscription { schemas, symbols: None, count: 7, policy: None, max_rate: None, counts };
        let answer = answered(|a, out| a.subscriptions(&[plain], out));
        let right = json!({"subscription": 2, "records": "3", "conflated": "4", "dropped": "5",
            "schema": ["mbp-1", "trades"], "symbols": "*", "count": 7});
        assert_eq!(answer["result"], json!({"subscriptions": [right]}));
        let many = Subscription { symbols: Some(&names), ..plain };
        let answer = answered(|a, out| a.subscriptions(&[many], out));
        assert_eq!(answer["result"]["subscriptions"][0].get("symbols"), None);
    }

    #[test]
    fn what_remains_always_fits() {
        let remaining = Remaining { subscription: u32::MAX, count: u32::MAX };
        let all = vec![remaining; SUBSCRIPTIONS_MAX];
        let answer = answered(|a, out| a.unsubscribed(&all, out));
        assert_eq!(answer["result"]["subscriptions"].as_array().unwrap().len(), all.len());
    }

    #[test]
    fn a_ping_comes_back_with_its_times() {
        let data = "\u{1f}".repeat(125);
        let answer = answered(|a, out| a.pong(Some(&data), out));
        assert_eq!(answer["result"]["data"], data);
        assert_eq!(answer["result"]["time_out"], u64::MAX.to_string());
        assert_eq!(answered(|a, out| a.pong(None, out))["result"].get("data"), None);
    }

    #[test]
    fn refusals_carry_what_could_be_read() {
        for (text, right) in [
            (r#"{"id":"x","method":"nope"}"#, json!(["x", "nope", "unknown_method"])),
            (r#"{"id":4,"method":7}"#, json!([4, null, "malformed"])),
        ] {
            let mut out = Vec::new();
            refused(&parse(text, &ClientLimits::default()).unwrap_err(), 1, 2, &mut out);
            let answer: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(answer["success"], false);
            let got = json!([answer["id"], answer["method"], answer["error"]["reason"]]);
            assert_eq!((got, &answer["time_out"]), (right, &json!("2")));
        }
        let mut out = Vec::new();
        refused(&parse("}", &ClientLimits::default()).unwrap_err(), 1, 2, &mut out);
        let error: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&error["type"], &error["error"]["code"]), (&json!("error"), &json!(400)));
        let refusal = ControlError::new(ErrorCode::WrongState, "no");
        let answer = answered(|a, out| a.failure(&refusal, out));
        assert_eq!(answer["error"], json!({"code": 409, "reason": "wrong_state", "message": "no"}));
    }
}
