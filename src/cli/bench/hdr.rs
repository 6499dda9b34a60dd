//! `--hdr`: an HdrHistogram interval log (V2), one line a second and stamp, as its tools read it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};

use super::collector::Window;
use super::interval::{Interval, Since};
use crate::clock::SECOND;

/// The maximum column is in milliseconds, as HdrHistogram's own logs have it.
const MAX_DIVISOR: f64 = 1e6;

/// Where a log goes.
pub(crate) struct LogFile {
    writer: BufWriter<File>,
    serializer: V2DeflateSerializer,
}

impl LogFile {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let writer = BufWriter::new(File::create(path)?);
        Ok(Self { writer, serializer: V2DeflateSerializer::new() })
    }

    /// Writes the head of the log.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn begin(&mut self, window: Window) -> io::Result<Log<'_>> {
        let start = UNIX_EPOCH + Duration::from_nanos(window.start);
        let writer = IntervalLogWriterBuilder::new()
            .add_comment("broadtape bench: ns from a record's stamp (the tag) to its receipt")
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(MAX_DIVISOR)
            .begin_log_with(&mut self.writer, &mut self.serializer)?;
        Ok(Log { writer, window })
    }

    /// Writes out what is still buffered.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A log that is being written.
pub(crate) struct Log<'a> {
    writer: IntervalLogWriter<'a, 'a, BufWriter<File>, V2DeflateSerializer>,
    window: Window,
}

impl Log<'_> {
    /// Writes one second, a line for each stamp.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&mut self, interval: &Interval) -> io::Result<()> {
        let begin = interval.index as u64 * SECOND;
        let end = self.window.end_of(interval.index) - self.window.start;
        let (begin, length) = (Duration::from_nanos(begin), Duration::from_nanos(end - begin));
        for since in Since::ALL {
            let histogram = &interval.series(since).histogram;
            let written =
                self.writer.write_histogram(histogram, begin, length, Tag::new(since.name()));
            written.map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_log_reads_back_as_it_was_measured() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let window = Window { start: 1_000 * SECOND, end: 1_000 * SECOND + SECOND * 3 / 2 };
        let mut log_file = LogFile::create(file.path()).unwrap();
        let mut log = log_file.begin(window).unwrap();
        let mut interval = Interval::new().unwrap();
        for n in 1..=2 {
            let mut measure = interval.begin(Some(0), 1_000);
            (0..n).for_each(|_| measure.record(500, 900));
            measure.end();
            log.write(&interval.roll()).unwrap();
        }
        log_file.finish().unwrap();
        let text = std::fs::read(file.path()).unwrap();
        let mut seen = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            let LogEntry::Interval(line) = entry.unwrap() else { continue };
            let bytes = base64(line.encoded_histogram());
            let histogram: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            let tag = line.tag().unwrap().as_str().to_owned();
            seen.push((tag, line.start_timestamp(), line.duration(), histogram.len()));
        }
        assert_eq!(seen.len(), 6);
        let second = Duration::from_secs(1);
        assert_eq!(seen[0], ("ts_event".to_owned(), Duration::ZERO, second, 1));
        assert_eq!(seen[4], ("ts_out".to_owned(), second, second / 2, 2));
    }

    fn base64(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
        let group = |four: &[u8]| {
            let bits = four.iter().fold(0u32, |bits, digit| bits << 6 | u32::from(*digit));
            let bits = bits << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        };
        digits.chunks(4).flat_map(group).collect()
    }
}
