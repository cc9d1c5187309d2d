//! One line of a catalogue file as the commands that put it into the shop.

use daybook_kernel::{digest, ids};
use daybook_proto::{CommandSet, MessageSet};
use serde_json::{Map, Value};
use shop_proto::catalog::v1::{CreateProduct, ProductCommand};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::{ReceiveStock, StockCommand};
use uuid::Uuid;

use super::category::category;

// What `proto/shop/catalog` allows, in characters. Longer texts are cut, and counted; whatever else breaks a rule makes
// the row a bad one.
const TITLE: usize = 500;
const DESCRIPTION: usize = 20_000;
const BRAND: usize = 200;
const CATEGORY: usize = 200;
const ATTRIBUTE: usize = 8_000;

/// A product as its row describes it.
#[derive(Debug)]
pub(super) struct Product {
    pub(super) create: CreateProduct,
    /// How many texts were cut to what the shop takes.
    pub(super) shortened: u64,
}

/// A command, ready to be posted.
pub(super) struct Post {
    /// `/v1/<service>/<command>`.
    pub(super) path: &'static str,
    /// The same for the same command, whenever and wherever it is made: a load that is repeated finds its own results.
    pub(super) key: Uuid,
    /// JSON.
    pub(super) body: String,
}

/// Reads a row.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn product(line: &[u8], currency: &str) -> Result<Product, String> {
    let row: Map<String, Value> = serde_json::from_slice(line).map_err(|e| format!("no JSON object: {e}"))?;
    let mut cut = Cutter::default();
    let title = text(&row, "title").ok_or("title is missing")?;
    let kind = category(
        text(&row, "category").as_deref(),
        text(&row, "attr_t_product_type").as_deref(),
        text(&row, "attr_t_type").as_deref(),
        &title,
    );
    let mut create = CreateProduct {
        sku: text(&row, "id").ok_or("id is missing")?,
        category: cut.to(CATEGORY, kind),
        description: cut.to(DESCRIPTION, text(&row, "short_description").unwrap_or_default()),
        brand: cut.to(BRAND, text(&row, "supplier").unwrap_or_default()),
        price: Some(Money { currency: currency.to_owned(), minor_units: cents(row.get("price"))? }),
        ..Default::default()
    };
    for (name, value) in attributes(&row, &title) {
        create.attributes.insert(name, cut.to(ATTRIBUTE, value));
    }
    create.title = cut.to(TITLE, title);
    let violations = ProductCommand::from(create.clone()).violations();
    if !violations.is_empty() {
        return Err(violations.iter().map(|v| format!("{} {}", v.field, v.message)).collect::<Vec<_>>().join("; "));
    }
    Ok(Product { create, shortened: cut.count })
}

impl Product {
    /// `create-product`. Its key holds a digest of the whole command: a row that has changed is another attempt, and is
    /// refused as one whose SKU is taken.
    pub(super) fn create(&self) -> Post {
        let command = ProductCommand::from(self.create.clone());
        Post { path: "/v1/catalog/create-product", key: key(&self.create.sku, &command), body: command.to_json().to_string() }
    }

    /// `receive-stock`: 1 to 200 pieces, as the SKU and the warehouse have it.
    pub(super) fn receive(&self, warehouse: &str) -> Post {
        let sku = self.create.sku.clone();
        let digest = digest::sha256(format!("{sku}@{warehouse}").as_bytes());
        let quantity = u32::from(u16::from_be_bytes([digest[0], digest[1]])) % 200 + 1;
        let receive = ReceiveStock {
            sku,
            warehouse: warehouse.to_owned(),
            quantity,
            reference: "daybook load catalogue".to_owned(),
            ..Default::default()
        };
        let key_of = receive.sku.clone();
        let command = StockCommand::from(receive);
        Post { path: "/v1/inventory/receive-stock", key: key(&key_of, &command), body: command.to_json().to_string() }
    }
}

/// What is wrong with a warehouse or a currency, before anything is sent under it.
pub(super) fn fault_of_settings(warehouse: Option<&str>, currency: &str) -> Option<String> {
    let receive = ReceiveStock { sku: "A".into(), warehouse: warehouse.unwrap_or("w").to_owned(), quantity: 1, ..Default::default() };
    let create = CreateProduct {
        sku: "A".into(),
        title: "A".into(),
        price: Some(Money { currency: currency.to_owned(), minor_units: 0 }),
        ..Default::default()
    };
    let violations = [StockCommand::from(receive).violations(), ProductCommand::from(create).violations()].concat();
    violations.first().map(|v| format!("{} {}", v.field, v.message))
}

/// UUIDv5 of the command's type, its SKU and a digest of its encoding, which is the same on every machine.
fn key(sku: &str, command: &impl MessageSet) -> Uuid {
    let digest = digest::sha256(&command.encode_to_vec());
    let mut name = format!("load/{}/{sku}/", command.type_name()).into_bytes();
    name.extend_from_slice(&digest);
    Uuid::new_v5(&ids::NAMESPACE, &name)
}

/// A field's text, without blanks around it; an id may be a number too. Absent, null and empty are the same.
fn text(row: &Map<String, Value>, field: &str) -> Option<String> {
    match row.get(field)? {
        Value::Null => None,
        value => plain(value).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()),
    }
}

/// A single value or a list of them, as a shopper reads it: 6.0 is 6.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(match (n.as_i64(), n.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(float)) => float.to_string(),
            _ => n.to_string(),
        }),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Object(_) => None,
    }
}

fn cents(value: Option<&Value>) -> Result<i64, String> {
    let number = value.and_then(|v| v.as_i64().or_else(|| v.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64)));
    number.ok_or_else(|| match value {
        None | Some(Value::Null) => "price is missing".to_owned(),
        Some(other) => format!("price must be a whole number of cents, is {}", other.to_string().chars().take(40).collect::<String>()),
    })
}

/// The product's properties: `attr_t_…`, `attr_n_…` and `attr_b_…` by the name behind the prefix, and the fields that have no
/// place of their own. Where two would share a name the later one keeps the letter of its prefix: `n_weight`.
fn attributes(row: &Map<String, Value>, title: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    if let Some(name) = text(row, "name").filter(|n| n != title) {
        all.push(("name".to_owned(), name));
    }
    if let Some(ean) = text(row, "ean") {
        all.push(("ean".to_owned(), ean));
    }
    if let Some(date) = text(row, "date_released") {
        // The feed knows days only; midnight is no knowledge.
        let day = date.strip_suffix("T00:00:00Z").unwrap_or(&date).to_owned();
        all.push(("date_released".to_owned(), day));
    }
    for prefix in ["t_", "n_", "b_"] {
        for (field, _) in row {
            let Some(name) = field.strip_prefix("attr_").and_then(|f| f.strip_prefix(prefix)).filter(|n| !n.is_empty()) else { continue };
            let Some(value) = text(row, field) else { continue };
            let taken = all.iter().any(|(n, _)| n == name);
            all.push((if taken { format!("{prefix}{name}") } else { name.to_owned() }, value));
        }
    }
    all
}

/// Cuts texts to a length in characters, and counts those that it had to cut.
#[derive(Default)]
struct Cutter {
    count: u64,
}

impl Cutter {
    fn to(&mut self, most: usize, text: String) -> String {
        // Bytes bound characters from above: the common case is decided without counting.
        if text.len() <= most || text.chars().count() <= most {
            return text;
        }
        self.count += 1;
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;

    use super::*;

    const ROW: &str = r#"{"id":"392","name":"006R","title":"Xerox 006R toner cartridge","ean":["1","2"],"short_description":"Toner",
        "date_released":"2009-12-10T00:00:00Z","supplier":"Xerox","price":4995,"attr_t_type":"Original","attr_n_weight":6.0,
        "attr_n_height":2.13,"attr_t_weight":"light","attr_b_duplex":false,"attr_t_empty":"","attr_t_null":null}"#;

    fn mapped(json: &str) -> Result<Product, String> {
        product(json.as_bytes(), "EUR")
    }

    #[test]
    fn a_row_becomes_a_product_with_its_properties_by_name() {
        let p = mapped(ROW).expect("valid").create;
        assert_eq!((p.sku.as_str(), p.title.as_str(), p.brand.as_str()), ("392", "Xerox 006R toner cartridge", "Xerox"));
        assert_eq!((p.description.as_str(), p.category.as_str()), ("Toner", "Printing > Toner"));
        assert_eq!(p.price, Some(Money { currency: "EUR".into(), minor_units: 4995 }));
        let expected = [
            ("date_released", "2009-12-10"),
            ("duplex", "false"),
            ("ean", "1, 2"),
            ("height", "2.13"),
            ("n_weight", "6"),
            ("name", "006R"),
            ("type", "Original"),
            ("weight", "light"),
        ];
        assert_eq!(p.attributes, BTreeMap::from(expected.map(|(n, v)| (n.to_owned(), v.to_owned()))));
    }

    #[test]
    fn the_same_row_has_the_same_key_and_a_changed_one_another() {
        let keys = |json: &str| {
            let p = mapped(json).expect("valid");
            (p.create().key, p.receive("w-1").key)
        };
        let (create, receive) = keys(ROW);
        assert_eq!((create, receive), keys(ROW));
        let changed = keys(&ROW.replace("4995", "4996"));
        assert_ne!(create, changed.0);
        assert_eq!(receive, changed.1, "the stock of a product does not come again because its text changed");
        assert_ne!(create, receive);
    }

    #[test]
    fn the_stock_of_a_product_is_the_same_every_time_and_within_bounds() {
        let product = mapped(ROW).expect("valid");
        let body: Value = serde_json::from_str(&product.receive("w-1").body).expect("JSON");
        assert_eq!(body["warehouse"], "w-1");
        assert!((1..=200).contains(&body["quantity"].as_u64().expect("a number")));
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said() {
        for (json, said) in [
            ("[1]", "no JSON object"),
            ("{", "no JSON object"),
            (r#"{"title":"t","price":1}"#, "id is missing"),
            (r#"{"id":"1","price":1}"#, "title is missing"),
            (r#"{"id":"a b","title":"t","price":1}"#, "sku must be"),
            (r#"{"id":"1","title":"t"}"#, "price is missing"),
            (r#"{"id":"1","title":"t","price":1.5}"#, "whole number of cents, is 1.5"),
            (r#"{"id":"1","title":"t","price":-1}"#, "price.minorUnits must be at least 0"),
            ("{\"id\":\"1\",\"title\":\"t\\u0000\",\"price\":1}", "U+0000"),
        ] {
            let error = mapped(json).expect_err(json);
            assert!(error.contains(said), "{json}: {error}");
        }
        assert!(mapped(r#"{"id":7,"title":"t","price":1.0}"#).is_ok(), "numbers that are whole");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_counted() {
        let json = format!(r#"{{"id":"1","title":"{}","price":1,"attr_t_long":"{}"}}"#, "ä".repeat(501), "x".repeat(9_000));
        let p = mapped(&json).expect("valid");
        assert_eq!(p.shortened, 2);
        assert_eq!(p.create.title.chars().count(), 500);
        assert!(p.create.title.ends_with('…'));
    }

    #[test]
    fn settings_are_checked_before_anything_is_sent() {
        assert_eq!(fault_of_settings(Some("w-1"), "EUR"), None);
        assert!(fault_of_settings(Some("w 1"), "EUR").expect("bad").starts_with("warehouse"));
        assert!(fault_of_settings(None, "EURO").expect("bad").starts_with("price.currency"));
    }

    /// How each file's rows map; says so and passes where a file is not there.
    #[test]
    fn every_row_of_the_real_files_maps_within_the_limits() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (file, expected) in [("../shared/data/icecat/products.jsonl.gz", 19_406), ("data/sample/products.jsonl", 1_500)] {
            let path = root.join(file);
            let Ok(opened) = std::fs::File::open(&path) else {
                println!("{} is not there: not tested", path.display());
                continue;
            };
            let reader: Box<dyn std::io::Read> =
                if file.ends_with(".gz") { Box::new(flate2::read::MultiGzDecoder::new(opened)) } else { Box::new(opened) };
            let (mut rows, mut shortened, mut other) = (0, 0, 0);
            for line in BufReader::new(reader).split(b'\n') {
                let line = line.expect("readable");
                rows += 1;
                let product = product(&line, "EUR").unwrap_or_else(|e| panic!("{file}, line {rows}: {e}"));
                assert!(!product.create.category.is_empty() && product.create().body.len() < 512 * 1024, "{file}, line {rows}");
                shortened += product.shortened;
                other += u32::from(product.create.category == "Other");
            }
            println!("{file}: {rows} rows, {shortened} texts cut, {other} of category Other");
            assert_eq!((rows, shortened), (expected, 0), "{file}");
            assert!(other * 10 < rows, "{file}: {other} rows have no better category than Other");
        }
    }
}
