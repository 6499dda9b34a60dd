//! `broadtape inspect`: what is in a DBN file, or in a capture.

mod activity;
mod capture;
mod print;
mod report;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use report::Report;

/// Shows what is in DBN files: schemas, instruments, counts, times, rates, and damage; and in
/// captures of MoldUDP64, IEX-TP and CME MDP 3: lines, holes, and what both lines together bring.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  broadtape inspect ES.mbp-1.dbn.zst\n\n\
    Exit code 1 where a file is damaged or no DBN; what can be read of it is shown.")]
pub(super) struct InspectArgs {
    /// DBN files: versions 1 to 3, with metadata or fragments; captures: pcap, pcapng; plain, zstd,
    /// gzip or xz
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
