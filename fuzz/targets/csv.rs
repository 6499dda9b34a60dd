//! CSV files and the files that map their columns: a mapping, a line `---`, the rows.
#![no_main]

use broadtape::feed::source::{Format, How};
use broadtape_fuzz::{file, halves, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mapping, rows) = halves(data);
    let mapping = Some(file("columns.toml", mapping));
    read(Format::Csv, vec![file("input.csv", rows)], How { mapping, ..How::default() });
});
