//! The command line of the bench, as typed and as checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::BenchError;
use super::condition::Condition;
use super::dialogue::sequence::Steps;
use super::dialogue::{Clock, Protocol};
use super::figure::METRICS;
use super::plan::Selection;
use super::ramp::Ramp;
use super::task::Population;
use crate::cli::client::Encoding;
use crate::cli::client::target::Target;
use crate::cli::client::tls::TlsArgs;
use crate::cli::client::token::TokenArgs;
use crate::cli::units;

const EXAMPLES: &str = "\
Examples:
  broadtape bench ws://127.0.0.1:8080/v1/stream --connections 1000 --duration 30s
  broadtape bench localhost:8080 --symbols 20 --fail-if 'p99>5ms' --fail-if 'lost>0' --json -
  broadtape bench localhost:8080 -c 1000 --stall 100 --churn 500 --server-pid $(pidof broadtape)
  broadtape bench wss://localhost:8443 --tls-ca authority.pem
  broadtape bench ws://127.0.0.1:9000/ --protocol raw48 --html report.html

docs/benchmarking.md says what each figure means.";

/// Measure a server: latency, throughput, cost, and whether anything is lost
///
/// Opens connections, subscribes all of them, warms up, then measures latency from each record's
/// stamps to its receipt, and checks the server's counts against what arrived. Latencies compare
/// the clocks of both machines: across machines they are as good as the clocks agree.
///
/// Exit codes: 0 measured, 1 failed, 2 usage, 3 a --fail-if condition was met.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// The server: ws://HOST:PORT/v1/stream, http://HOST:PORT or HOST:PORT; with TLS wss:// or
    /// https://
    #[arg(value_name = "URL")]
    pub(crate) target: Target,
    /// How many subscribers
    #[arg(short, long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// How long to measure
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub(crate) duration: Duration,
    /// How long to receive before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub(crate) warmup: Duration,
    /// Threads that share the connections
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
    /// Never sleep: a core a thread, so that no send of the server has to wake this client
    #[arg(long)]
    pub(crate) spin: bool,
    /// With --spin: read each subscriber only so often, so that how quick this client is does not
    /// change what a send costs the server; latencies then hold that wait
    #[arg(long, value_name = "TIME", requires = "spin", value_parser = units::duration)]
    pub(crate) read_every: Option<Duration>,
    /// Processes of the server, comma separated, on this machine: what a delivered record costs
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub(crate) server_pid: Vec<u32>,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) shape: Shape,
    #[command(flatten)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) peer: Peer,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Who subscribes to what.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is subscribed to")]
pub(crate) struct Shape {
    /// Symbols of each connection: all; these; K of all, each its own; one, each its own; those of
    /// K draws by Zipf's law [default K: 20]
    #[arg(long, value_name = "all|A,B|K|one|zipf[:K]", default_value = "all")]
    pub(crate) symbols: Selection,
    /// What Zipf's draws follow from: the same seed draws the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Schemas to subscribe to, comma separated
    #[arg(long, value_name = "SCHEMA", default_value = "trades", value_delimiter = ',')]
    pub(crate) schema: Vec<String>,
    /// Encoding of the records
    #[arg(long, value_enum, default_value_t = Encoding::Dbn)]
    pub(crate) encoding: Encoding,
    /// Check the venue's sequence, of one schema, of a venue that numbers all symbols together, as
    /// the metronome does: of all symbols it goes up by one, of some it goes up
    #[arg(long)]
    pub(crate) check_sequence: bool,
}

/// How the connections behave.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "How clients behave")]
pub(crate) struct Load {
    /// Open the connections evenly, over a time or so many a second; else as fast as they succeed
    #[arg(long, value_name = "TIME|N/s")]
    pub(crate) ramp: Option<Ramp>,
    /// Connects and leaves a second, beside the measured connections
    #[arg(long, value_name = "N", default_value = "0", value_parser = units::number)]
    pub(crate) churn: f64,
    /// Of the connections, so many stop reading once they are subscribed
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) stall: u32,
    /// Those of --slow-clients, or else those of --stall, read so many bytes a second
    #[arg(long, value_name = "BYTES/S", value_parser = bytes_a_second)]
    pub(crate) slow: Option<u64>,
    /// Of the connections, so many read slowly
    #[arg(long, value_name = "N", requires = "slow", default_value_t = 0)]
    pub(crate) slow_clients: u32,
}

/// Servers that are not broadtape's.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Other servers")]
pub(crate) struct Peer {
    /// What the server speaks
    #[arg(long, value_enum, default_value_t = Protocol::Broadtape)]
    pub(crate) protocol: Protocol,
    /// Text that each connection sends once all are connected: raw48 as a text message, nats as
    /// a line
    #[arg(long, value_name = "TEXT")]
    pub(crate) subscribe_message: Option<String>,
    /// What to subscribe to, with nats
    #[arg(long, value_name = "SUBJECT", default_value = ">")]
    pub(crate) subject: String,
    /// The clock of the server's stamps, with raw48 and nats
    #[arg(long, value_enum, default_value_t = Clock::Real)]
    pub(crate) clock: Clock,
}

/// Where results go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Results")]
pub(crate) struct Output {
    /// Write the result as JSON to a file, or to standard output (-)
    #[arg(long, value_name = "FILE|-")]
    pub(crate) json: Option<PathBuf>,
    /// Write an HdrHistogram log, a line each second and stamp
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
    /// Write a page with the result and its charts, which needs nothing else to be read
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Exit with 3 where this holds, such as 'p99>5ms', 'cpu>100ns', 'lost>0' (repeatable)
    #[arg(long, value_name = "CONDITION", long_help = METRICS)]
    pub(crate) fail_if: Vec<Condition>,
}

impl Output {
    /// Files that are written at the end.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.json, &self.html].into_iter().flatten();
        files.map(PathBuf::as_path).filter(|path| *path != Path::new("-"))
    }
}

/// `64KiB`, `64KiB/s` and `65536` are the same.
fn bytes_a_second(text: &str) -> Result<u64, String> {
    let bytes = units::bytes(text.trim_end_matches("/s")).map_err(|error| error.to_string())?;
    match bytes as u64 {
        0 => Err("0 bytes a second is --stall".to_owned()),
        bytes => Ok(bytes),
    }
}

impl BenchArgs {
    /// Everything that can be wrong before the server is asked.
    ///
    /// # Errors
    /// [`BenchError`], of usage.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let usage = |text: &str| Err(BenchError::Usage(text.to_owned()));
        if self.duration.is_zero() {
            return usage("--duration 0 measures nothing; write 1s or more");
        }
        if self.shape.check_sequence && self.shape.schema.len() != 1 {
            return usage("--check-sequence needs one schema");
        }
        let ours = self.peer.protocol == Protocol::Broadtape;
        if ours && self.peer.subscribe_message.is_some() {
            return usage("--subscribe-message is for --protocol raw48 or nats");
        }
        let shaped = self.shape.symbols != Selection::All || self.shape.check_sequence;
        if !ours && (shaped || self.shape.encoding != Encoding::Dbn) {
            return usage(
                "--symbols, --check-sequence and --encoding are for --protocol broadtape",
            );
        }
        if self.load.slow.is_some() && self.load.stall + self.load.slow_clients == 0 {
            return usage("--slow needs to know how many: write --slow-clients N");
        }
        if self.lagging() >= u64::from(self.connections) {
            return usage("--stall and --slow-clients leave no connection to be measured");
        }
        self.output.fail_if.iter().try_for_each(|condition| self.can_be_met(condition))
    }

    fn can_be_met(&self, condition: &Condition) -> Result<(), BenchError> {
        match condition.needs() {
            Some("--server-pid") if self.server_pid.is_empty() => {}
            Some("--churn") if self.load.churn == 0.0 => {}
            Some("--stall") if self.lagging() == 0 => {}
            _ => return Ok(()),
        }
        let needs = condition.needs().unwrap_or_default();
        Err(BenchError::Usage(format!("--fail-if {condition} needs {needs}")))
    }

    fn lagging(&self) -> u64 {
        u64::from(self.load.stall) + u64::from(self.load.slow_clients)
    }

    /// Who is there.
    pub(crate) fn population(&self) -> Population {
        let (stall, slow) = (self.load.stall as usize, self.load.slow_clients as usize);
        let measured = self.connections as usize - stall - slow;
        match self.load.slow {
            Some(_) if slow == 0 => Population { measured, stalled: 0, slow: stall },
            _ => Population { measured, stalled: stall, slow },
        }
    }

    /// How the venue's sequence is checked.
    pub(crate) fn steps(&self) -> Option<Steps> {
        let all = self.shape.symbols == Selection::All;
        self.shape.check_sequence.then_some(if all { Steps::ByOne } else { Steps::Upward })
    }
}
