//! `broadtape inspect`: what is in a recording of any format, or in a capture.

mod activity;
mod capture;
mod print;
mod report;
mod rows;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use report::Report;

use super::Early;
use super::given::Given;
use crate::feed::source::Recording;

/// Show what is in recordings: schemas, instruments, counts, times, rates, and damage; and in
/// captures of MoldUDP64, IEX-TP and CME MDP 3: lines, holes, and what both lines together bring.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  broadtape inspect ES.mbp-1.dbn.zst tape/\n  \
    broadtape inspect itch:12302019.NASDAQ_ITCH50.gz --date 2019-12-30\n\n\
    Exit code 1 where one is damaged or no recording; what can be read of it is shown.")]
pub(super) struct InspectArgs {
    /// DBN files: versions 1 to 3, with metadata or fragments; captures: pcap, pcapng; FORMAT:FILE
    /// of another format; what `export` writes: .csv, .jsonl; plain, zstd, gzip or xz; .parquet;
    /// tapes, and folders of DBN files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
    /// Show all instruments, not only the busiest
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs it: the report goes to standard output, progress to standard error. Fails where a file is
/// damaged or no DBN.
pub(super) fn run(args: &InspectArgs) -> ExitCode {
    let how = match args.given.how() {
        Ok(how) => Arc::new(how),
        Err(early) => return early.exit(),
    };
    let reports = args.files.iter().flat_map(|file| match Recording::all_named(file, &how) {
        Ok(all) => all.iter().map(Report::of).collect(),
        Err(error) => vec![Report::refused(file, error.to_string())],
    });
    let reports: Vec<Report> = reports.collect();
    let sound = reports.iter().all(|report| report.damage.is_none());
    match write(args, &reports, &mut io::stdout().lock()) {
        // A reader that went away (`| head`) has what it wanted.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Early::Failed(format!("standard output: {error}")).exit()
        }
        _ if sound => ExitCode::SUCCESS,
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
