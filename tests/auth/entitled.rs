//! Nothing but what a grant gives ever arrives: random grants, random wishes, every record looked
//! at; and each refusal by itself.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::client::{Client, page};
use crate::world::{World, all};

/// Schemas that the simulated market brings.
const SCHEMAS: [&str; 6] = ["trades", "mbp-1", "tbbo", "bbo-1s", "ohlcv-1s", "status"];

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Some of these, one at least.
    fn some(&mut self, of: &[String]) -> Vec<String> {
        let mut some: Vec<String> = of.iter().filter(|_| self.roll(3) == 0).cloned().collect();
        if some.is_empty() {
            some.push(of[self.roll(of.len())].clone());
        }
        some
    }

    /// Symbols, patterns, or all.
    fn symbols(&mut self, known: &[String]) -> Value {
        if self.roll(5) == 0 {
            return json!("*");
        }
        let mut list = self.some(known);
        for symbol in &mut list {
            if self.roll(3) == 0 {
                let cut = 1 + self.roll(symbol.len() - 1);
                *symbol = format!("{}*", &symbol[..cut]);
            }
        }
        json!(list)
    }
}

fn matches(pattern: &str, symbol: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => symbol.starts_with(prefix),
        None => pattern == symbol,
    }
}

fn among(list: &Value, symbol: &str) -> bool {
    match list {
        Value::Array(list) => list.iter().any(|one| matches(one.as_str().unwrap(), symbol)),
        all => all == "*",
    }
}

/// Does a grant, or a wish, cover this record?
fn covers(schemas: &Value, symbols: &Value, record: &Value) -> bool {
    let rtype = record["hd"]["rtype"].as_u64().unwrap();
    let of: &[&str] = match rtype {
        0 => &["trades"],
        1 if record["action"] == "T" => &["mbp-1", "tbbo"],
        1 => &["mbp-1"],
        18 => &["status"],
        32 => &["ohlcv-1s"],
        195 => &["bbo-1s"],
        other => panic!("a record of type {other}: {record}"),
    };
    let has =
        |schema: &&str| schemas.as_array().is_none_or(|list| list.iter().any(|one| one == schema));
    of.iter().any(has) && among(symbols, record["symbol"].as_str().unwrap())
}

fn symbols_of(world: &World) -> Vec<String> {
    let token = world.token("looker", all());
    let page: Value =
        serde_json::from_str(&page(world.server(), "/v1/instruments", Some(&token)).1).unwrap();
    let list = page["instruments"].as_array().unwrap();
    list.iter().map(|one| one["symbol"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_but_what_is_given_ever_arrives() {
    let world = World::new(&["--rate", "3000", "--message-burst", "1000", "--heartbeat", "50ms"]);
    let known = symbols_of(&world);
    let schemas: Vec<String> = SCHEMAS.iter().map(|schema| (*schema).to_owned()).collect();
    let mut dice = Dice(5);
    let (mut looked, mut refused, mut rejected) = (0, 0, 0);
    for round in 0..60 {
        let given_schemas = if dice.roll(4) == 0 { json!("*") } else { json!(dice.some(&schemas)) };
        let given = dice.symbols(&known);
        let rights = json!({"schemas": given_schemas, "symbols": given});
        let token = world.token(&format!("client-{round}"), rights.clone());
        let mut client = Client::connect(world.server(), Some(&token));
        let mut wishes = Vec::new();
        for _ in 0..=dice.roll(3) {
            let wish = json!({"schema": dice.some(&schemas), "symbols": dice.symbols(&known)});
            let answer = client.ask("subscribe", wish.clone());
            match answer["success"].as_bool().unwrap() {
                true => {
                    let list = answer["result"]["rejected"].as_array().unwrap();
                    rejected += list.iter().filter(|one| one["code"] == 403).count();
                    wishes.push(wish);
                }
                false => {
                    assert_eq!(answer["error"]["code"], 403, "{rights} {wish}: {answer}");
                    refused += 1;
                }
            }
        }
        // A busy connection has a heartbeat but each 5 s.
        let messages = Cell::new(0);
        client.until(|message| {
            messages.set(messages.get() + u32::from(message["type"] == "data"));
            message["type"] == "heartbeat" || messages.get() == 100
        });
        let data = std::mem::take(&mut client.data);
        for record in data.iter().flat_map(|data| data["records"].as_array().unwrap()) {
            if record["hd"]["rtype"] == 22 {
                let symbol = record["stype_out_symbol"].as_str().unwrap();
                assert!(among(&given, symbol), "{rights}: {record}");
                continue;
            }
            assert!(covers(&given_schemas, &given, record), "{rights}: {record}");
            let asked = |wish: &Value| covers(&wish["schema"], &wish["symbols"], record);
            assert!(wishes.iter().any(asked), "{wishes:?}: {record}");
            looked += 1;
        }
    }
    assert!(looked > 500 && refused > 10 && rejected > 10, "{looked} {refused} {rejected}");
}

#[test]
fn good_symbols_subscribe_beside_those_that_are_not_given() {
    let world = World::new(&[]);
    let known = symbols_of(&world);
    let rights = json!({"schemas": ["trades"], "symbols": [known[0], known[1]]});
    let mut client = Client::connect(world.server(), Some(&world.token("alice", rights)));
    let wish = json!({"schema": "trades", "symbols": [known[0], known[2], "NOPE"]});
    let result = client.granted("subscribe", wish);
    assert_eq!(result["count"], 1);
    // Whether there is an instrument is not told to whom it is not given.
    let rejected = result["rejected"].as_array().unwrap();
    assert!(rejected.len() == 2 && rejected.iter().all(|one| one["code"] == 403), "{rejected:?}");
    let refused = (403, "not_entitled".to_owned());
    let none = json!({"schema": "trades", "symbols": [known[3]]});
    assert_eq!(client.refused("subscribe", none), refused);
    let schema = json!({"schema": ["trades", "mbp-1"], "symbols": [known[0]]});
    assert_eq!(client.refused("subscribe", schema), refused);
    assert_eq!(client.refused("replay", json!({"recording": "live"})), refused);
    let from = json!({"schema": "trades", "symbols": "*", "from": {"time": "1"}});
    let mut fresh = Client::connect(
        world.server(),
        Some(&world.token("bob", json!({"schemas": "*", "symbols": "*"}))),
    );
    assert_eq!(fresh.refused("subscribe", from), refused);
    let everything = client.granted("subscribe", json!({"schema": "trades", "symbols": "*"}));
    assert_eq!(everything["count"], 2);
}

#[test]
fn what_is_derived_is_given_by_its_own_schema() {
    let feeds = concat!(env!("CARGO_MANIFEST_DIR"), "/feeds");
    let copies = tempfile::tempdir().unwrap();
    let more = ["--recordings", feeds, "--recordings-cache", copies.path().to_str().unwrap()];
    let world = World::new(&more);
    let rights = json!({"schemas": ["ohlcv-1s"], "symbols": "*", "history": "all", "replay": true});
    let token = world.token("alice", rights);
    let listed = loop {
        let (_, text) = page(world.server(), "/v1/recordings", Some(&token));
        let all: Value = serde_json::from_str(&text).unwrap();
        let all = all["recordings"].as_array().unwrap();
        if let Some(crash) = all.iter().find(|r| r["name"] == "crash" && r["state"] == "ready") {
            break crash.clone();
        }
    };
    assert_eq!((&listed["schemas"], &listed["derivable"]), (&json!([]), &json!(["ohlcv-1s"])));
    let mut client = Client::connect(world.server(), Some(&token));
    let wish = |schema: &str| json!({"recording": "crash", "speed": "max", "schema": schema});
    for other in ["bbo-1s", "trades", "mbp-1"] {
        assert_eq!(client.refused("replay", wish(other)), (403, "not_entitled".to_owned()));
    }
    assert_eq!(client.granted("replay", wish("ohlcv-1s"))["derived"], json!(["ohlcv-1s"]));
    let completed = client.until(|message| message["type"] == "replay_completed");
    assert_ne!(completed["records"], "0", "{completed}");
}

#[test]
fn history_reaches_as_far_as_is_given() {
    let world = World::new(&[]);
    let token = |history: Value| {
        world.token("alice", json!({"schemas": "*", "symbols": "*", "history": history}))
    };
    let from = |from: Value| json!({"schema": "trades", "symbols": "*", "from": from});
    let mut client = Client::connect(world.server(), Some(&token(json!(3600))));
    let (epoch, seq) = (client.welcome["epoch"].clone(), client.welcome["seq"].clone());
    client.granted("subscribe", from(json!({"epoch": epoch, "seq": "0"})));
    client.until(|message| message["type"] == "live");
    let mut client = Client::connect(world.server(), Some(&token(json!(0))));
    // Once something has come after that position, it is history.
    while client.welcome["seq"] == "0" || client.welcome["seq"] == seq {
        client = Client::connect(world.server(), Some(&token(json!(0))));
    }
    let refused = (403, "not_entitled".to_owned());
    assert_eq!(client.refused("subscribe", from(json!({"epoch": epoch, "seq": "0"}))), refused);
    assert_eq!(client.refused("subscribe", from(json!({"time": "1"}))), refused);
}

/// What is played again and again grows too old meanwhile: a pass that brings nothing is the last.
#[test]
fn a_loop_ends_where_history_does() {
    let tape = tempfile::tempdir().unwrap();
    let world = World::new(&["--record", tape.path().join("tape").to_str().unwrap()]);
    let rights = json!({"schemas": "*", "symbols": "*", "history": 2, "replay": true});
    let mut client = Client::connect(world.server(), Some(&world.token("alice", rights)));
    let now = crate::world::now() * 1_000_000_000;
    let (start, end) = (now.to_string(), (now + 1_000_000_000).to_string());
    let wish = json!({"recording": "live", "start": start, "end": end, "speed": "max",
                      "then": "loop"});
    client.granted("replay", wish);
    let begun = std::time::Instant::now();
    while client.ask("resume", json!({}))["success"] == true {
        assert!(begun.elapsed().as_secs() < 60, "it goes round for ever");
        client.until(|message| message["type"] == "heartbeat");
    }
    assert_eq!(client.refused("stop", json!({})), (409, "wrong_state".to_owned()));
}

#[test]
fn a_rate_is_at_most_what_is_given() {
    let world = World::new(&["--rate", "3000"]);
    let rights = json!({"schemas": "*", "symbols": "*", "max_rate": 2});
    let mut client = Client::connect(world.server(), Some(&world.token("alice", rights)));
    for (asked, told) in [(Value::Null, json!(2)), (json!(50), json!(2)), (json!(1), Value::Null)] {
        let mut wish = json!({"schema": "mbp-1", "symbols": "*"});
        if !asked.is_null() {
            wish["max_rate"] = asked;
        }
        assert_eq!(client.granted("subscribe", wish)["max_rate"], told);
    }
    for _ in 0..4 {
        let data = client.until(|m| m["type"] == "data" && !crate::client::is_snapshot(m));
        assert!(data["flags"].as_array().unwrap().iter().any(|flag| flag == "conflated"), "{data}");
    }
}
