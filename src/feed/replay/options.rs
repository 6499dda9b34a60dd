//! What to replay and how fast.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::UnixNanos;
use crate::feed::source::Recording;
use crate::wire::file::FileError;

/// The slowest and the fastest factor.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=1000.0;
/// Parts of one that a factor is counted in, so that due times are whole-number arithmetic.
pub(super) const PARTS: u64 = 1_000_000;

/// What to replay; by default all of it, once, as fast as it is taken.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The recordings, merged by time; where times are equal, the first of them first.
    pub files: Vec<Recording>,
    /// Nothing before this index time, ns.
    pub from: Option<UnixNanos>,
    /// Nothing from this index time on, ns.
    pub to: Option<UnixNanos>,
    /// How fast.
    pub speed: Speed,
    /// Holes in the recording that are longer are shortened to this, in the recording's time.
    pub max_gap: Option<Duration>,
    /// Begin again at the end.
    pub looped: bool,
}

/// How fast a recording is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Speed {
    /// Keeping time, this many times as fast: 0.01 to 1000, counted in millionths.
    Factor(f64),
    /// As fast as the slowest subscriber takes it.
    #[default]
    Max,
}

impl Speed {
    /// Its factor in millionths; none at full speed.
    pub(super) fn parts(self) -> Result<Option<u64>, ReplayError> {
        match self {
            Self::Max => Ok(None),
            Self::Factor(factor) if FACTORS.contains(&factor) => {
                Ok(Some((factor * PARTS as f64).round() as u64))
            }
            Self::Factor(factor) => Err(ReplayError::Speed(factor.to_string())),
        }
    }
}

impl FromStr for Speed {
    type Err = ReplayError;

    fn from_str(text: &str) -> Result<Self, ReplayError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let wrong = || ReplayError::Speed(text.to_owned());
        let speed = Self::Factor(text.parse().map_err(|_| wrong())?);
        speed.parts().map_err(|_| wrong())?;
        Ok(speed)
    }
}

/// Why a replay can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nothing to replay.
    #[error("no file to replay; give at least one DBN file")]
    NoFiles,
    /// Too slow, too fast, or no number.
    #[error("speed {0:?} is neither `max` nor a number from 0.01 to 1000")]
    Speed(String),
    /// More instruments than a server knows.
    #[error("{count} instruments; a server knows at most {max}")]
    TooMany {
        /// In all files together.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_factor_in_bounds_or_max() {
        assert_eq!("max".parse::<Speed>().unwrap(), Speed::Max);
        assert_eq!("0.5".parse::<Speed>().unwrap(), Speed::Factor(0.5));
        assert_eq!(Speed::Factor(0.01).parts().unwrap(), Some(10_000));
        for wrong in ["", "fast", "0", "-1", "1001", "NaN", "inf"] {
            let error = wrong.parse::<Speed>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("max"), "{error}");
        }
    }
}
