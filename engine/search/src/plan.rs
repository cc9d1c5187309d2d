//! A query's terms, worked out once: those that stand for its words, and the weight of each. All that scoring
//! takes from the corpus is in the plan, so a plan that travels in a page token scores every later page as the first.

use super::analysis::{Kind, Token, form_of};
use super::fold::{bare, is_unspaced};
use super::index::{FIELDS, SearchIndex};
use super::language::Language;

/// More words of a query are passed over.
const MOST_WORDS: usize = 12;
/// More terms for one word are passed over.
const MOST_ALTERNATIVES: usize = 6;
/// Longer words that are looked at for one that is a part of them.
const MOST_HOLDING: usize = 4;
/// Weight of a longer word against the one that is a part of it.
const HELD: f32 = 0.7;
/// Weight of a word's very form against its stem.
const SAME_FORM: f32 = 1.2;
/// Languages that a query's words are looked for in.
const MOST_LANGUAGES: usize = 16;
/// Words that say nothing, unless there are no others.
const EMPTY_WORDS: &[&str] = &["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"];

/// A term that stands for a word of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alternative {
    pub(crate) term: String,
    /// Score of a document that has a lot of it.
    pub(crate) weight: f32,
}

/// A word of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) alternatives: Vec<Alternative>,
    /// Its weight among the query's words.
    pub(crate) weight: f32,
}

/// A query, as it is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) groups: Vec<Group>,
    /// Number of the groups that a document must have.
    pub(crate) need: u8,
    /// Of fields, in terms.
    pub(crate) averages: [f32; FIELDS],
    /// The query as it was taken, if it is not the one that was typed.
    pub(crate) corrected: Option<String>,
    /// Nothing was asked for: everything is shown.
    pub(crate) everything: bool,
    /// Number of the query's words, with those that say nothing.
    pub(crate) length: u8,
    /// The best score of the first page: the worth of every answer is measured by it.
    pub(crate) best: f32,
}

/// A word of a query, and its other terms.
struct Word {
    token: Token,
    /// As it is typed without accents.
    plain: String,
    /// Its terms in the languages that the index holds, each once.
    terms: Vec<String>,
    /// Other spellings, and compounds; numbers without their unit count half.
    others: Vec<(String, f32)>,
}

impl SearchIndex {
    /// The plan of a query, but for `need`.
    pub(crate) fn plan(&self, text: &str) -> Plan {
        let languages = self.languages();
        let tokens = self.tuning.analysis.tokens(text, languages[0]);
        let said = |t: &&Token| !EMPTY_WORDS.contains(&t.surface.as_str());
        let empty = !tokens.iter().any(|t| said(&t));
        let mut words: Vec<Word> = Vec::new();
        let mut length = 0_usize;
        for token in tokens {
            length += usize::from(token.is_word());
            match words.last_mut() {
                Some(word) if !token.is_word() => {
                    let part = if token.kind == Kind::Part { 0.5 } else { 1.0 };
                    word.others.push((token.term, part));
                }
                _ if empty || said(&&token) => words.push(self.word(token, &languages)),
                _ => {}
            }
        }
        let words: Vec<Word> = words.into_iter().flat_map(|word| self.split(word, &languages)).take(MOST_WORDS).collect();
        let n = self.count.max(1) as f32;
        let mut plan = Plan {
            everything: text.chars().all(char::is_whitespace),
            length: u8::try_from(length).unwrap_or(u8::MAX),
            averages: self.lengths.map(|l| l as f32 / n),
            need: 1,
            ..Plan::default()
        };
        let mut corrected = false;
        let mut taken_for: Vec<String> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let mut alternatives = self.alternatives(word, &languages);
            if self.tuning.compounds {
                let before = at.checked_sub(1).map(|b| format!("{}{}", words[b].plain, word.token.term));
                let after = words.get(at + 1).map(|next| format!("{}{}", word.plain, next.token.term));
                for compound in [before, after].into_iter().flatten().filter(|c| self.documents_with(c) > 0) {
                    if alternatives.iter().all(|a| a.term != compound) {
                        // The rarer spelling must not win by being rare.
                        let most = alternatives.first().map_or(f32::MAX, |a| a.weight);
                        alternatives.push(Alternative { weight: self.rarity(&compound).min(most), term: compound });
                    }
                }
            }
            let mut shown = word.token.surface.clone();
            if alternatives.is_empty() && self.tuning.typos {
                alternatives = self.corrections(&word.plain);
                if let Some(first) = alternatives.first() {
                    corrected = true;
                    shown = self.vocabulary.surface(&first.term).to_owned();
                }
            }
            taken_for.push(shown);
            alternatives.truncate(MOST_ALTERNATIVES);
            if let Some(weight) = alternatives.iter().map(|a| a.weight).reduce(f32::max) {
                plan.groups.push(Group { alternatives, weight });
            }
        }
        plan.corrected = corrected.then(|| taken_for.join(" "));
        plan
    }

    /// The languages of the index, the commonest first: a query says none, so its words are looked for in each.
    fn languages(&self) -> Vec<Language> {
        let languages = &self.columns.languages;
        let mut all: Vec<(u32, &str)> = languages.names.iter().map(|(id, tag)| (languages.live[id as usize], tag)).collect();
        all.retain(|(live, _)| *live > 0);
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        let mut distinct = Vec::new();
        for language in all.into_iter().map(|(_, tag)| Language::of(tag)) {
            if !distinct.contains(&language) {
                distinct.push(language);
            }
        }
        if distinct.is_empty() {
            distinct.push(Language::default());
        }
        distinct.truncate(MOST_LANGUAGES);
        distinct
    }

    fn word(&self, token: Token, languages: &[Language]) -> Word {
        let mut terms = vec![token.term.clone()];
        for language in languages.iter().skip(1) {
            let term = self.tuning.analysis.term(&token.surface, *language);
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
        Word { plain: bare(&token.surface).into_owned(), token, terms, others: Vec::new() }
    }

    /// The terms that stand for a word. Its stems in several languages are one word: each counts what all of them together do,
    /// or one would win by being rare in its language.
    fn alternatives(&self, word: &Word, languages: &[Language]) -> Vec<Alternative> {
        let together: u32 = word.terms.iter().map(|t| self.documents_with(t)).sum();
        let weight = self.rarity_of(together.min(self.count));
        let mut alternatives: Vec<Alternative> =
            word.terms.iter().filter(|t| self.documents_with(t) > 0).map(|term| Alternative { term: term.clone(), weight }).collect();
        let form = form_of(&word.plain);
        if self.documents_with(&form) > 0 {
            alternatives.push(Alternative { term: form, weight: weight * SAME_FORM });
        }
        for (other, part) in word.others.iter().filter(|(o, _)| self.documents_with(o) > 0) {
            if alternatives.iter().all(|a| a.term != *other) {
                alternatives.push(Alternative { term: other.clone(), weight: part * self.rarity(other) });
            }
        }
        if alternatives.is_empty() || is_compounding(word, languages) {
            self.holding(word, &mut alternatives);
        }
        alternatives
    }

    /// Longer words that the word is a part of: they count less than itself, and less than it would by its own rarity.
    fn holding(&self, word: &Word, alternatives: &mut Vec<Alternative>) {
        let live = |term: u32| self.postings[term as usize].live();
        let mut terms: Vec<u32> = word.terms.iter().chain([&word.plain]).flat_map(|part| self.vocabulary.holding(part)).collect();
        terms.retain(|t| live(*t) > 0 && alternatives.iter().all(|a| a.term != self.vocabulary.name(*t)));
        terms.sort_by(|a, b| live(*b).cmp(&live(*a)).then_with(|| self.vocabulary.name(*a).cmp(self.vocabulary.name(*b))));
        terms.dedup();
        terms.truncate(MOST_HOLDING);
        let together: u32 = terms.iter().map(|t| live(*t)).sum();
        let most = alternatives.first().map_or(f32::MAX, |a| a.weight);
        let weight = HELD * self.rarity_of(together.min(self.count)).min(most);
        alternatives.extend(terms.into_iter().map(|t| Alternative { term: self.vocabulary.name(t).to_owned(), weight }));
    }

    /// A word that nobody knows may be two that somebody knows.
    fn split(&self, word: Word, languages: &[Language]) -> Vec<Word> {
        if !self.tuning.compounds || !self.alternatives(&word, languages).is_empty() {
            return vec![word];
        }
        let analysis = self.tuning.analysis;
        let surface = &word.plain;
        let letters = surface.chars().count();
        let cuts = surface.char_indices().enumerate().filter(|(n, _)| *n >= 2 && n + 2 <= letters).map(|(_, (at, _))| at);
        // `2016` is not 20 and 16: a typed number means the whole of it.
        let in_number = |c: char| c.is_numeric() || matches!(c, '.' | ',');
        let cuts = cuts.filter(|at| !(surface[..*at].ends_with(in_number) && surface[*at..].starts_with(in_number)));
        let halves = cuts.filter_map(|at| {
            let (left, right) = surface.split_at(at);
            let halves: Vec<Token> = [left, right].iter().flat_map(|h| analysis.tokens(h, languages[0])).filter(Token::is_word).collect();
            let halves: Vec<Word> = halves.into_iter().map(|t| self.word(t, languages)).collect();
            let known = |w: &Word| w.terms.iter().map(|t| self.documents_with(t)).max().unwrap_or(0);
            let common = halves.iter().map(known).min().unwrap_or(0);
            (halves.len() == 2 && common > 0).then_some((common, halves))
        });
        match halves.max_by_key(|(common, _)| *common) {
            // A slip is likelier than a missing blank.
            Some((_, halves)) if self.corrections(&word.plain).is_empty() => halves,
            _ => vec![word],
        }
    }

    /// Words that one that nobody knows may have been meant for, the likeliest first.
    pub(crate) fn corrections(&self, word: &str) -> Vec<Alternative> {
        let mut near = self.vocabulary.near(word);
        near.retain(|n| self.postings[n.term as usize].live() > 0);
        let live = |term: u32| self.postings[term as usize].live();
        let first = |term: u32| self.vocabulary.name(term).chars().next() != word.chars().next();
        near.sort_by(|a, b| {
            (a.distance, first(a.term))
                .cmp(&(b.distance, first(b.term)))
                .then(live(b.term).cmp(&live(a.term)))
                .then_with(|| self.vocabulary.name(a.term).cmp(self.vocabulary.name(b.term)))
        });
        let Some(best) = near.first().cloned() else { return Vec::new() };
        near.retain(|n| n.distance == best.distance && live(n.term) * 10 >= live(best.term));
        near.truncate(3);
        // The first is the measure of the rest: a rare word must not win by being rare.
        let weight = self.rarity(self.vocabulary.name(best.term));
        near.iter()
            .zip([1.0, 0.6, 0.4])
            .map(|(n, part)| Alternative { term: self.vocabulary.name(n.term).to_owned(), weight: part * weight })
            .collect()
    }

    /// Number of live documents in which a term stands.
    pub(crate) fn documents_with(&self, term: &str) -> u32 {
        self.vocabulary.find(term).map_or(0, |t| self.postings[t as usize].live())
    }

    /// The weight of a term: large when few documents have it.
    fn rarity(&self, term: &str) -> f32 {
        self.rarity_of(self.documents_with(term))
    }

    fn rarity_of(&self, documents: u32) -> f32 {
        let (all, with) = (self.count as f32, documents as f32);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}

/// Whether a word is looked for within longer ones although it is known itself: where compounds are written as one word.
fn is_compounding(word: &Word, languages: &[Language]) -> bool {
    match word.plain.chars().next().and_then(is_unspaced) {
        Some(true) => true,
        _ => languages.iter().any(|l| l.compounds()),
    }
}
