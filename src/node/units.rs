//! Sizes and durations as people write them: `64MiB`, `500us`.

use std::time::Duration;

/// Why a text is no size or duration; says what would be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnitError {
    /// No number with a unit of bytes.
    #[error("a size is a number of bytes with or without a unit, such as 65536, 64KiB or 1.5MiB")]
    Size,
    /// No number with a unit of time.
    #[error("a duration is a number with a unit, such as 500us, 20ms, 1.5s, 2m or 1h")]
    Duration,
    /// More than can be counted.
    #[error("that is more than can be counted")]
    TooLarge,
}

const SIZES: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

const DURATIONS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Bytes: `65536`, `64KiB`, `64kB` (a thousand), `1.5MiB`; the unit's case does not matter.
///
/// # Errors
/// [`UnitError::Size`] or [`UnitError::TooLarge`].
pub fn bytes(text: &str) -> Result<usize, UnitError> {
    let total = scaled(text, &SIZES, UnitError::Size)?;
    usize::try_from(total).map_err(|_| UnitError::TooLarge)
}

/// A duration: `500us`, `20ms`, `1.5s`, `2m`, `1h`, or `0`.
///
/// # Errors
/// [`UnitError::Duration`] or [`UnitError::TooLarge`].
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    scaled(text, &DURATIONS, UnitError::Duration).map(Duration::from_nanos)
}

/// `text` as whole units: its number times what its unit stands for, rounded to the nearest.
fn scaled(text: &str, units: &[(&str, u64)], wrong: UnitError) -> Result<u64, UnitError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_lowercase();
    let Some(&(_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong);
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or(UnitError::TooLarge);
    }
    let Ok(number) = number.parse::<f64>() else { return Err(wrong) };
    let total = (number * scale as f64).round();
    if total < 2f64.powi(53) { Ok(total as u64) } else { Err(UnitError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, want) in [
            ("65536", 65536),
            ("64KiB", 65536),
            ("64kib", 65536),
            ("64 KiB", 65536),
            ("64kB", 64_000),
            ("1.5MiB", 3 << 19),
            ("2GiB", 2 << 30),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(want), "{text}");
        }
        for text in ["", "KiB", "64KB2", "64 Ki B", "-1", "1e3", "1..2KiB", "64s", "٣KiB"] {
            assert_eq!(bytes(text), Err(UnitError::Size), "{text}");
        }
        assert_eq!(bytes("18446744073709551615GiB"), Err(UnitError::TooLarge));
        assert_eq!(bytes("9999999999.5GiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("0", Duration::ZERO),
            ("7ns", Duration::from_nanos(7)),
            ("500us", Duration::from_micros(500)),
            ("500µs", Duration::from_micros(500)),
            ("1.5s", Duration::from_millis(1500)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
        ] {
            assert_eq!(duration(text), Ok(want), "{text}");
        }
        for text in ["", "10", "s", "1 0s", "10sec", "-1s", "1.s.", "."] {
            assert_eq!(duration(text), Err(UnitError::Duration), "{text}");
        }
    }
}
