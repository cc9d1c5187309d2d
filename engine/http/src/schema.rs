//! JSON Schemas of protobuf messages, from their descriptors: the JSON mapping as the generated code reads and writes it,
//! and the field rules as it checks them.

use daybook_proto::v1::TextForm;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value as Reflected,
};
use serde_json::{Map, Value, json};

// The limits that `daybook_proto` sets where a field states none.
const DEFAULT_MAX_LENGTH: u32 = 64 * 1024;
const DEFAULT_MAX_ITEMS: u32 = 10_000;
const MAX_KEY: u32 = 128;

/// No text may hold U+0000: Postgres could not keep it.
const NO_NUL: &str = r"^[^\u0000]*$";
/// Not of dots only; the lengths stand beside it.
const ID: &str = r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$";
/// A name that is not of dots only.
const NAME: &str = r"^(?!\.+$)";
/// One character that is seen: as `daybook_proto::shows_something` has it, whose exceptions stand in the look ahead.
const SEEN: &str = r"(?![\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0])[\p{L}\p{N}\p{P}\p{S}]";
/// A moment as the generated code reads it: RFC 3339 has lower-case letters and leap seconds besides.
const MOMENT: &str = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Which way a message goes: a reader takes more forms than a writer makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// Collects the schemas of messages, each once, under its full name and a suffix.
pub struct Schemas {
    way: Way,
    suffix: &'static str,
    done: Map<String, Value>,
}

impl Schemas {
    /// Of messages that clients send: field rules hold, and an unknown field is an error.
    pub fn sent() -> Self {
        Self { way: Way::In, suffix: "", done: Map::new() }
    }

    /// Of messages that clients are sent: zeros are written out, 64-bit numbers are texts, fields may be added later.
    pub fn served(suffix: &'static str) -> Self {
        Self { way: Way::Out, suffix, done: Map::new() }
    }

    /// The `.proto` file's comment on a message that was collected.
    pub fn description(&self, message: &MessageDescriptor) -> Option<&str> {
        self.done.get(&format!("{}{}", message.full_name(), self.suffix))?["description"].as_str()
    }

    /// The schemas collected, for `components.schemas`.
    pub fn into_components(self) -> Map<String, Value> {
        self.done
    }

    /// A reference to a message's schema, which is collected with all that it holds.
    pub fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = format!("{}{}", message.full_name(), self.suffix);
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        if !self.done.contains_key(&name) {
            // Its place is taken first: a message may hold itself.
            self.done.insert(name.clone(), Value::Null);
            let schema = self.object(message);
            self.done.insert(name, schema);
        }
        reference
    }

    /// A message's own schema; the messages inside it are collected.
    pub fn object(&mut self, message: &MessageDescriptor) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            let rules = Rules::of(&field);
            let mut schema = self.field(&field, &rules);
            if let (Some(text), Value::Object(schema)) = (comment(&field.parent_file(), field.path()), &mut schema) {
                schema.insert("description".to_owned(), text.into());
            }
            let must = if self.way == Way::In { rules.demands(&field) } else { !field.supports_presence() };
            if must {
                required.push(field.json_name().to_owned());
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if self.way == Way::In {
            schema["additionalProperties"] = json!(false);
        }
        if let Some(text) = comment(&message.parent_file(), message.path()) {
            schema["description"] = json!(text);
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor, rules: &Rules) -> Value {
        let most = if rules.max_items == 0 { DEFAULT_MAX_ITEMS } else { rules.max_items };
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let value = entry.map_entry_value_field();
            let mut schema = json!({ "type": "object", "additionalProperties": self.single(&value.kind(), rules) });
            if self.way == Way::In {
                schema["minProperties"] = json!(u32::from(rules.required));
                schema["maxProperties"] = json!(most);
                if matches!(value.kind(), Kind::String | Kind::Message(_)) {
                    schema["propertyNames"] =
                        json!({ "minLength": 1, "maxLength": MAX_KEY, "pattern": NO_NUL, "allOf": [{ "pattern": SEEN }] });
                }
            }
            return self.or_null(schema, rules.demands(field));
        }
        if field.is_list() {
            let mut schema = json!({ "type": "array", "items": self.single(&field.kind(), rules) });
            if self.way == Way::In {
                schema["minItems"] = json!(u32::from(rules.required));
                schema["maxItems"] = json!(most);
            }
            return self.or_null(schema, rules.demands(field));
        }
        let schema = self.single(&field.kind(), rules);
        self.or_null(schema, rules.demands(field))
    }

    /// `null` is the same as not to name the field.
    fn or_null(&self, schema: Value, demanded: bool) -> Value {
        if self.way == Way::Out || demanded {
            return schema;
        }
        let nothing = json!({ "type": "null" });
        match schema {
            Value::Object(mut ways) if ways.len() == 1 && ways.contains_key("anyOf") => {
                if let Some(all) = ways["anyOf"].as_array_mut() {
                    all.push(nothing);
                }
                Value::Object(ways)
            }
            schema => json!({ "anyOf": [schema, nothing] }),
        }
    }

    fn single(&mut self, kind: &Kind, rules: &Rules) -> Value {
        let bounded = |min: i64, max: i64| (rules.min.unwrap_or(min).max(min).into(), rules.max.unwrap_or(max).min(max).into());
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String if self.way == Way::In => rules.text(),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double | Kind::Float => json!({ "anyOf": [{ "type": "number" }, { "type": "string" }] }),
            Kind::Int32 | Kind::Sint32 => self.integer(bounded(i32::MIN.into(), i32::MAX.into()), "int32"),
            Kind::Uint32 => self.integer(bounded(0, u32::MAX.into()), "uint32"),
            Kind::Int64 | Kind::Sint64 => self.integer(bounded(i64::MIN, i64::MAX), "int64"),
            // The generated code holds no rules against these.
            Kind::Sfixed32 => self.integer((i32::MIN.into(), i32::MAX.into()), "int32"),
            Kind::Fixed32 => self.integer((0, u32::MAX.into()), "uint32"),
            Kind::Sfixed64 => self.integer((i64::MIN.into(), i64::MAX.into()), "int64"),
            Kind::Uint64 | Kind::Fixed64 => self.integer((0, u64::MAX.into()), "uint64"),
            Kind::Enum(e) => self.enumeration(e, rules),
            Kind::Message(m) => match m.full_name() {
                "google.protobuf.Timestamp" if self.way == Way::In => json!({ "type": "string", "format": "date-time", "pattern": MOMENT }),
                "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
                "google.protobuf.Duration" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$" }),
                name if name.starts_with("google.") => json!({}),
                _ => self.reference(m),
            },
        }
    }

    /// A reader takes a number or its text (which may have a fraction of zeros and an exponent; no schema says that of a
    /// range); a writer makes texts of 64-bit numbers, which many readers could not hold.
    fn integer(&self, (min, max): (i128, i128), format: &str) -> Value {
        let wide = format.ends_with("64");
        if self.way == Way::Out {
            return if wide { json!({ "type": "string", "format": format }) } else { json!({ "type": "integer", "format": format }) };
        }
        // serde_json holds no 128-bit numbers; every bound is one of 64 bits.
        let bound = |n: i128| i64::try_from(n).map(Value::from).unwrap_or_else(|_| u64::try_from(n).unwrap_or(u64::MAX).into());
        json!({ "anyOf": [
            { "type": "integer", "format": format, "minimum": bound(min), "maximum": bound(max) },
            { "type": "string", "pattern": format!("^({})$", decimals(min, max)), "maxLength": 64 },
        ] })
    }

    fn enumeration(&self, e: &EnumDescriptor, rules: &Rules) -> Value {
        let allowed: Vec<_> = e.values().filter(|v| !rules.required || v.number() != 0).collect();
        let names: Vec<&str> = allowed.iter().map(|v| v.name()).collect();
        let numbers: Vec<i32> = allowed.iter().map(|v| v.number()).collect();
        if self.way == Way::Out { json!({ "enum": names }) } else { json!({ "anyOf": [{ "enum": names }, { "enum": numbers }] }) }
    }
}

/// The `.proto` file's comment above a message or field.
fn comment(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let proto = file.file_descriptor_proto();
    let location = proto.source_code_info.as_ref()?.location.iter().find(|l| l.path == path)?;
    let lines: Vec<&str> = location.leading_comments().lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

/// The regular expression of every text of digits that is a whole number from `min` to `max` as JSON writes one: without a plus,
/// without leading zeros.
pub fn decimals(min: i128, max: i128) -> String {
    let mut ways = Vec::new();
    if max >= 0 {
        ways.push(digits(min.max(0).unsigned_abs(), max.unsigned_abs()));
    }
    if min < 0 {
        ways.push(format!("-({})", digits(max.min(0).unsigned_abs(), min.unsigned_abs())));
    }
    ways.join("|")
}

/// Of every number from `low` to `high`, without leading zeros.
fn digits(low: u128, high: u128) -> String {
    let length = |n: u128| n.to_string().len() as u32;
    let (shortest, longest) = (length(low), length(high));
    let least = |l: u32| if l == 1 { 0 } else { 10_u128.pow(l - 1) };
    let mut ways: Vec<String> = Vec::new();
    // Numbers of a length that is wholly inside differ in their number of digits only.
    let mut whole: Option<(u32, u32)> = None;
    for l in shortest..=longest {
        let (from, to) = (low.max(least(l)), high.min(10_u128.pow(l) - 1));
        if l > 1 && from == least(l) && to == 10_u128.pow(l) - 1 {
            whole = Some((whole.map_or(l, |(first, _)| first), l));
        } else {
            ways.extend(same_length(&from.to_string(), &to.to_string()));
        }
    }
    if let Some((first, last)) = whole {
        ways.push(if first == last { format!("[1-9][0-9]{{{}}}", first - 1) } else { format!("[1-9][0-9]{{{},{}}}", first - 1, last - 1) });
    }
    ways.join("|")
}

/// Of every text of digits between two of the same length, as alternatives side by side: readers bound how deep an
/// expression may nest.
fn same_length(low: &str, high: &str) -> Vec<String> {
    let any = |n: usize| match n {
        0 => String::new(),
        1 => "[0-9]".to_owned(),
        n => format!("[0-9]{{{n}}}"),
    };
    if low.bytes().all(|b| b == b'0') && high.bytes().all(|b| b == b'9') {
        return vec![any(low.len())];
    }
    let ((l, low), (h, high)) = (low.split_at(1), high.split_at(1));
    let behind =
        |digit: &str, low: &str, high: &str| same_length(low, high).into_iter().map(|rest| format!("{digit}{rest}")).collect::<Vec<_>>();
    if l == h {
        return behind(l, low, high);
    }
    let (mut from, mut to) = (l.as_bytes()[0], h.as_bytes()[0]);
    let mut ways = Vec::new();
    // The ends of the first digit's range count as inside when nothing behind them is bounded.
    if !low.bytes().all(|b| b == b'0') {
        ways.extend(behind(l, low, &"9".repeat(low.len())));
        from += 1;
    }
    if !high.bytes().all(|b| b == b'9') {
        ways.extend(behind(h, &"0".repeat(high.len()), high));
        to -= 1;
    }
    if from <= to {
        let range = if from == to { char::from(from).to_string() } else { format!("[{}-{}]", char::from(from), char::from(to)) };
        ways.push(format!("{range}{}", any(low.len())));
    }
    ways
}

/// A field's rules, read from its option.
#[derive(Default)]
struct Rules {
    required: bool,
    id: bool,
    min_length: u32,
    max_length: u32,
    pattern: String,
    min: Option<i64>,
    max: Option<i64>,
    max_items: u32,
    one_of: Vec<String>,
    form: TextForm,
}

impl Rules {
    fn of(field: &FieldDescriptor) -> Self {
        let options: DynamicMessage = field.options();
        let Some(extension) = options.descriptor().parent_pool().get_extension_by_name("daybook.v1.rules") else { return Self::default() };
        let rules = options.get_extension(&extension);
        let Some(rules) = rules.as_message().filter(|_| options.has_extension(&extension)) else { return Self::default() };
        let get = |name: &str| rules.get_field_by_name(name).map(std::borrow::Cow::into_owned);
        let flag = |name: &str| get(name).and_then(|v| v.as_bool()).unwrap_or_default();
        let number = |name: &str| get(name).and_then(|v| v.as_u32()).unwrap_or_default();
        let bound = |name: &str| get(name).filter(|_| rules.has_field_by_name(name)).and_then(|v| v.as_i64());
        let texts = |v: &Reflected| v.as_list().map(|l| l.iter().filter_map(Reflected::as_str).map(str::to_owned).collect());
        Self {
            required: flag("required"),
            id: flag("id"),
            min_length: number("min_length"),
            max_length: number("max_length"),
            pattern: get("pattern").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
            min: bound("min"),
            max: bound("max"),
            max_items: number("max_items"),
            one_of: get("one_of").as_ref().and_then(texts).unwrap_or_default(),
            form: form(rules),
        }
    }

    /// Whether a message without the field breaks its rules: an absent one is read as empty or 0, but for a number that must be named.
    fn demands(&self, field: &FieldDescriptor) -> bool {
        if field.is_list() || field.is_map() {
            return self.required;
        }
        match field.kind() {
            Kind::Message(_) => self.required,
            _ if field.supports_presence() => false,
            Kind::String | Kind::Enum(_) => self.required || self.id || self.form == TextForm::Gtin,
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Sint32 | Kind::Sint64 => {
                self.required || self.min.is_some_and(|min| min > 0) || self.max.is_some_and(|max| max < 0)
            }
            _ => false,
        }
    }

    /// As `check_text` takes texts: an empty one that is not required is held against nothing else.
    fn text(&self) -> Value {
        if self.id {
            return json!({ "type": "string", "pattern": ID, "minLength": 1, "maxLength": 128 });
        }
        if self.form == TextForm::Gtin {
            // No regular expression of a reasonable length can say that the last digit is right.
            return json!({ "type": "string", "format": "gtin", "pattern": format!("^({})$", TextForm::Gtin.pattern()) });
        }
        let blank = (!self.required).then_some("");
        if !self.one_of.is_empty() {
            return json!({ "type": "string", "enum": blank.into_iter().chain(self.one_of.iter().map(String::as_str)).collect::<Vec<_>>() });
        }
        let least = self.min_length.max(1);
        let most = if self.max_length == 0 { DEFAULT_MAX_LENGTH } else { self.max_length };
        let mut schema = json!({ "type": "string", "minLength": u32::from(self.required) * least, "maxLength": most, "pattern": NO_NUL });
        let pattern = if self.form.pattern().is_empty() { self.pattern.as_str() } else { self.form.pattern() };
        let mut all = Vec::new();
        if !pattern.is_empty() {
            let empty = if self.required { "" } else { "^$|" };
            all.push(json!({ "pattern": format!("{empty}^(?:{pattern})$") }));
        }
        if self.required {
            all.push(json!({ "pattern": SEEN }));
        }
        if self.form.stands_in_urls() {
            all.push(json!({ "pattern": NAME }));
        }
        if !all.is_empty() {
            schema["allOf"] = all.into();
        }
        if !self.required && least > 1 {
            schema["anyOf"] = json!([{ "maxLength": 0 }, { "minLength": least }]);
        }
        schema
    }
}

/// The form that a text must have.
fn form(rules: &DynamicMessage) -> TextForm {
    let number = rules.get_field_by_name("form").and_then(|v| v.as_enum_number()).unwrap_or_default();
    TextForm::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbers_text_is_taken_exactly_when_it_is_in_range() {
        for (min, max) in [(0, 0), (1, 9), (0, 255), (7, 1_000), (10, 99), (23, 4_567), (-5, 120), (-130, -7), (-1_000, 0), (99, 101)] {
            let pattern = daybook_proto::compile_pattern(&decimals(min, max));
            for n in -1_200_i128..6_000 {
                assert_eq!(pattern.is_match(&n.to_string()), (min..=max).contains(&n), "{n} for {min} to {max}");
            }
            for no_number in ["", "+", "-", "1 ", "1.0", "a", "+1", "01", "-01", "00"] {
                assert!(!pattern.is_match(no_number), "{no_number:?}");
            }
        }
        let wide = daybook_proto::compile_pattern(&decimals(0, u64::MAX.into()));
        assert!(wide.is_match("18446744073709551615") && wide.is_match("9223372036854775808") && wide.is_match("0"));
        assert!(!wide.is_match("18446744073709551616") && !wide.is_match("-0"));
        let signed = daybook_proto::compile_pattern(&decimals(i64::MIN.into(), i64::MAX.into()));
        assert!(signed.is_match("-9223372036854775808") && signed.is_match("-0"));
        assert!(!signed.is_match("-9223372036854775809") && !signed.is_match("9223372036854775808"));
    }

    #[test]
    fn a_served_message_is_described_with_all_that_it_holds_and_its_comments() {
        let page = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        let mut schemas = Schemas::served("");
        assert_eq!(schemas.reference(&page)["$ref"], "#/components/schemas/shop.read.v1.ProductPage");
        assert!(schemas.description(&page).is_some_and(|d| d.starts_with("The page of a product")));
        let all = schemas.into_components();
        let of = &all["shop.read.v1.ProductPage"];
        assert_eq!(of["properties"]["version"]["type"], "string");
        assert_eq!(of["properties"]["updatedAt"]["format"], "date-time");
        assert_eq!(of["properties"]["attributes"]["additionalProperties"]["type"], "string");
        assert_eq!(of["properties"]["stock"]["items"]["$ref"], "#/components/schemas/shop.read.v1.StockLine");
        assert_eq!(all["shop.read.v1.StockLine"]["properties"]["onHand"]["format"], "uint32");
        assert_eq!(all["shop.common.v1.Money"]["properties"]["minorUnits"]["type"], "string");
        assert!(all.values().all(Value::is_object));
    }
}
