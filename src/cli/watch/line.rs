//! An update as a line: columns for people, colours where they see them, JSON for programs.

use std::collections::HashMap;
use std::fmt::Write;

use super::price::Price;
use super::update::{Level, Side, Update};
use crate::clock::SECOND;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Aligned columns.
    Plain,
    /// Aligned columns: times dim, prices green where they rose, red where they fell.
    Coloured,
    /// A JSON object.
    Json,
}

/// Writes updates as lines.
pub(crate) struct Lines {
    style: Style,
    /// The last price of each symbol, and the colour of its last move.
    last: HashMap<String, (Price, &'static str)>,
}

impl Lines {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, last: HashMap::new() }
    }

    /// Appends one line.
    pub(crate) fn push(&mut self, update: &Update, out: &mut String) {
        if self.style == Style::Json {
            // Nothing but strings and numbers: it can't fail.
            out.push_str(&serde_json::to_string(update).unwrap_or_default());
            out.push('\n');
            return;
        }
        let (time, moved, back) = match self.style {
            Style::Coloured => (DIM, self.moved(update), PLAIN),
            _ => ("", "", ""),
        };
        let price = or_dash(update.price.map(|price| price.to_string()));
        let size = or_dash(update.size.map(|size| size.to_string()));
        let side = match update.side {
            Some(Side::Buy) => "buy",
            Some(Side::Sell) => "sell",
            None => "-",
        };
        let mut line = format!(
            "{time}{}{back}  {:<10}  {:<10}  {moved}{price:>12}{back}  {size:>8}  {side:<4}",
            clock(update.ts_event),
            update.symbol,
            update.schema,
        );
        // Writing to a string can't fail.
        let _ = write!(line, "  {:>20}  {:<20}", level(update.bid), level(update.ask));
        let _ = write!(line, "  {}", update.note);
        out.push_str(line.trim_end());
        out.push('\n');
    }

    /// The colour of a price's move; of its last one where it did not move.
    fn moved(&mut self, update: &Update) -> &'static str {
        let Some(price) = update.price else { return "" };
        let Some((last, colour)) = self.last.get_mut(&update.symbol) else {
            self.last.insert(update.symbol.clone(), (price, ""));
            return "";
        };
        if price != *last {
            *colour = if price > *last { GREEN } else { RED };
            *last = price;
        }
        colour
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn level(level: Option<Level>) -> String {
    or_dash(level.map(|level| format!("{} x {}", level.price, level.size)))
}

/// The time of day in UTC, to the microsecond.
fn clock(unix: u64) -> String {
    let seconds = unix / SECOND % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let micros = unix % SECOND / 1000;
    format!("{hours:02}:{minutes:02}:{:02}.{micros:06}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(price: i64) -> Update {
        let bare = Update::bare(1_719_878_280_123_456_789, "AAPL".to_owned(), "trades");
        let bid = Price::new(1_500_000_000).map(|price| Level { price, size: 3 });
        Update { price: Price::new(price), size: Some(7), side: Some(Side::Buy), bid, ..bare }
    }

    fn lines(style: Style, prices: &[i64]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::new(style), String::new());
        prices.iter().for_each(|price| lines.push(&trade(*price), &mut out));
        out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_hold_what_there_is_and_dashes() {
        let lines = lines(Style::Plain, &[1_000_000_000]);
        let columns: Vec<&str> = lines[0].split_whitespace().collect();
        let expected =
            ["23:58:00.123456", "AAPL", "trades", "1.00", "7", "buy", "1.50", "x", "3", "-"];
        assert_eq!(columns, expected);
    }

    #[test]
    fn a_rising_price_is_green_and_a_falling_one_red() {
        let lines = lines(Style::Coloured, &[2, 3, 3, 1]);
        assert!(!lines[0].contains(GREEN) && !lines[0].contains(RED));
        assert!(lines[1].contains(GREEN) && lines[2].contains(GREEN));
        assert!(lines[3].contains(RED) && !lines[3].contains(GREEN));
    }

    #[test]
    fn json_leaves_out_what_is_not_there() {
        let line = &lines(Style::Json, &[1_000_000_000])[0];
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["ts_event"], "1719878280123456789");
        assert_eq!((&json["price"], &json["side"]), (&"1.00".into(), &"buy".into()));
        assert!(json.get("ask").is_none() && json.get("note").is_none());
    }
}
