//! `broadtape replay`: recorded files, broadcast as if they were live.

use std::process::ExitCode;

use super::settings::{Configured, Typed};
use crate::node::config::settings::Command;

const EXAMPLE: &str = "\
Examples:
  broadtape replay monday.dbn.zst
  broadtape replay trades.dbn quotes.dbn.zst --speed 10 --max-gap 5s --loop
  broadtape replay day.dbn --speed max --start on-subscribe --exit";

/// Broadcast recorded files as if they were live
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    typed: Typed<Replay>,
}

struct Replay;

impl Configured for Replay {
    const COMMAND: Command = Command::Replay;
}

pub(super) fn run(args: ReplayArgs) -> ExitCode {
    let config = match super::configured(args.typed) {
        Ok(config) => config,
        Err(early) => return early.exit(),
    };
    tracing::debug!(options = ?config.options, feed = ?config.feed, "configured");
    ExitCode::SUCCESS
}
