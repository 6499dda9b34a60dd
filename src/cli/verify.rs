//! `broadtape verify`: reads all of a tape and says what is wrong with it.

use std::fmt::Write;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use super::Early;
use super::units::{show_bytes, show_count};
use crate::tape::{self, Report, SegmentReport};
use crate::wire::json::time_text;

const EXAMPLE: &str = "\
Examples:
  broadtape verify tapes/today
  broadtape verify tapes/today/00000000000000000001.tape

Exit code 1 where records that were recorded can't be read; records that were never recorded (the
recorder was overtaken, or had no disk) are told, and no fault of the tape.";

/// Check a recorded tape, and name what is missing
#[derive(clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct VerifyArgs {
    /// Folders or segment files
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &VerifyArgs) -> ExitCode {
    let mut whole = true;
    for path in &args.paths {
        let bar = bar();
        let report = tape::verify(path, |bytes, total| advance(&bar, bytes, total));
        bar.finish_and_clear();
        match report {
            Ok(report) => {
                whole &= report.damage.is_empty();
                // A reader that went away (`| head`) has what it wanted.
                let _ =
                    io::stdout().write_all(text(&path.display().to_string(), &report).as_bytes());
            }
            Err(error) => return Early::Failed(error.to_string()).exit(),
        }
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(super) fn advance(bar: &ProgressBar, bytes: u64, total: u64) {
    bar.set_length(total);
    bar.inc(bytes);
}

/// A report for people.
pub(super) fn text(name: &str, report: &Report) -> String {
    let mut out = format!("{name}: epoch {}, ", report.epoch);
    match report.seqs {
        None => out.push_str("no record\n"),
        Some((first, last)) => {
            let (records, first, last) =
                (show_count(report.records), show_count(first), show_count(last));
            let times = (time_text(report.times.0), time_text(report.times.1));
            let _ =
                writeln!(out, "{records} records, {first} to {last}, {} to {}", times.0, times.1);
        }
    }
    for segment in &report.segments {
        let _ = writeln!(out, "  {}", line(segment));
    }
    for hole in &report.holes {
        let _ = writeln!(out, "never recorded: {hole}");
    }
    if report.holes_total > report.holes.len() as u64 {
        let _ = writeln!(out, "never recorded: {} holes in all", report.holes_total);
    }
    for damage in &report.damage {
        let _ = writeln!(out, "damaged: {damage}");
    }
    let _ = match report.damage.len() {
        0 => writeln!(out, "whole"),
        places => writeln!(out, "{} records lost in {places} places", show_count(report.lost())),
    };
    out
}

fn line(segment: &SegmentReport) -> String {
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
    let (bytes, records) = (show_bytes(segment.bytes as f64), show_count(segment.records));
    let end = if segment.sealed { "sealed" } else { "not sealed" };
    let mut out = format!("{name}: {records} records, {bytes}, {end}");
    if segment.void > 0 {
        let _ = write!(out, "; {} records void after a failed sync", show_count(segment.void));
    }
    if segment.skipped > 0 {
        let _ = write!(out, "; after a restart, {} numbers unused", show_count(segment.skipped));
    }
    let (bytes, reason) = &segment.tail;
    if *bytes > 0 && !segment.sealed {
        let _ = write!(out, "; {bytes} bytes at its end never counted: {reason}");
    }
    out
}
