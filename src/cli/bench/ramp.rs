//! `--ramp`: connections opened evenly, over a time or at a rate.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::cli::units;

/// How fast connections are opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ramp {
    /// All of them within this time.
    Over(Duration),
    /// So many a second.
    PerSecond(f64),
}

/// What is no ramp.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{0:?} is neither a duration nor a rate above 0; write it like 10s or 500/s")]
pub(crate) struct NoRamp(String);

impl FromStr for Ramp {
    type Err = NoRamp;

    fn from_str(text: &str) -> Result<Self, NoRamp> {
        let no_ramp = || NoRamp(text.to_owned());
        let Some(rate) = text.trim().strip_suffix("/s") else {
            return units::duration(text).map(Self::Over).map_err(|_| no_ramp());
        };
        let rate = units::number(rate).ok().filter(|rate| *rate > 0.0);
        rate.map(Self::PerSecond).ok_or_else(no_ramp)
    }
}

impl Ramp {
    /// When number `number` of `all` is due, from the start.
    pub(crate) fn after(self, number: usize, all: usize) -> Duration {
        let seconds = match self {
            Self::Over(time) => time.as_secs_f64() * number as f64 / all.max(1) as f64,
            Self::PerSecond(rate) => number as f64 / rate,
        };
        // A rate near 0 is a time beyond all clocks.
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u32::MAX.into()))
    }
}

impl fmt::Display for Ramp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over(time) => write!(f, "over {} s", time.as_secs_f64()),
            Self::PerSecond(rate) => write!(f, "at {rate}/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_a_time_or_a_rate() {
        assert_eq!("2s".parse(), Ok(Ramp::Over(Duration::from_secs(2))));
        assert_eq!("500/s".parse(), Ok(Ramp::PerSecond(500.0)));
        for bad in ["", "5", "0/s", "/s", "x/s", "-1/s"] {
            assert!(bad.parse::<Ramp>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn connections_are_due_one_after_the_other() {
        let over = Ramp::Over(Duration::from_secs(2));
        assert_eq!((over.after(0, 4), over.after(3, 4).as_millis()), (Duration::ZERO, 1500));
        assert_eq!(Ramp::PerSecond(200.0).after(10, 0).as_millis(), 50);
        assert!(Ramp::PerSecond(f64::MIN_POSITIVE).after(1, 1) > Duration::from_secs(1 << 30));
    }
}
