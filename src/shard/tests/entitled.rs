//! Grants against a model: whatever is granted, asked for and published, instruments that come
//! later included, a client gets each record that it asked for and is given, once, and no other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::KINDS;
use super::received::{Item, Seen, items};
use super::world::{Peer, SYMBOLS, World};
use crate::shard::access::{Badge, Entry};
use crate::shard::command::Command;
use crate::wire::encoding::Encoding;
use crate::wire::grant::{Grant, Rights, Scope, Seal, Standing};
use crate::wire::instrument::bit;
use crate::wire::record::Schema;
use crate::wire::symbols::{Pattern, Symbol};

/// What grants and wishes name: instruments, some that come later, some that never do, patterns.
const POOL: [&str; 9] = ["AA", "AB", "BA", "NA", "NB", "ZZ", "A*", "*B", "N*"];
/// Instruments that come later, in this order.
const LATER: [&str; 4] = ["NA", "AN", "NB", "NBB"];

#[derive(Clone, Debug)]
enum Op {
    /// Schemas by bit; symbols of the pool, none: all.
    Attach {
        schemas: u8,
        symbols: Option<Vec<usize>>,
        json: bool,
    },
    Subscribe {
        client: usize,
        schemas: u8,
        symbols: Option<Vec<usize>>,
    },
    Commit {
        records: Vec<(usize, usize)>,
    },
    List,
    Turn,
}

fn op() -> impl Strategy<Value = Op> {
    let symbols = || prop::option::weighted(0.8, prop::collection::vec(0..POOL.len(), 1..4));
    let records = prop::collection::vec((0..KINDS.len(), 0..SYMBOLS.len() + LATER.len()), 1..20);
    prop_oneof![
        2 => (0..8_u8, symbols(), any::<bool>())
            .prop_map(|(schemas, symbols, json)| Op::Attach { schemas, symbols, json }),
        4 => (0..4_usize, 1..8_u8, symbols())
            .prop_map(|(client, schemas, symbols)| Op::Subscribe { client, schemas, symbols }),
        6 => records.prop_map(|records| Op::Commit { records }),
        1 => Just(Op::List),
        2 => Just(Op::Turn),
    ]
}

fn schemas_of(bits: u8) -> Vec<Schema> {
    (0..KINDS.len()).filter(|n| bits >> n & 1 == 1).map(|n| KINDS[n]).collect()
}

/// Does a list of the pool, or all, have this symbol?
fn has(list: Option<&Vec<usize>>, symbol: &str) -> bool {
    list.is_none_or(|list| list.iter().any(|n| Pattern::new(POOL[*n]).matches(symbol)))
}

/// A client, what it may, what it has been granted of its wishes, and what it should have.
struct Client {
    peer: Peer,
    given: (Vec<Schema>, Option<Vec<usize>>),
    wishes: Vec<(Vec<Schema>, Asked)>,
    due: Vec<Seen>,
}

/// What a wish has been answered with: instruments that it took at once, and what is to come.
struct Asked {
    symbols: Option<Vec<usize>>,
    known: HashSet<String>,
}

impl Client {
    fn may(&self, schema: Schema, symbol: &str) -> bool {
        self.given.0.contains(&schema) && has(self.given.1.as_ref(), symbol)
    }

    fn asked(&self, schema: Schema, symbol: &str) -> bool {
        self.wishes.iter().any(|(schemas, asked)| {
            // A name takes what is there; what comes later needs a pattern.
            let later =
                |n: &usize| POOL[*n].contains('*') && Pattern::new(POOL[*n]).matches(symbol);
            let wanted = match &asked.symbols {
                None => true,
                Some(list) if asked.known.contains(symbol) => has(Some(list), symbol),
                Some(list) => list.iter().any(later),
            };
            schemas.contains(&schema) && wanted
        })
    }
}

struct Model {
    world: World,
    clients: Vec<Client>,
    symbols: Vec<String>,
    waiting: Vec<Seen>,
    committed: u64,
}

impl Model {
    fn new() -> Self {
        let world = World::new();
        let keys = HashMap::from([("k".to_owned(), Seal::default())]);
        world.tell(Command::Review(Arc::new(Standing { keys, ..Standing::default() })));
        let symbols = SYMBOLS.iter().map(|symbol| (*symbol).to_owned()).collect();
        Self { world, clients: Vec::new(), symbols, waiting: Vec::new(), committed: 0 }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Attach { schemas, symbols, json } => self.attach(schemas, symbols, json),
            Op::Subscribe { client, schemas, symbols } if client < self.clients.len() => {
                self.turn();
                self.subscribe(client, schemas_of(schemas), symbols);
            }
            Op::Subscribe { .. } => {}
            Op::Commit { records } => self.commit(&records),
            Op::List => {
                let listed = self.symbols.len() - SYMBOLS.len();
                if let Some(symbol) = LATER.get(listed) {
                    self.turn();
                    self.world.list(symbol);
                    self.committed += 1;
                    self.symbols.push((*symbol).to_owned());
                    self.turn();
                }
            }
            Op::Turn => self.turn(),
        }
    }

    fn attach(&mut self, schemas: u8, symbols: Option<Vec<usize>>, json: bool) {
        self.turn();
        let given = schemas_of(schemas);
        let scope = symbols.as_ref().map(|list| {
            Arc::new(Scope::new(list.iter().map(|n| Symbol::new(POOL[*n].to_owned()))))
        });
        let mask = given.iter().fold(0, |mask, schema| mask | bit(*schema));
        let rights = Rights { schemas: mask, symbols: scope, ..Rights::default() };
        let (subject, key, seal) = ("s".to_owned(), "k".to_owned(), Seal::default());
        let grant = Arc::new(Grant { subject, key, seal, token: None, expires: None, rights });
        let encoding = if json { Encoding::Json } else { Encoding::Dbn };
        let peer = self.world.attach_as(encoding, Entry::Known(Badge { grant, seat: None }));
        let (given, wishes, due) = ((given, symbols), Vec::new(), Vec::new());
        self.clients.push(Client { peer, given, wishes, due });
    }

    fn subscribe(&mut self, client: usize, schemas: Vec<Schema>, symbols: Option<Vec<usize>>) {
        let text = serde_json::json!({"id": 1, "method": "subscribe", "params": {
            "schema": schemas.iter().map(|schema| schema.as_str()).collect::<Vec<_>>(),
            "symbols": match &symbols {
                None => serde_json::json!("*"),
                Some(list) => list.iter().map(|n| POOL[*n]).collect(),
            },
            "snapshot": false,
        }});
        let known: HashSet<String> = self.symbols.iter().cloned().collect();
        let client = &mut self.clients[client];
        // Of two wishes the same record would come once, and count in both: one is enough here.
        if !client.wishes.is_empty() {
            return;
        }
        let whole = schemas.iter().all(|schema| client.given.0.contains(schema));
        // A name that is given and is there, or any pattern, makes a subscription.
        let any = match &symbols {
            None => true,
            Some(list) => list.iter().any(|n| {
                let name = POOL[*n];
                let given = client.given.1.as_ref();
                name.contains('*') || known.contains(name) && has(given, name)
            }),
        };
        self.world.request(&client.peer, &text.to_string());
        if whole && any {
            client.wishes.push((schemas, Asked { symbols, known }));
        }
        self.world.turn();
    }

    fn commit(&mut self, records: &[(usize, usize)]) {
        let records: Vec<(Schema, usize)> = records
            .iter()
            .filter(|(_, instrument)| *instrument < self.symbols.len())
            .map(|(kind, instrument)| (KINDS[*kind], *instrument))
            .collect();
        if records.is_empty() {
            return;
        }
        self.world.commit(&records);
        for (schema, instrument) in records {
            self.committed += 1;
            self.waiting.push((schema, instrument, self.committed));
        }
    }

    fn turn(&mut self) {
        self.world.turn();
        for (schema, instrument, seq) in self.waiting.drain(..) {
            let symbol = &self.symbols[instrument];
            for client in &mut self.clients {
                if client.may(schema, symbol) && client.asked(schema, symbol) {
                    client.due.push((schema, instrument, seq));
                }
            }
        }
    }

    fn check(mut self) {
        self.turn();
        self.world.turn();
        for client in &self.clients {
            let bytes = client.peer.outbox.borrow().taken.clone();
            let mut came: Vec<Seen> = Vec::new();
            for item in items(&bytes, true) {
                if let Item::Data { records, .. } = item {
                    came.extend(records);
                }
            }
            let times: HashMap<Seen, usize> = came.iter().fold(HashMap::new(), |mut all, seen| {
                *all.entry(*seen).or_default() += 1;
                all
            });
            assert!(times.values().all(|times| *times == 1), "a record came twice");
            assert_eq!(came, client.due, "{:?} {:?}", client.given, client.wishes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn what_is_given_and_asked_for_comes_and_nothing_else(
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut model = Model::new();
        for op in ops {
            model.run(op);
        }
        model.check();
    }
}
