//! The fields of every record type, in the order in which DBN prints them.

use std::mem::{offset_of, size_of};

use dbn::{
    BboMsg, BidAskPair, CbboMsg, Cmbp1Msg, ConsolidatedBidAskPair, ErrorMsg, ImbalanceMsg,
    InstrumentDefMsg, MboMsg, Mbp1Msg, Mbp10Msg, OhlcvMsg, RecordHeader, StatMsg, StatusMsg,
    SymbolMappingMsg, SystemMsg, TradeMsg, rtype,
};

use Kind::{Char, I8, I16, I32, I64, Levels, Object, Price, Text, Time, U8, U16, U32, U64};

/// One field of a record.
pub(in crate::wire) struct Field {
    /// `,"name":`
    pub(in crate::wire) key: &'static [u8],
    /// Its first byte in the record.
    pub(in crate::wire) at: usize,
    pub(in crate::wire) kind: Kind,
}

impl Field {
    /// Its name.
    pub(in crate::wire) fn name(&self) -> &'static str {
        std::str::from_utf8(&self.key[2..self.key.len() - 2]).unwrap_or_default()
    }
}

/// How a field is printed.
#[derive(Clone, Copy)]
pub(in crate::wire) enum Kind {
    /// ns, as ISO 8601; `null` where 0 or undefined.
    Time,
    /// 1e-9 units, as a quoted decimal; `null` where undefined.
    Price,
    /// One character; `null` where 0.
    Char,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    /// Quoted, as are all 64-bit numbers.
    U64,
    I64,
    /// So many bytes, UTF-8 with a zero behind it; empty where they are not.
    Text(usize),
    /// An object within.
    Object(&'static [Field]),
    /// So many book levels.
    Levels(usize, &'static [Field]),
}

/// Bytes of a book level.
pub(in crate::wire) const LEVEL: usize = size_of::<BidAskPair>();

macro_rules! fields {
    ($record:ty: $($name:ident $kind:expr,)*) => {
        &[$(Field {
            key: concat!(",\"", stringify!($name), "\":").as_bytes(),
            at: offset_of!($record, $name),
            kind: $kind,
        }),*]
    };
}

/// The fields of a record type, as DBN v3 has it; none where it doesn't know it.
pub(in crate::wire) fn of(kind: u8) -> Option<&'static [Field]> {
    Some(match kind {
        rtype::MBO => MBO,
        rtype::MBP_0 => TRADE,
        rtype::MBP_1 | rtype::TBBO => MBP_1,
        rtype::MBP_10 => MBP_10,
        rtype::BBO_1S | rtype::BBO_1M => BBO,
        rtype::CMBP_1 | rtype::TCBBO => CMBP_1,
        rtype::CBBO_1S | rtype::CBBO_1M => CBBO,
        rtype::OHLCV_1S | rtype::OHLCV_1M | rtype::OHLCV_1H => OHLCV,
        rtype::OHLCV_1D | rtype::OHLCV_EOD | rtype::OHLCV_DEPRECATED => OHLCV,
        rtype::STATUS => STATUS,
        rtype::INSTRUMENT_DEF => DEFINITION,
        rtype::IMBALANCE => IMBALANCE,
        rtype::STATISTICS => STATISTICS,
        rtype::SYMBOL_MAPPING => MAPPING,
        rtype::SYSTEM => SYSTEM,
        rtype::ERROR => ERROR,
        _ => return None,
    })
}

const HEADER: &[Field] = fields! { RecordHeader:
    ts_event Time, rtype U8, publisher_id U16, instrument_id U32,
};

const QUOTE: &[Field] = fields! { BidAskPair:
    bid_px Price, ask_px Price, bid_sz U32, ask_sz U32, bid_ct U32, ask_ct U32,
};

const VENUE_QUOTE: &[Field] = fields! { ConsolidatedBidAskPair:
    bid_px Price, ask_px Price, bid_sz U32, ask_sz U32, bid_pb U16, ask_pb U16,
};

const MBO: &[Field] = fields! { MboMsg:
    ts_recv Time, hd Object(HEADER), action Char, side Char, price Price, size U32,
    channel_id U8, order_id U64, flags U8, ts_in_delta I32, sequence U32,
};

const TRADE: &[Field] = fields! { TradeMsg:
    ts_recv Time, hd Object(HEADER), action Char, side Char, depth U8, price Price, size U32,
    flags U8, ts_in_delta I32, sequence U32,
};

const MBP_1: &[Field] = fields! { Mbp1Msg:
    ts_recv Time, hd Object(HEADER), action Char, side Char, depth U8, price Price, size U32,
    flags U8, ts_in_delta I32, sequence U32, levels Levels(1, QUOTE),
};

const MBP_10: &[Field] = fields! { Mbp10Msg:
    ts_recv Time, hd Object(HEADER), action Char, side Char, depth U8, price Price, size U32,
    flags U8, ts_in_delta I32, sequence U32, levels Levels(10, QUOTE),
};

const BBO: &[Field] = fields! { BboMsg:
    ts_recv Time, hd Object(HEADER), side Char, price Price, size U32, flags U8, sequence U32,
    levels Levels(1, QUOTE),
};

const CMBP_1: &[Field] = fields! { Cmbp1Msg:
    ts_recv Time, hd Object(HEADER), action Char, side Char, price Price, size U32, flags U8,
    ts_in_delta I32, levels Levels(1, VENUE_QUOTE),
};

const CBBO: &[Field] = fields! { CbboMsg:
    ts_recv Time, hd Object(HEADER), side Char, price Price, size U32, flags U8,
    levels Levels(1, VENUE_QUOTE),
};

const OHLCV: &[Field] = fields! { OhlcvMsg:
    hd Object(HEADER), open Price, high Price, low Price, close Price, volume U64,
};

const STATUS: &[Field] = fields! { StatusMsg:
    ts_recv Time, hd Object(HEADER), action U16, reason U16, trading_event U16, is_trading Char,
    is_quoting Char, is_short_sell_restricted Char,
};

const DEFINITION: &[Field] = fields! { InstrumentDefMsg:
    ts_recv Time, hd Object(HEADER), raw_symbol Text(71), security_update_action Char,
    instrument_class Char, min_price_increment Price, display_factor Price, expiration Time,
    activation Time, high_limit_price Price, low_limit_price Price, max_price_variation Price,
    unit_of_measure_qty Price, min_price_increment_amount Price, price_ratio Price,
    inst_attrib_value I32, underlying_id U32, raw_instrument_id U64, market_depth_implied I32,
    market_depth I32, market_segment_id U32, max_trade_vol U32, min_lot_size I32,
    min_lot_size_block I32, min_lot_size_round_lot I32, min_trade_vol U32,
    contract_multiplier I32, decay_quantity I32, original_contract_size I32, appl_id I16,
    maturity_year U16, decay_start_date U16, channel_id U16, currency Text(4),
    settl_currency Text(4), secsubtype Text(6), group Text(21), exchange Text(5),
    asset Text(11), cfi Text(7), security_type Text(7), unit_of_measure Text(31),
    underlying Text(21), strike_price_currency Text(4), strike_price Price,
    match_algorithm Char, main_fraction U8, price_display_format U8, sub_fraction U8,
    underlying_product U8, maturity_month U8, maturity_day U8, maturity_week U8,
    user_defined_instrument Char, contract_multiplier_unit I8, flow_schedule_type I8,
    tick_rule U8, leg_count U16, leg_index U16, leg_instrument_id U32, leg_raw_symbol Text(71),
    leg_instrument_class Char, leg_side Char, leg_price Price, leg_delta Price,
    leg_ratio_price_numerator I32, leg_ratio_price_denominator I32, leg_ratio_qty_numerator I32,
    leg_ratio_qty_denominator I32, leg_underlying_id U32,
};

const IMBALANCE: &[Field] = fields! { ImbalanceMsg:
    ts_recv Time, hd Object(HEADER), ref_price Price, auction_time Time,
    cont_book_clr_price Price, auct_interest_clr_price Price, ssr_filling_price Price,
    ind_match_price Price, upper_collar Price, lower_collar Price, paired_qty U32,
    total_imbalance_qty U32, market_imbalance_qty U32, unpaired_qty U32, auction_type Char,
    side Char, auction_status U8, freeze_status U8, num_extensions U8, unpaired_side Char,
    significant_imbalance Char,
};

const STATISTICS: &[Field] = fields! { StatMsg:
    ts_recv Time, hd Object(HEADER), ts_ref Time, price Price, quantity I64, sequence U32,
    ts_in_delta I32, stat_type U16, channel_id U16, update_action U8, stat_flags U8,
};

const MAPPING: &[Field] = fields! { SymbolMappingMsg:
    hd Object(HEADER), stype_in U8, stype_in_symbol Text(71), stype_out U8,
    stype_out_symbol Text(71), start_ts Time, end_ts Time,
};

const SYSTEM: &[Field] = fields! { SystemMsg: hd Object(HEADER), msg Text(303), code U8, };

const ERROR: &[Field] = fields! { ErrorMsg:
    hd Object(HEADER), err Text(302), code U8, is_last U8,
};
