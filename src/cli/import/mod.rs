//! `broadtape import`: recordings of any format as one DBN v3 file.
//!
//! The files are read twice, in constant memory: DBN's metadata, which comes first, says what is in
//! a file, and that is known only once all of it has been read.

mod output;
mod play;
mod report;
mod survey;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::Early;
use crate::feed::source::{Format, How, Recording};
use output::Output;
use play::play;
use survey::Survey;

const EXAMPLE: &str = "\
Formats: dbn (versions 1 to 3), itch (Nasdaq TotalView-ITCH 5.0: length-framed, or a capture of \
MoldUDP64), iex (TOPS 1.6 and DEEP: captures), binance-spot, binance-usdm, coinbase (lines of \
WebSocket JSON), lobster (message files), csv (with --mapping). Captures are pcap or pcapng. All \
may be compressed with gzip, xz or zstd. docs/formats.md says what becomes of each message.

Examples:
  broadtape import itch 12302019.NASDAQ_ITCH50.gz --date 2019-12-30 -o nasdaq.dbn.zst
  broadtape import iex A.pcap B.pcap --arbitrate -o iex.dbn.zst
  broadtape import binance-usdm btcusdt.gz -o btcusdt.dbn

Exit codes: 0 done, 1 failed (no file is left behind), 2 wrong usage.";

/// Turn recordings of other formats into one DBN file
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ImportArgs {
    /// What the files are
    #[arg(value_parser = |text: &str| text.parse::<Format>())]
    format: Format,
    /// Files of this format, merged by time
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where to: OUT.dbn, or OUT.dbn.zst, which is compressed
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
    /// The files are the lines of one feed: each packet is taken once, in the order of its number
    #[arg(long)]
    arbitrate: bool,
    #[command(flatten)]
    given: Given,
}

/// What a format does not say by itself.
#[derive(Args, Debug)]
struct Given {
    /// Day of itch and lobster files, which have times of day only: 2019-12-30
    #[arg(long, value_name = "DAY")]
    date: Option<String>,
    /// Zone of times of day (New York by default) and of csv files (UTC by default)
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Symbol of lobster files, where their name doesn't say it
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// One unit of the sizes of an instrument of an exchange; skip leaves it out; may be repeated
    /// [default: the finest that its file has]
    #[arg(long = "lot", value_name = "SYMBOL=SIZE|skip")]
    lots: Vec<String>,
    /// Which column of a csv file is what, as TOML
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
}

/// Runs it: the report goes to standard output, progress to standard error.
pub(super) fn run(args: ImportArgs) -> ExitCode {
    match import(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(early) => early.exit(),
    }
}

fn import(args: ImportArgs) -> Result<(), Early> {
    let recordings = recordings(&args)?;
    let mut output = Output::new(args.output, args.force)?;
    let failed = |reason: String| Early::Failed(format!("{reason}; nothing was written"));
    let mut survey = Survey::default();
    let first = play(&recordings, "read", &mut |batch| {
        survey.note(batch);
        Ok(())
    });
    let first = first.map_err(failed)?;
    let metadata = survey.metadata(&first);
    output.begin(&metadata).map_err(failed)?;
    let second = play(&recordings, "written", &mut |batch| output.write(batch));
    let second = second.map_err(failed)?;
    output.finish().map_err(failed)?;
    // A reader that went away has what it wanted; the file is there.
    let _ = report::report(&survey, &second, &mut std::io::stdout().lock());
    let _ = std::io::stdout().flush();
    Ok(())
}

/// What is to be read.
fn recordings(args: &ImportArgs) -> Result<Vec<Recording>, Early> {
    let usage = |error: &dyn std::fmt::Display| Early::Usage(format!("--{error}"));
    let given = &args.given;
    let mut how = How { mapping: given.mapping.clone(), ..How::default() };
    if let Some(symbol) = &given.symbol {
        how.set_symbol(symbol).map_err(|error| usage(&error))?;
    }
    if let Some(date) = &given.date {
        how.set_date(date).map_err(|error| usage(&error))?;
    }
    if let Some(zone) = &given.tz {
        how.set_zone(zone).map_err(|error| usage(&error))?;
    }
    for lot in &given.lots {
        how.add_lot(lot).map_err(|error| usage(&error))?;
    }
    let (format, how) = (args.format, Arc::new(how));
    if args.arbitrate {
        return Ok(vec![Recording { format, paths: args.files.clone(), how }]);
    }
    let each = args.files.iter().cloned();
    Ok(each.map(|path| Recording { format, paths: vec![path], how: how.clone() }).collect())
}
