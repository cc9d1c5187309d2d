//! What a query looks for, worked out once: which terms stand for its words, and how much each counts. All that scoring
//! takes from the corpus is in the plan, so a plan that travels in a page token scores every later page as the first.

use super::analysis::Token;
use super::index::{FIELDS, SearchIndex};

/// More words of a query are passed over.
const MOST_WORDS: usize = 12;
/// More terms for one word are passed over.
const MOST_ALTERNATIVES: usize = 6;
/// Words that say nothing, unless there are no others.
const EMPTY_WORDS: &[&str] = &["a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"];

/// A term that stands for a word of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alternative {
    pub(crate) term: String,
    /// What a document gets that has a lot of it.
    pub(crate) weight: f32,
}

/// A word of the query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) alternatives: Vec<Alternative>,
    /// What it counts among the query's words.
    pub(crate) weight: f32,
}

/// A query, as it is looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub(crate) groups: Vec<Group>,
    /// How many of the groups a document must have.
    pub(crate) need: u8,
    /// Of fields, in terms.
    pub(crate) averages: [f32; FIELDS],
    /// What the query was taken for, where that is not what was typed.
    pub(crate) corrected: Option<String>,
    /// The query has no words: everything is shown.
    pub(crate) everything: bool,
}

impl SearchIndex {
    /// The plan of a query, but for `need`.
    pub(crate) fn plan(&self, text: &str) -> Plan {
        let tokens: Vec<Token> = self.tuning.analysis.tokens(text);
        let said = |t: &&Token| !EMPTY_WORDS.contains(&t.term.as_str());
        let empty = !tokens.iter().any(|t| said(&t));
        let mut words: Vec<(Token, Vec<String>)> = Vec::new();
        for token in tokens {
            match words.last_mut() {
                // The bare number of one with a unit, or a compound of the words before.
                Some((_, others)) if token.extra => others.push(token.term),
                _ if empty || said(&&token) => words.push((token, Vec::new())),
                _ => {}
            }
        }
        let words: Vec<(Token, Vec<String>)> =
            words.into_iter().flat_map(|(word, others)| self.split(word, others)).take(MOST_WORDS).collect();
        let n = self.count.max(1) as f32;
        let mut plan = Plan { everything: words.is_empty(), averages: self.lengths.map(|l| l as f32 / n), need: 1, ..Plan::default() };
        let mut corrected = false;
        let mut taken_for: Vec<String> = Vec::new();
        for (at, (word, others)) in words.iter().enumerate() {
            let mut alternatives: Vec<Alternative> = Vec::new();
            if self.documents_with(&word.term) > 0 {
                alternatives.push(Alternative { term: word.term.clone(), weight: self.rarity(&word.term) });
            }
            for other in others.iter().filter(|o| self.documents_with(o) > 0) {
                let part = if other.len() < word.term.len() { 0.5 } else { 1.0 };
                alternatives.push(Alternative { term: other.clone(), weight: part * self.rarity(other) });
            }
            if self.tuning.compounds {
                let before = at.checked_sub(1).map(|b| format!("{}{}", words[b].0.surface, word.term));
                let after = words.get(at + 1).map(|(next, _)| format!("{}{}", word.surface, next.term));
                for compound in [before, after].into_iter().flatten().filter(|c| self.documents_with(c) > 0) {
                    if alternatives.iter().all(|a| a.term != compound) {
                        // The rarer spelling must not win by being rare.
                        let most = alternatives.first().map_or(f32::MAX, |a| a.weight);
                        alternatives.push(Alternative { weight: self.rarity(&compound).min(most), term: compound });
                    }
                }
            }
            let mut shown = word.surface.clone();
            if alternatives.is_empty() && self.tuning.typos {
                alternatives = self.corrections(&word.term);
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

    /// A word that nobody knows may be two that somebody knows.
    fn split(&self, word: Token, others: Vec<String>) -> Vec<(Token, Vec<String>)> {
        if !self.tuning.compounds || self.documents_with(&word.term) > 0 || others.iter().any(|o| self.documents_with(o) > 0) {
            return vec![(word, others)];
        }
        let analysis = self.tuning.analysis;
        let cuts = word.surface.char_indices().map(|(at, _)| at).filter(|at| *at >= 2 && at + 2 <= word.surface.len());
        let halves = cuts.filter_map(|at| {
            let (left, right) = word.surface.split_at(at);
            let halves: Vec<Token> = [left, right].iter().flat_map(|h| analysis.tokens(h)).filter(|t| !t.extra).collect();
            let common = halves.iter().map(|t| self.documents_with(&t.term)).min().unwrap_or(0);
            (halves.len() == 2 && common > 0).then_some((common, halves))
        });
        match halves.max_by_key(|(common, _)| *common) {
            // A slip is likelier than a missing blank.
            Some((_, halves)) if self.corrections(&word.term).is_empty() => halves.into_iter().map(|t| (t, Vec::new())).collect(),
            _ => vec![(word, others)],
        }
    }

    /// Words that one that nobody knows may have been meant for, the likeliest first.
    pub(crate) fn corrections(&self, word: &str) -> Vec<Alternative> {
        let mut near = self.vocabulary.near(word);
        near.retain(|n| self.postings[n.term as usize].live > 0);
        let live = |term: u32| self.postings[term as usize].live;
        let first = |term: u32| self.vocabulary.name(term).as_bytes().first() != word.as_bytes().first();
        near.sort_by(|a, b| {
            (a.distance, first(a.term))
                .cmp(&(b.distance, first(b.term)))
                .then(live(b.term).cmp(&live(a.term)))
                .then_with(|| self.vocabulary.name(a.term).cmp(self.vocabulary.name(b.term)))
        });
        let Some(best) = near.first().cloned() else { return Vec::new() };
        near.retain(|n| n.distance == best.distance && live(n.term) * 10 >= live(best.term));
        near.truncate(3);
        // The first is what the rest are measured by: a rare word must not win by being rare.
        let weight = self.rarity(self.vocabulary.name(best.term));
        near.iter()
            .zip([1.0, 0.6, 0.4])
            .map(|(n, part)| Alternative { term: self.vocabulary.name(n.term).to_owned(), weight: part * weight })
            .collect()
    }

    /// In how many live documents a term stands.
    pub(crate) fn documents_with(&self, term: &str) -> u32 {
        self.vocabulary.find(term).map_or(0, |t| self.postings[t as usize].live)
    }

    /// What a term counts: much when few documents have it.
    fn rarity(&self, term: &str) -> f32 {
        let (all, with) = (self.count as f32, self.documents_with(term) as f32);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}
