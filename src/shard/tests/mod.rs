//! Shards, turn by turn, against a model: subscriptions come and go, sockets take a part, nothing,
//! or break; every subscriber gets exactly its own.

mod books;
mod entitled;
mod farewell;
mod model;
mod received;
mod slowness;
mod world;
mod worn;

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use self::model::{Wish, check};
use self::received::Seen;
use self::world::{Peer, SYMBOLS, World};
use crate::wire::encoding::Encoding;
use crate::wire::record::Schema;

type Instruments = [bool; SYMBOLS.len()];

#[derive(Clone, Debug)]
enum Op {
    Attach { json: bool },
    Subscribe { client: Index, kind: usize, instruments: Instruments, all: bool, snapshot: bool },
    Unsubscribe { client: Index, wish: Index },
    Subtract { client: Index, kind: usize, instruments: Instruments },
    Commit { records: Vec<(usize, usize)>, times: usize },
    Gulps { client: Index, gulps: Vec<usize> },
    Block { client: Index },
    Open { client: Index },
    Reset { client: Index },
    Pass { millis: u64 },
    Turn,
}

/// A state that conflates when a client is slow, an event that may not be lost, a paced state.
const KINDS: [Schema; 3] = [Schema::Mbp1, Schema::Trades, Schema::Bbo1S];

fn op() -> impl Strategy<Value = Op> {
    let client = any::<Index>;
    let some = any::<Instruments>().prop_filter("one at least", |some| some.contains(&true));
    let kind = prop_oneof![4 => Just(0_usize), 2 => Just(1), 2 => Just(2)];
    let records = prop::collection::vec((0..KINDS.len(), 0..SYMBOLS.len()), 1..20);
    prop_oneof![
        1 => any::<bool>().prop_map(|json| Op::Attach { json }),
        3 => (client(), kind.clone(), some.clone(), any::<bool>(), any::<bool>()).prop_map(
            |(client, kind, instruments, all, snapshot)| {
                Op::Subscribe { client, kind, instruments, all, snapshot }
            }
        ),
        1 => (client(), any::<Index>()).prop_map(|(client, wish)| Op::Unsubscribe { client, wish }),
        1 => (client(), kind, some)
            .prop_map(|(client, kind, instruments)| Op::Subtract { client, kind, instruments }),
        8 => (records, prop_oneof![1..10_usize, 40..80_usize])
            .prop_map(|(records, times)| Op::Commit { records, times }),
        2 => (client(), prop::collection::vec(0..3000_usize, 1..6))
            .prop_map(|(client, gulps)| Op::Gulps { client, gulps }),
        3 => client().prop_map(|client| Op::Block { client }),
        3 => client().prop_map(|client| Op::Open { client }),
        1 => prop::bool::weighted(0.2).prop_flat_map(move |reset| (Just(reset), client()))
            .prop_map(|(reset, client)| if reset { Op::Reset { client } } else { Op::Turn }),
        2 => (0..1500_u64).prop_map(|millis| Op::Pass { millis }),
    ]
}

/// A client and what it should be sent.
struct Subject {
    peer: Peer,
    wishes: Vec<Wish>,
    requests: usize,
    /// Requests that wait until the connection is live: what each of them ends.
    deferred: Vec<Option<(usize, Ending)>>,
}

/// What an unsubscribe ends.
#[derive(Clone, Copy)]
enum Ending {
    Whole(usize),
    Part(Schema, Instruments),
}

impl Subject {
    fn new(peer: Peer) -> Self {
        Self { peer, wishes: Vec::new(), requests: 0, deferred: Vec::new() }
    }

    /// Sends a request of this method and params, which ends something or nothing.
    fn ask(&mut self, world: &mut World, method: &str, params: &str, ending: Option<Ending>) {
        self.requests += 1;
        let request = self.requests;
        let position = world.shard.reader.seq();
        let text = format!(r#"{{"id":{request},"method":"{method}","params":{params}}}"#);
        let waiting = |world: &World| {
            let token = world.token(&self.peer)?;
            Some(world.shard.connections[token as usize].deferred.len())
        };
        let before = waiting(world);
        if !world.request(&self.peer, &text) {
            return;
        }
        let ending = ending.map(|ending| (request, ending));
        match waiting(world) > before {
            true => self.deferred.push(ending),
            false => self.end(ending, position),
        }
    }

    fn end(&mut self, ending: Option<(usize, Ending)>, position: u64) {
        let Some((request, ending)) = ending else { return };
        let asked = self.wishes.iter_mut().filter(|wish| wish.request < request && wish.is_open());
        match ending {
            Ending::Whole(at) => self.wishes[at].end([true; SYMBOLS.len()], position, request),
            Ending::Part(schema, instruments) => {
                let mut mine: Vec<_> = asked.filter(|wish| wish.schema == schema).collect();
                if mine.iter().all(|wish| !wish.all) {
                    mine.iter_mut().for_each(|wish| wish.end(instruments, position, request));
                }
            }
        }
    }

    /// Takes note of the requests that no longer wait.
    fn catch_up(&mut self, world: &World) {
        let Some(token) = world.token(&self.peer) else { return };
        let left = world.shard.connections[token as usize].deferred.len();
        let granted = self.deferred.len().saturating_sub(left);
        for ending in self.deferred.drain(..granted).collect::<Vec<_>>() {
            self.end(ending, world.shard.reader.seq());
        }
    }

    fn subscribe(&mut self, world: &mut World, wish: (usize, Instruments, bool), snapshot: bool) {
        let (kind, instruments, all) = wish;
        let schema = KINDS[kind];
        if schema == Schema::Bbo1S && self.wishes.iter().any(|wish| wish.schema == schema) {
            // Two rates of one state are two streams of it.
            return;
        }
        self.wishes.push(Wish::new(schema, instruments, all, self.requests + 1));
        let symbols = if all { r#""*""#.to_owned() } else { names(instruments) };
        let pace = if schema == Schema::Bbo1S { r#","max_rate":5"# } else { "" };
        let params =
            format!(r#"{{"schema":"{schema}","symbols":{symbols},"snapshot":{snapshot}{pace}}}"#);
        self.ask(world, "subscribe", &params, None);
    }
}

fn names(instruments: Instruments) -> String {
    let chosen = SYMBOLS.iter().zip(instruments).filter(|(_, chosen)| *chosen);
    format!("{:?}", chosen.map(|(symbol, _)| *symbol).collect::<Vec<_>>())
}

/// A run of the operations, and what has happened in it.
struct Run {
    world: World,
    subjects: Vec<Subject>,
    history: Vec<Seen>,
}

impl Run {
    fn new() -> Self {
        let mut world = World::new();
        let subjects = vec![Subject::new(world.attach(Encoding::Dbn))];
        Self { world, subjects, history: Vec::new() }
    }

    fn apply(&mut self, op: Op) {
        let Self { world, subjects, history } = self;
        match op {
            Op::Attach { json } => {
                let encoding = if json { Encoding::Json } else { Encoding::Dbn };
                subjects.push(Subject::new(world.attach(encoding)));
            }
            Op::Subscribe { client, kind, instruments, all, snapshot } => {
                client.get_mut(subjects).subscribe(world, (kind, instruments, all), snapshot);
            }
            Op::Unsubscribe { client, wish } => unsubscribe(world, client.get_mut(subjects), wish),
            Op::Subtract { client, kind, instruments } => {
                let params =
                    format!(r#"{{"schema":"{}","symbols":{}}}"#, KINDS[kind], names(instruments));
                let ending = Some(Ending::Part(KINDS[kind], instruments));
                client.get_mut(subjects).ask(world, "unsubscribe", &params, ending);
            }
            Op::Commit { records, times } => {
                let records = records.repeat(times).into_iter().map(|(k, n)| (KINDS[k], n));
                let records: Vec<_> = records.collect();
                world.commit(&records);
                let from = history.len() as u64 + 1;
                history.extend(records.into_iter().zip(from..).map(|((s, n), seq)| (s, n, seq)));
            }
            Op::Gulps { client, gulps } => {
                client.get(subjects).peer.outbox.borrow_mut().gulps.extend(gulps);
            }
            Op::Block { client } => client.get(subjects).peer.outbox.borrow_mut().open = false,
            Op::Open { client } => {
                let peer = &client.get(subjects).peer;
                peer.outbox.borrow_mut().open = true;
                world.writable(peer);
            }
            Op::Reset { client } => client.get(subjects).peer.outbox.borrow_mut().broken = true,
            Op::Pass { millis } => world.pass(Duration::from_millis(millis)),
            Op::Turn => {}
        }
        world.turn();
        subjects.iter_mut().for_each(|subject| subject.catch_up(world));
    }

    /// Lets everything out, and time pass until each has had a heartbeat.
    fn finish(&mut self) {
        let Self { world, subjects, .. } = self;
        for _ in 0..200 {
            for subject in subjects.iter() {
                let mut outbox = subject.peer.outbox.borrow_mut();
                (outbox.open, _) = (true, outbox.gulps.clear());
                world.writable(&subject.peer);
            }
            world.turn();
            subjects.iter_mut().for_each(|subject| subject.catch_up(world));
        }
        world.pass(Duration::from_secs(3));
    }
}

fn unsubscribe(world: &mut World, subject: &mut Subject, wish: Index) {
    let Some(token) = world.token(&subject.peer) else { return };
    let there = &world.shard.connections[token as usize].subscriptions;
    if there.is_empty() {
        return;
    }
    let id = wish.get(there).id;
    let params = format!(r#"{{"subscription":{id}}}"#);
    subject.ask(world, "unsubscribe", &params, Some(Ending::Whole(id as usize - 1)));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_subscriber_gets_exactly_its_own(ops in prop::collection::vec(op(), 1..60)) {
        let mut run = Run::new();
        ops.into_iter().for_each(|op| run.apply(op));
        run.finish();
        for subject in &mut run.subjects {
            let live = run.world.token(&subject.peer).is_some();
            let outbox = subject.peer.outbox.borrow();
            prop_assert!(!(outbox.broken && live));
            check(&mut subject.wishes, &outbox.taken, &run.history, live);
        }
        prop_assert_eq!(run.world.shard.cache.images(), 0, "no snapshot is left open");
    }
}
