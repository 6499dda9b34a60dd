//! Last values: the newest record of each instrument and schema, and the past that a snapshot in
//! progress still needs of them.
//!
//! A snapshot stands for one position S, however long it takes to send. While one is open
//! ([`Cache::open`]), a value that is about to be replaced and still belongs to S is set aside; so
//! the memory that snapshots take is bounded by what changes under them, and there is one image for
//! all that begin in the same turn.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::limits::{INSTRUMENTS_MAX, RECORD_MAX};
use crate::shard::catalog::Index;
use crate::wire::record::{SCHEMAS, Schema};

/// An instrument and a schema, as one number.
pub type Key = u32;

const INSTRUMENT_BITS: u32 = INSTRUMENTS_MAX.trailing_zeros();

const _: () = assert!((SCHEMAS + 1) << INSTRUMENT_BITS <= u32::MAX as usize);

/// The key of an instrument's mapping, which belongs to no schema.
pub fn mapping_key(index: Index) -> Key {
    (SCHEMAS as u32) << INSTRUMENT_BITS | index
}

/// The key of an instrument and a schema.
#[inline]
pub fn key(schema: Schema, index: Index) -> Key {
    (schema as u32) << INSTRUMENT_BITS | index
}

/// The two halves of a key: the schema's number and the instrument.
#[inline]
pub fn parts(key: Key) -> (usize, Index) {
    ((key >> INSTRUMENT_BITS) as usize, key & (INSTRUMENTS_MAX as u32 - 1))
}

/// A record and its position.
#[derive(Clone)]
pub struct Value {
    /// Its number in the ring; 0: there is none.
    pub seq: u64,
    length: u16,
    bytes: Box<[u8]>,
}

impl Value {
    /// The published record.
    pub fn record(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

struct Image {
    seq: u64,
    users: u32,
    aside: HashMap<Key, Value, FixedState>,
}

/// The newest records a shard has seen.
#[derive(Default)]
pub struct Cache {
    values: [Vec<Option<Value>>; SCHEMAS],
    images: Vec<Image>,
}

impl Cache {
    /// Takes a record as the newest of its instrument and schema. Allocates only for the first of
    /// them, and while a snapshot is open.
    #[inline]
    pub fn put(&mut self, schema: Schema, index: Index, seq: u64, record: &[u8]) {
        let values = &mut self.values[schema as usize];
        if values.len() <= index as usize {
            values.resize_with(index as usize + 1, || None);
        }
        let place = &mut values[index as usize];
        if let Some(value) = place {
            set_aside(&mut self.images, key(schema, index), value);
        }
        match place {
            Some(value) if value.bytes.len() >= record.len() => {
                value.bytes[..record.len()].copy_from_slice(record);
                (value.seq, value.length) = (seq, record.len() as u16);
            }
            _ => {
                debug_assert!(record.len() <= RECORD_MAX);
                let bytes = Box::from(record);
                *place = Some(Value { seq, length: record.len() as u16, bytes });
            }
        }
    }

    /// The newest record, where there is one.
    pub fn get(&self, key: Key) -> Option<&Value> {
        let (schema, index) = parts(key);
        self.values[schema].get(index as usize)?.as_ref().filter(|value| value.seq > 0)
    }

    /// The record that was the newest at the position of an open image.
    pub fn get_at(&self, key: Key, seq: u64) -> Option<&Value> {
        let image = self.images.iter().find(|image| image.seq == seq);
        let aside = image.and_then(|image| image.aside.get(&key));
        aside.or_else(|| self.get(key).filter(|value| value.seq <= seq))
    }

    /// Keeps the state as of `seq`, the last position put, until [`Cache::close`].
    pub fn open(&mut self, seq: u64) {
        match self.images.iter_mut().find(|image| image.seq == seq) {
            Some(image) => image.users += 1,
            None => self.images.push(Image { seq, users: 1, aside: HashMap::default() }),
        }
    }

    /// Ends one use of the image of `seq`.
    pub fn close(&mut self, seq: u64) {
        if let Some(at) = self.images.iter().position(|image| image.seq == seq) {
            self.images[at].users -= 1;
            if self.images[at].users == 0 {
                self.images.swap_remove(at);
            }
        }
    }

    /// Images that are open.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// Forgets every value: records were lost, so none is known to be the newest. Open images keep
    /// what they stand for.
    pub fn invalidate(&mut self) {
        for (schema, values) in self.values.iter_mut().enumerate() {
            for (index, value) in values.iter_mut().enumerate() {
                let Some(value) = value else { continue };
                let key = (schema as u32) << INSTRUMENT_BITS | index as u32;
                set_aside(&mut self.images, key, value);
                value.seq = 0;
            }
        }
    }
}

#[inline]
fn set_aside(images: &mut [Image], key: Key, value: &Value) {
    for image in images {
        if value.seq > 0 && value.seq <= image.seq {
            image.aside.entry(key).or_insert_with(|| value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(cache: &Cache, key: Key) -> Option<u8> {
        cache.get(key).map(|value| value.record()[0])
    }

    #[test]
    fn an_image_stands_for_its_position() {
        let mut cache = Cache::default();
        let (a, b) = (key(Schema::Mbp1, 0), key(Schema::Mbp1, 7));
        cache.put(Schema::Mbp1, 0, 1, &[1; 88]);
        cache.open(1);
        cache.put(Schema::Mbp1, 0, 2, &[2; 88]);
        cache.put(Schema::Mbp1, 7, 3, &[3; 88]);
        cache.open(3);
        cache.put(Schema::Mbp1, 0, 4, &[4; 88]);
        let at = |seq, key| cache.get_at(key, seq).map(|value| value.record()[0]);
        assert_eq!((at(1, a), at(1, b)), (Some(1), None));
        assert_eq!((at(3, a), at(3, b)), (Some(2), Some(3)));
        assert_eq!((newest(&cache, a), newest(&cache, b)), (Some(4), Some(3)));
        cache.close(1);
        cache.close(3);
        assert_eq!(cache.images(), 0);
    }

    #[test]
    fn after_a_loss_nothing_is_known_but_what_an_image_holds() {
        let mut cache = Cache::default();
        let a = key(Schema::Trades, 2);
        cache.put(Schema::Trades, 2, 5, &[5; 56]);
        cache.open(5);
        cache.invalidate();
        assert!(cache.get(a).is_none());
        assert_eq!(cache.get_at(a, 5).map(|value| value.seq), Some(5));
        cache.put(Schema::Trades, 2, 9, &[9; 56]);
        assert_eq!(newest(&cache, a), Some(9));
    }
}
