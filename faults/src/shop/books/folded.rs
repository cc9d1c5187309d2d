//! The log, folded by the judge itself: every state that a stream has ever been in.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::orders::order::Order;
use super::product::Product;
use super::reorder::Reordering;
use super::stock::Shelf;
use crate::judge::case::Case;
use crate::judge::decode::integer;
use crate::judge::story::Story;

/// A line of stock as it is told: on hand, reserved; none: there is no line.
pub(super) type Line = Option<(i64, i64)>;

/// A stream of stock, and in which states it shows what.
#[derive(Debug)]
pub(super) struct Shelves<'a> {
    pub(super) story: Story<'a, Shelf>,
    pub(super) warehouse: &'a str,
    lines: HashMap<Line, Vec<usize>>,
}

impl Shelves<'_> {
    /// The states that show this line, in order.
    pub(super) fn showing(&self, line: Line) -> &[usize] {
        self.lines.get(&line).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Everything that is shown, at every time.
pub(super) struct Folded<'a> {
    /// By SKU.
    pub(super) products: BTreeMap<&'a str, Story<'a, Product>>,
    /// By `sku@warehouse`.
    pub(super) shelves: BTreeMap<&'a str, Shelves<'a>>,
    /// By `sku@warehouse`.
    pub(super) reorderings: BTreeMap<&'a str, Story<'a, Reordering>>,
    /// By order id.
    pub(super) orders: BTreeMap<&'a str, Story<'a, Order>>,
    /// By SKU: the keys of its stock, in byte order of the warehouses.
    stock_of: BTreeMap<&'a str, Vec<&'a str>>,
    /// By key of `category-listings`: the SKUs that it has ever listed.
    listed: BTreeMap<String, BTreeSet<&'a str>>,
}

impl<'a> Folded<'a> {
    /// Folds every stream of the shop.
    pub(super) fn of(case: &Case<'a>) -> Self {
        let mut folded = Self {
            products: BTreeMap::new(),
            shelves: BTreeMap::new(),
            reorderings: BTreeMap::new(),
            orders: BTreeMap::new(),
            stock_of: BTreeMap::new(),
            listed: BTreeMap::new(),
        };
        for (&(service, stream), places) in &case.streams {
            if let Some(sku) = stream.strip_prefix("product/") {
                let story = Story::of(case, (service, stream), places, Product::after);
                for category in story.states.iter().flat_map(Product::categories) {
                    folded.listed.entry(category.to_owned()).or_default().insert(sku);
                }
                folded.products.insert(sku, story);
            }
            if let Some(id) = stream.strip_prefix("order/") {
                folded.orders.insert(id, Story::of(case, (service, stream), places, Order::after));
            }
            if let Some(key) = stream.strip_prefix("reorder/") {
                folded.reorderings.insert(key, Story::of(case, (service, stream), places, Reordering::after));
            }
            if let Some((key, (sku, warehouse))) = stream.strip_prefix("stock/").and_then(|key| Some((key, key.split_once('@')?))) {
                let story = Story::of(case, (service, stream), places, Shelf::after);
                let mut lines: HashMap<Line, Vec<usize>> = HashMap::new();
                for (n, shelf) in story.states.iter().enumerate() {
                    lines.entry(shelf.has_line.then_some((shelf.on_hand, shelf.reserved))).or_default().push(n);
                }
                folded.shelves.insert(key, Shelves { story, warehouse, lines });
                folded.stock_of.entry(sku).or_default().push(key);
            }
        }
        for keys in folded.stock_of.values_mut() {
            keys.sort_by_key(|key| key.split_once('@'));
        }
        folded
    }

    /// The streams of a product's stock, in byte order of the warehouses.
    pub(super) fn stock_of(&self, sku: &str) -> impl Iterator<Item = &Shelves<'a>> {
        self.stock_of.get(sku).into_iter().flatten().map(|key| &self.shelves[*key])
    }

    /// The reorderings for a warehouse, in byte order of the SKUs.
    pub(super) fn reorderings_for(&self, warehouse: &str) -> impl Iterator<Item = (&'a str, &Story<'a, Reordering>)> {
        let mut found: Vec<_> = self.reorderings.iter().filter_map(|(key, story)| Some((key.split_once('@')?, story))).collect();
        found.retain(|((_, of), _)| *of == warehouse);
        found.sort_by_key(|((sku, _), _)| *sku);
        found.into_iter().map(|((sku, _), story)| (sku, story))
    }

    /// The SKUs that a category has ever listed.
    pub(super) fn listed(&self, category: &str) -> impl Iterator<Item = &'a str> {
        self.listed.get(category).into_iter().flatten().copied()
    }

    /// The stock of a product's page at the end.
    pub(super) fn stock_lines(&self, sku: &str) -> Value {
        let lines = self.stock_of(sku).filter_map(|shelves| line_json(shelves.warehouse, shelves.story.last()));
        Value::Array(lines.collect())
    }
}

/// A line of stock as pages show it.
pub(super) fn line_json(warehouse: &str, shelf: &Shelf) -> Option<Value> {
    let told = json!({ "warehouse": warehouse, "onHand": shelf.on_hand, "reserved": shelf.reserved, "available": shelf.available() });
    shelf.has_line.then_some(told)
}

/// A page of `stock-levels`, by its key.
pub(super) fn level_json(key: &str, shelf: &Shelf) -> Option<Value> {
    let (sku, warehouse) = key.split_once('@')?;
    let told = json!({
        "sku": sku, "warehouse": warehouse, "onHand": shelf.on_hand, "reserved": shelf.reserved, "available": shelf.available(),
        "reorderPoint": shelf.reorder_point, "below": shelf.available() < shelf.reorder_point,
    });
    shelf.has_level.then_some(told)
}

/// A line of a page, as it was told: none where it contradicts itself.
pub(super) fn told_line(row: &Value) -> Line {
    let number = |field: &str| integer(&row[field]);
    let (on_hand, reserved, available) = (number("onHand")?, number("reserved")?, number("available")?);
    (available == on_hand - reserved).then_some((on_hand, reserved))
}
