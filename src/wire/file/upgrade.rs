//! Records of DBN versions 1 and 2 as version 3.

use dbn::{RecordBuf, StatusMsg, rtype, v1, v2, v3};

/// Aligned memory for the one record that is being upgraded.
pub(super) struct Upgrader {
    record: RecordBuf,
}

/// Two fields of a definition that are Rust enums in the versions 1 and 2 of the `dbn` crate, which
/// must not hold another byte, and characters in version 3, which may.
struct EnumBytes {
    update_action: usize,
    user_defined: usize,
}

const V1: EnumBytes = EnumBytes {
    update_action: std::mem::offset_of!(v1::InstrumentDefMsg, security_update_action),
    user_defined: std::mem::offset_of!(v1::InstrumentDefMsg, user_defined_instrument),
};
const V2: EnumBytes = EnumBytes {
    update_action: std::mem::offset_of!(v2::InstrumentDefMsg, security_update_action),
    user_defined: std::mem::offset_of!(v2::InstrumentDefMsg, user_defined_instrument),
};
const V3: EnumBytes = EnumBytes {
    update_action: std::mem::offset_of!(v3::InstrumentDefMsg, security_update_action),
    user_defined: std::mem::offset_of!(v3::InstrumentDefMsg, user_defined_instrument),
};

impl Upgrader {
    pub(super) fn new() -> Self {
        Self { record: RecordBuf::from(StatusMsg::default()) }
    }

    /// Upgrades a bare record of this version; false where it is the same in version 3. Its length
    /// has been checked.
    pub(super) fn upgrade(&mut self, version: u8, bare: &[u8]) -> bool {
        let kind = bare[1];
        if !differs(version, kind) {
            return false;
        }
        self.record.raw_buf_mut()[..bare.len()].copy_from_slice(bare);
        let record = &mut self.record;
        let upgraded = match (version, kind) {
            (1, rtype::INSTRUMENT_DEF) => with_enums(
                record,
                &V1,
                RecordBuf::upgrade::<v1::InstrumentDefMsg, v3::InstrumentDefMsg>,
            ),
            (_, rtype::INSTRUMENT_DEF) => with_enums(
                record,
                &V2,
                RecordBuf::upgrade::<v2::InstrumentDefMsg, v3::InstrumentDefMsg>,
            ),
            (_, rtype::STATISTICS) => record.upgrade::<v1::StatMsg, v3::StatMsg>(),
            (_, rtype::SYMBOL_MAPPING) => {
                record.upgrade::<v1::SymbolMappingMsg, v3::SymbolMappingMsg>()
            }
            (_, rtype::ERROR) => record.upgrade::<v1::ErrorMsg, v3::ErrorMsg>(),
            _ => record.upgrade::<v1::SystemMsg, v3::SystemMsg>(),
        };
        debug_assert!(upgraded.is_ok(), "type and length were checked");
        upgraded.is_ok()
    }

    /// The upgraded record.
    pub(super) fn record(&self) -> &[u8] {
        self.record.as_ref()
    }

    /// The upgraded record, to be changed in place.
    pub(super) fn record_mut(&mut self) -> &mut [u8] {
        self.record.raw_buf_mut()
    }
}

/// Is a record of this type in this version another in version 3?
fn differs(version: u8, kind: u8) -> bool {
    super::form::bare_length(version, kind) != super::form::bare_length(3, kind)
}

/// Upgrades a definition with its enum bytes set aside, so that any byte comes through unchanged.
fn with_enums(
    record: &mut RecordBuf,
    from: &EnumBytes,
    upgrade: impl FnOnce(&mut RecordBuf) -> dbn::Result<()>,
) -> dbn::Result<()> {
    let bytes = record.raw_buf_mut();
    let action = std::mem::replace(&mut bytes[from.update_action], b'A');
    let user_defined = std::mem::replace(&mut bytes[from.user_defined], b'N');
    upgrade(record)?;
    let bytes = record.raw_buf_mut();
    bytes[V3.update_action] = action;
    bytes[V3.user_defined] = user_defined;
    Ok(())
}
