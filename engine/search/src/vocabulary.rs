//! The terms of an index: by name, by beginning, and by likeness.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::analysis::Token;
use super::columns::Names;

/// Words that are shorter have too many neighbours to be anybody's misspelling.
const SHORTEST_CORRECTED: usize = 4;
/// From so many letters on, two slips are one word still.
const TWO_SLIPS: usize = 7;

/// A term that is like another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Near {
    pub(crate) term: u32,
    /// Slips between the two.
    pub(crate) distance: usize,
}

/// All terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary {
    names: Names,
    /// Words of letters only, as they are written and as they are indexed, in order.
    words: BTreeMap<Arc<str>, u32>,
    /// By term, for words: which letters occur, a bit each, and how many there are; 0 for what is no word.
    shapes: Vec<(u32, u8)>,
    /// How words were written, and how often.
    surfaces: HashMap<u32, BTreeMap<Box<str>, u32>>,
}

impl Vocabulary {
    /// A term's number; new ones get the next.
    pub(crate) fn id(&mut self, token: &Token) -> u32 {
        let id = self.names.id(&token.term);
        if self.shapes.len() <= id as usize {
            self.shapes.push((0, 0));
        }
        // Also later: what was first seen as a compound may be a word elsewhere.
        if !token.extra && self.shapes[id as usize].1 == 0 {
            let shape = shape(&token.term);
            if shape.1 > 0 {
                self.words.insert(token.term.as_str().into(), id);
                self.shapes[id as usize] = shape;
            }
        }
        if !token.extra && self.shapes[id as usize].1 > 0 {
            if !self.words.contains_key(token.surface.as_str()) {
                self.words.insert(token.surface.as_str().into(), id);
            }
            *self.surfaces.entry(id).or_default().entry(token.surface.as_str().into()).or_default() += 1;
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
            .range::<str, _>((Bound::Included(with), Bound::Unbounded))
            .take_while(move |(word, _)| word.starts_with(with))
            .map(|(word, id)| (&**word, *id))
    }

    /// Terms of words whose beginnings are one slip away from this one, and that begin with the same letter or with its
    /// second.
    pub(crate) fn beginning_like(&self, begun: &str) -> impl Iterator<Item = u32> {
        let firsts: Vec<&str> = begun.char_indices().take(2).map(|(at, c)| &begun[at..at + c.len_utf8()]).collect();
        let length = begun.len();
        firsts.into_iter().flat_map(move |first| {
            let words = self.words.range::<str, _>((Bound::Included(first), Bound::Unbounded));
            words.take_while(move |(word, _)| word.starts_with(first)).filter_map(move |(word, id)| {
                let near = |n: usize| word.get(..n).is_some_and(|beginning| strsim::osa_distance(begun, beginning) <= 1);
                (near(length) || near(length - 1) || near(length + 1)).then_some(*id)
            })
        })
    }

    /// How a term is written, if possible so that it begins as is said.
    pub(crate) fn written<'a>(&'a self, term: u32, begun: &str) -> &'a str {
        let name = self.name(term);
        let usual = self.surface(name);
        let surfaces = self.surfaces.get(&term).into_iter().flatten().map(|(surface, _)| &**surface);
        [usual, name].into_iter().chain(surfaces).find(|s| s.starts_with(begun)).unwrap_or(usual)
    }

    /// Words that are some slips away from this one, which is none of them: a letter too many, one too few, another one,
    /// or two exchanged. Words of 4 letters may have one slip, those of 7 two.
    pub(crate) fn near(&self, word: &str) -> Vec<Near> {
        let (letters, length) = shape(word);
        if usize::from(length) < SHORTEST_CORRECTED {
            return Vec::new();
        }
        let most = if usize::from(length) >= TWO_SLIPS { 2 } else { 1 };
        let mut near = Vec::new();
        for (id, (other, other_length)) in (0..).zip(&self.shapes) {
            // A slip changes at most two letters' bits and one of the length: nearly all words end here.
            if *other_length == 0 || (letters ^ other).count_ones() > 2 * most as u32 || length.abs_diff(*other_length) > most as u8 {
                continue;
            }
            let distance = strsim::osa_distance(word, self.name(id));
            if (1..=most).contains(&distance) {
                near.push(Near { term: id, distance });
            }
        }
        near
    }
}

/// Of a word of ASCII letters; 0 of anything else.
fn shape(word: &str) -> (u32, u8) {
    if word.len() > 40 || word.len() < 2 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return (0, 0);
    }
    (word.bytes().fold(0, |bits, b| bits | 1 << (b - b'a')), word.len() as u8)
}
