//! From a value to its place on an axis, and the values that are named there.

use crate::cli::units::{show_count, show_nanos};

/// Ticks of a linear axis, about.
const TICKS: f64 = 6.0;

/// An axis's scale; places are parts of its length, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Times in ns between two powers of 10.
    Times { low: i32, high: i32 },
    /// Numbers from 0.
    Counts { high: f64 },
    /// Seconds from 0.
    Seconds { high: f64 },
    /// Quantiles from 0 to so many nines: as much room for each 9 more.
    Nines { high: f64 },
}

impl Scale {
    /// Times that hold all of `values`, ns.
    pub(crate) fn times(values: impl Iterator<Item = u64> + Clone) -> Self {
        let least = values.clone().min().unwrap_or(1_000).max(1) as f64;
        let most = values.max().unwrap_or(1_000_000).max(1) as f64;
        let low = least.log10().floor() as i32;
        Self::Times { low, high: (most.log10().ceil() as i32).max(low + 1) }
    }

    /// Where `value` lies.
    pub(crate) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Times { low, high } => {
                (value.max(1.0).log10() - f64::from(low)) / f64::from(high - low)
            }
            Self::Counts { high } | Self::Seconds { high } => value / high,
            Self::Nines { high } => -(1.0 - value).log10() / high,
        };
        place.clamp(0.0, 1.0)
    }

    /// Named places.
    pub(crate) fn ticks(self) -> Vec<(f64, String)> {
        let named = |value: f64, name: String| (self.place(value), name);
        match self {
            Self::Times { low, high } => (low..=high)
                .map(|power| named(10f64.powi(power), round_nanos(10u64.pow(power as u32))))
                .collect(),
            Self::Counts { high } => {
                steps(high).map(|value| named(value, show_count(value as u64))).collect()
            }
            Self::Seconds { high } => {
                steps(high).map(|value| named(value, format!("{value}"))).collect()
            }
            Self::Nines { high } => (0..=high as u32)
                .map(|nines| {
                    let quantile = 1.0 - 10f64.powi(-(nines as i32));
                    let digits = nines.saturating_sub(2) as usize;
                    named(quantile, format!("{:.digits$} %", quantile * 100.0))
                })
                .collect(),
        }
    }
}

/// `10 µs`, without the digits of a measured one.
fn round_nanos(nanos: u64) -> String {
    show_nanos(nanos).replace(".00", "").replace(".0 ", " ")
}

/// Round values from 0 up to `high`.
fn steps(high: f64) -> impl Iterator<Item = f64> {
    let rough = (high / TICKS).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    (0..).map(move |n| f64::from(n) * step).take_while(move |value| *value <= high * 1.000_001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_has_the_same_room() {
        let scale = Scale::Nines { high: 4.0 };
        let places = [0.0, 0.9, 0.99, 0.999, 0.9999].map(|quantile| scale.place(quantile));
        let expected = [0.0, 0.25, 0.5, 0.75, 1.0];
        assert!(places.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{places:?}");
        let names: Vec<_> = scale.ticks().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!(scale.place(1.0), 1.0);
    }

    #[test]
    fn times_lie_between_powers_of_ten() {
        let scale = Scale::times([45_000, 1_200_000].into_iter());
        assert_eq!(scale, Scale::Times { low: 4, high: 7 });
        let names: Vec<_> = scale.ticks().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["10 µs", "100 µs", "1 ms", "10 ms"]);
        assert_eq!(Scale::times([1_000].into_iter()), Scale::Times { low: 3, high: 4 });
        assert_eq!(Scale::times([].into_iter()), Scale::Times { low: 3, high: 6 });
    }

    #[test]
    fn counts_are_named_in_round_steps() {
        let names = |high| Scale::Counts { high }.ticks().into_iter().map(|(_, n)| n);
        assert_eq!(
            names(100_100.0).collect::<Vec<_>>().join(" "),
            "0 20,000 40,000 60,000 80,000 100,000"
        );
        assert_eq!(names(3.0).collect::<Vec<_>>().len(), 7);
    }
}
