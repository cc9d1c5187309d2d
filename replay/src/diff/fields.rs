//! Two messages of one type, field by field, through their descriptors.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// One field that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// As JSON names it, with the keys of maps and the indexes of lists: `prices["EUR"].list.minorUnits`.
    pub path: String,
    /// The same without keys and indexes: `prices.list.minorUnits`.
    pub field: String,
    /// None: it is not there.
    pub old: Option<Json>,
    /// None: it is not there.
    pub new: Option<Json>,
}

/// The field that is compared.
#[derive(Clone, Default)]
struct FieldPath {
    path: String,
    field: String,
}

impl FieldPath {
    fn field(&self, name: &str) -> Self {
        let join = |before: &str| if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
        Self { path: join(&self.path), field: join(&self.field) }
    }

    fn at(&self, index: &Json) -> Self {
        Self { path: format!("{}[{index}]", self.path), field: self.field.clone() }
    }
}

/// Every field in which two messages differ, in the order of their definition.
pub(crate) fn differences(old: &DynamicMessage, new: &DynamicMessage) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    messages(&FieldPath::default(), old, new, &mut found);
    found
}

fn messages(place: &FieldPath, old: &DynamicMessage, new: &DynamicMessage, found: &mut Vec<FieldDifference>) {
    for field in old.descriptor().fields() {
        let at = place.field(field.json_name());
        match (old.has_field(&field), new.has_field(&field)) {
            (false, false) => {}
            (a, b) if (a && b) || !field.supports_presence() => values(&at, &field, &old.get_field(&field), &new.get_field(&field), found),
            (there, _) => {
                let value = |m: &DynamicMessage| Some(json_of(&m.get_field(&field), &field.kind()));
                let (old, new) = if there { (value(old), None) } else { (None, value(new)) };
                found.push(FieldDifference { path: at.path, field: at.field, old, new });
            }
        }
    }
    let unknown = |m: &DynamicMessage| m.unknown_fields().map(|f| f.number()).collect::<Vec<_>>();
    if !old.unknown_fields().eq(new.unknown_fields()) {
        let at = place.field("(unknown fields)");
        found.push(FieldDifference { path: at.path, field: at.field, old: Some(json!(unknown(old))), new: Some(json!(unknown(new))) });
    }
}

fn values(at: &FieldPath, field: &FieldDescriptor, old: &Value, new: &Value, found: &mut Vec<FieldDifference>) {
    match (old, new) {
        (Value::List(a), Value::List(b)) => {
            for n in 0..a.len().max(b.len()) {
                items(&at.at(&json!(n)), &field.kind(), a.get(n), b.get(n), found);
            }
        }
        (Value::Map(a), Value::Map(b)) => {
            let kind = field.kind();
            let of = kind.as_message().map_or_else(|| kind.clone(), |entry| entry.map_entry_value_field().kind());
            let sorted =
                |m: &HashMap<MapKey, Value>| m.iter().map(|(k, v)| (key_json(k).to_string(), v.clone())).collect::<BTreeMap<_, _>>();
            let (a, mut b) = (sorted(a), sorted(b));
            let mut both: BTreeMap<_, _> = a.into_iter().map(|(key, value)| (key.clone(), (Some(value), b.remove(&key)))).collect();
            both.extend(b.into_iter().map(|(key, value)| (key, (None, Some(value)))));
            for (key, (a, b)) in both {
                let place = FieldPath { path: format!("{}[{key}]", at.path), field: at.field.clone() };
                items(&place, &of, a.as_ref(), b.as_ref(), found);
            }
        }
        (a, b) => items(at, &field.kind(), Some(a), Some(b), found),
    }
}

fn items(at: &FieldPath, kind: &Kind, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<FieldDifference>) {
    match (old, new) {
        (Some(a), Some(b)) if same(a, b) => {}
        (Some(Value::Message(a)), Some(Value::Message(b))) => messages(at, a, b, found),
        _ => {
            let (old, new) = (old.map(|v| json_of(v, kind)), new.map(|v| json_of(v, kind)));
            found.push(FieldDifference { path: at.path.clone(), field: at.field.clone(), old, new });
        }
    }
}

/// NaN is the same as NaN, and −0 is not 0: what counts is what is encoded.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

fn key_json(key: &MapKey) -> Json {
    match key {
        MapKey::Bool(v) => json!(v),
        MapKey::I32(v) => json!(v),
        MapKey::I64(v) => json!(v),
        MapKey::U32(v) => json!(v),
        MapKey::U64(v) => json!(v),
        MapKey::String(v) => json!(v),
    }
}

fn json_of(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Bytes(v) => json!(hex::encode(v)),
        Value::EnumNumber(n) => match kind {
            Kind::Enum(known) => known.get_value(*n).map_or_else(|| json!(n), |value| json!(value.name())),
            _ => json!(n),
        },
        Value::Message(m) => message_json(m),
        Value::List(l) => l.iter().map(|v| json_of(v, kind)).collect(),
        Value::Map(m) => m.iter().map(|(k, v)| (key_text(k), json_of(v, kind))).collect::<serde_json::Map<_, _>>().into(),
    }
}

fn key_text(key: &MapKey) -> String {
    key.as_str().map_or_else(|| key_json(key).to_string(), str::to_owned)
}

/// By the protobuf JSON mapping, members sorted.
pub(crate) fn message_json(message: &DynamicMessage) -> Json {
    let mut value = serde_json::to_value(message).unwrap_or_default();
    value.sort_all_objects();
    value
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use shop_proto::catalog::v1::{Media, MediaKind, Price};
    use shop_proto::common::v1::Money;
    use shop_proto::read::v1::ProductPage;

    use super::*;

    fn dynamic(page: &ProductPage) -> DynamicMessage {
        let descriptor = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        DynamicMessage::decode(descriptor, page.encode_to_vec().as_slice()).expect("a page")
    }

    fn found(old: &ProductPage, new: &ProductPage) -> Vec<(String, String, Option<Json>, Option<Json>)> {
        differences(&dynamic(old), &dynamic(new)).into_iter().map(|d| (d.path, d.field, d.old, d.new)).collect()
    }

    fn money(minor_units: i64) -> Option<Money> {
        Some(Money { currency: "EUR".into(), minor_units })
    }

    #[test]
    fn a_difference_is_named_by_its_path_with_both_values() {
        let media = |alt: &str| Media { url: "u".into(), kind: MediaKind::Image.into(), alt: alt.into() };
        let old = ProductPage {
            title: "one".into(),
            price: money(1),
            prices: [("EUR".into(), Price { list: money(1), sale: None }), ("USD".into(), Price::default())].into(),
            media: vec![media("a"), media("b")],
            version: 3,
            ..Default::default()
        };
        let mut new = old.clone();
        assert_eq!(found(&old, &new), []);
        new.title = String::new();
        new.price = None;
        new.prices.remove("USD");
        new.prices.insert("CHF".into(), Price::default());
        new.prices.get_mut("EUR").expect("there").list = money(2);
        new.media[1].alt = "c".into();
        new.media.push(media("d"));
        let at = |path: &str, field: &str, old: Json, new: Json| {
            let there = |v: Json| (!v.is_null()).then_some(v);
            (path.to_owned(), field.to_owned(), there(old), there(new))
        };
        assert_eq!(
            found(&old, &new),
            [
                at("title", "title", json!("one"), json!("")),
                at("price", "price", json!({ "currency": "EUR", "minorUnits": "1" }), Json::Null),
                at(r#"prices["CHF"]"#, "prices", Json::Null, json!({})),
                at(r#"prices["EUR"].list.minorUnits"#, "prices.list.minorUnits", json!(1), json!(2)),
                at(r#"prices["USD"]"#, "prices", json!({}), Json::Null),
                at("media[1].alt", "media.alt", json!("b"), json!("c")),
                at("media[2]", "media", Json::Null, json!({ "url": "u", "kind": "MEDIA_KIND_IMAGE", "alt": "d" })),
            ]
        );
    }

    #[test]
    fn a_field_that_this_build_does_not_know_is_a_difference_too() {
        let descriptor = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        // Field 2047.
        let decode = |value: u8| DynamicMessage::decode(descriptor.clone(), [0xf8, 0x7f, value].as_slice()).expect("a page");
        assert_eq!(differences(&decode(1), &decode(1)), []);
        let found = differences(&decode(1), &decode(2));
        assert_eq!(found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["(unknown fields)"]);
    }
}
