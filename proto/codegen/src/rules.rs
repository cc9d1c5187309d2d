//! Field rules, read from the options of fields.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

/// The rules of one field, read from its option.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) required: bool,
    pub(crate) id: bool,
    pub(crate) min_length: u32,
    pub(crate) max_length: u32,
    pub(crate) pattern: String,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    pub(crate) max_items: u32,
    pub(crate) one_of: Vec<String>,
    pub(crate) personal: bool,
    /// The Rust expression of the form of a text, or of a map's values; none: as it was sent.
    pub(crate) form: Option<String>,
    /// The same for a map's keys.
    pub(crate) keys: Option<String>,
}

/// An option by its full name, when it is set.
pub(crate) fn option(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = options.descriptor().parent_pool().get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

pub(crate) fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Rules {
    pub(crate) fn of(field: &FieldDescriptor) -> Self {
        let Some(m) = option(&field.options(), "daybook.v1.rules") else { return Self::default() };
        let flag = |n: &str| m.get_field_by_name(n).and_then(|v| v.as_bool()).unwrap_or_default();
        let number = |n: &str| m.get_field_by_name(n).and_then(|v| v.as_u32()).unwrap_or_default();
        let bound = |n: &str| m.has_field_by_name(n).then(|| m.get_field_by_name(n).and_then(|v| v.as_i64())).flatten();
        let one_of = match m.get_field_by_name("one_of").as_deref() {
            Some(Value::List(l)) => l.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        };
        Self {
            required: flag("required"),
            id: flag("id"),
            min_length: number("min_length"),
            max_length: number("max_length"),
            pattern: text(&m, "pattern"),
            min: bound("min"),
            max: bound("max"),
            max_items: number("max_items"),
            one_of,
            personal: !text(&m, "personal").is_empty(),
            form: form(&m, "form"),
            keys: form(&m, "keys"),
        }
    }

    /// The expression for `&'static TextRules`.
    pub(crate) fn text_rules(&self) -> String {
        let pattern = if self.pattern.is_empty() {
            "None".to_owned()
        } else {
            format!(
                "Some(({:?}, || {{ static R: RT::Pattern = RT::Pattern::new(|| RT::compile_pattern({:?})); &R }}))",
                self.pattern, self.pattern
            )
        };
        format!(
            "RT::TextRules {{ required: {}, id: {}, min_length: {}, max_length: {}, pattern: {pattern}, one_of: &{:?}, form: {}, personal: {} }}",
            self.required,
            self.id,
            self.min_length,
            self.max_length,
            self.one_of,
            self.form.as_deref().unwrap_or("RT::TextForm::AsSent"),
            self.personal
        )
    }
}

/// A form as Rust has it: `TEXT_FORM_AS_SENT` is `TextForm::AsSent`. None where a rule has none.
fn form(rules: &DynamicMessage, rule: &str) -> Option<String> {
    let field = rules.descriptor().get_field_by_name(rule)?;
    let (Value::EnumNumber(number @ 1..), Kind::Enum(all)) = (rules.get_field(&field).into_owned(), field.kind()) else { return None };
    let value = all.get_value(number)?;
    let words = value.name().trim_start_matches("TEXT_FORM_").split('_');
    let name: String = words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
    Some(format!("RT::TextForm::{name}"))
}

/// Well-known types have no rules of ours.
pub(crate) fn ours(message: &MessageDescriptor) -> bool {
    !message.package_name().starts_with("google.")
}

/// The Rust name of a field: ours are snake_case already, save for keywords.
pub(crate) fn rust_name(name: &str) -> String {
    if matches!(name, "type" | "match" | "ref" | "move" | "self" | "use" | "where") { format!("r#{name}") } else { name.to_owned() }
}
