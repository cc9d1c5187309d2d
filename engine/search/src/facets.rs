//! What must hold of what is found, and how many of what is found are of each brand, category and price.

use super::index::SearchIndex;
use super::run::SearchRequest;

/// Longest list of one facet's values; those that are asked for are told beyond it.
const MOST_VALUES: usize = 100;
/// Between a category and what it is part of: `Home/Lamps`, `Home > Lamps`.
const WITHIN: [char; 2] = ['/', '>'];

/// What must hold of a product. Of several brands or categories one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly as products name them.
    pub brands: Vec<String>,
    /// Exactly as products name them, or one that holds them: `Printing` holds `Printing > Toner`.
    pub categories: Vec<String>,
    /// The least price, inclusive.
    pub price_min: Option<i64>,
    /// The highest price, inclusive.
    pub price_max: Option<i64>,
    /// Whether it is in stock.
    pub in_stock: Option<bool>,
}

/// Which facets are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FacetsAsked {
    /// By brand.
    pub brand: bool,
    /// By category.
    pub category: bool,
    /// By price.
    pub price: bool,
}

/// A value of a facet, and how many have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// As products name it.
    pub value: String,
    /// Of what is found, under all filters but this facet's own.
    pub count: u32,
}

/// A range of prices, and how many lie in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// Inclusive.
    pub from: i64,
    /// Exclusive; none: no end.
    pub to: Option<i64>,
    /// Of what is found, under all filters but that of the price.
    pub count: u32,
}

/// The counts that were asked for: those with most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// By brand.
    pub brand: Option<Vec<FacetValue>>,
    /// By category.
    pub category: Option<Vec<FacetValue>>,
    /// By price, the lowest range first.
    pub price: Option<Vec<PriceRange>>,
}

/// A filter at work on one index, and its counts.
pub(super) struct Counting<'a> {
    index: &'a SearchIndex,
    filter: &'a Filter,
    asked: FacetsAsked,
    /// By number: whether the filter lets it through. Empty: it lets all through.
    brands: Vec<bool>,
    categories: Vec<bool>,
    edges: Vec<i64>,
    by_brand: Vec<u32>,
    by_category: Vec<u32>,
    by_price: Vec<u32>,
}

impl SearchIndex {
    pub(super) fn counting<'a>(&'a self, request: &'a SearchRequest, price_edges: &[i64]) -> Counting<'a> {
        let (filter, asked) = (&request.filter, request.facets);
        let (brands, categories) = (&self.columns.brands.names, &self.columns.categories.names);
        let through = |any: &[String], all: &super::columns::Names, is: &dyn Fn(&str, &str) -> bool| -> Vec<bool> {
            if any.is_empty() { Vec::new() } else { all.iter().map(|(_, name)| any.iter().any(|a| is(name, a))).collect() }
        };
        Counting {
            index: self,
            filter,
            asked,
            brands: through(&filter.brands, brands, &|name, asked| name == asked),
            categories: through(&filter.categories, categories, &is_of),
            edges: price_edges.to_vec(),
            by_brand: vec![0; if asked.brand { brands.len() } else { 0 }],
            by_category: vec![0; if asked.category { categories.len() } else { 0 }],
            by_price: vec![0; if asked.price { price_edges.len() + 1 } else { 0 }],
        }
    }
}

fn is_of(name: &str, category: &str) -> bool {
    name.strip_prefix(category).is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(WITHIN))
}

impl Counting<'_> {
    /// Counts a document for every facet whose other filters let it through; whether all of them do.
    pub(super) fn take(&mut self, document: u32) -> bool {
        let (columns, filter, at) = (&self.index.columns, self.filter, document as usize);
        if filter.in_stock.is_some_and(|wanted| wanted != self.index.in_stock.get(document)) {
            return false;
        }
        let (brand, category, price) = (columns.brand[at] as usize, columns.category[at] as usize, columns.price[at]);
        let of_brand = self.brands.is_empty() || self.brands[brand];
        let of_category = self.categories.is_empty() || self.categories[category];
        let of_price = filter.price_min.is_none_or(|min| price >= min) && filter.price_max.is_none_or(|max| price <= max);
        if self.asked.brand && of_category && of_price {
            self.by_brand[brand] += 1;
        }
        if self.asked.category && of_brand && of_price {
            self.by_category[category] += 1;
        }
        if self.asked.price && of_brand && of_category {
            self.by_price[self.edges.partition_point(|edge| *edge <= price)] += 1;
        }
        of_brand && of_category && of_price
    }

    pub(super) fn done(self) -> Facets {
        let columns = &self.index.columns;
        Facets {
            brand: self.asked.brand.then(|| values(&columns.brands.names, &self.by_brand, &self.filter.brands)),
            category: self.asked.category.then(|| values(&columns.categories.names, &self.by_category, &self.filter.categories)),
            price: self.asked.price.then(|| ranges(&self.edges, &self.by_price)),
        }
    }
}

fn values(names: &super::columns::Names, counts: &[u32], asked: &[String]) -> Vec<FacetValue> {
    let counted = names.iter().zip(counts).filter(|((_, name), count)| **count > 0 && !name.is_empty());
    let mut values: Vec<FacetValue> = counted.map(|((_, name), count)| FacetValue { value: name.to_owned(), count: *count }).collect();
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    let mut place = 0;
    values.retain(|v| {
        place += 1;
        place <= MOST_VALUES || asked.contains(&v.value)
    });
    values
}

fn ranges(edges: &[i64], counts: &[u32]) -> Vec<PriceRange> {
    let begins = std::iter::once(0).chain(edges.iter().copied());
    let ends = edges.iter().copied().map(Some).chain([None]);
    begins.zip(ends).zip(counts).map(|((from, to), count)| PriceRange { from, to, count: *count }).filter(|r| r.count > 0).collect()
}
