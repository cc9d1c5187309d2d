//! Field rules, read from the options of fields.

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

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

/// The Rust path of a field's enum, from the module of the field's package: packages reach each other by `super`.
pub(crate) fn enum_path(field: &FieldDescriptor, e: &EnumDescriptor) -> String {
    let (of_field, of_enum) = (field.parent_message().package_name().to_owned(), e.package_name().to_owned());
    if of_field == of_enum {
        return e.name().to_owned();
    }
    let up = of_field.split('.').map(|_| "super::");
    let down = of_enum.split('.').map(|part| format!("{}::", rust_name(part)));
    up.map(str::to_owned).chain(down).chain([e.name().to_owned()]).collect()
}

/// The Rust name of a field: ours are snake_case already, save for keywords.
pub(crate) fn rust_name(name: &str) -> String {
    if matches!(name, "type" | "match" | "ref" | "move" | "self" | "use" | "where") { format!("r#{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enum_is_reached_from_its_own_package_and_from_another() {
        let dir = std::env::temp_dir().join(format!("daybook-codegen-enums-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let file = |name: &str, text: &str| std::fs::write(dir.join(name), format!("syntax=\"proto3\"; {text}")).expect("a file");
        file("a.proto", "package s.a.v1; enum Colour { NONE = 0; } message Own { Colour colour = 1; }");
        file("b.proto", "package s.b.v1; import \"a.proto\"; message Other { s.a.v1.Colour colour = 1; }");
        let mut compiler = protox::Compiler::new([dir.as_path()]).expect("a compiler");
        compiler.include_imports(true).open_file("b.proto").expect("it compiles");
        let pool = prost_reflect::DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors");
        std::fs::remove_dir_all(&dir).expect("a folder of ours");
        let path = |message: &str| {
            let field = pool.get_message_by_name(message).and_then(|m| m.get_field_by_name("colour")).expect("a field");
            let Kind::Enum(colour) = field.kind() else { panic!("an enum") };
            enum_path(&field, &colour)
        };
        assert_eq!(path("s.a.v1.Own"), "Colour");
        assert_eq!(path("s.b.v1.Other"), "super::super::super::s::a::v1::Colour");
    }
}
