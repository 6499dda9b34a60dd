//! `broadtape inspect`: what is in a DBN file.

mod print;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use report::Report;

/// Shows what is in DBN files: schemas, instruments, counts, times, rates, and damage.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  broadtape inspect ES.mbp-1.dbn.zst\n\n\
    Exit code 1 where a file is damaged or no DBN; what can be read of it is shown.")]
pub(super) struct InspectArgs {
    /// DBN files: versions 1 to 3, plain or zstd, with metadata or fragments
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
    /// Show all instruments, not only the busiest
    #[arg(long)]
    all: bool,
}

/// Runs it: the report goes to standard output, progress to standard error. Fails where a file is
/// damaged or no DBN.
pub(super) fn run(args: &InspectArgs) -> ExitCode {
    let reports: Vec<Report> = args.files.iter().map(|file| Report::of(file)).collect();
    let sound = reports.iter().all(|report| report.damage.is_none());
    match write(args, &reports, &mut io::stdout().lock()) {
        Ok(()) if sound => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn write(args: &InspectArgs, reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    if args.json {
        serde_json::to_writer_pretty(&mut *out, reports)?;
        return writeln!(out);
    }
    for (n, report) in reports.iter().enumerate() {
        if n > 0 {
            writeln!(out)?;
        }
        print::report(report, args.all, out)?;
    }
    Ok(())
}
