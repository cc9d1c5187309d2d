//! Texts by number, one behind the other: a million of them are a few allocations, and copying them is copying bytes.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Texts by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    ends: Vec<u64>,
    all: String,
}

impl Texts {
    /// Adds a text; its number.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.all.push_str(text);
        self.ends.push(self.all.len() as u64);
        self.ends.len() as u32 - 1
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> &str {
        let at = at as usize;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.all[begin..self.ends[at] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Some of them only, by their numbers in order.
    pub(crate) fn kept(&self, of: impl Iterator<Item = u32>) -> Self {
        let mut kept = Self { ends: Vec::with_capacity(self.ends.len()), all: String::with_capacity(self.all.len()) };
        of.for_each(|at| _ = kept.push(self.get(at)));
        kept.shrink();
        kept
    }

    pub(crate) fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.all.shrink_to_fit();
    }
}

/// Names by number, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    texts: Texts,
    ids: HashTable<u32>,
    hasher: RandomState,
}

impl Names {
    pub(crate) fn id(&mut self, name: &str) -> u32 {
        let Self { texts, ids, hasher } = self;
        let hash = |id: &u32| hasher.hash_one(texts.get(*id));
        match ids.entry(hasher.hash_one(name), |id| texts.get(*id) == name, hash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let id = texts.len() as u32;
                new.insert(id);
                texts.push(name)
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.ids.find(self.hasher.hash_one(name), |id| self.texts.get(*id) == name).copied()
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        self.texts.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..self.texts.len() as u32).map(|id| (id, self.texts.get(id)))
    }

    pub(crate) fn shrink(&mut self) {
        self.texts.shrink();
        let Self { texts, ids, hasher } = self;
        ids.shrink_to_fit(|id| hasher.hash_one(texts.get(*id)));
    }
}

/// Names, and the number of live documents of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) names: Names,
    pub(crate) live: Vec<u32>,
}

impl Tally {
    pub(crate) fn add(&mut self, name: &str) -> u32 {
        let id = self.names.id(name);
        if self.live.len() <= id as usize {
            self.live.push(0);
        }
        self.live[id as usize] += 1;
        id
    }

    pub(crate) fn take(&mut self, id: u32) {
        self.live[id as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_is_found_by_it_however_many_there_are() {
        let mut names = Names::default();
        let all: Vec<String> = (0..1_000).map(|n| format!("name-{}", n % 500)).collect();
        let ids: Vec<u32> = all.iter().map(|name| names.id(name)).collect();
        names.shrink();
        assert_eq!(ids[..500], ids[500..]);
        assert!(all.iter().zip(&ids).all(|(name, id)| names.name(*id) == name && names.find(name) == Some(*id)));
        assert_eq!((names.find("name"), names.find(""), names.iter().count()), (None, None, 500));
        assert_eq!((names.id(""), names.name(500), names.find("")), (500, "", Some(500)));
    }
}
