//! Scores of documents: BM25F, where a term counts by its field, and less for every word that is missing.

use super::analysis::Analysis;
use super::index::{FIELDS, SearchIndex};
use super::plan::{Group, Plan};
use super::postings::Posting;

/// Documents that are handed on at once: few enough for a processor's nearest memory.
const BLOCK: usize = 512;
/// From this fraction of all documents on, those of several words are marked in a table of all: else lists are merged.
const SPARSE: usize = 16;
/// Words that a document's marks have bits for.
const MOST_MARKS: usize = 16;

/// The ingredients of ranking. Each can be taken out, to see what it adds; the default was measured best
/// (`docs/search.md`).
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The way from texts to terms.
    pub analysis: Analysis,
    /// Weights of a term in title, brand, category, description and attributes.
    pub weights: [f32; FIELDS],
    /// The weight of a field's length against its terms, 0 to 1.
    pub lengths: [f32; FIELDS],
    /// Point from which more of a term adds little more.
    pub saturation: f32,
    /// Words that nobody knows are taken for those that they are like.
    pub typos: bool,
    /// Words that are written together and apart are the same.
    pub compounds: bool,
    /// The penalty for a missing word: the power of the part that is there.
    pub coverage: f32,
    /// When fewer have all words, some without one are shown too.
    pub enough: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            analysis: Analysis::default(),
            weights: [3.0, 2.0, 2.0, 1.9, 0.5],
            lengths: [0.5, 0.0, 0.0, 1.0, 1.0],
            saturation: 1.2,
            typos: true,
            compounds: true,
            coverage: 2.0,
            enough: 24,
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Number of postings that this thread's searches have visited: the cost of a search.
    pub(super) static VISITED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A document that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) document: u32,
    pub(crate) score: f32,
    /// Number of the query's groups that it has.
    pub(crate) groups: u8,
    /// Number of them in its title.
    pub(crate) titles: u8,
    /// The sum of those groups' weights.
    pub(crate) covered: f32,
}

/// A document that has a term. One number, for millions of these go by: the score, negative where the term is not in the
/// title.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    document: u32,
    signed: f32,
}

impl Scored {
    fn alone(self, weight: f32) -> Match {
        let titles = u8::from(self.signed.is_sign_positive());
        Match { document: self.document, score: self.signed.abs(), groups: 1, titles, covered: weight }
    }
}

/// The better score of two alternatives; in the title where either is.
fn both(a: f32, b: f32) -> f32 {
    let score = a.abs().max(b.abs());
    if a.is_sign_positive() || b.is_sign_positive() { score } else { -score }
}

/// Matches of a plan, in the order of documents.
#[derive(Debug)]
pub(crate) enum Hits {
    /// All that live.
    Everything,
    /// Of one word, and the word's weight.
    Word(Vec<Scored>, f32),
    /// Of several.
    Words(Vec<Match>),
}

impl Hits {
    /// All of them, some at a time.
    pub(crate) fn each(&self, index: &SearchIndex, mut see: impl FnMut(&[Match])) {
        let mut some = Vec::with_capacity(BLOCK);
        match self {
            Self::Words(all) => all.chunks(BLOCK).for_each(see),
            Self::Word(all, weight) => {
                for block in all.chunks(BLOCK) {
                    some.clear();
                    some.extend(block.iter().map(|scored| scored.alone(*weight)));
                    see(&some);
                }
            }
            Self::Everything => {
                index.live.each(|document| {
                    some.push(Match { document, score: 0.0, groups: 0, titles: 0, covered: 0.0 });
                    if some.len() == BLOCK {
                        see(&some);
                        some.clear();
                    }
                });
                see(&some);
            }
        }
    }

    pub(crate) fn has(&self, document: u32) -> bool {
        match self {
            Self::Everything => true,
            Self::Word(all, _) => all.binary_search_by_key(&document, |m| m.document).is_ok(),
            Self::Words(all) => all.binary_search_by_key(&document, |m| m.document).is_ok(),
        }
    }

    /// The best score.
    pub(crate) fn best(&self) -> f32 {
        match self {
            Self::Everything => 0.0,
            Self::Word(all, _) => all.iter().map(|m| m.signed.abs()).fold(0.0, f32::max),
            Self::Words(all) => all.iter().map(|m| m.score).fold(0.0, f32::max),
        }
    }
}

/// The means of scoring a term.
pub(super) struct Scoring<'a> {
    index: &'a SearchIndex,
    /// The worth of one of a term in a field of each length.
    worth: Box<[[f32; 256]; FIELDS]>,
    saturation: f32,
    /// Whether anybody asks for scores. Orders other than that of relevance do not.
    scored: bool,
    /// Nothing is dead.
    all_live: bool,
}

impl<'a> Scoring<'a> {
    pub(super) fn new(index: &'a SearchIndex, averages: &[f32; FIELDS], scored: bool) -> Self {
        let tuning = &index.tuning;
        let worth = std::array::from_fn(|f| {
            let (weight, b, average) = (tuning.weights[f], tuning.lengths[f], averages[f].max(1.0));
            // An empty field has nothing that would count: its length must only be no zero to divide by.
            std::array::from_fn(|length| weight / (1.0 - b + b * length.max(1) as f32 / average))
        });
        let all_live = index.columns.len() == index.count as usize;
        // If a field counts nothing, a score also says whether the term is anywhere else.
        let scored = scored || !index.counts_all_fields();
        Self { index, worth: Box::new(worth), saturation: tuning.saturation, scored, all_live }
    }

    fn is_live(&self, document: u32) -> bool {
        self.all_live || self.index.live.get(document)
    }

    /// A posting's score, negative where the term is not in the title; 0: it counts nothing there.
    fn score(&self, posting: Posting, weight: f32) -> f32 {
        if !self.scored {
            return 1.0;
        }
        let lengths = &self.index.columns.lengths[posting.document() as usize];
        let counts = posting.counts();
        // Adding an absent field is cheaper than asking whether it is there.
        let mut sum = 0.0;
        for field in 0..FIELDS {
            sum += f32::from(counts[field]) * self.worth[field][usize::from(lengths[field])];
        }
        let score = weight * sum / (self.saturation + sum);
        if counts[0] > 0 { score } else { -score }
    }

    /// The documents of a group in order, each with its best alternative's score.
    fn group(&self, group: &Group) -> Vec<Scored> {
        let mut best: Vec<Scored> = Vec::new();
        for (postings, weight) in self.index.postings_of(group) {
            visited(postings.len());
            let mut list = Vec::with_capacity(postings.len());
            for posting in postings.iter().filter(|posting| self.is_live(posting.document())) {
                let signed = self.score(*posting, weight);
                if signed != 0.0 {
                    list.push(Scored { document: posting.document(), signed });
                }
            }
            best = if best.is_empty() { list } else { better(&best, &list) };
        }
        best
    }
}

impl SearchIndex {
    /// Whether a term counts wherever it stands.
    fn counts_all_fields(&self) -> bool {
        self.tuning.weights.iter().all(|weight| *weight > 0.0)
    }

    /// The postings of a group's alternatives, and the alternatives' weights.
    fn postings_of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = (&'a [Posting], f32)> {
        group.alternatives.iter().filter_map(|alternative| {
            let term = self.vocabulary.find(&alternative.term)?;
            Some((self.postings[term as usize].list(), alternative.weight))
        })
    }

    /// The documents that a plan finds, scored. `need`: number of its groups that a document must have; none: all, or as many fewer as
    /// it takes to have enough to show.
    pub(crate) fn matches(&self, plan: &Plan, need: Option<u8>, scored: bool) -> (Hits, u8) {
        let scoring = Scoring::new(self, &plan.averages, scored);
        if plan.everything {
            return (Hits::Everything, need.unwrap_or(plan.need));
        }
        if let [group] = plan.groups.as_slice() {
            return (Hits::Word(scoring.group(group), group.weight), 1);
        }
        let all: usize = plan.groups.iter().flat_map(|group| self.postings_of(group)).map(|(postings, _)| postings.len()).sum();
        // If a field counts nothing, not each posting is a match.
        let marked = all * SPARSE > self.columns.len() && plan.groups.len() <= MOST_MARKS && self.counts_all_fields();
        let (mut matches, need) = if marked { self.marked(plan, need, &scoring) } else { self.merged(plan, need, &scoring) };
        if scoring.scored {
            self.finish(plan, &mut matches);
        }
        (Hits::Words(matches), need)
    }

    /// Of several words, by merging their lists.
    pub(super) fn merged(&self, plan: &Plan, need: Option<u8>, scoring: &Scoring<'_>) -> (Vec<Match>, u8) {
        let mut all: Vec<Match> = Vec::new();
        for group in &plan.groups {
            let list = scoring.group(group);
            all = if all.is_empty() {
                list.into_iter().map(|scored| scored.alone(group.weight)).collect()
            } else {
                joined(&all, &list, group.weight)
            };
        }
        let mut reached = vec![0; plan.groups.len() + 1];
        for m in &all {
            reached[..=usize::from(m.groups)].iter_mut().for_each(|n| *n += 1);
        }
        let need = need.unwrap_or_else(|| self.need(&reached));
        all.retain(|m| m.groups >= need);
        (all, need)
    }

    /// Of several words that many documents have: first the documents that have enough of the words, and then only their scores.
    pub(super) fn marked(&self, plan: &Plan, need: Option<u8>, scoring: &Scoring<'_>) -> (Vec<Match>, u8) {
        // A bit a group.
        let mut marks = vec![0_u16; self.columns.len()];
        let mut reached = vec![0; plan.groups.len() + 1];
        for (n, group) in plan.groups.iter().enumerate() {
            for (postings, _) in self.postings_of(group) {
                visited(postings.len());
                for posting in postings {
                    let mark = &mut marks[posting.document() as usize];
                    if *mark >> n & 1 == 0 && scoring.is_live(posting.document()) {
                        *mark |= 1 << n;
                        reached[mark.count_ones() as usize] += 1;
                    }
                }
            }
        }
        let need = need.unwrap_or_else(|| self.need(&reached));
        let enough: Vec<bool> = (0..1_u32 << plan.groups.len()).map(|mark| mark > 0 && mark.count_ones() >= u32::from(need)).collect();
        let mut all: Vec<Match> = Vec::with_capacity(reached.get(usize::from(need)).copied().unwrap_or(0));
        for (document, mark) in (0..).zip(&marks).filter(|(_, mark)| enough[usize::from(**mark)]) {
            all.push(Match { document, score: 0.0, groups: mark.count_ones() as u8, titles: 0, covered: 0.0 });
        }
        if !scoring.scored {
            return (all, need);
        }
        let mut best = vec![0.0; all.len()];
        for group in &plan.groups {
            best.fill(0.0);
            for (postings, weight) in self.postings_of(group) {
                visited(postings.len());
                let mut at = 0;
                for posting in postings.iter().filter(|posting| enough[usize::from(marks[posting.document() as usize])]) {
                    while all[at].document < posting.document() {
                        at += 1;
                    }
                    let score = scoring.score(*posting, weight);
                    best[at] = if best[at] == 0.0 { score } else { both(best[at], score) };
                }
            }
            for (m, best) in all.iter_mut().zip(&best).filter(|(_, best)| **best != 0.0) {
                m.score += best.abs();
                m.titles += u8::from(best.is_sign_positive());
                m.covered += group.weight;
            }
        }
        (all, need)
    }

    /// All words, or as many fewer as it takes to have enough to show; by how many documents have so many words or more.
    fn need(&self, reached: &[usize]) -> u8 {
        (1..reached.len()).rev().find(|need| reached[*need] >= self.tuning.enough).unwrap_or(1) as u8
    }

    /// The documents that have all words of a plan, in order.
    pub(crate) fn with_all(&self, plan: &Plan) -> Vec<u32> {
        let (found, _) = self.matches(plan, Some(plan.groups.len() as u8), false);
        let mut all = Vec::new();
        found.each(self, |some| all.extend(some.iter().map(|m| m.document)));
        all
    }

    /// Punishes matches for the words that they have not.
    fn finish(&self, plan: &Plan, matches: &mut [Match]) {
        let total: f32 = plan.groups.iter().map(|g| g.weight).sum();
        if self.tuning.coverage > 0.0 && total > 0.0 {
            for m in matches.iter_mut().filter(|m| m.covered < total) {
                m.score *= (m.covered / total).powf(self.tuning.coverage);
            }
        }
    }
}

#[cfg_attr(not(test), expect(unused_variables, reason = "only tests count"))]
fn visited(postings: usize) {
    #[cfg(test)]
    VISITED.set(VISITED.get() + postings);
}

/// Both lists in order; of a document in both, the better score.
fn better(a: &[Scored], b: &[Scored]) -> Vec<Scored> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].document.cmp(&b[j].document) {
            std::cmp::Ordering::Less => (out.push(a[i]), i += 1).1,
            std::cmp::Ordering::Greater => (out.push(b[j]), j += 1).1,
            std::cmp::Ordering::Equal => {
                out.push(Scored { document: a[i].document, signed: both(a[i].signed, b[j].signed) });
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    out
}

/// The matches so far, and those of one more group.
fn joined(all: &[Match], list: &[Scored], weight: f32) -> Vec<Match> {
    let mut out = Vec::with_capacity(all.len() + list.len());
    let (mut i, mut j) = (0, 0);
    while i < all.len() && j < list.len() {
        match all[i].document.cmp(&list[j].document) {
            std::cmp::Ordering::Less => (out.push(all[i]), i += 1).1,
            std::cmp::Ordering::Greater => (out.push(list[j].alone(weight)), j += 1).1,
            std::cmp::Ordering::Equal => {
                let (m, more) = (all[i], list[j].alone(weight));
                out.push(Match {
                    document: m.document,
                    score: m.score + more.score,
                    groups: m.groups + 1,
                    titles: m.titles + more.titles,
                    covered: m.covered + weight,
                });
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    out.extend_from_slice(&all[i..]);
    out.extend(list[j..].iter().map(|scored| scored.alone(weight)));
    out
}
