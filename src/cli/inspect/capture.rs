//! What is in a capture: its protocol, its lines, and what comes of them put together.

use std::path::Path;

use serde::Serialize;

use super::report::{bar, text};
use crate::feed::pcap::framing::Framing;
use crate::feed::pcap::stream::Streams;
use crate::feed::pcap::{Capture as Packets, Payload};
use crate::feed::source::Tally;
use crate::wire::file::{FileError, Input, Place};

/// Datagrams that are looked at to tell their protocol.
const LOOKED_AT: usize = 64;
/// Packets between two looks at the progress bar.
const BAR_EVERY: u64 = 1 << 12;
/// A packet of CME says when it was sent; captured it is within this, ns.
const CME_DELAY: u64 = 24 * 3_600_000_000_000;

/// What is in a capture.
#[derive(Debug, Serialize)]
pub(super) struct Capture {
    #[serde(serialize_with = "text")]
    pub(super) bytes: u64,
    pub(super) framing: &'static str,
    /// What its numbers count.
    pub(super) unit: &'static str,
    /// Packets of its streams.
    #[serde(serialize_with = "text")]
    pub(super) packets: u64,
    /// Those that are left when each comes once, in the order of its number.
    #[serde(serialize_with = "text")]
    pub(super) kept: u64,
    #[serde(serialize_with = "text")]
    pub(super) first_number: u64,
    #[serde(serialize_with = "text")]
    pub(super) last_number: u64,
    pub(super) lines: Vec<Line>,
    pub(super) found: Vec<Found>,
}

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) address: String,
    #[serde(serialize_with = "text")]
    pub(super) packets: u64,
    /// Packets that it was the first to bring.
    #[serde(serialize_with = "text")]
    pub(super) first: u64,
}

/// Something odd.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) what: &'static str,
    #[serde(serialize_with = "text")]
    pub(super) count: u64,
    pub(super) places: Vec<String>,
}

impl Capture {
    /// Reads a capture; none where the file is something else.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, FileError> {
        let mut input = Input::open(path)?;
        if !Packets::is_one(&mut input)? {
            return Ok(None);
        }
        let framing = framing(Packets::new(vec![input])?)?;
        let capture = Packets::open(&[path.to_owned()])?;
        let bytes = capture.extent().size;
        let (mut streams, mut tally) = (Streams::new(framing, capture), Tally::default());
        let bar = bar(bytes);
        let (mut kept, mut numbers, mut read) = (0, None, 0_u64);
        while streams.read(&mut tally, |turn, _| {
            kept += 1;
            let (first, last) = (turn.head.sequence, turn.head.sequence + turn.head.count - 1);
            let (from, to) = numbers.unwrap_or((first, last));
            numbers = Some((first.min(from), last.max(to)));
        })? {
            read += 1;
            if read.is_multiple_of(BAR_EVERY) {
                bar.set_position(streams.capture().extent().read);
            }
        }
        bar.finish_and_clear();
        Ok(Some(Self::new(framing, bytes, kept, numbers.unwrap_or_default(), &streams, tally)))
    }

    fn new(
        framing: Framing,
        bytes: u64,
        kept: u64,
        (first_number, last_number): (u64, u64),
        streams: &Streams,
        tally: Tally,
    ) -> Self {
        let lines = streams.lines().iter().map(|line| {
            let address = line.flow.to_string();
            Line { address, packets: line.packets, first: line.first }
        });
        let found = tally.findings.into_iter();
        let found = found.map(|f| Found { what: f.what, count: f.count, places: f.places });
        Self {
            bytes,
            framing: framing.name(),
            unit: framing.unit(),
            packets: streams.lines().iter().map(|line| line.packets).sum(),
            kept,
            first_number,
            last_number,
            lines: lines.collect(),
            found: found.collect(),
        }
    }
}

/// The protocol that all of its first datagrams are of.
fn framing(mut capture: Packets) -> Result<Framing, FileError> {
    let mut possible = vec![Framing::IexTp, Framing::Mold, Framing::Cme];
    let mut looked_at = 0;
    while let Some(packet) = capture.packet()?.filter(|_| looked_at < LOOKED_AT) {
        if let Payload::Udp(_, bytes) = packet.payload {
            looked_at += 1;
            possible.retain(|framing| match framing.head(bytes) {
                Ok(head) if *framing == Framing::Cme => {
                    head.sent.is_some_and(|sent| sent.abs_diff(packet.time) < CME_DELAY)
                }
                head => head.is_ok(),
            });
        }
    }
    match possible.first().filter(|_| looked_at > 0) {
        Some(framing) => Ok(*framing),
        None => {
            let reason = "is a capture, but not of MoldUDP64, IEX-TP or CME MDP 3";
            Err(capture.fault(Place::File, reason.to_owned()))
        }
    }
}
