//! itch: Nasdaq TotalView-ITCH 5.0, from files of length-framed messages or captures of MoldUDP64.
//!
//! Times are ns since midnight in New York: a file needs `--date`, a capture has its own. Messages
//! about orders that were not seen (a file that starts mid-day) become nothing, and are counted.

mod convert;
mod message;
pub(super) mod orders;
#[cfg(test)]
mod tests;

use convert::Converter;
use message::{LONGEST, kind, parse};
use orders::TooMany;

use super::pcap::Capture;
use super::pcap::framing::Framing;
use super::pcap::stream::{Streams, Turn};
use super::source::{CUT, Decode, Decoded, Format, Recording, Records, Source, Stamp, Tally};
use super::time::{Date, Zone};
use crate::clock::UnixNanos;
use crate::limits::ORDERS_MAX;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};

/// Opens a recording.
///
/// # Errors
/// [`FileError`] where it is none, or its day is not known.
pub(super) fn open(recording: &Recording) -> Result<Box<dyn Source>, FileError> {
    let zone = recording.how.zone.clone().or_else(Zone::new_york);
    let zone = zone.ok_or_else(|| recording.fault("the time zone of New York is not known"))?;
    let mut inputs = Vec::new();
    for path in &recording.paths {
        inputs.push(Input::open(path)?);
    }
    let day = Day { date: recording.how.date, zone, midnight: None };
    let convert = Converter::default();
    if let [input] = &mut inputs[..]
        && !Capture::is_one(input)?
    {
        check_framing(input)?;
        let needed = "has times of day only: give its day, as in --date 2019-12-30";
        let midnight = day.date.and_then(|date| date.midnight(&day.zone));
        let midnight = midnight.ok_or_else(|| recording.fault(needed))?;
        let input = inputs.remove(0);
        let framed = Framed { input, messages: 0, midnight, convert };
        return Ok(Box::new(Decoded::new(framed)));
    }
    let streams = Streams::new(Framing::Mold, Capture::new(inputs)?);
    Ok(Box::new(Decoded::new(Captured { streams, day, convert })))
}

/// Refuses what does not begin with a message of ITCH.
fn check_framing(input: &mut Input) -> Result<(), FileError> {
    input.fill(3)?;
    let good = match *input.data() {
        [high, low, first, ..] => {
            kind(first).is_some_and(|(_, bytes)| bytes == usize::from(high) << 8 | usize::from(low))
        }
        _ => false,
    };
    let expected = "the length and the type of an ITCH 5.0 message, or a capture of MoldUDP64";
    if good { Ok(()) } else { Err(input.foreign(expected)) }
}

/// The day of a recording.
struct Day {
    date: Option<Date>,
    zone: Zone,
    midnight: Option<UnixNanos>,
}

impl Day {
    /// Its midnight; of a day that was not given, that of the first capture.
    fn midnight(&mut self, captured: UnixNanos) -> Option<UnixNanos> {
        if self.midnight.is_none() {
            let date = self.date.or_else(|| Date::of(captured, &self.zone));
            self.midnight = date.and_then(|date| date.midnight(&self.zone));
        }
        self.midnight
    }
}

/// Appends what a message becomes.
fn take(
    bytes: &[u8],
    times: (UnixNanos, Option<UnixNanos>),
    sequence: u64,
    convert: &mut Converter,
    out: &mut Records,
    tally: &mut Tally,
) -> Result<(), String> {
    let (kind, message) = parse(bytes)?;
    tally.message(kind);
    let (midnight, received) = times;
    let ts_event = midnight.saturating_add(message.time);
    let stamp = Stamp {
        publisher: Format::Itch.publisher(),
        instrument: u32::from(message.locate),
        ts_event,
        ts_recv: received.unwrap_or(ts_event),
        sequence: sequence as u32,
    };
    convert
        .convert(kind, &message, &stamp, out, tally)
        .map_err(|TooMany| format!("more than {ORDERS_MAX} orders rest"))
}

/// A file of messages, each after its length.
struct Framed {
    input: Input,
    messages: u64,
    midnight: UnixNanos,
    convert: Converter,
}

impl Decode for Framed {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        while out.is_empty() {
            let place = Place::Message { number: self.messages + 1, byte: self.input.consumed() };
            let mut need = 2;
            if self.input.fill(need)? {
                need +=
                    usize::from(u16::from_be_bytes([self.input.data()[0], self.input.data()[1]]));
            }
            let wrong = |reason| Err(self.input.fault(place, Fault::Format(reason)));
            if need > 2 + LONGEST {
                return wrong(format!("its length is {}; the longest has {LONGEST}", need - 2));
            }
            if !self.input.fill(need)? {
                self.say_cut(place, need, tally);
                return Ok(false);
            }
            let (times, number) = ((self.midnight, None), self.messages + 1);
            let Self { input, convert, .. } = self;
            let message = &input.data()[2..need];
            if let Err(reason) = take(message, times, number, convert, out, tally) {
                return Err(self.input.fault(place, Fault::Format(reason)));
            }
            self.messages = number;
            self.input.consume(need);
        }
        Ok(true)
    }

    fn extent(&self) -> Extent {
        self.input.extent()
    }
}

impl Framed {
    fn say_cut(&self, place: Place, need: usize, tally: &mut Tally) {
        let have = self.input.data().len();
        if have > 0 {
            tally.find(CUT, 1, || format!("{place}{have} of {need} bytes"));
        }
    }
}

/// A capture of MoldUDP64.
struct Captured {
    streams: Streams,
    day: Day,
    convert: Converter,
}

impl Decode for Captured {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        let Self { streams, day, convert } = self;
        streams.try_read(tally, |turn, tally| packet(&turn, day, convert, out, tally))
    }

    fn extent(&self) -> Extent {
        self.streams.capture().extent()
    }
}

/// Takes the messages of a packet whose turn it is. What is no ITCH message is counted: other feeds
/// of the exchange use the same protocol.
fn packet(
    turn: &Turn<'_>,
    day: &mut Day,
    convert: &mut Converter,
    out: &mut Records,
    tally: &mut Tally,
) -> Result<(), String> {
    let midnight = day.midnight(turn.time).ok_or("is from before 1970")?;
    let first = turn.head.sequence;
    let mut messages = Framing::Mold.messages(turn.bytes, &turn.head);
    for (message, sequence) in messages.by_ref().zip(first..) {
        if sequence < first + turn.skip {
            continue;
        }
        let times = (midnight, Some(turn.time));
        match take(message, times, sequence, convert, out, tally) {
            Err(reason) if reason.starts_with("more than") => return Err(reason),
            Err(reason) => {
                tally.find("messages that are not of ITCH 5.0", 1, || {
                    format!("number {sequence}: {reason}")
                });
            }
            Ok(()) => {}
        }
    }
    if messages.missing() > 0 {
        tally.find("messages that their packet doesn't hold", messages.missing(), || {
            format!("packet from number {first} on")
        });
    }
    Ok(())
}
