//! Recordings of other formats as feeds.

use std::fs;

use crate::program::{Program, broadtape, succeed};

const ORDERS: &str = "34200.5,1,7,18,5853300,1\n34200.6,4,7,18,5853300,1\n";

#[test]
fn serve_and_replay_play_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("AAPL_2012-06-21_message_10.csv"), ORDERS).unwrap();
    let file = "lobster:AAPL_2012-06-21_message_10.csv";
    for args in [&["serve", "--feed", file][..], &["replay", file]] {
        let server = Program::start_in(folder.path(), args);
        let instruments = server.get("/v1/instruments");
        assert_eq!(instruments["instruments"][0]["symbol"], "AAPL", "{instruments}");
        assert_eq!(instruments["instruments"][0]["schemas"][0], "mbo", "{instruments}");
        assert!(server.stop().success());
    }
}

#[test]
fn lines_of_a_feed_are_put_together_and_formats_are_not_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("AAPL_2012-06-21_message_10.csv"), ORDERS).unwrap();
    let run = |more: &[&str]| {
        let mut command = broadtape();
        command.current_dir(folder.path()).args(["import", "lobster"]);
        command.args(["AAPL_2012-06-21_message_10.csv"; 2]).args(more);
        command
    };
    let refused = run(&["-o", "a.dbn", "--arbitrate"]).output().unwrap();
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(complaint.contains("lines are put together of captures alone"), "{complaint}");
    let said = succeed(&mut run(&["-o", "b.dbn"]));
    assert!(said.contains("records                  8"), "{said}");
}
