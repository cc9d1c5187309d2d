//! A search, from its plan to its page.

use std::cmp::Ordering;

use super::columns::NO_DOCUMENT;
use super::facets::{Currency, Facets, FacetsAsked, Filter};
use super::fold::fold;
use super::index::SearchIndex;
use super::plan::Plan;
use super::scoring::{Hits, Match};

/// The order of the products found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchSort {
    /// The best answer first; of those that are worth the same, the ones in stock.
    #[default]
    Relevance,
    /// The cheapest first; prices in another currency than the filter's behind.
    PriceAscending,
    /// The dearest first; prices in another currency than the filter's behind.
    PriceDescending,
    /// The last created first.
    Newest,
    /// By title.
    Title,
}

/// A search.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// Words; without any, everything is found.
    pub text: String,
    /// Further conditions.
    pub filter: Filter,
    /// The order.
    pub sort: SearchSort,
    /// Which facets are counted.
    pub facets: FacetsAsked,
    /// The longest page.
    pub limit: usize,
}

/// The end of a page: the next one begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) rank: u128,
    /// Only where the order is that of titles.
    pub(crate) title: String,
    pub(crate) key: String,
}

/// One product that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchHit {
    /// Its key.
    pub key: String,
    /// Its name.
    pub title: String,
    /// Its maker.
    pub brand: String,
    /// Its category.
    pub category: String,
    /// In the smallest unit of the currency.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether any place has one that can be promised.
    pub in_stock: bool,
}

/// The products found.
#[derive(Clone, Debug, Default)]
pub struct SearchAnswer {
    /// The page.
    pub hits: Vec<SearchHit>,
    /// Number of products on all pages.
    pub total: usize,
    /// The counts that were asked for.
    pub facets: Facets,
    /// The query as it was taken, when it is not the one that was typed.
    pub corrected: Option<String>,
    /// The next page's beginning; none: this is the last.
    pub next: Option<Cursor>,
    /// As the words were understood: goes into the token of the next page.
    pub plan: Plan,
}

/// A document and its place in the order; smaller comes first.
#[derive(Clone, Copy)]
struct Ranked {
    rank: u128,
    document: u32,
}

impl SearchIndex {
    /// Searches from the beginning.
    pub fn search(&self, request: &SearchRequest, price_edges: &[i64]) -> SearchAnswer {
        self.page(request, price_edges, None)
    }

    /// Searches: from the beginning, or on from a cursor under the plan of the first page.
    pub fn page(&self, request: &SearchRequest, price_edges: &[i64], from: Option<(Plan, Cursor)>) -> SearchAnswer {
        let (plan, cursor) = match from {
            Some((plan, cursor)) => (plan, Some(cursor)),
            None => (self.plan(&request.text), None),
        };
        let (plan, found) = self.found(plan, cursor.is_none(), request.sort == SearchSort::Relevance);
        let identified = if plan.everything { Vec::new() } else { self.identified(&request.text) };
        let mut counting = self.counting(request, price_edges);
        let mut best = Best { index: self, sort: request.sort, limit: request.limit + 1, all: Vec::new(), last: u128::MAX, cursor };
        let mut total = 0;
        let (mut buffer, currency) = (Vec::new(), counting.currency);
        let mut take = |some: &[Match]| {
            let passing = counting.take(some, &mut buffer);
            total += passing.len();
            self.rank_all(passing, &mut best, &plan, &identified, currency);
        };
        found.each(self, &mut take);
        // Documents that are found by an identifier alone.
        let alone = identified.iter().map(|(document, _)| *document).filter(|document| !found.has(*document));
        let alone: Vec<Match> = alone.map(|document| Match { document, score: 0.0, groups: 0, titles: 0, covered: 0.0 }).collect();
        take(&alone);
        let (hits, next) = best.page(request.limit);
        SearchAnswer { hits, total, facets: counting.done(&request.facets), corrected: plan.corrected.clone(), next, plan }
    }

    /// Live documents that a text may be an identifier of, in order, and whether it is one in full.
    pub(crate) fn identified(&self, text: &str) -> Vec<(u32, bool)> {
        let mut found = self.columns.identifiers.find(text);
        found.retain(|(document, _)| self.live.get(*document));
        found
    }

    /// The worth of an answer, the least first: an identifier in full, a title that is the query, and all others by their score, in
    /// steps of about a third; within a step, all words before some of them. If a part of an identifier may be meant, answers with
    /// all words stand before it, and those with some behind. Stock decides between equal worth. It depends on the document
    /// and the plan alone, as pages need.
    #[inline]
    fn worth_of(&self, m: &Match, plan: &Plan, identified: &[(u32, bool)]) -> u16 {
        let among = || identified.binary_search_by_key(&m.document, |i| i.0).ok().map(|at| identified[at].1);
        let whole = if identified.is_empty() { None } else { among() };
        let all = usize::from(m.groups) == plan.groups.len() && m.groups > 0;
        let as_typed = all && plan.corrected.is_none();
        let title = || self.columns.lengths[m.document as usize][0];
        let class = match whole {
            Some(true) => 0,
            _ if as_typed && m.titles == m.groups && title() == plan.length => 1,
            _ if as_typed || identified.is_empty() => 2,
            Some(false) => 3,
            None => 4,
        };
        // The bits of scores are their logarithms, nearly: a step is half of a doubling.
        let step = plan.best.to_bits().saturating_sub(m.score.to_bits()) >> 22;
        class << 6 | (step.min(31) as u16) << 1 | u16::from(!all)
    }

    /// The matches of a plan, scored where that matters; on the first page the plan is completed.
    fn found(&self, mut plan: Plan, first: bool, scored: bool) -> (Plan, Hits) {
        let (found, need) = self.matches(&plan, Some(plan.need).filter(|_| !first), scored);
        plan.need = need;
        if first && scored && !plan.everything {
            plan.best = found.best();
        }
        (plan, found)
    }

    /// Ranks documents, and keeps the best. Most are told from those by the first half of their rank alone.
    fn rank_all(&self, some: &[Match], best: &mut Best<'_>, plan: &Plan, identified: &[(u32, bool)], currency: Currency) {
        let prices = &self.columns.price;
        // Prices are not negative, so a bit is left for those of other currencies, which stand behind.
        let priced = |document: u32, n: i64| if self.is_of(document, currency) { n.max(0).cast_unsigned() } else { 1 << 63 };
        match best.sort {
            // Scores are not negative: their bits are in their order.
            SearchSort::Relevance => best.push_all(some, |m| {
                let worth = u64::from(self.worth_of(m, plan, identified));
                worth << 33 | u64::from(!self.in_stock.get(m.document)) << 32 | u64::from(!m.score.to_bits())
            }),
            SearchSort::PriceAscending => best.push_all(some, |m| priced(m.document, prices[m.document as usize])),
            SearchSort::PriceDescending => best.push_all(some, |m| priced(m.document, i64::MAX - prices[m.document as usize].max(0))),
            // Signed numbers in the order of unsigned ones.
            SearchSort::Newest => best.push_all(some, |m| (!self.columns.created[m.document as usize]).cast_unsigned() ^ 1 << 63),
            SearchSort::Title => best.push_all(some, |m| (self.columns.title_begins[m.document as usize] >> 64) as u64),
        }
    }

    /// The whole rank, by its first half.
    fn rank(&self, document: u32, sort: SearchSort, first: u64) -> u128 {
        match sort {
            SearchSort::Title => self.columns.title_begins[document as usize],
            // Documents equal otherwise are in the order of keys. Most comparisons need only a key's beginning.
            _ => u128::from(first) << 64 | u128::from(self.columns.key_begins[document as usize]),
        }
    }

    pub(crate) fn hit(&self, document: u32) -> SearchHit {
        let (columns, at) = (&self.columns, document as usize);
        SearchHit {
            key: self.keys.name(columns.key[at]).to_owned(),
            title: columns.title(document).to_owned(),
            brand: columns.brands.name(columns.brand[at]).to_owned(),
            category: columns.categories.name(columns.category[at]).to_owned(),
            price: columns.price[at],
            currency: columns.currencies.name(columns.currency[at]).to_owned(),
            in_stock: self.in_stock.get(document),
        }
    }

    /// The product under a key.
    pub fn get(&self, key: &str) -> Option<SearchHit> {
        let document = *self.documents.get(self.keys.find(key)? as usize)?;
        (document != NO_DOCUMENT).then(|| self.hit(document))
    }
}

/// Keeps the first of many behind a cursor.
struct Best<'a> {
    index: &'a SearchIndex,
    sort: SearchSort,
    limit: usize,
    all: Vec<Ranked>,
    /// Once more than the limit have been seen: documents behind it are not among the first.
    last: u128,
    cursor: Option<Cursor>,
}

impl Best<'_> {
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        let columns = &self.index.columns;
        let key = |r: &Ranked| self.index.keys.name(columns.key[r.document as usize]);
        a.rank.cmp(&b.rank).then_with(|| self.titles(a, || fold(columns.title(b.document)))).then_with(|| key(a).cmp(key(b)))
    }

    fn titles(&self, a: &Ranked, b: impl Fn() -> String) -> Ordering {
        match self.sort {
            SearchSort::Title => fold(self.index.columns.title(a.document)).cmp(&b()),
            _ => Ordering::Equal,
        }
    }

    fn is_behind(&self, r: &Ranked, cursor: &Cursor) -> bool {
        let key = || self.index.keys.name(self.index.columns.key[r.document as usize]);
        r.rank.cmp(&cursor.rank).then_with(|| self.titles(r, || cursor.title.clone())).then_with(|| key().cmp(&cursor.key)).is_gt()
    }

    fn push_all(&mut self, some: &[Match], first: impl Fn(&Match) -> u64) {
        for m in some {
            let first = first(m);
            // Most end here, by a comparison of numbers.
            if first <= (self.last >> 64) as u64 {
                self.push(m.document, first);
            }
        }
    }

    fn push(&mut self, document: u32, first: u64) {
        let r = Ranked { rank: self.index.rank(document, self.sort, first), document };
        if r.rank > self.last || self.cursor.as_ref().is_some_and(|c| !self.is_behind(&r, c)) {
            return;
        }
        self.all.push(r);
        if self.all.len() >= self.limit * 4 + 64 {
            self.cut();
        }
    }

    /// The first, in order; the last of them at its place.
    fn cut(&mut self) {
        let mut all = std::mem::take(&mut self.all);
        if all.len() > self.limit {
            all.select_nth_unstable_by(self.limit - 1, |a, b| self.compare(a, b));
            all.truncate(self.limit);
            self.last = all.last().map_or(u128::MAX, |r| r.rank);
        }
        all.sort_by(|a, b| self.compare(a, b));
        self.all = all;
    }

    fn page(mut self, limit: usize) -> (Vec<SearchHit>, Option<Cursor>) {
        self.cut();
        let more = self.all.len() > limit;
        self.all.truncate(limit);
        let next = self.all.last().filter(|_| more).map(|last| Cursor {
            rank: last.rank,
            title: if self.sort == SearchSort::Title { fold(self.index.columns.title(last.document)) } else { String::new() },
            key: self.index.keys.name(self.index.columns.key[last.document as usize]).to_owned(),
        });
        (self.all.iter().map(|r| self.index.hit(r.document)).collect(), next)
    }
}
