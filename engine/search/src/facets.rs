//! Filters of products, and counts of those found by brand, category, property and price.

use std::collections::{BTreeMap, BTreeSet};

use super::index::SearchIndex;
use super::run::SearchRequest;
use super::scoring::Match;
use super::values::Values;

/// Longest list of one facet's values; those that are asked for are told beyond it.
const MOST_VALUES: usize = 100;

/// Conditions on a product. Of several brands, categories or values of one property, one. Names are compared without regard
/// to case, blanks and normal form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// As products name them.
    pub brands: Vec<String>,
    /// As products name them, or one that holds them: `Printing` holds `Printing > Toner`.
    pub categories: Vec<String>,
    /// Values of properties, by the property's name.
    pub properties: BTreeMap<String, Vec<String>>,
    /// The currency of prices: a product with another lies in no range of prices, and stands behind when sorted by price. None: the
    /// prices of all currencies are compared as numbers.
    pub currency: Option<String>,
    /// The least price, inclusive.
    pub price_min: Option<i64>,
    /// The highest price, inclusive.
    pub price_max: Option<i64>,
    /// Whether it is in stock.
    pub in_stock: Option<bool>,
}

/// Which facets are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetsAsked {
    /// By brand.
    pub brand: bool,
    /// By category.
    pub category: bool,
    /// By price.
    pub price: bool,
    /// By these properties.
    pub properties: Vec<String>,
}

/// A value of a facet, and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetValue {
    /// As most products write it.
    pub value: String,
    /// Of the products found, under all filters but this facet's own.
    pub count: u32,
}

/// A value of a facet with levels, and the count of it and of those within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetLevel {
    /// From the outermost level to its own, each as most products write it.
    pub path: Vec<String>,
    /// Of the products found, under all filters but this facet's own: each product once.
    pub count: u32,
}

/// A range of prices, and its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRange {
    /// Inclusive.
    pub from: i64,
    /// Exclusive; none: no end.
    pub to: Option<i64>,
    /// Of the products found, under all filters but that of the price.
    pub count: u32,
}

/// The counts that were asked for: those with most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// By brand.
    pub brand: Option<Vec<FacetValue>>,
    /// By category: a tree, each value behind the one that it is within, and before all others that are within that.
    pub category: Option<Vec<FacetLevel>>,
    /// By property.
    pub properties: BTreeMap<String, Vec<FacetValue>>,
    /// By price, the lowest range first.
    pub price: Option<Vec<PriceRange>>,
}

/// A column's field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of<'a> {
    Brand,
    Category,
    Property(&'a str),
}

/// One column's filter, and its counts.
struct Dimension<'a> {
    of: Of<'a>,
    values: &'a Values,
    /// The value that each document wrote; shorter than there are documents if the last have none.
    column: &'a [u32],
    /// The values that were asked for.
    asked: Vec<u32>,
    /// By value written, and last for none: whether the filter lets it through. None: there is no filter.
    through: Option<Vec<bool>>,
    /// By value written, and last for none. None: nobody asked.
    counts: Option<Vec<u32>>,
}

impl<'a> Dimension<'a> {
    /// None: it is neither filtered by nor counted.
    fn new(of: Of<'a>, (values, column): (&'a Values, &'a [u32]), wanted: &[String], counted: bool) -> Option<Self> {
        let asked: Vec<u32> = wanted.iter().filter_map(|name| values.find(name)).collect();
        let fits = |written: u32| values.of(written).any(|value| asked.contains(&value));
        let through = (!wanted.is_empty()).then(|| (0..values.written() as u32).map(fits).chain([false]).collect());
        let counts = counted.then(|| vec![0; values.written() + 1]);
        (counted || !wanted.is_empty()).then_some(Self { of, values, column, asked, through, counts })
    }

    fn count(&mut self, documents: impl Iterator<Item = u32>) {
        if let Some(counts) = &mut self.counts {
            let places = counts.len();
            documents.for_each(|document| counts[written(self.column, document, places)] += 1);
        }
    }

    /// Values that something has, with their counts, the largest first; those within one behind it.
    fn counted(&self) -> Vec<(u32, u32)> {
        let mut by_value = vec![0_u32; self.values.len()];
        let written = self.counts.iter().flatten().take(self.values.written());
        for (written, count) in (0..).zip(written).filter(|(_, count)| **count > 0) {
            self.values.of(written).for_each(|value| by_value[value as usize] += count);
        }
        let mut counted: Vec<(u32, u32)> = (0..).zip(by_value).filter(|(_, count)| *count > 0).collect();
        // A value's folded text is the beginning of those within it, which are no more: it stands before them.
        counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| self.values.folded(a.0).cmp(self.values.folded(b.0))));
        let mut asked: Vec<u32> = self.asked.iter().flat_map(|value| self.values.with_those_above(*value)).collect();
        asked.sort_unstable();
        let mut place = 0;
        counted.retain(|(value, _)| {
            place += 1;
            place <= MOST_VALUES || asked.binary_search(value).is_ok()
        });
        counted
    }

    fn values(&self) -> Option<Vec<FacetValue>> {
        self.counts.as_ref()?;
        let shown = |value: u32| self.values.path(value).concat();
        Some(self.counted().into_iter().map(|(value, count)| FacetValue { value: shown(value), count }).collect())
    }

    fn tree(&self) -> Option<Vec<FacetLevel>> {
        self.counts.as_ref()?;
        let counted = self.counted();
        // In the order of a tree: by the places, among all, of a value and of those that it is within.
        let places: BTreeMap<u32, usize> = counted.iter().map(|(value, _)| *value).zip(0..).collect();
        let mut ordered: Vec<(Vec<usize>, u32, u32)> = Vec::new();
        for (value, count) in counted {
            let way = self.values.with_those_above(value).into_iter().rev().map(|above| places[&above]).collect();
            ordered.push((way, value, count));
        }
        ordered.sort_unstable();
        let path = |value: u32| self.values.path(value).into_iter().map(str::to_owned).collect();
        Some(ordered.into_iter().map(|(_, value, count)| FacetLevel { path: path(value), count }).collect())
    }
}

/// A document's value, as a place in a list that ends with one for documents without a value.
fn written(column: &[u32], document: u32, places: usize) -> usize {
    column.get(document as usize).map_or(places - 1, |written| (*written as usize).min(places - 1))
}

/// The currency whose prices count: by its number, where a product has it. None: all do.
pub(super) type Currency = Option<Option<u32>>;

/// A filter at work on one index, and its counts.
pub(super) struct Counting<'a> {
    index: &'a SearchIndex,
    filter: &'a Filter,
    dimensions: Vec<Dimension<'a>>,
    /// By dimension, and last by price: documents that its own filter alone refuses, of those looked at now. They count for its facet.
    refused: Vec<Vec<u32>>,
    /// Whether anything is filtered by.
    filtered: bool,
    /// A property that no product has is asked for.
    nothing: bool,
    pub(super) currency: Currency,
    edges: Vec<i64>,
    by_price: Option<Vec<u32>>,
}

impl SearchIndex {
    /// Makes ready to filter and count.
    pub(super) fn counting<'a>(&'a self, request: &'a SearchRequest, price_edges: &[i64]) -> Counting<'a> {
        let (filter, facets, columns) = (&request.filter, &request.facets, &self.columns);
        let brand = Dimension::new(Of::Brand, (&columns.brands, &columns.brand), &filter.brands, facets.brand);
        let category = Dimension::new(Of::Category, (&columns.categories, &columns.category), &filter.categories, facets.category);
        let named: BTreeSet<&str> = filter.properties.keys().chain(&facets.properties).map(String::as_str).collect();
        let properties = named.into_iter().filter_map(|name| {
            let property = columns.properties.get(name)?;
            let wanted = filter.properties.get(name).map(Vec::as_slice).unwrap_or_default();
            let counted = facets.properties.iter().any(|asked| asked == name);
            Dimension::new(Of::Property(name), (&property.values, &property.column), wanted, counted)
        });
        let dimensions: Vec<Dimension<'_>> = brand.into_iter().chain(category).chain(properties).collect();
        Counting {
            index: self,
            filter,
            refused: vec![Vec::new(); dimensions.len() + 1],
            filtered: *filter != Filter { currency: filter.currency.clone(), ..Filter::default() },
            dimensions,
            nothing: filter.properties.iter().any(|(name, wanted)| !wanted.is_empty() && !columns.properties.contains_key(name.as_str())),
            currency: filter.currency.as_ref().map(|currency| columns.currencies.find(currency)),
            edges: price_edges.to_vec(),
            by_price: facets.price.then(|| vec![0; price_edges.len() + 1]),
        }
    }

    /// Whether a document's price is of a currency.
    pub(super) fn is_of(&self, document: u32, currency: Currency) -> bool {
        currency.is_none_or(|wanted| wanted == Some(self.columns.currency[document as usize]))
    }
}

impl Counting<'_> {
    /// Counts documents for every facet whose other filters let them through; gives back those that all filters do.
    pub(super) fn take<'a>(&mut self, some: &'a [Match], passing: &'a mut Vec<Match>) -> &'a [Match] {
        let passing = if self.filtered {
            self.refused.iter_mut().for_each(Vec::clear);
            passing.clear();
            passing.extend(some.iter().filter(|m| self.passes(m.document)));
            passing
        } else {
            some
        };
        // A column at a time: memory is fast at that.
        for (dimension, refused) in self.dimensions.iter_mut().zip(&self.refused) {
            dimension.count(passing.iter().map(|m| m.document).chain(refused.iter().copied()));
        }
        if let Some(mut counts) = self.by_price.take() {
            let refused = self.refused.last().into_iter().flatten().copied();
            for document in passing.iter().map(|m| m.document).chain(refused).filter(|d| self.index.is_of(*d, self.currency)) {
                let price = self.index.columns.price[document as usize];
                counts[self.edges.partition_point(|edge| *edge <= price)] += 1;
            }
            self.by_price = Some(counts);
        }
        passing
    }

    /// Whether all filters let a document through. One that a single filter refuses is kept: under the others it is found.
    fn passes(&mut self, document: u32) -> bool {
        let (filter, price) = (self.filter, self.index.columns.price[document as usize]);
        if self.nothing || filter.in_stock.is_some_and(|wanted| wanted != self.index.in_stock.get(document)) {
            return false;
        }
        let (mut refused, mut by) = (0, 0);
        // Adding up is cheaper than asking: half of the answers can't be foreseen.
        let mut refuse = |no: bool, at: usize| (refused, by) = (refused + u32::from(no), if no { at } else { by });
        if filter.price_min.is_some() || filter.price_max.is_some() {
            let within = price >= filter.price_min.unwrap_or(i64::MIN) && price <= filter.price_max.unwrap_or(i64::MAX);
            refuse(!(within && self.index.is_of(document, self.currency)), self.dimensions.len());
        }
        for (at, dimension) in self.dimensions.iter().enumerate() {
            if let Some(through) = &dimension.through {
                refuse(!through[written(dimension.column, document, through.len())], at);
            }
        }
        if refused == 1 {
            self.refused[by].push(document);
        }
        refused == 0
    }

    pub(super) fn done(self, asked: &FacetsAsked) -> Facets {
        let of = |of: Of<'_>| self.dimensions.iter().find(|dimension| dimension.of == of);
        Facets {
            brand: of(Of::Brand).and_then(Dimension::values),
            category: of(Of::Category).and_then(Dimension::tree),
            properties: asked
                .properties
                .iter()
                .map(|name| (name.clone(), of(Of::Property(name)).and_then(Dimension::values).unwrap_or_default()))
                .collect(),
            price: self.by_price.as_ref().map(|counts| ranges(&self.edges, counts)),
        }
    }
}

fn ranges(edges: &[i64], counts: &[u32]) -> Vec<PriceRange> {
    let begins = std::iter::once(0).chain(edges.iter().copied());
    let ends = edges.iter().copied().map(Some).chain([None]);
    begins.zip(ends).zip(counts).map(|((from, to), count)| PriceRange { from, to, count: *count }).filter(|r| r.count > 0).collect()
}
