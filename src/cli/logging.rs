//! Logging: to standard error, text on a terminal, JSON otherwise.

use std::io::{IsTerminal, stderr};

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
    let _ = if text {
        log.with_ansi(stderr().is_terminal()).try_init()
    } else {
        log.json().flatten_event(true).try_init()
    };
    Ok(())
}
