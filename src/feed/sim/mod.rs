//! sim: a seeded market. Clustered quotes and trades of up to 20,000 instruments, with halts,
//! crashes and faults as a scenario says.
//!
//! What happens and when depends on the options and on the start alone, never on when or how often
//! it is polled: that decides only what the records say of their arrival (`ts_recv`,
//! `ts_in_delta`). So the same seed and the same sequence of `now` give the same bytes.
//!
//! `arrivals`: when something happens; `story`: what the scenario makes of the weather, and its
//! cues; `market` and `book`: what happens to an instrument; `print`: the records that tell it.
//!
//! A change of a quote is one `mbp-1` record. A trade is a `trades` record, its `mbp-1` twin with
//! the book before its effect, and the change of the book. The venue's `sequence` numbers messages
//! from 1 over all instruments, wrapping: the twins share theirs, so that `mbp-1` of the whole
//! market has every number once. Status records and definitions have none.

mod alias;
mod arrivals;
mod book;
mod check;
mod market;
mod notice;
mod print;
mod scenario;
mod story;
mod text;
mod ticker;

use self::arrivals::{Arrivals, Clustering, STEP};
use self::market::Market;
use self::notice::{News, Notice};
use self::story::{Act, Scope, Story, Weather};
use super::{Batch, Feed, FeedError, Next};
use crate::clock::UnixNanos;
use crate::limits::{SIM_RATE_MAX, SIM_SYMBOLS_MAX};
use crate::wire::instrument::Instrument;

pub(super) use print::{LOT, TICK, instrument};
pub use scenario::{Scenario, ScenarioError};
pub(super) use ticker::ticker;

/// Instruments of the default market.
pub const SYMBOLS_DEFAULT: u32 = 200;
/// Records a second of the default market.
pub const RATE_DEFAULT: u64 = 20_000;

/// Steps in a second.
const STEPS_PER_SECOND: f64 = 1000.0;
/// Steps without an event that are looked through before the rest is left to another poll.
const QUIET_STEPS: u32 = 1000;
/// The temper of the market wanders every so many steps.
const TEMPER_STEPS: u64 = 100;
/// Makes of one seed two that have nothing to do with each other.
const SEED_OF_TIMES: u64 = 0x9e37_79b9_7f4a_7c15;

/// What kind of market.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Instruments, 1 to 20,000.
    pub symbols: u32,
    /// Records a second in the long run (trades, mbp-1 and status), at least 1.
    pub rate: u64,
    /// Another seed, another market.
    pub seed: u64,
    /// What it goes through.
    pub scenario: Scenario,
}

/// What is due next. Times are ns since the start.
enum Due {
    /// A quote or a trade.
    Event(u64),
    /// A cue of the story.
    Cue(u64, Act),
    /// Nothing before that.
    Quiet(u64),
}

/// The simulated market.
pub struct Sim {
    name: String,
    market: Market,
    arrivals: Arrivals,
    story: Story,
    weather: Weather,
    start: Option<UnixNanos>,
    notice: Option<Notice>,
    due: Due,
}

impl Due {
    fn at(&self) -> u64 {
        match self {
            Self::Event(at) | Self::Cue(at, _) | Self::Quiet(at) => *at,
        }
    }
}

impl Sim {
    /// A market that opens at its first poll.
    ///
    /// # Errors
    /// [`ScenarioError::Size`] for a number of symbols or a rate that is out of range.
    pub fn new(options: SimOptions) -> Result<Self, ScenarioError> {
        let SimOptions { symbols, rate, seed, scenario: Scenario { name, text } } = options;
        sized("symbols", u64::from(symbols), u64::from(SIM_SYMBOLS_MAX))?;
        sized("rate", rate, SIM_RATE_MAX)?;
        // A trade is three records, a quote one.
        let events = rate as f64 / (1.0 + 2.0 * text.market.trades);
        let mut market = Market::new(symbols, events, &text.market, seed);
        let clustering = clustering(&text.arrivals);
        let mut arrivals =
            Arrivals::new(events / STEPS_PER_SECOND, clustering, seed ^ SEED_OF_TIMES);
        let story = Story::new(text, symbols, |name| market.rank(name));
        let weather = story.weather(0);
        market.feel(&weather);
        arrivals.set_factor(weather.rate);
        Ok(Self {
            name: format!("sim {name}"),
            market,
            arrivals,
            story,
            weather,
            start: None,
            notice: Some(Notice::new(News::Listed, Scope::Below(symbols), 0)),
            due: Due::Cue(0, Act::Resume(Scope::Below(symbols), None)),
        })
    }

    /// Finds what is due next, stepping through at most a second of silence.
    fn seek(&mut self) -> Due {
        for _ in 0..QUIET_STEPS {
            if let Some((milli, act)) = self.story.cue(self.arrivals.step() / STEP) {
                return Due::Cue(milli * STEP, act);
            }
            if let Some(at) = self.arrivals.next() {
                return Due::Event(at);
            }
            self.step();
        }
        Due::Quiet(self.arrivals.step())
    }

    /// The next millisecond: its weather, and what that does to the market.
    fn step(&mut self) {
        let milli = self.arrivals.step() / STEP + 1;
        if milli.is_multiple_of(TEMPER_STEPS) {
            self.market.wander();
        }
        if milli >= self.weather.until {
            self.weather = self.story.weather(milli);
            self.market.feel(&self.weather);
        }
        self.arrivals.advance(self.factor());
    }

    /// Factor on arrivals: a market that is halted as a whole is silent.
    fn factor(&self) -> f64 {
        if self.market.is_open() { self.weather.rate } else { 0.0 }
    }

    /// Does what the story asks for, and has it told where there is something to tell.
    fn act(&mut self, at: u64, act: Act) {
        match act {
            Act::Lose(count) => self.market.lose(count),
            Act::Halt(scope, reason) => {
                self.market.halt(&scope, true);
                self.notice = Some(Notice::new(News::Stopped(reason), scope, at));
            }
            Act::Resume(scope, reason) => {
                self.market.halt(&scope, false);
                self.notice = Some(Notice::new(News::Trading(reason), scope, at));
            }
        }
        self.arrivals.set_factor(self.factor());
    }

    /// Brings what is due by `now`. False where `out` has no room for it.
    fn bring(&mut self, start: UnixNanos, now: UnixNanos, out: &mut Batch) -> bool {
        loop {
            if let Some(notice) = &mut self.notice {
                if !notice.tell(&self.market, start, now, out) {
                    return false;
                }
                self.notice = None;
            }
            if start + self.due.at() > now {
                return true;
            }
            if let Due::Event(at) = self.due
                && !self.market.happen(start + at, now, out)
            {
                return false;
            }
            if let Due::Cue(at, act) = std::mem::replace(&mut self.due, Due::Quiet(0)) {
                self.act(at, act);
            }
            self.due = self.seek();
        }
    }
}

impl Feed for Sim {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn instruments(&mut self) -> Vec<Instrument> {
        self.market.instruments()
    }

    fn poll(&mut self, now: UnixNanos, out: &mut Batch) -> Result<Next, FeedError> {
        let start = *self.start.get_or_insert(now);
        let done = self.bring(start, now, out);
        Ok(if done { Next::At(start + self.due.at()) } else { Next::Ready })
    }
}

fn sized(what: &'static str, was: u64, most: u64) -> Result<(), ScenarioError> {
    if (1..=most).contains(&was) { Ok(()) } else { Err(ScenarioError::Size { what, was, most }) }
}

/// The scenario's clustering in steps.
fn clustering(text: &text::Arrivals) -> Clustering {
    Clustering {
        echo: text.echo,
        memory: text.memory.0 as f64,
        shocks: text.shocks / STEPS_PER_SECOND,
        shock_share: text.shock_share,
    }
}
