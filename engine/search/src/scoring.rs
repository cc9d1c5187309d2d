//! How well a document answers: BM25F, where a term counts by its field, and less for every word that is missing.

use super::analysis::Analysis;
use super::index::{FIELDS, SearchIndex, unpacked};
use super::plan::{Group, Plan};

/// What ranking is made of. Each ingredient can be taken out, to see what it adds; the default is what was measured best
/// (`docs/search.md`).
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// How texts become terms.
    pub analysis: Analysis,
    /// What a term counts in title, brand, category, description and attributes.
    pub weights: [f32; FIELDS],
    /// How much a field's length takes from its terms, 0 to 1.
    pub lengths: [f32; FIELDS],
    /// How soon more of a term adds little more.
    pub saturation: f32,
    /// Words that nobody knows are taken for those that they are like.
    pub typos: bool,
    /// Words that are written together and apart are the same.
    pub compounds: bool,
    /// How hard a missing word is punished: the power of the part that is there.
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
    /// How many postings this thread's searches have visited: what a search costs.
    pub(super) static VISITED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// A document that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) document: u32,
    pub(crate) score: f32,
    /// How many of the query's groups it has.
    pub(crate) groups: u8,
    /// How many of them stand in its title.
    pub(crate) titles: u8,
    /// The sum of those groups' weights.
    pub(crate) covered: f32,
}

/// A document that has a term. One number, for millions of these go by: the score, negative where the term is not in the
/// title.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scored {
    document: u32,
    signed: f32,
}

impl Scored {
    fn new(document: u32, score: f32, in_title: bool) -> Self {
        Self { document, signed: if in_title { score } else { -score } }
    }

    fn in_title(self) -> bool {
        self.signed.is_sign_positive()
    }

    fn alone(self, weight: f32) -> Match {
        Match { document: self.document, score: self.signed.abs(), groups: 1, titles: u8::from(self.in_title()), covered: weight }
    }
}

impl SearchIndex {
    /// What one of a term is worth in a field of each length.
    fn worth(&self, averages: &[f32; FIELDS]) -> Vec<[f32; 256]> {
        let each = (0..FIELDS).map(|f| {
            let (weight, b, average) = (self.tuning.weights[f], self.tuning.lengths[f], averages[f].max(1.0));
            std::array::from_fn(|length| weight / (1.0 - b + b * length as f32 / average))
        });
        each.collect()
    }

    /// All live documents that have any group of the plan, in order, scored but for what they have not.
    pub(crate) fn matches(&self, plan: &Plan) -> Vec<Match> {
        let worth = self.worth(&plan.averages);
        let mut all: Vec<Match> = Vec::new();
        for group in &plan.groups {
            let list = self.group(group, &worth);
            all = if all.is_empty() {
                list.into_iter().map(|scored| scored.alone(group.weight)).collect()
            } else {
                joined(&all, &list, group.weight)
            };
        }
        all
    }

    /// The documents of a group in order, each with what its best alternative scores.
    fn group(&self, group: &Group, worth: &[[f32; 256]]) -> Vec<Scored> {
        let mut best: Vec<Scored> = Vec::new();
        for alternative in &group.alternatives {
            let Some(term) = self.vocabulary.find(&alternative.term) else { continue };
            let list = self.term(term, alternative.weight, worth);
            best = if best.is_empty() { list } else { better(&best, &list) };
        }
        best
    }

    fn term(&self, term: u32, weight: f32, worth: &[[f32; 256]]) -> Vec<Scored> {
        let postings = &self.postings[term as usize];
        #[cfg(test)]
        VISITED.set(VISITED.get() + postings.documents.len());
        let mut list = Vec::with_capacity(postings.live as usize);
        for (&document, &counts) in postings.documents.iter().zip(&postings.counts) {
            if !self.live.get(document) {
                continue;
            }
            let lengths = &self.columns.lengths[document as usize];
            let counts = unpacked(counts);
            let mut sum = 0.0;
            for (field, count) in counts.into_iter().enumerate() {
                if count > 0 {
                    sum += f32::from(count) * worth[field][usize::from(lengths[field])];
                }
            }
            if sum > 0.0 {
                list.push(Scored::new(document, weight * sum / (self.tuning.saturation + sum), counts[0] > 0));
            }
        }
        list
    }

    /// Punishes matches for the words that they have not.
    pub(crate) fn finish(&self, plan: &Plan, matches: &mut [Match]) {
        let total: f32 = plan.groups.iter().map(|g| g.weight).sum();
        if self.tuning.coverage > 0.0 && total > 0.0 {
            for m in matches.iter_mut().filter(|m| m.covered < total) {
                m.score *= (m.covered / total).powf(self.tuning.coverage);
            }
        }
    }
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
                let (a, b) = (a[i], b[j]);
                out.push(Scored::new(a.document, a.signed.abs().max(b.signed.abs()), a.in_title() || b.in_title()));
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
