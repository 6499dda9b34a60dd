//! What has to be known of a recording that its format does not say: the day, the zone, the lots.

use std::path::PathBuf;

use crate::clock::UnixNanos;
use crate::feed::decimal::{Decimal, decimal};
use crate::feed::time::{Date, Zone};
use crate::limits::SYMBOL_BYTES;

/// What was given to read a recording by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct How {
    /// The day of formats that have times of day only.
    pub date: Option<Date>,
    /// The zone of these times; a format has its own default.
    pub zone: Option<Zone>,
    /// The symbol of formats that don't name it.
    pub symbol: Option<String>,
    /// What one unit of size is, by symbol.
    pub lots: Vec<(String, Lot)>,
    /// The file that maps the columns of a CSV.
    pub mapping: Option<PathBuf>,
    /// Nothing before this index time is wanted: what can be passed over may be.
    pub from: Option<UnixNanos>,
    /// Nothing from this index time on is.
    pub to: Option<UnixNanos>,
}

/// What one unit of an instrument's sizes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lot {
    /// So much of it, above 0.
    Of(Decimal),
    /// The instrument is left out.
    Skip,
}

/// What was given wrongly; says what would be right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key} can't be {value:?}: {right}")]
pub struct HowError {
    /// Which setting.
    pub key: &'static str,
    /// What was given.
    pub value: String,
    /// What would be right.
    pub right: &'static str,
}

impl How {
    /// Takes in `--date 2019-12-30`.
    ///
    /// # Errors
    /// [`HowError`], as all of these.
    pub fn set_date(&mut self, text: &str) -> Result<(), HowError> {
        let right = "it is a day such as 2019-12-30";
        self.date = Some(given("date", text, right, Date::parse(text))?);
        Ok(())
    }

    /// Takes in `--tz America/New_York`.
    ///
    /// # Errors
    /// [`HowError`].
    pub fn set_zone(&mut self, text: &str) -> Result<(), HowError> {
        let right = "it is a time zone such as America/New_York or UTC";
        self.zone = Some(given("tz", text, right, Zone::parse(text))?);
        Ok(())
    }

    /// Takes in `--symbol AAPL`.
    ///
    /// # Errors
    /// [`HowError`].
    pub fn set_symbol(&mut self, text: &str) -> Result<(), HowError> {
        let sized = (1..=SYMBOL_BYTES).contains(&text.len());
        let good = sized && !text.chars().any(char::is_control);
        let right = "it is 1 to 70 bytes without control characters";
        self.symbol = Some(given("symbol", text, right, good.then(|| text.to_owned()))?);
        Ok(())
    }

    /// Takes in `--mapping columns.toml`.
    ///
    /// # Errors
    /// [`HowError`].
    pub fn set_mapping(&mut self, text: &str) -> Result<(), HowError> {
        let path = (!text.is_empty()).then(|| PathBuf::from(text));
        self.mapping = Some(given("mapping", text, "it is the path of a file", path)?);
        Ok(())
    }

    /// Takes in `--lot BTCUSDT=0.001`.
    ///
    /// # Errors
    /// [`HowError`].
    pub fn add_lot(&mut self, text: &str) -> Result<(), HowError> {
        let right = "it is SYMBOL=SIZE with a SIZE such as 0.001, or SYMBOL=skip";
        let parsed = text.split_once('=').and_then(|(symbol, lot)| {
            let lot = match lot {
                "skip" => Lot::Skip,
                size => Lot::Of(decimal(size.as_bytes()).filter(|lot| lot.units > 0)?),
            };
            (!symbol.is_empty()).then(|| (symbol.to_owned(), lot))
        });
        self.lots.push(given("lot", text, right, parsed)?);
        Ok(())
    }
}

fn given<T>(
    key: &'static str,
    value: &str,
    right: &'static str,
    parsed: Option<T>,
) -> Result<T, HowError> {
    parsed.ok_or_else(|| HowError { key, value: value.to_owned(), right })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told() {
        let mut how = How::default();
        for wrong in ["", "BTC", "BTC=", "BTC=0", "BTC=-1", "=1", "BTC=1e-3"] {
            let error = how.add_lot(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("lot can't be {wrong:?}: it is SYMBOL=")), "{error}");
        }
        assert!(how.set_date("2019-13-30").is_err() && how.set_zone("New_York").is_err());
        assert_eq!(how, How::default());
        how.add_lot("BTC=0.10").unwrap();
        how.add_lot("X=skip").unwrap();
        assert_eq!(how.lots[0].1, Lot::Of(Decimal { units: 1, places: 1 }));
        assert_eq!(how.lots[1], ("X".to_owned(), Lot::Skip));
    }
}
