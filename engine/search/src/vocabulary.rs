//! The terms of an index: by name, by beginning, and by likeness.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use icu_properties::props::Script;

use super::analysis::Token;
use super::columns::Names;
use super::fold::{bare, is_mark, is_unspaced, script};

/// Words that are shorter have too many neighbours to be anybody's misspelling.
const SHORTEST_CORRECTED: usize = 4;
/// From so many letters on, two slips are one word still.
const TWO_SLIPS: usize = 7;

/// Longer words are nobody's.
const LONGEST_WORD: u8 = 40;

/// A term that is like another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Near {
    pub(crate) term: u32,
    /// Slips between the two.
    pub(crate) distance: usize,
}

/// A word as it is typed: without accents.
#[derive(Clone, Debug)]
struct Form {
    text: Arc<str>,
    term: u32,
    shape: Shape,
}

/// All terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary {
    names: Names,
    /// Words of letters only, each form once, in the order in which they came.
    forms: Vec<Form>,
    /// The same, in the order of their letters.
    words: BTreeSet<(Arc<str>, u32)>,
    /// By term: how it was written, and how often.
    surfaces: HashMap<u32, BTreeMap<Box<str>, u32>>,
}

impl Vocabulary {
    /// A term's number; new ones get the next.
    pub(crate) fn id(&mut self, token: &Token) -> u32 {
        let id = self.names.id(&token.term);
        if !token.is_word() {
            return id;
        }
        let surfaces = self.surfaces.entry(id).or_default();
        match surfaces.get_mut(token.surface.as_str()) {
            Some(count) => *count += 1,
            None => {
                let text: Arc<str> = (&*bare(&token.surface)).into();
                if let Some(shape) = Shape::of(&text) {
                    surfaces.insert(token.surface.as_str().into(), 1);
                    if self.words.insert((text.clone(), id)) {
                        self.forms.push(Form { text, term: id, shape });
                    }
                } else if surfaces.is_empty() {
                    self.surfaces.remove(&id);
                }
            }
        }
        id
    }

    pub(crate) fn find(&self, term: &str) -> Option<u32> {
        self.names.find(term)
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        self.names.name(id)
    }

    /// How a term is written most often.
    pub(crate) fn surface<'a>(&'a self, term: &'a str) -> &'a str {
        let surfaces = self.find(term).and_then(|id| self.surfaces.get(&id));
        // Of equals the first: the same whatever came in which order.
        let most = surfaces.and_then(|s| s.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))));
        most.map_or(term, |(surface, _)| surface)
    }

    /// Words that begin so, in order.
    pub(crate) fn beginning<'a>(&'a self, with: &'a str) -> impl Iterator<Item = (&'a str, u32)> {
        self.words
            .range((Bound::Included((Arc::from(with), 0)), Bound::Unbounded))
            .take_while(move |(word, _)| word.starts_with(with))
            .map(|(word, id)| (&**word, *id))
    }

    /// Terms of words whose beginnings are one slip away from this one, and that begin with the same letter or with its
    /// second.
    pub(crate) fn beginning_like(&self, begun: &str) -> impl Iterator<Item = u32> {
        let firsts: Vec<&str> = begun.char_indices().take(2).map(|(at, c)| &begun[at..at + c.len_utf8()]).collect();
        let length = begun.chars().count();
        firsts.into_iter().flat_map(move |first| {
            let words = self.words.range((Bound::Included((Arc::from(first), 0)), Bound::Unbounded));
            words.take_while(move |(word, _)| word.starts_with(first)).filter_map(move |(word, id)| {
                let near = |n: usize| {
                    let end = word.char_indices().map(|(at, _)| at).chain([word.len()]).nth(n);
                    end.is_some_and(|end| strsim::osa_distance(begun, &word[..end]) <= 1)
                };
                (near(length) || near(length - 1) || near(length + 1)).then_some(*id)
            })
        })
    }

    /// How a term is written, if possible so that it begins as is said.
    pub(crate) fn written<'a>(&'a self, term: u32, begun: &str) -> &'a str {
        let name = self.name(term);
        let usual = self.surface(name);
        let surfaces = self.surfaces.get(&term).into_iter().flatten().map(|(surface, _)| &**surface);
        [usual, name].into_iter().chain(surfaces).find(|s| bare(s).starts_with(begun)).unwrap_or(usual)
    }

    /// Terms of words that are some slips away from this one, which is none of them: a letter too many, one too few, another
    /// one, or two exchanged. Words of 4 letters may have one slip, those of 7 two.
    pub(crate) fn near(&self, word: &str) -> Vec<Near> {
        let Some(shape) = Shape::of(word).filter(|s| usize::from(s.length) >= SHORTEST_CORRECTED) else { return Vec::new() };
        let most = if usize::from(shape.length) >= TWO_SLIPS { 2 } else { 1 };
        let mut near: Vec<Near> = Vec::new();
        for form in &self.forms {
            // A slip changes at most two letters' bits and one of the length: nearly all words end here.
            let other = form.shape;
            if (shape.letters ^ other.letters).count_ones() > 2 * most as u32 || shape.length.abs_diff(other.length) > most as u8 {
                continue;
            }
            let distance = strsim::osa_distance(word, &form.text);
            if (1..=most).contains(&distance) {
                near.push(Near { term: form.term, distance });
            }
        }
        near.sort_by_key(|n| (n.term, n.distance));
        near.dedup_by_key(|n| n.term);
        near
    }

    /// Terms of longer words that this one is a part of: their beginning or their end; where words are written without blanks,
    /// any part. A part is no shorter than what says something: two letters there, three where vowels are not written, else
    /// four.
    pub(crate) fn holding(&self, part: &str) -> Vec<u32> {
        let first = part.chars().next();
        let unspaced = first.and_then(is_unspaced) == Some(true);
        let least = match script(part) {
            _ if unspaced => 2,
            Script::Hebrew | Script::Arabic => 3,
            _ => 4,
        };
        let Some(shape) = Shape::of(part).filter(|s| s.length >= least) else { return Vec::new() };
        let holds = |text: &str| {
            // A mark belongs to its letter: what it follows is not the part.
            let whole = |at: usize| !text[at..].starts_with(is_mark);
            let begins = text.starts_with(part) && whole(part.len());
            begins || text.ends_with(part) || unspaced && text.match_indices(part).any(|(at, _)| whole(at + part.len()))
        };
        let longer = |other: Shape| shape.letters & !other.letters == 0 && other.length > shape.length;
        let mut terms: Vec<u32> = self.forms.iter().filter(|f| longer(f.shape) && holds(&f.text)).map(|f| f.term).collect();
        terms.sort_unstable();
        terms.dedup();
        terms
    }
}

/// What a word of letters is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    /// A bit a letter. Those beyond a to z share bits: a slip still changes at most two.
    letters: u32,
    /// In characters.
    length: u8,
}

impl Shape {
    /// None: it is no word of letters, or too long for one.
    fn of(word: &str) -> Option<Self> {
        let bit = |c: char| match c {
            'a'..='z' => c as u32 - 'a' as u32,
            _ => c as u32 % 32,
        };
        let mut shape = Self { letters: 0, length: 0 };
        for c in word.chars() {
            if !(c.is_alphabetic() || is_mark(c)) || shape.length == LONGEST_WORD {
                return None;
            }
            shape = Self { letters: shape.letters | 1 << bit(c), length: shape.length + 1 };
        }
        (shape.length >= 2).then_some(shape)
    }
}
