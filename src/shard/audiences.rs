//! All audiences of a shard, and the index from schema and instrument to those that ask for it:
//! matching a record costs what it reaches, and so do joining and leaving.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use foldhash::fast::FixedState;
use slab::Slab;

use crate::limits::MAX_RATES;
use crate::shard::audience::{Audience, Cast, Delivery, Due};
use crate::shard::cache::key;
use crate::shard::catalog::Index;
use crate::shard::interest::Interest;
use crate::wire::instrument::schemas_of;
use crate::wire::record::{SCHEMAS, Schema};

#[derive(Clone, Copy, PartialEq, Eq)]
struct Route {
    audience: u32,
    interest: u32,
}

/// All audiences of a shard, and the index to them.
#[derive(Default)]
pub struct Audiences {
    all: Slab<Audience>,
    by_cast: HashMap<Rc<Cast>, u32, FixedState>,
    every: [Vec<Route>; SCHEMAS],
    some: [Vec<Vec<Route>>; SCHEMAS],
    /// Audiences with records in this turn.
    pub touched: Vec<u32>,
    patterned: Vec<u32>,
    paced: [Vec<(u32, u32)>; MAX_RATES.len()],
    due: VecDeque<Due>,
}

impl Audiences {
    /// The audience of `cast`, made where there is none.
    pub fn join(&mut self, cast: Cast, connection: u32) -> u32 {
        let known = self.by_cast.get(&cast).copied();
        let audience = known.unwrap_or_else(|| {
            let cast = Rc::new(cast);
            let how = |interest: &Interest| match interest.max_rate {
                0 => Delivery::Each,
                _ => Delivery::Latest,
            };
            let deliveries = cast.interests.iter().map(how).collect();
            let id = self.add(Audience::new(cast.clone(), false, deliveries));
            self.by_cast.insert(cast, id);
            id
        });
        self.all[audience as usize].members.push(connection);
        audience
    }

    /// An audience of one.
    pub fn join_alone(&mut self, cast: Cast, how: Vec<Delivery>, connection: u32) -> u32 {
        let mut alone = Audience::new(Rc::new(cast), true, how);
        alone.members.push(connection);
        self.add(alone)
    }

    /// Takes a connection out; an audience without members ends.
    pub fn leave(&mut self, audience: u32, connection: u32) {
        let members = &mut self.all[audience as usize].members;
        if let Some(at) = members.iter().position(|member| *member == connection) {
            members.swap_remove(at);
        }
        if members.is_empty() {
            self.remove(audience);
        }
    }

    /// The audience `id`, which [`Audiences::join`] gave and whose members have not all left.
    pub fn get(&self, id: u32) -> &Audience {
        &self.all[id as usize]
    }

    /// The same, to change.
    pub fn get_mut(&mut self, id: u32) -> &mut Audience {
        &mut self.all[id as usize]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Is there an interest at this place of [`MAX_RATES`]?
    pub fn is_paced(&self, rate: usize) -> bool {
        !self.paced[rate].is_empty()
    }

    /// The time of this place of [`MAX_RATES`] has come: its changed states are due.
    pub fn tick(&mut self, rate: usize) {
        for (id, interest) in &self.paced[rate] {
            let audience = &mut self.all[*id as usize];
            let (interest, until) =
                (*interest as usize, audience.changed[*interest as usize].mark());
            let waits = !audience.changed[interest].is_empty();
            if waits && !std::mem::replace(&mut audience.due[interest], true) {
                self.due.push_back(Due { audience: *id, interest, until });
            }
        }
    }

    /// What is due, oldest first.
    pub fn due(&mut self) -> &mut VecDeque<Due> {
        &mut self.due
    }

    /// Gives record `place` of the turn to everybody who asks for it.
    #[inline]
    pub fn deliver(&mut self, schema: Schema, index: Index, place: u32) {
        let key = key(schema, index);
        let some = self.some[schema as usize].get(index as usize).map_or(&[][..], Vec::as_slice);
        for route in self.every[schema as usize].iter().chain(some) {
            let audience = &mut self.all[route.audience as usize];
            if audience.take(route.interest as usize, place, key) {
                self.touched.push(route.audience);
            }
        }
    }

    /// Gives an `mbp-1` record of a trade, after [`Audiences::deliver`], to those who ask for
    /// `tbbo`. An interest in both has it already.
    pub fn deliver_tbbo(&mut self, index: Index, place: u32) {
        let (key, whole) = (key(Schema::Tbbo, index), key(Schema::Mbp1, index));
        let (every, some) = (&self.every[Schema::Tbbo as usize], &self.some[Schema::Tbbo as usize]);
        let some = some.get(index as usize).map_or(&[][..], Vec::as_slice);
        for route in every.iter().chain(some) {
            let audience = &mut self.all[route.audience as usize];
            let interest = route.interest as usize;
            let has_it = audience.cast.interests[interest].has_schema(Schema::Mbp1)
                && !audience.deliveries[interest].is_latest(whole);
            if !has_it && audience.take(interest, place, key) {
                self.touched.push(route.audience);
            }
        }
    }

    /// Gives a mapping at `place` to everybody who asks for anything of its instrument.
    pub fn deliver_mapping(&mut self, index: Index, place: u32) {
        for schema in 0..SCHEMAS {
            let some = self.some[schema].get(index as usize).map_or(&[][..], Vec::as_slice);
            for route in self.every[schema].iter().chain(some) {
                if self.all[route.audience as usize].take_uncounted(place) {
                    self.touched.push(route.audience);
                }
            }
        }
    }

    /// Takes a new instrument in where patterns ask for it, and returns the connections whose
    /// interests have changed by that.
    pub fn welcome(&mut self, index: Index, symbol: &str) -> Vec<u32> {
        let mut changed = Vec::new();
        for id in self.patterned.clone() {
            let audience = &mut self.all[id as usize];
            let before = audience.cast.clone();
            if !before.interests.iter().any(|interest| interest.wants(index, symbol)) {
                continue;
            }
            let mut cast = (*before).clone();
            let mut welcomed = Vec::new();
            for (at, interest) in cast.interests.iter_mut().enumerate() {
                if interest.welcome(index, symbol) {
                    welcomed.push((at as u32, interest.schemas));
                }
            }
            audience.cast = Rc::new(cast);
            audience.asked = None;
            changed.extend(&audience.members);
            if !audience.solitary {
                self.by_cast.remove(&before);
                self.by_cast.insert(audience.cast.clone(), id);
            }
            for (interest, mask) in welcomed {
                let route = Route { audience: id, interest };
                schemas_of(mask).for_each(|schema| self.routes(schema, index).push(route));
            }
        }
        changed
    }

    fn add(&mut self, audience: Audience) -> u32 {
        let cast = audience.cast.clone();
        let solitary = audience.solitary;
        let id = self.all.insert(audience) as u32;
        for (at, interest) in cast.interests.iter().enumerate() {
            let route = Route { audience: id, interest: at as u32 };
            self.each_list(interest, |routes| routes.push(route));
            if let Some(rate) = rate_class(interest).filter(|_| !solitary) {
                self.paced[rate].push((id, at as u32));
            }
        }
        if cast.interests.iter().any(|interest| !interest.patterns.is_empty()) {
            self.patterned.push(id);
        }
        id
    }

    fn remove(&mut self, id: u32) {
        let audience = self.all.remove(id as usize);
        self.touched.retain(|touched| *touched != id);
        if audience.cast.interests.iter().any(|interest| !interest.patterns.is_empty()) {
            self.patterned.retain(|patterned| *patterned != id);
        }
        if audience.due.contains(&true) {
            self.due.retain(|due| due.audience != id);
        }
        let mut rates = 0_u32;
        for (at, interest) in audience.cast.interests.iter().enumerate() {
            let route = Route { audience: id, interest: at as u32 };
            self.each_list(interest, |routes| {
                if let Some(at) = routes.iter().position(|known| *known == route) {
                    routes.swap_remove(at);
                }
            });
            rates |= rate_class(interest).map_or(0, |rate| 1 << rate);
        }
        for (rate, paced) in self.paced.iter_mut().enumerate() {
            if !audience.solitary && rates & 1 << rate != 0 {
                paced.retain(|(paced, _)| *paced != id);
            }
        }
        if !audience.solitary {
            self.by_cast.remove(&audience.cast);
        }
    }

    /// Calls `change` with every list of routes that an interest stands in.
    fn each_list(&mut self, interest: &Interest, mut change: impl FnMut(&mut Vec<Route>)) {
        for schema in schemas_of(interest.schemas) {
            match interest.all {
                true => change(&mut self.every[schema as usize]),
                false => {
                    for index in &interest.instruments {
                        change(self.routes(schema, *index));
                    }
                }
            }
        }
    }

    fn routes(&mut self, schema: Schema, index: Index) -> &mut Vec<Route> {
        let lists = &mut self.some[schema as usize];
        if lists.len() <= index as usize {
            lists.resize_with(index as usize + 1, Vec::new);
        }
        &mut lists[index as usize]
    }
}

/// The place of an interest's `max_rate` in [`MAX_RATES`].
fn rate_class(interest: &Interest) -> Option<usize> {
    MAX_RATES.iter().position(|rate| *rate == interest.max_rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::audience::Counts;
    use crate::wire::encoding::Encoding;
    use crate::wire::instrument::bit;
    use crate::wire::symbols::Pattern;

    fn cast(interests: &[Interest]) -> Cast {
        Cast { encoding: Encoding::Dbn, interests: interests.to_vec() }
    }

    fn one(schema: Schema, index: Index) -> Interest {
        Interest { schemas: bit(schema), ..one_of(index) }
    }

    fn one_of(index: Index) -> Interest {
        Interest { instruments: vec![index], ..Interest::default() }
    }

    #[test]
    fn the_same_cast_is_one_audience_and_ends_with_its_last_member() {
        let mut audiences = Audiences::default();
        let trades = one(Schema::Trades, 3);
        let a = audiences.join(cast(std::slice::from_ref(&trades)), 1);
        assert_eq!(audiences.join(cast(std::slice::from_ref(&trades)), 2), a);
        audiences.deliver(Schema::Trades, 3, 0);
        audiences.deliver(Schema::Trades, 4, 1);
        assert_eq!(audiences.get(a).matched, [0]);
        audiences.leave(a, 1);
        audiences.leave(a, 2);
        assert_eq!((audiences.count(), audiences.touched.len()), (0, 0));
        audiences.deliver(Schema::Trades, 3, 2);
        assert!(audiences.touched.is_empty());
    }

    #[test]
    fn a_record_that_two_interests_ask_for_is_taken_once_and_counts_in_both() {
        let mut audiences = Audiences::default();
        let all = Interest { schemas: bit(Schema::Trades), all: true, ..Interest::default() };
        let a = audiences.join(cast(&[one(Schema::Trades, 3), all]), 1);
        audiences.deliver(Schema::Trades, 3, 7);
        let audience = audiences.get(a);
        assert_eq!(audience.matched, [7]);
        assert!(audience.counts.iter().all(|counts| counts.records == 1));
    }

    #[test]
    fn a_trade_of_both_schemas_counts_once_and_is_kept_as_an_event() {
        let mut audiences = Audiences::default();
        let both = Interest { schemas: bit(Schema::Mbp1) | bit(Schema::Tbbo), ..one_of(3) };
        let a = audiences.join(cast(&[both, one(Schema::Tbbo, 3)]), 1);
        audiences.deliver(Schema::Mbp1, 3, 7);
        audiences.deliver_tbbo(3, 7);
        let audience = audiences.get(a);
        assert_eq!((&audience.matched[..], audience.records), (&[7][..], 1));
        assert!(audience.counts.iter().all(|counts| counts.records == 1));
        let mut trade = [0; 88];
        (trade[1], trade[28]) = (crate::wire::record::rtype::MBP_1, b'T');
        let kept = audience.key_of(&trade, key(Schema::Mbp1, 3));
        assert_eq!(kept, key(Schema::Tbbo, 3));
    }

    #[test]
    fn the_latest_supersedes_and_is_not_sent_beside_each() {
        let mut audiences = Audiences::default();
        let slow = Interest {
            schemas: bit(Schema::Mbp1),
            all: true,
            max_rate: MAX_RATES[0],
            ..Interest::default()
        };
        let a = audiences.join(cast(&[slow, one(Schema::Mbp1, 1)]), 1);
        for place in 0..3 {
            audiences.deliver(Schema::Mbp1, 0, place);
        }
        audiences.deliver(Schema::Mbp1, 1, 3);
        let audience = audiences.get(a);
        assert_eq!((&audience.matched[..], audience.changed[0].len()), (&[3][..], 1));
        assert_eq!((audience.counts[0].conflated, audience.counts[0].records), (2, 1));
        audiences.tick(0);
        let due = Due { audience: a, interest: 0, until: 1 };
        assert_eq!(audiences.due().pop_front(), Some(due));
        let audience = audiences.get_mut(a);
        assert_eq!(audience.pop_due(&due, |_| true), Some(key(Schema::Mbp1, 0)));
        assert_eq!((audience.counts[0].records, audience.counts[1].records), (2, 1));
    }

    #[test]
    fn a_state_that_waits_for_two_interests_is_sent_once_and_counts_in_both() {
        let mut audiences = Audiences::default();
        let paced = |index| Interest { max_rate: MAX_RATES[1], ..one(Schema::Mbp1, index) };
        let both = Interest { instruments: vec![0, 1], ..paced(0) };
        let a = audiences.join(cast(&[paced(0), both]), 1);
        audiences.deliver(Schema::Mbp1, 0, 0);
        audiences.deliver(Schema::Mbp1, 1, 1);
        audiences.tick(1);
        audiences.deliver(Schema::Mbp1, 0, 2);
        let mut sent = Vec::new();
        while let Some(due) = audiences.due().pop_front() {
            let audience = audiences.get_mut(a);
            sent.extend(std::iter::from_fn(|| audience.pop_due(&due, |_| true)));
            audience.settle_due(due.interest);
        }
        assert_eq!(sent, [key(Schema::Mbp1, 0), key(Schema::Mbp1, 1)]);
        let audience = audiences.get(a);
        let counted = |at: usize| (audience.counts[at].records, audience.counts[at].conflated);
        assert_eq!((audience.records, counted(0), counted(1)), (2, (1, 1), (2, 1)));
    }

    #[test]
    fn a_state_that_is_not_known_any_more_counts_as_lost() {
        let mut audiences = Audiences::default();
        let a = audiences.join_alone(
            cast(&[one(Schema::Mbp1, 0), one(Schema::Mbp1, 1)]),
            vec![Delivery::Latest; 2],
            1,
        );
        audiences.deliver(Schema::Mbp1, 0, 0);
        audiences.deliver(Schema::Mbp1, 1, 1);
        let audience = audiences.get_mut(a);
        let known = |candidate| candidate == key(Schema::Mbp1, 1);
        assert_eq!(audience.pop_changed(known), Some(key(Schema::Mbp1, 1)));
        assert_eq!((audience.pop_changed(known), audience.records), (None, 1));
        assert_eq!((audience.counts[0].dropped, audience.counts[0].records), (1, 0));
        assert_eq!((audience.counts[1].dropped, audience.counts[1].records), (0, 1));
    }

    #[test]
    fn of_two_rates_the_faster_serves_both() {
        let mut audiences = Audiences::default();
        let paced = |max_rate| Interest { schemas: bit(Schema::Mbp1), max_rate, ..one_of(4) };
        let a = audiences.join(cast(&[paced(MAX_RATES[0]), paced(MAX_RATES[3])]), 1);
        (0..3).for_each(|place| audiences.deliver(Schema::Mbp1, 4, place));
        audiences.tick(3);
        let due = audiences.due().pop_front().unwrap();
        let audience = audiences.get_mut(a);
        assert_eq!(audience.pop_due(&due, |_| true), Some(key(Schema::Mbp1, 4)));
        assert!(audience.changed[0].is_empty() && audience.records == 1);
        assert_eq!(audience.counts, [Counts { records: 1, conflated: 2, dropped: 0 }; 2]);
    }

    #[test]
    fn patterns_take_in_what_is_new() {
        let mut audiences = Audiences::default();
        let mut es = one(Schema::Trades, 0);
        es.patterns.push(Pattern::new("ES*"));
        let a = audiences.join(cast(&[es]), 9);
        assert!(audiences.welcome(1, "NQH4").is_empty());
        assert_eq!(audiences.welcome(2, "ESU4"), [9]);
        audiences.deliver_mapping(2, 0);
        audiences.deliver(Schema::Trades, 2, 1);
        assert_eq!(audiences.get(a).matched, [0, 1]);
        audiences.leave(a, 9);
        audiences.deliver(Schema::Trades, 2, 2);
        assert!(audiences.touched.is_empty());
    }
}
