//! docs/formats.md tells the truth: the table's types and sizes are those of the code.
#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

use std::path::Path;

use broadtape::wire::record::{
    BboMsg, InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, SCHEMAS, Schema, StatusMsg,
    TradeMsg, schema_of,
};
use dbn::{ImbalanceMsg, StatMsg};

/// Bytes of a schema's bare record.
fn bare(schema: Schema) -> usize {
    match schema {
        Schema::Mbo => size_of::<MboMsg>(),
        Schema::Trades => size_of::<TradeMsg>(),
        Schema::Mbp10 => size_of::<Mbp10Msg>(),
        Schema::Bbo1S | Schema::Bbo1M => size_of::<BboMsg>(),
        Schema::Status => size_of::<StatusMsg>(),
        Schema::Definition => size_of::<InstrumentDefMsg>(),
        Schema::Imbalance => size_of::<ImbalanceMsg>(),
        Schema::Statistics => size_of::<StatMsg>(),
        schema if schema.as_str().starts_with("ohlcv") => size_of::<OhlcvMsg>(),
        _ => size_of::<Mbp1Msg>(),
    }
}

#[test]
fn its_table_holds_every_schema_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut schemas = 0;
    for row in text.lines().filter(|line| line.starts_with("| `") && line.contains(" | 0x")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let rtype = u8::from_str_radix(cells[2].trim_start_matches("0x"), 16).unwrap();
        let schema = schema_of(rtype).unwrap();
        assert_eq!(cells[1], format!("`{}`", schema.as_str()), "{row}");
        assert_eq!(cells[3], (bare(schema) + 8).to_string(), "{row}");
        schemas += 1;
    }
    // `tbbo` has no type of its own.
    assert_eq!(schemas, SCHEMAS - 1);
}
