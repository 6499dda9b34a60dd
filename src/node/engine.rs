//! The choice of a write engine: io_uring where it is wanted and the kernel lets us have it.

use std::io;

use super::options::EngineChoice;
use crate::socket::uring::Uring;
use crate::socket::write::{Engine, Readiness};

/// What the choice comes to on this system.
///
/// # Errors
/// io_uring was asked for by name, and the kernel refuses it.
pub(super) fn probe(choice: EngineChoice) -> io::Result<EngineChoice> {
    if choice == EngineChoice::Epoll {
        return Ok(choice);
    }
    match Uring::new() {
        Ok(_) => Ok(EngineChoice::Uring),
        Err(error) if choice == EngineChoice::Uring => Err(error),
        Err(error) => {
            tracing::info!(%error, "no io_uring here: each send is a system call");
            Ok(EngineChoice::Epoll)
        }
    }
}

/// A shard's engine, made on its thread.
pub(super) fn make(probed: EngineChoice) -> Box<dyn Engine> {
    if probed == EngineChoice::Epoll {
        return Box::new(Readiness);
    }
    match Uring::new() {
        Ok(uring) => Box::new(uring),
        Err(error) => {
            tracing::warn!(%error, "no io_uring for this shard: each send is a system call");
            Box::new(Readiness)
        }
    }
}
