//! Judged queries: how near the first ten answers come to the best that they could be.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use daybook_query_api::{SearchIndex, SearchReader, SearchRequest, Tuning};

use super::{Product, build};

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
            // The query is what is left: it may hold commas.
            let mut fields = line.rsplitn(3, ',');
            let (rating, document, query) = (fields.next(), fields.next(), fields.next());
            let rating = rating.and_then(|r| r.trim().parse().ok());
            let (Some(rating), Some(document), Some(query)) = (rating, document, query) else { anyhow::bail!("no judgment: {line}") };
            all.entry(query.trim_matches('"').to_owned()).or_default().insert(document.to_owned(), rating);
        }
        // Where nothing is right, nothing can be ranked.
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

/// tmp
pub(crate) fn tune(reader: &SearchReader, products: &[Product], judgments: &Judgments, text: &str) {
    let mut tuning = Tuning::default();
    let mut index = build(reader, products, &tuning);
    let score = |index: &mut SearchIndex, tuning: &Tuning| {
        index.retune(tuning.clone());
        let f = judgments.judge(index);
        (f.mean(|q| !q.held_out), f.mean(|q| q.held_out))
    };
    for line in text.split(';').filter(|l| !l.trim().is_empty() && *l != "auto") {
        let mut t = Tuning::default();
        for set in line.split_whitespace() {
            let (k, v) = set.split_once('=').unwrap();
            let v: f32 = v.parse().unwrap();
            match k {
                "w0" => t.weights[0] = v,
                "w1" => t.weights[1] = v,
                "w2" => t.weights[2] = v,
                "w3" => t.weights[3] = v,
                "w4" => t.weights[4] = v,
                "b0" => t.lengths[0] = v,
                "b1" => t.lengths[1] = v,
                "b2" => t.lengths[2] = v,
                "b3" => t.lengths[3] = v,
                "b4" => t.lengths[4] = v,
                "k" => t.saturation = v,
                "cov" => t.coverage = v,
                "int" => t.intent = v,
                "ph" => t.phrase = v,
                "syn" => t.synonyms = v,
                "enough" => t.enough = v as usize,
                _ => panic!("{k}"),
            }
        }
        let (a, b) = score(&mut index, &t);
        println!("{line}: tuned {a:.4} held {b:.4}");
    }
    if text == "auto" {
        let mut best = score(&mut index, &tuning).0;
        for round in 0..3 {
            let before = best;
            for p in 0..14 {
                for factor in [0.0, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0] {
                    let mut t = tuning.clone();
                    {
                        let x = match p {
                            0..=4 => &mut t.weights[p],
                            5..=9 => &mut t.lengths[p - 5],
                            10 => &mut t.saturation,
                            11 => &mut t.coverage,
                            12 => &mut t.phrase,
                            _ => &mut t.intent,
                        };
                        if *x == 0.0 {
                            *x = 0.2 * factor
                        } else {
                            *x *= factor
                        };
                        if (5..=9).contains(&p) {
                            *x = x.min(1.0)
                        }
                    }
                    let (a, b) = score(&mut index, &t);
                    if a > best + 0.0005 {
                        best = a;
                        tuning = t;
                        println!("round {round} p{p}: {a:.4} held {b:.4}");
                    }
                }
            }
            if best <= before {
                break;
            }
        }
        println!("{tuning:?}");
    }
}
