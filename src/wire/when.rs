//! Times on a command line: dates, dates with a time of day, nanoseconds. UTC.

use std::str::FromStr;

use crate::clock::{SECOND, UnixNanos};

/// A time, ns since the UNIX epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct When(pub UnixNanos);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "no time; write 2023-12-25, 2023-12-25T22:00:00.5 (UTC), or nanoseconds since the UNIX \
             epoch"
                .to_owned()
        };
        if text.len() > 10 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self).map_err(|_| wrong());
        }
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
        let day = days(date).ok_or_else(wrong)?;
        let time = nanos(time.trim_end_matches('Z')).ok_or_else(wrong)?;
        let at = day.checked_mul(86_400 * SECOND).and_then(|day| day.checked_add(time));
        at.map(Self).ok_or_else(wrong)
    }
}

/// Days since the UNIX epoch of `2023-12-25`: years that begin in March, in eras of 400
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days(date: &str) -> Option<u64> {
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let longest = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=longest).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let of_era = year % 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(year / 400 * 146_097 + day_of_era - 719_468)
}

/// Nanoseconds of a day of `22:00`, `22:00:01` or `22:00:01.25`.
fn nanos(time: &str) -> Option<u64> {
    let (whole, part) = time.split_once('.').unwrap_or((time, "0"));
    let parts: Vec<&str> = whole.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if hour > 23 || minute > 59 || second > 59 || part.len() > 9 {
        return None;
    }
    let part = digits(part, part.len())? * 10_u64.pow(9 - part.len() as u32);
    Some((hour * 3_600 + minute * 60 + second) * SECOND + part)
}

/// A number of so many digits.
fn digits(text: &str, count: usize) -> Option<u64> {
    let sound = count > 0 && text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::time_text;

    #[test]
    fn times_are_read_as_they_are_printed() {
        for day in 0..50_000 {
            let at = (day * 86_400 + day * 7 % 86_400) * SECOND + day * 1_234_567 % SECOND + 1;
            assert_eq!(time_text(at).parse(), Ok(When(at)));
        }
        let at = |text: &str| text.parse::<When>().map(|when| when.0);
        assert_eq!(at("2023-12-25"), Ok(1_703_462_400 * SECOND));
        assert_eq!(at("2023-12-25T22:00:00.5Z"), Ok((1_703_541_600 * SECOND) + SECOND / 2));
        assert_eq!(at("2023-12-25 22:00"), Ok(1_703_541_600 * SECOND));
        assert_eq!(at("1703541600000000001"), Ok(1_703_541_600 * SECOND + 1));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in [
            "",
            "today",
            "2023-02-29",
            "2023-13-01",
            "2023-12-25T24:00",
            "2023-12-25T",
            "-1",
            "2023-12-25T22:00:00.0000000001",
            "1969-12-31",
            "99999999999999999999999",
            "2023-12-2é",
            "9999-01-01",
            "2023-12-25T22:00+01:00",
        ] {
            assert!(wrong.parse::<When>().is_err(), "{wrong:?}");
        }
    }
}
