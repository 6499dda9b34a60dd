//! Clients that know nothing of this code, against the program: Python `websockets`, the official
//! DBN reader, Node `ws` and undici, libwebsockets. `tools/check.sh clients` installs and runs
//! them.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{Program, node_path, python, recording, skip, succeed};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Node with the clients' packages; none where they are not installed.
fn node(library: &str) -> Option<Command> {
    let mut command = Command::new("node");
    command.env("NODE_PATH", node_path()?).arg(script("binary_session.cjs")).arg(library);
    Some(command)
}

/// Serves a simulated market to one client, which has to be content; then the server has to end.
fn serve_to(client: Option<Command>) {
    let Some(mut client) = client else { return };
    let server = Program::start(&["serve"]);
    succeed(client.arg(server.url()));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}

/// Replays a recording to both encodings, which have to equal it.
fn replay(recorded: &str) {
    let (Some(mut python), Some(file)) = (python(), recording(recorded)) else { return };
    let file = file.to_str().unwrap();
    let at_once = ["--speed", "max", "--start", "on-subscribe=2"];
    // Heartbeats end what the clients wait for; an unoptimized build fills a large ring slowly.
    let soon = ["--heartbeat", "100ms", "--ring", "1MiB"];
    let server = Program::start(&[&["replay", file], &at_once[..], &soon].concat());
    succeed(python.arg(script("replay.py")).arg(server.url()).arg(file));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}

#[test]
fn the_clients_see_faults() {
    let (Some(mut python), Some(node_path)) = (python(), node_path()) else { return };
    succeed(python.env("NODE_PATH", node_path).arg(script("selftest.py")));
}

#[test]
fn python_websockets_has_a_session() {
    serve_to(python().map(|mut python| {
        python.arg(script("json_session.py"));
        python
    }));
}

#[test]
fn node_ws_has_a_session() {
    serve_to(node("ws"));
}

#[test]
fn node_undici_has_a_session() {
    serve_to(node("undici"));
}

/// What `docs/replay.md` has people type, and promises.
#[test]
fn the_page_on_replays_holds() {
    let Some(mut python) = python() else { return };
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["calm.dbn.zst", "crash.dbn.zst"] {
        fs::copy(project.join("feeds").join(name), folder.path().join(name)).unwrap();
    }
    let (folder, tape) = (folder.path().to_str().unwrap(), folder.path().join("tape"));
    let told = ["serve", "--recordings", folder, "--record", tape.to_str().unwrap()];
    let server = Program::start(&[&told[..], &["--rate", "2000", "--heartbeat", "200ms"]].concat());
    let listed = |name: &str| {
        let all = server.get("/v1/recordings")["recordings"].clone();
        all.as_array().unwrap().iter().any(|one| one["name"] == name && one["state"] == "ready")
    };
    while !["calm", "crash", "live"].into_iter().all(listed) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let page = project.join("docs/replay.md");
    succeed(python.arg(script("walkthrough.py")).arg(server.url()).arg(page));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}

#[test]
fn libwebsockets_has_a_session() {
    if !Path::new("/usr/include/libwebsockets.h").exists() {
        return skip("no libwebsockets: tools/check.sh clients installs it");
    }
    let client = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lws_session");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-o"]).arg(&client).arg(script("lws_session.c"));
    succeed(compiler.arg("-lwebsockets"));
    let server = Program::start(&["serve"]);
    let (host, port) = server.address.split_once(':').unwrap();
    succeed(Command::new(client).args([host, port]));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}

#[test]
fn replayed_orders_equal_the_file() {
    replay("esh4-glbx-mdp3-20231225.mbo.dbn.zst");
}

#[test]
fn replayed_quotes_equal_the_file() {
    replay("databento_ESU4_mbp-1_2024-07-01T2358.dbn.zst");
}

#[test]
fn every_schema_replayed_equals_its_file() {
    let Some(folder) = recording("dbn") else { return };
    let names =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("test_data.")).collect();
    // What has a schema and records; fragments have no metadata, `.dbz` is refused.
    names.retain(|name| name.ends_with(".dbn.zst") || name.ends_with(".dbn"));
    names.retain(|name| !name.contains("ohlcv-1d"));
    names.sort();
    assert!(names.len() > 40, "{names:?}");
    names.iter().for_each(|name| replay(&format!("dbn/{name}")));
}
