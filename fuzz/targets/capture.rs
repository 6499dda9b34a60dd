//! Captures of networks, their protocols, and what comes of the lines put together.
#![no_main]

use broadtape::feed::pcap::Capture;
use broadtape::feed::pcap::framing::Framing;
use broadtape::feed::pcap::stream::Streams;
use broadtape::feed::source::Tally;
use broadtape_fuzz::file;
use libfuzzer_sys::fuzz_target;

const PROTOCOLS: [Framing; 3] = [Framing::Mold, Framing::IexTp, Framing::Cme];

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let Ok(capture) = Capture::open(&[file("input.pcap", data)]) else { return };
    let framing = PROTOCOLS[usize::from(*choice) % PROTOCOLS.len()];
    let (mut streams, mut tally) = (Streams::new(framing, capture), Tally::default());
    let mut bytes = 0;
    while streams.read(&mut tally, |turn, _| bytes += turn.bytes.len()).is_ok_and(|more| more) {}
    assert!(bytes <= data.len(), "no more comes out than was in it");
});
