//! The rules that hold for every connection, checked on every frame: `welcome` first, cursors that
//! never go down, times in order, mappings before records, nothing that was not asked for, one
//! answer for each request, and heartbeats whose counts are exactly what came.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::wire::{Batch, CATCH_UP, CONFLATED, GAP, Message, REPLAY, Record, SNAPSHOT, long};
use crate::wish::Wish;

/// What one connection has seen.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) epoch: Option<u64>,
    /// The last cursor.
    pub(crate) seq: u64,
    ts_send: u64,
    ts_out: u64,
    symbols: HashMap<u32, String>,
    /// Requests without an answer: id, method, params.
    open: HashMap<u64, (String, Value)>,
    pub(crate) wishes: Vec<Wish>,
    /// Records that came, snapshots and mappings not counted.
    pub(crate) records: u64,
    /// Heartbeats that came.
    pub(crate) heartbeats: u64,
    /// The replay that runs: its number and the records so far.
    pub(crate) replay: Option<(u64, u64)>,
    /// What it goes on as: the number and params of a subscription.
    follows: Option<(u64, Value)>,
    /// Instruments whose mappings the replay has brought.
    replayed: HashSet<u32>,
    /// `closing` came: nothing but a close frame may follow.
    pub(crate) closing: Option<Value>,
    pub(crate) closed: Option<u16>,
}

impl Ledger {
    /// A request was sent.
    pub(crate) fn asked(&mut self, id: u64, method: &str, params: &Value) {
        self.open.insert(id, (method.to_owned(), params.clone()));
    }

    /// Requests that have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.open.len()
    }

    /// The symbol of an instrument.
    pub(crate) fn symbol(&self, instrument: u32) -> &str {
        &self.symbols[&instrument]
    }

    pub(crate) fn take(&mut self, message: &Message) {
        assert_eq!(self.closed, None, "{message:?} after a close frame");
        if self.epoch.is_none() {
            let Message::Text(text) = message else { panic!("{message:?} before welcome") };
            assert_eq!(text["type"], "welcome", "{text}");
        }
        match message {
            Message::Text(text) => self.take_text(text),
            Message::Batch(batch) => self.take_batch(batch),
            Message::Close(code) => {
                if let Some(told) = &self.closing {
                    assert_eq!(told["code"], *code, "the close frame says what closing said");
                }
                self.closed = Some(*code);
            }
            Message::Ping | Message::Pong(_) => {}
        }
    }

    fn take_text(&mut self, text: &Value) {
        assert_eq!(self.closing, None, "{text} after closing");
        match text["type"].as_str() {
            None => self.take_answer(text),
            Some("welcome") => {
                assert_eq!(self.epoch, None, "a second welcome");
                self.epoch = Some(long(&text["epoch"]));
                assert_ne!(self.epoch, Some(0));
                self.seq = long(&text["seq"]);
            }
            Some("heartbeat") => {
                self.move_on(text);
                self.check(text);
            }
            Some("snapshot_done" | "live") => self.move_on(text),
            Some("closing") => self.closing = Some(text.clone()),
            Some("replay_started") => {
                let id = text["replay"].as_u64().unwrap();
                assert_eq!(self.replay.map(|(replay, _)| replay), Some(id), "{text}");
            }
            Some("replay_completed") => {
                let told = (text["replay"].as_u64().unwrap(), long(&text["records"]));
                assert_eq!(self.replay, Some(told), "exactly what came");
                if text["then"] != "loop" {
                    self.replay = None;
                }
                if text["then"] == "live" {
                    // The stream goes on where the replay ended.
                    self.seq = self.seq.min(long(&text["seq"]));
                    self.move_on(text);
                    let (id, params) = self.follows.take().unwrap();
                    self.wishes.push(Wish::new(id, &params));
                }
            }
            Some("lagging" | "gap" | "status" | "error") => {}
            Some(other) => panic!("unknown message {other}"),
        }
    }

    /// A position: of this epoch, not before the last one.
    fn move_on(&mut self, at: &Value) {
        assert_eq!(Some(long(&at["epoch"])), self.epoch, "{at}");
        self.advance(long(&at["seq"]));
    }

    fn advance(&mut self, seq: u64) {
        assert!(seq >= self.seq, "cursor {seq} after {}", self.seq);
        self.seq = seq;
    }

    fn take_answer(&mut self, answer: &Value) {
        let id = answer["id"].as_u64().expect("an id");
        let asked = self.open.remove(&id);
        let (method, params) = asked.unwrap_or_else(|| panic!("nobody asked for {answer}"));
        assert_eq!(answer["method"], *method);
        assert!(long(&answer["time_in"]) <= long(&answer["time_out"]), "{answer}");
        if answer["success"] == false {
            assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
            return;
        }
        let result = &answer["result"];
        match (method.as_str(), &params) {
            ("subscribe", Value::Array(list)) => {
                let results = result["subscriptions"].as_array().unwrap();
                assert_eq!(results.len(), list.len());
                list.iter().zip(results).for_each(|(params, result)| self.begin(params, result));
            }
            ("subscribe", params) => self.begin(params, result),
            ("unsubscribe", params) => self.end(params, result),
            ("replay", params) => {
                self.replay = Some((result["replay"].as_u64().unwrap(), 0));
                self.replayed.clear();
                self.follows = result["subscription"].as_u64().map(|id| (id, params.clone()));
            }
            ("stop", _) => {
                let told = (result["replay"].as_u64().unwrap(), long(&result["records"]));
                assert_eq!(self.replay.take(), Some(told), "exactly what came");
            }
            _ => {}
        }
    }

    fn begin(&mut self, params: &Value, result: &Value) {
        if params.get("from").is_some() {
            // Who asks for the past goes back.
            self.seq = self.seq.min(long(&result["seq"]));
        }
        self.move_on(result);
        let id = result["subscription"].as_u64().unwrap();
        assert!(self.wishes.iter().all(|wish| wish.id < id), "{id} is new");
        self.wishes.push(Wish::new(id, params));
    }

    fn end(&mut self, params: &Value, result: &Value) {
        let known: HashSet<String> = self.symbols.values().cloned().collect();
        match params["subscription"].as_u64() {
            Some(id) => self.wishes.retain(|wish| wish.id != id),
            None => self.wishes.iter_mut().for_each(|wish| wish.subtract(params, &known)),
        }
        let left = result["subscriptions"].as_array().unwrap();
        let left: Vec<u64> = left.iter().map(|s| s["subscription"].as_u64().unwrap()).collect();
        self.wishes.retain(|wish| left.contains(&wish.id));
        assert_eq!(left.len(), self.wishes.len(), "what remains: {result}");
    }

    /// A replay's batch: counted by itself, and mapped by itself.
    fn take_replayed(&mut self, batch: &Batch) {
        let (id, records) = self.replay.expect("a replay runs");
        assert_eq!((u64::from(batch.epoch as u32), batch.flags), (id, REPLAY));
        for record in &batch.records {
            let known = !self.replayed.insert(record.instrument);
            assert!(known || record.is_mapping(), "{record:?} before its mapping");
        }
        let came = batch.records.iter().filter(|record| !record.is_mapping()).count() as u64;
        assert_eq!(batch.seq, records + came, "the records so far");
        self.replay = Some((id, batch.seq));
    }

    fn take_batch(&mut self, batch: &Batch) {
        assert_eq!(self.closing, None, "data after closing");
        if batch.flags & REPLAY != 0 {
            return self.take_replayed(batch);
        }
        let known = SNAPSHOT | CATCH_UP | CONFLATED | GAP;
        assert_eq!(batch.flags & !known, 0, "flags {:#x}", batch.flags);
        assert_eq!(batch.records.is_empty(), batch.flags & GAP != 0, "only a gap is empty");
        assert_eq!(batch.epoch as u32, self.epoch.unwrap() as u32);
        self.advance(batch.seq);
        assert!(batch.ts_send >= self.ts_send, "ts_send goes back");
        self.ts_send = batch.ts_send;
        for record in &batch.records {
            assert!(record.ts_out <= batch.ts_send, "published before it is sent");
            self.take_record(record, batch.flags);
        }
    }

    fn take_record(&mut self, record: &Record, flags: u8) {
        if let Some(symbol) = &record.symbol {
            let before = self.symbols.insert(record.instrument, symbol.clone());
            assert!(before.is_none_or(|before| before == *symbol));
        }
        if record.is_mapping() {
            return;
        }
        let symbol = self.symbols.get(&record.instrument);
        let symbol = symbol.unwrap_or_else(|| panic!("{record:?} before its mapping"));
        let asking: Vec<usize> =
            (0..self.wishes.len()).filter(|at| self.wishes[*at].covers(record, symbol)).collect();
        assert!(!asking.is_empty(), "nobody asked for {record:?} of {symbol}");
        if flags & SNAPSHOT != 0 {
            return;
        }
        if flags & CONFLATED == 0 {
            assert!(record.ts_out >= self.ts_out, "ts_out goes back");
            self.ts_out = record.ts_out;
        }
        self.records += 1;
        asking.into_iter().for_each(|at| self.wishes[at].records += 1);
    }

    /// Counts along.
    fn check(&mut self, heartbeat: &Value) {
        self.heartbeats += 1;
        assert_eq!(long(&heartbeat["records"]), self.records, "{heartbeat}");
        let counts = heartbeat["subscriptions"].as_array().unwrap();
        assert_eq!(counts.len(), self.wishes.len(), "{heartbeat}");
        for (wish, counts) in self.wishes.iter().zip(counts) {
            assert_eq!(counts["subscription"].as_u64(), Some(wish.id));
            assert_eq!(long(&counts["records"]), wish.records, "{heartbeat}");
            assert_eq!(long(&counts["dropped"]), 0, "{heartbeat}");
        }
    }
}
