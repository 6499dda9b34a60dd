//! `broadtape token`, and the tools that take one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::program::{broadtape, succeed};
use crate::world::{World, all, now};

fn inspect(token: &str, args: &[&str]) -> (Option<i32>, String) {
    let mut command = broadtape();
    let mut child = command
        .args(["token", "inspect", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), token.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn keys_of_each_kind_mint_tokens_that_are_valid() {
    let world = World::without_server();
    for alg in ["HS256", "HS384", "HS512", "ES256", "ES384", "EdDSA"] {
        let name = world.path(alg);
        succeed(broadtape().args(["token", "key"]).arg(&name).args(["--alg", alg]));
        let (key, keys) = (world.path(&format!("{alg}.key")), world.path(&format!("{alg}.toml")));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&key), 0o600);
        assert_eq!(mode(&keys) == 0o600, alg.starts_with("HS"), "{alg}");
        let again = broadtape().args(["token", "key"]).arg(&name).output().unwrap();
        assert_eq!(again.status.code(), Some(1), "a key is not overwritten");
        let rights = [
            "--schemas",
            "trades,mbp-1",
            "--symbols",
            "ES*,AAPL",
            "--history",
            "1h",
            "--replay",
            "--expires",
            "30d",
            "--subject",
            "alice",
        ];
        let token = succeed(broadtape().args(["token", "mint"]).arg(&key).args(rights));
        let keys = keys.to_str().unwrap().to_owned();
        let (code, told) = inspect(&token, &["--keys", &keys]);
        assert_eq!(code, Some(0), "{told}");
        for part in [alg, "valid: alice", "\"ES*\"", "\"history\": 3600"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let (code, told) = inspect(&token, &["--keys", &keys, "--audience", "x"]);
        assert!(code == Some(1) && told.contains("its aud is another"), "{told}");
        let (code, told) = inspect(&token, &["--keys", world.path("keys.toml").to_str().unwrap()]);
        assert!(code == Some(1) && told.contains("its kid names no key"), "{told}");
        assert!(inspect(&token, &[]).1.contains("not verified"));
    }
    let expired = world.token_until("alice", all(), now() - 60);
    let (code, told) = inspect(&expired, &["--keys", world.path("keys.toml").to_str().unwrap()]);
    assert!(code == Some(1) && told.contains("it has expired"), "{told}");
    assert_eq!(inspect("nonsense", &[]).0, Some(1));
}

#[test]
fn what_can_not_be_minted_is_said() {
    let world = World::without_server();
    let key = world.path("es.key");
    for (args, says) in [
        (&["--schemas", "trade"][..], "there is no \"trade\""),
        (&["--max-rate", "3"], "one of [1, 2, 5"),
        (&["--delay", "15m", "--max-rate", "1"], "exclude each other"),
        (&["--history", "soon"], "not a duration"),
        (&["--expires", "0s"], "--expires is from"),
    ] {
        let mut mint = broadtape();
        mint.args(["token", "mint"]).arg(&key).args(["--subject", "a"]).args(args);
        let output = mint.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(says), "{args:?}: {told}");
    }
    // Servers would take none of these, and no file with such a key in it.
    let keys = world.path("made.toml");
    let long = "a".repeat(129);
    for name in ["", "a\nb", &long] {
        let commands = [
            (&["mint", key.to_str().unwrap()][..], "--subject"),
            (&["mint", key.to_str().unwrap(), "--subject", "a"], "--id"),
            (&["api-key", keys.to_str().unwrap()], "--subject"),
        ];
        for (args, flag) in commands {
            let output = broadtape().arg("token").args(args).args([flag, name]).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(2) && told.contains("1 to 128 bytes"), "{told}");
        }
    }
    assert!(!keys.exists());
}

#[test]
fn the_tools_say_who_they_are() {
    let world = World::new(&[]);
    let file = world.path("token");
    fs::write(&file, format!("{}\n", world.token("alice", all()))).unwrap();
    let url = world.server().url();
    let watch = || {
        let mut watch = broadtape();
        watch.args(["watch", &url, "all", "--count", "2"]);
        watch
    };
    succeed(watch().arg("--token").arg(&file));
    succeed(watch().env("BROADTAPE_TOKEN", world.token("alice", all())));
    let failed = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(failed(&mut watch()).contains("say first who you are"));
    let wrong = failed(watch().env("BROADTAPE_TOKEN", "a.b.c"));
    assert!(wrong.contains("401") && !wrong.contains("a.b.c"), "{wrong}");
    let mut bench = broadtape();
    bench.args(["bench", &url, "-c", "2", "--duration", "1s", "--symbols", "2"]);
    succeed(bench.arg("--token").arg(&file));
}
