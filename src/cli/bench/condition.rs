//! `--fail-if`: conditions under which a pipeline stops.

use std::fmt;
use std::str::FromStr;

use super::interval::Since;
use super::report::Report;
use crate::cli::units;

/// A figure of the report that is no latency.
#[derive(Clone, Copy, Debug)]
struct Figure {
    name: &'static str,
    of: fn(&Report) -> f64,
}

const FIGURES: [Figure; 20] = [
    Figure { name: "lost", of: |r| r.lost as f64 },
    Figure { name: "missing", of: |r| r.checks.missing as f64 },
    Figure { name: "surplus", of: |r| r.checks.surplus as f64 },
    Figure { name: "gaps", of: |r| r.checks.gaps as f64 },
    Figure { name: "dropped", of: |r| r.checks.dropped as f64 },
    Figure { name: "conflated", of: |r| r.checks.conflated as f64 },
    Figure { name: "seq_decreased", of: |r| r.checks.seq_decreased as f64 },
    Figure { name: "sequence_gaps", of: |r| r.checks.sequence_gaps as f64 },
    Figure { name: "sequence_missing", of: |r| r.checks.sequence_missing as f64 },
    Figure { name: "sequence_duplicates", of: |r| r.checks.sequence_duplicates as f64 },
    Figure { name: "sequence_reordered", of: |r| r.checks.sequence_reordered as f64 },
    Figure { name: "disconnects", of: |r| r.disconnects.values().sum::<u64>() as f64 },
    Figure { name: "rejected", of: |r| r.rejected.len() as f64 },
    Figure { name: "unverified", of: |r| (r.connections as u64 - r.checks.verified) as f64 },
    Figure { name: "records", of: |r| r.records as f64 },
    Figure { name: "records_per_s", of: |r| r.records_per_s },
    Figure { name: "bytes_per_s", of: |r| r.bytes_per_s },
    Figure { name: "frames", of: |r| r.frames as f64 },
    Figure { name: "client_busy", of: |r| r.most(|share| share.busy) * 100.0 },
    Figure { name: "client_waiting", of: |r| r.most(|share| share.waiting) * 100.0 },
];

#[derive(Clone, Copy, Debug)]
enum Metric {
    /// 0 to 1; 1 is the largest.
    Quantile(Since, f64),
    Figure(Figure),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// `METRIC OPERATOR VALUE`, such as `p99>5ms`.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    text: String,
    metric: Metric,
    operator: Operator,
    /// ns for latencies.
    value: f64,
}

/// What can't be read as a condition.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum ConditionError {
    #[error("no operator; write METRIC, one of < <= > >=, and a value: 'p99>5ms'")]
    NoOperator,
    #[error(
        "{0:?} is no metric; there are p50, p99.9 and so on, max (of ts_event; out.p99 and \
         send.p99 of the others), {names}", names = FIGURES.map(|f| f.name).join(", ")
    )]
    Metric(String),
    #[error(transparent)]
    Value(#[from] units::BadQuantity),
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let at = text.find(['<', '>']).ok_or(ConditionError::NoOperator)?;
        let (name, rest) = text.split_at(at);
        let (operator, value) = match rest.as_bytes() {
            [b'<', b'=', ..] => (Operator::AtMost, &rest[2..]),
            [b'>', b'=', ..] => (Operator::AtLeast, &rest[2..]),
            [b'<', ..] => (Operator::Below, &rest[1..]),
            _ => (Operator::Above, &rest[1..]),
        };
        let metric = metric(name.trim())?;
        let value = match metric {
            Metric::Quantile(..) => units::nanos(value)?,
            Metric::Figure(_) => units::number(value)?,
        };
        Ok(Self { text: text.to_owned(), metric, operator, value })
    }
}

fn metric(name: &str) -> Result<Metric, ConditionError> {
    if let Some(figure) = FIGURES.iter().find(|figure| figure.name == name) {
        return Ok(Metric::Figure(*figure));
    }
    let (since, quantile) = match name.split_once('.') {
        Some(("event", rest)) => (Since::Event, rest),
        Some(("out", rest)) => (Since::Out, rest),
        Some(("send", rest)) => (Since::Send, rest),
        _ => (Since::Event, name),
    };
    let unknown = || ConditionError::Metric(name.to_owned());
    if quantile == "max" {
        return Ok(Metric::Quantile(since, 1.0));
    }
    let percent = quantile.strip_prefix('p').and_then(|percent| units::number(percent).ok());
    let percent = percent.filter(|percent| *percent <= 100.0).ok_or_else(unknown)?;
    Ok(Metric::Quantile(since, percent / 100.0))
}

impl Condition {
    /// Says how the report meets the condition; none where it does not. A latency of which there
    /// is no sample meets every condition: nothing shows that it is good.
    pub(crate) fn met(&self, report: &Report) -> Option<String> {
        let (value, shown) = match self.metric {
            Metric::Figure(figure) => {
                let value = (figure.of)(report);
                (value, value.to_string())
            }
            Metric::Quantile(since, quantile) => {
                let histogram = &report.total.series(since).histogram;
                if histogram.is_empty() {
                    return Some(format!("{self}: there is no sample of {}", since.name()));
                }
                let value = histogram.value_at_quantile(quantile);
                (value as f64, units::show_nanos(value))
            }
        };
        self.operator.holds(value, self.value).then(|| format!("{self}: it is {shown}"))
    }
}

impl Operator {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::report::tests::report;

    fn met(condition: &str) -> bool {
        condition.parse::<Condition>().unwrap().met(&report()).is_some()
    }

    #[test]
    fn quantiles_are_compared_with_durations() {
        // One sample of 1 ms from ts_event, one of 100 µs from ts_out, none from ts_send.
        for (condition, expected) in [
            ("p99>999us", true),
            ("p99 > 1.1ms", false),
            ("event.p50>=900us", true),
            ("max<5ms", true),
            ("out.p99.9<=0.2 ms", true),
            ("out.max>1ms", false),
            ("send.p50>1h", true),
        ] {
            assert_eq!(met(condition), expected, "{condition}");
        }
    }

    #[test]
    fn figures_are_compared_with_numbers() {
        for (condition, expected) in [
            ("lost>0", true),
            ("lost>3", false),
            ("records_per_s<10", true),
            ("disconnects>=1", true),
            ("unverified>1", false),
            ("client_busy>50", false),
            ("client_waiting<1", true),
        ] {
            assert_eq!(met(condition), expected, "{condition}");
        }
        let lost: Condition = "lost>0".parse().unwrap();
        assert_eq!(lost.met(&report()).unwrap(), "lost>0: it is 3");
    }

    #[test]
    fn what_is_no_condition_says_what_would_be() {
        let error = |text: &str| text.parse::<Condition>().unwrap_err().to_string();
        assert!(error("p99=5ms").contains("no operator"));
        assert!(error("p99>5").contains("write it like 10s"));
        assert!(error("lost>5ms").contains("not a number"));
        assert!(error("pp>5ms").contains("out.p99") && error("p101>1s").contains("no metric"));
        assert!(error("in.p99>5ms").contains("no metric"));
    }
}
