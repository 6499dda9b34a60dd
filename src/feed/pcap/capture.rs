//! Reads captures, packet by packet, never more than a window of them in memory. Several files
//! (each a line of one feed) are merged by the time of capture; each keeps its own order.

use std::path::PathBuf;

use super::block::{BEGIN, Container, Step};
use super::packet::{Payload, payload};
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Input, Place};

/// Open captures.
pub struct Capture {
    files: Vec<File>,
    /// The file whose packet was taken last: it moves on first.
    last: Option<usize>,
    cuts: Vec<Cut>,
}

/// A file that ends within a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(pub String);

struct File {
    input: Input,
    container: Container,
    packets: u64,
    head: Option<Head>,
    /// The newest time so far: its place among the others.
    key: UnixNanos,
}

/// The packet that a file stands at, at its window's start.
#[derive(Clone, Copy)]
struct Head {
    time: UnixNanos,
    link: u32,
    at: usize,
    length: usize,
    taken: usize,
}

/// A packet.
pub struct Packet<'a> {
    /// When it was captured.
    pub time: UnixNanos,
    /// Its place, for people.
    pub place: Place,
    /// What it holds.
    pub payload: Payload<'a>,
}

impl Capture {
    /// Is this how a capture begins?
    pub fn is_one(input: &mut Input) -> Result<bool, FileError> {
        input.fill(BEGIN)?;
        Ok(Container::begin(input.data()).is_some())
    }

    /// Opens files.
    ///
    /// # Errors
    /// [`FileError`]: the first that can't be opened or is no capture.
    pub fn open(paths: &[PathBuf]) -> Result<Self, FileError> {
        let inputs = paths.iter().map(|path| Input::open(path)).collect::<Result<_, _>>()?;
        Self::new(inputs)
    }

    /// Of open files.
    ///
    /// # Errors
    /// As for [`Capture::open`].
    pub fn new(inputs: Vec<Input>) -> Result<Self, FileError> {
        let files = inputs.into_iter().map(File::begin).collect::<Result<_, _>>()?;
        let mut capture = Self { files, last: None, cuts: Vec::new() };
        for file in 0..capture.files.len() {
            capture.load(file)?;
        }
        Ok(capture)
    }

    /// The next packet; none at the end of all.
    ///
    /// # Errors
    /// [`FileError`] where a file is damaged. One that ends within a packet ends there: see
    /// [`Capture::take_cut`].
    pub fn packet(&mut self) -> Result<Option<Packet<'_>>, FileError> {
        if let Some(file) = self.last.take() {
            self.load(file)?;
        }
        let heads = self.files.iter().enumerate().filter(|(_, file)| file.head.is_some());
        self.last = heads.min_by_key(|(at, file)| (file.key, *at)).map(|(at, _)| at);
        let Some(file) = self.last.map(|at| &self.files[at]) else { return Ok(None) };
        Ok(file.head.map(|head| {
            let bytes = &file.input.data()[head.at..head.at + head.length];
            let place = Place::Message { number: file.packets, byte: file.input.consumed() };
            Packet { time: head.time, place, payload: payload(head.link, bytes) }
        }))
    }

    /// Moves a file on to its next packet.
    fn load(&mut self, at: usize) -> Result<(), FileError> {
        if let Some(cut) = self.files[at].load()? {
            self.cuts.push(cut);
        }
        Ok(())
    }

    /// A file that was found to end within a packet, once.
    pub fn take_cut(&mut self) -> Option<Cut> {
        self.cuts.pop()
    }

    /// An error about the packet that came last, or about all of it.
    pub fn fault(&self, place: Place, reason: String) -> FileError {
        let at = self.last.unwrap_or_default();
        let file = self.files.get(at).map_or_else(String::new, |f| f.input.name().to_owned());
        FileError { file, place, fault: Fault::Format(reason) }
    }

    /// How far its files have been read.
    pub fn extent(&self) -> Extent {
        self.files.iter().map(|file| file.input.extent()).sum()
    }
}

impl File {
    fn begin(mut input: Input) -> Result<Self, FileError> {
        input.fill(BEGIN)?;
        let Some((container, taken)) = Container::begin(input.data()) else {
            return Err(input.foreign("a capture, pcap or pcapng"));
        };
        input.consume(taken);
        Ok(Self { input, container, packets: 0, head: None, key: 0 })
    }

    /// Moves on to the next packet, where there is one; says where the file is cut off.
    fn load(&mut self) -> Result<Option<Cut>, FileError> {
        if let Some(head) = self.head.take() {
            self.input.consume(head.taken);
        }
        let mut need = 1;
        loop {
            let place = Place::Message { number: self.packets + 1, byte: self.input.consumed() };
            if !self.input.fill(need)? {
                let have = self.input.data().len();
                let cut = format!("{}: {place}{have} of {need} bytes", self.input.name());
                return Ok((have > 0).then_some(Cut(cut)));
            }
            let step = self.container.step(self.input.data());
            match step.map_err(|reason| self.input.fault(place, Fault::Format(reason)))? {
                Step::Need(more) => need = more,
                Step::Skip(taken) => {
                    self.input.consume(taken);
                    need = 1;
                }
                Step::Packet(found) => {
                    let super::block::Found { time, link, at, length, taken } = found;
                    self.head = Some(Head { time, link, at, length, taken });
                    self.key = self.key.max(time);
                    self.packets += 1;
                    return Ok(None);
                }
            }
        }
    }
}
