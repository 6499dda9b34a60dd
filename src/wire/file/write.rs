//! Writes DBN files, as version 3, plain or compressed with zstd.
//!
//! [`Encoder`] writes to anything, metadata first. [`Writer`] writes a file, whose metadata need
//! not be known before its records are: what was said at the beginning is corrected at the end, in
//! place where that can be (a plain file, metadata of the same length), else with the records
//! written once more. So who knows it from the start pays for one pass. A compressed file is one
//! zstd frame, because common readers stop after the first.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::Contents;
use super::draft::{Draft, WriteError};

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// How a file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    Plain,
    /// zstd, at its default level, with a checksum.
    Zstd,
}

impl Compression {
    /// What a file's name says: `.zst` or not.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "zst" => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// A stream of DBN.
pub struct Encoder<W: Write>(Body<W>);

enum Body<W: Write> {
    Plain(BufWriter<W>),
    Zstd(BufWriter<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// Begins a stream with its metadata.
    ///
    /// # Errors
    /// What `out` fails with; a symbol that is longer than DBN's.
    pub fn new(out: W, compression: Compression, contents: &Contents) -> io::Result<Self> {
        Self::with_head(out, compression, &contents.encode()?)
    }

    fn with_head(out: W, compression: Compression, head: &[u8]) -> io::Result<Self> {
        let mut body = match compression {
            Compression::Plain => Body::Plain(BufWriter::with_capacity(BUFFER, out)),
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, 0)?;
                encoder.include_checksum(true)?;
                Body::Zstd(BufWriter::with_capacity(BUFFER, encoder))
            }
        };
        body.write(head)?;
        Ok(Self(body))
    }

    /// Appends a record, or several whole ones: bare, or published where the metadata says
    /// `ts_out`.
    ///
    /// # Errors
    /// What `out` fails with.
    #[inline]
    pub fn write(&mut self, records: &[u8]) -> io::Result<()> {
        self.0.write(records)
    }

    /// Ends the stream and gives `out` back.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Body::Plain(out) => out.into_inner().map_err(io::IntoInnerError::into_error),
            Body::Zstd(out) => out.into_inner().map_err(io::IntoInnerError::into_error)?.finish(),
        }
    }
}

impl<W: Write> Body<W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Zstd(out) => out.write_all(bytes),
        }
    }
}

/// A DBN file in the making.
pub struct Writer {
    draft: Draft,
    compression: Compression,
    encoder: Encoder<File>,
    head: Vec<u8>,
    records: u64,
}

impl Writer {
    /// Begins a file, compressed where its name ends in `.zst`. `contents`: what is known of it;
    /// [`Writer::finish`] may know better. `replace`: a file of this name is replaced at the end.
    ///
    /// # Errors
    /// [`WriteError`]: a file is there, or none can be written.
    pub fn create(path: &Path, contents: &Contents, replace: bool) -> Result<Self, WriteError> {
        let compression = Compression::of(path);
        let (draft, file) = Draft::create(path, replace)?;
        let begin = || {
            let head = contents.encode()?;
            let encoder = Encoder::with_head(file, compression, &head)?;
            Ok((head, encoder))
        };
        let (head, encoder) = begin().map_err(|reason| WriteError::new(path, reason))?;
        Ok(Self { draft, compression, encoder, head, records: 0 })
    }

    /// Appends a record: bare, or published where the contents say `ts_out`.
    ///
    /// # Errors
    /// What the disk fails with.
    #[inline]
    pub fn write(&mut self, record: &[u8]) -> Result<(), WriteError> {
        self.records += 1;
        self.encoder.write(record).map_err(|reason| WriteError::new(self.draft.path(), reason))
    }

    /// Records written.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Ends the file, whose contents are these, and gives it its name. Returns its bytes.
    ///
    /// # Errors
    /// What the disk fails with; there is no file then.
    pub fn finish(self, contents: &Contents) -> Result<u64, WriteError> {
        let Self { draft, compression, encoder, head: before, .. } = self;
        let path = draft.path().to_owned();
        let error = |reason| WriteError::new(&path, reason);
        let head = contents.encode().map_err(error)?;
        let mut file = encoder.finish().map_err(error)?;
        if head == before {
            return draft.commit(&file);
        }
        file.seek(SeekFrom::Start(0)).map_err(error)?;
        if compression == Compression::Plain && head.len() == before.len() {
            file.write_all(&head).map_err(error)?;
            return draft.commit(&file);
        }
        let out = draft.again()?;
        let out = rewrite(file, compression, before.len(), out, &head).map_err(error)?;
        draft.commit(&out)
    }
}

/// Writes the records of `file` once more, behind another head.
fn rewrite(
    file: File,
    compression: Compression,
    skip: usize,
    out: File,
    head: &[u8],
) -> io::Result<File> {
    let mut records: Box<dyn Read> = match compression {
        Compression::Plain => Box::new(file),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    };
    io::copy(&mut records.by_ref().take(skip as u64), &mut io::sink())?;
    let mut encoder = Encoder::with_head(out, compression, head)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match records.read(&mut buffer) {
            Ok(0) => return encoder.finish(),
            Ok(read) => encoder.write(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use dbn::decode::{DbnMetadata, DecodeRecordRef};

    use super::*;
    use crate::wire::file::Reader;
    use crate::wire::record::{Schema, TradeMsg, bytes_of, header, publish_into, rtype};

    fn trade(id: u32, ts: u64) -> TradeMsg {
        let hd = header::<TradeMsg>(rtype::MBP_0, 64_000, id, ts);
        TradeMsg { hd, ts_recv: ts, price: 5, ..TradeMsg::default() }
    }

    fn contents(symbols: &[&str]) -> Contents {
        let symbols = symbols.iter().zip(7..).map(|(name, id)| ((*name).to_owned(), id)).collect();
        let schema = Some(Schema::Trades);
        let (start, end) = (1_700_000_000_000_000_000, 1_700_100_000_000_000_000);
        let dataset = "TEST".to_owned();
        Contents { dataset, schema, start, end, symbols, ..Contents::default() }
    }

    /// Writes 1,000 trades with one guess of the contents and another truth.
    fn write(name: &str, guess: &Contents, truth: &Contents) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut writer = Writer::create(&path, guess, false).unwrap();
        let mut records = Vec::new();
        for n in 0..1_000 {
            let trade = trade(7, n);
            match guess.ts_out {
                true => publish_into(&mut records, bytes_of(&trade), 2 * n),
                false => records.extend_from_slice(bytes_of(&trade)),
            }
            let record = if guess.ts_out { 56 } else { 48 };
            writer.write(&records[records.len() - record..]).unwrap();
        }
        assert_eq!(writer.records(), 1_000);
        assert_eq!(writer.finish(truth).unwrap(), path.metadata().unwrap().len());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut reader = Reader::open(&path).unwrap();
        while reader.advance().unwrap() {}
        assert_eq!((reader.records(), reader.metadata()), (1_000, Some(&truth.metadata())));
        let raw = File::open(&path).unwrap();
        let mut decoder = dbn::decode::DynDecoder::inferred_with_buffer(
            io::BufReader::new(raw),
            dbn::VersionUpgradePolicy::AsIs,
        )
        .unwrap();
        assert_eq!(decoder.metadata(), &truth.metadata());
        let mut official = Vec::new();
        while let Some(record) = decoder.decode_record_ref().unwrap() {
            official.extend_from_slice(record.as_ref());
        }
        assert!(official == records, "{name}: the official reader reads what was written");
    }

    #[test]
    fn a_file_says_at_its_beginning_what_was_known_at_its_end() {
        let (one, two) = (contents(&["A"]), contents(&["A", "A/B"]));
        let later = Contents { end: one.end + 1, ..one.clone() };
        let ts_out = Contents { ts_out: true, schema: None, ..one.clone() };
        for name in ["a.dbn", "a.dbn.zst"] {
            write(name, &one, &one);
            write(name, &one, &later);
            write(name, &Contents::default(), &two);
            write(name, &ts_out, &ts_out);
        }
    }

    #[test]
    fn symbols_that_no_file_holds_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(71);
        let refused = Writer::create(&folder.path().join("a.dbn"), &contents(&[&long]), false);
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("a.dbn") && refused.contains("too long"), "{refused}");
    }
}
