//! Which key a grant is from: a name may be given to another key, its seal can't.

use std::fmt;

/// Bytes of a seal.
pub const SEAL_BYTES: usize = 32;

/// A digest of what a key verifies by: keys with different seals are different keys, whatever their
/// ids.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Seal(pub [u8; SEAL_BYTES]);

/// Of a short secret, a digest would give away too much.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}
