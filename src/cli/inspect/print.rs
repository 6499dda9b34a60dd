//! A report for people.

use std::io::{self, Write};
use std::time::Duration;

use super::activity::bars;
use super::capture::Capture;
use super::report::{Report, Times};
use crate::clock::SECOND;
use crate::wire::json::time_text;

/// Instruments that are shown unless all are asked for.
const SHOWN: usize = 20;

pub(super) fn report(report: &Report, all: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", report.file)?;
    if let Some(capture) = &report.capture {
        return self::capture(capture, out);
    }
    let damage = report.damage.as_deref().unwrap_or_default();
    if report.version == 0 && report.format.is_none() {
        return writeln!(out, "  refused    {damage}");
    }
    summary(report, out)?;
    schemas(report, out)?;
    instruments(report, all, out)?;
    if damage.is_empty() { Ok(()) } else { writeln!(out, "\n  damaged    {damage}") }
}

fn summary(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let form = if report.metadata { "" } else { ", fragment without metadata" };
    match report.format {
        Some(format) => writeln!(out, "  format     {format}")?,
        None => writeln!(out, "  format     DBN version {}{form}", report.version)?,
    }
    if !report.dataset.is_empty() {
        writeln!(out, "  dataset    {}", report.dataset)?;
    }
    writeln!(out, "  size       {} bytes", grouped(report.bytes))?;
    writeln!(out, "  records    {}", grouped(report.records))?;
    let times = &report.times;
    if times.peak_second == 0 {
        return Ok(());
    }
    writeln!(out, "  first      {}", time_text(times.first))?;
    writeln!(out, "  last       {}", time_text(times.last))?;
    let (mean, peak) = (rate(times.mean_rate), grouped(times.peak_second));
    writeln!(out, "  rate       {mean} records/s on average, {peak} in the busiest second")?;
    activity(times, out)
}

/// A line of bars, where there is more than one.
fn activity(times: &Times, out: &mut impl Write) -> io::Result<()> {
    if times.activity.len() < 2 {
        return Ok(());
    }
    let most = times.activity.iter().copied().max().unwrap_or(0);
    let width = Duration::from_nanos(times.step).as_secs_f64();
    let at_most = rate(most as f64 / width);
    writeln!(out, "  activity   {}", bars(&times.activity))?;
    let step = step(times.step);
    writeln!(out, "             a column is {step}, the highest {at_most} records/s")
}

/// The width of a step: `5 min`.
fn step(ns: u64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (86_400 * SECOND, "d"),
        (3_600 * SECOND, "h"),
        (60 * SECOND, "min"),
        (SECOND, "s"),
        (SECOND / 1_000, "ms"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| ns.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{ns} ns"), |(unit, name)| format!("{} {name}", ns / unit))
}

fn capture(capture: &Capture, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "  format     a capture of {}", capture.framing)?;
    writeln!(out, "  size       {} bytes", grouped(capture.bytes))?;
    writeln!(out, "  packets    {}, in order {}", grouped(capture.packets), grouped(capture.kept))?;
    let (first, last, unit) = (capture.first_number, capture.last_number, capture.unit);
    writeln!(out, "  numbers    {first} to {last}, of {unit}")?;
    writeln!(out, "\n  {:45}  {:>13}  {:>13}", "line", "packets", "first")?;
    for line in &capture.lines {
        let (packets, first) = (grouped(line.packets), grouped(line.first));
        writeln!(out, "  {:45}  {packets:>13}  {first:>13}", line.address)?;
    }
    capture.found.iter().try_for_each(|found| {
        writeln!(out, "\n  found      {} × {}", grouped(found.count), found.what)?;
        found.places.iter().try_for_each(|place| writeln!(out, "    {place}"))
    })
}

fn schemas(report: &Report, out: &mut impl Write) -> io::Result<()> {
    if report.schemas.is_empty() {
        return Ok(());
    }
    let wide = report.schemas.keys().map(String::len).max().unwrap_or(0).max(6);
    writeln!(out, "\n  {:wide$}  {:>13}", "schema", "records")?;
    for (schema, count) in &report.schemas {
        writeln!(out, "  {schema:wide$}  {:>13}", grouped(*count))?;
    }
    Ok(())
}

fn instruments(report: &Report, all: bool, out: &mut impl Write) -> io::Result<()> {
    if report.instruments.is_empty() {
        return Ok(());
    }
    let shown = if all { report.instruments.len() } else { SHOWN };
    let widths = report.instruments.iter().take(shown).map(|i| i.symbol.chars().count());
    let wide = widths.max().unwrap_or(0).max(10);
    writeln!(
        out,
        "\n  {:wide$}  {:>10}  {:>9}  {:>13}",
        "instrument", "id", "publisher", "records"
    )?;
    for i in report.instruments.iter().take(shown) {
        let records = grouped(i.records);
        let (symbol, id, publisher) = (&i.symbol, i.instrument_id, i.publisher_id);
        writeln!(out, "  {symbol:wide$}  {id:>10}  {publisher:>9}  {records:>13}")?;
    }
    match report.instruments.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "  … and {} more (--all shows them)", grouped(more as u64)),
    }
}

/// `12,345`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn rate(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::super::report::Instrument;
    use super::*;

    fn printed(report_of: &Report) -> String {
        let mut out = Vec::new();
        report(report_of, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_busiest_are_shown_and_damage_is() {
        let instrument = |n| Instrument {
            symbol: format!("S{n}"),
            instrument_id: n,
            publisher_id: 1,
            records: 1_500,
        };
        let instruments = (0..25).map(instrument).collect();
        let damage = Some("record 7 at byte 9: cut".to_owned());
        let text = printed(&Report { version: 3, instruments, damage, ..Report::default() });
        assert!(text.contains("… and 5 more") && text.contains("1,500"), "{text}");
        assert!(text.contains("S19") && !text.contains("S20"), "{text}");
        assert!(text.ends_with("  damaged    record 7 at byte 9: cut\n"), "{text}");
    }

    #[test]
    fn activity_is_a_line_of_bars() {
        let times = Times {
            peak_second: 900,
            step: 300 * SECOND,
            activity: vec![600, 0, 300_000, 150_000],
            ..Times::default()
        };
        let text = printed(&Report { version: 3, times, ..Report::default() });
        let lines =
            "  activity   ▁ █▄\n             a column is 5 min, the highest 1,000 records/s\n";
        assert!(text.contains(lines), "{text}");
        let steps =
            [1, 500_000_000, 5 * SECOND, 12 * 3_600 * SECOND, 7 * 86_400 * SECOND].map(step);
        assert_eq!(steps, ["1 ns", "500 ms", "5 s", "12 h", "7 d"]);
    }

    #[test]
    fn what_is_no_dbn_is_refused() {
        let damage = Some("is empty".to_owned());
        let text = printed(&Report { file: "x".to_owned(), damage, ..Report::default() });
        assert_eq!(text, "x\n  refused    is empty\n");
    }

    #[test]
    fn numbers_are_grouped() {
        let of = [0, 999, 1_000, 68_792, 1_234_567].map(grouped);
        assert_eq!(of, ["0", "999", "1,000", "68,792", "1,234,567"]);
        assert_eq!([rate(9.56), rate(12_345.6)], ["9.6", "12,346"]);
    }
}
