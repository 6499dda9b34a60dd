//! `broadtape bench`: subscribers by the thousand, latencies, cost, and proof that nothing is lost.
//!
//! ```text
//! crew ── phase ──► threads (worker) ──► links ──► dialogue ──► ledger: what is lost?
//!   ▲                                                  └──────► collector: how late?
//!   └──────── events: each second, each end ◄──────────────────────┘
//! ```
//!
//! All connect, then all subscribe, then the warm-up runs, then the window. One read of the
//! real-time clock stands for all records of a socket read, and only what is received within the
//! window counts as measured. Losses are looked for from the first record to the last: each
//! connection counts what it receives and compares with the server's counts in heartbeats, and
//! once more after the window.

mod args;
mod collector;
mod condition;
mod crew;
mod dialogue;
mod figure;
mod findings;
mod hdr;
mod html;
mod interval;
mod machine;
mod plan;
mod process;
mod progress;
mod ramp;
mod report;
mod route;
mod table;
mod task;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) use self::args::BenchArgs;
use self::crew::Crew;
use self::dialogue::Protocol;
use self::hdr::LogFile;
use self::machine::Host;
use self::plan::{Plan, PlanError, Selection};
use self::process::{NoProcess, Probe};
use self::progress::Progress;
use self::report::Report;
use self::route::Route;
use self::task::Task;
use super::USAGE;
use super::client::ConnectError;
use super::client::target::Target;
use super::client::tls::TrustError;
use super::client::token::TokenFileError;

/// Something went wrong.
const FAILED: u8 = 1;
/// A `--fail-if` condition was met.
const CONDITION_MET: u8 = 3;
/// Descriptors of visitors that are under way, as far as they are set aside.
const VISITORS: usize = 1024;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Machine(#[from] machine::TooManyConnections),
    #[error(transparent)]
    Process(#[from] NoProcess),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Token(#[from] TokenFileError),
    #[error(transparent)]
    Trust(#[from] TrustError),
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
            Self::Usage(_)
            | Self::Plan(PlanError::TooMany(_))
            | Self::Trust(TrustError::Plain { .. }) => USAGE,
            _ => FAILED,
        }
    }
}

/// Runs the command to its exit code.
pub(super) fn run(args: &BenchArgs) -> ExitCode {
    let report = match measure(args) {
        Ok(report) => report,
        Err(error) => return refuse(&error),
    };
    match show(args, &report) {
        // Nobody reads the table; the conditions hold all the same.
        Err(BenchError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return refuse(&error),
        Ok(()) => {}
    }
    let met: Vec<String> = args.output.fail_if.iter().filter_map(|c| c.met(&report)).collect();
    met.iter().for_each(|met| say(&format!("--fail-if {met}")));
    if met.is_empty() { ExitCode::SUCCESS } else { CONDITION_MET.into() }
}

fn refuse(error: &BenchError) -> ExitCode {
    say(&error.to_string());
    error.exit_code().into()
}

fn say(text: &str) {
    // Where standard error is gone, the exit code has to do.
    let _ = writeln!(stderr(), "broadtape bench: {text}");
}

fn measure(args: &BenchArgs) -> Result<Report, BenchError> {
    args.check()?;
    let visitors = if args.load.churn > 0.0 { VISITORS } else { 0 };
    machine::reserve_descriptors(args.connections as usize, visitors)?;
    args.output.files().try_for_each(can_be_written)?;
    let mut hdr = args.output.hdr.as_deref().map(log_file).transpose()?;
    let mut probe = (!args.server_pid.is_empty()).then(|| Probe::start(&args.server_pid));
    let mut probe = probe.take().transpose()?;
    let host = Host::this();
    let task = Arc::new(task(args)?);
    let progress = Progress::new(args.duration.as_secs_f64().ceil() as usize);
    let mut crew = Crew::start(&task, &progress)?;
    crew.connect()?;
    probe.as_mut().map_or(Ok(()), |probe| probe.connected(task.population.all()))?;
    crew.subscribe()?;
    crew.measure(args.warmup, args.duration, hdr.as_mut(), probe.as_mut())?;
    let findings = crew.finish()?;
    hdr.map_or(Ok(()), LogFile::finish)?;
    let cost = probe.map(|probe| probe.cost(findings.total.records));
    Ok(Report::new(args, &task, host, findings, cost))
}

fn log_file(path: &Path) -> Result<LogFile, BenchError> {
    LogFile::create(path).map_err(|reason| BenchError::File { path: path.to_owned(), reason })
}

/// A run whose result can't be written is not begun.
fn can_be_written(path: &Path) -> Result<(), BenchError> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(|reason| BenchError::File { path: path.to_owned(), reason })
}

fn task(args: &BenchArgs) -> Result<Task, BenchError> {
    let ours = args.peer.protocol == Protocol::Broadtape;
    let target = args.target.clone().with_token(args.token.read()?).with_trust(&args.tls)?;
    args.tls.warning().into_iter().for_each(say);
    let target = if ours { target } else { target.at_root() };
    let population = args.population();
    Ok(Task {
        route: Route::find(&target)?,
        plan: plan(args, &target)?,
        target,
        protocol: args.peer.protocol,
        encoding: args.shape.encoding,
        steps: args.steps(),
        message: args.peer.subscribe_message.clone(),
        subject: args.peer.subject.clone(),
        clock: args.peer.clock,
        population,
        slow: args.load.slow.unwrap_or(0),
        ramp: args.load.ramp,
        churn: args.load.churn,
        threads: usize::from(args.threads).min(population.all()),
        spin: args.spin,
        read_every: args.read_every,
    })
}

fn plan(args: &BenchArgs, target: &Target) -> Result<Plan, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| BenchError::Thread(error.to_string()))?;
    let Selection::All = args.shape.symbols else {
        let (schema, symbols) = (args.shape.schema.clone(), args.shape.symbols.clone());
        let plan = Plan::make(target, schema, symbols, args.shape.seed);
        return Ok(runtime.block_on(plan)?);
    };
    Ok(Plan::all(args.shape.schema.clone()))
}

/// The table goes to standard output, unless the JSON does.
fn show(args: &BenchArgs, report: &Report) -> Result<(), BenchError> {
    let json = || serde_json::to_string_pretty(report).map_err(io::Error::from);
    if let Some(path) = &args.output.html {
        write_file(path, &html::page(report))?;
    }
    match &args.output.json {
        Some(path) if path == Path::new("-") => {
            // For people who watch; a program reads the other one.
            let _ = write!(stderr(), "{report}");
            writeln!(stdout(), "{}", json()?)?;
        }
        Some(path) => {
            write_file(path, &(json()? + "\n"))?;
            write!(stdout(), "{report}")?;
        }
        None => write!(stdout(), "{report}")?,
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(|reason| BenchError::File { path: path.to_owned(), reason })
}
