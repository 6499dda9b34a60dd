//! Clients that want the server to hold something for them, and a server that has little to hold.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crowd::{Reader, pump_until, scale};
use crate::group::{Group, Pretended};
use crate::raw::{Raw, announced, frame, handshake};
use crate::server::Server;
use crate::witness::Witness;

/// What an attack may make the server hold at most, MiB; one more for each client beyond the usual.
const MOST: u64 = 48;

/// Runs an attack on a server of its own.
fn attack(what: &str, more: &[&str], clients: usize, attack: impl Fn(&mut Raw)) {
    attack_on(&Server::start(more), what, clients, attack);
}

/// Runs an attack by several clients at once beside a witness; says what memory it took.
#[allow(clippy::print_stdout, reason = "the figures are for the reader of the log")]
fn attack_on(server: &Server, what: &str, clients: usize, attack: impl Fn(&mut Raw)) {
    let witness = Witness::start(server);
    let (before, descriptors) = (server.memory(), server.descriptors());
    let mut most = before;
    let mut all: Vec<Raw> = (0..clients * scale())
        .map(|_| {
            let mut raw = Raw::open(server, "json");
            attack(&mut raw);
            most = most.max(server.memory());
            raw
        })
        .collect();
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(20));
        most = most.max(server.memory());
    }
    let grown = most.saturating_sub(before) >> 20;
    let more = (clients * (scale() - 1)) as u64;
    assert!(grown <= MOST + more, "{what}: {grown} MiB");
    all.drain(..).for_each(Raw::reset);
    server.wait_for_quiet(1, descriptors);
    let trades = witness.lost_nothing();
    let clients = clients * scale();
    println!("{clients} x {what}: {grown} MiB more memory, a witness lost 0 of {trades}");
}

/// Sends, and minds not whether it is taken: it is refused sooner or later.
fn pour(raw: &mut Raw, bytes: &[u8], times: usize) {
    raw.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    for _ in 0..times {
        if !raw.send(bytes) {
            return;
        }
    }
}

#[test]
fn a_length_of_60_mib_is_believed_by_nobody() {
    let begun = [announced(0x81, 60 << 20), vec![0; 64 << 10]].concat();
    attack("60 MiB announced", &[], 100, |raw| pour(raw, &begun, 1));
}

#[test]
fn fragments_of_300_mib_are_never_put_together() {
    let first = frame(0x01, &[b'a'; 32 << 10]);
    let next = frame(0x00, &[b'a'; 32 << 10]);
    attack("300 MiB in fragments", &[], 4, |raw| {
        pour(raw, &first, 1);
        pour(raw, &next, 300 << 5);
    });
}

#[test]
fn a_million_fragments_of_a_byte_are_no_message() {
    let first = frame(0x01, b"a");
    let next = frame(0x00, b"a").repeat(10_000);
    attack("1,000,000 fragments of a byte", &[], 4, |raw| {
        pour(raw, &first, 1);
        pour(raw, &next, 100);
    });
}

#[test]
fn pings_whose_pongs_are_not_read_stop_being_read() {
    let pings = frame(0x89, &[b'x'; 125]).repeat(1_000);
    attack("pings, 64 MiB of them, pongs unread", &[], 4, |raw| pour(raw, &pings, 512));
}

#[test]
fn of_a_million_subscriptions_some_are_granted() {
    let wish = json!({"schema": "trades", "symbols": "*", "snapshot": false});
    let request = json!({"id": 1, "method": "subscribe", "params": wish}).to_string();
    let requests = frame(0x81, request.as_bytes()).repeat(1_000);
    let rates = ["--message-rate", "1000000", "--message-burst", "1000000"];
    attack("1,000,000 subscribe requests", &rates, 2, |raw| pour(raw, &requests, 1_000));
}

#[test]
fn requests_that_wait_for_their_connection_to_be_live_are_bounded() {
    let rates = ["--rate", "20000", "--message-rate", "1000000", "--message-burst", "1000000"];
    let server = Server::start(&rates);
    // More than a socket and a queue hold: who does not read it stays on its way to the live ones.
    server.wait_until("records are kept", |server| {
        server.metric("broadtape_published_records_total", "") > 60_000.0
    });
    let schemas = ["trades", "mbp-1"];
    let all = json!({"schema": schemas, "symbols": "*", "from": {"time": "0"}});
    let again = json!({"id": 1, "method": "subscribe", "params": all}).to_string();
    let again = frame(0x81, again.as_bytes());
    let symbols = vec!["S".repeat(50); 1_000];
    let params = json!({"schema": "trades", "symbols": symbols});
    let waits = json!({"id": 2, "method": "unsubscribe", "params": params}).to_string();
    let waits = frame(0x81, waits.as_bytes());
    attack_on(&server, "51 MiB of requests behind what is not read", 2, |raw| {
        pour(raw, &again, 1);
        pour(raw, &waits, 1_000);
    });
}

/// A market that leaves little to share.
const USUAL: [&str; 8] =
    ["--rate", "20000", "--symbols", "8", "--ring", "1MiB", "--queue", "64MiB"];

/// What a server has that serves one reader, and 64 MiB.
fn little() -> u64 {
    let server = Server::start(&USUAL);
    let mut reader = [Reader::new(&server)];
    pump_until(&mut reader, "records come", |all| all[0].records > 20_000);
    server.memory() + (64 << 20)
}

#[test]
fn where_it_is_short_the_new_are_refused_before_the_old_are_hurt() {
    let most = little();
    let max = most.to_string();
    sheds(&Server::start(&[&USUAL[..], &["--memory-max", &max]].concat()), most);
}

#[test]
fn the_limit_of_a_control_group_is_kept_to() {
    let most = little() >> 12 << 12;
    let Some(group) = Group::of_memory(most) else {
        // Nothing that could be installed changes that.
        println!("skipped: no control group with a memory limit can be made here");
        return;
    };
    let server = Server::start_by(&USUAL, |args| group.start(args));
    assert_eq!(server.metric("broadtape_memory_max_bytes", ""), most as f64);
    print!("in a control group: ");
    sheds(&server, most);
}

#[test]
fn the_limits_of_version_2_are_found() {
    let most = little() >> 12 << 12;
    let (small, large) = (format!("{most}\n"), format!("{}\n", 2 * most));
    let (slice, service) = ("system.slice", "system.slice/broadtape.service");
    let file = |group: &str, name: &str| format!("{group}/memory.{name}");
    for (at, of) in [((service, "max"), (slice, "max")), ((slice, "max"), (service, "high"))] {
        let files = [(file(at.0, at.1), &*small), (file(of.0, of.1), &*large)];
        let mut files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        files.push(("memory.max", "max\n"));
        let Some(pretended) = Pretended::new(&files) else {
            println!("skipped: no mount namespace can be made here");
            return;
        };
        let server = Server::start_by(&USUAL, |args| pretended.start(args));
        assert_eq!(server.metric("broadtape_memory_max_bytes", ""), most as f64, "{at:?}");
    }
}

/// Takes memory until new clients are refused, then until queues are cut short, and gives it back.
#[allow(clippy::print_stdout, reason = "the figures are for the reader of the log")]
fn sheds(server: &Server, most: u64) {
    let mut reader = [Reader::new(server)];
    let silent = hoard(server);
    let pressure = || server.metric("broadtape_memory_pressure", "");
    let refused = || server.metric("broadtape_gate_refused_total", "\"overload\"");
    let shed = || server.metric("broadtape_shed_total", "");
    pump_until(&mut reader, "memory runs short", |_| pressure() >= 1.0);
    let answer = server.answer(handshake("/v1/stream").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("overload"), "{answer}");
    assert_eq!((refused(), shed()), (1.0, 0.0), "the old are not hurt");
    pump_until(&mut reader, "the longest queues are cut short", |_| shed() > 0.0);
    let peak = server.memory();
    drop(silent);
    pump_until(&mut reader, "all is well again", |_| pressure() == 0.0);
    let (closed, used) = (server.metric("broadtape_closes_total", "\"overload\""), server.memory());
    assert!(closed >= 1.0 && peak < most && !reader[0].ended, "{closed} {peak} of {most}");
    Raw::open(server, "json");
    println!(
        "{} MiB allowed: 1 handshake refused, then {} of 8 queues cut short (1013), {} MiB at \
         most, {} MiB after, a reader lost 0 of {} records",
        most >> 20,
        shed(),
        peak >> 20,
        used >> 20,
        reader[0].records
    );
}

/// Clients that read nothing. Each asks for something else: what waits for one is of no use to
/// another.
fn hoard(server: &Server) -> Vec<Raw> {
    let page: Value = serde_json::from_str(&server.page("/v1/instruments")).unwrap();
    let symbols = page["instruments"].as_array().unwrap().iter().map(|one| &one["symbol"]);
    let client = |symbol: &Value| {
        let mut raw = Raw::with_small_buffer(server, "json");
        let wish = json!({"schema": "trades", "symbols": [symbol], "snapshot": false});
        assert_eq!(raw.ask(1, "subscribe", wish)["success"], true);
        raw
    };
    symbols.map(client).collect()
}
