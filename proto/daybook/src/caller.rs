//! The caller: made in few ways, and written into a header.

use serde_json::{Map, Value, json};

use crate::v1::{Caller, Who};

/// The scope of keys as long as nobody is known.
const ANONYMOUS: &str = "anonymous";

impl Caller {
    /// Anybody: nothing is known of who asks.
    pub fn anonymous() -> Self {
        Self { kind: Who::Public.into(), key_scope: ANONYMOUS.to_owned(), ..Self::default() }
    }

    /// One of the engine's own: what it is and its name, for example `reactor/reorder`. Its commands have ids of their own, so no key.
    pub fn process(id: impl Into<String>) -> Self {
        Self { kind: Who::Process.into(), id: id.into(), ..Self::default() }
    }

    /// For people: `PUBLIC`, or the kind and the id.
    pub fn name(&self) -> String {
        let kind = Who::try_from(self.kind).unwrap_or(Who::Unspecified).as_str_name();
        if self.id.is_empty() { kind.to_owned() } else { format!("{kind} {}", self.id) }
    }

    /// As a header has it: JSON, with what is not empty.
    pub fn to_header(&self) -> String {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), json!(Who::try_from(self.kind).unwrap_or(Who::Unspecified).as_str_name()));
        for (name, text) in [("id", &self.id), ("was", &self.was), ("keyScope", &self.key_scope)] {
            if !text.is_empty() {
                fields.insert(name.to_owned(), json!(text));
            }
        }
        if !self.scopes.is_empty() {
            fields.insert("scopes".to_owned(), json!(self.scopes));
        }
        Value::Object(fields).to_string()
    }

    /// Of a header that [`to_header`](Self::to_header) has made; none: it is no such text.
    pub fn of_header(text: &str) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_str(text).ok()? else { return None };
        let mut caller = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("kind", Value::String(kind)) => caller.kind = Who::from_str_name(&kind)?.into(),
                ("id", Value::String(id)) => caller.id = id,
                ("was", Value::String(was)) => caller.was = was,
                ("keyScope", Value::String(scope)) => caller.key_scope = scope,
                ("scopes", Value::Array(scopes)) => {
                    caller.scopes = scopes.into_iter().map(|s| s.as_str().map(str::to_owned)).collect::<Option<_>>()?;
                }
                _ => return None,
            }
        }
        (caller.kind != i32::from(Who::Unspecified)).then_some(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_read_as_it_was_written() {
        let customer = Caller {
            kind: Who::Customer.into(),
            id: "c-1".into(),
            was: "g-\"7\"".into(),
            scopes: vec!["order.write".into(), "ü".into()],
            key_scope: "g-7".into(),
        };
        for caller in [Caller::anonymous(), Caller::process("reactor/reorder"), customer] {
            assert_eq!(Caller::of_header(&caller.to_header()), Some(caller));
        }
    }

    #[test]
    fn what_is_no_caller_is_none() {
        for bad in [
            "",
            "bob",
            "{}",
            "[]",
            r#"{"kind":"WHO_UNSPECIFIED"}"#,
            r#"{"kind":"KING"}"#,
            r#"{"kind":"STAFF","role":"all"}"#,
            r#"{"kind":"STAFF","scopes":[1]}"#,
        ] {
            assert_eq!(Caller::of_header(bad), None, "{bad}");
        }
    }
}
