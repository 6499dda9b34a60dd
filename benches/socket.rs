//! socket: what a slow connection's backlog costs, and what a client's message costs to decode.

use std::rc::Rc;

use broadtape::limits::CLIENT_MESSAGE_MAX;
use broadtape::socket::backlog::Backlog;
use broadtape::socket::read::Guard;
use broadtape::socket::shared::{Mark, Shared};
use broadtape::wire::frame::{self, Opcode};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of a trade with `ts_out`.
const TRADE: usize = 56;

/// One frame of `records` trades.
fn shared(records: usize) -> Rc<Shared> {
    let mut bytes = Vec::new();
    frame::message_frame(Opcode::Binary, &vec![7; 24 + records * TRADE], &mut bytes);
    let marks = vec![Mark { end: bytes.len() as u32, records: records as u32, seq: 0 }];
    Rc::new(Shared { bytes: bytes.into(), marks, keys: vec![1; records], after: 0 })
}

/// A turn's frame kept for a connection, and taken by the kernel in pieces.
fn backlog(c: &mut Criterion) {
    let mut group = c.benchmark_group("socket/backlog");
    for records in [10, 300] {
        let frame = shared(records);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("push and advance", records), |b| {
            let mut backlog = Backlog::default();
            b.iter(|| {
                backlog.push_shared(&frame, 0);
                let offered: usize = backlog.parts().iter().map(|part| part.len()).sum();
                backlog.advance(offered / 2);
                backlog.advance(offered - offered / 2);
            });
        });
    }
    let frame = shared(10);
    group.throughput(Throughput::Elements(2_000 * 10));
    group.bench_function("drop a full queue", |b| {
        let full = || {
            let mut backlog = Backlog::default();
            (0..2_000).for_each(|_| backlog.push_shared(&frame, 0));
            backlog
        };
        let mut lost = 0_u64;
        b.iter_batched_ref(
            full,
            |backlog| backlog.drop_data(|key| lost += u64::from(key)),
            BatchSize::SmallInput,
        );
        std::hint::black_box(lost);
    });
    group.finish();
}

/// Masked frames, end to end.
fn masked(opcode: Opcode, payload: &[u8], frames: usize) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0x01, 0xff, 0x80];
    let mut frame = frame::head(opcode, payload.len()).to_vec();
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame.repeat(frames)
}

/// What clients send, as reads bring it.
fn guard(c: &mut Criterion) {
    let mut group = c.benchmark_group("socket/guard");
    let subscribe =
        format!(r#"{{"id":1,"method":"subscribe","params":{{"{}":0}}}}"#, "x".repeat(150));
    for (name, bytes) in [
        ("pong", masked(Opcode::Pong, b"", 100)),
        ("request", masked(Opcode::Text, subscribe.as_bytes(), 100)),
        ("largest", masked(Opcode::Text, "x".repeat(CLIENT_MESSAGE_MAX).as_bytes(), 1)),
    ] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |b| {
            let mut guard = Guard::new(CLIENT_MESSAGE_MAX);
            b.iter_batched_ref(
                || bytes.clone(),
                |bytes| {
                    let mut input = &mut bytes[..];
                    let mut events = 0;
                    while let Ok(Some(event)) = guard.next(&mut input) {
                        std::hint::black_box(event);
                        events += 1;
                    }
                    events
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, backlog, guard);
criterion_main!(benches);
