//! iex: IEX TOPS 1.6 and DEEP 1.0 from captures of IEX-TP, pcap or pcapng.

mod convert;
mod message;
#[cfg(test)]
mod tests;

use convert::Converter;
use message::parse;

use super::pcap::Capture;
use super::pcap::framing::Framing;
use super::pcap::stream::{Streams, Turn};
use super::source::{Decode, Decoded, Format, Recording, Records, Source, Stamp, Tally};
use crate::wire::file::{Extent, FileError};

/// Message protocols of IEX-TP: TOPS 1.6, DEEP 1.0.
const PROTOCOLS: [u16; 2] = [0x8003, 0x8004];

/// Opens a recording.
///
/// # Errors
/// [`FileError`] where it is none.
pub(super) fn open(recording: &Recording) -> Result<Box<dyn Source>, FileError> {
    let capture = Capture::open(&recording.paths)?;
    let streams = Streams::new(Framing::IexTp, capture);
    Ok(Box::new(Decoded::new(Iex { streams, convert: Converter::default() })))
}

struct Iex {
    streams: Streams,
    convert: Converter,
}

impl Decode for Iex {
    fn decode(&mut self, out: &mut Records, tally: &mut Tally) -> Result<bool, FileError> {
        let Self { streams, convert } = self;
        streams.try_read(tally, |turn, tally| packet(&turn, convert, out, tally))
    }

    fn extent(&self) -> Extent {
        self.streams.capture().extent()
    }
}

/// Takes the messages of a packet whose turn it is.
fn packet(
    turn: &Turn<'_>,
    convert: &mut Converter,
    out: &mut Records,
    tally: &mut Tally,
) -> Result<(), String> {
    let first = turn.head.sequence;
    let protocol = turn.head.protocol;
    if !PROTOCOLS.contains(&protocol) {
        let what = "packets of another protocol than TOPS 1.6 and DEEP 1.0";
        tally.find(what, 1, || format!("number {first}: {protocol:#06x}"));
        return Ok(());
    }
    let mut messages = Framing::IexTp.messages(turn.bytes, &turn.head);
    for (bytes, sequence) in messages.by_ref().zip(first..) {
        if sequence < first + turn.skip {
            continue;
        }
        let (kind, message) = match parse(bytes) {
            Ok(parsed) => parsed,
            Err(reason) => {
                let what = "messages that are not of TOPS 1.6 or DEEP 1.0";
                tally.find(what, 1, || format!("number {sequence}: {reason}"));
                continue;
            }
        };
        tally.message(kind);
        let stamp = Stamp {
            publisher: Format::Iex.publisher(),
            instrument: 0,
            ts_event: message.time,
            ts_recv: turn.time,
            sequence: sequence as u32,
        };
        convert.convert(kind, &message, stamp, out, tally)?;
    }
    if messages.missing() > 0 {
        let what = "messages that their packet doesn't hold";
        tally.find(what, messages.missing(), || format!("packet from number {first} on"));
    }
    Ok(())
}
