//! The live page in Chromium: it shows ticks, complains of nothing, and asks nobody else.
//! `tools/check.sh browser` installs what it needs and keeps the pictures in `target/`.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod program;

use std::path::Path;
use std::process::{Command, Stdio};

use program::{Program, node_path, skip, succeed};

#[test]
fn the_live_page_shows_ticks() {
    let Some(node_path) = node_path() else { return };
    let version = Command::new("chromium").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        return skip("no Chromium: tools/check.sh browser installs it");
    }
    // Whether a busy machine's browser keeps up is not the question.
    let server =
        Program::start(&["serve", "--log", "error", "--rate", "1000", "--queue", "256MiB"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/browser.cjs");
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("page");
    let mut node = Command::new("node");
    node.env("NODE_PATH", node_path).arg(script);
    succeed(node.arg(format!("http://{}/", server.address)).arg(picture));
    assert_eq!(server.stop().code(), Some(0), "the server's exit code");
}
