//! `broadtape repair`: writes a clean copy of a tape.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::Early;
use super::verify::{advance, bar, text};
use crate::tape;

const EXAMPLE: &str = "\
Examples:
  broadtape repair tapes/today --output tapes/clean
  broadtape repair tapes/today --output tapes/clean --salvage

The tape is only read. Without --salvage nothing is written where records in its middle can't be
read; with it, they are left out, and named.";

/// Write a clean copy of a tape
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct RepairArgs {
    /// Folder or segment file
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
    /// Folder of the copy, which is made
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Leave out what can't be read
    #[arg(long)]
    salvage: bool,
}

pub(super) fn run(args: &RepairArgs) -> ExitCode {
    let bar = bar();
    let progress = |bytes, total| advance(&bar, bytes, total);
    let report = tape::repair(&args.path, &args.output, args.salvage, progress);
    bar.finish_and_clear();
    match report {
        Ok(report) => {
            // A reader that went away has nothing to be told.
            let _ =
                io::stdout().write_all(text(&args.path.display().to_string(), &report).as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => Early::Failed(error.to_string()).exit(),
    }
}
