//! README.md keeps its word: every command and every snippet in it is run as it stands, on a port
//! of the system's choice. (Its Rust snippet is compiled as a doctest.)
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dbn::encode::{EncodeRecord, dbn::Encoder};
use dbn::{MetadataBuilder, SType, Schema, TradeMsg};
use program::{Program, broadtape, first_line, node_path, python, succeed};

const ADDRESS: &str = "127.0.0.1:8080";

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once(&format!("\n```{language}\n")) {
        let (block, after) = after.split_once("\n```\n").unwrap();
        found.push(block.to_owned());
        rest = after;
    }
    assert!(!found.is_empty(), "README.md has no {language} block");
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the files that the commands name: a recording, and the configuration.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broadtape.toml"), &blocks("toml")[0]).unwrap();
    record(&folder.path().join("day.dbn.zst"));
    folder
}

/// Writes a recording of a hundred trades.
fn record(path: &Path) {
    let metadata = MetadataBuilder::new()
        .dataset("TEST".to_owned())
        .schema(Some(Schema::Trades))
        .start(0)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .build();
    let file = fs::File::create(path).unwrap();
    let mut encoder = Encoder::with_zstd(file, &metadata).unwrap();
    for number in 0..100_u64 {
        let mut trade = TradeMsg { price: 1_000_000_000, size: 1, ..TradeMsg::default() };
        (trade.hd.instrument_id, trade.hd.publisher_id) = (1, 64000);
        (trade.hd.ts_event, trade.ts_recv) = (number, number);
        (trade.action, trade.side) = (b'T' as _, b'N' as _);
        encoder.encode_record(&trade).unwrap();
    }
}

/// Runs a command that talks to a server, up to the first line it prints.
fn prints(mut command: Command) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let line = first_line(BufReader::new(child.stdout.take().unwrap()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.is_some_and(|line| !line.is_empty()), "{command:?} prints nothing");
}

/// Runs a line of a `sh` block.
fn run(line: &str, folder: &Path) {
    if let Some(args) = line.strip_prefix("cargo run --release -- ") {
        let args: Vec<&str> = args.split_whitespace().collect();
        return run_broadtape(&args, folder);
    }
    if line.starts_with("echo '") {
        return run_websocat(line);
    }
    assert!(root().join(line).is_file(), "README.md names a command without a test: {line}");
}

fn run_broadtape(args: &[&str], folder: &Path) {
    let printed = args.contains(&"--print-config");
    match args[0] {
        "serve" | "replay" if !printed => {
            let server = Program::start_in(folder, args);
            assert_eq!(server.stop().code(), Some(0), "{args:?}");
        }
        "watch" | "bench" => {
            let server = Program::start(&["serve"]);
            let args: Vec<_> = args.iter().map(|a| a.replace(ADDRESS, &server.address)).collect();
            let mut command = broadtape();
            command.args(&args).current_dir(folder);
            if args[0] == "watch" { prints(command) } else { drop(succeed(&mut command)) }
        }
        _ => drop(succeed(broadtape().args(args).current_dir(folder))),
    }
}

/// Sends what the line would send with websocat; the server has to accept it and to bring data.
fn run_websocat(line: &str) {
    const CLIENT: &str = "
import sys
from websockets.sync.client import connect
with connect(sys.argv[1]) as feed:
    feed.send(sys.argv[2])
    while not feed.recv().startswith('{\"type\":\"data\"'):
        pass
    print('data')
";
    let Some(mut python) = python() else { return };
    let (_, rest) = line.split_once("echo '").unwrap();
    let (request, rest) = rest.split_once("' | websocat --no-close ").unwrap();
    let server = Program::start(&["serve"]);
    succeed(python.args(["-c", CLIENT, &rest.replace(ADDRESS, &server.address), request]));
}

/// Runs a snippet against a simulated market, up to the first line it prints.
fn run_snippet(mut interpreter: Command, name: &str, snippet: &str) {
    let server = Program::start(&["serve"]);
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join(name);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(snippet.replace(ADDRESS, &server.address).as_bytes()).unwrap();
    interpreter.arg(path);
    prints(interpreter);
}

#[test]
fn its_commands_run() {
    let folder = folder();
    for block in blocks("sh") {
        block.lines().for_each(|line| run(line, folder.path()));
    }
}

#[test]
fn its_python_prints_trades() {
    for snippet in blocks("python") {
        let Some(python) = python() else { return };
        run_snippet(python, "snippet.py", &snippet);
    }
}

#[test]
fn its_javascript_prints_trades() {
    for snippet in blocks("js") {
        let Some(node_path) = node_path() else { return };
        let mut node = Command::new("node");
        node.env("NODE_PATH", node_path);
        // Browsers have it, Node 20 does not.
        let snippet = format!("const {{ WebSocket }} = require('undici');\n{snippet}");
        run_snippet(node, "snippet.cjs", &snippet);
    }
}
