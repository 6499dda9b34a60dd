//! What the Python library wsproto says of clients' bytes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::frames::hex;

const VERSION: &str = "1.3.2";

/// The verdicts on these sequences, in their order; none, and said so, where there is no Python
/// with wsproto and none can be installed (a failure where `CI=true`).
pub(crate) fn judge<'a>(sequences: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Vec<String>>> {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no wsproto: {why}");
            println!("skipped: wsproto ({why})");
            return None;
        }
    };
    let input: String = sequences.map(|bytes| hex(bytes) + "\n").collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guard/wsproto_verdicts.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    // It reads all before it writes, so neither end waits for the other.
    child.stdin.take().unwrap().write_all(input.as_bytes()).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    assert!(output.status.success(), "python: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect())
}

/// A Python that has wsproto, in an environment of its own below `target`.
fn python() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wsproto");
    let python = home.join("bin/python");
    let import = format!("import wsproto; assert wsproto.__version__ == '{VERSION}'");
    if run(Command::new(&python).args(["-c", &import])).is_ok() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let package = format!("wsproto=={VERSION}");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).arg(package))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let says = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", says())) }
}
