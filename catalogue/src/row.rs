//! A row: named columns with values, whatever form of file they stand in.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bytes::utf8;

/// A value as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing: null, or an empty field of a table.
    Null,
    Text(String),
    /// As it is written: a float would not keep what is longer than 15 digits.
    Number(String),
    Bool(bool),
    List(Vec<Value>),
    /// An object within a list: no mapping reads it.
    Object,
}

/// Named columns, in the file's order. An object within a row is columns too: `price.currency`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(Vec<(String, Value)>);

impl Row {
    /// From columns whose names differ.
    pub(crate) fn new(columns: Vec<(String, Value)>) -> Self {
        Self(columns)
    }

    pub(crate) fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, value)| value)
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Reads a JSON object. `first_line` is where it begins in the file: errors name lines of the file when it has several.
    ///
    /// # Errors
    /// Its fault, and the place of it.
    pub(crate) fn from_json(bytes: &[u8], first_line: u64) -> Result<Self, String> {
        let text = utf8(bytes)?.trim_end();
        if let Some(what) = not_an_object(text) {
            return Err(format!("is no JSON object but {what}"));
        }
        let object: Object<'_> = serde_json::from_str(text).map_err(|error| fault(text, first_line, &error))?;
        let mut row = Self(Vec::with_capacity(object.0.len()));
        row.flatten("", object, DEPTH)?;
        let mut names: Vec<&str> = row.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(format!("has {:?} twice: which one counts is not said", twice[0])),
            None => Ok(row),
        }
    }

    fn flatten(&mut self, prefix: &str, object: Object<'_>, depth: usize) -> Result<(), String> {
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        for (name, raw) in object.0 {
            let name = format!("{prefix}{name}");
            if raw.get().starts_with('{') {
                let inner: Object<'_> = serde_json::from_str(raw.get()).map_err(|_| no_unicode(&name))?;
                self.flatten(&format!("{name}."), inner, depth)?;
            } else {
                let value = value(&name, raw, depth)?;
                self.0.push((name, value));
            }
        }
        Ok(())
    }
}

/// The depth to which lists and objects may stand in each other. The parser has no limit of its own for what it hands on unread.
const DEPTH: usize = 32;

fn too_deep() -> String {
    format!("is no row: its lists and objects are more than {DEPTH} deep")
}

/// All else has been checked by whoever read the object around it.
fn no_unicode(name: &str) -> String {
    format!("{name:?} holds a text that is no Unicode: half of a \\u pair")
}

fn value(name: &str, raw: &RawValue, depth: usize) -> Result<Value, String> {
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'"') => Value::Text(serde_json::from_str(text).map_err(|_| no_unicode(name))?),
        Some(b'[') => {
            let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
            let items = serde_json::from_str::<Vec<&RawValue>>(text).map_err(|_| no_unicode(name))?;
            Value::List(items.into_iter().map(|item| value(name, item, depth)).collect::<Result<_, _>>()?)
        }
        Some(b'{') => Value::Object,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Null,
        _ => Value::Number(text.to_owned()),
    })
}

/// Names and raw values in order, names that stand twice included.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn not_an_object(text: &str) -> Option<&'static str> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => None,
        Some(b'[') => Some("a list"),
        Some(b'"') => Some("a text"),
        Some(b'-' | b'0'..=b'9') => Some("a number"),
        _ => Some("something else"),
    }
}

/// A parser's fault, in words for people who have the file before them.
fn fault(text: &str, first_line: u64, error: &serde_json::Error) -> String {
    let said = error.to_string();
    let words = said.split(" at line ").next().unwrap_or_default();
    let what = match words {
        _ if error.is_eof() => "it ends in the middle: a bracket or a quotation mark is missing",
        "expected value" => "a value is missing, or is none that JSON knows: \"text\", number, true, false, null, list, object",
        "trailing characters" => "something stands behind the object",
        "key must be a string" => "a name must stand in quotation marks",
        "control character (\\u0000-\\u001F) found while parsing a string" => "a text holds a line break or another control character",
        words => words,
    };
    let whole = text.trim_end().lines().count() > 1;
    let place = if whole {
        format!("line {}, column {}", first_line + error.line() as u64 - 1, error.column())
    } else {
        format!("column {}", error.column())
    };
    format!("is no JSON: {what} ({place})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::from_json(json.as_bytes(), 1).expect("a row")
    }

    #[test]
    fn numbers_stay_as_they_are_written_and_objects_become_columns() {
        let row =
            row(r#"{"id":9007199254740993,"n":6.0,"price":{"currency":"EUR","minorUnits":1e2},"l":[1,"a",null,{}],"b":false,"x":null}"#);
        let columns: Vec<_> = row.columns().map(|(name, value)| (name, value.clone())).collect();
        let number = |n: &str| Value::Number(n.to_owned());
        assert_eq!(
            columns,
            [
                ("id", number("9007199254740993")),
                ("n", number("6.0")),
                ("price.currency", Value::Text("EUR".into())),
                ("price.minorUnits", number("1e2")),
                ("l", Value::List(vec![number("1"), Value::Text("a".into()), Value::Null, Value::Object])),
                ("b", Value::Bool(false)),
                ("x", Value::Null),
            ]
        );
    }

    #[test]
    fn what_is_no_row_is_told_in_words_of_the_file() {
        for (json, said) in [
            ("[1]", "a list"),
            ("7", "a number"),
            ("hello", "something else"),
            ("{\"id\":1\r\n", "ends in the middle: a bracket or a quotation mark is missing (column 7)"),
            ("{\"id\":1}}", "behind the object (column 9)"),
            ("{\"id\":}", "a value is missing"),
            ("{\"id\":NaN}", "a value is missing"),
            ("{id:1}", "quotation marks"),
            ("{\"id\":1,\n\"title\":\"a\nb\"}", "line break or another control character (line 8"),
            ("{\"id\":1,\"id\":2}", "has \"id\" twice"),
            ("{\"a.b\":1,\"a\":{\"b\":2}}", "has \"a.b\" twice"),
            ("{\"id\":\"\\ud800\"}", "half of a"),
        ] {
            let error = Row::from_json(json.as_bytes(), 7).expect_err(json);
            assert!(error.contains(said), "{json}: {error}");
            assert!(!error.contains("EOF") && !error.contains("at line"), "{error}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        assert!(Row::from_json(deep.as_bytes(), 1).expect_err("deep").contains("32 deep"));
        let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
        assert!(Row::from_json(deep.as_bytes(), 1).expect_err("deep").contains("32 deep"));
    }
}
