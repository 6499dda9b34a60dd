//! A network that loses packets, and one that is gone: in a network namespace of its own, where
//! `tc` (netem) or nftables drop what the test wants dropped. Each test runs itself once more in
//! there, as the namespace's only process.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use crate::crowd::{Reader, pump_until, subscribe};
use crate::program::{skip, succeed};
use crate::raw::Raw;
use crate::server::{PATIENCE, Server};
use crate::witness::Witness;

/// Set within the namespace: what loses the packets there.
const WITHIN: &str = "FAULTS_NET";
/// Where clients are whose cable is pulled.
const FAR: [u8; 4] = [127, 0, 0, 2];

/// Sets the namespace up, and goes on with the test: 3 where the kernel does not let it. netem
/// delays as well, but not every kernel has it.
const NAMESPACE: &str = "
ip link set lo up || exit 3
nft 'table inet faults {
    set gone { type ipv4_addr; }
    chain input {
        type filter hook input priority 0;
        ip saddr @gone drop
        ip daddr @gone drop
    }
}' || exit 3
if [ \"$LOSS\" = 0 ]; then
    FAULTS_NET=none
elif tc qdisc add dev lo root netem loss \"$LOSS%\" delay 5ms 2>/dev/null; then
    FAULTS_NET=netem
else
    nft \"add rule inet faults input numgen random mod 100 < $LOSS drop\" || exit 3
    FAULTS_NET=nftables
fi
export FAULTS_NET
exec \"$@\"
";

/// Runs a test of this file in a namespace of its own; what drops packets, where we are within.
#[allow(clippy::print_stdout, reason = "the figures are for the reader of the log")]
fn within(test: &str, loss: &str) -> Option<String> {
    if let Ok(by) = std::env::var(WITHIN) {
        return Some(by);
    }
    let missing = ["unshare", "ip", "nft"].into_iter().find(|program| !is_there(program));
    if let Some(program) = missing {
        skip(&format!("no {program}: Debian has it in util-linux, iproute2 and nftables"));
        return None;
    }
    let mut inner = Command::new("unshare");
    inner.args(["--net", "sh", "-c", NAMESPACE, "sh"]).env("LOSS", loss);
    inner.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]);
    let output = inner.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(3) || complained.starts_with("unshare: ") {
        // Nothing that could be installed changes that.
        println!("skipped: the kernel does not let us lose packets: {complained}");
        return None;
    }
    assert!(output.status.success(), "{said}{complained}");
    said.lines().filter(|line| line.starts_with("net: ")).for_each(|line| println!("{line}"));
    None
}

fn is_there(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.unwrap().status.success()
}

/// Segments that this namespace's TCP has sent again.
fn sent_again() -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "RetransSegs").unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

#[test]
fn where_packets_are_lost_no_record_is() {
    let Some(by) = within("net::where_packets_are_lost_no_record_is", "2") else { return };
    let server = Server::start(&[]);
    let witness = Witness::start(&server);
    let mut readers: Vec<Reader> = (0..20).map(|_| Reader::new(&server)).collect();
    // It panics where a record is missing, or where one is told to be.
    let time = pump_until(&mut readers, "records come", |all| {
        all.iter().all(|reader| reader.records > 5_000) && sent_again() > 100
    });
    assert!(readers.iter().all(|reader| !reader.ended));
    assert_eq!(server.metric("broadtape_closes_total", ""), 0.0, "nobody was sent away");
    let records: u64 = readers.iter().map(|reader| reader.records).sum();
    let trades = witness.lost_nothing();
    println!(
        "net: 2 % of the packets lost ({by}): 20 clients lost 0 of {records} records in \
         {time:.1?}, {} segments sent again, a witness lost 0 of {trades}",
        sent_again()
    );
}

/// A client that is elsewhere.
fn far(server: &Server) -> Raw {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((FAR, 0)).into()).unwrap();
    let address: SocketAddr = server.address().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Raw::shake_hands(stream, "json", b"")
}

#[test]
fn who_is_cut_off_without_a_fin_is_let_go() {
    let Some(_) = within("net::who_is_cut_off_without_a_fin_is_let_go", "0") else { return };
    let server = Server::start(&["--ping", "500ms", "--pong-timeout", "2s"]);
    let witness = Witness::start(&server);
    let before = server.descriptors();
    let mut gone: Vec<Raw> = (0..50).map(|_| far(&server)).collect();
    // Half of them are owed records, which nobody acknowledges.
    gone.iter_mut().step_by(2).for_each(subscribe);
    let rule = ["add", "element", "inet", "faults", "gone", "{ 127.0.0.2 }"];
    succeed(Command::new("nft").args(rule));
    let cut = Instant::now();
    server.wait_until("they are missed", |server| {
        server.metric("broadtape_closes_total", "no_pong") == 50.0
    });
    let time = cut.elapsed();
    server.wait_for_quiet(1, before);
    let trades = witness.lost_nothing();
    println!(
        "net: 50 cut off, no FIN and no RST, pinged each 500 ms, pongs due in 2 s: 50 let go \
         (4001) within {time:.1?}, a witness lost 0 of {trades}"
    );
    drop(gone);
}
