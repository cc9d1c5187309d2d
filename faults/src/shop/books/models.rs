//! The shop's read models at the end: the parts that a fold of the log shows, and what is served of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::folded::{Folded, level_json, line_json};
use super::reorder::Reordering;
use crate::evidence::Served;
use crate::judge::case::Case;
use crate::judge::models::{Expected, Model, PartName, judge_parts, judge_served};
use crate::judge::verdict::Findings;
use crate::shop::names::{CATEGORY_LISTINGS, ORDERS, PRODUCT_PAGES, REORDER_ALERTS, SEARCH, STOCK_LEVELS};

/// Read models that are folded here, and the messages of their parts.
const MODELS: [(&str, &str); 5] = [
    (PRODUCT_PAGES, "shop.read.v1.ProductPage"),
    (CATEGORY_LISTINGS, "shop.read.v1.CategoryListing"),
    (STOCK_LEVELS, "shop.read.v1.StockLevel"),
    (REORDER_ALERTS, "shop.read.v1.ReorderAlerts"),
    (ORDERS, "shop.read.v1.OrderPage"),
];

/// Every rule of the end.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    for (name, message) in MODELS {
        // In a list the SKU names a part, for the id there is a matter of sorting.
        let stands_for_id = |part: &Value| part["items"][0]["sku"].as_str().map(str::to_owned);
        judge_parts(case, &Model { name, message, parts: expected_parts(folded, name), stands_for_id }, findings);
    }
    for served in &case.evidence.served {
        served_is_the_fold(folded, served, findings);
    }
}

fn expected_parts<'f>(folded: &'f Folded<'_>, model: &str) -> BTreeMap<PartName, Expected<'f>> {
    let mut expected: BTreeMap<PartName, Expected<'f>> = BTreeMap::new();
    match model {
        PRODUCT_PAGES => {
            for (sku, story) in folded.products.iter().filter(|(_, story)| story.last().shown) {
                let is_it = move |told: &Value| story.last().is_page(told) && told["stock"] == Value::Array(Vec::new());
                let name = ((*sku).to_owned(), "details".to_owned());
                expected.insert(name, (Box::new(is_it), Value::Object(story.last().page.clone())));
            }
            for (key, shelves) in &folded.shelves {
                let Some(line) = line_json(shelves.warehouse, shelves.story.last()) else { continue };
                let name = (key.split('@').next().unwrap_or_default().to_owned(), format!("stock/{}", shelves.warehouse));
                let wanted = Value::Array(vec![line.clone()]);
                let is_it = move |told: &Value| told["stock"] == wanted && told["sku"] == "" && told.get("price").is_none();
                expected.insert(name, (Box::new(is_it), line));
            }
        }
        CATEGORY_LISTINGS => {
            for (sku, story) in &folded.products {
                for category in story.last().categories() {
                    let is_it = move |told: &Value| told["items"].as_array().is_some_and(|i| i.len() == 1 && story.last().is_item(&i[0]));
                    let name = (category.to_owned(), (*sku).to_owned());
                    expected.insert(name, (Box::new(is_it), Value::Object(story.last().page.clone())));
                }
            }
        }
        REORDER_ALERTS => {
            for (key, story) in &folded.reorderings {
                let (Some((sku, warehouse)), Some(alert)) = (key.split_once('@'), &story.last().alert) else { continue };
                let is_it = move |told: &Value| told["items"].as_array().is_some_and(|i| i.len() == 1 && story.last().is_alert(&i[0]));
                expected.insert((warehouse.to_owned(), sku.to_owned()), (Box::new(is_it), alert.clone()));
            }
        }
        ORDERS => {
            for (id, story) in folded.orders.iter().filter(|(_, story)| story.last().is_there()) {
                let name = ((*id).to_owned(), "order".to_owned());
                expected.insert(name, (Box::new(move |told: &Value| story.last().is_page(told)), story.last().told()));
            }
        }
        _ => {
            for (key, shelves) in &folded.shelves {
                let Some(level) = level_json(key, shelves.story.last()) else { continue };
                let wanted = level.clone();
                let name = ((*key).to_owned(), "level".to_owned());
                expected.insert(name, (Box::new(move |told: &Value| *told == wanted), level));
            }
        }
    }
    expected
}

/// Holds what a process serves at the end against the models that are folded here.
fn served_is_the_fold(folded: &Folded<'_>, served: &Served, findings: &mut Findings) {
    let (key, body) = (served.key.as_str(), &served.body);
    let (holds, wanted) = match served.model.as_str() {
        PRODUCT_PAGES => {
            let product = folded.products.get(key).map(|story| story.last()).filter(|product| product.shown);
            let stock = folded.stock_lines(key);
            let wanted = product.map_or(Value::Null, |product| Value::Object(product.page.clone()));
            let same = |product: &super::product::Product| served.status == 200 && product.is_page(body) && body["stock"] == stock;
            (product.map_or(served.status == 404, same), format!("{wanted} with stock {stock}"))
        }
        STOCK_LEVELS => {
            let level = folded.shelves.get(key).and_then(|shelves| level_json(key, shelves.story.last()));
            let holds = level.as_ref().map_or(served.status == 404, |level| served.status == 200 && level == body);
            (holds, level.unwrap_or_default().to_string())
        }
        CATEGORY_LISTINGS => {
            let now = |sku: &&str| folded.products[sku].last().categories().contains(&key);
            let wanted: Vec<&str> = folded.listed(key).filter(now).collect();
            (served.status == 200 && is_listing(folded, body, &wanted), format!("{wanted:?}"))
        }
        REORDER_ALERTS => {
            let wanted: Vec<(&str, &Reordering)> = folded.reorderings_for(key).map(|(sku, story)| (sku, story.last())).collect();
            let wanted: Vec<(&str, &Reordering)> = wanted.into_iter().filter(|(_, reordering)| reordering.alert.is_some()).collect();
            let items = body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let same = items.len() == wanted.len() && items.iter().zip(&wanted).all(|(item, (_, reordering))| reordering.is_alert(item));
            (served.status == 200 && same, format!("{:?}", wanted.iter().map(|(sku, _)| *sku).collect::<Vec<_>>()))
        }
        ORDERS => {
            let order = folded.orders.get(key).map(|story| story.last()).filter(|order| order.is_there());
            let holds = order.map_or(served.status == 404, |order| served.status == 200 && order.is_page(body));
            (holds, order.map_or(Value::Null, |order| order.told()).to_string())
        }
        SEARCH => {
            let shown = folded.products.iter().filter(|(_, story)| story.last().shown);
            let wanted: BTreeSet<&str> = shown.map(|(sku, _)| *sku).collect();
            (served.status == 200 && is_found(folded, body, &wanted), format!("{wanted:?}"))
        }
        _ => return,
    };
    judge_served(served, holds, &wanted, findings);
}

/// Whether a list has these products, each as it is; of a first page out of several, whether what it has is of them.
fn is_listing(folded: &Folded<'_>, body: &Value, wanted: &[&str]) -> bool {
    let Some(items) = body["items"].as_array() else { return false };
    let right = |item: &Value| {
        let sku = item["sku"].as_str().unwrap_or_default();
        wanted.contains(&sku) && folded.products[sku].last().is_item(item) && item["stock"] == folded.stock_lines(sku)
    };
    let is_last = body["nextPageToken"].as_str().is_none_or(str::is_empty);
    items.iter().all(right) && (if is_last { items.len() == wanted.len() } else { items.len() < wanted.len() })
}

/// Whether a search for everything finds these products, each once and as it is.
fn is_found(folded: &Folded<'_>, body: &Value, wanted: &BTreeSet<&str>) -> bool {
    let items = || body["items"].as_array().into_iter().flatten();
    let found: BTreeSet<&str> = items().filter_map(|item| item["sku"].as_str()).collect();
    let right = |item: &Value| {
        let product = folded.products[item["sku"].as_str().unwrap_or_default()].last();
        let stock = folded.stock_of(item["sku"].as_str().unwrap_or_default());
        let in_stock = stock.map(|shelves| shelves.story.last().available()).any(|available| available > 0);
        let same = ["title", "brand", "category", "price"].iter().all(|field| item.get(field) == product.page.get(*field));
        same && item["inStock"] == in_stock
    };
    found == *wanted && items().count() == wanted.len() && items().all(right)
}
