//! Who subscribes to what: the symbols of each connection.

use std::collections::BTreeSet;
use std::str::FromStr;

use rand::SeedableRng;
use rand_distr::{Distribution, Zipf};
use rand_pcg::Pcg64Mcg;
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
    /// As many as this many draws bring, to each connection its own, by Zipf's law.
    Zipf(usize),
}

/// Draws of a connection where their number is not given.
const DRAWS: usize = 20;

/// What a selection is written like.
const FORMS: &str = "write all, a list A,B,C, how many each, one, zipf or zipf:20";

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "all" | "*") {
            return Ok(Self::All);
        }
        match text.parse() {
            Ok(0) => return Err(format!("0 symbols: {FORMS}")),
            Ok(count) => return Ok(Self::Each(count)),
            Err(_) => {}
        }
        match text.strip_prefix("zipf").map(|draws| draws.strip_prefix(':').unwrap_or(draws)) {
            _ if text == "one" => return Ok(Self::Each(1)),
            Some("") if text == "zipf" => return Ok(Self::Zipf(DRAWS)),
            Some(draws) if text.contains(':') => {
                let draws = draws.parse().ok().filter(|draws| *draws > 0);
                return draws.map(Self::Zipf).ok_or(format!("{text:?} draws nothing: {FORMS}"));
            }
            _ => {}
        }
        let mut symbols: Vec<String> = text.split(',').map(|s| s.trim().to_owned()).collect();
        symbols.retain(|symbol| !symbol.is_empty());
        symbols.sort_unstable();
        symbols.dedup();
        if symbols.is_empty() {
            return Err(format!("no symbol: {FORMS}"));
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
            Self::Each(1) => write!(f, "one symbol each"),
            Self::Each(count) => write!(f, "{count} symbols each"),
            Self::Zipf(draws) => write!(f, "symbols of {draws} Zipf draws each"),
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
    #[error("the server has no symbols at all")]
    NoSymbols,
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
    seed: u64,
}

impl Plan {
    /// All symbols for everybody.
    pub(crate) fn all(schemas: Vec<String>) -> Self {
        Self { schemas, selection: Selection::All, symbols: Vec::new(), seed: 0 }
    }

    /// Asks the server for its symbols where the selection needs them.
    ///
    /// # Errors
    /// [`PlanError`].
    pub(crate) async fn make(
        target: &Target,
        schemas: Vec<String>,
        selection: Selection,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let asked = match &selection {
            Selection::All => 0,
            Selection::Listed(listed) => listed.len(),
            Selection::Each(count) | Selection::Zipf(count) => *count,
        };
        if asked > REQUESTS_MAX * SYMBOLS_PER_REQUEST {
            return Err(PlanError::TooMany(asked));
        }
        let symbols = match selection {
            Selection::All | Selection::Listed(_) => Vec::new(),
            Selection::Each(_) | Selection::Zipf(_) => all_symbols(target).await?,
        };
        match selection {
            Selection::Each(count) if symbols.len() < count => {
                Err(PlanError::TooFew { asked, there: symbols.len() })
            }
            Selection::Zipf(_) if symbols.is_empty() => Err(PlanError::NoSymbols),
            _ => Ok(Self { schemas, selection, symbols, seed }),
        }
    }

    /// The subscribe requests of one connection.
    pub(crate) fn requests(&self, connection: usize) -> Vec<String> {
        let own: Vec<String> = match &self.selection {
            Selection::All => return request::subscribe(&self.schemas, None, false),
            Selection::Listed(symbols) => symbols.clone(),
            Selection::Each(count) => self.own(connection, *count).cloned().collect(),
            Selection::Zipf(draws) => self.drawn(connection, *draws),
        };
        request::subscribe(&self.schemas, Some(&own), false)
    }

    /// `count` symbols in a row, each connection where the one before it stopped: all symbols get
    /// the same number of subscribers, give or take one.
    fn own(&self, connection: usize, count: usize) -> impl Iterator<Item = &String> {
        let start = connection * count % self.symbols.len().max(1);
        self.symbols.iter().cycle().skip(start).take(count)
    }

    /// Draws by Zipf's law with the exponent 1: the second symbol of the alphabet is drawn half as
    /// often as the first, the third a third. What is drawn twice counts once. The draws of a
    /// connection are always the same for one seed.
    fn drawn(&self, connection: usize, draws: usize) -> Vec<String> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed.wrapping_add(connection as u64));
        // There is a symbol, and no other number of them has no law.
        let Ok(law) = Zipf::new(self.symbols.len() as f64, 1.0) else { return Vec::new() };
        let ranks = (0..draws).map(|_| law.sample(&mut random) as usize - 1);
        let ranks: BTreeSet<usize> = ranks.collect();
        ranks.into_iter().filter_map(|rank| self.symbols.get(rank).cloned()).collect()
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
        assert_eq!("one".parse(), Ok(Selection::Each(1)));
        assert_eq!("zipf".parse(), Ok(Selection::Zipf(DRAWS)));
        assert_eq!("zipf:7".parse(), Ok(Selection::Zipf(7)));
        assert_eq!("zipfx".parse(), Ok(Selection::Listed(vec!["zipfx".to_owned()])));
        assert!("zipf:0".parse::<Selection>().is_err() && "zipf:x".parse::<Selection>().is_err());
        let listed = Selection::Listed(vec!["A".to_owned(), "B".to_owned()]);
        assert_eq!("B,A, B,".parse(), Ok(listed));
        assert_eq!("7203,".parse(), Ok(Selection::Listed(vec!["7203".to_owned()])));
        assert!("0".parse::<Selection>().is_err() && ",".parse::<Selection>().is_err());
    }

    #[test]
    fn each_connection_gets_its_own_symbols_and_all_symbols_are_used() {
        let symbols: Vec<String> = (0..10).map(|n| format!("S{n}")).collect();
        let plan = Plan { schemas: vec![], selection: Selection::Each(4), symbols, seed: 1 };
        let mut subscribers = std::collections::BTreeMap::<&String, usize>::new();
        for connection in 0..5 {
            let own: Vec<_> = plan.own(connection, 4).collect();
            let distinct: BTreeSet<_> = own.iter().collect();
            assert_eq!(distinct.len(), 4);
            own.into_iter().for_each(|symbol| *subscribers.entry(symbol).or_default() += 1);
        }
        assert!(subscribers.len() == 10 && subscribers.values().all(|n| *n == 2));
    }

    #[test]
    fn zipfs_law_prefers_the_first_and_repeats_itself() {
        let symbols: Vec<String> = (0..100).map(|n| format!("S{n:02}")).collect();
        let plan = |seed| {
            let (schemas, symbols) = (vec!["trades".to_owned()], symbols.clone());
            Plan { schemas, selection: Selection::Zipf(10), symbols, seed }
        };
        let of = |symbol: &str| {
            let plan = plan(1);
            (0..1000).filter(|n| plan.drawn(*n, 10).iter().any(|own| own == symbol)).count()
        };
        assert!(of("S00") > of("S09") && of("S09") > of("S99"));
        assert_eq!(plan(1).requests(7), plan(1).requests(7));
        assert_ne!(plan(1).requests(7), plan(2).requests(7));
        assert!((0..1000).all(|n| !plan(1).drawn(n, 1).is_empty()));
    }
}
