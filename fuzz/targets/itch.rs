//! Nasdaq TotalView-ITCH: messages with their lengths, or captures of MoldUDP64.
#![no_main]

use broadtape::feed::source::Format;
use broadtape_fuzz::{file, how, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(Format::Itch, vec![file("input.itch", data)], how()));
