//! When something happens: self-exciting arrivals, so that activity comes in clusters.
//!
//! A Hawkes process on a grid of milliseconds: within a step arrivals are Poisson, and every one of
//! them raises the intensity of the steps after it. Shocks from outside ("news") start clusters of
//! their own. Its mean is the asked one exactly, whatever the clustering: what echoes and shocks
//! bring is taken from the independent arrivals. No transcendental functions in the state, so that
//! every platform computes the same times.

use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;

/// Nanoseconds of a step.
pub(super) const STEP: u64 = 1_000_000;

/// How arrivals cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clustering {
    /// Share of arrivals that echo earlier ones, below 1.
    pub(super) echo: f64,
    /// Steps after which the excitement of an arrival has faded to a third, at least 1.
    pub(super) memory: f64,
    /// Shocks a step.
    pub(super) shocks: f64,
    /// Share of the arrivals not echoed that shocks bring.
    pub(super) shock_share: f64,
}

/// The times of a market's events, ns since its start, never decreasing.
pub(super) struct Arrivals {
    rng: Pcg64Mcg,
    /// Start of the step, ns.
    step: u64,
    /// Position in the step, ns.
    at: f64,
    /// What is left of the unit-mean exponential wait.
    wait: f64,
    /// Arrivals of this step so far.
    count: u32,
    /// Arrivals per ns in this step.
    intensity: f64,
    /// Factor on the intensity in this step: 0 is silence.
    factor: f64,
    /// Arrivals a step, by cause.
    independent: f64,
    excited: f64,
    /// Fading of the excitement over a step, and what one arrival or shock adds to it.
    keep: f64,
    per_arrival: f64,
    per_shock: f64,
    /// Steps to the next shock, and between two on average; infinite where there are none.
    quiet: f64,
    between_shocks: f64,
}

impl Arrivals {
    /// `mean` arrivals a step in the long run, from the stationary state on.
    pub(super) fn new(mean: f64, how: Clustering, seed: u64) -> Self {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let keep = 1.0 - 1.0 / how.memory.max(1.0);
        let fresh = mean * (1.0 - how.echo);
        let between_shocks = 1.0 / how.shocks;
        let (shock_share, per_shock, quiet) = if how.shocks > 0.0 {
            let per_shock = fresh * how.shock_share * (1.0 - keep) * between_shocks;
            (how.shock_share, per_shock, between_shocks * unit(&mut rng))
        } else {
            (0.0, 0.0, f64::INFINITY)
        };
        let mut new = Self {
            step: 0,
            at: 0.0,
            wait: unit(&mut rng),
            rng,
            count: 0,
            intensity: 0.0,
            factor: 1.0,
            independent: fresh * (1.0 - shock_share),
            excited: mean * how.echo + fresh * shock_share,
            keep,
            per_arrival: how.echo * (1.0 - keep),
            per_shock,
            quiet,
            between_shocks,
        };
        new.set_factor(1.0);
        new
    }

    /// The next arrival of this step, ns since the start; none when the step has no more.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u64> {
        let left = STEP as f64 - self.at;
        let reach = left * self.intensity;
        if self.wait >= reach {
            self.wait -= reach;
            self.at = STEP as f64;
            return None;
        }
        self.at += self.wait / self.intensity;
        self.wait = unit(&mut self.rng);
        self.count += 1;
        Some(self.step + (self.at as u64).min(STEP - 1))
    }

    /// Goes on to the next step, which runs at `factor` times the usual intensity.
    #[inline]
    pub(super) fn advance(&mut self, factor: f64) {
        self.excited *= self.keep;
        if self.factor > 0.0 {
            self.excited += self.per_arrival * f64::from(self.count) / self.factor;
        }
        self.quiet -= 1.0;
        while self.quiet <= 0.0 {
            self.excited += self.per_shock;
            self.quiet += self.between_shocks * unit(&mut self.rng);
        }
        self.step += STEP;
        (self.at, self.count) = (0.0, 0);
        self.set_factor(factor);
    }

    /// Start of the step, ns since the start.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// Sets the factor of a step that has had no arrival yet. It leaves no trace in the excitement:
    /// bursts and silences don't echo.
    pub(super) fn set_factor(&mut self, factor: f64) {
        self.factor = factor;
        self.intensity = factor * (self.independent + self.excited) / STEP as f64;
    }
}

/// An exponential variate of mean 1.
#[inline]
fn unit(rng: &mut Pcg64Mcg) -> f64 {
    Exp1.sample(rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTERED: Clustering =
        Clustering { echo: 0.6, memory: 50.0, shocks: 0.002, shock_share: 0.2 };
    const POISSON: Clustering =
        Clustering { echo: 0.0, memory: 1.0, shocks: 0.0, shock_share: 0.0 };

    /// Mean arrivals a step, and variance over mean of windows of `window` steps.
    fn statistics(how: Clustering, mean: f64, steps: u64, window: u64) -> (f64, f64) {
        let mut arrivals = Arrivals::new(mean, how, 7);
        let mut counts = vec![0.0; (steps / window) as usize];
        for step in 0..steps {
            while arrivals.next().is_some() {
                counts[(step / window) as usize] += 1.0;
            }
            arrivals.advance(1.0);
        }
        let n = counts.len() as f64;
        let average = counts.iter().sum::<f64>() / n;
        let variance = counts.iter().map(|c| (c - average).powi(2)).sum::<f64>() / n;
        (average / window as f64, variance / average)
    }

    #[test]
    fn the_mean_is_the_asked_one_and_clusters_are_seen() {
        for mean in [0.05, 2.0, 40.0] {
            let (clustered, dispersion) = statistics(CLUSTERED, mean, 400_000, 200);
            assert!((clustered / mean - 1.0).abs() < 0.02, "{clustered} for {mean}");
            assert!(dispersion > 2.5, "dispersion {dispersion} at {mean}");
            let (_, plain) = statistics(POISSON, mean, 400_000, 200);
            assert!((0.8..1.2).contains(&plain), "dispersion {plain} at {mean}");
        }
    }

    #[test]
    fn silence_is_silent_and_a_burst_is_what_it_says() {
        let mut arrivals = Arrivals::new(10.0, POISSON, 7);
        let mut count = |factor| {
            let mut sum = 0;
            for _ in 0..1000 {
                arrivals.advance(factor);
                while arrivals.next().is_some() {
                    sum += 1;
                }
            }
            sum
        };
        assert_eq!(count(0.0), 0);
        assert!((97_000..103_000).contains(&count(10.0)));
        assert!((9_000..11_000).contains(&count(1.0)));
    }
}
