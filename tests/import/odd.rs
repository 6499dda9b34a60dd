//! What is odd about a recording is told, and does not keep the rest from being read: how it is
//! compressed, where it is cut off, times that go back.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use dbn::VersionUpgradePolicy;
use dbn::decode::{DbnMetadata, DynDecoder};

use crate::import;
use crate::program::{broadtape, recording, succeed};

/// Its bytes, compressed as each tool does.
fn compressed(bytes: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(bytes).unwrap();
    let zstd = zstd::encode_all(bytes, 0).unwrap();
    [("gz", gzip.finish().unwrap()), ("xz", xz.finish().unwrap()), ("zst", zstd)]
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn each_compression_brings_the_same() {
    let Some(file) = recording("12302019_SNIPPET.NASDAQ_ITCH50") else { return };
    let day = ["--date", "2019-12-30"];
    let plain = import("itch", &file, &day).counts();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in compressed(&fs::read(&file).unwrap()) {
        let file = written(folder.path(), name, &bytes);
        let imported = import("itch", &file, &day);
        assert_eq!(
            (imported.told("messages"), imported.counts()),
            (1_000, plain.clone()),
            "{name}"
        );
    }
}

#[test]
fn a_capture_that_is_cut_off_is_read_up_to_there() {
    let Some(file) = recording("iex_TOPS16.pcapng.gz") else { return };
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(file).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = written(folder.path(), "cut.pcapng", &bytes[..bytes.len() / 2 + 3]);
    let imported = import("iex", &cut, &[]);
    let messages = imported.told("messages");
    assert!((20_000..57_674).contains(&messages), "{messages}");
    assert_eq!(imported.found("files that end within a packet"), 1, "{}", imported.said);
}

#[test]
fn times_that_go_back_keep_their_order_and_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "34200.5,1,7,18,5853300,1\n34200.4,1,8,18,5853400,1\n34200.6,4,7,18,5853300,1\n";
    let file = written(folder.path(), "AAPL_2012-06-21_message_10.csv", lines.as_bytes());
    let imported = import("lobster", &file, &[]);
    assert_eq!(imported.found("times that go back"), 1, "{}", imported.said);
    let mut orders = Vec::new();
    imported.read(|record| {
        orders.extend(record.get::<dbn::MboMsg>().map(|order| order.order_id));
    });
    assert_eq!(orders[..2], [7, 8], "the order of the file");
}

/// Exchanges have them; the official reader reads them.
#[test]
fn symbols_beyond_ascii_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let columns = "schema = \"trades\"\ntime = \"ns\"\n[columns]\n\
                   time = 1\nsymbol = 2\nprice = 3\nsize = 4\n";
    let mapping = written(folder.path(), "columns.toml", columns.as_bytes());
    let symbols = ["币安人生USDT", "ÄÖ", "PLAIN"];
    let lines = symbols.iter().map(|symbol| format!("1700000000000000000,{symbol},1.5,3\n"));
    let lines = format!("t,s,p,z\n{}", lines.collect::<String>());
    let file = written(folder.path(), "day.csv", lines.as_bytes());
    let (once, twice) = (folder.path().join("once.dbn"), folder.path().join("twice.dbn.zst"));
    let import = ["import", "csv", file.to_str().unwrap(), "--mapping", mapping.to_str().unwrap()];
    succeed(broadtape().args(import).arg("-o").arg(&once));
    succeed(broadtape().arg("export").arg(&once).arg("-o").arg(&twice));
    for made in [once, twice] {
        let metadata = DynDecoder::from_file(&made, VersionUpgradePolicy::AsIs).unwrap();
        let metadata = metadata.metadata().clone();
        let mut named: Vec<_> = metadata.mappings.iter().map(|m| m.raw_symbol.as_str()).collect();
        named.sort_unstable();
        assert_eq!(named, metadata.symbols);
        assert_eq!(named, ["PLAIN", "ÄÖ", "币安人生USDT"]);
    }
}
