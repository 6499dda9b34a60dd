//! What `serve` and `replay` have in common: the feeds are built, the server runs until it is told
//! to end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::Early;
use super::progress::Shown;
use crate::feed::replay::{Progress, Replay, ReplayOptions, Speed as ReplaySpeed};
use crate::feed::{Deriver, Feed, Metronome, Scenario, Sim, SimOptions};
use crate::node::config::Config;
use crate::node::options::{FeedOptions, Speed};
use crate::node::server::{self, Addresses, Program};

/// Runs a server as it was configured.
pub(super) fn run(config: &Config) -> ExitCode {
    let (program, progress) = match program(&config.feed) {
        Ok(program) => program,
        Err(early) => return early.exit(),
    };
    let shown = progress.map(Shown::start).transpose();
    if let Err(error) = &shown {
        tracing::warn!(%error, "progress is not shown");
    }
    let scheme = if config.options.tls.is_some() { "https" } else { "http" };
    let served = server::run(&config.options, program, stops, |bound| say(scheme, bound));
    drop(shown);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the server has ended");
            ExitCode::FAILURE
        }
    }
}

/// The feeds, and how far they are where that can be told.
pub(super) fn program(feed: &FeedOptions) -> Result<(Program, Option<Arc<Progress>>), Early> {
    let failed = |error: &dyn std::fmt::Display| Early::Failed(error.to_string());
    let one = |feed: Box<dyn Feed>, derive: u32| Program {
        feeds: vec![feed],
        derive,
        elastic: false,
        exit: false,
        engines: None,
    };
    let mut progress = None;
    let program = match feed.clone() {
        FeedOptions::Sim { scenario, symbols, rate, seed } => {
            let scenario = self::scenario(&scenario)?;
            let sim = Sim::new(SimOptions { symbols, rate, seed, scenario });
            one(Box::new(sim.map_err(|e| failed(&e))?), Deriver::SCHEMAS)
        }
        FeedOptions::Metronome { symbols, rate } => one(Box::new(Metronome::new(rate, symbols)), 0),
        FeedOptions::Replay { files, from, to, speed, max_gap, repeat, derive, exit } => {
            let (speed, elastic) = match speed {
                Speed::Max => (ReplaySpeed::Max, true),
                Speed::Times(factor) => (ReplaySpeed::Factor(factor), false),
            };
            let options = ReplayOptions { files, from, to, speed, max_gap, looped: repeat };
            let replay = Replay::open(options).map_err(|e| failed(&e))?;
            if replay.progress().span.is_some_and(|(start, end)| start > end) {
                tracing::warn!("nothing of what the recordings say they hold is of that time");
            }
            progress = Some(replay.progress());
            let derive = if derive { Deriver::SCHEMAS } else { 0 };
            Program { elastic, exit, ..one(Box::new(replay), derive) }
        }
    };
    Ok((program, progress))
}

/// A scenario by its name, or that of a file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Early> {
    let scenario = match Path::new(name) {
        path if path.is_file() => Scenario::from_file(path),
        _ => Scenario::named(name),
    };
    scenario.map_err(|error| Early::Usage(error.to_string()))
}

/// One line a listener, and nothing else, ever.
fn say(scheme: &str, addresses: &Addresses) {
    let mut out = io::stdout().lock();
    let public = addresses.public.iter().map(|a| format!("listening on {scheme}://{a}"));
    // Those of this machine need no encryption.
    let scheme_of =
        |a: &SocketAddr| if a.ip().to_canonical().is_loopback() { "http" } else { scheme };
    let admin = addresses.admin.iter().map(|a| format!("operators on {}://{a}", scheme_of(a)));
    let written = public.chain(admin).try_for_each(|line| writeln!(out, "{line}"));
    if let Err(error) = written.and_then(|()| out.flush()) {
        tracing::warn!(%error, "standard output is gone");
    }
}

/// Watches SIGTERM and SIGINT from here on; each call of what it returns waits for one of them.
pub(super) fn stops() -> io::Result<impl AsyncFnMut()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
