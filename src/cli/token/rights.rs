//! The flags that say what a token or an API key gives.

use std::time::Duration;

use super::super::Early;
use crate::wire::grant::{Claims, Depth, Names};

/// What it gives; nothing else.
#[derive(clap::Args)]
pub(super) struct RightsArgs {
    /// Schemas, comma separated, or '*'
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    schemas: Vec<String>,
    /// Symbols and patterns, comma separated, or '*'
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,
    /// How far back it may reach: a time, or all
    #[arg(long, value_name = "TIME", default_value = "0s")]
    history: String,
    /// It may have recordings replayed
    #[arg(long)]
    replay: bool,
    /// It may publish
    #[arg(long)]
    publish: bool,
    /// It may see who is connected, and the metrics
    #[arg(long)]
    admin: bool,
    /// Updates a second and instrument at most: 1, 2, 5, 10, 20, 50 or 100
    #[arg(long, value_name = "N")]
    max_rate: Option<u32>,
    /// Connections at once
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Records come this late
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::time)]
    delay: Duration,
}

impl RightsArgs {
    /// As claims; what is wrong with them is said.
    pub(super) fn claims(&self) -> Result<Claims, Early> {
        let usage = |error: &dyn std::fmt::Display| Early::Usage(error.to_string());
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let history = match self.history.as_str() {
            "all" => Depth::Word("all".to_owned()),
            text => Depth::Seconds(seconds(super::time(text).map_err(|e| usage(&e))?)),
        };
        let claims = Claims {
            schemas: names(&self.schemas),
            symbols: names(&self.symbols),
            history,
            replay: self.replay,
            publish: self.publish,
            admin: self.admin,
            max_rate: self.max_rate,
            connections: self.connections,
            delay: seconds(self.delay),
        };
        claims.clone().rights().map_err(|error| usage(&error))?;
        Ok(claims)
    }
}

fn names(list: &[String]) -> Names {
    match list {
        [all] if all == "*" => Names::Word("*".to_owned()),
        list => Names::List(list.to_vec()),
    }
}
