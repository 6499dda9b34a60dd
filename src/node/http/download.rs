//! `/v1/recordings/NAME.dbn` and `.dbn.zst`: a recording, or a part of it, as a DBN file.
//!
//! A thread reads, chooses and encodes; what it makes waits in a few pieces for the client to take
//! them. A recording that turns out to be damaged breaks the connection off, so that no part is
//! taken for the whole; so does a file that is changed meanwhile.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::query::{self, Query};
use super::refusal::Refusal;
use super::{Payload, Reply, access};
use crate::clock::UnixNanos;
use crate::feed::replay::Records;
use crate::gate::Pieces;
use crate::limits::{DOWNLOAD_PIECE, DOWNLOAD_PIECES, DOWNLOADS_MAX};
use crate::node::report::{Missing, Status};
use crate::wire::file::{Compression, Encoder};
use crate::wire::filter::Filter;
use crate::wire::grant::Rights;
use crate::wire::record::{Schema, bytes_of, index_ts, mapping, publish_into, schemas};
use crate::wire::when::When;

/// What the paths of downloads begin with.
pub(super) const UNDER: &str = "/v1/recordings/";

/// What is counted of downloads, and how many there may be at once.
pub struct Downloads {
    places: Arc<Semaphore>,
    /// Begun.
    pub begun: AtomicU64,
    /// Broken off: the client went away, or the recording can't be read.
    pub broken: AtomicU64,
    /// Bytes that were made.
    pub bytes: AtomicU64,
}

impl Default for Downloads {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(DOWNLOADS_MAX));
        Self { places, begun: 0.into(), broken: 0.into(), bytes: 0.into() }
    }
}

/// What is to be sent.
struct Plan {
    path: PathBuf,
    compression: Compression,
    filter: Filter,
}

/// Begins a download; `file` is what stands behind [`UNDER`]. With `head` nothing but its head is
/// wanted.
pub(super) async fn begin(
    file: &str,
    query: Option<&str>,
    head: bool,
    status: &impl Status,
    rights: Option<&Rights>,
) -> Result<Reply, Refusal> {
    let (name, compression) = named(file)?;
    let query = Query::parse(query, &["start", "end", "schema", "symbols"])?;
    let filter = filter(&query, rights)?;
    let path = status.recording(&name).map_err(|missing| match missing {
        Missing::Absent => {
            let message = format!("there is no recording {name:?}; /v1/recordings lists them");
            Refusal::new(StatusCode::NOT_FOUND, "unknown_recording", message)
        }
        Missing::Unready(why) => Refusal::new(StatusCode::CONFLICT, "wrong_state", why),
    })?;
    let kind = match compression {
        Compression::Plain => "application/octet-stream",
        Compression::Zstd => "application/zstd",
    };
    let reply = |pieces| Reply { body: Payload::Pieces(pieces), ..Reply::new(kind, Vec::new()) };
    if head {
        return Ok(reply(mpsc::channel(1).1));
    }
    let downloads = status.downloads();
    let Ok(place) = downloads.places.clone().try_acquire_owned() else {
        let message = format!("{DOWNLOADS_MAX} downloads run already: come back later");
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message));
    };
    downloads.begun.fetch_add(1, Relaxed);
    let pieces = opened(Plan { path, compression, filter }, downloads.clone(), place).await?;
    Ok(reply(pieces))
}

/// The recording's name and how it is wanted.
fn named(file: &str) -> Result<(String, Compression), Refusal> {
    // A plus is a blank in a query only.
    let file = query::decoded(&file.replace('+', "%2B"))?;
    let forms = [(".dbn.zst", Compression::Zstd), (".dbn", Compression::Plain)];
    let mut found = forms.iter().filter_map(|(end, form)| Some((file.strip_suffix(end)?, *form)));
    match found.next().filter(|(name, _)| !name.is_empty()) {
        Some((name, form)) => Ok((name.to_owned(), form)),
        None => {
            let message = format!("{UNDER}{file} is nothing; a recording is NAME.dbn or .dbn.zst");
            Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", message))
        }
    }
}

/// What is asked for: `end` is the last time that is, as of a replay.
fn filter(query: &Query, rights: Option<&Rights>) -> Result<Filter, Refusal> {
    let bad = |words: String| Refusal::bad_request(400, "bad_params", words);
    let time = |name: &str| {
        let wrong = |error| bad(format!("parameter {name:?}: {error}"));
        query.get(name).map(|text| text.parse::<When>().map_err(wrong)).transpose()
    };
    let (start, end) = (time("start")?, time("end")?);
    let schema = |text: &str| {
        let all = || schemas().map(|s| s.as_str()).collect::<Vec<_>>().join(", ");
        let wrong = |_| bad(format!("parameter \"schema\" can't be {text:?}: it is {}", all()));
        text.parse::<Schema>().map_err(wrong)
    };
    let wanted = query.get("schema").map(|list| list.split(',').map(schema).collect());
    let wanted: Vec<Schema> = wanted.unwrap_or_else(|| Ok(Vec::new()))?;
    let symbols = if query.has("symbols") { query.symbols()? } else { Vec::new() };
    let symbols: Vec<String> = symbols.into_iter().map(str::to_owned).collect();
    let wanted = access::download(rights, wanted, &symbols)?;
    let after = end.map(|end| When(end.0.saturating_add(1)));
    Filter::new(start, after, &wanted, &symbols).map_err(bad)
}

/// Has a thread open the recording, and go on where it can be read.
async fn opened(
    plan: Plan,
    downloads: Arc<Downloads>,
    place: OwnedSemaphorePermit,
) -> Result<Pieces, Refusal> {
    let (sender, pieces) = mpsc::channel(DOWNLOAD_PIECES);
    let (ready, is_ready) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let Plan { path, compression, filter } = plan;
        let origin = Origin::of(&path);
        let opened = Records::open_within(vec![path], filter.from, filter.to);
        let records = match opened {
            Ok(records) => records,
            Err(error) => return drop(ready.send(Err(error.to_string()))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        let out = Chopper { sender, piece: Vec::with_capacity(DOWNLOAD_PIECE), downloads };
        send(records, filter, compression, out, &origin);
        drop(place);
    });
    match is_ready.await {
        Ok(Ok(())) => Ok(pieces),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a recording can't be downloaded");
            let message = "the recording can't be read; the server's log says why".to_owned();
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message))
        }
        Err(_) => {
            let message = "the server is shutting down".to_owned();
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "draining", message))
        }
    }
}

/// What is read, and what it was when that began.
struct Origin {
    path: PathBuf,
    about: Option<Metadata>,
}

impl Origin {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), about: fs::metadata(path).ok() }
    }

    /// Is it the file that it was, and has been written to? What has come in its place, or has been
    /// removed, was read as it was; a tape may grow.
    fn has_changed(&self) -> bool {
        let now = fs::metadata(&self.path).ok();
        let file = |about: &Metadata| (about.dev(), about.ino());
        let written = |about: &Metadata| (about.len(), about.mtime(), about.mtime_nsec());
        self.about.as_ref().zip(now.as_ref()).is_some_and(|(before, now)| {
            before.is_file() && file(before) == file(now) && written(before) != written(now)
        })
    }
}

/// Sends all of it, or breaks off.
fn send(records: Records, filter: Filter, form: Compression, out: Chopper, origin: &Origin) {
    let (sender, downloads) = (out.sender.clone(), out.downloads.clone());
    if let Err(error) = write(records, filter, form, out, origin) {
        downloads.broken.fetch_add(1, Relaxed);
        tracing::info!(recording = %origin.path.display(), %error, "a download is broken off");
        // Where the client is gone there is nobody to be told.
        let _ = sender.blocking_send(Err(error));
    }
}

fn write(
    mut records: Records,
    mut filter: Filter,
    form: Compression,
    out: Chopper,
    origin: &Origin,
) -> io::Result<()> {
    let contents = filter.narrow(records.contents(), records.instruments());
    let mut known = records.instruments().len();
    let mut encoder = Encoder::new(out, form, &contents)?;
    let mut published = Vec::new();
    while records.advance().map_err(io::Error::other)? {
        let (record, ts_out) = (records.record(), records.ts_out().unwrap_or_default());
        let mut put = |record: &[u8], ts_out: UnixNanos| {
            if !contents.ts_out {
                return encoder.write(record);
            }
            published.clear();
            publish_into(&mut published, record, ts_out);
            encoder.write(&published)
        };
        // What the metadata could not name is named in the stream.
        for new in &records.instruments()[known..] {
            if filter.has_symbol(&new.symbol) {
                let mapping = mapping(new.publisher, new.id, &new.symbol, index_ts(record));
                put(bytes_of(&mapping), ts_out)?;
            }
        }
        known = records.instruments().len();
        if filter.has(record) && filter.has_instrument_of(record, records.instruments()) {
            put(record, ts_out)?;
        }
    }
    // Cut short between two records it would seem whole.
    if origin.has_changed() {
        return Err(io::Error::other("the file was changed meanwhile"));
    }
    encoder.finish()?.flush()
}

/// Chops what is written into pieces, and waits where too many of them wait.
struct Chopper {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
    downloads: Arc<Downloads>,
}

impl Write for Chopper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == DOWNLOAD_PIECE {
            self.flush()?;
        }
        let fits = bytes.len().min(DOWNLOAD_PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = mem::replace(&mut self.piece, Vec::with_capacity(DOWNLOAD_PIECE));
        let length = piece.len() as u64;
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"))?;
        self.downloads.bytes.fetch_add(length, Relaxed);
        Ok(())
    }
}
