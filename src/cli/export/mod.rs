//! `broadtape export`: recordings as DBN, CSV, JSON lines or Parquet.
//!
//! A [`source::Source`] brings records, a [`Filter`] chooses, a [`sink::Sink`] writes them; with
//! `--derive`, what follows from the records stands between. Nothing is held but one batch.

#[cfg(feature = "parquet")]
mod columns;
#[cfg(not(feature = "parquet"))]
#[path = "no_columns.rs"]
mod columns;
mod pipe;
mod progress;
mod sink;
mod source;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::pipe::Exported;
pub(super) use self::sink::Form;
use super::Early;
use crate::wire::filter::Filter;
use crate::wire::record::Schema;
use crate::wire::when::When;

/// What is said of Parquet where the program is built without it.
#[cfg(not(feature = "parquet"))]
pub(super) const WITHOUT_PARQUET: &str = "this broadtape is built without Parquet; build it with \
    `cargo build --release --features parquet`";

const EXAMPLE: &str = "\
Examples:
  broadtape export ES.mbo.dbn.zst -o ES.csv --from 2023-12-25T22:00 --to 2023-12-25T23:00
  broadtape export ES.mbo.dbn.zst -o ES.mbp-1.dbn.zst --derive --schema mbp-1
  broadtape export day/ -o day.parquet --schema trades --symbols 'ES*,NQH4'

Times are UTC: 2023-12-25, 2023-12-25T22:00:00.5, or nanoseconds since the UNIX epoch. --from is
inclusive, --to is exclusive; both are of the records' index time (ts_recv, else ts_event).";

/// Write recordings as DBN, CSV, JSON lines or Parquet
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ExportArgs {
    /// DBN files, or folders of them: merged by time
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// What to write; its name says how: .dbn, .dbn.zst, .csv, .jsonl, .parquet
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Only records from this time on
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// Only these schemas
    #[arg(long, value_name = "SCHEMA", value_delimiter = ',', value_parser = schema)]
    schema: Vec<Schema>,
    /// Only these symbols; * stands for any text
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',')]
    symbols: Vec<String>,
    /// Add what follows from the records: bars, interval quotes, and from mbo trades and books
    #[arg(long)]
    derive: bool,
    /// Replace OUT where it exists
    #[arg(long)]
    force: bool,
}

fn schema(text: &str) -> Result<Schema, String> {
    let all = || crate::wire::record::schemas().map(|s| s.as_str()).collect::<Vec<_>>();
    text.parse().map_err(|_| format!("no schema; the schemas are {}", all().join(", ")))
}

/// Runs it: what was written is said on standard error, where the progress is too.
pub(super) fn run(args: &ExportArgs) -> ExitCode {
    match export(args) {
        Ok(exported) => {
            // Nothing is left to say it to where standard error is gone.
            let _ = exported.say(&args.output, &mut io::stderr());
            ExitCode::SUCCESS
        }
        Err(early) => early.exit(),
    }
}

fn export(args: &ExportArgs) -> Result<Exported, Early> {
    let form = Form::of(&args.output).map_err(Early::Usage)?;
    let filter = Filter::new(args.from, args.to, &args.schema, &args.symbols);
    let wrong = |_| Early::Usage("--to is not after --from: nothing lies between".to_owned());
    let filter = filter.map_err(wrong)?;
    let source = source::open(&args.files).map_err(Early::Failed)?;
    let plan = pipe::Plan { form, filter, derive: args.derive, force: args.force };
    pipe::run(source, plan, &args.output)
}

impl Exported {
    /// What was done, for people.
    fn say(&self, output: &std::path::Path, out: &mut impl Write) -> io::Result<()> {
        let Self { records, left_out, skipped, unmet, bytes, faults } = self;
        let output = output.display();
        writeln!(out, "{output}: {records} records, {bytes} bytes; {left_out} left out")?;
        if *skipped > 0 {
            writeln!(out, "{skipped} system and error messages are no market data: left out")?;
        }
        if !unmet.is_empty() {
            writeln!(out, "no instrument is called {}", unmet.join(", "))?;
        }
        if faults.total() > 0 {
            writeln!(
                out,
                "books: {} of orders not seen, {} repeated, {} malformed, {} without room",
                faults.unknown, faults.repeated, faults.malformed, faults.refused
            )?;
        }
        Ok(())
    }
}
