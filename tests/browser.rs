//! The live page in Chromium: it shows ticks, complains of nothing, and asks nobody else; where the
//! server asks who it is, so does the page. `tools/check.sh browser` installs what it needs and
//! keeps the pictures in `target/`.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use program::{Program, broadtape, node_path, skip, succeed};
use tempfile::TempDir;

/// What drives Chromium to the server's page; none where it is not there.
fn visitor(server: &Program, picture: &str) -> Option<Command> {
    let node_path = node_path()?;
    let version = Command::new("chromium").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        skip("no Chromium: tools/check.sh browser installs it");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/browser.cjs");
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join(picture);
    let mut node = Command::new("node");
    node.env("NODE_PATH", node_path).env_remove("BROADTAPE_TOKEN").arg(script);
    node.arg(format!("http://{}/", server.address)).arg(picture);
    Some(node)
}

#[test]
fn the_live_page_shows_ticks() {
    // Whether a busy machine's browser keeps up is not the question.
    let server =
        Program::start(&["serve", "--log", "error", "--rate", "1000", "--queue", "256MiB"]);
    let Some(mut visitor) = visitor(&server, "page") else { return };
    succeed(&mut visitor);
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}

#[test]
fn the_live_page_asks_for_a_token_where_the_server_does() {
    let folder = TempDir::new().unwrap();
    let token = |args: &[&str]| {
        let made = broadtape().current_dir(&folder).arg("token").args(args).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    token(&["key", "issuer"]);
    let given = ["--subject", "page", "--schemas", "trades,mbp-1", "--symbols", "*"];
    let token = token(&[&["mint", "issuer.key"], &given[..], &["--expires", "1h"]].concat());
    let keys = folder.path().join("issuer.toml");
    assert!(fs::exists(&keys).unwrap());
    let asking = ["serve", "--log", "error", "--rate", "1000", "--auth", "required"];
    let server = Program::start(&[&asking[..], &["--auth-keys", keys.to_str().unwrap()]].concat());
    let Some(mut visitor) = visitor(&server, "page-token") else { return };
    succeed(visitor.env("BROADTAPE_TOKEN", token));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}
