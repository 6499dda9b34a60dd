//! `broadtape bench`: subscribers by the thousand, latencies, and proof that nothing was lost.
//!
//! ```text
//! coordinator (crew) ── phase ──► threads (worker) ──► subscribers ──► ledger: nothing lost?
//!        ▲                                                  └────────► collector: how late?
//!        └───────────────── events: each second, each end ◄────────────────────┘
//! ```
//!
//! All connect, then all subscribe, then the warm-up runs, then the window. One read of the
//! real-time clock stands for all records of a socket read, and only what is received within the
//! window counts as measured. Losses are looked for from the first record to the last: each
//! connection counts what it receives and compares with the server's counts in heartbeats, and
//! once more after the window.

mod collector;
mod condition;
mod crew;
mod hdr;
mod interval;
mod ledger;
mod machine;
mod plan;
mod progress;
mod report;
mod stamp;
mod subscriber;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::condition::Condition;
use self::crew::Crew;
use self::hdr::LogFile;
use self::plan::{Plan, PlanError, Selection};
use self::progress::Progress;
use self::report::Report;
use self::subscriber::Task;
use super::client::Encoding;
use super::client::target::Target;
use super::units;

/// Something went wrong.
const FAILED: u8 = 1;
/// What was asked for makes no sense.
const USAGE: u8 = 2;
/// A `--fail-if` condition was met.
const CONDITION_MET: u8 = 3;

/// Measure a server: latency, throughput, and whether anything is lost
///
/// Opens connections, subscribes all of them, warms up, then measures latency from each record's
/// stamps to its receipt, and checks the server's counts against what arrived. Latencies compare
/// the clocks of both machines: across machines they are as good as the clocks agree.
///
/// Exit codes: 0 measured, 1 failed, 2 usage, 3 a --fail-if condition was met.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    broadtape bench ws://127.0.0.1:8080/v1/stream --connections 1000 --duration 30s\n  \
    broadtape bench localhost:8080 --symbols 20 --fail-if 'p99>5ms' --fail-if 'lost>0' --json -")]
pub(super) struct BenchArgs {
    /// The server: ws://HOST:PORT/v1/stream, http://HOST:PORT or HOST:PORT
    #[arg(value_name = "URL")]
    target: Target,
    /// How many subscribers
    #[arg(short, long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    duration: Duration,
    /// How long to receive before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    warmup: Duration,
    /// Symbols of each connection: all, a list A,B,C, or how many of all (each its own)
    #[arg(long, value_name = "all|A,B|K", default_value = "all")]
    symbols: Selection,
    /// Schemas to subscribe to, comma separated
    #[arg(long, value_name = "SCHEMA", default_value = "trades", value_delimiter = ',')]
    schema: Vec<String>,
    /// Threads that share the connections
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Encoding of the records
    #[arg(long, value_enum, default_value_t = Encoding::Dbn)]
    encoding: Encoding,
    /// Check that the venue's sequence goes up by one: all symbols of one schema, of a venue that
    /// numbers them together, as the metronome does
    #[arg(long)]
    check_sequence: bool,
    /// Write the result as JSON to a file, or to standard output (-)
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
    /// Write an HdrHistogram log, a line each second and stamp
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// Exit with 3 where this holds, such as 'p99>5ms', 'out.p99.9>=1ms', 'lost>0' (repeatable)
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Condition>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("--check-sequence needs all symbols of one schema")]
    SequenceOfParts,
    #[error("--duration 0 measures nothing; write 1s or more")]
    NoDuration,
    #[error(transparent)]
    Machine(#[from] machine::TooManyConnections),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("{what} {done} of {of}, then: {reason}")]
    Failed { what: &'static str, done: usize, of: usize, reason: String },
    #[error("all connections ended before the measurement did{}", list(.reasons))]
    AllLost { reasons: BTreeMap<String, u64> },
    #[error("a thread of the bench failed: {0}")]
    Thread(String),
    #[error("can't write a result: {0}")]
    Output(#[from] io::Error),
    #[error("can't write {}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
}

fn list(reasons: &BTreeMap<String, u64>) -> String {
    reasons.iter().map(|(reason, count)| format!("; {count} {reason}")).collect()
}

impl BenchError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::SequenceOfParts | Self::NoDuration => USAGE,
            Self::Plan(PlanError::TooMany(_)) => USAGE,
            _ => FAILED,
        }
    }
}

/// Runs the command to its exit code.
pub(super) fn run(args: BenchArgs) -> ExitCode {
    let shown = measure(&args).and_then(|report| show(&args, &report).map(|()| report));
    let report = match shown {
        Ok(report) => report,
        // Nobody reads on: there is nothing left to say.
        Err(BenchError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&error.to_string());
            return error.exit_code().into();
        }
    };
    let met: Vec<String> = args.fail_if.iter().filter_map(|c| c.met(&report)).collect();
    met.iter().for_each(|met| say(&format!("--fail-if {met}")));
    if met.is_empty() { ExitCode::SUCCESS } else { CONDITION_MET.into() }
}

fn say(text: &str) {
    // Where standard error is gone, the exit code has to do.
    let _ = writeln!(stderr(), "broadtape bench: {text}");
}

fn measure(args: &BenchArgs) -> Result<Report, BenchError> {
    if args.duration.is_zero() {
        return Err(BenchError::NoDuration);
    }
    if args.check_sequence && (args.symbols != Selection::All || args.schema.len() != 1) {
        return Err(BenchError::SequenceOfParts);
    }
    let connections = args.connections as usize;
    let threads = usize::from(args.threads).min(connections);
    machine::reserve_descriptors(connections)?;
    let mut hdr = args.hdr.as_deref().map(log_file).transpose()?;
    let task = Arc::new(task(args)?);
    let progress = Progress::new(args.duration.as_secs_f64().ceil() as usize);
    let mut crew = Crew::start(connections, threads, &task, &progress)?;
    crew.connect()?;
    crew.subscribe()?;
    let start = crew.measure(args.warmup, args.duration, hdr.as_mut())?;
    let findings = crew.finish()?;
    hdr.map_or(Ok(()), LogFile::finish)?;
    Ok(report(args, threads, start, findings))
}

fn log_file(path: &Path) -> Result<LogFile, BenchError> {
    LogFile::create(path).map_err(|reason| BenchError::File { path: path.to_owned(), reason })
}

fn task(args: &BenchArgs) -> Result<Task, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| BenchError::Thread(error.to_string()))?;
    let plan = Plan::make(&args.target, args.schema.clone(), args.symbols.clone());
    Ok(Task {
        target: args.target.clone(),
        encoding: args.encoding,
        plan: runtime.block_on(plan)?,
        check_sequence: args.check_sequence,
    })
}

fn report(args: &BenchArgs, threads: usize, start: u64, found: crew::Findings) -> Report {
    let seconds = args.duration.as_secs_f64();
    let total = found.total;
    Report {
        version: env!("CARGO_PKG_VERSION"),
        url: args.target.to_string(),
        connections: args.connections as usize,
        threads,
        schema: args.schema.join(","),
        symbols: args.symbols.to_string(),
        encoding: args.encoding.name(),
        warmup_s: args.warmup.as_secs_f64(),
        duration_s: seconds,
        start,
        records: total.records,
        bytes: total.bytes,
        frames: total.frames,
        reads: total.reads,
        records_per_s: total.records as f64 / seconds,
        bytes_per_s: total.bytes as f64 / seconds,
        total,
        lost: found.checks.lost(),
        check_sequence: args.check_sequence,
        checks: found.checks,
        disconnects: found.disconnects,
        rejected: found.rejected,
        client: found.client,
    }
}

/// The table goes to standard output, unless the JSON does.
fn show(args: &BenchArgs, report: &Report) -> Result<(), BenchError> {
    let json = || serde_json::to_string_pretty(report).map_err(io::Error::from);
    match &args.json {
        Some(path) if path == Path::new("-") => {
            // For people who watch; a program reads the other one.
            let _ = write!(stderr(), "{report}");
            writeln!(stdout(), "{}", json()?)?;
        }
        Some(path) => {
            let failed = |reason| BenchError::File { path: path.clone(), reason };
            fs::write(path, json()? + "\n").map_err(failed)?;
            write!(stdout(), "{report}")?;
        }
        None => write!(stdout(), "{report}")?,
    }
    Ok(())
}
