//! What is known of a document without its terms, a column a property.

use std::collections::HashMap;
use std::sync::Arc;

use super::analysis::fold;
use super::index::{FIELDS, SearchItem};

/// Stands for no document.
pub(crate) const NO_DOCUMENT: u32 = u32::MAX;

/// Names by number, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    ids: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    pub(crate) fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let (id, name) = (self.names.len() as u32, Arc::<str>::from(name));
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        &self.names[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).zip(self.names.iter().map(|n| &**n))
    }
}

/// A bit a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn set(&mut self, at: u32, to: bool) {
        let word = at as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let bit = 1 << (at % 64);
        if to { self.0[word] |= bit } else { self.0[word] &= !bit }
    }

    pub(crate) fn get(&self, at: u32) -> bool {
        self.0.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Those that are set, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            std::iter::successors(Some(word).filter(|w| *w != 0), |w| Some(w & (w - 1)).filter(|w| *w != 0))
                .map(move |w| at as u32 * 64 + w.trailing_zeros())
        })
    }
}

/// Names, and how many live documents have each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) names: Names,
    pub(crate) live: Vec<u32>,
}

impl Tally {
    fn add(&mut self, name: &str) -> u32 {
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

/// Lists of numbers, one behind the other.
#[derive(Clone, Debug, Default)]
struct Lists {
    ends: Vec<u64>,
    all: Vec<u32>,
}

impl Lists {
    fn push(&mut self, list: impl IntoIterator<Item = u32>) {
        self.all.extend(list);
        self.ends.push(self.all.len() as u64);
    }

    fn get(&self, at: u32) -> &[u32] {
        let at = at as usize;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.all[begin..self.ends[at] as usize]
    }
}

/// The columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    pub(crate) key: Vec<u32>,
    /// The first bytes of the key: what most comparisons of keys are decided by.
    pub(crate) key_begins: Vec<u64>,
    pub(crate) brand: Vec<u32>,
    pub(crate) category: Vec<u32>,
    pub(crate) price: Vec<i64>,
    pub(crate) currency: Vec<u32>,
    pub(crate) created: Vec<i64>,
    /// The first bytes of the folded title: what most comparisons of titles are decided by.
    pub(crate) title_begins: Vec<u128>,
    pub(crate) lengths: Vec<[u8; FIELDS]>,
    pub(crate) brands: Tally,
    pub(crate) categories: Tally,
    pub(crate) currencies: Names,
    titles: Vec<Box<str>>,
    /// Every term once.
    terms: Lists,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.key.len()
    }

    /// Adds a document; its number.
    pub(crate) fn push(
        &mut self,
        (key, name): (u32, &str),
        item: &SearchItem,
        lengths: [u8; FIELDS],
        terms: impl Iterator<Item = u32>,
    ) -> u32 {
        self.key.push(key);
        self.key_begins.push((begin(name) >> 64) as u64);
        let (brand, category) = (self.brands.add(&item.brand), self.categories.add(&item.category));
        self.brand.push(brand);
        self.category.push(category);
        self.price.push(item.price);
        let currency = self.currencies.id(&item.currency);
        self.currency.push(currency);
        self.created.push(item.created);
        self.title_begins.push(begin(&fold(&item.title)));
        self.lengths.push(lengths);
        self.titles.push(item.title.as_str().into());
        self.terms.push(terms);
        self.key.len() as u32 - 1
    }

    pub(crate) fn title(&self, document: u32) -> &str {
        &self.titles[document as usize]
    }

    pub(crate) fn terms(&self, document: u32) -> &[u32] {
        self.terms.get(document)
    }

    /// The columns of some of the documents only.
    pub(crate) fn kept(&self, of: &Bits) -> Self {
        fn some<T: Clone>(all: &[T], of: &Bits) -> Vec<T> {
            of.iter().map(|d| all[d as usize].clone()).collect()
        }
        let mut terms = Lists::default();
        for document in of.iter() {
            terms.push(self.terms(document).iter().copied());
        }
        Self {
            key: some(&self.key, of),
            key_begins: some(&self.key_begins, of),
            brand: some(&self.brand, of),
            category: some(&self.category, of),
            price: some(&self.price, of),
            currency: some(&self.currency, of),
            created: some(&self.created, of),
            title_begins: some(&self.title_begins, of),
            lengths: some(&self.lengths, of),
            brands: self.brands.clone(),
            categories: self.categories.clone(),
            currencies: self.currencies.clone(),
            titles: some(&self.titles, of),
            terms,
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.terms.all.shrink_to_fit();
        self.terms.ends.shrink_to_fit();
        self.titles.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.key_begins.shrink_to_fit();
        self.title_begins.shrink_to_fit();
        for column in [&mut self.price, &mut self.created] {
            column.shrink_to_fit();
        }
        for column in [&mut self.key, &mut self.brand, &mut self.category, &mut self.currency] {
            column.shrink_to_fit();
        }
    }
}

/// A text's first sixteen bytes, in the order of texts.
pub(crate) fn begin(text: &str) -> u128 {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_are_set_are_told_in_order() {
        let mut bits = Bits::default();
        for at in [200, 0, 63, 64, 7] {
            bits.set(at, true);
        }
        bits.set(7, false);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 200]);
        assert!(bits.get(64) && !bits.get(7) && !bits.get(100_000));
    }

    #[test]
    fn the_first_bytes_of_texts_are_in_the_order_of_the_texts() {
        let mut texts = ["", "a", "ab", "b", "aaaaaaaaa", "é"];
        texts.sort_unstable();
        assert!(texts.windows(2).all(|w| begin(w[0]) <= begin(w[1])));
    }
}
