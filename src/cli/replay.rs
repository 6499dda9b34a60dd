//! `broadtape replay`: recorded files, broadcast as if they were live.

use std::process::ExitCode;

use super::settings::{Configured, Typed};
use crate::node::config::settings::Command;

const EXAMPLE: &str = "\
Examples:
  broadtape replay monday.dbn.zst
  broadtape replay trades.dbn quotes.dbn.zst --speed 10 --max-gap 5s --loop
  broadtape replay tape/ --from 2023-12-25T22:00 --to 2023-12-25T22:30 --speed 10
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
    match super::configured(args.typed) {
        Ok(config) => super::play::run(&config),
        Err(early) => early.exit(),
    }
}
