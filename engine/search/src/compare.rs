//! An index beside the database that it should match: the keys that have moved, and their fate.

use std::collections::BTreeMap;

use super::columns::NO_DOCUMENT;
use super::index::SearchIndex;
use super::schema::SearchReader;

/// The parts of a key that was read again: each with its bytes and the offset that it rests on.
pub type Parts = BTreeMap<String, (Vec<u8>, i64)>;

/// The part of the database that was seen so far. The index must not change before it is [done](Compared::done).
#[derive(Debug, Default)]
pub struct Compared {
    /// By key's number: number of the index's parts that are in the database as well.
    same: Vec<u32>,
    moved: Vec<String>,
}

impl Compared {
    /// The database has this part.
    pub fn part(&mut self, reader: &SearchReader, index: &SearchIndex, key: &str, part: &str, offset: i64) {
        if !reader.reads(part) {
            return;
        }
        match index.keys.find(key).filter(|_| index.offset_there(key, reader.place(part)) == Some(offset)) {
            Some(id) => {
                let at = id as usize;
                if self.same.len() <= at {
                    self.same.resize(at + 1, 0);
                }
                self.same[at] += 1;
            }
            None => self.moved.push(key.to_owned()),
        }
    }

    /// The keys with parts that differ, or are gone.
    pub fn done(mut self, index: &SearchIndex) -> Vec<String> {
        for (id, key) in index.keys.iter() {
            if self.same.get(id as usize).copied().unwrap_or(0) != index.parts_of(id) {
                self.moved.push(key.to_owned());
            }
        }
        self.moved.sort_unstable();
        self.moved.dedup();
        self.moved
    }
}

impl SearchIndex {
    /// The offset that a part rests on which is there.
    fn offset_there(&self, key: &str, place: Option<&str>) -> Option<i64> {
        let id = self.keys.find(key)?;
        let there = match place {
            None => self.documents[id as usize] != NO_DOCUMENT,
            Some(place) => self.places_of(id).any(|p| p == place),
        };
        self.offset(key, place).filter(|_| there)
    }

    fn parts_of(&self, id: u32) -> u32 {
        u32::from(self.documents[id as usize] != NO_DOCUMENT) + self.places_of(id).count() as u32
    }

    /// A key has these parts and no others.
    pub fn settle(&mut self, reader: &SearchReader, key: &str, parts: &Parts) {
        for (part, (bytes, offset)) in parts {
            if reader.reads(part) && self.offset_there(key, reader.place(part)) != Some(*offset) {
                reader.apply(self, key, part, Some(bytes), *offset);
            }
        }
        let Some(id) = self.keys.find(key) else { return };
        let root = !parts.contains_key(&reader.schema().root);
        let gone: Vec<String> = self.places_of(id).map(|p| reader.part_of(p)).filter(|part| !parts.contains_key(part)).collect();
        for part in gone.iter().chain(root.then_some(&reader.schema().root)) {
            if let Some(offset) = self.offset_there(key, reader.place(part)) {
                reader.apply(self, key, part, None, offset);
            }
        }
    }
}
