//! A data message of the JSON encoding, with records of the shape that the reader wants.

use serde::{Deserialize, Deserializer};

use super::batch::{CATCH_UP, CONFLATED, GAP, Head, Malformed, REPLAY, SNAPSHOT};
use super::message::Number;

/// What the server starts each data message with.
const DATA: &[u8] = br#"{"type":"data""#;

/// Is this text message data?
pub fn is_data(text: &[u8]) -> bool {
    text.starts_with(DATA)
}

/// Reads a data message whose records have what `R` needs.
///
/// # Errors
/// [`Malformed::Json`] says where it can't be read.
pub fn read<'a, R: Deserialize<'a>>(text: &'a [u8]) -> Result<(Head, Vec<R>), Malformed> {
    #[derive(Deserialize)]
    struct Data<'a, R> {
        #[serde(default)]
        epoch: Number,
        seq: Number,
        ts_send: Number,
        #[serde(borrow, default)]
        flags: Vec<&'a str>,
        records: Vec<R>,
    }
    let data: Data<'a, R> =
        serde_json::from_slice(text).map_err(|e| Malformed::Json(e.to_string()))?;
    let head = Head {
        flags: data.flags.iter().copied().map(flag).fold(0, |all, bit| all | bit),
        epoch_low: data.epoch.0 as u32,
        seq: data.seq.0,
        ts_send: data.ts_send.0,
    };
    Ok((head, data.records))
}

fn flag(name: &str) -> u8 {
    match name {
        "snapshot" => SNAPSHOT,
        "catch_up" | "catch-up" => CATCH_UP,
        "replay" => REPLAY,
        "conflated" => CONFLATED,
        "gap" => GAP,
        _ => 0,
    }
}

/// A time, ns since the UNIX epoch, as DBN prints it: `2024-07-01T23:58:00.123456789Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(pub u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let bad = || serde::de::Error::custom(format!("{text:?} is no time"));
        unix_nanos(text).map(Self).ok_or_else(bad)
    }
}

/// Nanoseconds since the UNIX epoch of an ISO 8601 time in UTC.
fn unix_nanos(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let days = days_of(date.next()??, date.next()??, date.next()??)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction_nanos = |digits: u64| digits * 10u64.pow(9 - fraction.len() as u32);
    let nanos = if fraction.is_empty() { 0 } else { fraction_nanos(fraction.parse().ok()?) };
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant's `days_from_civil`).
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..3000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00.000000000Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("2024-07-01T23:58:00.123456789Z", 1_719_878_280_123_456_789),
            ("2024-12-31T23:59:59.5Z", 1_735_689_599_500_000_000),
        ] {
            assert_eq!(unix_nanos(text), Some(nanos), "{text}");
        }
        for bad in ["", "2024-07-01", "2024-13-01T00:00:00Z", "2024-07-01T00:00:00", "x"] {
            assert_eq!(unix_nanos(bad), None, "{bad}");
        }
        for clock in ["24:00:00", "18446744073709551615:0:0", "0:60:0", "0:0:61"] {
            assert_eq!(unix_nanos(&format!("2024-07-01T{clock}Z")), None, "{clock}");
        }
    }

    #[test]
    fn a_data_message_has_a_head_like_a_batch() {
        #[derive(Deserialize)]
        struct Price<'a> {
            price: &'a str,
        }
        let text = br#"{"type":"data","epoch":"4294967297","seq":"5","ts_send":"6",
            "flags":["snapshot","gap"],"records":[{"price":"1.5"}]}"#;
        assert!(is_data(text));
        let (head, records) = read::<Price<'_>>(text).unwrap();
        assert_eq!(head, Head { flags: SNAPSHOT | GAP, epoch_low: 1, seq: 5, ts_send: 6 });
        assert_eq!(records[0].price, "1.5");
        assert!(read::<Price<'_>>(b"{\"type\":\"data\"}").is_err());
    }
}
