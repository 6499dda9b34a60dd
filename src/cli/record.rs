//! `broadtape record`: a live feed, recorded and not served.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use super::Early;
use super::settings::{Configured, Typed};
use super::units::{show_bytes, show_count};
use crate::node::config::Config;
use crate::node::config::settings::Command;
use crate::node::record;
use crate::node::report::RecorderStatus;

const EXAMPLE: &str = "\
Examples:
  broadtape record tapes/today
  broadtape record tapes/today --durability commit --retain-time 24h --record-compress
  broadtape verify tapes/today";

/// Record a simulated market, without serving it
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    typed: Typed<Record>,
}

struct Record;

impl Configured for Record {
    const COMMAND: Command = Command::Record;
}

pub(super) fn run(args: RecordArgs) -> ExitCode {
    match super::configured(args.typed).and_then(|config| record(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(early) => early.exit(),
    }
}

fn record(config: &Config) -> Result<(), Early> {
    let (program, _) = super::play::program(&config.feed)?;
    let bar = bar();
    let report = |status: &RecorderStatus| bar.set_message(line(status));
    let done = record::run(&config.options, program, super::play::stops, report);
    bar.finish_and_clear();
    let status = done.map_err(|error| Early::Failed(error.to_string()))?;
    // A reader that went away has nothing to be told.
    let _ = writeln!(std::io::stdout(), "recorded {}", line(&status));
    match status.health.failure {
        Some(failure) => Err(Early::Failed(failure)),
        None => Ok(()),
    }
}

/// A line that moves on a terminal; nothing elsewhere: the log says what matters.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// `1,234 records up to 1,234 (durable: 1,200), 0 lost, 96.4 KiB`
fn line(status: &RecorderStatus) -> String {
    let (records, recorded) = (show_count(status.records), show_count(status.recorded));
    let (durable, lost) = (show_count(status.durable), show_count(status.lost));
    let bytes = show_bytes(status.bytes as f64);
    format!("{records} records up to {recorded} (durable: {durable}), {lost} lost, {bytes}")
}
