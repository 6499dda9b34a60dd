//! `broadtape serve`: a live feed, broadcast.

use std::process::ExitCode;

use super::settings::{Configured, Typed};
use crate::node::config::settings::Command;

const EXAMPLE: &str = "\
Examples:
  broadtape serve
  broadtape serve --recordings feeds --record tape
  broadtape serve --listen 127.0.0.1:8080 --listen [::1]:8080 --symbols 5000 --rate 200000
  BROADTAPE_SCENARIO=halt broadtape serve --config broadtape.toml --print-config";

/// Broadcast a simulated market
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    typed: Typed<Serve>,
}

struct Serve;

impl Configured for Serve {
    const COMMAND: Command = Command::Serve;
}

pub(super) fn run(args: ServeArgs) -> ExitCode {
    match super::configured(args.typed) {
        Ok(config) => super::play::run(&config),
        Err(early) => early.exit(),
    }
}
