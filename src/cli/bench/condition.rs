//! `--fail-if`: conditions under which a pipeline stops.

use std::fmt;
use std::str::FromStr;

use hdrhistogram::Histogram;

use super::figure::{FIGURES, Figure};
use super::interval::Since;
use super::report::Report;
use crate::cli::units::{self, BadQuantity};

/// Of which times a quantile is.
#[derive(Clone, Copy, Debug)]
enum Times {
    Since(Since),
    Connect,
    Churn,
}

impl Times {
    fn of(self, report: &Report) -> Option<&Histogram<u64>> {
        match self {
            Self::Since(since) => Some(&report.total.series(since).histogram),
            Self::Connect => Some(&report.connects),
            Self::Churn => Some(&report.churn.as_ref()?.times),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Since(since) => since.name(),
            Self::Connect => "a connect",
            Self::Churn => "a visitor",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Metric {
    /// 0 to 1; 1 is the largest.
    Quantile(Times, f64),
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
    /// ns for times, bytes for sizes.
    value: f64,
}

/// What can't be read as a condition.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(crate) enum ConditionError {
    #[error("no operator; write METRIC, one of < <= > >=, and a value: 'p99>5ms'")]
    NoOperator,
    #[error(
        "{0:?} is no metric; there are p50, p99.9 and so on, max (of ts_event; out.p99, send.p99, \
         connect.p99 and churn.p99 of others), {names}", names = names()
    )]
    Metric(String),
    #[error(transparent)]
    Value(#[from] BadQuantity),
}

fn names() -> String {
    FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ")
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
            Metric::Figure(figure) => figure.unit.read(value)?,
        };
        Ok(Self { text: text.to_owned(), metric, operator, value })
    }
}

fn metric(name: &str) -> Result<Metric, ConditionError> {
    if let Some(figure) = FIGURES.iter().find(|figure| figure.name == name) {
        return Ok(Metric::Figure(*figure));
    }
    let (times, quantile) = match name.split_once('.') {
        Some(("event", rest)) => (Times::Since(Since::Event), rest),
        Some(("out", rest)) => (Times::Since(Since::Out), rest),
        Some(("send", rest)) => (Times::Since(Since::Send), rest),
        Some(("connect", rest)) => (Times::Connect, rest),
        Some(("churn", rest)) => (Times::Churn, rest),
        _ => (Times::Since(Since::Event), name),
    };
    let unknown = || ConditionError::Metric(name.to_owned());
    if quantile == "max" {
        return Ok(Metric::Quantile(times, 1.0));
    }
    let percent = quantile.strip_prefix('p').and_then(|percent| units::number(percent).ok());
    let percent = percent.filter(|percent| *percent <= 100.0).ok_or_else(unknown)?;
    Ok(Metric::Quantile(times, percent / 100.0))
}

impl Condition {
    /// The flag without which there is nothing to compare.
    pub(crate) fn needs(&self) -> Option<&'static str> {
        match self.metric {
            Metric::Figure(figure) => figure.needs,
            Metric::Quantile(Times::Churn, _) => Some("--churn"),
            Metric::Quantile(..) => None,
        }
    }

    /// Says how the report meets the condition; none where it does not. What was not measured
    /// meets every condition: nothing shows that it is good.
    pub(crate) fn met(&self, report: &Report) -> Option<String> {
        let (value, shown) = match self.metric {
            Metric::Figure(figure) => {
                let Some(value) = (figure.of)(report) else {
                    return Some(format!("{self}: it was not measured"));
                };
                (value, figure.unit.show(value))
            }
            Metric::Quantile(times, quantile) => {
                let histogram = times.of(report).filter(|histogram| !histogram.is_empty());
                let Some(histogram) = histogram else {
                    return Some(format!("{self}: there is no sample of {}", times.name()));
                };
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
            ("connect.p99>1ms", true),
            ("churn.max>3.1ms", false),
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
            ("worst.lost>=2", true),
            ("cpu>150ns", true),
            ("cpu>201ns", false),
            ("cpu_share>49", true),
            ("rss_peak>=1MiB", true),
            ("rss_per_connection>1 KiB", false),
            ("churn_failed>1", true),
            ("stalled_ended>1", false),
        ] {
            assert_eq!(met(condition), expected, "{condition}");
        }
        let lost: Condition = "lost>0".parse().unwrap();
        assert_eq!(lost.met(&report()).unwrap(), "lost>0: it is 3");
    }

    #[test]
    fn what_is_not_measured_is_known_beforehand() {
        let needs = |text: &str| text.parse::<Condition>().unwrap().needs();
        assert_eq!(
            (needs("cpu>1us"), needs("churn.p99>1s")),
            (Some("--server-pid"), Some("--churn"))
        );
        assert_eq!((needs("stalled_ended>0"), needs("lost>0")), (Some("--stall"), None));
        let cpu: Condition = "cpu>1h".parse().unwrap();
        let without = Report { server: None, ..report() };
        assert_eq!(cpu.met(&without).unwrap(), "cpu>1h: it was not measured");
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
