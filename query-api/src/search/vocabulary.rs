//! The terms of an index: by name, by beginning, and by likeness.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::analysis::Token;
use super::columns::Names;

/// Words that are shorter have too many neighbours to be anybody's misspelling.
const SHORTEST_CORRECTED: usize = 4;
/// From so many letters on, two slips are one word still.
const TWO_SLIPS: usize = 8;

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
    /// Words of letters only, in order.
    words: BTreeMap<Arc<str>, u32>,
    /// By term, for words: which letters occur, a bit each, and how many there are; 0 for what is no word.
    shapes: Vec<(u32, u8)>,
    /// How words were written, and how often, where that is not the term itself.
    surfaces: HashMap<u32, BTreeMap<Box<str>, u32>>,
}

impl Vocabulary {
    /// A term's number; new ones get the next.
    pub(crate) fn id(&mut self, token: &Token) -> u32 {
        let id = self.names.id(&token.term);
        if self.shapes.len() <= id as usize {
            let shape = if token.extra { (0, 0) } else { shape(&token.term) };
            if shape.1 > 0 {
                self.words.insert(token.term.as_str().into(), id);
            }
            self.shapes.push(shape);
        }
        if token.surface != token.term && self.shapes[id as usize].1 > 0 {
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

    pub(crate) fn len(&self) -> usize {
        self.names.len()
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

    /// Words that are some slips away from this one, which is none of them: a letter too many, one too few, another one,
    /// or two exchanged. Words of 4 letters may have one slip, those of 8 two.
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
