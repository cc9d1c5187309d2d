//! The live read models at the end, beside a fold of the log. Source: the protocol's "Projections", the contract's "Queries over HTTP".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::case::Case;
use super::decode;
use super::folded::{Folded, level_json, line_json};
use super::reorder::Reordering;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Part, Served};

/// Read models that the judge folds itself, and the messages of their parts.
const MODELS: [(&str, &str); 4] = [
    ("product-pages", "shop.read.v1.ProductPage"),
    ("category-listings", "shop.read.v1.CategoryListing"),
    ("stock-levels", "shop.read.v1.StockLevel"),
    ("reorder-alerts", "shop.read.v1.ReorderAlerts"),
];

/// After every read of the history.
const AT_THE_END: i64 = i64::MAX;

/// Every rule of the end.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    for (model, differences) in &case.evidence.differences {
        findings.check(rules::FOLD_DIFFERS, 0, differences.is_empty(), || {
            (
                format!("{model}: Daybook's own audit has {} lines to tell", differences.len()),
                differences.iter().take(50).cloned().collect(),
            )
        });
    }
    for (model, message) in MODELS {
        // A run that collected no parts of a model says nothing of it.
        if let Some(parts) = case.evidence.parts.get(model) {
            parts_are_the_folds(folded, model, message, parts, findings);
        }
    }
    for served in &case.evidence.served {
        served_is_the_fold(folded, served, findings);
    }
    processes_agree(&case.evidence.served, findings);
}

/// What names a part: key and part id; in a list the SKU, for the id there is a matter of sorting.
type Name = (String, String);

/// `part-missing`, `part-unexpected`, `part-differs`: a key's parts exist if and only if the fold shows them, and say the same.
fn parts_are_the_folds(folded: &Folded<'_>, model: &str, message: &str, parts: &[Part], findings: &mut Findings) {
    let expected = expected_parts(folded, model);
    let mut there: BTreeMap<Name, Value> = BTreeMap::new();
    for part in parts {
        let told = decode::json(message, &part.bytes).unwrap_or_else(Value::String);
        let sku = told["items"][0]["sku"].as_str().map(str::to_owned);
        let name = (part.key.clone(), sku.unwrap_or_else(|| part.part.clone()));
        // A list has each product once, whatever it is sorted by.
        let holds = expected.contains_key(&name) && !there.contains_key(&name);
        findings.check(rules::PART_UNEXPECTED, 0, holds, || {
            (format!("{model} {} has a part {} that the log does not give", name.0, part.part), vec![told.to_string()])
        });
        there.insert(name, told);
    }
    for (name, is_it) in &expected {
        let told = there.get(name);
        findings.check(rules::PART_MISSING, 0, told.is_some(), || {
            (format!("{model} {} lacks the part {}", name.0, name.1), vec![is_it.1.to_string()])
        });
        let Some(told) = told else { continue };
        findings.check(rules::PART_DIFFERS, 0, (is_it.0)(told), || {
            let seen = vec![format!("is {told}"), format!("folds to {}", is_it.1)];
            (format!("{model} {}: the part {} is not what the log folds to", name.0, name.1), seen)
        });
    }
}

/// Whether a part is what is expected, and that as text.
type Expected<'f> = (Box<dyn Fn(&Value) -> bool + 'f>, Value);

fn expected_parts<'f>(folded: &'f Folded<'_>, model: &str) -> BTreeMap<Name, Expected<'f>> {
    let mut expected: BTreeMap<Name, Expected<'f>> = BTreeMap::new();
    match model {
        "product-pages" => {
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
        "category-listings" => {
            for (sku, story) in &folded.products {
                for category in story.last().categories() {
                    let is_it = move |told: &Value| told["items"].as_array().is_some_and(|i| i.len() == 1 && story.last().is_item(&i[0]));
                    let name = (category.to_owned(), (*sku).to_owned());
                    expected.insert(name, (Box::new(is_it), Value::Object(story.last().page.clone())));
                }
            }
        }
        "reorder-alerts" => {
            for (key, story) in &folded.reorderings {
                let (Some((sku, warehouse)), Some(alert)) = (key.split_once('@'), &story.last().alert) else { continue };
                let is_it = move |told: &Value| told["items"].as_array().is_some_and(|i| i.len() == 1 && story.last().is_alert(&i[0]));
                expected.insert((warehouse.to_owned(), sku.to_owned()), (Box::new(is_it), alert.clone()));
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

/// `served-differs`: what a process serves at the end, of the models that the judge folds.
fn served_is_the_fold(folded: &Folded<'_>, served: &Served, findings: &mut Findings) {
    let (key, body) = (served.key.as_str(), &served.body);
    let (holds, wanted) = match served.model.as_str() {
        "product-pages" => {
            let product = folded.products.get(key).map(|story| story.last()).filter(|product| product.shown);
            let stock = folded.stock_lines(key);
            let wanted = product.map_or(Value::Null, |product| Value::Object(product.page.clone()));
            let same = |product: &super::product::Product| served.status == 200 && product.is_page(body) && body["stock"] == stock;
            (product.map_or(served.status == 404, same), format!("{wanted} with stock {stock}"))
        }
        "stock-levels" => {
            let level = folded.shelves.get(key).and_then(|shelves| level_json(key, shelves.story.last()));
            let holds = level.as_ref().map_or(served.status == 404, |level| served.status == 200 && level == body);
            (holds, level.unwrap_or_default().to_string())
        }
        "category-listings" => {
            let now = |sku: &&str| folded.products[sku].last().categories().contains(&key);
            let wanted: Vec<&str> = folded.listed(key).filter(now).collect();
            (served.status == 200 && is_listing(folded, body, &wanted), format!("{wanted:?}"))
        }
        "reorder-alerts" => {
            let wanted: Vec<(&str, &Reordering)> = folded.reorderings_for(key).map(|(sku, story)| (sku, story.last())).collect();
            let wanted: Vec<(&str, &Reordering)> = wanted.into_iter().filter(|(_, reordering)| reordering.alert.is_some()).collect();
            let items = body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let same = items.len() == wanted.len() && items.iter().zip(&wanted).all(|(item, (_, reordering))| reordering.is_alert(item));
            (served.status == 200 && same, format!("{:?}", wanted.iter().map(|(sku, _)| *sku).collect::<Vec<_>>()))
        }
        "products" => {
            let shown = folded.products.iter().filter(|(_, story)| story.last().shown);
            let wanted: BTreeSet<&str> = shown.map(|(sku, _)| *sku).collect();
            (served.status == 200 && is_found(folded, body, &wanted), format!("{wanted:?}"))
        }
        _ => return,
    };
    findings.check(rules::SERVED_DIFFERS, AT_THE_END, holds, || {
        let seen = vec![format!("served {} {body}", served.status), format!("the log gives {wanted}")];
        (format!("{} {key}, as {} serves it, is not what the log folds to", served.model, served.at), seen)
    });
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

/// `processes-disagree`: all processes, asked when all is quiet, say the same of a key.
fn processes_agree(served: &[Served], findings: &mut Findings) {
    let mut first: BTreeMap<(&str, &str), &Served> = BTreeMap::new();
    for one in served {
        let other = *first.entry((&one.model, &one.key)).or_insert(one);
        if std::ptr::eq(one, other) {
            continue;
        }
        findings.check(rules::PROCESSES_DISAGREE, AT_THE_END, one.status == other.status && one.body == other.body, || {
            let seen = [other, one].map(|s| format!("{} {} {}", s.at, s.status, s.body));
            (format!("{} and {} serve {} {} differently", other.at, one.at, one.model, one.key), seen.to_vec())
        });
    }
}
