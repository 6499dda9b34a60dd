//! `broadtape import`: recordings of any format as one DBN v3 file, in constant memory.

mod play;
mod report;
mod survey;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::Early;
use super::given::Given;
use crate::feed::source::{Format, Recording};
use crate::wire::file::{Contents, Writer};
use crate::wire::record::{rtype, rtype_of};
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

/// Runs it: the report goes to standard output, progress to standard error.
pub(super) fn run(args: ImportArgs) -> ExitCode {
    match import(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(early) => early.exit(),
    }
}

fn import(args: ImportArgs) -> Result<(), Early> {
    let name = args.output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.ends_with(".dbn") && !name.ends_with(".dbn.zst") {
        let shown = args.output.display();
        return Err(Early::Usage(format!("output {shown}: it ends in .dbn or .dbn.zst")));
    }
    let recordings = recordings(&args)?;
    let failed =
        |reason: &dyn std::fmt::Display| Early::Failed(format!("{reason}; nothing was written"));
    let writer = Writer::create(&args.output, &Contents::default(), args.force);
    let mut writer = writer.map_err(|error| failed(&error))?;
    let mut survey = Survey::default();
    let played = play(&recordings, &mut |batch| {
        survey.note(batch);
        // Its metadata says what the mappings would.
        let mut records = batch.iter().filter(|r| rtype_of(r) != rtype::SYMBOL_MAPPING);
        records.try_for_each(|record| writer.write(record)).map_err(|error| error.to_string())
    });
    let played = played.map_err(|error| failed(&error))?;
    writer.finish(&survey.contents(&played)).map_err(|error| failed(&error))?;
    // A reader that went away has what it wanted; the file is there.
    let _ = report::report(&survey, &played, &mut std::io::stdout().lock());
    Ok(())
}

/// What is to be read.
fn recordings(args: &ImportArgs) -> Result<Vec<Recording>, Early> {
    let (format, how) = (args.format, Arc::new(args.given.how()?));
    if args.arbitrate {
        return Ok(vec![Recording { format, paths: args.files.clone(), how }]);
    }
    let each = args.files.iter().cloned();
    Ok(each.map(|path| Recording { format, paths: vec![path], how: how.clone() }).collect())
}
