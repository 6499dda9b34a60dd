//! What `import` refuses, and what it leaves behind then: nothing.

use std::fs;

use crate::program::broadtape;

/// Runs it in a folder of its own with a file `in`; its exit code and complaint, and the folder.
fn refused(input: &[u8], args: &[&str]) -> (i32, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), input).unwrap();
    let mut command = broadtape();
    let output = command.current_dir(folder.path()).arg("import").args(args).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{complaint}");
    (output.status.code().unwrap(), complaint, folder)
}

#[test]
fn usage_says_what_would_be_right() {
    for (args, said) in [
        (&["nonsense", "in", "-o", "x.dbn"][..], "\"nonsense\" is no format; it is dbn, itch, iex"),
        (&["itch", "in", "-o", "x.csv"], "output x.csv: it ends in .dbn or .dbn.zst"),
        (&["itch", "in", "-o", "x.dbn", "--date", "30.12.2019"], "a day such as 2019-12-30"),
        (&["itch", "in", "-o", "x.dbn", "--tz", "Berlin"], "a time zone such as"),
        (&["coinbase", "in", "-o", "x.dbn", "--lot", "BTC"], "it is SYMBOL=SIZE"),
    ] {
        let (code, complaint, folder) = refused(b"x", args);
        assert!(complaint.contains(said), "{args:?}: {complaint}");
        assert_eq!((code, fs::read_dir(folder.path()).unwrap().count()), (2, 1), "{complaint}");
    }
}

#[test]
fn the_wrong_file_is_named_for_what_it_is() {
    for (format, input, said) in [
        ("dbn", &b"\xd4\xc3\xb2\xa1 and more of it"[..], "(a pcap capture); expected \"DBN\""),
        ("itch", b"DBN\x03 and more of it", "(DBN); expected the length and the type of"),
        ("iex", b"{\"u\":1}, and more of it here", "(JSON); expected a capture, pcap or pcapng"),
        ("iex", b"", "is empty"),
    ] {
        let (code, complaint, folder) = refused(input, &[format, "in", "-o", "x.dbn"]);
        assert!(complaint.contains(said) && complaint.contains("in: "), "{complaint}");
        assert!(complaint.contains("nothing was written"), "{complaint}");
        assert_eq!((code, fs::read_dir(folder.path()).unwrap().count()), (1, 1));
    }
}

#[test]
fn an_output_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let system = [0, 12, b'S', 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, b'O'];
    fs::write(folder.path().join("in"), system).unwrap();
    fs::write(folder.path().join("out.dbn"), "mine").unwrap();
    let run = |more: &[&str]| {
        let mut command = broadtape();
        command.current_dir(folder.path());
        command.args(["import", "itch", "in", "--date", "2019-12-30", "-o", "out.dbn"]);
        command.args(more).output().unwrap()
    };
    let kept = run(&[]);
    let complaint = String::from_utf8(kept.stderr).unwrap();
    assert!(complaint.contains("out.dbn: exists already; --force replaces it"), "{complaint}");
    assert_eq!(fs::read(folder.path().join("out.dbn")).unwrap(), b"mine");
    assert!(run(&["--force"]).status.success());
    assert!(fs::read(folder.path().join("out.dbn")).unwrap().starts_with(b"DBN\x03"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
