//! `broadtape simulate`: the simulated market as a DBN file, the same each time.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Early;
use super::units::{duration, show_count};
use crate::clock::{SECOND, UnixNanos};
use crate::feed::{Batch, Feed, Next, Sim, SimOptions};
use crate::limits::BATCH_BYTES;
use crate::wire::file::{Contents, Writer};
use crate::wire::when::When;

const EXAMPLE: &str = "\
Example:
  broadtape simulate -o crash.dbn.zst --scenario crash --symbols 8 --rate 100 --for 2m
  broadtape replay crash.dbn.zst

The same options make the same records: time is simulated, too.";

/// The dataset that the file names.
const DATASET: &str = "BROADTAPE.SIM";
/// The market is looked at this often, ns: what happens between is received then.
const STEP: u64 = 1_000_000;
/// Nothing is simulated later, ns: months before the last time there is.
const LATEST: UnixNanos = u64::MAX - 200 * 24 * 3600 * SECOND;

/// Write a simulated market to a DBN file
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct SimulateArgs {
    /// Where to: OUT.dbn, or OUT.dbn.zst, which is compressed
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// What the market goes through: calm, open, halt, crash, burst, or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "calm")]
    scenario: String,
    /// Instruments
    #[arg(long, value_name = "N", default_value_t = 8)]
    symbols: u32,
    /// Records a second over all instruments
    #[arg(long, value_name = "N", default_value_t = 100)]
    rate: u64,
    /// The same seed makes the same market
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// When it opens (UTC)
    #[arg(long, value_name = "TIME", default_value = "2023-11-20T14:30")]
    start: When,
    /// How long it is open
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    span: Duration,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
}

/// Runs it: what was written is said on standard output.
pub(super) fn run(args: &SimulateArgs) -> ExitCode {
    match simulate(args) {
        Ok(records) => {
            let (output, records) = (args.output.display(), show_count(records));
            // A reader that went away has what it wanted; the file is there.
            let _ = writeln!(std::io::stdout(), "{output}: {records} records");
            ExitCode::SUCCESS
        }
        Err(early) => early.exit(),
    }
}

fn simulate(args: &SimulateArgs) -> Result<u64, Early> {
    let usage = |error: &dyn std::fmt::Display| Early::Usage(error.to_string());
    let failed = |error: &dyn std::fmt::Display| Early::Failed(error.to_string());
    let name = args.output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.ends_with(".dbn") && !name.ends_with(".dbn.zst") {
        let shown = args.output.display();
        return Err(Early::Usage(format!("output {shown}: it ends in .dbn or .dbn.zst")));
    }
    let (start, span) = (args.start.0, u64::try_from(args.span.as_nanos()).unwrap_or(u64::MAX));
    if start.saturating_add(span) > LATEST {
        return Err(Early::Usage("--start and --for lead beyond the year 2553".to_owned()));
    }
    let SimulateArgs { symbols, rate, seed, .. } = *args;
    let scenario = super::play::scenario(&args.scenario)?;
    let sim = Sim::new(SimOptions { symbols, rate, seed, scenario });
    let mut sim = sim.map_err(|error| usage(&error))?;
    let instruments = sim.instruments();
    let contents = Contents {
        dataset: DATASET.to_owned(),
        start,
        end: start + span + 1,
        symbols: instruments.into_iter().map(|one| (one.symbol, one.id)).collect(),
        ..Contents::default()
    };
    let writer = Writer::create(&args.output, &contents, args.force);
    let mut writer = writer.map_err(|error| failed(&error))?;
    let mut batch = Batch::new(BATCH_BYTES);
    let mut now = start;
    while now <= start + span {
        let next = sim.poll(now, &mut batch).map_err(|error| failed(&error))?;
        for record in batch.iter() {
            writer.write(record).map_err(|error| failed(&error))?;
        }
        batch.reset(BATCH_BYTES);
        match next {
            Next::Ready => {}
            Next::At(at) => now = step_to(start, at.max(now + 1)),
            Next::Ended => break,
        }
    }
    let records = writer.records();
    writer.finish(&contents).map_err(|error| failed(&error))?;
    Ok(records)
}

/// The first look at the market at this time or later.
fn step_to(start: UnixNanos, at: UnixNanos) -> UnixNanos {
    start + (at - start).div_ceil(STEP) * STEP
}
