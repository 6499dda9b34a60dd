//! The file that says which column of a CSV is what.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::limits::MAPPING_BYTES_MAX;
use crate::wire::file::{Fault, FileError, Place, text_within};
use crate::wire::record::Schema;

/// A mapping, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    /// `trades`, `mbp-1` or `mbo`.
    pub(super) schema: String,
    /// Between two fields; a comma.
    #[serde(default = "comma")]
    pub(super) delimiter: char,
    /// Does the first line name the columns?
    #[serde(default = "yes")]
    pub(super) header: bool,
    /// How times are written.
    pub(super) time: Unit,
    /// A column for each field: its name, or its number from 1.
    pub(super) columns: BTreeMap<Field, Column>,
    /// How sides are written.
    #[serde(default)]
    pub(super) sides: Sides,
}

/// A field of a record.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(super) enum Field {
    Time,
    Received,
    Symbol,
    Price,
    Size,
    Side,
    Sequence,
    Order,
    Action,
    Bid,
    BidSize,
    Ask,
    AskSize,
}

/// A column.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Column {
    Number(usize),
    Name(String),
}

/// What times are: numbers since the epoch, or texts in ISO 8601.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Ns,
    Us,
    Ms,
    S,
    Iso,
}

/// What stands for a side: of a trade, that of who came to the market.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sides {
    pub(super) buy: Vec<String>,
    pub(super) sell: Vec<String>,
}

impl Default for Sides {
    fn default() -> Self {
        let all = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self { buy: all(&["B", "buy", "bid"]), sell: all(&["S", "A", "sell", "ask"]) }
    }
}

fn comma() -> char {
    ','
}

fn yes() -> bool {
    true
}

impl Mapping {
    /// Reads it.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let failed =
            |fault| FileError { file: path.display().to_string(), place: Place::File, fault };
        let text = text_within(path, MAPPING_BYTES_MAX);
        let text = text.map_err(|error| failed(Fault::Open(error)))?.ok_or_else(|| {
            let reason = format!("is longer than {MAPPING_BYTES_MAX} bytes, the most it may be");
            failed(Fault::Format(reason))
        })?;
        let mapping = toml::from_str::<Self>(&text).map_err(|error| error.to_string());
        mapping
            .and_then(Self::checked)
            .map_err(|reason| failed(Fault::Format(format!("is no mapping: {reason}"))))
    }

    fn checked(self) -> Result<Self, String> {
        let schema = self.schema()?;
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\n' | '\r') {
            return Err(format!("{:?} can't be the delimiter", self.delimiter));
        }
        let needed: &[Field] = match schema {
            Schema::Trades => &[Field::Price, Field::Size],
            Schema::Mbp1 => &[Field::Bid, Field::Ask],
            _ => &[Field::Price, Field::Size, Field::Side, Field::Order, Field::Action],
        };
        for field in [Field::Time, Field::Symbol].iter().chain(needed) {
            if !self.columns.contains_key(field) {
                return Err(format!("schema {} needs a column for {field:?}", self.schema));
            }
        }
        match self.columns.values().any(|column| matches!(column, Column::Number(0))) {
            true => Err("columns are numbered from 1".to_owned()),
            false => Ok(self),
        }
    }

    /// Its schema.
    pub(super) fn schema(&self) -> Result<Schema, String> {
        match self.schema.as_str() {
            "trades" => Ok(Schema::Trades),
            "mbp-1" => Ok(Schema::Mbp1),
            "mbo" => Ok(Schema::Mbo),
            other => Err(format!("schema {other:?}; it is trades, mbp-1 or mbo")),
        }
    }
}
