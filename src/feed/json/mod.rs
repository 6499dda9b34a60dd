//! json: recorded WebSocket messages of exchanges, one a line: Binance (spot, futures settled in
//! USD), Coinbase.
//!
//! Records hold whole sizes: an instrument's definition says what one of them is (its lot, in
//! `unit_of_measure_qty`). What is no whole number of lots is an error, never rounded.

mod binance;
mod chain;
mod coinbase;
mod convert;
mod event;
mod line;
#[cfg(test)]
mod tests;

use std::path::Path;

use dbn::InstrumentClass;
use simd_json::Buffers;

use convert::Converter;
use event::Event;
use line::{Line, line};

use super::lots::Lots;
use super::source::{CUT, Decode, Decoded, Format, Recording, Records, Source, Stamp, Tally};
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};

/// Opens a recording, which is looked through for the lots of its sizes.
///
/// # Errors
/// [`FileError`] where it is none.
pub(super) fn open(recording: &Recording, path: &Path) -> Result<Box<dyn Source>, FileError> {
    let mut lots = Lots::new(&recording.how);
    let format = recording.format;
    let mut measured = Lines { input: Input::open(path)?, format, buffers: Buffers::default() };
    let mut first = true;
    loop {
        let read = measured.next(|event, _, _| {
            event.sizes().into_iter().for_each(|size| lots.measure(event.symbol, size));
            Ok(())
        });
        match read {
            Ok(Read::Message | Read::Own) => first = false,
            Ok(Read::End) => break,
            Ok(Read::Torn(reason)) if first => return Err(measured.wrong(reason)),
            // Playing it will come to the place and tell it.
            Ok(Read::Torn(_) | Read::Wrong(_)) | Err(_) => break,
        }
    }
    let class = match format {
        Format::BinanceUsdm => InstrumentClass::Future,
        _ => InstrumentClass::FxSpot,
    };
    let lines = Lines { input: Input::open(path)?, ..measured };
    Ok(Box::new(Decoded::new(Json { lines, convert: Converter::new(lots, class) })))
}

/// The lines of a recording.
struct Lines {
    input: Input,
    format: Format,
    buffers: Buffers,
}

/// What a line was.
enum Read {
    Message,
    Own,
    /// No line of such a recording, or a part of one.
    Torn(String),
    /// One whose message makes no sense.
    Wrong(String),
    End,
}

impl Lines {
    /// Reads a line, and hands its message out with the time at which it came.
    fn next(
        &mut self,
        mut each: impl FnMut(&Event<'_>, UnixNanos, u64) -> Result<(), String>,
    ) -> Result<Read, FileError> {
        let Some(found) = self.input.line()? else { return Ok(Read::End) };
        let number = self.input.lines();
        let text = &mut self.input.data_mut()[..found.length];
        let read = match line(text) {
            Err(reason) => Read::Torn(reason),
            Ok(Line::Own) => Read::Own,
            Ok(Line::Message(time, json)) => {
                let json = &mut text[json];
                let event = match self.format {
                    Format::Coinbase => coinbase::parse(json, &mut self.buffers),
                    _ => binance::parse(json, &mut self.buffers),
                };
                match event.map(|event| each(&event, time, number)) {
                    Ok(told) => told.map_or_else(Read::Wrong, |()| Read::Message),
                    Err(reason) => Read::Torn(reason),
                }
            }
        };
        // A line without its end that can't be read was cut off with the file.
        let cut = found.taken == found.length;
        if matches!(read, Read::Message | Read::Own) || cut {
            self.input.consume(found.taken);
        }
        Ok(read)
    }

    /// Is it at its end?
    fn is_over(&mut self) -> Result<bool, FileError> {
        Ok(!self.input.fill(1)?)
    }

    /// An error about the line that was read last.
    fn wrong(&self, reason: String) -> FileError {
        self.input.fault(Place::Line(self.input.lines()), Fault::Format(reason))
    }
}

struct Json {
    lines: Lines,
    convert: Converter,
}

impl Decode for Json {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        let Self { lines, convert } = self;
        let publisher = lines.format.publisher();
        while out.is_empty() {
            let read = lines.next(|event, time, _| {
                tally.message(event.kind);
                let (ts_event, sequence) = (event.time.unwrap_or(time), event.sequence as u32);
                let stamp = Stamp { publisher, instrument: 0, ts_event, ts_recv: time, sequence };
                convert.convert(event, stamp, out, tally)
            });
            match read? {
                Read::Message => {}
                Read::Own => {
                    let number = lines.input.lines();
                    tally.find("lines of the recorder itself", 1, || format!("line {number}"));
                }
                Read::End => return Ok(false),
                Read::Torn(reason) if lines.is_over()? => {
                    let number = lines.input.lines();
                    tally.find(CUT, 1, || format!("line {number}: {reason}"));
                    return Ok(false);
                }
                Read::Torn(reason) | Read::Wrong(reason) => return Err(lines.wrong(reason)),
            }
        }
        Ok(true)
    }

    fn extent(&self) -> Extent {
        self.lines.input.extent()
    }
}
