//! 64-bit integers in JSON: decimal strings, because JavaScript's numbers end at 2^53.

use serde::{Serialize, Serializer};

/// A count, a time or an id as a decimal string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal(pub(super) u64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
