//! Replays of schemas that a recording does not hold: what a client receives is, record by record,
//! what `broadtape export --derive` writes of the same recording, from the begin and from any time.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use broadtape::wire::record::index_ts;
use dbn::decode::{DbnMetadata, DecodeRecordRef, DynDecoder};
use dbn::{VersionUpgradePolicy, rtype};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, page};
use crate::metronome;
use crate::program::{Program, broadtape, recording, succeed};
use crate::recording::{Kind, record, record_orders};
use crate::replay::{is, replayed};
use crate::wire::{Message, Record, long};

const ORDERS: &str = "esh4-glbx-mdp3-20231225.mbo.dbn.zst";
const TRADES: &str = "databento_ESU4_trades_2024-07-01T2358.dbn.zst";

/// A recording in a folder of its own, and a server that lets clients have it replayed.
struct World {
    _folder: TempDir,
    file: PathBuf,
    server: Program,
}

impl World {
    /// Of a file, as the recording `it`.
    async fn of(file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let ending = if name.ends_with(".zst") { "dbn.zst" } else { "dbn" };
        let copy = folder.path().join(format!("it.{ending}"));
        fs::copy(file, &copy).unwrap();
        Self::with(folder, copy).await
    }

    /// Of what lies in a folder and is named `it`.
    async fn with(folder: TempDir, file: PathBuf) -> Self {
        let these = ["--recordings", folder.path().to_str().unwrap(), "--heartbeat", "50ms"];
        let server = metronome(1_000, &these);
        let world = Self { _folder: folder, file, server };
        while world.listed().await["state"] != "ready" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world
    }

    async fn listed(&self) -> Value {
        page(&self.server, "/v1/recordings").await["recordings"][0].clone()
    }

    /// What the program exports of it, bare, as the official reader has it.
    fn exported(&self, schemas: &[&str], more: &[&str]) -> Vec<Vec<u8>> {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out.dbn");
        let mut export = broadtape();
        export.arg("export").arg(&self.file).arg("-o").arg(&out).args(["--derive", "--force"]);
        succeed(export.args(["--schema", &schemas.join(",")]).args(more));
        let stream = BufReader::new(File::open(&out).unwrap());
        let upgrade = VersionUpgradePolicy::UpgradeToV3;
        let mut decoder = DynDecoder::inferred_with_buffer(stream, upgrade).unwrap();
        let ts_out = decoder.metadata().ts_out;
        let mut records = Vec::new();
        while let Some(record) = decoder.decode_record_ref().unwrap() {
            let bytes = record.as_ref();
            records.push(if ts_out { bare(bytes) } else { bytes.to_vec() });
        }
        records
    }
}

/// A published record without its `ts_out`.
fn bare(published: &[u8]) -> Vec<u8> {
    let mut bare = published[..published.len() - 8].to_vec();
    bare[0] -= 2;
    bare
}

fn bares(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(|record| bare(record.bytes())).collect()
}

/// The same records in the same order; where not, says the first that differs.
fn assert_same(came: &[Vec<u8>], right: &[Vec<u8>], what: &str) {
    let differs = came.iter().zip(right).position(|(came, right)| came != right);
    if let Some(at) = differs {
        panic!("{what}: record {at} is {:?}, not {:?}", came[at], right[at]);
    }
    assert_eq!(came.len(), right.len(), "{what}");
}

fn wish(schemas: &[&str], more: Value) -> Value {
    let mut wish = json!({"recording": "it", "speed": "max", "schema": schemas});
    wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    wish
}

/// Replays to the end; the answer, what came, and what was told at the end.
async fn whole(client: &mut Client, wish: Value) -> (Value, Vec<Record>, Value) {
    let granted = client.granted("replay", wish).await;
    let (records, completed) = rest(client).await;
    (granted, records, completed)
}

/// Reads to the end of a replay.
async fn rest(client: &mut Client) -> (Vec<Record>, Value) {
    let messages = client.until(is("replay_completed")).await;
    let Some(Message::Text(completed)) = messages.last().cloned() else { panic!("no end") };
    (replayed(messages), completed)
}

/// Each of these replays is the export of the same schemas; how many records that were.
async fn are_exports(world: &World, wishes: &[&[&str]]) -> usize {
    let mut client = Client::connect(&world.server).await;
    let mut all = 0;
    for schemas in wishes {
        let right = world.exported(schemas, &[]);
        assert!(!right.is_empty(), "{schemas:?}");
        let (granted, records, completed) = whole(&mut client, wish(schemas, json!({}))).await;
        assert!(!granted["derived"].as_array().unwrap().is_empty(), "{granted}");
        assert_same(&bares(&records), &right, &format!("{schemas:?}"));
        assert_eq!(long(&completed["records"]), right.len() as u64);
        all += right.len();
    }
    all
}

/// After a seek to each of these records comes what the export has of that time on.
async fn seeks(world: &World, schemas: &[&str], places: &[usize]) {
    let right = world.exported(schemas, &[]);
    let mut client = Client::connect(&world.server).await;
    for &place in places {
        let time = index_ts(&right[place * (right.len() - 1) / 100]);
        client.granted("replay", wish(schemas, json!({"speed": 0.01}))).await;
        client.granted("seek", json!({"time": time.to_string()})).await;
        client.granted("speed", json!({"speed": "max"})).await;
        let mut came = Vec::new();
        while came.is_empty() {
            let message = client.next().await;
            came.extend(replayed(vec![message]));
        }
        let (more, _) = rest(&mut client).await;
        came.extend(more);
        // What came before it was sent there is of an earlier time.
        let there = came.iter().position(|record| index_ts(&bare(record.bytes())) >= time);
        let part: Vec<_> = right.iter().filter(|r| index_ts(r) >= time).cloned().collect();
        assert_same(&bares(&came[there.unwrap()..]), &part, &format!("{schemas:?} from {time}"));
    }
}

#[tokio::test]
async fn bars_and_interval_quotes_of_a_shipped_recording_are_those_of_its_export() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("feeds/crash.dbn.zst");
    let world = World::of(&shipped).await;
    let wishes: [&[&str]; 8] = [
        &["ohlcv-1s"],
        &["ohlcv-1m"],
        &["ohlcv-1h"],
        &["ohlcv-1d"],
        &["bbo-1s"],
        &["bbo-1m"],
        &["trades", "ohlcv-1s", "bbo-1s"],
        &["mbp-1", "trades", "status", "ohlcv-1m"],
    ];
    let records = are_exports(&world, &wishes).await;
    println!("{} replays of crash: {records} records, equal to its exports", wishes.len());
    seeks(&world, &["trades", "ohlcv-1s", "bbo-1s"], &[50, 90, 10]).await;
}

#[tokio::test]
async fn books_trades_and_bars_of_recorded_orders_are_those_of_their_export() {
    let Some(orders) = recording(ORDERS) else { return };
    let world = World::of(&orders).await;
    let wishes: [&[&str]; 9] = [
        &["mbp-1"],
        &["mbp-10"],
        &["tbbo"],
        &["trades"],
        &["bbo-1s"],
        &["ohlcv-1s"],
        &["ohlcv-1d"],
        &["mbo", "mbp-1"],
        &["trades", "mbp-1", "bbo-1s", "ohlcv-1m"],
    ];
    let records = are_exports(&world, &wishes).await;
    println!("{} replays of {ORDERS}: {records} records, equal to its exports", wishes.len());
    for schemas in [&["mbp-10"][..], &["trades", "mbp-1", "bbo-1s"]] {
        seeks(&world, schemas, &[1, 99, 50]).await;
    }
}

#[tokio::test]
async fn bars_of_recorded_trades_are_those_of_their_export() {
    let Some(trades) = recording(TRADES) else { return };
    let world = World::of(&trades).await;
    are_exports(&world, &[&["ohlcv-1s"], &["ohlcv-1m", "trades"], &["ohlcv-1d"]]).await;
}

#[tokio::test]
async fn bars_of_a_tape_are_those_of_its_export() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("it");
    let other = metronome(5_000, &["--record", tape.to_str().unwrap(), "--drain", "0s"]);
    let mut client = Client::connect(&other).await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    client.records(8_000).await;
    // Of what it records itself as well.
    client.heartbeat().await;
    let own = json!({"recording": "live", "speed": "max", "schema": "ohlcv-1s"});
    let (granted, bars, _) = whole(&mut client, own).await;
    assert_eq!(granted["derived"], json!(["ohlcv-1s"]));
    assert!(!bars.is_empty() && bars.iter().all(|bar| bar.rtype == rtype::OHLCV_1S));
    drop(client);
    assert!(other.stop().success());
    let world = World::with(folder, tape).await;
    are_exports(&world, &[&["ohlcv-1s"], &["trades", "ohlcv-1m"]]).await;
    seeks(&world, &["trades", "ohlcv-1s"], &[40]).await;
}

#[tokio::test]
async fn a_part_of_it_by_symbol_and_time_in_both_encodings() {
    let world = World::of(&record_orders(20_000).path).await;
    are_exports(&world, &[&["mbp-1"], &["mbo", "mbp-10", "trades"], &["tbbo"]]).await;
    let schemas = ["mbp-1", "trades", "ohlcv-1s"];
    let all = world.exported(&schemas, &["--symbols", "2"]);
    let (start, end) = (index_ts(&all[all.len() / 3]), index_ts(&all[all.len() / 2]));
    let within = |r: &&Vec<u8>| (start..=end).contains(&index_ts(r));
    let right: Vec<_> = all.iter().filter(within).cloned().collect();
    let part = wish(
        &schemas,
        json!({"symbols": ["2"], "start": start.to_string(), "end": end.to_string()}),
    );
    let mut client = Client::connect(&world.server).await;
    let (granted, records, completed) = whole(&mut client, part.clone()).await;
    assert_eq!(granted["derived"], json!(["mbp-1", "trades", "ohlcv-1s"]));
    assert_same(&bares(&records), &right, "a part");
    assert!(records.iter().any(|record| record.rtype == rtype::OHLCV_1S));
    assert_eq!(long(&completed["records"]), right.len() as u64);
    let (mut client, _) = Client::connect_as(&world.server, "json").await;
    let (_, texts, _) = whole(&mut client, part).await;
    let kinds = |records: &[Record]| records.iter().map(|r| r.rtype).collect::<Vec<_>>();
    assert_eq!(kinds(&texts), kinds(&records));
}

#[tokio::test]
async fn it_is_held_stepped_sent_elsewhere_looped_and_goes_on_live() {
    let world = World::of(&record_orders(20_000).path).await;
    let schemas = ["mbp-10"];
    seeks(&world, &schemas, &[30, 60, 61, 10, 100, 0]).await;
    let right = world.exported(&schemas, &[]);
    let mut client = Client::connect(&world.server).await;
    client.granted("replay", wish(&schemas, json!({"speed": 0.01}))).await;
    client.granted("pause", json!({})).await;
    let place = right.len() / 2;
    let time = index_ts(&right[place]);
    client.granted("seek", json!({"time": time.to_string()})).await;
    client.granted("step", json!({"records": 5})).await;
    let mut stepped = Vec::new();
    while stepped.len() < 5 {
        let message = client.next().await;
        let came = replayed(vec![message]);
        stepped.extend(came.into_iter().filter(|r| index_ts(&bare(r.bytes())) >= time));
    }
    let part: Vec<_> = right.iter().filter(|r| index_ts(r) >= time).cloned().collect();
    assert_same(&bares(&stepped), &part[..5], "steps");
    client.granted("speed", json!({"speed": "max"})).await;
    client.granted("resume", json!({})).await;
    let (more, _) = rest(&mut client).await;
    assert_same(&bares(&more), &part[5..], "what follows the steps");

    client.granted("replay", wish(&schemas, json!({"then": "loop"}))).await;
    for pass in 1..=3 {
        let (records, completed) = rest(&mut client).await;
        assert_same(&bares(&records), &right, "a pass");
        assert_eq!(long(&completed["records"]), (pass * right.len()) as u64);
    }
    client.granted("stop", json!({})).await;

    let live = json!({"then": "live", "symbols": "*"});
    let (_, records, _) = whole(&mut client, wish(&["trades"], live)).await;
    assert_same(&bares(&records), &world.exported(&["trades"], &[]), "before it goes on live");
    client.told("live").await;
    client.records(100).await;
    client.heartbeat().await;
}

#[tokio::test]
async fn a_bar_comes_when_its_interval_has_ended_the_last_with_the_recording() {
    // A trade at 0.1 s and one at 1.05 s: the first bar is told at 1 s, the second at once.
    let times = [100_000, 1_050_000];
    let made = record(2, |n| (Kind::Trade, 1, times[n as usize - 1]));
    let world = World::of(&made.path).await;
    let mut client = Client::connect(&world.server).await;
    client.granted("replay", wish(&["trades", "ohlcv-1s"], json!({"speed": 1}))).await;
    let mut sent = Vec::new();
    for message in client.until(is("replay_completed")).await {
        if let Message::Batch(batch) = message {
            let records = batch.records.iter().filter(|record| !record.is_mapping());
            sent.extend(records.map(|record| (record.rtype, batch.ts_send)));
        }
    }
    let [first, bar, second, last] = sent[..] else { panic!("{sent:?}") };
    assert_eq!([first.0, second.0], [rtype::MBP_0; 2]);
    assert_eq!([bar.0, last.0], [rtype::OHLCV_1S; 2]);
    assert!(bar.1 >= first.1 + 500_000_000, "not before its interval has ended: {sent:?}");
}

#[tokio::test]
async fn what_does_not_follow_is_said_and_what_can_is_listed() {
    let world = World::of(&record_orders(2_000).path).await;
    let listed = world.listed().await;
    assert_eq!(listed["schemas"], json!(["mbo"]));
    let derivable = listed["derivable"].as_array().unwrap();
    for schema in ["mbp-1", "mbp-10", "tbbo", "trades", "bbo-1s", "ohlcv-1d"] {
        assert!(derivable.contains(&schema.into()), "{listed}");
    }
    let mut client = Client::connect(&world.server).await;
    let refused = client.refused("replay", wish(&["status"], json!({}))).await;
    assert_eq!(refused, (404, "unknown_schema".to_owned()));
    let (granted, records, _) =
        whole(&mut client, wish(&["trades", "status", "mbo"], json!({}))).await;
    assert_eq!(
        (&granted["derived"], &granted["missing"]),
        (&json!(["trades"]), &json!(["status"]))
    );
    assert!(records.iter().any(|record| record.rtype == rtype::MBP_0));
    let (granted, _, _) = whole(&mut client, json!({"recording": "it", "speed": "max"})).await;
    assert!(granted.get("derived").is_none() && granted.get("missing").is_none(), "{granted}");
}

#[tokio::test]
async fn only_so_many_derive_at_once_and_who_leaves_makes_room() {
    let world = World::of(&record_orders(20_000).path).await;
    let slow = wish(&["mbp-1"], json!({"speed": 0.01}));
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(&world.server).await;
        client.granted("replay", slow.clone()).await;
        clients.push(client);
    }
    let mut late = Client::connect(&world.server).await;
    let refused = late.refused("replay", slow.clone()).await;
    assert_eq!(refused, (429, "too_many_requests".to_owned()));
    late.granted("replay", wish(&["mbo"], json!({"speed": 0.01}))).await;
    late.granted("stop", json!({})).await;
    // Its room is there at once, even while a piece is being derived for it.
    for client in &mut clients {
        client.granted("stop", json!({})).await;
        client.granted("replay", slow.clone()).await;
    }
    clients[0].granted("stop", json!({})).await;
    let right = world.exported(&["mbp-1"], &[]);
    let (_, records, _) = whole(&mut late, wish(&["mbp-1"], json!({}))).await;
    assert_same(&bares(&records), &right, "beside fifteen others");
}
