//! Days, zones and times as recordings write them, in ns since the UNIX epoch.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::clock::UnixNanos;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(civil::Date);

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Date {
    /// Reads `2019-12-30`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// The day on which something happened.
    pub fn of(time: UnixNanos, zone: &Zone) -> Option<Self> {
        let time = Timestamp::from_nanosecond(i128::from(time)).ok()?;
        Some(Self(zone.0.to_datetime(time).date()))
    }

    /// Its beginning; none before 1970. Times of day count from here, even on the two days a year
    /// on which clocks are changed: exchanges are closed then.
    pub fn midnight(self, zone: &Zone) -> Option<UnixNanos> {
        let begin = self.0.to_zoned(zone.0.clone()).ok()?;
        u64::try_from(begin.timestamp().as_nanosecond()).ok()
    }
}

impl Zone {
    /// Where US exchanges are.
    pub fn new_york() -> Option<Self> {
        Self::parse("America/New_York")
    }

    /// Reads the name of a zone of the IANA database.
    pub fn parse(text: &str) -> Option<Self> {
        TimeZone::get(text).ok().map(Self)
    }

    /// A date and time of this zone, such as `2021-04-17 16:43:37.5`; where it says its own offset
    /// (`Z`, `+02:00`), that counts.
    pub fn time(&self, text: &str) -> Option<UnixNanos> {
        if let Some(time) = instant(text) {
            return Some(time);
        }
        let time = text.parse::<civil::DateTime>().ok()?;
        let time = self.0.to_timestamp(time).ok()?;
        u64::try_from(time.as_nanosecond()).ok()
    }
}

/// An instant in ISO 8601, such as `2021-04-17T16:43:37.476129Z`.
pub fn instant(text: &str) -> Option<UnixNanos> {
    let time = text.parse::<Timestamp>().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn midnight_is_where_the_exchange_is() {
        let york = Zone::new_york().unwrap();
        let winter = Date::parse("2019-12-30").unwrap();
        let summer = Date::parse("2012-06-21").unwrap();
        assert_eq!(winter.midnight(&york), Some(1_577_682_000 * SECOND));
        assert_eq!(summer.midnight(&york), Some(1_340_251_200 * SECOND));
        assert_eq!(Date::of(1_577_682_000 * SECOND - 1, &york), Date::parse("2019-12-29"));
        assert_eq!(Date::parse("1950-01-01").unwrap().midnight(&york), None);
    }

    #[test]
    fn instants_have_nanoseconds() {
        let time = 1_618_677_817_476_129_000;
        assert_eq!(instant("2021-04-17T16:43:37.476129Z"), Some(time));
        let utc = Zone::parse("UTC").unwrap();
        assert_eq!(utc.time("2021-04-17 16:43:37.476129"), Some(time));
        assert_eq!(utc.time("2021-04-17T18:43:37.476129+02:00"), Some(time));
        assert_eq!((instant("yesterday"), utc.time("")), (None, None));
    }
}
