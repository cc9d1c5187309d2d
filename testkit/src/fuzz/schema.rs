//! Good input, made from what a schema says: as far as the documents of the engine say it, and no further.

use chrono::{DateTime, SecondsFormat};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value};

/// Values that a JSON Schema takes. `document` holds what it refers to.
///
/// # Panics
/// When the schema says what this does not know.
pub fn valid(document: &Value, schema: &Value) -> BoxedStrategy<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("the reference leads somewhere");
        return valid(document, target);
    }
    if let Some(some) = schema["enum"].as_array() {
        return prop::sample::select(some.clone()).boxed();
    }
    match schema["type"].as_str() {
        Some("object") => object(document, schema),
        Some("array") => {
            let most = bound(schema, "maxItems").unwrap_or(3).min(3);
            prop::collection::vec(valid(document, &schema["items"]), least(schema, "minItems")..=most).prop_map(Value::from).boxed()
        }
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("null") => Just(Value::Null).boxed(),
        Some("integer") => integer(schema),
        Some("string") => text(schema),
        other => match schema["anyOf"].as_array() {
            Some(ways) => proptest::strategy::Union::new(ways.iter().map(|way| valid(document, way))).boxed(),
            None => panic!("no values of type {other:?} can be made: {schema}"),
        },
    }
}

/// What a schema takes, without the JSON around it: for values of headers and parameters.
pub fn decoded(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn bound(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}

fn least(schema: &Value, name: &str) -> usize {
    bound(schema, name).unwrap_or(0)
}

fn object(document: &Value, schema: &Value) -> BoxedStrategy<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        let most = bound(schema, "maxProperties").unwrap_or(4).min(4);
        let name = text(&schema["propertyNames"]).prop_map(|n| decoded(&n));
        let entries = prop::collection::btree_map(name, valid(document, &schema["additionalProperties"]), 0..=most);
        return entries.prop_map(|all| all.into_iter().collect::<Map<_, _>>().into()).boxed();
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members: Vec<_> = properties
        .iter()
        .map(|(name, schema)| {
            let (name, must) = (name.clone(), required.contains(&name.as_str()));
            (any::<bool>(), valid(document, schema)).prop_map(move |(there, value)| (there || must).then(|| (name.clone(), value)))
        })
        .collect();
    members.prop_map(|all| all.into_iter().flatten().collect::<Map<_, _>>().into()).boxed()
}

fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
    match schema["maximum"].as_i64() {
        Some(most) => prop_oneof![Just(least), Just(most), least..=most].prop_map(Value::from).boxed(),
        None => (u64::try_from(least).unwrap_or(0)..=schema["maximum"].as_u64().unwrap_or(u64::MAX)).prop_map(Value::from).boxed(),
    }
}

/// A GTIN of its digits but for the last, which makes the sum a multiple of ten: from the right, they count 1, 3, 1, 3, … times.
fn with_check_digit(body: &str) -> String {
    // Zeros alone are no GTIN.
    let body = format!("1{}", &body[1..]);
    let sum = |last: u32| {
        body.bytes().rev().enumerate().fold(last, |sum, (at, digit)| sum + u32::from(digit - b'0') * if at % 2 == 0 { 3 } else { 1 })
    };
    let last = (0..10).find(|last| sum(*last) % 10 == 0).unwrap_or_default();
    format!("{body}{last}")
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    if schema["format"] == "date-time" {
        // Up to the year 9999, which is the last that the format can write.
        let time =
            (0..253_402_300_800_i64, 0..1_000_000_000_u32).prop_filter_map("no time", |(s, nanos)| DateTime::from_timestamp(s, nanos));
        return time.prop_map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()).boxed();
    }
    if schema["format"] == "gtin" {
        return "[0-9]{7}|[0-9]{11,13}".prop_map(|body| with_check_digit(&body).into()).boxed();
    }
    let (shortest, longest) = (least(schema, "minLength"), bound(schema, "maxLength").unwrap_or(200));
    let pattern = schema["allOf"][0]["pattern"].as_str().or_else(|| schema["pattern"].as_str());
    let made = match pattern.filter(|p| !p.contains("\\u0000")) {
        Some(pattern) => {
            // Whole texts are made, so what anchors an expression goes without saying.
            let (empty, rest) = pattern.strip_prefix("^$|").map_or((false, pattern), |rest| (true, rest));
            let inner = rest.trim_start_matches('^').trim_end_matches('$');
            let some = string_regex(inner).expect("a pattern that can be made").boxed();
            if empty { prop_oneof![1 => Just(String::new()), 3 => some].boxed() } else { some }
        }
        None => prop::collection::vec(any::<char>().prop_filter("none", |c| *c != '\0'), shortest..=longest.min(shortest + 40))
            .prop_map(String::from_iter)
            .boxed(),
    };
    let no_zero = schema["pattern"].as_str().is_some_and(|p| p.contains("\\u0000"));
    let fits = move |text: &String| (shortest..=longest).contains(&text.chars().count()) && !(no_zero && text.contains('\0'));
    made.prop_filter("too short, too long, or with U+0000", fits).prop_map(Value::from).boxed()
}
