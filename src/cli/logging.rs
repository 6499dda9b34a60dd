//! Logging: to standard error, text on a terminal, JSON otherwise; panics among the rest.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, stderr};
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::node::options::{LogFormat, LogOptions};

/// Starts the log of this process; a second call changes nothing.
///
/// # Errors
/// The filter is none.
pub(super) fn start(options: &LogOptions) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(&options.filter)?;
    let log = tracing_subscriber::fmt().with_writer(stderr).with_env_filter(filter);
    let text = match options.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    // Fails only where a log runs already, which then stays.
    let started = if text {
        log.with_ansi(stderr().is_terminal()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(panicked));
    }
    Ok(())
}

/// A panic is a line of the log like any other; what becomes of it, its thread says.
fn panicked(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("?");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("no words");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then_some(backtrace);
    let backtrace = backtrace.as_ref().map(tracing::field::display);
    tracing::error!(thread, at, backtrace, "panic: {words}");
}
