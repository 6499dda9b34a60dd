//! Whether the values of a scenario make sense.

use std::ops::RangeInclusive;

use super::text::{Millis, Reason, Text, Wrong};
use crate::limits::{SCENARIO_ENTRIES_MAX, SCENARIO_TIME_MAX, SIM_SYMBOLS_MAX};

const ENTRIES: f64 = SCENARIO_ENTRIES_MAX as f64;
const LONGEST: f64 = SCENARIO_TIME_MAX.as_millis() as f64;

impl Text {
    /// Are its values such as make sense?
    ///
    /// # Errors
    /// The first that does not.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        within("market.zipf", self.market.zipf, 0.0..=3.0)?;
        within("market.trades", self.market.trades, 0.0..=1.0)?;
        within("market.volatility", self.market.volatility, 0.1..=10.0)?;
        within("arrivals.echo", self.arrivals.echo, 0.0..=0.9)?;
        within("arrivals.memory (ms)", self.arrivals.memory.0 as f64, 1.0..=10_000.0)?;
        within("arrivals.shocks", self.arrivals.shocks, 0.0..=100.0)?;
        within("arrivals.shock_share", self.arrivals.shock_share, 0.0..=0.9)?;
        if let Some(open) = &self.open {
            within("open.rate", open.rate, 1.0..=100.0)?;
            within("open.volatility", open.volatility, 1.0..=10.0)?;
            within("open.fade (ms)", open.fade.0 as f64, 1.0..=3_600_000.0)?;
        }
        if let Some(repeat) = self.repeat {
            within("repeat (ms)", repeat.0 as f64, 1_000.0..=LONGEST)?;
        }
        self.check_phases()?;
        self.check_halts()?;
        self.check_faults()
    }

    fn check_phases(&self) -> Result<(), Wrong> {
        let spans = self.phases.iter().map(|p| (p.at, p.r#for));
        self.check_spans("phase", spans)?;
        for (n, phase) in self.phases.iter().enumerate() {
            within(&format!("phase[{n}].rate"), phase.rate, 0.0..=100.0)?;
            within(&format!("phase[{n}].volatility"), phase.volatility, 0.1..=10.0)?;
            let level = phase.level.unwrap_or(1.0);
            within(&format!("phase[{n}].level"), level, 0.2..=5.0)?;
        }
        Ok(())
    }

    fn check_halts(&self) -> Result<(), Wrong> {
        self.check_spans("halt", self.halts.iter().map(|h| (h.at, h.r#for)))?;
        for (n, halt) in self.halts.iter().enumerate() {
            if let Some(busiest) = halt.busiest {
                within(
                    &format!("halt[{n}].busiest"),
                    f64::from(busiest),
                    1.0..=f64::from(SIM_SYMBOLS_MAX),
                )?;
            }
            let named = halt.symbols.as_ref().map(Vec::len);
            let right = match (named, halt.busiest) {
                (Some(_), Some(_)) => "one of symbols and busiest, or neither for the whole market",
                (Some(0), None) => "at least one symbol, or left out for the whole market",
                (Some(_), None) if halt.reason == Reason::CircuitBreaker => {
                    "left out where the reason is circuit-breaker, which stops the whole market"
                }
                _ => continue,
            };
            let was = format!("{:?}", halt.symbols.as_deref().unwrap_or_default());
            let key = format!("halt[{n}].symbols");
            return Err(Wrong { key, was, right: right.to_owned() });
        }
        Ok(())
    }

    fn check_faults(&self) -> Result<(), Wrong> {
        self.check_spans("stall", self.stalls.iter().map(|s| (s.at, s.r#for)))?;
        self.check_spans("burst", self.bursts.iter().map(|b| (b.at, b.r#for)))?;
        self.check_spans("gap", self.gaps.iter().map(|g| (g.at, Millis(1))))?;
        for (n, burst) in self.bursts.iter().enumerate() {
            within(&format!("burst[{n}].times"), burst.times, 1.0..=100.0)?;
        }
        for (n, gap) in self.gaps.iter().enumerate() {
            within(&format!("gap[{n}].missing"), f64::from(gap.missing), 1.0..=1e6)?;
        }
        Ok(())
    }

    /// Entries of one kind are in order, apart from each other, and over before the story repeats.
    fn check_spans(
        &self,
        kind: &str,
        spans: impl ExactSizeIterator<Item = (Millis, Millis)>,
    ) -> Result<(), Wrong> {
        within(&format!("the number of {kind}s"), spans.len() as f64, 0.0..=ENTRIES)?;
        let mut free = 0;
        for (n, (at, span)) in spans.enumerate() {
            within(&format!("{kind}[{n}].for (ms)"), span.0 as f64, 1.0..=LONGEST)?;
            let from = format!("{kind}[{n}].at (ms)");
            within(&from, at.0 as f64, free as f64..=LONGEST)?;
            free = at.0 + span.0;
            if let Some(repeat) = self.repeat {
                let end = format!("the end of {kind}[{n}] (ms)");
                within(&end, free as f64, 0.0..=repeat.0 as f64)?;
            }
        }
        Ok(())
    }
}

/// NaN is within nothing.
fn within(key: &str, was: f64, right: RangeInclusive<f64>) -> Result<(), Wrong> {
    if right.contains(&was) {
        return Ok(());
    }
    let right = format!("from {} to {}", right.start(), right.end());
    Err(Wrong { key: key.to_owned(), was: was.to_string(), right })
}
