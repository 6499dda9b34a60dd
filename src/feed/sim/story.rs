//! What a scenario makes of the market at every instant: its weather, and the cues to act on.

use std::sync::Arc;

use super::text::{Open, Reason, Text};

/// Milliseconds for which weather that changes smoothly counts as constant.
const GRAIN: u64 = 10;

/// The weather of the market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weather {
    /// Factor on the rate.
    pub(super) rate: f64,
    /// Factor on volatility.
    pub(super) volatility: f64,
    /// Where prices are led to, as a share of their start.
    pub(super) level: f64,
    /// The millisecond of the market's time up to which this holds.
    pub(super) until: u64,
}

/// Something to do at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// These instruments stop trading.
    Halt(Scope, Reason),
    /// These instruments trade (again, where they were stopped for a reason).
    Resume(Scope, Option<Reason>),
    /// So many messages of the venue get lost.
    Lose(u32),
}

/// Whom an act is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Ranks, in this order.
    Ranks(Arc<[u32]>),
    /// The ranks below this one.
    Below(u32),
}

impl Scope {
    /// The rank at this place of the scope.
    pub(super) fn get(&self, place: u32) -> Option<u32> {
        match self {
            Self::Ranks(ranks) => ranks.get(place as usize).copied(),
            Self::Below(end) => (place < *end).then_some(place),
        }
    }
}

/// A scenario laid out in time, milliseconds since the market's start.
pub(super) struct Story {
    text: Text,
    acts: Vec<(u64, Act)>,
    /// Cues given so far, over all repetitions.
    given: u64,
    /// The next cue: when, and the number of its act.
    next: Option<(u64, usize)>,
    /// Makes the mean of the weather's rate over a repetition 1.
    scale: f64,
}

impl Story {
    /// The story of a market of `symbols` instruments; `rank` finds one by its name.
    pub(super) fn new(text: Text, symbols: u32, rank: impl Fn(&str) -> Option<u32>) -> Self {
        let mut acts = Vec::new();
        for halt in &text.halts {
            let scope = match (&halt.symbols, halt.busiest) {
                (Some(names), _) => Scope::Ranks(names.iter().filter_map(|n| rank(n)).collect()),
                (None, busiest) => Scope::Below(busiest.unwrap_or(symbols).min(symbols)),
            };
            acts.push((halt.at.0, Act::Halt(scope.clone(), halt.reason)));
            acts.push((halt.at.0 + halt.r#for.0, Act::Resume(scope, Some(halt.reason))));
        }
        acts.extend(text.gaps.iter().map(|gap| (gap.at.0, Act::Lose(gap.missing))));
        acts.sort_by_key(|(at, _)| *at);
        let mut story = Self { text, acts, given: 0, next: None, scale: 1.0 };
        story.next = story.upcoming();
        story.scale = 1.0 / story.mean_rate();
        story
    }

    /// The next cue that is due by millisecond `now`: when it was, and what to do.
    #[inline]
    pub(super) fn cue(&mut self, now: u64) -> Option<(u64, Act)> {
        let (at, number) = self.next.filter(|(at, _)| *at <= now)?;
        self.given += 1;
        self.next = self.upcoming();
        Some((at, self.acts[number].1.clone()))
    }

    fn upcoming(&self) -> Option<(u64, usize)> {
        let acts = self.acts.len() as u64;
        let round = self.given.checked_div(acts)?;
        let number = (self.given % acts) as usize;
        let base = match self.text.repeat {
            Some(repeat) => round * repeat.0,
            None if round == 0 => 0,
            None => return None,
        };
        Some((base + self.acts[number].0, number))
    }

    /// The weather of millisecond `now`.
    pub(super) fn weather(&self, now: u64) -> Weather {
        let told = self.text.repeat.map_or(now, |repeat| now % repeat.0);
        let mut weather = self.climate(told);
        weather.rate *= self.scale;
        for burst in &self.text.bursts {
            if span(&mut weather, told, burst.at.0, burst.r#for.0) {
                weather.rate *= burst.times;
            }
        }
        for stall in &self.text.stalls {
            if span(&mut weather, told, stall.at.0, stall.r#for.0) {
                weather.rate = 0.0;
            }
        }
        weather.until = weather.until.saturating_add(now - told);
        weather
    }

    /// The weather without faults and unscaled, `told` into the story.
    fn climate(&self, told: u64) -> Weather {
        let until = self.text.repeat.map_or(u64::MAX, |repeat| repeat.0);
        let volatility = self.text.market.volatility;
        let mut weather = Weather { rate: 1.0, volatility, level: 1.0, until };
        if let Some(open) = &self.text.open {
            rush(&mut weather, open, told);
        }
        for phase in &self.text.phases {
            let from = weather.level;
            let inside = span(&mut weather, told, phase.at.0, phase.r#for.0);
            if let Some(to) = phase.level.filter(|_| told >= phase.at.0) {
                let done = (told - phase.at.0) as f64 / phase.r#for.0 as f64;
                weather.level = from + (to - from) * done.min(1.0);
            }
            if inside {
                weather.rate *= phase.rate;
                weather.volatility *= phase.volatility;
                if phase.level.is_some() {
                    weather.until = weather.until.min(told + GRAIN);
                }
            }
        }
        weather
    }

    /// The mean of the climate's rate over a repetition. 1 where the story is told once: the long
    /// run is what comes after it.
    fn mean_rate(&self) -> f64 {
        let Some(repeat) = self.text.repeat else { return 1.0 };
        let (mut told, mut sum) = (0, 0.0);
        while told < repeat.0 {
            let weather = self.climate(told);
            sum += weather.rate * (weather.until - told) as f64;
            told = weather.until;
        }
        if sum > 0.0 { sum / repeat.0 as f64 } else { 1.0 }
    }
}

/// The rush of the opening, until it is below a thousandth.
fn rush(weather: &mut Weather, open: &Open, told: u64) {
    let fading = 1.0 + told as f64 / open.fade.0 as f64;
    let left = 1.0 / (fading * fading);
    if left > 1e-3 {
        weather.rate *= 1.0 + (open.rate - 1.0) * left;
        weather.volatility *= 1.0 + (open.volatility - 1.0) * left;
        weather.until = weather.until.min(told + GRAIN);
    }
}

/// Is `told` within the span? The weather holds until its next edge at most.
fn span(weather: &mut Weather, told: u64, at: u64, length: u64) -> bool {
    let edge = [at, at + length].into_iter().find(|edge| *edge > told);
    weather.until = weather.until.min(edge.unwrap_or(u64::MAX));
    (at..at + length).contains(&told)
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    fn story(text: &str) -> Story {
        let text = Scenario::parse("test", &format!("about = ''\n{text}")).unwrap().text;
        Story::new(text, 10, |name| (name == "B").then_some(1))
    }

    #[test]
    fn weather_holds_until_its_next_edge() {
        let story = story("[[stall]]\nat='2s'\nfor='1s'\n[[burst]]\nat='5s'\nfor='20ms'\ntimes=10");
        let of = |now| (story.weather(now).rate, story.weather(now).until);
        assert_eq!(of(0), (1.0, 2000));
        assert_eq!(of(2000), (0.0, 3000));
        assert_eq!(of(3000), (1.0, 5000));
        assert_eq!(of(5019), (10.0, 5020));
        assert_eq!(of(5020), (1.0, u64::MAX));
    }

    #[test]
    fn a_level_is_reached_at_the_end_of_its_phase_and_kept() {
        let story = story("[[phase]]\nat='1s'\nfor='1s'\nlevel=0.8");
        assert_eq!(story.weather(999).level, 1.0);
        assert!((story.weather(1500).level - 0.9).abs() < 1e-12);
        assert!((story.weather(9000).level - 0.8).abs() < 1e-12);
    }

    #[test]
    fn a_story_that_repeats_has_the_mean_rate_of_one() {
        let story = story("repeat='10s'\n[[phase]]\nat='0s'\nfor='5s'\nrate=3.0");
        assert_eq!((story.weather(10_000).rate, story.weather(15_000).rate), (1.5, 0.5));
    }

    #[test]
    fn cues_come_in_order_and_again_with_every_repetition() {
        let halts = "[[halt]]\nat='2s'\nfor='2s'\nreason='news'\nsymbols=['A','B']\n";
        let mut story = story(&format!("repeat='10s'\n{halts}[[gap]]\nat='3s'\nmissing=7"));
        assert_eq!(story.cue(1999), None);
        let cues: Vec<_> = std::iter::from_fn(|| story.cue(14_000)).collect();
        let times: Vec<_> = cues.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [2000, 3000, 4000, 12_000, 13_000, 14_000]);
        assert_eq!(cues[0].1, Act::Halt(Scope::Ranks([1].into()), Reason::News));
        assert_eq!(cues[1].1, Act::Lose(7));
    }
}
