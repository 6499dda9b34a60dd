//! `broadtape import` as a user runs it: recordings that nobody here made, against facts that are
//! known of them and the official reader of what is written; and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod facts;
mod live;
mod odd;
#[path = "../program/mod.rs"]
mod program;
mod refusals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dbn::decode::{DbnMetadata, DecodeRecordRef, DynDecoder};
use dbn::{Metadata, RecordRef, VersionUpgradePolicy, rtype};
use program::{broadtape, succeed};
use tempfile::TempDir;

/// A recording that was imported.
struct Imported {
    folder: TempDir,
    /// What the program said.
    said: String,
}

/// Imports a file of a format.
fn import(format: &str, file: &Path, more: &[&str]) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.dbn.zst");
    let mut command = broadtape();
    command.args(["import", format]).arg(file).arg("-o").arg(&out).args(more);
    let said = succeed(&mut command);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing else is left");
    Imported { folder, said }
}

impl Imported {
    fn path(&self) -> PathBuf {
        self.folder.path().join("out.dbn.zst")
    }

    /// What the official reader finds: the metadata, and what `each` makes of the records.
    fn read(&self, mut each: impl FnMut(RecordRef<'_>)) -> Metadata {
        let policy = VersionUpgradePolicy::AsIs;
        let mut decoder = DynDecoder::from_file(self.path(), policy).unwrap();
        let metadata = decoder.metadata().clone();
        while let Some(record) = decoder.decode_record_ref().unwrap() {
            each(record);
        }
        assert_eq!(metadata.version, 3);
        metadata
    }

    /// Records by type.
    fn counts(&self) -> BTreeMap<u8, u64> {
        let mut counts = BTreeMap::new();
        self.read(|record| *counts.entry(record.header().rtype).or_default() += 1);
        counts
    }

    /// The count that its report gives for a line that begins so.
    fn told(&self, what: &str) -> u64 {
        let line = self.said.lines().find(|line| line.trim().starts_with(what));
        let line = line.unwrap_or_else(|| panic!("no {what:?} in\n{}", self.said));
        line.split_whitespace().next_back().unwrap().replace(',', "").parse().unwrap()
    }

    /// How often something was found; 0 where it was not.
    fn found(&self, what: &str) -> u64 {
        let mut lines = self.said.lines().filter_map(|line| line.trim().strip_prefix("found: "));
        let line =
            lines.find_map(|line| line.split_once(" × ").filter(|(_, found)| *found == what));
        line.map_or(0, |(count, _)| count.replace(',', "").parse().unwrap())
    }
}

/// Counts by type, of these.
fn of<const N: usize>(counts: [(u8, u64); N]) -> BTreeMap<u8, u64> {
    counts.into_iter().collect()
}

/// The types that importers write.
mod kinds {
    pub(crate) use super::rtype::{IMBALANCE, MBO, MBP_0 as TRADES, MBP_1};
}
