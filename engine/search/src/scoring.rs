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
            lengths: [0.5, 0.0, 0.0, 1.0, 0.75],
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
    /// The sum of those groups' weights.
    pub(crate) covered: f32,
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
                list.into_iter().map(|(document, score)| Match { document, score, groups: 1, covered: group.weight }).collect()
            } else {
                joined(&all, &list, group.weight)
            };
        }
        all
    }

    /// The documents of a group in order, each with what its best alternative scores.
    fn group(&self, group: &Group, worth: &[[f32; 256]]) -> Vec<(u32, f32)> {
        let mut best: Vec<(u32, f32)> = Vec::new();
        for alternative in &group.alternatives {
            let Some(term) = self.vocabulary.find(&alternative.term) else { continue };
            let list = self.term(term, alternative.weight, worth);
            best = if best.is_empty() { list } else { better(&best, &list) };
        }
        best
    }

    fn term(&self, term: u32, weight: f32, worth: &[[f32; 256]]) -> Vec<(u32, f32)> {
        let postings = &self.postings[term as usize];
        #[cfg(test)]
        VISITED.set(VISITED.get() + postings.documents.len());
        let mut list = Vec::with_capacity(postings.live as usize);
        for (&document, &counts) in postings.documents.iter().zip(&postings.counts) {
            if !self.live.get(document) {
                continue;
            }
            let lengths = &self.columns.lengths[document as usize];
            let mut sum = 0.0;
            for (field, count) in unpacked(counts).into_iter().enumerate() {
                if count > 0 {
                    sum += f32::from(count) * worth[field][usize::from(lengths[field])];
                }
            }
            if sum > 0.0 {
                list.push((document, weight * sum / (self.tuning.saturation + sum)));
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
fn better(a: &[(u32, f32)], b: &[(u32, f32)]) -> Vec<(u32, f32)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].0.cmp(&b[j].0) {
            std::cmp::Ordering::Less => (out.push(a[i]), i += 1).1,
            std::cmp::Ordering::Greater => (out.push(b[j]), j += 1).1,
            std::cmp::Ordering::Equal => {
                out.push((a[i].0, a[i].1.max(b[j].1)));
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    out
}

/// The matches so far, and those of one more group.
fn joined(all: &[Match], list: &[(u32, f32)], weight: f32) -> Vec<Match> {
    let mut out = Vec::with_capacity(all.len() + list.len());
    let (mut i, mut j) = (0, 0);
    let alone = |(document, score): (u32, f32)| Match { document, score, groups: 1, covered: weight };
    while i < all.len() && j < list.len() {
        match all[i].document.cmp(&list[j].0) {
            std::cmp::Ordering::Less => (out.push(all[i]), i += 1).1,
            std::cmp::Ordering::Greater => (out.push(alone(list[j])), j += 1).1,
            std::cmp::Ordering::Equal => {
                let m = all[i];
                out.push(Match { score: m.score + list[j].1, groups: m.groups + 1, covered: m.covered + weight, ..m });
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    out.extend_from_slice(&all[i..]);
    out.extend(list[j..].iter().copied().map(alone));
    out
}
