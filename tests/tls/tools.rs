//! Our own tools as clients: what they measure and show over TLS, and whom they don't trust.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::{Authority, Identity, write};
use crate::program::Program;
use crate::server::Server;

/// Runs one of our tools to its end.
fn tool(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    command.args(args).env_remove("BROADTAPE_TOKEN").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn exited(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
}

/// A short bench, and its result.
#[track_caller]
fn measured(url: &str, args: &[&str]) -> (Output, Value) {
    let short = ["bench", url, "--duration", "500ms", "--warmup", "100ms", "--json", "-"];
    let output = tool(&[&short[..], args].concat());
    exited(&output, 0);
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output, report)
}

/// A server that shows this certificate, or one of its own making.
fn serving(identity: Option<(&Identity, &TempDir)>) -> Program {
    let files = identity.map(|(identity, folder)| identity.write(folder.path(), "shown"));
    let mut args = vec!["serve", "--log", "off", "--scenario", "metronome", "--rate", "2000"];
    match &files {
        Some([certificate, key]) => args.extend(["--tls-cert", certificate, "--tls-key", key]),
        None => args.push("--tls-self-signed"),
    }
    Program::start(&args)
}

#[test]
fn bench_proves_over_tls_what_it_proves_in_plain() {
    let program = serving(None);
    for (args, measured_ones) in [
        (&["-c", "4", "--check-sequence", "--threads", "2"][..], 4),
        (&["-c", "3", "--encoding", "json", "--spin"], 3),
        (&["-c", "3", "--symbols", "2", "--schema", "trades,mbp-1"], 3),
    ] {
        let (output, report) = measured(&program.url(), &[args, &["--tls-insecure"]].concat());
        let (records, checks) = (report["records"].as_u64().unwrap(), &report["checks"]);
        assert!(records > 0 && report["url"].as_str().unwrap().starts_with("wss://"), "{args:?}");
        assert_eq!((&report["lost"], &checks["verified"]), (&0.into(), &measured_ones.into()));
        assert!(checks["counts_compared"].as_u64().unwrap() >= measured_ones, "{args:?}");
        assert!(said(&output).contains("WARNING: --tls-insecure: whoever answers is trusted"));
    }
}

#[test]
fn clients_that_lag_or_come_and_go_do_so_over_tls() {
    let program = serving(None);
    let crowd = ["-c", "6", "--stall", "2", "--slow", "4KiB", "--slow-clients", "2"];
    let pid = program.id().to_string();
    let more = ["--churn", "40", "--tls-insecure", "--server-pid", &pid];
    let (_, report) = measured(&program.url(), &[&crowd[..], &more].concat());
    assert_eq!((&report["lost"], &report["checks"]["verified"]), (&0.into(), &2.into()));
    let churn = &report["churn"];
    assert!(churn["done"].as_u64().unwrap() > 0, "{churn}");
    assert_eq!(churn["failed"], 0, "{churn}");
    assert!(report["server"]["cpu_ns_per_record"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn watch_shows_over_tls_what_it_shows_in_plain() {
    let program = serving(None);
    for scheme in ["wss", "https"] {
        let url = format!("{scheme}://{}", program.address);
        for encoding in ["dbn", "json"] {
            let asked = ["--schema", "trades", "--encoding", encoding, "-n", "5", "--json"];
            let output = tool(&[&["watch", &url, "all", "--tls-insecure"], &asked[..]].concat());
            exited(&output, 0);
            assert_eq!(String::from_utf8(output.stdout.clone()).unwrap().lines().count(), 5);
            assert!(said(&output).contains("WARNING: --tls-insecure"), "{}", said(&output));
        }
    }
}

#[test]
fn an_authority_is_trusted_by_the_flag_or_by_the_system() {
    let server = Server::start(&[]);
    let authority = write(server.folder.path(), "authority.crt", &server.authority.pem);
    let url = server.program.url();
    let (output, _) = measured(&url, &["-c", "1", "--tls-ca", &authority]);
    assert!(!said(&output).contains("WARNING"), "{}", said(&output));
    let asked = ["watch", &url, "all", "-n", "1"];
    exited(&tool(&[&asked[..], &["--tls-ca", &authority]].concat()), 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_broadtape"));
    command.args(asked).env("SSL_CERT_FILE", &authority).env_remove("SSL_CERT_DIR");
    exited(&command.output().unwrap(), 0);
}

/// What both tools say to a server that they can't talk to.
#[track_caller]
fn refused(url: &str, flags: &[&str], code: i32, words: &str) {
    for tool_and_args in [&["bench", url, "-c", "1"][..], &["watch", url, "all"]] {
        let output = tool(&[tool_and_args, flags].concat());
        exited(&output, code);
        assert!(said(&output).contains(words), "{tool_and_args:?}: {}", said(&output));
    }
}

#[test]
fn who_is_not_trusted_is_told_apart_and_what_would_be_right() {
    let (authority, other, folder) =
        (Authority::new("ours"), Authority::new("other"), TempDir::new().unwrap());
    let trusted = write(folder.path(), "ours.crt", &authority.pem);
    let stranger = write(folder.path(), "other.crt", &other.pem);
    let elsewhere = authority.issue(&["elsewhere.example"]);
    let program = serving(Some((&elsewhere, &folder)));
    let url = program.url();
    let issuer = "nobody who is trusted vouches for its certificate; write --tls-ca FILE";
    refused(&url, &["--tls-ca", &stranger], 1, issuer);
    let name = "is only valid for DnsName(\"elsewhere.example\"); write a URL with a name that";
    refused(&url, &["--tls-ca", &trusted], 1, name);
    refused(&url, &["--tls-ca", "/nowhere.pem"], 1, "--tls-ca /nowhere.pem: No such file");
    let own = serving(None);
    refused(&own.url(), &["--tls-ca", &trusted], 1, issuer);
}

#[test]
fn a_server_that_wants_a_certificate_of_its_clients_says_so() {
    let server = selective();
    let words = "it lets in only who has a certificate (tls_client_ca); write --tls-cert FILE";
    refused(&server.program.url(), &["--tls-insecure"], 1, words);
}

/// A server that lets in only whom its own authority vouches for.
fn selective() -> Server {
    let authority = Authority::new("ours");
    let pem = authority.pem.clone();
    let demands = |folder: &TempDir| {
        vec!["--tls-client-ca".to_owned(), write(folder.path(), "clients.crt", &pem)]
    };
    Server::start_with(authority, demands, &[])
}

#[test]
fn who_has_a_certificate_shows_it() {
    let server = selective();
    let (url, folder) = (server.program.url(), server.folder.path());
    let authority = write(folder, "authority.crt", &server.authority.pem);
    let [certificate, key] = server.authority.issue(&["trader"]).write(folder, "trader");
    let own = ["--tls-ca", &authority, "--tls-cert", &certificate, "--tls-key", &key];
    for more in [&["-c", "2", "--churn", "20"][..], &["-c", "1", "--spin"]] {
        let (_, report) = measured(&url, &[more, &own].concat());
        assert!(report["records"].as_u64().unwrap() > 0 && report["lost"] == 0, "{report}");
    }
    exited(&tool(&[&["watch", &url, "all", "-n", "1"][..], &own].concat()), 0);

    let other = Authority::new("other").issue(&["trader"]).write(folder, "other");
    let shows = |certificate, key| ["--tls-insecure", "--tls-cert", certificate, "--tls-key", key];
    let words = "it does not accept the certificate of --tls-cert (received fatal alert: ";
    refused(&url, &shows(&other[0], &other[1]), 1, words);
    let words = format!("--tls-key {} does not go with --tls-cert {certificate}: ", other[1]);
    refused(&url, &shows(&certificate, &other[1]), 1, &words);
    refused(&url, &shows(&key, &key), 1, &format!("--tls-cert {key}: it holds no certificate"));
    let words = format!("--tls-key {certificate}: it holds no private key");
    refused(&url, &shows(&certificate, &certificate), 1, &words);
    refused(&url, &shows("/nowhere.crt", &key), 1, "--tls-cert /nowhere.crt: No such file");
    refused(&url, &["--tls-cert", &certificate], 2, "--tls-key <FILE>");
    refused(&url, &["--tls-key", &key], 2, "--tls-cert <FILE>");
}

#[test]
fn plain_and_encrypted_servers_are_told_apart() {
    let args = ["serve", "--log", "off", "--scenario", "metronome", "--rate", "2000"];
    let (plain, encrypted) = (Program::start(&args), serving(None));
    let wss = format!("wss://{}", plain.address);
    refused(&wss, &["--tls-insecure"], 1, "it does not speak TLS");
    let ws = format!("ws://{}", encrypted.address);
    refused(&ws, &[], 1, "it speaks TLS; write wss://");
    refused(&ws, &["--tls-insecure"], 2, "--tls-insecure is for wss:// and https://");
    refused(&ws, &["--tls-ca", "x"], 2, "--tls-ca is for wss:// and https://");
    let shown = ["--tls-cert", "x", "--tls-key", "x"];
    refused(&ws, &shown, 2, "--tls-cert is for wss:// and https://");
}
