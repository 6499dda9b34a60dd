//! Forty clients on three shards, each with a mix of its own, while several files are played
//! together: each receives exactly what it asked for, and its heartbeat counts just that.

use std::path::PathBuf;

use dbn::Schema;
use serde_json::{Value, json};

use crate::client::{Client, Encoding, whole};
use crate::compare::assert_received;
use crate::oracle::{self, Expected};
use crate::program::recording;
use crate::{ORDERS, QUOTES, TRADES, replay};

/// One subscription, as it is asked for and as it is meant.
struct Wish {
    schemas: &'static str,
    symbols: &'static str,
    means: fn(&str) -> bool,
}

impl Wish {
    fn params(&self) -> Value {
        let split = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        json!({"schema": split(self.schemas), "symbols": split(self.symbols), "snapshot": false})
    }

    fn gets(&self, record: &Expected) -> bool {
        let mut schemas = self.schemas.split(' ').map(|name| name.parse::<Schema>().unwrap());
        (self.means)(&record.symbol) && schemas.any(|schema| record.is(schema))
    }
}

fn all(_: &str) -> bool {
    true
}

fn es(symbol: &str) -> bool {
    symbol.starts_with("ES")
}

const fn wish(schemas: &'static str, symbols: &'static str, means: fn(&str) -> bool) -> Wish {
    Wish { schemas, symbols, means }
}

/// What the clients ask for, two of each mix: one an encoding.
const MIXES: [&[Wish]; 20] = [
    &[wish("trades", "*", all)],
    &[wish("mbp-1", "*", all)],
    &[wish("tbbo", "*", all)],
    &[wish("mbp-10", "*", all)],
    &[wish("definition", "*", all)],
    &[wish("trades mbp-1", "ESU4", |s| s == "ESU4")],
    &[wish("mbp-1 trades", "ESU4 ESH1", |s| s == "ESU4" || s == "ESH1")],
    &[wish("trades", "ESH1", |s| s == "ESH1")],
    &[wish("mbo", "ESH4", |s| s == "ESH4")],
    &[wish("mbo", "*1", |s| s.ends_with('1'))],
    &[wish("mbo trades", "E*4", |s| s == "ESH4" || s == "ESU4")],
    &[wish("mbp-1 trades definition status", "ES*", es)],
    &[wish("ohlcv-1s ohlcv-1m ohlcv-1h ohlcv-1d", "*", all)],
    &[wish("statistics imbalance status", "*", all)],
    &[wish("bbo-1s bbo-1m cbbo-1s cmbp-1", "*", all)],
    &[wish("imbalance definition", "S*T M*", |s| s == "SPOT" || s == "MSFT")],
    &[wish("trades", "*", all), wish("trades mbp-1", "ESU4", |s| s == "ESU4")],
    &[wish("tbbo", "ES*", es), wish("mbp-1", "ESU4", |s| s == "ESU4")],
    &[wish("mbp-1", "*", all), wish("tbbo", "*", all), wish("trades", "*S*", es)],
    &[wish("definition", "MSFT", |s| s == "MSFT"), wish("status trades", "ES*1", |s| s == "ESH1")],
];

/// The files that are played: all recordings, and one of every schema.
fn files() -> Option<Vec<PathBuf>> {
    let folder = recording("dbn")?;
    let small = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        small.filter(|path| path.to_string_lossy().ends_with(".v3.dbn.zst")).collect();
    files.sort();
    for name in [ORDERS, QUOTES, TRADES] {
        files.push(recording(name)?);
    }
    Some(files)
}

#[test]
fn forty_clients_of_mixed_subscriptions_get_exactly_their_own() {
    let Some(files) = files() else { return };
    let merged = oracle::merge(&files.iter().map(|path| oracle::read(path)).collect::<Vec<_>>());
    assert!(
        MIXES.iter().flat_map(|mix| mix.iter()).all(|wish| merged.iter().any(|r| wish.gets(r)))
    );
    let paths: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    let server = replay(&paths, 2 * MIXES.len(), &["--shards", "3"]);
    let both = [Encoding::Dbn, Encoding::Json];
    let mut clients = Vec::new();
    for (mix, encoding) in MIXES.iter().flat_map(|mix| both.map(|encoding| (mix, encoding))) {
        let mut client = Client::connect(&server.address, encoding);
        let result = client.subscribe(mix.iter().map(Wish::params).collect());
        clients.push((mix, client, numbers(&result)));
    }
    std::thread::scope(|scope| {
        for (mix, client, numbers) in &mut clients {
            scope.spawn(|| receive(client, mix, numbers, &merged));
        }
    });
    let shards = server.get("/v1/sessions");
    let shards =
        shards["sessions"].as_array().unwrap().iter().map(|s| s["shard"].as_u64().unwrap());
    let mut served = [0; 3];
    shards.for_each(|shard| served[shard as usize] += 1);
    assert!(served.iter().all(|clients| *clients >= 13), "clients of each shard: {served:?}");
}

/// The numbers of the subscriptions, as the answer says them.
fn numbers(result: &Value) -> Vec<u64> {
    let several = result["subscriptions"].as_array();
    let all = several.map_or(std::slice::from_ref(result), Vec::as_slice);
    all.iter().map(|one| one["subscription"].as_u64().unwrap()).collect()
}

/// Receives until the end of the files and compares what came, and what the heartbeat counts.
fn receive(client: &mut Client, mix: &[Wish], numbers: &[u64], merged: &[Expected]) {
    let heartbeat = client.until_seq(merged.len() as u64);
    let what: Vec<_> = mix.iter().map(|wish| (wish.schemas, wish.symbols)).collect();
    let own = merged.iter().filter(|record| mix.iter().any(|wish| wish.gets(record)));
    assert_received(client, own, &format!("{what:?}"));
    let counted = heartbeat["subscriptions"].as_array().unwrap();
    assert_eq!(counted.len(), mix.len(), "{heartbeat}");
    for (wish, number) in mix.iter().zip(numbers) {
        let counts = counted.iter().find(|counts| counts["subscription"] == *number).unwrap();
        let own = merged.iter().filter(|record| wish.gets(record)).count() as u64;
        let said = ["records", "conflated", "dropped"].map(|count| whole(&counts[count]));
        assert_eq!(said, [own, 0, 0], "{} of {}", wish.schemas, wish.symbols);
    }
}
