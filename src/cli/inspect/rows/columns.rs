//! Parquet: a batch of rows at a time, and of these the columns that are wanted.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{Row, Rows, index_time};
use crate::clock::UnixNanos;
use crate::wire::file::{Extent, Fault, FileError, Place};

const WANTED: [&str; 6] =
    ["ts_recv", "ts_event", "rtype", "publisher_id", "instrument_id", "symbol"];
/// Rows of a batch.
const BATCH: usize = 8 << 10;

/// A file, and the batch that it is in.
struct Columns {
    name: String,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    /// Rows that were read, and all there are.
    rows: (u64, u64),
    size: u64,
}

/// Opens a file.
///
/// # Errors
/// It can't be opened, or is no Parquet.
pub(super) fn open(path: &Path) -> Result<Box<dyn Rows>, FileError> {
    let name = path.display().to_string();
    let failed = |fault| FileError { file: name.clone(), place: Place::File, fault };
    let file = File::open(path).map_err(|error| failed(Fault::Open(error)))?;
    let size = file.metadata().map_err(|error| failed(Fault::Open(error)))?.len();
    let foreign = |error: parquet::errors::ParquetError| {
        failed(Fault::Format(format!("is no Parquet that can be read: {error}")))
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(foreign)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let wanted = ProjectionMask::columns(builder.parquet_schema(), WANTED);
    let reader = builder.with_projection(wanted).with_batch_size(BATCH).build();
    let reader = reader.map_err(foreign)?;
    Ok(Box::new(Columns { name, reader, batch: None, at: 0, rows: (0, rows), size }))
}

impl Rows for Columns {
    fn next(&mut self) -> Result<Option<Row>, FileError> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.at < batch.num_rows()) {
                let row = row(batch, self.at);
                self.at += 1;
                self.rows.0 += 1;
                return row.map(Some).ok_or_else(|| {
                    let reason = format!(
                        "is not as an export: it has no {} in row {}",
                        WANTED[1..].join(", "),
                        self.rows.0
                    );
                    self.fault(reason)
                });
            }
            let Some(next) = self.reader.next() else { return Ok(None) };
            let next = next.map_err(|error| self.fault(format!("can't be read on: {error}")))?;
            (self.batch, self.at) = (Some(next), 0);
        }
    }

    fn extent(&self) -> Extent {
        let (read, all) = self.rows;
        let part = u128::from(self.size) * u128::from(read) / u128::from(all.max(1));
        Extent { size: self.size, read: part as u64 }
    }
}

impl Columns {
    fn fault(&self, reason: String) -> FileError {
        FileError { file: self.name.clone(), place: Place::File, fault: Fault::Format(reason) }
    }
}

/// A row of a batch; none where the columns are not those of an export.
fn row(batch: &RecordBatch, at: usize) -> Option<Row> {
    let number = |name| {
        let column = batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>()?;
        column.is_valid(at).then(|| column.value(at))
    };
    let symbols = batch.column_by_name("symbol")?.as_string_opt::<i32>()?;
    Some(Row {
        rtype: number("rtype")?.try_into().ok()?,
        time: index_time(time(batch, "ts_recv", at), time(batch, "ts_event", at)),
        publisher_id: number("publisher_id")?.try_into().ok()?,
        instrument_id: number("instrument_id")?.try_into().ok()?,
        symbol: symbols.is_valid(at).then(|| symbols.value(at).to_owned())?,
    })
}

/// A time, where there is one.
fn time(batch: &RecordBatch, name: &str, at: usize) -> Option<UnixNanos> {
    let column = batch.column_by_name(name)?.as_primitive_opt::<TimestampNanosecondType>()?;
    column.is_valid(at).then(|| column.value(at).try_into().ok())?
}
