//! A client's wishes, and whether what it was sent is what it wished for.

use serde_json::Value;

use super::received::{Item, Seen, items, long};
use super::world::SYMBOLS;
use crate::wire::batch::{CONFLATED, SNAPSHOT};
use crate::wire::record::Schema;

/// One subscription.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) schema: Schema,
    pub(super) instruments: [bool; SYMBOLS.len()],
    /// Asked for as `"*"`.
    pub(super) all: bool,
    /// The request that asked for it.
    pub(super) request: usize,
    /// Position after which it begins: as the answer says.
    from: Option<u64>,
    /// Records that had come before the answer.
    before: usize,
    /// Last position of each instrument.
    until: [u64; SYMBOLS.len()],
    /// The request that ended an instrument.
    ended_by: [usize; SYMBOLS.len()],
}

impl Wish {
    pub(super) fn new(schema: Schema, instruments: [bool; 4], all: bool, request: usize) -> Self {
        let instruments = if all { [true; 4] } else { instruments };
        let (from, until, ended_by) = (None, [u64::MAX; 4], [usize::MAX; 4]);
        Self { schema, instruments, all, request, from, before: 0, until, ended_by }
    }

    /// Request number `request` ends these instruments; what came up to `position` was for it.
    pub(super) fn end(&mut self, instruments: [bool; 4], position: u64, request: usize) {
        let each = instruments.iter().zip(&mut self.until).zip(&mut self.ended_by);
        for ((chosen, until), ended_by) in each {
            if *chosen && *until == u64::MAX {
                (*until, *ended_by) = (position, request);
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        (0..SYMBOLS.len()).any(|n| self.instruments[n] && self.until[n] == u64::MAX)
    }

    /// Has no part of it been ended?
    fn lasts(&self) -> bool {
        self.until == [u64::MAX; SYMBOLS.len()]
    }

    fn wants(&self, seen: Seen) -> bool {
        let begun = self.from.is_some_and(|from| seen.2 > from || self.is_paced());
        begun && self.covers(seen)
    }

    /// Is it for this one, whenever it began?
    fn covers(&self, (schema, n, seq): Seen) -> bool {
        schema == self.schema && self.instruments[n] && seq <= self.until[n]
    }

    /// Paced states are shared: what changed just before one joins may be sent to it, and what one
    /// brings along may be sent to all again.
    fn is_paced(&self) -> bool {
        self.schema == Schema::Bbo1S
    }
}

/// What a client read.
#[derive(Default)]
struct Reading {
    got: Vec<Seen>,
    cursor: u64,
    conflated: bool,
    closed: bool,
    /// The highest request that was answered.
    answered: usize,
    beat: Option<Value>,
}

/// Holds what a client was sent against its wishes. `live`: it was never cut off, and everything
/// has been flushed. Returns whether the server closed it.
pub(super) fn check(wishes: &mut [Wish], sent: &[u8], history: &[Seen], live: bool) -> bool {
    let mut reading = Reading::default();
    for item in items(sent, live) {
        assert!(!reading.closed, "nothing follows a close frame");
        match item {
            Item::Data { seq, flags, records } => reading.data(wishes, seq, flags, records),
            Item::Close(_) => reading.closed = true,
            Item::Text(text) => reading.text(wishes, text),
        }
    }
    let whole = live && !reading.closed;
    reading.events(wishes, history, whole);
    reading.states(wishes, history, whole);
    if whole {
        reading.sums(wishes, history);
    }
    reading.closed
}

impl Reading {
    fn advance(&mut self, seq: u64) {
        assert!(seq >= self.cursor, "a cursor never decreases: {} to {seq}", self.cursor);
        self.cursor = seq;
    }

    fn data(&mut self, wishes: &[Wish], seq: u64, flags: u8, records: Vec<Seen>) {
        self.advance(seq);
        self.conflated |= flags & CONFLATED != 0;
        for record in records {
            assert!(record.2 <= seq, "{record:?} came before its cursor {seq}");
            if flags & SNAPSHOT != 0 {
                continue;
            }
            let asked = |wish: &Wish| wish.wants(record) && wish.ended_by[record.1] > self.answered;
            assert!(wishes.iter().any(asked), "nobody asked for {record:?}: {wishes:?}");
            self.got.push(record);
        }
    }

    fn text(&mut self, wishes: &mut [Wish], text: Value) {
        if let Some(request) = text["id"].as_u64() {
            self.answered = request as usize;
            let asked = wishes.iter_mut().find(|wish| wish.request == self.answered);
            if let Some(wish) = asked {
                assert_eq!(text["success"], true, "{text}");
                (wish.from, wish.before) = (Some(long(&text["result"]["seq"])), self.got.len());
            }
        }
        if text["type"] == "heartbeat" {
            self.advance(long(&text["seq"]));
            self.heartbeat(wishes, &text);
            self.beat = Some(text);
        }
    }

    /// A heartbeat counts exactly what the frames before it held.
    fn heartbeat(&self, wishes: &[Wish], text: &Value) {
        assert_eq!(long(&text["records"]), self.got.len() as u64, "{text}");
        for (wish, counts) in counted(wishes, text) {
            let got = self.since(wish).count();
            assert_eq!(long(&counts["records"]), got as u64, "{wish:?} {text}");
        }
    }

    /// What came for a wish since it was answered. States from before may be among it, where they
    /// had been waiting for another one.
    fn since(&self, wish: &Wish) -> impl Iterator<Item = &Seen> {
        self.got[wish.before..].iter().filter(|record| wish.covers(**record))
    }

    /// Trades: each of them, in order.
    fn events(&self, wishes: &[Wish], history: &[Seen], whole: bool) {
        let trades = |record: &&Seen| record.0 == Schema::Trades;
        let wanted = |record: &&Seen| wishes.iter().any(|wish| wish.wants(**record));
        let due: Vec<_> = history.iter().filter(trades).filter(wanted).collect();
        let got: Vec<_> = self.got.iter().filter(trades).collect();
        assert_eq!(got[..], due[..got.len().min(due.len())]);
        assert!(!whole || got.len() == due.len(), "{} of {} trades", got.len(), due.len());
    }

    /// States: in order, none from before, and the newest in the end.
    fn states(&self, wishes: &[Wish], history: &[Seen], whole: bool) {
        for n in 0..SYMBOLS.len() {
            for schema in [Schema::Mbp1, Schema::Bbo1S] {
                let mine = |record: &&Seen| (record.0, record.1) == (schema, n);
                let got: Vec<u64> = self.got.iter().filter(mine).map(|record| record.2).collect();
                let again = schema == Schema::Bbo1S;
                let in_order = got.is_sorted_by(|a, b| a < b || again && a == b);
                assert!(in_order, "{schema} of {n}: {got:?}");
                let asked = |r: &&Seen| wishes.iter().any(|w| w.wants(**r) && w.from < Some(r.2));
                let open = |r: &&Seen| {
                    let lasting = |w: &Wish| w.wants(**r) && w.until[n] == u64::MAX;
                    wishes.iter().any(|w| lasting(w) && w.from < Some(r.2))
                };
                let newest = history.iter().filter(mine).filter(open).map(|r| r.2).next_back();
                if whole && newest.is_some() {
                    assert!(got.last() >= newest.as_ref(), "{schema} of {n}: {newest:?}");
                }
                // What waits of a subscription ends with it.
                let lasting = wishes.iter().all(|w| w.schema != schema || w.lasts());
                if whole && lasting && !self.conflated && schema == Schema::Mbp1 {
                    let due = history.iter().filter(mine).filter(asked).map(|record| record.2);
                    assert_eq!(got, due.collect::<Vec<_>>(), "{schema} of {n}");
                }
            }
        }
    }

    /// What was asked for has been sent or superseded.
    fn sums(&self, wishes: &[Wish], history: &[Seen]) {
        let Some(text) = &self.beat else { panic!("a live client has a heartbeat") };
        for (wish, counts) in counted(wishes, text) {
            let whole = wish.lasts() && !wish.is_paced();
            let early = self.since(wish).filter(|record| !wish.wants(**record)).count() as u64;
            let due = early + history.iter().filter(|r| wish.wants(**r)).count() as u64;
            let counted = long(&counts["records"]) + long(&counts["conflated"]);
            assert!(!whole || counted == due, "{counted} of {due}: {wish:?} {text}");
        }
    }
}

/// The wishes that a heartbeat counts for. Subscriptions are numbered as they are asked for.
fn counted<'a>(
    wishes: &'a [Wish],
    heartbeat: &'a Value,
) -> impl Iterator<Item = (&'a Wish, &'a Value)> {
    let all = heartbeat["subscriptions"].as_array().unwrap();
    all.iter()
        .map(|counts| (&wishes[counts["subscription"].as_u64().unwrap() as usize - 1], counts))
}
