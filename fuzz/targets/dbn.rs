//! DBN files of versions 1 to 3 and fragments, plain or compressed.
#![no_main]

use broadtape::feed::source::{Format, How};
use broadtape_fuzz::{file, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(Format::Dbn, vec![file("input.dbn", data)], How::default()));
