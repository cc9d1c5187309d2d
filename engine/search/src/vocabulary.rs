//! The terms of an index: by name, by beginning, and by likeness.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use icu_properties::props::Script;

use super::analysis::{Analysis, Piece, cut, form_of};
use super::fold::{bare, is_mark, is_unspaced, script};
use super::language::Language;
use super::names::{Names, Texts};

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

/// A word as it was written, of some language, that has been read before: its terms need not be worked out again.
#[derive(Clone, Debug)]
struct Known {
    /// In `texts`.
    text: u32,
    /// In `languages`.
    language: u32,
    term: u32,
    /// Its other terms: none, mostly.
    others: Box<[u32]>,
    /// In `spellings`; [`NONE`] where it is no word of letters.
    spelling: u32,
}

/// One spelling of a term.
#[derive(Clone, Debug)]
struct Spelling {
    /// In `texts`.
    text: u32,
    count: u32,
    /// Another one of the same term, or [`NONE`].
    next: u32,
}

const NONE: u32 = u32::MAX;

/// All terms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary {
    names: Names,
    /// Words of letters only, each form once, in the order in which they came.
    forms: Vec<Form>,
    /// The same, in the order of their letters.
    words: BTreeSet<(Arc<str>, u32)>,
    /// Of words that have been read.
    languages: Vec<Language>,
    texts: Texts,
    known: Vec<Known>,
    by_text: HashTable<u32>,
    hasher: RandomState,
    spellings: Vec<Spelling>,
    /// By term: its first spelling.
    spelt: HashMap<u32, u32>,
}

impl Vocabulary {
    /// Number of terms.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a language, for [`terms`](Self::terms).
    pub(crate) fn language(&mut self, language: Language) -> u32 {
        let known = self.languages.iter().position(|l| *l == language);
        known.unwrap_or_else(|| {
            self.languages.push(language);
            self.languages.len() - 1
        }) as u32
    }

    /// The terms of a piece of a text; new ones get the next numbers. `form`: also that of a word's very form.
    pub(crate) fn terms(&mut self, analysis: Analysis, piece: &Piece<'_>, language: u32, form: bool, out: &mut impl FnMut(u32)) {
        let text = piece.text;
        // A model's number has no stem, and nobody's language: remembering how it was read would cost more than reading it.
        if !piece.stem || text.is_ascii() && text.bytes().any(|b| b.is_ascii_digit()) {
            out(self.names.id(if piece.stem { cut(text) } else { text }));
            return;
        }
        let hash = self.hasher.hash_one((text, language));
        let same = |at: &u32| {
            let known = &self.known[*at as usize];
            known.language == language && self.texts.get(known.text) == text
        };
        let at = match self.by_text.find(hash, same) {
            Some(at) => *at,
            None => self.learn(analysis, piece, language, hash),
        };
        let known = &self.known[at as usize];
        if let Some(spelling) = self.spellings.get_mut(known.spelling as usize) {
            spelling.count = spelling.count.saturating_add(1);
        }
        out(known.term);
        known.others.iter().for_each(|other| out(*other));
        if form && !text.is_ascii() {
            let form = bare(text);
            if !form.is_ascii() {
                out(self.names.id(&form_of(&form)));
            }
        }
    }

    /// Reads a word for the first time.
    fn learn(&mut self, analysis: Analysis, piece: &Piece<'_>, language: u32, hash: u64) -> u32 {
        let mut tokens = Vec::new();
        analysis.expand(piece, self.languages[language as usize], &mut tokens);
        let mut terms = tokens.iter().map(|token| self.names.id(&token.term)).collect::<Vec<_>>().into_iter();
        let term = terms.next().unwrap_or_default();
        let text = self.texts.push(piece.text);
        let spelling = self.spell(text, term);
        let at = self.known.len() as u32;
        self.known.push(Known { text, language, term, others: terms.collect(), spelling });
        let Self { known, texts, hasher, .. } = self;
        let hash_of = |at: &u32| hasher.hash_one((texts.get(known[*at as usize].text), known[*at as usize].language));
        self.by_text.insert_unique(hash, at, hash_of);
        at
    }

    /// The spelling of a term, which may be known from another language.
    fn spell(&mut self, text: u32, term: u32) -> u32 {
        let written = self.texts.get(text);
        if let Some((at, _)) = self.spellings_of(term).find(|(_, spelling)| self.texts.get(spelling.text) == written) {
            return at;
        }
        let plain: Arc<str> = (&*bare(written)).into();
        let Some(shape) = Shape::of(&plain) else { return NONE };
        let at = self.spellings.len() as u32;
        let next = self.spelt.insert(term, at).unwrap_or(NONE);
        self.spellings.push(Spelling { text, count: 0, next });
        if self.words.insert((plain.clone(), term)) {
            self.forms.push(Form { text: plain, term, shape });
        }
        at
    }

    fn spellings_of(&self, term: u32) -> impl Iterator<Item = (u32, &Spelling)> {
        let get = |at: u32| self.spellings.get(at as usize).map(|spelling| (at, spelling));
        std::iter::successors(self.spelt.get(&term).and_then(|at| get(*at)), move |(_, spelling)| get(spelling.next))
    }

    /// Gives back spare memory.
    pub(crate) fn shrink(&mut self) {
        self.names.shrink();
        self.texts.shrink();
        self.forms.shrink_to_fit();
        self.known.shrink_to_fit();
        self.spellings.shrink_to_fit();
    }

    pub(crate) fn find(&self, term: &str) -> Option<u32> {
        self.names.find(term)
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        self.names.name(id)
    }

    /// The commonest spelling of a term.
    pub(crate) fn surface<'a>(&'a self, term: &'a str) -> &'a str {
        let spellings = self.find(term).into_iter().flat_map(|id| self.spellings_of(id));
        // Of equals the first: the same in whichever order they came.
        let most = spellings.map(|(_, s)| (s.count, self.texts.get(s.text))).max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)));
        most.map_or(term, |(_, surface)| surface)
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

    /// A spelling of a term, if possible one with the beginning given.
    pub(crate) fn written<'a>(&'a self, term: u32, begun: &str) -> &'a str {
        let name = self.name(term);
        let usual = self.surface(name);
        // In the order of their letters: the same in whichever order they came.
        let mut surfaces: Vec<&str> = self.spellings_of(term).map(|(_, spelling)| self.texts.get(spelling.text)).collect();
        surfaces.sort_unstable();
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
    /// any part. A part is no shorter than a telling one: two letters there, three where vowels are not written, else
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
            // A mark belongs to its letter: text before one is not the part.
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

/// The letters and length of a word of letters.
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
