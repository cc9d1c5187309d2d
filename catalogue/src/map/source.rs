//! The source of a field: a column, the first of several that has a value, or a constant.

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::row::{Row, Value};

/// The source of a field.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    columns: Vec<String>,
    constant: Option<String>,
    without_suffix: Option<String>,
    unless_equal: Option<String>,
}

/// The long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    column: Option<Columns>,
    constant: Option<String>,
    without_suffix: Option<String>,
    unless_equal: Option<String>,
}

struct Columns(Vec<String>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Source::deserialize(deserializer).map(|source| Self(source.columns))
    }
}

impl Source {
    /// The columns, the first that has a value first.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn constant(&self) -> Option<&str> {
        self.constant.as_deref()
    }

    /// Whether it can't ever give a value.
    pub(super) fn is_nothing(&self) -> bool {
        self.columns.is_empty() && self.constant.is_none()
    }

    /// Whether this row says something about the field, be it that there is nothing.
    pub(super) fn is_said(&self, row: &Row) -> bool {
        self.constant.is_some() || self.columns.iter().any(|column| row.get(column).is_some())
    }

    /// The value in the file, of the first column that has one.
    pub(super) fn value<'a>(&'a self, row: &'a Row) -> Option<(&'a str, &'a Value)> {
        let values = self.columns.iter().filter_map(|column| Some((column.as_str(), row.get(column)?)));
        values.into_iter().find(|(_, value)| !is_empty(value))
    }

    /// The text of a value after suffix and equality have been looked at.
    pub(super) fn finish(&self, text: String, row: &Row) -> Option<String> {
        let text = text.trim();
        let text = self.without_suffix.as_deref().and_then(|suffix| text.strip_suffix(suffix)).unwrap_or(text);
        let other = self.unless_equal.as_deref().and_then(|column| row.get(column));
        let is_equal = matches!(other, Some(Value::Text(other)) if other.trim() == text);
        (!text.is_empty() && !is_equal).then(|| text.to_owned())
    }
}

/// Null, and a text or list of nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.trim().is_empty(),
        Value::List(items) => items.iter().all(is_empty),
        Value::Number(_) | Value::Bool(_) | Value::Object => false,
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Source;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a column (\"name\"), several ([\"name\", \"other\"]), or { column = \"name\" } or { constant = \"text\" }")
            }

            fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Source, E> {
                if column.is_empty() {
                    return Err(E::custom("a column's name is not empty"));
                }
                Ok(Source { columns: vec![column.to_owned()], ..Source::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, columns: A) -> Result<Source, A::Error> {
                Ok(Source { columns: Vec::deserialize(SeqAccessDeserializer::new(columns))?, ..Source::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                let Long { column, constant, without_suffix, unless_equal } = Long::deserialize(MapAccessDeserializer::new(map))?;
                if column.is_some() == constant.is_some() {
                    return Err(serde::de::Error::custom("give either column or constant"));
                }
                Ok(Source { columns: column.map(|c| c.0).unwrap_or_default(), constant, without_suffix, unless_equal })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}
