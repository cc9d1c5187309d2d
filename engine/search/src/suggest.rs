//! Suggestions for somebody who is still typing.

use daybook_proto::levels;

use super::columns::Bits;
use super::fold::{bare, is_word, written};
use super::index::SearchIndex;
use super::run::{SearchHit, SearchRequest};
use super::segment::last;
use super::values::Values;

/// Words that are looked at for one beginning.
const LOOKED_AT: usize = 5_000;
/// Of those, the commonest are tried with the words before.
const TRIED: usize = 12;
/// A list that is so many times shorter is looked up in the longer one.
const LOOK_UP: usize = 16;
/// From so many letters on a beginning may hold a slip.
const SHORTEST_CORRECTED: usize = 4;
/// Most products among the suggestions.
const MOST_PRODUCTS: usize = 3;
/// Most brands, and most categories.
const MOST_NAMES: usize = 2;

/// A suggestion.
#[derive(Clone, Debug, PartialEq)]
pub enum Suggestion {
    /// A query, and the number of products with all its words.
    Words {
        /// To search for.
        text: String,
        /// Products.
        count: u32,
    },
    /// Everything of a brand.
    Brand {
        /// As products name it.
        name: String,
        /// Products.
        count: u32,
    },
    /// Everything of a category and of those within it.
    Category {
        /// As most products name it.
        name: String,
        /// Products.
        count: u32,
    },
    /// One product.
    Product(SearchHit),
}

impl SearchIndex {
    /// Suggestions for a text that may end within a word: queries first, the most frequent before the others, then brands
    /// and categories, then products.
    pub fn suggest(&self, text: &str, limit: usize) -> Vec<Suggestion> {
        let folded = written(text);
        let typed = folded.trim_start();
        let at = typed.rfind(|c: char| !is_word(c)).map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
        let at = at + last(&typed[at..]);
        let (before, begun) = typed.split_at(at);
        let begun = &*bare(begun);
        let before = before.trim();
        if before.is_empty() && begun.is_empty() {
            return Vec::new();
        }
        let completions = self.completions(before, begun, limit);
        let best = completions.first().map(|(text, _)| text.clone());
        let mut all: Vec<Suggestion> = completions.into_iter().map(|(text, count)| Suggestion::Words { text, count }).collect();
        let columns = &self.columns;
        let name = bare(typed.trim_end());
        let (brands, categories) = (named(&columns.brands, &name), named(&columns.categories, &name));
        let others = brands.map(|(name, count)| Suggestion::Brand { name, count }).collect::<Vec<_>>();
        let others = others.into_iter().chain(categories.map(|(name, count)| Suggestion::Category { name, count }));
        let request = SearchRequest { text: best.unwrap_or_else(|| text.to_owned()), limit: MOST_PRODUCTS, ..SearchRequest::default() };
        // A product whose identifier is typed in full stands first; those with a part of it are among the products.
        let identified = self.identified(text);
        let whole: Vec<&str> = identified.iter().filter(|i| i.1).map(|i| self.keys.name(columns.key[i.0 as usize])).collect();
        let request = if identified.is_empty() { request } else { SearchRequest { text: text.to_owned(), ..request } };
        let hits = self.search(&request, &[]).hits;
        let (exact, products): (Vec<SearchHit>, Vec<SearchHit>) = hits.into_iter().partition(|hit| whole.contains(&hit.key.as_str()));
        let others: Vec<Suggestion> = others.chain(products.into_iter().map(Suggestion::Product)).collect();
        let limit = limit - exact.len().min(limit);
        // Of a short list, half is for other suggestions than queries.
        all.truncate(limit - others.len().min(limit / 2));
        all.extend(others);
        all.truncate(limit);
        exact.into_iter().map(Suggestion::Product).chain(all).collect()
    }

    /// Queries that the text may become, with the number of products with all their words.
    fn completions(&self, before: &str, begun: &str, limit: usize) -> Vec<(String, u32)> {
        let plan = self.plan(before);
        let base: Option<Base> = (!plan.everything).then(|| Base::new(self.with_all(&plan)));
        let before = plan.corrected.as_deref().unwrap_or(before);
        if begun.is_empty() {
            return base.filter(|b| !b.list.is_empty()).map(|b| (before.to_owned(), b.list.len() as u32)).into_iter().collect();
        }
        let mut words: Vec<(u32, u32)> = self.words(begun);
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| self.vocabulary.name(a.0).cmp(self.vocabulary.name(b.0))));
        words.truncate(TRIED);
        let mut found: Vec<(String, u32)> = words
            .into_iter()
            .map(|(term, live)| {
                let count = base.as_ref().map_or(live, |base| self.both(base, term));
                let word = self.vocabulary.written(term, begun);
                (if before.is_empty() { word.to_owned() } else { format!("{before} {word}") }, count)
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(limit);
        found
    }

    /// Live terms that words beginning so stand for, with the number of their documents; with a slip when there are none.
    fn words(&self, begun: &str) -> Vec<(u32, u32)> {
        let live = |term: u32| (term, self.postings[term as usize].live());
        let mut words: Vec<(u32, u32)> = self.vocabulary.beginning(begun).take(LOOKED_AT).map(|(_, term)| live(term)).collect();
        words.retain(|w| w.1 > 0);
        if words.is_empty() && begun.chars().count() >= SHORTEST_CORRECTED {
            words = self.vocabulary.beginning_like(begun).map(live).filter(|w| w.1 > 0).collect();
        }
        words.sort_unstable();
        words.dedup();
        words
    }

    /// Number of these documents that have a term.
    fn both(&self, base: &Base, term: u32) -> u32 {
        let with = self.postings[term as usize].list();
        if base.list.len() * LOOK_UP < with.len() {
            base.list.iter().filter(|d| with.binary_search_by_key(*d, |p| p.document()).is_ok()).count() as u32
        } else {
            with.iter().filter(|posting| base.bits.get(posting.document())).count() as u32
        }
    }
}

/// Documents that have the words before.
struct Base {
    list: Vec<u32>,
    bits: Bits,
}

impl Base {
    fn new(list: Vec<u32>) -> Self {
        let mut bits = Bits::default();
        list.iter().for_each(|d| bits.set(*d, true));
        Self { list, bits }
    }
}

/// Names in which a word begins as the text does, those with most documents first.
fn named(values: &Values, text: &str) -> impl Iterator<Item = (String, u32)> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for value in (0..values.len() as u32).filter(|value| values.live(*value) > 0) {
        let folded = bare(values.folded(value));
        let begins = folded.match_indices(text).any(|(at, _)| !folded[..at].ends_with(is_word));
        if !text.is_empty() && begins {
            found.push((values.path(value).join(levels::SEPARATOR), values.live(value)));
        }
    }
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(MOST_NAMES);
    found.into_iter()
}
