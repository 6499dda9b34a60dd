//! Parquet: the columns of CSV, as what they are: times as UTC timestamps, prices as exact decimals
//! with 9 places, the undefined as null. zstd.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    Decimal128Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::sink::{Item, Sink, rtype_of};
use crate::wire::columns::{self, Column, Kind};
use crate::wire::file::{Contents, Draft, WriteError};
use crate::wire::record::{UNDEF_PRICE, UNDEF_TIMESTAMP};

/// Rows that are collected before they are encoded.
const ROWS: usize = 8 << 10;
/// Rows of one row group: what is held until it is written.
const GROUP: usize = 128 << 10;
/// Digits of the longest price, and how many of them are behind the point.
const PRICE: (u8, i8) = (19, 9);

/// Begins a file of the records of one schema.
///
/// # Errors
/// [`WriteError`]: a file is there, or none can be written.
pub(super) fn create(
    path: &Path,
    contents: &Contents,
    replace: bool,
) -> Result<Box<dyn Sink>, WriteError> {
    let mut columns = columns::of(contents.schema.map_or(0, rtype_of)).unwrap_or_default();
    let own = columns.len();
    if contents.ts_out {
        columns.push(Column { name: "ts_out".to_owned(), at: 0, kind: Kind::Time });
    }
    columns.push(Column { name: "symbol".to_owned(), at: 0, kind: Kind::Text(0) });
    let field = |column: &Column| Field::new(&column.name, data_type(column.kind), true);
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let (draft, file) = Draft::create(path, replace)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties));
    let writer = writer.map_err(|error| WriteError::new(path, io::Error::other(error)))?;
    let builders = columns.iter().map(|column| Builder::new(column.kind)).collect();
    Ok(Box::new(Columns { draft, writer, schema, columns, own, builders, rows: 0 }))
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::Price => DataType::Decimal128(PRICE.0, PRICE.1),
        Kind::Unsigned(_) => DataType::UInt64,
        Kind::Signed(_) => DataType::Int64,
        Kind::Char | Kind::Text(_) => DataType::Utf8,
    }
}

/// A column that grows.
enum Builder {
    Time(TimestampNanosecondBuilder),
    Price(Decimal128Builder),
    Unsigned(UInt64Builder),
    Signed(Int64Builder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        let of_type = || data_type(kind);
        match kind {
            Kind::Time => Self::Time(TimestampNanosecondBuilder::new().with_data_type(of_type())),
            Kind::Price => Self::Price(Decimal128Builder::new().with_data_type(of_type())),
            Kind::Unsigned(_) => Self::Unsigned(UInt64Builder::new()),
            Kind::Signed(_) => Self::Signed(Int64Builder::new()),
            Kind::Char | Kind::Text(_) => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends the value that `bytes` begins with.
    fn push(&mut self, kind: Kind, bytes: &[u8]) {
        match self {
            Self::Time(builder) => builder.append_option(time(kind.number(bytes))),
            Self::Price(builder) => {
                let price = kind.number(bytes) as i64;
                builder.append_option((price != UNDEF_PRICE).then_some(i128::from(price)));
            }
            Self::Unsigned(builder) => builder.append_value(kind.number(bytes)),
            Self::Signed(builder) => builder.append_value(kind.number(bytes) as i64),
            Self::Text(builder) if kind == Kind::Char => match bytes[0] {
                0 => builder.append_null(),
                byte => builder.append_value(std::ascii::escape_default(byte).to_string()),
            },
            Self::Text(builder) => builder.append_value(kind.text(bytes)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Time(builder) => Arc::new(builder.finish()),
            Self::Price(builder) => Arc::new(builder.finish()),
            Self::Unsigned(builder) => Arc::new(builder.finish()),
            Self::Signed(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A time, where it is one; arrow's reach to 2262.
fn time(ns: u64) -> Option<i64> {
    i64::try_from(ns).ok().filter(|ns| *ns != 0 && *ns as u64 != UNDEF_TIMESTAMP)
}

/// A Parquet file.
struct Columns {
    draft: Draft,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// How many of the columns are the record's own; `ts_out` and the symbol follow.
    own: usize,
    builders: Vec<Builder>,
    rows: usize,
}

impl Columns {
    /// Encodes the rows that were collected.
    fn put(&mut self) -> Result<(), WriteError> {
        self.rows = 0;
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other);
        let put = batch.and_then(|batch| self.writer.write(&batch).map_err(io::Error::other));
        put.map_err(|reason| WriteError::new(self.draft.path(), reason))
    }
}

impl Sink for Columns {
    fn write(&mut self, item: &Item<'_>) -> Result<(), WriteError> {
        let (own, others) = self.builders.split_at_mut(self.own);
        for (builder, column) in own.iter_mut().zip(&self.columns) {
            builder.push(column.kind, &item.record[column.at..]);
        }
        for builder in others {
            match builder {
                Builder::Time(builder) => builder.append_option(item.ts_out.and_then(time)),
                Builder::Text(builder) => builder.append_value(item.symbol),
                _ => {}
            }
        }
        self.rows += 1;
        if self.rows < ROWS { Ok(()) } else { self.put() }
    }

    fn finish(mut self: Box<Self>, _: &Contents) -> Result<u64, WriteError> {
        self.put()?;
        let Self { draft, writer, .. } = *self;
        let file = writer.into_inner().map_err(io::Error::other);
        let file = file.map_err(|reason| WriteError::new(draft.path(), reason))?;
        draft.commit(&file)
    }
}
