//! What a replay brings that its recording does not hold: schemas that follow from the recorded
//! ones are derived on the way, off the data path ([`crate::tape::workshop`]).

use std::sync::Arc;

use crate::derive;
use crate::limits::DERIVATIONS_MAX;
use crate::shard::catalog::Catalog;
use crate::shard::interest::Interest;
use crate::tape::desk::{Contents, Desk};
use crate::tape::workshop::{Plan, Seat};
use crate::wire::error::{ControlError, ErrorCode};
use crate::wire::instrument::schemas_of;
use crate::wire::replay::Replay;

/// How the schemas come that are asked for by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// Mask of those that are derived: the recording holds none of their records.
    pub(super) derived: u32,
    /// Mask of those that it does not hold and that do not follow from what it holds.
    pub(super) missing: u32,
}

impl Offer {
    /// Of a recording.
    ///
    /// # Errors
    /// None of the schemas can come.
    pub(super) fn of(wish: &Replay, contents: &Contents) -> Result<Self, ControlError> {
        // Who names no schema wants what is there; of a tape without records nothing is known yet.
        if wish.schemas == u32::MAX || contents.records == 0 {
            return Ok(Self::default());
        }
        let absent = wish.schemas & !derive::held(contents.schemas);
        let derived = absent & derive::derivable(contents.schemas);
        let missing = absent & !derived;
        if missing == wish.schemas {
            let names: Vec<&str> = schemas_of(missing).map(|schema| schema.as_str()).collect();
            let words = format!(
                "the recording has no {}, and nothing that would follow from",
                names.join(", ")
            );
            return Err(ControlError::new(ErrorCode::UnknownSchema, words));
        }
        Ok(Self { derived, missing })
    }
}

/// A derivation that a replay reads.
pub(super) struct Derived {
    pub(super) plan: Arc<Plan>,
    /// All of it has been handed over.
    pub(super) over: bool,
    /// Not the plan's, which the workshop may hold for a piece longer.
    _seat: Seat,
}

impl Derived {
    /// Has this derived of a recording, for these instruments of its catalog.
    ///
    /// # Errors
    /// Too many replays derive already.
    pub(super) fn new(
        (wish, derived): (&Replay, u32),
        (contents, catalog): (&Contents, &Arc<Catalog>),
        interest: &Interest,
        desk: Option<&Desk>,
    ) -> Result<Self, ControlError> {
        let seat = desk.and_then(|desk| desk.workshop.seat()).ok_or_else(|| {
            let words = format!("{DERIVATIONS_MAX} replays derive already: come back later");
            ControlError::new(ErrorCode::TooManyRequests, words)
        })?;
        let (wanted, catalog, interest) = (interest.schemas, catalog.clone(), interest.clone());
        let chosen = move |id| catalog.index(id).is_some_and(|at| interest.has_instrument(at));
        let plan = Plan {
            tape: contents.folder.clone(),
            last_seq: contents.last_seq,
            derived,
            wanted,
            end: wish.end,
            chosen: Box::new(chosen),
        };
        Ok(Self { plan: Arc::new(plan), over: false, _seat: seat })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::instrument::bit;
    use crate::wire::record::Schema;
    use crate::wire::replay::{Speed, Then};
    use crate::wire::symbols::Symbols;

    fn offer(asked: &[Schema], recorded: &[Schema], records: u64) -> Result<Offer, ErrorCode> {
        let mask = |of: &[Schema]| of.iter().fold(0, |mask, schema| mask | bit(*schema));
        let wish = Replay {
            recording: "a".to_owned(),
            start: 0,
            end: u64::MAX,
            speed: Speed::Max,
            schemas: if asked.is_empty() { u32::MAX } else { mask(asked) },
            symbols: Symbols::All,
            then: Then::Stop,
        };
        let contents = Contents {
            folder: Arc::default(),
            epoch: 1,
            last_seq: records,
            records,
            times: None,
            schemas: mask(recorded),
            instruments: Vec::new(),
        };
        Offer::of(&wish, &contents).map_err(|error| error.code)
    }

    #[test]
    fn what_is_recorded_is_never_derived() {
        use Schema::{Bbo1S, Mbo, Mbp1, Mbp10, Ohlcv1M, Status, Tbbo, Trades};
        let given = |derived: &[Schema], missing: &[Schema]| {
            let mask = |of: &[Schema]| of.iter().fold(0, |mask, schema| mask | bit(*schema));
            Ok(Offer { derived: mask(derived), missing: mask(missing) })
        };
        assert_eq!(offer(&[], &[Mbo], 9), given(&[], &[]));
        assert_eq!(offer(&[Mbo, Mbp1, Tbbo], &[Mbo], 9), given(&[Mbp1, Tbbo], &[]));
        assert_eq!(offer(&[Mbp1, Mbp10], &[Mbo, Mbp1], 9), given(&[Mbp10], &[]));
        assert_eq!(offer(&[Tbbo, Bbo1S], &[Mbp1], 9), given(&[Bbo1S], &[]));
        assert_eq!(offer(&[Ohlcv1M, Bbo1S], &[Trades], 9), given(&[Ohlcv1M], &[Bbo1S]));
        assert_eq!(offer(&[Trades, Status], &[Mbo], 9), given(&[Trades], &[Status]));
        assert_eq!(offer(&[Trades, Mbp10], &[Mbp1], 9), Err(ErrorCode::UnknownSchema));
        assert_eq!(offer(&[Status], &[Trades], 9), Err(ErrorCode::UnknownSchema));
        assert_eq!(offer(&[Status], &[], 0), given(&[], &[]));
    }
}
