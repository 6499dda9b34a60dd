//! What a run has to do, as its threads see it: checked arguments, resolved addresses.

use std::time::Duration;

use super::dialogue::sequence::Steps;
use super::dialogue::{Clock, Protocol};
use super::plan::Plan;
use super::ramp::Ramp;
use super::route::Route;
use crate::cli::client::Encoding;
use crate::cli::client::target::Target;

/// What all connections have in common.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) target: Target,
    pub(crate) route: Route,
    pub(crate) protocol: Protocol,
    pub(crate) encoding: Encoding,
    pub(crate) plan: Plan,
    /// How the venue's sequence goes on, where it is to be checked.
    pub(crate) steps: Option<Steps>,
    /// Sent once subscribed, where the protocol is not our own.
    pub(crate) message: Option<String>,
    /// What NATS is asked for.
    pub(crate) subject: String,
    /// The clock of stamps that are not our own protocol's.
    pub(crate) clock: Clock,
    pub(crate) population: Population,
    /// Bytes a second that a slow reader takes.
    pub(crate) slow: u64,
    pub(crate) ramp: Option<Ramp>,
    /// Connects a second beside the others, of all threads.
    pub(crate) churn: f64,
    pub(crate) threads: usize,
    /// Threads look for input without sleeping.
    pub(crate) spin: bool,
    /// How often they then read a subscriber; without pause where there is none.
    pub(crate) read_every: Option<Duration>,
}

impl Task {
    /// The subprotocol that a handshake asks for.
    pub(crate) fn subprotocol(&self) -> Option<&'static str> {
        (self.protocol == Protocol::Broadtape).then(|| self.encoding.subprotocol())
    }

    /// When connection `number` is due, from the start of the run.
    pub(crate) fn opens_after(&self, number: usize) -> Duration {
        self.ramp.map_or(Duration::ZERO, |ramp| ramp.after(number, self.population.all()))
    }
}

/// What a connection is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To be measured.
    Measured,
    /// To subscribe, and then to read no more.
    Stalled,
    /// To subscribe, and then to read too slowly.
    Slow,
    /// To connect and to leave.
    Visitor,
}

impl Role {
    /// Does it leave unread what the server sends?
    pub(crate) fn lags(self) -> bool {
        matches!(self, Self::Stalled | Self::Slow)
    }
}

/// How many connections there are of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Population {
    pub(crate) measured: usize,
    pub(crate) stalled: usize,
    pub(crate) slow: usize,
}

impl Population {
    pub(crate) fn all(self) -> usize {
        self.measured + self.lagging()
    }

    pub(crate) fn lagging(self) -> usize {
        self.stalled + self.slow
    }

    /// Those that lag are spread evenly among the others.
    pub(crate) fn role(self, number: usize) -> Role {
        let before = |number| number * self.lagging() / self.all();
        let nth = before(number);
        match before(number + 1) > nth {
            false => Role::Measured,
            true if nth < self.stalled => Role::Stalled,
            true => Role::Slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_as_numerous_as_it_should_be_and_spread() {
        for (measured, stalled, slow) in [(7, 0, 0), (90, 10, 0), (3, 2, 4), (1, 9, 0)] {
            let population = Population { measured, stalled, slow };
            let roles: Vec<_> = (0..population.all()).map(|n| population.role(n)).collect();
            let of = |role| roles.iter().filter(|one| **one == role).count();
            assert_eq!(of(Role::Measured), measured);
            assert_eq!((of(Role::Stalled), of(Role::Slow)), (stalled, slow));
        }
        let population = Population { measured: 90, stalled: 10, slow: 0 };
        let first = (0..100).position(|n| population.role(n) == Role::Stalled);
        assert_eq!(first, Some(9));
    }
}
