//! All that is known of a document without its terms, a column a property.

use std::collections::BTreeMap;

use super::fold::fold;
use super::identifiers::Identifiers;
use super::index::{FIELDS, SearchItem};
use super::names::{Names, Tally, Texts};
use super::values::{NONE, Values};

/// Stands for no document.
pub(crate) const NO_DOCUMENT: u32 = u32::MAX;

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

    /// Those that are set, in order: faster than one by one where there are millions.
    pub(crate) fn each(&self, mut see: impl FnMut(u32)) {
        for (at, word) in (0_u32..).zip(&self.0) {
            let mut rest = *word;
            while rest != 0 {
                see(at * 64 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
    }

    /// Number of set bits.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Those that are set, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            std::iter::successors(Some(word).filter(|w| *w != 0), |w| Some(w & (w - 1)).filter(|w| *w != 0))
                .map(move |w| at as u32 * 64 + w.trailing_zeros())
        })
    }
}

/// Ascending lists of numbers, one behind the other: each number by how far it is from the one before, in as few bytes as that
/// takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    ends: Vec<u64>,
    all: Vec<u8>,
}

impl Lists {
    fn push(&mut self, list: impl IntoIterator<Item = u32>) {
        let mut before = 0;
        for number in list {
            let mut more = number - before;
            before = number;
            while more >= 0x80 {
                self.all.push(more as u8 | 0x80);
                more >>= 7;
            }
            self.all.push(more as u8);
        }
        self.ends.push(self.all.len() as u64);
    }

    fn bytes(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.all[begin..self.ends[at] as usize]
    }

    fn get(&self, at: u32) -> impl Iterator<Item = u32> {
        let mut bytes = self.bytes(at).iter();
        let mut before = 0;
        std::iter::from_fn(move || {
            let (mut more, mut bits) = (0, 0);
            loop {
                let byte = *bytes.next()?;
                more |= u32::from(byte & 0x7f) << bits;
                bits += 7;
                if byte < 0x80 {
                    break;
                }
            }
            before += more;
            Some(before)
        })
    }

    fn kept(&self, of: &Bits) -> Self {
        let mut kept = Self { ends: Vec::with_capacity(of.count()), all: Vec::with_capacity(self.all.len()) };
        for at in of.iter() {
            kept.all.extend_from_slice(self.bytes(at));
            kept.ends.push(kept.all.len() as u64);
        }
        kept.shrink();
        kept
    }

    fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.all.shrink_to_fit();
    }
}

/// A column of values that not every document has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse {
    pub(crate) values: Values,
    /// Ends with the last document that has one.
    pub(crate) column: Vec<u32>,
}

impl Sparse {
    /// The value that a document wrote.
    pub(crate) fn get(&self, document: u32) -> Option<u32> {
        self.column.get(document as usize).copied().filter(|written| *written != NONE)
    }

    fn kept(&self, of: &Bits) -> Self {
        let mut column: Vec<u32> = of.iter().map(|document| self.get(document).unwrap_or(NONE)).collect();
        column.truncate(column.iter().rposition(|written| *written != NONE).map_or(0, |last| last + 1));
        Self { values: self.values.clone(), column }
    }

    fn set(&mut self, document: u32, written: &str) {
        let written = self.values.add(written);
        self.column.resize(document as usize, NONE);
        self.column.push(written);
    }
}

/// The columns.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) key: Vec<u32>,
    /// The first bytes of the key: they decide most comparisons of keys.
    pub(crate) key_begins: Vec<u64>,
    pub(crate) brand: Vec<u32>,
    pub(crate) category: Vec<u32>,
    pub(crate) price: Vec<i64>,
    pub(crate) currency: Vec<u32>,
    pub(crate) created: Vec<i64>,
    pub(crate) language: Vec<u32>,
    /// The first bytes of the folded title: they decide most comparisons of titles.
    pub(crate) title_begins: Vec<u128>,
    pub(crate) lengths: Vec<[u8; FIELDS]>,
    pub(crate) brands: Values,
    pub(crate) categories: Values,
    /// By property that is filtered by.
    pub(crate) properties: BTreeMap<Box<str>, Sparse>,
    pub(crate) languages: Tally,
    pub(crate) identifiers: Identifiers,
    pub(crate) currencies: Names,
    titles: Texts,
    /// Every term once, in the order of their numbers.
    terms: Lists,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            key: Vec::new(),
            key_begins: Vec::new(),
            brand: Vec::new(),
            category: Vec::new(),
            price: Vec::new(),
            currency: Vec::new(),
            created: Vec::new(),
            language: Vec::new(),
            title_begins: Vec::new(),
            lengths: Vec::new(),
            brands: Values::default(),
            categories: Values::tree(),
            properties: BTreeMap::new(),
            languages: Tally::default(),
            identifiers: Identifiers::default(),
            currencies: Names::default(),
            titles: Texts::default(),
            terms: Lists::default(),
        }
    }
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
        let language = self.languages.add(&item.language);
        self.language.push(language);
        self.title_begins.push(begin(&fold(&item.title)));
        self.lengths.push(lengths);
        self.titles.push(&item.title);
        self.terms.push(terms);
        self.identifiers.push(std::iter::once(name).chain(item.identifiers.iter().map(String::as_str)));
        let document = self.key.len() as u32 - 1;
        for (property, value) in &item.properties {
            self.properties.entry(property.as_str().into()).or_default().set(document, value);
        }
        document
    }

    /// A document is dead: its values have one less.
    pub(crate) fn bury(&mut self, document: u32) {
        let at = document as usize;
        self.brands.take(self.brand[at]);
        self.categories.take(self.category[at]);
        self.languages.take(self.language[at]);
        for property in self.properties.values_mut() {
            if let Some(written) = property.get(document) {
                property.values.take(written);
            }
        }
    }

    pub(crate) fn title(&self, document: u32) -> &str {
        self.titles.get(document)
    }

    pub(crate) fn terms(&self, document: u32) -> impl Iterator<Item = u32> {
        self.terms.get(document)
    }

    /// The columns of some of the documents only.
    pub(crate) fn kept(&self, of: &Bits) -> Self {
        fn some<T: Copy>(all: &[T], of: &Bits) -> Vec<T> {
            let mut kept = Vec::with_capacity(of.count());
            kept.extend(of.iter().map(|d| all[d as usize]));
            kept
        }
        Self {
            key: some(&self.key, of),
            key_begins: some(&self.key_begins, of),
            brand: some(&self.brand, of),
            category: some(&self.category, of),
            price: some(&self.price, of),
            currency: some(&self.currency, of),
            created: some(&self.created, of),
            language: some(&self.language, of),
            title_begins: some(&self.title_begins, of),
            lengths: some(&self.lengths, of),
            brands: self.brands.clone(),
            categories: self.categories.clone(),
            languages: self.languages.clone(),
            properties: self.properties.iter().map(|(name, property)| (name.clone(), property.kept(of))).collect(),
            identifiers: self.identifiers.kept(of),
            currencies: self.currencies.clone(),
            titles: self.titles.kept(of.iter()),
            terms: self.terms.kept(of),
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.terms.shrink();
        self.titles.shrink();
        self.identifiers.shrink();
        self.properties.values_mut().for_each(|property| property.column.shrink_to_fit());
        self.lengths.shrink_to_fit();
        self.key_begins.shrink_to_fit();
        self.title_begins.shrink_to_fit();
        for column in [&mut self.price, &mut self.created] {
            column.shrink_to_fit();
        }
        for column in [&mut self.key, &mut self.brand, &mut self.category, &mut self.currency, &mut self.language] {
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
    fn lists_are_what_was_pushed() {
        let mut lists = Lists::default();
        let all = [vec![], vec![0], vec![0, 1, 127, 128, 300, 70_000, u32::MAX], vec![5_000_000, 5_000_001]];
        all.iter().for_each(|list| lists.push(list.iter().copied()));
        for (at, list) in (0..).zip(&all) {
            assert_eq!(&lists.get(at).collect::<Vec<_>>(), list);
        }
        let mut some = Bits::default();
        [0, 3].into_iter().for_each(|at| some.set(at, true));
        let kept = lists.kept(&some);
        assert_eq!([kept.get(0).count(), kept.get(1).count()], [0, 2]);
        assert_eq!(kept.get(1).collect::<Vec<_>>(), all[3]);
    }

    #[test]
    fn the_first_bytes_of_texts_are_in_the_order_of_the_texts() {
        let mut texts = ["", "a", "ab", "b", "aaaaaaaaa", "é"];
        texts.sort_unstable();
        assert!(texts.windows(2).all(|w| begin(w[0]) <= begin(w[1])));
    }
}
