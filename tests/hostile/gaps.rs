//! A ring so small that its reader is overtaken: what is lost is said, to the record.

use serde_json::Value;

use crate::raw::{Frame, Raw};
use crate::server::Server;

/// Where a trade has its venue's number.
const SEQUENCE: usize = 44;

/// The numbers of the trades in a batch.
fn numbers(frame: &Frame) -> Vec<u32> {
    let mut records = &frame.payload[24..];
    let mut numbers = Vec::new();
    while let Some(words) = records.first() {
        let (record, rest) = records.split_at(usize::from(*words) * 4);
        if record[1] == 0 {
            numbers.push(u32::from_le_bytes(record[SEQUENCE..SEQUENCE + 4].try_into().unwrap()));
        }
        records = rest;
    }
    numbers
}

fn long(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn what_is_lost_is_announced_to_the_record() {
    let server = Server::start(&["--ring", "64KiB", "--rate", "3000000", "--symbols", "1000"]);
    let mut raw = Raw::open(&server, "dbn");
    let wish = serde_json::json!({"schema": "trades", "symbols": "*", "snapshot": false});
    assert_eq!(raw.ask(1, "subscribe", wish)["success"], true);
    let (mut last, mut announced, mut gaps) = (None::<u32>, 0, 0);
    while gaps < 20 {
        let frame = raw.next().unwrap();
        match frame.opcode {
            1 => {
                let message = frame.json();
                if message["type"] == "gap" {
                    announced += long(&message["to_seq"]) + 1 - long(&message["from_seq"]);
                    gaps += 1;
                    let mark = raw.next().unwrap();
                    let (flags, count) = (mark.payload[1], &mark.payload[2..4]);
                    assert_eq!((mark.opcode, flags, count), (2, 1 << 4, &[0, 0][..]));
                }
            }
            2 if frame.payload[1] & 1 == 0 => {
                for number in numbers(&frame) {
                    let missing = last.map(|last| u64::from(number - last - 1));
                    assert!(missing.is_none_or(|n| n == announced), "{announced} before {number}");
                    (last, announced) = (Some(number), 0);
                }
            }
            _ => assert_ne!(frame.opcode, 8, "closed"),
        }
    }
    let mut late = Raw::open(&server, "json");
    let wish = serde_json::json!({"schema": "trades", "symbols": "*"});
    assert_eq!(late.ask(1, "subscribe", wish)["success"], true);
    late.until(|message| message["type"] == "snapshot_done");
}
