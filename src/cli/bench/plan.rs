//! Who subscribes to what: the symbols of each connection.

use std::str::FromStr;

use serde::Deserialize;

use crate::cli::client::http::get_json;
use crate::cli::client::message::Number;
use crate::cli::client::request::{self, SYMBOLS_PER_REQUEST};
use crate::cli::client::target::Target;
use crate::limits::CLIENT_BURST;

/// `--symbols` as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All symbols, to every connection.
    All,
    /// These, to every connection.
    Listed(Vec<String>),
    /// This many of all, to each connection its own.
    Each(usize),
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "all" | "*") {
            return Ok(Self::All);
        }
        match text.parse() {
            Ok(0) => return Err("0 symbols: write all, a list A,B,C, or how many each".to_owned()),
            Ok(count) => return Ok(Self::Each(count)),
            Err(_) => {}
        }
        let mut symbols: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).collect();
        symbols.retain(|symbol| !symbol.is_empty());
        symbols.sort_unstable();
        symbols.dedup();
        if symbols.is_empty() {
            return Err("no symbol: write all, a list A,B,C, or how many each".to_owned());
        }
        Ok(Self::Listed(symbols))
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => write!(f, "all symbols"),
            Self::Listed(symbols) if symbols.len() <= 4 => write!(f, "{}", symbols.join(", ")),
            Self::Listed(symbols) => write!(f, "{} symbols", symbols.len()),
            Self::Each(count) => write!(f, "{count} symbols each"),
        }
    }
}

/// Symbols that can't be planned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{asked} symbols for each connection, but the server has {there}")]
    TooFew { asked: usize, there: usize },
    #[error("{0} symbols for a connection; at most {max} fit its burst of requests, or ask for all",
        max = REQUESTS_MAX * SYMBOLS_PER_REQUEST)]
    TooMany(usize),
    #[error(transparent)]
    Connect(#[from] crate::cli::client::ConnectError),
}

/// Requests that a connection may send at once, with some left for its end.
const REQUESTS_MAX: usize = CLIENT_BURST as usize - 2;

/// What every connection asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    schemas: Vec<String>,
    selection: Selection,
    /// All symbols of the server, where each connection gets its own.
    symbols: Vec<String>,
}

impl Plan {
    /// Asks the server for its symbols where the selection needs them.
    ///
    /// # Errors
    /// [`PlanError`].
    pub(crate) async fn make(
        target: &Target,
        schemas: Vec<String>,
        selection: Selection,
    ) -> Result<Self, PlanError> {
        let mut symbols = Vec::new();
        let asked = match &selection {
            Selection::All => 0,
            Selection::Listed(listed) => listed.len(),
            Selection::Each(count) => *count,
        };
        if asked > REQUESTS_MAX * SYMBOLS_PER_REQUEST {
            return Err(PlanError::TooMany(asked));
        }
        if let Selection::Each(count) = selection {
            symbols = all_symbols(target).await?;
            if symbols.len() < count {
                return Err(PlanError::TooFew { asked, there: symbols.len() });
            }
        }
        Ok(Self { schemas, selection, symbols })
    }

    /// The subscribe requests of one connection.
    pub(crate) fn requests(&self, connection: usize) -> Vec<String> {
        match &self.selection {
            Selection::All => request::subscribe(&self.schemas, None, false),
            Selection::Listed(symbols) => request::subscribe(&self.schemas, Some(symbols), false),
            Selection::Each(count) => {
                let own: Vec<String> = self.own(connection, *count).cloned().collect();
                request::subscribe(&self.schemas, Some(&own), false)
            }
        }
    }

    /// `count` symbols in a row, each connection where the one before it stopped: all symbols get
    /// the same number of subscribers, give or take one.
    fn own(&self, connection: usize, count: usize) -> impl Iterator<Item = &String> {
        let start = connection * count % self.symbols.len().max(1);
        self.symbols.iter().cycle().skip(start).take(count)
    }
}

/// The page of a server's instruments.
const INSTRUMENTS: &str = "/v1/instruments";

async fn all_symbols(target: &Target) -> Result<Vec<String>, PlanError> {
    #[derive(Deserialize)]
    struct Instrument {
        symbol: String,
    }
    #[derive(Deserialize)]
    struct Page {
        instruments: Vec<Instrument>,
        next: Option<Number>,
    }
    let mut symbols = Vec::new();
    let mut path = INSTRUMENTS.to_owned();
    loop {
        let page: Page = get_json(target, &path).await?;
        symbols.extend(page.instruments.into_iter().map(|instrument| instrument.symbol));
        path = match page.next {
            Some(next) => format!("{INSTRUMENTS}?next={}", next.0),
            None => break,
        };
    }
    symbols.sort_unstable();
    symbols.dedup();
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_all_a_list_or_a_number() {
        assert_eq!("all".parse(), Ok(Selection::All));
        assert_eq!("20".parse(), Ok(Selection::Each(20)));
        let listed = Selection::Listed(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!("B,A, B,".parse(), Ok(listed));
        assert_eq!("7203,".parse(), Ok(Selection::Listed(vec!["7203".to_owned()])));
        assert!("0".parse::<Selection>().is_err() && ",".parse::<Selection>().is_err());
    }

    #[test]
    fn each_connection_gets_its_own_symbols_and_all_symbols_are_used() {
        let symbols: Vec<String> = (0..10).map(|n| format!("S{n}")).collect();
        let plan = Plan { schemas: vec![], selection: Selection::Each(4), symbols };
        let mut subscribers = std::collections::BTreeMap::<&String, usize>::new();
        for connection in 0..5 {
            let own: Vec<_> = plan.own(connection, 4).collect();
            let distinct: std::collections::BTreeSet<_> = own.iter().collect();
            assert_eq!(distinct.len(), 4);
            own.into_iter().for_each(|symbol| *subscribers.entry(symbol).or_default() += 1);
        }
        assert!(subscribers.len() == 10 && subscribers.values().all(|n| *n == 2));
    }
}
