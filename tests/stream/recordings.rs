//! Replays of recordings that lie in a folder (`--recordings`): by name, with every control, beside
//! the live stream and into it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dbn::rtype;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, page};
use crate::metronome;
use crate::program::{Program, broadtape};
use crate::recording::{Kind, record};
use crate::replay::{is, numbers, replayed};
use crate::wire::{Message, Record, long};

const RECORDS: u32 = 20_000;
/// Between two records of it, µs.
const APART: u32 = 100;

/// A folder with a recording of trades and quotes of three instruments, numbered from 1.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), "made.dbn");
    folder
}

fn add(folder: &Path, name: &str) {
    let made = record(RECORDS, |n| {
        let kind = if n % 4 == 0 { Kind::Trade } else { Kind::Quote };
        (kind, 1 + n % 3, n * APART)
    });
    fs::copy(&made.path, folder.join(name)).unwrap();
}

fn server(folder: &TempDir, more: &[&str]) -> Program {
    let these = ["--recordings", folder.path().to_str().unwrap(), "--heartbeat", "50ms"];
    metronome(1_000, &[&these[..], more].concat())
}

fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Copies a tape, but for one bit behind its middle.
fn damaged_copy(tape: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(tape).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        fs::write(to.join(file.file_name().unwrap()), bytes).unwrap();
    }
}

/// Waits until a recording is listed as this; what is listed of it.
async fn listed(server: &Program, name: &str, state: &str) -> Value {
    loop {
        let all = page(server, "/v1/recordings").await;
        let all = all["recordings"].as_array().unwrap();
        if let Some(one) = all.iter().find(|one| one["name"] == name && one["state"] == state) {
            return one.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a recording is not listed any more.
async fn unlisted(server: &Program, name: &str) {
    loop {
        let all = page(server, "/v1/recordings").await;
        if all["recordings"].as_array().unwrap().iter().all(|one| one["name"] != name) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Replays to the end, and returns what came with it.
async fn whole(client: &mut Client, params: Value) -> (Vec<Record>, Value) {
    client.granted("replay", params).await;
    let messages = client.until(is("replay_completed")).await;
    let Some(Message::Text(completed)) = messages.last().cloned() else { panic!("no end") };
    (replayed(messages), completed)
}

/// Reads until records of the replay have come.
async fn next(client: &mut Client) -> Vec<Record> {
    loop {
        let message = client.next().await;
        let came = replayed(vec![message]);
        if !came.is_empty() {
            return came;
        }
    }
}

#[tokio::test]
async fn a_file_is_replayed_by_its_name_record_by_record() {
    let folder = folder();
    let server = server(&folder, &[]);
    let said = listed(&server, "made", "ready").await;
    assert_eq!(long(&said["records"]), u64::from(RECORDS));
    assert_eq!(said["symbols"], 3, "{said}");
    for encoding in ["dbn", "json"] {
        let (mut client, _) = Client::connect_as(&server, encoding).await;
        let all = json!({"recording": "made", "speed": "max"});
        let (records, completed) = whole(&mut client, all).await;
        assert!(numbers(&records).into_iter().eq(1..=RECORDS), "in order, once each");
        assert_eq!(completed["first"], said["start"]);
        assert_eq!(completed["last"], said["end"]);
        let some = json!({"recording": "made", "speed": "max", "schema": "trades"});
        let (trades, _) = whole(&mut client, some).await;
        assert!(numbers(&trades).into_iter().eq((4..=RECORDS).step_by(4)));
    }
}

#[tokio::test]
async fn it_is_sent_elsewhere_held_stepped_and_hurried() {
    let folder = folder();
    let server = server(&folder, &[]);
    let said = listed(&server, "made", "ready").await;
    let start = long(&said["start"]) - u64::from(APART) * 1_000;
    let time_of = |n: u32| (start + u64::from(n * APART) * 1_000).to_string();
    let mut client = Client::connect(&server).await;
    client.granted("replay", json!({"recording": "made", "speed": 0.01})).await;
    for n in [15_000, 20, 19_999, 5_000] {
        client.granted("seek", json!({"time": time_of(n)})).await;
        assert_eq!(numbers(&next(&mut client).await)[0], n);
    }
    client.granted("pause", json!({})).await;
    client.granted("seek", json!({"time": time_of(10_000)})).await;
    client.granted("step", json!({"records": 3})).await;
    let mut stepped = Vec::new();
    while stepped.len() < 3 {
        stepped.extend(next(&mut client).await);
    }
    assert_eq!(numbers(&stepped), [10_000, 10_001, 10_002]);
    client.granted("speed", json!({"speed": "max"})).await;
    client.granted("resume", json!({})).await;
    let rest = numbers(&replayed(client.until(is("replay_completed")).await));
    assert!(rest.into_iter().eq(10_003..=RECORDS));
}

#[tokio::test]
async fn it_loops_and_goes_on_live() {
    let folder = folder();
    let server = server(&folder, &[]);
    listed(&server, "made", "ready").await;
    let mut client = Client::connect(&server).await;
    let again = json!({"recording": "made", "speed": "max", "then": "loop"});
    whole(&mut client, again).await;
    let second = replayed(client.until(is("replay_completed")).await);
    assert!(numbers(&second).into_iter().eq(1..=RECORDS));
    client.granted("stop", json!({})).await;

    let live = json!({"recording": "made", "speed": "max", "then": "live", "schema": "trades",
                      "symbols": "*"});
    let (_, completed) = whole(&mut client, live).await;
    assert_eq!(completed["then"], "live");
    client.told("live").await;
    let records = numbers(&client.records(500).await);
    assert!(records.windows(2).all(|pair| pair[1] == pair[0] + 1), "the live stream, whole");
    client.heartbeat().await;
}

#[tokio::test]
async fn tapes_lie_beside_files_and_what_comes_and_goes_is_noticed() {
    let folder = folder();
    let tape = folder.path().join("taped");
    let other = metronome(5_000, &["--record", tape.to_str().unwrap(), "--drain", "0s"]);
    let mut client = Client::connect(&other).await;
    client.records_ready().await;
    client.subscribe(json!({"schema": "trades", "symbols": "*"})).await;
    client.records(3_000).await;
    drop(client);
    assert!(other.stop().success());
    let broken = folder.path().join("broken");
    damaged_copy(&tape, &broken);
    let server = server(&folder, &["--record", folder.path().join("own").to_str().unwrap()]);
    let said = listed(&server, "taped", "ready").await;
    let mut client = Client::connect(&server).await;
    let all = json!({"recording": "taped", "speed": "max", "schema": "trades"});
    let (records, _) = whole(&mut client, all.clone()).await;
    assert!(records.len() >= 3_000 && long(&said["records"]) >= 3_000);
    assert!(numbers(&records).into_iter().eq(1..=records.len() as u32));
    listed(&server, "live", "ready").await;
    listed(&server, "broken", "ready").await;
    client.granted("replay", json!({"recording": "broken", "speed": "max"})).await;
    let messages = client.until(is("error")).await;
    let Some(Message::Text(error)) = messages.last().cloned() else { panic!("no error") };
    assert!(error.to_string().contains("the server's log says why"), "{error}");
    let part = numbers(&replayed(messages));
    assert!(part.len() < records.len(), "what comes before the damage");
    let derived = json!({"recording": "broken", "speed": "max", "schema": ["trades", "ohlcv-1s"]});
    client.granted("replay", derived).await;
    let trades = replayed(client.until(is("error")).await);
    let trades: Vec<_> = trades.into_iter().filter(|r| r.rtype == rtype::MBP_0).collect();
    assert_eq!(numbers(&trades), part, "the same where something is derived");
    assert!(part.iter().copied().eq(1..=part.len() as u32));

    add(folder.path(), "later.dbn");
    listed(&server, "later", "ready").await;
    let later = json!({"recording": "later", "speed": "max"});
    assert_eq!(whole(&mut client, later.clone()).await.0.len(), RECORDS as usize);
    fs::remove_file(folder.path().join("later.dbn")).unwrap();
    fs::remove_dir_all(&tape).unwrap();
    unlisted(&server, "later").await;
    unlisted(&server, "taped").await;
    for gone in [later, all] {
        let refused = client.refused("replay", gone).await;
        assert_eq!(refused, (404, "unknown_recording".to_owned()));
    }
}

#[tokio::test]
async fn what_is_no_recording_is_refused_with_its_reason() {
    let folder = folder();
    let outside = tempfile::tempdir().unwrap();
    add(outside.path(), "secret.dbn");
    let link = folder.path().join("secret.dbn");
    std::os::unix::fs::symlink(outside.path().join("secret.dbn"), link).unwrap();
    let whole = fs::read(folder.path().join("made.dbn")).unwrap();
    fs::write(folder.path().join("cut.dbn"), &whole[..whole.len() - 7]).unwrap();
    fs::write(folder.path().join("text.dbn"), "no records at all").unwrap();
    // A pipe that nobody writes to, and a tape that lies elsewhere.
    pipe(&folder.path().join("pipe.dbn"));
    for (tape, outside) in [("piped", None), ("lent", Some(outside.path().join("secret.dbn")))] {
        fs::create_dir(folder.path().join(tape)).unwrap();
        let segment = folder.path().join(tape).join("00000000000000000001.tape");
        match outside {
            Some(outside) => std::os::unix::fs::symlink(outside, segment).unwrap(),
            None => pipe(&segment),
        }
    }
    let server = server(&folder, &[]);
    listed(&server, "made", "ready").await;
    let cut = listed(&server, "cut", "refused").await["reason"].to_string();
    assert!(cut.contains("cut.dbn") && !cut.contains(folder.path().to_str().unwrap()), "{cut}");
    let text = listed(&server, "text", "refused").await["reason"].to_string();
    assert!(text.contains("is not DBN"), "{text}");
    let piped = listed(&server, "piped", "refused").await["reason"].to_string();
    assert!(piped.contains("it is no file of bytes"), "{piped}");
    let mut client = Client::connect(&server).await;
    for (name, right) in [
        ("cut", (409, "wrong_state")),
        ("text", (409, "wrong_state")),
        ("piped", (409, "wrong_state")),
        ("pipe", (404, "unknown_recording")),
        ("lent", (404, "unknown_recording")),
        ("secret", (404, "unknown_recording")),
        ("../secret", (404, "unknown_recording")),
        ("/etc/passwd", (404, "unknown_recording")),
        ("made.dbn", (404, "unknown_recording")),
        (".broadtape", (404, "unknown_recording")),
    ] {
        let (code, reason) = client.refused("replay", json!({"recording": name})).await;
        assert_eq!((code, reason.as_str()), right, "{name}");
    }
}

#[tokio::test]
async fn copies_are_kept_and_a_folder_that_can_not_be_written_needs_none_in_it() {
    let folder = folder();
    let cache = tempfile::tempdir().unwrap();
    let kept = cache.path().join("copies");
    let copies = || fs::read_dir(&kept).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let more = ["--recordings-cache", kept.to_str().unwrap()];
    // What else lies there stays there, whatever it is called.
    let other = kept.join("tools.1.01700000000000000000");
    fs::create_dir_all(other.join("bin")).unwrap();
    let first = server(&folder, &more);
    listed(&first, "made", "ready").await;
    assert!(other.join("bin").exists());
    fs::remove_dir_all(other).unwrap();
    let before = copies();
    assert_eq!(before.len(), 1, "{before:?}");
    assert!(!folder.path().join(".broadtape").exists());
    drop(first);
    let second = server(&folder, &more);
    listed(&second, "made", "ready").await;
    assert_eq!(copies(), before, "it is not made again");
    // A file that is replaced is another recording.
    let short = record(10, |n| (Kind::Trade, 1, n));
    fs::copy(&short.path, folder.path().join("made.dbn")).unwrap();
    while long(&listed(&second, "made", "ready").await["records"]) != 10 {}
    assert_eq!(copies().len(), 1);
    assert_ne!(copies(), before);
    // Copies that somebody removes are made again.
    fs::remove_dir_all(&kept).unwrap();
    while !fs::exists(&kept).unwrap() {
        tokio::task::yield_now().await;
    }
    listed(&second, "made", "ready").await;
    let mut client = Client::connect(&second).await;
    let again = json!({"recording": "made", "speed": "max"});
    assert_eq!(whole(&mut client, again).await.0.len(), 10);
}

#[test]
fn copies_do_not_lie_among_the_recordings() {
    let folder = folder();
    let place = folder.path().to_str().unwrap();
    let args = ["serve", "--recordings", place, "--recordings-cache", place];
    let ended = broadtape().args(args).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("--recordings-cache") && said.contains("a folder of their own"),
        "{said}"
    );
}
