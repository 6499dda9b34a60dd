//! How long a record is, by DBN version and type, and what a file's records say of its version.

use std::mem::size_of;

use dbn::{
    BboMsg, CbboMsg, Cmbp1Msg, ImbalanceMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, StatusMsg,
    TradeMsg, rtype, v1, v2, v3,
};

/// Versions that are read.
pub const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

/// Bytes of `ts_out`, where a file has it appended to each record.
pub(super) const TS_OUT: usize = 8;

/// Exact bytes of a bare record of type `rtype` in a DBN version; none for a type DBN doesn't know.
pub const fn bare_length(version: u8, rtype: u8) -> Option<usize> {
    Some(match rtype {
        rtype::MBO => size_of::<MboMsg>(),
        rtype::MBP_0 => size_of::<TradeMsg>(),
        rtype::MBP_1 | rtype::TBBO => size_of::<Mbp1Msg>(),
        rtype::MBP_10 => size_of::<Mbp10Msg>(),
        rtype::BBO_1S | rtype::BBO_1M => size_of::<BboMsg>(),
        rtype::CMBP_1 | rtype::TCBBO => size_of::<Cmbp1Msg>(),
        rtype::CBBO_1S | rtype::CBBO_1M => size_of::<CbboMsg>(),
        rtype::OHLCV_1S | rtype::OHLCV_1M | rtype::OHLCV_1H => size_of::<OhlcvMsg>(),
        rtype::OHLCV_1D | rtype::OHLCV_EOD | rtype::OHLCV_DEPRECATED => size_of::<OhlcvMsg>(),
        rtype::STATUS => size_of::<StatusMsg>(),
        rtype::IMBALANCE => size_of::<ImbalanceMsg>(),
        rtype::INSTRUMENT_DEF => match version {
            1 => size_of::<v1::InstrumentDefMsg>(),
            2 => size_of::<v2::InstrumentDefMsg>(),
            _ => size_of::<v3::InstrumentDefMsg>(),
        },
        rtype::STATISTICS if version < 3 => size_of::<v1::StatMsg>(),
        rtype::STATISTICS => size_of::<v3::StatMsg>(),
        rtype::SYMBOL_MAPPING if version < 2 => size_of::<v1::SymbolMappingMsg>(),
        rtype::SYMBOL_MAPPING => size_of::<v3::SymbolMappingMsg>(),
        rtype::ERROR if version < 2 => size_of::<v1::ErrorMsg>(),
        rtype::ERROR => size_of::<v3::ErrorMsg>(),
        rtype::SYSTEM if version < 2 => size_of::<v1::SystemMsg>(),
        rtype::SYSTEM => size_of::<v3::SystemMsg>(),
        _ => return None,
    })
}

/// The forms (version, with or without `ts_out`) that everything read of a file agrees with. One
/// where metadata tells; a fragment begins with all six and each record's length narrows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms(u8);

impl Forms {
    /// Nothing is known yet.
    pub const ANY: Self = Self(0b11_1111);

    /// As metadata says. `version` is one of [`VERSIONS`].
    pub fn only(version: u8, ts_out: bool) -> Self {
        Self(Self::bit(version, ts_out))
    }

    /// Those of them in which a record of this type has this length; none where it fits no one.
    #[inline]
    pub fn narrow(self, rtype: u8, length: usize) -> Option<Self> {
        if self.0.is_power_of_two() {
            let fits = Some(length) == self.length(self.version(), rtype, self.ts_out());
            return fits.then_some(self);
        }
        let agree = self.each().filter(|&(v, out)| self.length(v, rtype, out) == Some(length));
        let left = agree.fold(0, |mask, (v, out)| mask | Self::bit(v, out));
        (left != 0).then_some(Self(left))
    }

    /// The newest version among them.
    #[inline]
    pub fn version(self) -> u8 {
        (7 - self.0.leading_zeros() as u8) / 2 + 1
    }

    /// Is `ts_out` appended to each record? The first record's length tells.
    #[inline]
    pub fn ts_out(self) -> bool {
        self.0 & 0b01_0101 == 0
    }

    /// The lengths that a record of this type may have, for people; empty for an unknown type.
    pub fn lengths(self, rtype: u8) -> String {
        let mut lengths: Vec<_> =
            self.each().filter_map(|(v, out)| self.length(v, rtype, out)).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
    }

    fn each(self) -> impl Iterator<Item = (u8, bool)> {
        let forms = VERSIONS.flat_map(|v| [(v, false), (v, true)]);
        forms.filter(move |&(v, out)| self.0 & Self::bit(v, out) != 0)
    }

    fn length(self, version: u8, rtype: u8, ts_out: bool) -> Option<usize> {
        bare_length(version, rtype).map(|bare| bare + if ts_out { TS_OUT } else { 0 })
    }

    fn bit(version: u8, ts_out: bool) -> u8 {
        1 << ((version - 1) * 2 + u8::from(ts_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_leaves_one_form() {
        let forms = Forms::only(2, true);
        assert_eq!((forms.version(), forms.ts_out()), (2, true));
        assert_eq!(forms.narrow(rtype::INSTRUMENT_DEF, 408), Some(forms));
        assert_eq!(forms.narrow(rtype::INSTRUMENT_DEF, 400), None);
        assert_eq!(forms.lengths(rtype::INSTRUMENT_DEF), "408");
    }

    #[test]
    fn lengths_narrow_a_fragment() {
        let trades = Forms::ANY.narrow(rtype::MBP_0, 48).unwrap();
        assert_eq!((trades.version(), trades.ts_out()), (3, false));
        assert_eq!(trades.narrow(rtype::MBP_0, 56), None);
        let statistics = trades.narrow(rtype::STATISTICS, 64).unwrap();
        assert_eq!(statistics.version(), 2);
        let first = statistics.narrow(rtype::INSTRUMENT_DEF, 360).unwrap();
        assert_eq!(first, Forms::only(1, false));
        assert_eq!(first.narrow(rtype::INSTRUMENT_DEF, 520), None);
        assert_eq!(Forms::ANY.lengths(rtype::STATISTICS), "64 or 72 or 80 or 88");
        assert_eq!(Forms::ANY.lengths(0x77), "");
    }

    #[test]
    fn no_length_is_told_twice() {
        for kind in 0..=255 {
            let forms = VERSIONS.flat_map(|v| [(v, false), (v, true)]);
            for (version, ts_out) in forms {
                let form = Forms::only(version, ts_out);
                let Some(length) = form.length(version, kind, ts_out) else { continue };
                let told = Forms::ANY.narrow(kind, length).unwrap();
                assert_eq!(told.ts_out(), ts_out, "type {kind:#x}");
                let newest = told.version();
                assert_eq!(bare_length(newest, kind), bare_length(version, kind));
            }
        }
    }
}
