//! Configuration from the outside: who wins, what is said about what is wrong, and the round trip
//! through `--print-config`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command as Process, Output};
use std::time::Duration;

use broadtape::limits::{ClientLimits, DRAIN, HANDSHAKE_TIMEOUT, RING_DEFAULT};
use broadtape::node::config::settings::{Command, SETTINGS};
use broadtape::node::config::{Config, ConfigError, Flags};
use broadtape::node::options::{FeedOptions, LogFormat, Speed, Start};
use tempfile::NamedTempFile;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn flag(key: &'static str, value: &str) -> Flags {
    vec![(key, vec![value.to_owned()])]
}

#[test]
fn a_part_of_a_recording_is_from_one_time_to_a_later_one() {
    let load = |from: &str, to: &str| {
        let given = [("files", "a.dbn"), ("from", from), ("to", to)];
        let flags = given.map(|(key, value)| (key, vec![value.to_owned()])).to_vec();
        Config::load(Command::Replay, flags, [], None).map(|config| config.feed)
    };
    let Ok(FeedOptions::Replay { from, to, .. }) = load("2023-12-25T22:00", "none") else {
        panic!("it is a time")
    };
    assert_eq!((from, to), (Some(1_703_541_600_000_000_000), None));
    for (from, to, right) in [
        ("2023-12-25", "2023-12-25", "it is not after from"),
        ("yesterday", "none", "or nanoseconds since the UNIX epoch, or none"),
    ] {
        let error = load(from, to).unwrap_err().to_string();
        assert!(error.contains(right), "{error}");
    }
}

#[test]
fn what_starts_over_has_no_end_to_leave_at() {
    let load = |repeat: &str, exit: &str| {
        let given = [("files", "a.dbn"), ("loop", repeat), ("exit", exit)];
        let flags = given.map(|(key, value)| (key, vec![value.to_owned()])).to_vec();
        Config::load(Command::Replay, flags, [], None).map(|config| config.feed)
    };
    let error = load("true", "true").unwrap_err().to_string();
    assert!(error.contains("exit") && error.contains("with loop there is no end"), "{error}");
    for (repeat, exit) in [("true", "false"), ("false", "true"), ("false", "false")] {
        assert!(load(repeat, exit).is_ok(), "{repeat} {exit}");
    }
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn serve(flags: Flags) -> Result<Config, ConfigError> {
    Config::load(Command::Serve, flags, [], None)
}

fn replay(key: &'static str, value: &str) -> Result<FeedOptions, ConfigError> {
    let flags = vec![("files", vec!["a.dbn".to_owned()]), (key, vec![value.to_owned()])];
    Config::load(Command::Replay, flags, [], None).map(|config| config.feed)
}

#[test]
fn the_defaults_are_the_limits() {
    let config = serve(Vec::new()).unwrap();
    let options = config.options;
    assert_eq!(options.clients, ClientLimits::default());
    assert_eq!((options.ring_bytes, options.drain), (RING_DEFAULT, DRAIN));
    assert_eq!(options.handshake, HANDSHAKE_TIMEOUT);
    assert_eq!(options.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!((options.start, options.flush_interval), (Start::Now, None));
    assert!(!options.busy && !options.enable_echo && options.shards >= 1);
    assert_eq!((config.log.filter.as_str(), config.log.format), ("info", LogFormat::Auto));
    let feed =
        FeedOptions::Sim { scenario: "calm".to_owned(), symbols: 200, rate: 20_000, seed: 1 };
    assert_eq!(config.feed, feed);
}

#[test]
fn flags_beat_variables_beat_the_file() {
    let file = file("queue = \"2MiB\"\nping = '21s'\ndrain = \"1s\"\nrate = 7\n");
    let variables = environment(&[
        ("BROADTAPE_QUEUE", "3MiB"),
        ("BROADTAPE_DRAIN", "2s"),
        ("BROADTAPE_SEED", ""),
        ("PATH", "/bin"),
    ]);
    let config =
        Config::load(Command::Serve, flag("drain", "3s"), variables, Some(file.path())).unwrap();
    assert_eq!(config.options.drain, Duration::from_secs(3));
    assert_eq!(config.options.clients.queue, 3 << 20);
    assert_eq!(config.options.clients.ping, Duration::from_secs(21));
    let toml = config.to_toml();
    let line = |key: &str| toml.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(line("drain = \"3s\"").ends_with("# --drain"), "{toml}");
    assert!(line("queue = \"3MiB\"").ends_with("# variable BROADTAPE_QUEUE"), "{toml}");
    assert!(line("ping = \"21s\"").ends_with(".toml:2"), "{toml}");
    assert!(line("rate = 7").ends_with(".toml:4"), "{toml}");
    assert!(line("seed = 1").ends_with("# default"), "{toml}");
}

#[test]
fn what_is_printed_gives_the_same_configuration() {
    let flags = vec![
        ("listen", vec!["127.0.0.1:0".to_owned(), "[::1]:0".to_owned()]),
        ("scenario", vec!["a \"b\" \\ # c\n\u{1}.toml".to_owned()]),
        ("shards", vec!["3".to_owned()]),
        ("start", vec!["on-subscribe=4".to_owned()]),
        ("flush_interval", vec!["0.5ms".to_owned()]),
        ("busy", vec!["yes".to_owned()]),
    ];
    let first = serve(flags).unwrap();
    let printed = file(&first.to_toml());
    let second = Config::load(Command::Serve, Vec::new(), [], Some(printed.path())).unwrap();
    assert_eq!((&first.options, &first.feed), (&second.options, &second.feed));
    assert_eq!(first.log, second.log);
    for setting in Command::Serve.settings() {
        assert!(first.to_toml().contains(&format!("\n{} = ", setting.key)), "{}", setting.key);
    }
}

#[test]
fn odd_numbers_are_printed_as_they_can_be_read() {
    for (key, value) in [("seed", "18446744073709551615"), ("rate", "0020")] {
        let config = serve(flag(key, value)).unwrap();
        let printed = file(&config.to_toml());
        let again = Config::load(Command::Serve, Vec::new(), [], Some(printed.path())).unwrap();
        assert_eq!(again.feed, config.feed, "{key} = {value}");
    }
}

#[test]
fn a_wrong_value_names_itself_its_setting_and_its_origin() {
    for (key, value, right) in [
        ("listen", "localhost", "127.0.0.1:8080"),
        ("shards", "0", "from 1 to 64, or auto"),
        ("shards", "65", "from 1 to 64, or auto"),
        ("ring", "1KiB", "from 65536 to"),
        ("ring", "64MB2", "64KiB"),
        ("start", "on-subscribe=0", "on-subscribe=N"),
        ("start", "later", "on-subscribe=N"),
        ("busy", "maybe", "true or false"),
        ("pin", "maybe", "true or false"),
        ("flush_interval", "1ns", "from 1µs to 1s"),
        ("flush_interval", "2s", "from 1µs to 1s"),
        ("drain", "10", "1.5s"),
        ("handshake_timeout", "0", "from 100ms to 60s"),
        ("memory_max", "64MiB", "at least 100663296 bytes"),
        ("memory_max", "most", "or auto, or none"),
        ("enable_echo", "2", "true or false"),
        ("queue", "1KiB", "from 131072 to"),
        ("heartbeat", "6s", "from 10ms to 5s"),
        ("ping", "0", "from 100ms to"),
        ("pong_timeout", "20s", "longer than ping (20s)"),
        ("message_max", "0", "from 1024 to"),
        ("message_rate", "-1", "from 1 to"),
        ("message_burst", "many", "from 1 to"),
        ("symbols_per_request", "0", "from 1 to"),
        ("subscriptions", "481", "from 1 to 480"),
        ("scenario", "", "a scenario"),
        ("feed", "tape.dbn", "it is FORMAT:FILE"),
        ("feed", "fix:x", "is no format; it is dbn, itch,"),
        ("date", "30.12.2019", "a day such as 2019-12-30"),
        ("tz", "Gotham", "a time zone such as"),
        ("lot", "BTC=0", "SYMBOL=SIZE"),
        ("symbols", "20001", "from 1 to 20000"),
        ("rate", "1.5", "from 1 to"),
        ("seed", "-1", "from 0 to"),
        ("allow", "10.0.0.0/33", "192.0.2.0/24"),
        ("deny", "everybody", "192.0.2.0/24"),
        ("deny_file", "", "the path of a file"),
        ("admin_listen", "0.0.0.0:9090", "beyond loopback"),
        ("admin_listen", "9090", "127.0.0.1:9090"),
        ("public_metrics", "maybe", "or auto"),
        ("max_connections", "0", "from 1 to 10000000, or auto"),
        ("max_per_address", "0", "from 1 to 10000000, or none"),
        ("pending_per_address", "few", "or none"),
        ("rate_per_address", "0", "from 1 to 1000000, or none"),
        ("handshake_rate", "-1", "or none"),
        ("trusted_proxies", "proxy.example", "192.0.2.0/24"),
        ("proxy_protocol", "on", "off or from-trusted"),
        ("proxy_protocol", "from-trusted", "trusted_proxies"),
        ("hosts", "https://example.com", "example.com:8443"),
        ("origins", "example.com", "https://example.com"),
        ("log_format", "xml", "text, json or auto"),
    ] {
        let said = serve(flag(key, value)).unwrap_err().to_string();
        let origin = format!("--{}: {key} can't be {value:?}: ", key.replace('_', "-"));
        assert!(said.starts_with(&origin) && said.contains(right), "{said}");
    }
}

#[test]
fn every_setting_is_used() {
    for setting in SETTINGS.iter().filter(|setting| !["files", "log"].contains(&setting.key)) {
        let flags = |with: Option<&str>| {
            let bad = with.map(|text| (setting.key, vec![text.to_owned()]));
            [("files", vec!["a.dbn".to_owned()])].into_iter().chain(bad).collect::<Flags>()
        };
        let load = |command, with| Config::load(command, flags(with), [], None).is_ok();
        let command = match Command::Serve.settings().any(|s| s.key == setting.key) {
            true => Command::Serve,
            false => Command::Replay,
        };
        assert!(load(command, None), "{}", setting.key);
        assert!(!load(command, Some("")), "{} took an empty text", setting.key);
    }
}

#[test]
fn an_unknown_key_names_its_line_and_its_neighbour() {
    let file = file("# broadtape\nqueue = \"1MiB\"\n\nshard = 2\n");
    let said = Config::load(Command::Serve, Vec::new(), [], Some(file.path())).unwrap_err();
    let said = said.to_string();
    assert!(
        said.ends_with(".toml:4: unknown setting \"shard\"; did you mean \"shards\"?"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_no_configuration_says_where() {
    for (text, want) in [
        ("queue = \"1MiB\"\nping = = 3\n", ".toml:2: not TOML: "),
        ("queue = 1\nqueue = 2\n", ".toml:2: not TOML: "),
        ("[server]\nshards = 2\n", ".toml:1: unknown setting \"server\"; "),
        ("\nshards = { n = 2 }\n", ".toml:2: shards can't be \"table\": it is one value"),
        ("drain = [\"1s\"]\n", ".toml:1: drain can't be \"array\": it is one value"),
        ("listen = [1979-05-27]\n", ".toml:1: listen can't be \"array\": it is a string or an"),
        ("listen = []\n", ".toml:1: listen can't be \"\": it needs at least one"),
    ] {
        let file = file(text);
        let load = Config::load(Command::Serve, Vec::new(), [], Some(file.path()));
        let said = load.unwrap_err().to_string();
        assert!(said.contains(want), "{text:?}: {said}");
    }
    let nowhere = PathBuf::from("/nonexistent/broadtape.toml");
    let said = Config::load(Command::Serve, Vec::new(), [], Some(&nowhere)).unwrap_err();
    assert!(said.to_string().starts_with("/nonexistent/broadtape.toml: can't read"), "{said}");
}

#[test]
fn a_misspelt_variable_is_an_error_and_a_foreign_one_a_warning() {
    let load = |name| Config::load(Command::Serve, Vec::new(), environment(&[(name, "1")]), None);
    let said = load("BROADTAPE_SHARD").unwrap_err().to_string();
    assert!(said.contains("variable BROADTAPE_SHARD") && said.contains("\"shards\""), "{said}");
    let warnings = load("BROADTAPE_SERVICE_HOST").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("BROADTAPE_SERVICE_HOST"), "{warnings:?}");
    let wrong = Config::load(
        Command::Serve,
        Vec::new(),
        environment(&[("BROADTAPE_LISTEN", "127.0.0.1:1, nowhere")]),
        None,
    );
    let said = wrong.unwrap_err().to_string();
    assert!(said.starts_with("variable BROADTAPE_LISTEN: listen can't be \"nowhere\""), "{said}");
}

#[test]
fn it_listens_in_several_places_but_not_twice_in_one() {
    let listen = |all: &[&str]| {
        let texts = all.iter().map(|&text| text.to_owned()).collect();
        serve(vec![("listen", texts)]).map(|config| config.options.listen)
    };
    let both = listen(&["127.0.0.1:80", "[::1]:80"]).unwrap();
    assert!(both[0].is_ipv4() && both[1].is_ipv6());
    assert_eq!(listen(&["127.0.0.1:0", "127.0.0.1:0"]).unwrap().len(), 2);
    let said = listen(&["127.0.0.1:80", "127.0.0.1:80"]).unwrap_err().to_string();
    assert!(said.contains("given twice"), "{said}");
}

#[test]
fn a_replay_has_its_own_settings() {
    let speed = |value| match replay("speed", value) {
        Ok(FeedOptions::Replay { speed, .. }) => Some(speed),
        _ => None,
    };
    assert_eq!(speed("0.5"), Some(Speed::Times(0.5)));
    assert_eq!(speed("max"), Some(Speed::Max));
    for wrong in ["0", "1001", "NaN", "inf", "fast"] {
        assert_eq!(speed(wrong), None, "{wrong}");
    }
    let feed = replay("max_gap", "5s").unwrap();
    let FeedOptions::Replay { max_gap, exit, .. } = feed else { panic!("{feed:?}") };
    assert_eq!((max_gap, exit), (Some(Duration::from_secs(5)), false));
    let none = Config::load(Command::Replay, Vec::new(), [], None).unwrap_err();
    assert!(matches!(none, ConfigError::NoFiles));
}

fn broadtape(args: &[&str]) -> Output {
    let mut process = Process::new(env!("CARGO_BIN_EXE_broadtape"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("BROADTAPE_")) {
        process.env_remove(name);
    }
    process.args(args).output().unwrap()
}

#[test]
fn an_address_that_is_not_to_be_had_is_refused_with_what_would_be_right() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, words) in [
        (&taken[..], "end what listens there, or choose another port"),
        ("192.0.2.1:8080", "it has to be an address of this machine"),
    ] {
        let refused = broadtape(&["serve", "--listen", address, "--insecure", "--auth", "open"]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("can't listen on {address}: ")), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_time_of_which_a_recording_has_nothing_is_said_where_it_is_played() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/feeds/crash.dbn.zst");
    let play = ["replay", shipped, "--listen", "127.0.0.1:0", "--exit", "--speed", "max"];
    for (part, said) in [
        (&["--from", "2023-11-20T14:31"][..], false),
        (&["--from", "2023-11-21"], true),
        (&["--to", "2023-11-20T14:29"], true),
    ] {
        let played = broadtape(&[&play[..], part].concat());
        let log = String::from_utf8(played.stderr).unwrap();
        assert_eq!(played.status.code(), Some(0), "{log}");
        assert_eq!(log.contains("nothing of what the recordings say"), said, "{part:?}: {log}");
    }
}

#[test]
fn without_a_command_it_shows_help() {
    let shown = broadtape(&[]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.contains("serve") && text.contains("replay"), "{text}");
    let version = broadtape(&["--version"]);
    assert_eq!(version.stdout, concat!("broadtape ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[test]
fn each_command_shows_an_example() {
    for command in ["serve", "replay"] {
        let shown = broadtape(&[command, "--help"]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.status.success(), "{command}");
        assert!(text.contains(&format!("Examples:\n  broadtape {command}")), "{text}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_why_on_standard_error() {
    for (args, want) in [
        (&["serve", "--shards", "0"][..], "broadtape: --shards: shards can't be \"0\""),
        (&["serve", "--shard", "2"], "'--shards'"),
        (&["serve", "--drain", "-5s"], "broadtape: --drain: drain can't be \"-5s\""),
        (&["serve", "--config", "/nonexistent"], "/nonexistent: can't read"),
        (
            &["serve", "--config", "/dev/zero"],
            "/dev/zero: can't read the configuration: it is longer",
        ),
        (&["serve", "--log", "a=b=c"], "log can't be \"a=b=c\""),
        (&["replay"], "give at least one"),
        (
            &["simulate", "-o", "/nowhere/x.dbn", "--start", "2554-07-21T23:34:33"],
            "beyond the year 2553",
        ),
        (&["serv"], "'serve'"),
    ] {
        let Output { status, stdout, stderr } = broadtape(args);
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.len()), (Some(2), 0), "{args:?}: {said}");
        assert!(said.contains(want), "{args:?}: {said}");
    }
}

#[test]
fn the_effective_configuration_goes_to_standard_output() {
    let shown = broadtape(&["serve", "--busy", "--listen=127.0.0.1:0", "--print-config"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && shown.stderr.is_empty());
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["busy"].as_bool(), Some(true), "{text}");
    assert_eq!(table["listen"][0].as_str(), Some("127.0.0.1:0"), "{text}");
    let recording = broadtape(&["replay", "a,b.dbn", "c.dbn", "--loop", "--print-config"]);
    let table: toml::Table = String::from_utf8(recording.stdout).unwrap().parse().unwrap();
    assert_eq!(table["files"].as_array().unwrap().len(), 2);
    assert_eq!(table["loop"].as_bool(), Some(true));
}

#[test]
fn beyond_loopback_nothing_is_in_the_clear_by_mistake() {
    let listen = ("listen", vec!["127.0.0.1:0".to_owned(), "0.0.0.0:0".to_owned()]);
    let with = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(key, value)| (*key, vec![(*value).to_owned()]));
        let open = ("auth", vec!["open".to_owned()]);
        serve([listen.clone(), open].into_iter().chain(more).collect())
    };
    let said = with(&[]).unwrap_err().to_string();
    assert!(said.contains("0.0.0.0:0") && said.contains("--listen"), "{said}");
    assert!(said.contains("tls_cert") && said.contains("insecure"), "{said}");
    assert!(with(&[("insecure", "true")]).unwrap().options.tls.is_none());
    assert!(with(&[("tls_self_signed", "true")]).unwrap().options.tls.unwrap().self_signed);
    let tls = with(&[("tls_cert", "a.crt"), ("tls_key", "a.key")]).unwrap().options.tls.unwrap();
    assert_eq!((tls.pairs.len(), tls.client_ca, tls.self_signed), (1, None, false));
    for loopback in ["127.9.9.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        assert!(serve(flag("listen", loopback)).is_ok(), "{loopback}");
    }
    for beyond in ["[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        assert!(serve(flag("listen", beyond)).is_err(), "{beyond}");
    }
}

#[test]
fn certificates_have_keys_and_authorities_certificates() {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (flags, wrong, right) in [
        (vec![("tls_cert", list(&["a", "b"])), ("tls_key", list(&["c"]))], "tls_cert", "2 and 1"),
        (vec![("tls_key", list(&["c"]))], "tls_key", "0 and 1"),
        (vec![("tls_client_ca", list(&["ca.crt"]))], "tls_client_ca", "needs a tls_cert"),
        (
            vec![
                ("tls_cert", list(&["a"])),
                ("tls_key", list(&["b"])),
                ("tls_self_signed", list(&["true"])),
            ],
            "tls_self_signed",
            "give one of them",
        ),
    ] {
        let said = serve(flags).unwrap_err().to_string();
        assert!(said.contains(wrong) && said.contains(right), "{said}");
    }
}
