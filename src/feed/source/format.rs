//! The formats of recordings, the datasets and publishers that their records name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What a recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Databento Binary Encoding.
    Dbn,
    /// Nasdaq TotalView-ITCH 5.0.
    Itch,
    /// IEX TOPS 1.6 and DEEP 1.0.
    Iex,
    /// Binance spot.
    BinanceSpot,
    /// Binance futures settled in USD.
    BinanceUsdm,
    /// Coinbase.
    Coinbase,
    /// LOBSTER message files.
    Lobster,
    /// Any CSV, with a file that maps its columns.
    Csv,
    /// A folder that a server has recorded to.
    Tape,
}

/// A format, its name on the command line, the publisher of its records, and its dataset.
const ALL: [(Format, &str, u16, &str); 9] = [
    (Format::Dbn, "dbn", 64999, ""),
    (Format::Itch, "itch", 64001, "NASDAQ.ITCH5"),
    (Format::Iex, "iex", 64002, "IEX.TP"),
    (Format::BinanceSpot, "binance-spot", 64003, "BINANCE.SPOT"),
    (Format::BinanceUsdm, "binance-usdm", 64004, "BINANCE.USDM"),
    (Format::Coinbase, "coinbase", 64005, "COINBASE.WS"),
    (Format::Lobster, "lobster", 64006, "LOBSTER"),
    (Format::Csv, "csv", 64007, "CSV"),
    (Format::Tape, "tape", 64999, ""),
];

impl Format {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(format, ..)| *format)
    }

    /// What a path without a format is: a folder is a tape.
    pub fn of(path: &Path) -> Self {
        if path.is_dir() { Self::Tape } else { Self::Dbn }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The `publisher_id` of its records, where they don't bring their own.
    pub fn publisher(self) -> u16 {
        self.row().2
    }

    /// The dataset that a file of its records names; empty where it brings its own.
    pub fn dataset(self) -> &'static str {
        self.row().3
    }

    fn row(self) -> &'static (Self, &'static str, u16, &'static str) {
        // In the order of the declaration: a test holds it.
        &ALL[self as usize]
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format that nobody knows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no format; it is dbn, itch, iex, binance-spot, binance-usdm, coinbase, lobster, csv \
         or tape"
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::all().find(|format| format.name() == text);
        found.ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_row() {
        for format in Format::all() {
            assert_eq!(format.name().parse(), Ok(format));
            let publisher = format.publisher();
            assert!(crate::wire::record::PUBLISHERS.contains(&publisher), "{format}");
            let message = "x".parse::<Format>().unwrap_err().to_string();
            assert!(message.contains(format.name()), "{message}");
        }
    }
}
