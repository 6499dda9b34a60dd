//! csv: any CSV of trades, quotes or orders, with a file that maps its columns (`--mapping`).

pub(crate) mod fields;
mod mapping;
#[cfg(test)]
mod tests;

use std::path::Path;

use fields::split;
use mapping::{Column, Field, Mapping, Unit};

use super::decimal::{Decimal, decimal};
use super::lots::whole;
use super::quotes::Quotes;
use super::source::{
    CUT, Decode, Decoded, Format, How, Lot, Recording, Records, Source, Stamp, Tally,
};
use super::symbols::Symbols;
use super::time::Zone;
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};
use crate::wire::record::{Action, Schema, Side, UNDEF_PRICE};

/// Opens a recording.
///
/// # Errors
/// [`FileError`] where it, or its mapping, can't be read.
pub(super) fn open(recording: &Recording, path: &Path) -> Result<Box<dyn Source>, FileError> {
    let needed = "needs a file that maps its columns, as in --mapping columns.toml";
    let mapping = recording.how.mapping.as_ref().ok_or_else(|| recording.fault(needed))?;
    let mapping = Mapping::open(mapping)?;
    let schema = mapping.schema().map_err(|reason| recording.fault(&reason))?;
    let zone = recording.how.zone.clone().or_else(|| Zone::parse("UTC"));
    let zone = zone.ok_or_else(|| recording.fault("the time zone UTC is not known"))?;
    let mut input = Input::open(path)?;
    let columns = columns(&mapping, &mut input)?;
    let how = (*recording.how).clone();
    let (symbols, quotes) = (Symbols::default(), Quotes::default());
    let rows = Rows { mapping, schema, columns, zone, how, symbols, quotes };
    Ok(Box::new(Decoded::new(Csv { input, rows })))
}

/// Where each field stands, from 0; takes the header's line.
fn columns(mapping: &Mapping, input: &mut Input) -> Result<Vec<(Field, usize)>, FileError> {
    let mut names = Vec::new();
    if mapping.header
        && let Some(line) = input.line()?
    {
        let text = std::str::from_utf8(&input.data()[..line.length]).map_err(|e| e.to_string());
        let split =
            text.and_then(|text| split(text.trim_start_matches('\u{feff}'), mapping.delimiter));
        names = split.map_err(|reason| wrong(input, reason))?;
        input.consume(line.taken);
    }
    let place = |(field, column): (&Field, &Column)| match column {
        Column::Number(number) => Ok((*field, number - 1)),
        Column::Name(name) => match names.iter().position(|known| known.trim() == name) {
            Some(at) => Ok((*field, at)),
            None => {
                let reason = format!("no column {name:?} in the header; it has {names:?}");
                Err(wrong(input, reason.chars().take(500).collect()))
            }
        },
    };
    mapping.columns.iter().map(place).collect()
}

fn wrong(input: &Input, reason: String) -> FileError {
    input.fault(Place::Line(input.lines()), Fault::Format(reason))
}

struct Csv {
    input: Input,
    rows: Rows,
}

/// What lines are read by.
struct Rows {
    mapping: Mapping,
    schema: Schema,
    columns: Vec<(Field, usize)>,
    zone: Zone,
    how: How,
    symbols: Symbols,
    quotes: Quotes,
}

impl Decode for Csv {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        while out.is_empty() {
            let Some(line) = self.input.line()? else { return Ok(false) };
            let text = std::str::from_utf8(&self.input.data()[..line.length]);
            let number = self.input.lines();
            let told = match text.map_err(|error| error.to_string()) {
                Ok("") => Ok(()),
                Ok(text) => self.rows.take(text, number, out, tally),
                Err(reason) => Err(reason),
            };
            let cut = line.taken == line.length && number > 2;
            match told {
                Err(reason) if cut => {
                    tally.find(CUT, 1, || format!("line {number}: {reason}"));
                }
                told => told.map_err(|reason| wrong(&self.input, reason))?,
            }
            self.input.consume(line.taken);
        }
        Ok(true)
    }

    fn extent(&self) -> Extent {
        self.input.extent()
    }
}

/// A line's fields, by what they are.
struct Row<'a> {
    fields: &'a [String],
    columns: &'a [(Field, usize)],
}

impl Row<'_> {
    /// A field that may be missing or empty.
    fn text(&self, field: Field) -> Option<&str> {
        let at = self.columns.iter().find(|(known, _)| *known == field)?.1;
        self.fields.get(at).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn needed(&self, field: Field) -> Result<&str, String> {
        self.text(field).ok_or_else(|| format!("has no {field:?}"))
    }

    /// A price; undefined where it is empty.
    fn price(&self, field: Field) -> Result<i64, String> {
        let Some(text) = self.text(field) else { return Ok(UNDEF_PRICE) };
        let price = decimal(text.as_bytes()).and_then(Decimal::price);
        price.ok_or_else(|| {
            format!("{field:?} {text:?} is no decimal with at most 9 places, within ±9223372036")
        })
    }
}

impl Rows {
    fn take(
        &mut self,
        line: &str,
        number: u64,
        out: &mut Records,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let fields = split(line, self.mapping.delimiter)?;
        let row = Row { fields: &fields, columns: &self.columns };
        let ts_event = self.time(row.needed(Field::Time)?)?;
        let ts_recv = row.text(Field::Received).map_or(Ok(ts_event), |text| self.time(text))?;
        let symbol = row.needed(Field::Symbol)?;
        let kind = self.schema.as_str();
        tally.message(kind);
        let Some(lot) = self.lot(symbol) else {
            tally.skip(kind, "is of an instrument that is left out");
            return Ok(());
        };
        let given = row.text(Field::Sequence).map(|text| {
            text.parse::<u64>().map_err(|_| format!("sequence {text:?} is no whole number"))
        });
        let sequence = given.transpose()?.unwrap_or(number) as u32;
        let publisher = Format::Csv.publisher();
        let mut stamp = Stamp { publisher, instrument: 0, ts_event, ts_recv, sequence };
        if self.symbols.id(symbol, &mut stamp, out)? {
            let mut definition = stamp.definition(symbol);
            let places = || format!("lot {lot} of {symbol} has more than 9 places");
            definition.unit_of_measure_qty = lot.price().ok_or_else(places)?;
            (definition.min_lot_size, definition.min_lot_size_round_lot) = (1, 1);
            out.push(&definition);
        }
        let size = |field| row.text(field).map_or(Ok(0), |size| whole(symbol, size, lot));
        match self.schema {
            Schema::Mbp1 => {
                let bid = (row.price(Field::Bid)?, size(Field::BidSize)?);
                let ask = (row.price(Field::Ask)?, size(Field::AskSize)?);
                self.quotes.quote(bid, ask, &stamp, out);
            }
            Schema::Trades => {
                let side = self.side(row.text(Field::Side))?;
                out.push(&stamp.trade(side, row.price(Field::Price)?, size(Field::Size)?));
            }
            _ => {
                let side = self.side(row.text(Field::Side))?;
                let id = row.needed(Field::Order)?;
                let id = id.parse().map_err(|_| format!("order {id:?} is no whole number"))?;
                let action = action(row.needed(Field::Action)?)?;
                let (price, size) = (row.price(Field::Price)?, size(Field::Size)?);
                out.push(&stamp.mbo(action, side, id, price, size));
                out.end_event();
            }
        }
        Ok(())
    }

    fn time(&self, text: &str) -> Result<UnixNanos, String> {
        // ns of one unit.
        let unit: i128 = match self.mapping.time {
            Unit::Iso => {
                let time = self.zone.time(text);
                return time.ok_or_else(|| {
                    format!("time {text:?} is not in ISO 8601, or not within 1970 to 2554")
                });
            }
            Unit::S => 1_000_000_000,
            Unit::Ms => 1_000_000,
            Unit::Us => 1_000,
            Unit::Ns => 1,
        };
        let number = decimal(text.as_bytes());
        let nanos = number.and_then(|number| {
            let nanos = i128::from(number.units) * unit / 10_i128.pow(number.places);
            u64::try_from(nanos).ok()
        });
        nanos.ok_or_else(|| format!("time {text:?} is no time from 1970 to 2554"))
    }

    fn side(&self, text: Option<&str>) -> Result<Side, String> {
        let Some(text) = text else { return Ok(Side::None) };
        let sides = &self.mapping.sides;
        match (sides.buy.iter().any(|s| s == text), sides.sell.iter().any(|s| s == text)) {
            (true, _) => Ok(Side::Bid),
            (_, true) => Ok(Side::Ask),
            _ => {
                let (buy, sell) = (sides.buy.join(", "), sides.sell.join(", "));
                Err(format!("side {text:?} is neither {buy} nor {sell}"))
            }
        }
    }

    /// The lot of a symbol, 1 where none was given; none: it is left out.
    fn lot(&self, symbol: &str) -> Option<Decimal> {
        let given = self.how.lots.iter().find(|(known, _)| known == symbol);
        match given.map_or(Lot::Of(Decimal { units: 1, places: 0 }), |(_, lot)| *lot) {
            Lot::Of(lot) => Some(lot),
            Lot::Skip => None,
        }
    }
}

/// An action, as DBN writes it.
fn action(text: &str) -> Result<Action, String> {
    Ok(match text {
        "A" => Action::Add,
        "M" => Action::Modify,
        "C" => Action::Cancel,
        "R" => Action::Clear,
        "T" => Action::Trade,
        "F" => Action::Fill,
        _ => return Err(format!("action {text:?} is none of A, M, C, R, T, F")),
    })
}
