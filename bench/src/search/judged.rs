//! Judged queries: how near the first ten answers come to the best that they could be.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use daybook_search::{Analysis, SearchIndex, SearchRequest, Tuning};

/// Ranks that count.
const DEPTH: usize = 10;

/// Ratings by query and product.
pub(crate) struct Judgments(BTreeMap<String, HashMap<String, u32>>);

/// One query's answer.
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) ndcg: f64,
    pub(crate) total: usize,
    /// Not looked at when weights were chosen.
    pub(crate) held_out: bool,
}

/// All queries' answers.
pub(crate) struct Found {
    pub(crate) queries: Vec<Query>,
}

impl Found {
    pub(crate) fn mean(&self, of: impl Fn(&Query) -> bool) -> f64 {
        let all: Vec<f64> = self.queries.iter().filter(|q| of(q)).map(|q| q.ndcg).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }
}

impl Found {
    /// As the cells of a table.
    pub(crate) fn row(&self) -> String {
        let empty = self.queries.iter().filter(|q| q.total == 0).count();
        format!("{:.4} | {:.4} | {:.4} | {empty}", self.mean(|_| true), self.mean(|q| !q.held_out), self.mean(|q| q.held_out))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let empty: Vec<&str> = self.queries.iter().filter(|q| q.total == 0).map(|q| q.text.as_str()).collect();
        write!(
            f,
            "nDCG@10 {:.4} ({} queries); tuned half {:.4} ({}), held-out half {:.4} ({}); {} empty {empty:?}",
            self.mean(|_| true),
            self.queries.len(),
            self.mean(|q| !q.held_out),
            self.queries.iter().filter(|q| !q.held_out).count(),
            self.mean(|q| q.held_out),
            self.queries.iter().filter(|q| q.held_out).count(),
            empty.len(),
        )
    }
}

impl Judgments {
    /// From lines `query,docid,rating`, the first of them a heading.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
        let mut all = BTreeMap::<String, HashMap<String, u32>>::new();
        for line in text.lines().skip(1).filter(|l| !l.is_empty()) {
            // The query is the rest: it may hold commas.
            let mut fields = line.rsplitn(3, ',');
            let (rating, document, query) = (fields.next(), fields.next(), fields.next());
            let rating = rating.and_then(|r| r.trim().parse().ok());
            let (Some(rating), Some(document), Some(query)) = (rating, document, query) else { anyhow::bail!("no judgment: {line}") };
            all.entry(query.trim_matches('"').to_owned()).or_default().insert(document.to_owned(), rating);
        }
        // If nothing is right, nothing can be ranked.
        all.retain(|_, ratings| ratings.values().any(|r| *r > 0));
        Ok(Self(all))
    }

    /// Asks every query.
    pub(crate) fn judge(&self, index: &SearchIndex) -> Found {
        let queries = self.0.iter().map(|(text, ratings)| {
            let request = SearchRequest { text: text.clone(), limit: DEPTH, ..SearchRequest::default() };
            let answer = index.search(&request, &[]);
            let got: Vec<u32> = answer.hits.iter().map(|h| ratings.get(&h.key).copied().unwrap_or(0)).collect();
            let mut ideal: Vec<u32> = ratings.values().copied().collect();
            ideal.sort_unstable_by(|a, b| b.cmp(a));
            Query { text: text.clone(), ndcg: gain(&got) / gain(&ideal), total: answer.total, held_out: is_held_out(text) }
        });
        Found { queries: queries.collect() }
    }
}

/// Of a list's first ranks: 2^rating − 1, divided by the logarithm of the rank.
fn gain(ratings: &[u32]) -> f64 {
    ratings.iter().take(DEPTH).zip(2..).map(|(r, rank)| (2_f64.powf(f64::from(*r)) - 1.0) / f64::from(rank).log2()).sum()
}

/// Half of all queries, by the query itself: adding queries moves none.
fn is_held_out(query: &str) -> bool {
    query.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)) >> 32 & 1 == 1
}

/// The ranking as it is, and without each of its ingredients.
pub(crate) fn ingredients() -> Vec<(&'static str, Tuning)> {
    let all = Tuning::default;
    let alike = |weights: [f32; 5]| Tuning { weights, ..all() };
    vec![
        ("all", all()),
        ("titles only", alike([1.0, 0.0, 0.0, 0.0, 0.0])),
        ("title, brand and category only", Tuning { weights: [all().weights[0], all().weights[1], all().weights[2], 0.0, 0.0], ..all() }),
        ("without properties", Tuning { weights: [all().weights[0], all().weights[1], all().weights[2], all().weights[3], 0.0], ..all() }),
        ("all fields alike", alike([1.0; 5])),
        ("lengths of fields disregarded", Tuning { lengths: [0.0; 5], ..all() }),
        ("plurals are other words", Tuning { analysis: Analysis { stemming: false, ..Analysis::default() }, ..all() }),
        ("no units and compounds in texts", Tuning { analysis: Analysis { compounds: false, ..Analysis::default() }, ..all() }),
        ("together is not apart", Tuning { compounds: false, ..all() }),
        ("no typos", Tuning { typos: false, ..all() }),
        ("missing words cost nothing more", Tuning { coverage: 0.0, ..all() }),
        ("every word must be there", Tuning { enough: 0, ..all() }),
    ]
}
