//! A product as its page and its place in lists show it, folded from the log by the judge's own small model.
//! Source: the comments of `proto/shop/catalog/v1/product.proto` and `proto/shop/read/v1`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::judge::case::Written;
use crate::judge::decode::micros;

/// Fields that a revision may change.
pub(super) const REVISED: [&str; 12] = [
    "title",
    "description",
    "brand",
    "manufacturerNumber",
    "language",
    "taxClass",
    "weightGrams",
    "maxPerOrder",
    "setAttributes",
    "removedAttributes",
    "gtins",
    "removedGtins",
];
/// Of those, the plain texts and numbers.
const PLAIN: [&str; 8] = ["title", "description", "brand", "manufacturerNumber", "language", "taxClass", "weightGrams", "maxPerOrder"];

/// The state of a product's stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Product {
    /// The page without its stock; `updatedAt` in microseconds since 1970.
    pub(super) page: Map<String, Value>,
    /// Published, and not retired.
    pub(super) shown: bool,
}

impl Product {
    /// After one more event.
    pub(super) fn after(&self, at: &Written<'_>) -> Self {
        let mut next = self.clone();
        next.page.insert("version".to_owned(), json!(at.event.version.to_string()));
        next.page.insert("updatedAt".to_owned(), json!(at.event.recorded_at));
        match at.kind() {
            "ProductCreated" => next.create(&at.json),
            "ProductRevised" => next.revise(&at.json),
            "ProductRepriced" => next.reprice(&at.json["price"]),
            "ProductCategorized" => next.set("category", &at.json["category"]),
            "MediaAttached" => next.attach(&at.json["media"]),
            "MediaDetached" => next.media().retain(|m| m["url"] != at.json["url"]),
            "ProductPublished" => next.shown = true,
            "ProductRetired" => next.shown = false,
            _ => {}
        }
        next
    }

    fn set(&mut self, field: &str, value: &Value) {
        self.page.insert(field.to_owned(), value.clone());
    }

    fn create(&mut self, event: &Value) {
        for field in PLAIN.into_iter().chain(["sku", "category", "attributes", "price", "gtins"]) {
            self.set(field, &event[field]);
        }
        let price = &event["price"];
        let prices: Map<String, Value> = price["currency"].as_str().map(|c| (c.to_owned(), json!({ "list": price }))).into_iter().collect();
        self.set("prices", &Value::Object(prices));
        self.set("media", &json!([]));
        self.shown = event["draft"] != json!(true);
    }

    fn revise(&mut self, event: &Value) {
        for field in PLAIN {
            if let Some(new) = event.get(field) {
                self.set(field, new);
            }
        }
        if let Some(Value::Array(gtins)) = self.page.get_mut("gtins") {
            gtins.retain(|gtin| !texts(event.get("removedGtins")).contains(&gtin.as_str().unwrap_or_default()));
            gtins.extend(texts(event.get("gtins")).into_iter().map(Value::from));
        }
        let Some(Value::Object(attributes)) = self.page.get_mut("attributes") else { return };
        for name in event["removedAttributes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            attributes.remove(name);
        }
        for (name, value) in event["setAttributes"].as_object().into_iter().flatten() {
            attributes.insert(name.clone(), value.clone());
        }
    }

    /// Changes of a revision that asks for this: the fields of the event that it leads to. Only what is another than before is
    /// in it; a property that is also set does not go.
    pub(super) fn changes(&self, asked: &Map<String, Value>) -> Map<String, Value> {
        let mut event = Map::new();
        for field in PLAIN {
            let new = asked.get(field).filter(|new| *new != self.get(field));
            event.extend(new.map(|new| (field.to_owned(), new.clone())));
        }
        let none = Map::new();
        let has = self.get("attributes").as_object().unwrap_or(&none);
        let set = asked.get("setAttributes").and_then(Value::as_object).unwrap_or(&none);
        let new: Map<String, Value> = set.iter().filter(|(name, value)| has.get(*name) != Some(*value)).map(owned).collect();
        let gone = asked.get("removedAttributes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let gone: BTreeSet<&str> = gone.filter(|name| has.contains_key(*name) && !set.contains_key(*name)).collect();
        event.extend([("setAttributes".to_owned(), Value::Object(new)), ("removedAttributes".to_owned(), json!(gone))]);
        // Numbers are the same whatever zeros stand before them.
        let number = |gtin: &str| gtin.trim_start_matches('0').to_owned();
        let numbers = |gtins: &[&str]| gtins.iter().map(|gtin| number(gtin)).collect::<BTreeSet<_>>();
        let (has, new, gone) = (texts(Some(self.get("gtins"))), texts(asked.get("gtins")), texts(asked.get("removedGtins")));
        let mut known = numbers(&has);
        let added: Vec<&str> = new.iter().copied().filter(|gtin| known.insert(number(gtin))).collect();
        let (stay, go) = (numbers(&new), numbers(&gone));
        let removed: Vec<&str> = has.into_iter().filter(|gtin| go.contains(&number(gtin)) && !stay.contains(&number(gtin))).collect();
        event.extend([("gtins".to_owned(), json!(added)), ("removedGtins".to_owned(), json!(removed))]);
        event
    }

    /// The main currency, that of the creation, stands by itself too.
    fn reprice(&mut self, price: &Value) {
        let list = &price["list"];
        let Some(currency) = list["currency"].as_str() else { return };
        if self.page.get("price").is_some_and(|main| main["currency"] == list["currency"]) {
            self.set("price", list);
            self.page.remove("sale");
            if let Some(sale) = price.get("sale") {
                self.set("sale", sale);
            }
        }
        if let Some(Value::Object(prices)) = self.page.get_mut("prices") {
            prices.insert(currency.to_owned(), price.clone());
        }
    }

    fn media(&mut self) -> &mut Vec<Value> {
        let media = self.page.entry("media").or_insert_with(|| json!([]));
        media.as_array_mut().expect("only ever an array")
    }

    fn attach(&mut self, medium: &Value) {
        match self.media().iter_mut().find(|m| m["url"] == medium["url"]) {
            Some(known) => known.clone_from(medium),
            None => self.media().push(medium.clone()),
        }
    }

    fn get(&self, field: &str) -> &Value {
        self.page.get(field).unwrap_or(&Value::Null)
    }

    /// The keys of `category-listings` that list it: its category, and each one above it.
    pub(super) fn categories(&self) -> Vec<&str> {
        let category = self.get("category").as_str().unwrap_or_default();
        if !self.shown || category.is_empty() {
            return Vec::new();
        }
        let ends = category.match_indices(" > ").map(|(at, _)| at).chain([category.len()]);
        // The longest key that can be asked for is 512 bytes.
        ends.map(|end| &category[..end]).filter(|name| name.len() <= 512).collect()
    }

    /// The address of its first picture; empty where it has none.
    fn image(&self) -> &str {
        let media = self.get("media").as_array().into_iter().flatten();
        media.filter(|m| m["kind"] == "MEDIA_KIND_IMAGE").find_map(|m| m["url"].as_str()).unwrap_or_default()
    }

    /// Whether a list's item is this, its stock apart.
    pub(super) fn is_item(&self, item: &Value) -> bool {
        let same = ["sku", "title", "brand", "category", "price"].iter().all(|field| item.get(field) == self.page.get(*field));
        same && item.get("sale") == self.page.get("sale") && item["image"] == self.image()
    }

    /// Whether a page is this, its stock apart.
    pub(super) fn is_page(&self, body: &Value) -> bool {
        let Some(body) = body.as_object() else { return false };
        let fields = body.iter().filter(|(field, _)| *field != "stock").count();
        fields == self.page.len()
            && self.page.iter().all(|(field, value)| match body.get(field) {
                Some(Value::String(text)) if field == "updatedAt" => micros(text).map(Value::from).as_ref() == Some(value),
                told => told == Some(value),
            })
    }
}

/// A list of texts; one that is not there is empty.
fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
