//! What our tools read of a server: frames, batches of records, JSON data messages.
#![no_main]

use broadtape::cli::client::{batch, frame, json};
use broadtape::limits::{RECORD_MAX, RECORD_MIN, SERVER_MESSAGE_MAX};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

/// Some of the fields that tools read.
#[derive(Deserialize)]
#[allow(dead_code, reason = "read, not used")]
struct Fields<'a> {
    ts_out: Option<json::Time>,
    #[serde(borrow)]
    price: Option<&'a str>,
    symbol: Option<&'a str>,
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some((frame, taken))) = frame::next(rest) {
        assert!(frame.payload.len() <= SERVER_MESSAGE_MAX && taken <= rest.len());
        match frame.opcode {
            frame::BINARY => records(frame.payload),
            _ if json::is_data(frame.payload) => _ = json::read::<Fields<'_>>(frame.payload),
            _ => {}
        }
        rest = &rest[taken..];
    }
});

fn records(payload: &[u8]) {
    let Ok(batch) = batch::Batch::open(payload) else { return };
    let (mut bytes, mut whole) = (broadtape::limits::BATCH_HEADER, true);
    for record in batch {
        match record {
            Ok(record) => {
                assert!((RECORD_MIN..=RECORD_MAX).contains(&record.len()));
                bytes += record.len();
            }
            Err(error) => whole = error.to_string().is_empty(),
        }
    }
    assert!(!whole || bytes == payload.len(), "records and header are all of a batch");
}
