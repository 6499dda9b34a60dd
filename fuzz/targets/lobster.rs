//! LOBSTER message files.
#![no_main]

use broadtape::feed::source::Format;
use broadtape_fuzz::{file, how, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(Format::Lobster, vec![file("input.csv", data)], how()));
