//! Messages as JSON Schema, as the protobuf JSON mapping writes them; their comments are the descriptions.

use std::collections::BTreeMap;

use prost_reflect::prost_types::{FileDescriptorProto, source_code_info::Location};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// Schemas by full protobuf name, as `components.schemas` holds them.
#[derive(Default)]
pub(crate) struct Schemas(pub(crate) BTreeMap<String, Value>);

impl Schemas {
    /// A reference to a message's schema; it and all that it holds are added.
    pub(crate) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let name = message.full_name().to_owned();
        if !self.0.contains_key(&name) {
            // Before its fields: a message may hold itself.
            self.0.insert(name.clone(), Value::Null);
            let properties: Map<String, Value> = message.fields().map(|f| (f.json_name().to_owned(), self.property(&f))).collect();
            let mut schema = json!({ "type": "object", "properties": properties });
            describe(&mut schema, comment(message.parent_file_descriptor_proto(), message.path()));
            self.0.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn property(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = entry.map_entry_value_field();
                json!({ "type": "object", "additionalProperties": self.kind(&value.kind()) })
            }
            kind if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            kind => self.kind(&kind),
        };
        describe(&mut schema, comment(field.parent_message().parent_file_descriptor_proto(), field.path()));
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double | Kind::Float => json!({ "type": ["number", "string"], "description": "or \"NaN\", \"Infinity\", \"-Infinity\"" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({ "type": "integer", "format": "int32" }),
            Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "format": "int64" }),
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Enum(values) => json!({ "type": "string", "enum": values.values().map(|v| v.name().to_owned()).collect::<Vec<_>>() }),
            Kind::Message(message) => self.reference(message),
        }
    }
}

/// Messages that JSON writes in a way of their own.
fn well_known(name: &str) -> Option<Value> {
    let schema = match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$" }),
        "FieldMask" => json!({ "type": "string" }),
        "StringValue" | "Int64Value" | "UInt64Value" => json!({ "type": "string" }),
        "BytesValue" => json!({ "type": "string", "contentEncoding": "base64" }),
        "BoolValue" => json!({ "type": "boolean" }),
        "Int32Value" | "UInt32Value" => json!({ "type": "integer" }),
        "DoubleValue" | "FloatValue" => json!({ "type": ["number", "string"] }),
        "ListValue" => json!({ "type": "array" }),
        "Value" => json!({}),
        "Struct" | "Any" | "Empty" => json!({ "type": "object" }),
        _ => return None,
    };
    Some(schema)
}

fn describe(schema: &mut Value, comment: Option<String>) {
    if let (Value::Object(schema), Some(comment)) = (schema, comment) {
        schema.insert("description".to_owned(), comment.into());
    }
}

/// What stands before a declaration, or behind it on its line.
fn comment(file: &FileDescriptorProto, path: &[i32]) -> Option<String> {
    let location: &Location = file.source_code_info.as_ref()?.location.iter().find(|l| l.path == path)?;
    let text = location.leading_comments.as_deref().or(location.trailing_comments.as_deref())?;
    let text: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    (!text.is_empty()).then(|| text.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_described_with_all_that_it_holds_and_its_comments() {
        let page = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        let mut schemas = Schemas::default();
        assert_eq!(schemas.reference(&page)["$ref"], "#/components/schemas/shop.read.v1.ProductPage");
        let of = &schemas.0["shop.read.v1.ProductPage"];
        assert!(of["description"].as_str().is_some_and(|d| d.starts_with("The page of a product")), "{of}");
        assert_eq!(of["properties"]["version"]["type"], "string");
        assert_eq!(of["properties"]["updatedAt"]["format"], "date-time");
        assert_eq!(of["properties"]["attributes"]["additionalProperties"]["type"], "string");
        assert_eq!(of["properties"]["stock"]["items"]["$ref"], "#/components/schemas/shop.read.v1.StockLine");
        assert_eq!(schemas.0["shop.read.v1.StockLine"]["properties"]["onHand"]["format"], "uint32");
        assert_eq!(schemas.0["shop.common.v1.Money"]["properties"]["minorUnits"]["type"], "string");
        assert!(schemas.0.values().all(Value::is_object));
    }
}
