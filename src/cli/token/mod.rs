//! `broadtape token`: keys, tokens and API keys are made, and looked into.

mod inspect;
mod key;
mod mint;
mod rights;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::{Early, units};

/// Make and inspect what clients say who they are by
///
/// A token (JWT) is signed with a key of yours, and says what it gives; servers that know the key's
/// public half (--auth-keys) believe it. An API key stands in a file of the server (--api-keys),
/// hashed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  broadtape token key issuer
  broadtape token mint issuer.key --subject alice --schemas '*' --symbols 'ES*' --expires 8h
  broadtape token mint issuer.key --subject alice --schemas trades --symbols '*' | \\
      broadtape token inspect - --keys issuer.toml
  broadtape token api-key api-keys.toml --subject bob --schemas trades --symbols AAPL,MSFT
  broadtape serve --listen 0.0.0.0:8080 --auth-keys issuer.toml --api-keys api-keys.toml")]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Key(key::KeyArgs),
    Mint(mint::MintArgs),
    ApiKey(mint::ApiKeyArgs),
    Inspect(inspect::InspectArgs),
}

pub(super) fn run(args: TokenArgs) -> ExitCode {
    let done = match args.command {
        Command::Key(args) => key::run(&args),
        Command::Mint(args) => mint::mint(&args),
        Command::ApiKey(args) => mint::api_key(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(early) => early.exit(),
    }
}

fn failed(error: impl ToString) -> Early {
    Early::Failed(error.to_string())
}

/// A time, also in days: tokens live longer than anything else here.
fn time(text: &str) -> Result<Duration, String> {
    const DAY: u64 = 24 * 3600;
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * DAY)),
        None => units::duration(text).map_err(|error| format!("{error}, or in days: 30d")),
    }
}

/// A line on standard output.
fn say(line: &str) -> Result<(), Early> {
    writeln!(io::stdout(), "{line}").map_err(|error| failed(format!("standard output: {error}")))
}

/// Writes a file that is not there yet, for its owner's eyes only where it is `secret`.
fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), Early> {
    let mode = if secret { 0o600 } else { 0o644 };
    let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| failed(format!("{}: {error}", path.display())))
}
