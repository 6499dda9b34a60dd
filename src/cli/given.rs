//! What a format of recordings does not say by itself, on the command lines that read one.

use std::path::PathBuf;

use clap::Args;

use super::Early;
use crate::feed::source::How;

/// What a format does not say by itself.
#[derive(Args, Clone, Debug)]
pub(super) struct Given {
    /// Day of itch and lobster files, which have times of day only: 2019-12-30
    #[arg(long, value_name = "DAY")]
    date: Option<String>,
    /// Zone of times of day (New York by default) and of csv files (UTC by default)
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Symbol of lobster files, where their name doesn't say it
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// One unit of the sizes of an instrument of an exchange; skip leaves it out; may be repeated
    /// [default: the finest that its file has]
    #[arg(long = "lot", value_name = "SYMBOL=SIZE|skip")]
    lots: Vec<String>,
    /// Which column of a csv file is what, as TOML
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
}

impl Given {
    /// As whoever reads a recording has to know it.
    ///
    /// # Errors
    /// The first of them that is wrong.
    pub(super) fn how(&self) -> Result<How, Early> {
        let usage = |error: &dyn std::fmt::Display| Early::Usage(format!("--{error}"));
        let mut how = How { mapping: self.mapping.clone(), ..How::default() };
        if let Some(symbol) = &self.symbol {
            how.set_symbol(symbol).map_err(|error| usage(&error))?;
        }
        if let Some(date) = &self.date {
            how.set_date(date).map_err(|error| usage(&error))?;
        }
        if let Some(zone) = &self.tz {
            how.set_zone(zone).map_err(|error| usage(&error))?;
        }
        for lot in &self.lots {
            how.add_lot(lot).map_err(|error| usage(&error))?;
        }
        Ok(how)
    }
}
