//! IEX TOPS and DEEP: captures, one or the two lines of a feed.
#![no_main]

use broadtape::feed::source::{Format, How};
use broadtape_fuzz::{file, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let paths = match choice % 2 {
        0 => vec![file("input.pcap", data)],
        _ => {
            let (a, b) = data.split_at(data.len() / 2);
            vec![file("a.pcap", a), file("b.pcap", b)]
        }
    };
    read(Format::Iex, paths, How::default());
});
