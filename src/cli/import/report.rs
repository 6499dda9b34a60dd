//! What was imported, for people: records by schema, messages by kind, what was skipped and why.

use std::io::{self, Write};

use super::play::Played;
use super::survey::Survey;
use crate::cli::units::show_count;
use crate::feed::source::Tally;
use crate::wire::json::time_text;

pub(super) fn report(survey: &Survey, played: &Played, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "records      {:>13}", show_count(survey.records()))?;
    if let Some((first, last)) = survey.times() {
        writeln!(out, "first        {}", time_text(first))?;
        writeln!(out, "last         {}", time_text(last))?;
    }
    writeln!(out, "instruments  {:>13}", show_count(played.instruments.len() as u64))?;
    for (schema, count) in survey.schemas() {
        writeln!(out, "  {:<26} {:>13}", schema.as_str(), show_count(count))?;
    }
    if played.skipped > 0 {
        let what = "system and error messages";
        writeln!(out, "skipped: {what} {}", show_count(played.skipped))?;
    }
    played.tallies.iter().try_for_each(|(file, tally)| of_file(file, tally, out))
}

fn of_file(file: &str, tally: &Tally, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n{file}\n  {:<30} {:>13}", "messages", show_count(tally.total()))?;
    for (kind, count) in &tally.messages {
        writeln!(out, "  {kind:<30} {:>13}", show_count(*count))?;
    }
    for (kind, reason, count) in &tally.skipped {
        writeln!(out, "  skipped: {} × {kind}: {reason}", show_count(*count))?;
    }
    for finding in &tally.findings {
        writeln!(out, "  found: {} × {}", show_count(finding.count), finding.what)?;
        for place in &finding.places {
            writeln!(out, "    {place}")?;
        }
    }
    Ok(())
}
