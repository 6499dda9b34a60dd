//! Durations, counts and sizes as people write them on a command line, and as a report prints them.

use std::time::Duration;

/// A number with an optional unit of time that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a {what}; write it like {example}")]
pub(crate) struct BadQuantity {
    text: String,
    what: &'static str,
    example: &'static str,
}

/// Splits `12.5ms` into the number and the unit (empty where there is none).
fn split(text: &str) -> Option<(f64, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = text[..text.len() - unit.len()].parse().ok()?;
    Some((number, unit.trim_start()))
}

/// Nanoseconds of one of a unit of time.
fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

/// Reads a duration, ns: `500us`, `1.5s`, `10m`, or `0`.
///
/// # Errors
/// [`BadQuantity`] where the number or its unit is missing or unknown.
pub(crate) fn nanos(text: &str) -> Result<f64, BadQuantity> {
    let bad = || BadQuantity {
        text: text.to_owned(),
        what: "duration",
        example: "10s, 500ms, 250us or 5m",
    };
    match split(text.trim()).ok_or_else(bad)? {
        (0.0, "") => Ok(0.0),
        (number, unit) => Ok(number * unit_nanos(unit).ok_or_else(bad)?),
    }
}

/// Reads a [`Duration`] of at most a week.
///
/// # Errors
/// [`BadQuantity`], as [`nanos`].
pub(crate) fn duration(text: &str) -> Result<Duration, BadQuantity> {
    const WEEK: f64 = 7.0 * 24.0 * 3600e9;
    let nanos = nanos(text)?;
    if nanos > WEEK {
        let what = "duration of at most a week";
        return Err(BadQuantity { text: text.to_owned(), what, example: "10s or 2h" });
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// Reads a plain number.
///
/// # Errors
/// [`BadQuantity`] where it is none, or carries a unit.
pub(crate) fn number(text: &str) -> Result<f64, BadQuantity> {
    let bad = || BadQuantity { text: text.to_owned(), what: "number", example: "0 or 1000000" };
    match split(text.trim()).ok_or_else(bad)? {
        (number, "") => Ok(number),
        _ => Err(bad()),
    }
}

/// Reads a size in bytes: `64KiB`, `1.5MB`, or a plain number.
///
/// # Errors
/// [`BadQuantity`] where the number is missing or its unit unknown.
pub(crate) fn bytes(text: &str) -> Result<f64, BadQuantity> {
    let bad =
        || BadQuantity { text: text.to_owned(), what: "size", example: "4096, 64KiB or 1.5MB" };
    let (number, unit) = split(text.trim()).ok_or_else(bad)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return Err(bad()),
    };
    Ok(number * factor)
}

/// A size to three digits: `812 B`, `45.2 KiB`, `1.30 MiB`.
pub(crate) fn show_bytes(bytes: f64) -> String {
    let (scale, unit) = match bytes.abs() {
        b if b < 1024.0 => return format!("{bytes:.0} B"),
        b if b < 1_048_576.0 => (1024.0, "KiB"),
        b if b < 1_073_741_824.0 => (1_048_576.0, "MiB"),
        _ => (1_073_741_824.0, "GiB"),
    };
    let value = bytes / scale;
    let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// A time in ns to three digits and its unit: `812 ns`, `45.2 µs`, `1.30 ms`.
pub(crate) fn show_nanos(nanos: u64) -> String {
    let (scale, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (1e3, "µs"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = nanos as f64 / scale;
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// A whole number with thousands separated: `1,234,567`.
pub(crate) fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes a second to three digits: `56.0 MB/s`.
pub(crate) fn show_bytes_per_s(rate: f64) -> String {
    match rate {
        r if r >= 1e9 => format!("{:.2} GB/s", r / 1e9),
        r if r >= 1e6 => format!("{:.1} MB/s", r / 1e6),
        r => format!("{:.1} kB/s", r / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_that_is_known() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5 ms"), Ok(Duration::from_micros(1500)));
        assert_eq!(duration("250us"), duration("250µs"));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for bad in ["", "10", "s", "10 parsecs", "-1s", "1.2.3s", "1e9s", "100000h"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            duration("10").unwrap_err().to_string(),
            "\"10\" is not a duration; write it like 10s, 500ms, 250us or 5m"
        );
    }

    #[test]
    fn numbers_carry_no_unit() {
        assert_eq!(number("1000.5"), Ok(1000.5));
        assert!(number("5ms").is_err() && number("").is_err());
    }

    #[test]
    fn sizes_may_carry_a_unit() {
        assert_eq!((bytes("4096"), bytes("64KiB")), (Ok(4096.0), Ok(65_536.0)));
        assert_eq!((bytes("1.5 MB"), bytes("2GiB")), (Ok(1.5e6), Ok(2_147_483_648.0)));
        assert!(bytes("5 apples").is_err() && bytes("MiB").is_err());
        assert_eq!(
            (show_bytes(812.0).as_str(), show_bytes(46_285.0).as_str()),
            ("812 B", "45.2 KiB")
        );
        assert_eq!(show_bytes(-1_363_149.0), "-1.30 MiB");
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(show_nanos(999), "999 ns");
        assert_eq!(show_nanos(45_210), "45.2 µs");
        assert_eq!(show_nanos(1_300_000), "1.30 ms");
        assert_eq!(show_nanos(60_000_000_000), "60.0 s");
        assert_eq!((show_count(7).as_str(), show_count(1_234_567).as_str()), ("7", "1,234,567"));
        assert_eq!(show_bytes_per_s(56_000_000.0), "56.0 MB/s");
    }
}
