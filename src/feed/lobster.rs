//! lobster: LOBSTER message files, `time,type,order,size,price,direction` a line.
//!
//! Times are seconds since midnight in New York, prices in 1e-4. Each line says all of its order,
//! so that nothing has to be known of those before it. Symbol and day are in the file's name
//! (`AAPL_2012-06-21_…_message_10.csv`), else `--symbol` and `--date` say them.

use std::path::Path;

use super::decimal::{Decimal, decimal};
use super::source::{
    CUT, Decode, Decoded, Format, Recording, Records, Source, Stamp, Tally, last, yes,
};
use super::time::{Date, Zone};
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};
use crate::wire::record::{Action, MboMsg, Side, StatusAction, StatusReason};

const EXPECTED: &str = "expected `time,type,order,size,price,direction`, as in a LOBSTER message \
                        file (not its order book file)";
/// 1e-9 in 1e-4, the unit of its prices.
const PRICE: i64 = 100_000;
/// The one instrument of a file.
const INSTRUMENT: u32 = 1;

/// Opens a recording.
///
/// # Errors
/// [`FileError`] where it is none, or its symbol or day are not known.
pub(super) fn open(recording: &Recording, path: &Path) -> Result<Box<dyn Source>, FileError> {
    let how = &recording.how;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut parts = name.split('_');
    let in_name = parts.next().zip(parts.next().and_then(Date::parse));
    let symbol = how.symbol.clone().or(in_name.map(|(symbol, _)| symbol.to_owned()));
    let symbol = symbol
        .ok_or_else(|| recording.fault("its name has no symbol: give it, as in --symbol AAPL"))?;
    let date = how.date.or(in_name.map(|(_, date)| date));
    let needed = "has times of day only, and no day in its name: give it, as in --date 2012-06-21";
    let zone = how.zone.clone().or_else(Zone::new_york);
    let midnight = date.zip(zone.as_ref()).and_then(|(date, zone)| date.midnight(zone));
    let midnight = midnight.ok_or_else(|| recording.fault(needed))?;
    Ok(Box::new(Decoded::new(Lobster { input: Input::open(path)?, symbol, midnight })))
}

struct Lobster {
    input: Input,
    symbol: String,
    midnight: UnixNanos,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    /// ns since midnight.
    time: u64,
    kind: u8,
    order: i64,
    size: u32,
    price: i64,
    /// The side of the order that rests.
    side: Side,
}

/// Reads a line.
fn row(line: &[u8]) -> Result<Row, String> {
    let mut fields = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut next = || fields.next().and_then(decimal);
    let whole = |d: Decimal| (d.places == 0).then_some(d.units);
    let row = (|| {
        let time = u64::try_from(next()?.price()?).ok()?;
        let kind = u8::try_from(whole(next()?)?).ok()?;
        let (order, size) = (whole(next()?)?, whole(next()?)?);
        let (price, direction) = (whole(next()?)?, whole(next()?)?);
        let side = if direction == 1 { Side::Bid } else { Side::Ask };
        let size = u32::try_from(size.max(0)).ok().filter(|size| *size != u32::MAX)?;
        Some(Row { time, kind, order, size, price, side })
    })();
    let shown = line[..line.len().min(60)].escape_ascii();
    let right = row.filter(|_| fields.next().is_none());
    right.ok_or_else(|| format!("is \"{shown}\"; {EXPECTED}"))
}

impl Decode for Lobster {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        while out.is_empty() {
            let Some(line) = self.input.line()? else { return Ok(false) };
            let number = self.input.lines();
            let text = &self.input.data()[..line.length];
            let cut = line.taken == line.length && number > 1;
            let told = row(text).and_then(|row| {
                take(&row, self.midnight, number)
                    .ok_or_else(|| {
                        format!("its time or its price is more than a record holds; {EXPECTED}")
                    })
                    .map(|stamp| (row, stamp))
            });
            match told {
                Ok((row, stamp)) => {
                    if number == 1 {
                        out.push(&stamp.mapping(&self.symbol));
                    }
                    convert(&row, &stamp, out, tally);
                }
                Err(reason) if cut => {
                    tally.find(CUT, 1, || format!("line {number} {reason}"));
                }
                Err(reason) => {
                    return Err(self.input.fault(Place::Line(number), Fault::Format(reason)));
                }
            }
            self.input.consume(line.taken);
        }
        Ok(true)
    }

    fn extent(&self) -> Extent {
        self.input.extent()
    }
}

/// What the records of a line have in common; none where its numbers are too large for any.
fn take(row: &Row, midnight: UnixNanos, number: u64) -> Option<Stamp> {
    row.price.checked_mul(PRICE)?;
    let time = midnight.checked_add(row.time)?;
    Some(Stamp {
        publisher: Format::Lobster.publisher(),
        instrument: INSTRUMENT,
        ts_event: time,
        ts_recv: time,
        sequence: number as u32,
    })
}

fn convert(row: &Row, stamp: &Stamp, out: &mut Records, tally: &mut Tally) {
    let price = row.price * PRICE;
    let order = |action, side, id: i64| stamp.mbo(action, side, id as u64, price, row.size);
    let ends = |record: MboMsg| MboMsg { flags: last(), ..record };
    let aggressor = if row.side == Side::Bid { Side::Ask } else { Side::Bid };
    let kind = match row.kind {
        1 => {
            out.push(&ends(order(Action::Add, row.side, row.order)));
            "1 new order"
        }
        2 | 3 => {
            out.push(&ends(order(Action::Cancel, row.side, row.order)));
            if row.kind == 2 { "2 cancellation of a part" } else { "3 deletion" }
        }
        4 => {
            out.push(&order(Action::Trade, aggressor, 0));
            out.push(&order(Action::Fill, row.side, row.order));
            out.push(&ends(order(Action::Cancel, row.side, row.order)));
            "4 execution"
        }
        5 => {
            out.push(&stamp.trade(aggressor, price, row.size));
            "5 execution of a hidden order"
        }
        6 => {
            out.push(&stamp.trade(Side::None, price, row.size));
            "6 cross trade"
        }
        7 => {
            let (action, trading, quoting) = match row.price {
                -1 => (StatusAction::Halt, false, false),
                0 => (StatusAction::Quoting, false, true),
                _ => (StatusAction::Trading, true, true),
            };
            let mut status = stamp.status(action, StatusReason::None);
            (status.is_trading, status.is_quoting) = (yes(trading), yes(quoting));
            out.push(&status);
            "7 halt"
        }
        _ => "other",
    };
    tally.message(kind);
    if kind == "other" {
        tally.skip(kind, "is of a type that LOBSTER doesn't have");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feed::source::testing::{bring, bring_bytes, damage, file, recording};
    use crate::wire::record::{rtype, u64_at};

    const FILE: &str = "34200.004241176,1,16113575,18,5853300,1\n34200.1,2,1,5,5853300,1\n\
                        34201,3,2,5,5853400,-1\n34202,4,3,7,5853400,-1\n34203,5,0,9,5853350,1\n\
                        34204,6,-1,10,5853350,-1\n34205,7,0,0,-1,-1\n34206,9,0,0,1,1\n";

    #[test]
    fn each_line_becomes_what_it_says() {
        let brought = bring_bytes(Format::Lobster, FILE.as_bytes());
        assert_eq!(brought.error, None);
        let event = |name: &str, order, cents: i64, size| {
            (name.to_owned(), order, cents * 100 * PRICE, size)
        };
        let expected = [
            event("AB.", 16_113_575, 58_533, 18),
            event("CB.", 1, 58_533, 5),
            event("CA.", 2, 58_534, 5),
            event("TB", 0, 58_534, 7),
            event("FA", 3, 58_534, 7),
            event("CA.", 3, 58_534, 7),
        ];
        assert_eq!(brought.events()[..6], expected);
        let sides: Vec<_> = brought.of(rtype::MBP_0).map(|trade| trade[29]).collect();
        assert_eq!((sides, brought.of(rtype::STATUS).count()), (vec![b'A', b'N'], 1));
        assert_eq!((brought.tally.total(), brought.tally.skipped.len()), (8, 1));
        let first = brought.of(rtype::MBO).next().unwrap();
        assert_eq!(u64_at(first, 8), 1_577_716_200_004_241_176);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, said) in [
            ("5859400,200,5853300,18,5859800,200,5853000,150\n", "line 1: is \"5859400,200,"),
            ("time,type,id,size,price,side\n", "not its order book file"),
            ("34200,1,1,1,9223372036854775807,1\n", "more than a record holds"),
            ("34200,1,1,1,1,1\nx\n34200,1,1,1,1,1\n", "line 2: is \"x\""),
        ] {
            let error = bring_bytes(Format::Lobster, text.as_bytes()).error.unwrap();
            assert!(error.contains(said), "{error}");
        }
        let cut = bring_bytes(Format::Lobster, &FILE.as_bytes()[..FILE.len() - 4]);
        assert_eq!(cut.tally.found("files that end within a message"), 1);
        let file = file(FILE.as_bytes());
        let mut of = recording(Format::Lobster, file.path());
        of.how = std::sync::Arc::default();
        assert!(bring(&of).error.unwrap().contains("as in --symbol AAPL"));
    }

    proptest! {
        #[test]
        fn damaged_files_are_read_or_refused(bytes in damage(FILE.as_bytes().to_vec())) {
            bring_bytes(Format::Lobster, &bytes);
        }
    }
}
