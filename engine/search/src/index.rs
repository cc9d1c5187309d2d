//! The index: postings and columns in memory, changed in place. A document is written once and never changed; a product
//! that changes gets a new one, and the old one is dead until [`compacted`](SearchIndex::compacted). So postings are
//! always in order, and reading needs no merging.

use std::collections::BTreeMap;

use super::analysis::Kind;
use super::columns::{Bits, Columns, NO_DOCUMENT};
use super::fold::written;
use super::language::Language;
use super::markup::plain;
use super::names::Names;
use super::postings::{Posting, Postings};
use super::scoring::Tuning;
use super::stock::Stock;
use super::vocabulary::Vocabulary;

/// Number of a product's fields: title, brand, category, description, attributes, in this order wherever it matters.
pub(crate) const FIELDS: usize = 5;

/// A product as it is searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchItem {
    /// Its name.
    pub title: String,
    /// Its maker; empty when nobody says.
    pub brand: String,
    /// Its category.
    pub category: String,
    /// Text about it.
    pub description: String,
    /// Its properties, as text.
    pub attributes: String,
    /// In the smallest unit of the currency.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// Microseconds since 1970.
    pub created: i64,
    /// The language of its texts, as BCP 47 names it; empty when nobody says.
    pub language: String,
    /// Codes that tell it from all others, beside its key.
    pub identifiers: Vec<String>,
    /// Properties that are filtered by, by name.
    pub properties: BTreeMap<String, String>,
}

/// An index of products.
pub struct SearchIndex {
    pub(crate) tuning: Tuning,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) postings: Vec<Postings>,
    pub(crate) columns: Columns,
    pub(crate) keys: Names,
    /// By key: its live document, or none.
    pub(crate) documents: Vec<u32>,
    /// By key: of the event that its root rests on.
    roots: Vec<i64>,
    stock: Vec<Stock>,
    places: Names,
    pub(crate) live: Bits,
    pub(crate) in_stock: Bits,
    pub(crate) count: u32,
    /// Of all live documents together, by field, in terms.
    pub(crate) lengths: [u64; FIELDS],
}

impl SearchIndex {
    /// One with nothing in it.
    pub fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            vocabulary: Vocabulary::default(),
            postings: Vec::new(),
            columns: Columns::default(),
            keys: Names::default(),
            documents: Vec::new(),
            roots: Vec::new(),
            stock: Vec::new(),
            places: Names::default(),
            live: Bits::default(),
            in_stock: Bits::default(),
            count: 0,
            lengths: [0; FIELDS],
        }
    }

    /// Ranks otherwise from now on. The analysis stays as it is: it is in the terms.
    pub fn retune(&mut self, tuning: Tuning) {
        self.tuning = Tuning { analysis: self.tuning.analysis, ..tuning };
    }

    /// Number of products.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn key(&mut self, key: &str) -> u32 {
        let id = self.keys.id(key);
        if self.documents.len() <= id as usize {
            self.documents.push(NO_DOCUMENT);
            self.roots.push(-1);
            self.stock.push(Stock::default());
        }
        id
    }

    /// A product as it is now. `offset`: of the event that it rests on; one older than the known one changes nothing.
    pub fn put(&mut self, key: &str, item: &SearchItem, offset: i64) {
        let key = self.key(key);
        if self.roots[key as usize] > offset {
            return;
        }
        self.roots[key as usize] = offset;
        self.bury(key);
        let document = self.write(key, item);
        self.documents[key as usize] = document;
        self.count += 1;
        self.refresh_stock(key);
    }

    /// The product is gone.
    pub fn remove(&mut self, key: &str, offset: i64) {
        let key = self.key(key);
        if self.roots[key as usize] <= offset {
            self.roots[key as usize] = offset;
            self.bury(key);
        }
    }

    /// The quantity that a place can give of a product; it need not be there yet. None: the place knows nothing of it any more.
    pub fn stock(&mut self, key: &str, place: &str, quantity: Option<u32>, offset: i64) {
        let (key, place) = (self.key(key), self.places.id(place));
        if self.stock[key as usize].set(place, quantity, offset) {
            self.refresh_stock(key);
        }
    }

    /// The offset that a part rests on, when it is known. The place of the root is none.
    pub fn offset(&self, key: &str, place: Option<&str>) -> Option<i64> {
        let key = self.keys.find(key)? as usize;
        match place {
            None => Some(self.roots[key]).filter(|o| *o >= 0),
            Some(place) => {
                let place = self.places.find(place)?;
                self.stock[key].offset(place)
            }
        }
    }

    /// The places that know of a key's stock.
    pub(crate) fn places_of(&self, key: u32) -> impl Iterator<Item = &str> {
        self.stock[key as usize].places().map(|place| self.places.name(place))
    }

    fn refresh_stock(&mut self, key: u32) {
        let document = self.documents[key as usize];
        if document != NO_DOCUMENT {
            self.in_stock.set(document, self.stock[key as usize].any());
        }
    }

    /// Takes a key's document out of results and counts.
    fn bury(&mut self, key: u32) {
        let document = std::mem::replace(&mut self.documents[key as usize], NO_DOCUMENT);
        if document == NO_DOCUMENT {
            return;
        }
        self.live.set(document, false);
        self.count -= 1;
        let columns = &mut self.columns;
        for (sum, length) in self.lengths.iter_mut().zip(columns.lengths[document as usize]) {
            *sum -= u64::from(length);
        }
        columns.bury(document);
        for term in columns.terms(document) {
            self.postings[term as usize].bury();
        }
    }

    fn write(&mut self, key: u32, item: &SearchItem) -> u32 {
        // The places of each term: the term's number, then the field's.
        let mut places: Vec<u64> = Vec::new();
        let mut lengths = [0_u8; FIELDS];
        let texts = [&item.title, &item.brand, &item.category, &item.description, &item.attributes];
        let language = self.vocabulary.language(Language::of(&item.language));
        let (analysis, vocabulary) = (self.tuning.analysis, &mut self.vocabulary);
        for (field, text) in (0_u8..).zip(texts) {
            let place = |term: u32| u64::from(term) << 8 | u64::from(field);
            let length = &mut lengths[usize::from(field)];
            analysis.pieces(&written(&plain(text)), &mut |piece| {
                if piece.kind == Kind::Word {
                    *length = length.saturating_add(1);
                }
                // A title is found by the very form of a word before others of the same stem.
                vocabulary.terms(analysis, &piece, language, field == 0, &mut |term| places.push(place(term)));
            });
        }
        places.sort_unstable();
        let mut found: Vec<(u32, [u16; FIELDS])> = Vec::new();
        for place in places {
            let (term, field) = ((place >> 8) as u32, (place & 0xff) as usize);
            match found.last_mut() {
                Some((last, counts)) if *last == term => counts[field] = counts[field].saturating_add(1),
                _ => {
                    let mut counts = [0; FIELDS];
                    counts[field] = 1;
                    found.push((term, counts));
                }
            }
        }
        if self.postings.len() < self.vocabulary.len() {
            self.postings.resize(self.vocabulary.len(), Postings::None);
        }
        let document = self.columns.push((key, self.keys.name(key)), item, lengths, found.iter().map(|(term, _)| *term));
        for (term, counts) in found {
            self.postings[term as usize].push(Posting::new(document, counts));
        }
        for (sum, length) in self.lengths.iter_mut().zip(lengths) {
            *sum += u64::from(length);
        }
        self.live.set(document, true);
        document
    }

    /// The dead fraction of it: worth [compacting](Self::compacted) from a quarter on.
    pub fn dead(&self) -> f64 {
        let all = self.columns.len() as f64;
        if all == 0.0 { 0.0 } else { 1.0 - f64::from(self.count) / all }
    }

    /// The same without dead documents, made from it without reading any text again.
    pub fn compacted(&self) -> Self {
        let mut moved = vec![NO_DOCUMENT; self.columns.len()];
        for (to, document) in (0..).zip(self.live.iter()) {
            moved[document as usize] = to;
        }
        let move_to = |d: &u32| if *d == NO_DOCUMENT { NO_DOCUMENT } else { moved[*d as usize] };
        let mut live = Bits::default();
        let mut in_stock = Bits::default();
        for document in self.live.iter() {
            live.set(moved[document as usize], true);
            in_stock.set(moved[document as usize], self.in_stock.get(document));
        }
        let postings = self.postings.iter().map(|p| p.kept(|d| Some(moved[d as usize]).filter(|to| *to != NO_DOCUMENT)));
        Self {
            tuning: self.tuning.clone(),
            vocabulary: self.vocabulary.clone(),
            postings: postings.collect(),
            columns: self.columns.kept(&self.live),
            keys: self.keys.clone(),
            documents: self.documents.iter().map(move_to).collect(),
            roots: self.roots.clone(),
            stock: self.stock.clone(),
            places: self.places.clone(),
            live,
            in_stock,
            count: self.count,
            lengths: self.lengths,
        }
    }

    /// Gives back spare memory: after many products at once.
    pub fn shrink(&mut self) {
        self.postings.iter_mut().for_each(Postings::shrink);
        self.postings.shrink_to_fit();
        self.columns.shrink();
        self.vocabulary.shrink();
        self.keys.shrink();
        self.documents.shrink_to_fit();
        self.roots.shrink_to_fit();
        self.stock.shrink_to_fit();
    }
}
