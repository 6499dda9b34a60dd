//! `--html`: the result as one page that needs nothing else, no script and no other file.
//!
//! It is HTML that an XML parser reads as well: every element is closed, every text escaped.

mod chart;
mod figures;
mod scale;

use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use super::interval::Since;
use super::report::{QUANTILES, Report};
use super::table::{at, left_out};

const STYLE: &str = include_str!("style.css");

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let warnings: String = report.warnings().iter().map(|w| element("p", "warning", w)).collect();
    let body = [
        format!("<h1>broadtape bench</h1>{}", element("p", "", &report.url)),
        element("p", "", report.outline()),
        warnings,
        section("Latency", &latencies(report)),
        section("Latency by percentile", &wide(&figures::percentiles(report))),
        section("Latency by time", &wide(&figures::latency_by_time(report))),
        section("Records by time", &wide(&figures::records_by_time(report))),
        section("Figures", &lines(report)),
        section("What was run", &run(report)),
        section("All figures", &json(report)),
    ];
    format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\
         <meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>\
         <meta name=\"color-scheme\" content=\"light dark\"/><title>{}</title>\n\
         <style>\n{STYLE}</style></head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escaped(&format!("broadtape bench of {}", report.url)),
        body.join("\n")
    )
}

/// A text as it stands in HTML and in XML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No form of XML has the others.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn element(name: &str, class: &str, text: impl Display) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<{name}{class}>{}</{name}>", escaped(&text.to_string()))
}

fn section(heading: &str, content: &str) -> String {
    format!("<section>{}\n{content}\n</section>", element("h2", "", heading))
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("<tr>{}</tr>\n", cells.into_iter().collect::<String>())
}

fn latencies(report: &Report) -> String {
    let head = QUANTILES.iter().map(|(name, _)| element("th", "", name));
    let mut rows = row(std::iter::once(element("th", "", "received after")).chain(head));
    let mut notes = String::new();
    for since in report.stamps() {
        let series = report.total.series(since);
        let cells = QUANTILES.iter().map(|(_, q)| element("td", "", at(&series.histogram, *q)));
        rows += &row(std::iter::once(element("th", "", since.name())).chain(cells));
        let left_out = left_out(series);
        if !left_out.is_empty() {
            notes += &element("p", "", format!("{}: {}", since.name(), left_out.trim()));
        }
    }
    let table = format!("<table class=\"numbers\">\n{rows}</table>");
    format!("{}{notes}{}", wide(&table), element("p", "note", NOTE))
}

/// What is as wide as it has to be, on a page that may not be.
fn wide(content: &str) -> String {
    format!("<div class=\"wide\">{content}</div>")
}

const NOTE: &str = "ts_event: it happened, or was due; ts_out: it was published; ts_send: its \
    batch was framed. All to the return of the read that brought it, on this client's clock.";

fn lines(report: &Report) -> String {
    let rows = report.lines().into_iter();
    let rows = rows.map(|(name, text)| row([element("th", "", name), element("td", "", text)]));
    format!("<table>\n{}</table>", rows.collect::<String>())
}

fn run(report: &Report) -> String {
    let host = &report.client_machine;
    let start = UNIX_EPOCH + Duration::from_nanos(report.start);
    let rows = [
        ("command", report.command.clone()),
        ("version", format!("broadtape {}", report.version)),
        ("window began", http_date(start)),
        ("CPU of the client", format!("{}, {} cores", host.cpu, host.cores)),
        ("cores it may use", host.allowed.clone()),
        ("kernel", host.kernel.clone()),
        ("load before", host.load.clone()),
    ];
    let rows = rows.map(|(name, text)| row([element("th", "", name), element("td", "", text)]));
    format!("<table>\n{}</table>", rows.concat())
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(time: std::time::SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

fn json(report: &Report) -> String {
    // A report is numbers and texts: it can't fail.
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    let json = format!("<pre id=\"json\">{}</pre>", escaped(&json));
    format!("<details>{}{json}</details>", element("summary", "", "as JSON"))
}

/// What a line of a chart stands for.
fn label(since: Since) -> String {
    format!("from {}", since.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::report::tests::report;

    #[test]
    fn texts_can_do_no_harm() {
        assert_eq!(escaped("<a href=\"x\">&\u{1}"), "&lt;a href=&quot;x&quot;&gt;&amp;\u{fffd}");
        let page = page(&report());
        assert!(page.contains("broadtape bench &lt;h&gt; &amp; &quot;more&quot;"));
        assert!(!page.contains("<script") && !page.contains("http://h"));
    }

    #[test]
    fn a_page_without_a_record_is_a_page() {
        let mut empty = report();
        empty.total = crate::cli::bench::interval::Interval::new().unwrap();
        (empty.records, empty.seconds) = (0, Vec::new());
        let page = page(&empty);
        assert!(page.contains("nothing was received") && !page.contains("NaN"), "{page}");
    }
}
