//! The command line: one file a command.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a `--fail-if` of `bench` was
//! met. Standard output carries results (of `serve` and `replay`: one
//! `listening on http://ADDR:PORT` line a listener); the log and all complaints go to standard
//! error.

mod bench;
pub mod client;
mod export;
mod given;
mod import;
mod inspect;
mod logging;
mod play;
mod progress;
mod record;
mod repair;
mod replay;
mod serve;
mod settings;
mod simulate;
mod token;
mod units;
mod verify;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::node::config::Config;
use settings::{Configured, Typed};

/// The exit code of what makes no sense as it was asked for.
const USAGE: u8 = 2;

const AFTER: &str = "\
Settings of serve, replay and record come from flags, else the environment (--flush-interval is \
BROADTAPE_FLUSH_INTERVAL), else the file that --config names (flush_interval = \"500us\"), else \
defaults; --print-config shows them, as such a file.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a --fail-if of bench was met.";

/// Streams market data to many: simulates, replays, broadcasts, measures.
#[derive(Parser)]
#[command(name = "broadtape", version, about, after_help = AFTER, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Replay(replay::ReplayArgs),
    Record(record::RecordArgs),
    Simulate(simulate::SimulateArgs),
    Bench(Box<bench::BenchArgs>),
    Watch(watch::WatchArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Repair(repair::RepairArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Token(token::TokenArgs),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    match Cli::parse().command {
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Replay(args)) => replay::run(args),
        Some(Command::Record(args)) => record::run(args),
        Some(Command::Simulate(args)) => simulate::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Watch(args)) => watch::run(args),
        Some(Command::Inspect(args)) => inspect::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Repair(args)) => repair::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Import(args)) => import::run(args),
        Some(Command::Token(args)) => token::run(args),
        None => help(),
    }
}

fn help() -> ExitCode {
    match Cli::command().print_help() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why a command ended early.
enum Early {
    /// It has done what it was asked to.
    Done,
    /// Wrong usage or configuration.
    Usage(String),
    /// It can't be done.
    Failed(String),
}

/// The configuration of a command that is to run, with its log started.
fn configured<C: Configured>(typed: Typed<C>) -> Result<Config, Early> {
    let print = typed.print_config;
    let config = typed.load().map_err(|error| Early::Usage(error.to_string()))?;
    logging::start(&config.log)
        .map_err(|error| Early::Usage(format!("log can't be {:?}: {error}", config.log.filter)))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if print {
        // A reader that went away (`| head`) has what it wanted.
        let _ = std::io::stdout().write_all(config.to_toml().as_bytes());
        return Err(Early::Done);
    }
    Ok(config)
}

impl Early {
    fn exit(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Usage(reason) => complain(&reason, ExitCode::from(USAGE)),
            Self::Failed(reason) => complain(&reason, ExitCode::FAILURE),
        }
    }
}

fn complain(reason: &str, code: ExitCode) -> ExitCode {
    // Nothing is left to say it to where standard error is gone.
    let _ = writeln!(std::io::stderr(), "broadtape: {reason}");
    code
}
