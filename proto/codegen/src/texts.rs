//! `tidy`: which texts of a message have a canonical form, by the rules `form` and `keys`.

use std::fmt::Write as _;

use prost_reflect::{Kind, MessageDescriptor};

use crate::rules::{Rules, ours, rust_name};

/// The method for one message; nothing where none of its texts has a form, and none of a message inside it.
pub(crate) fn generate(message: &MessageDescriptor) -> String {
    let mut code = String::new();
    for field in message.fields() {
        let rules = Rules::of(&field);
        let rust = rust_name(field.name());
        let at = format!("&path.field({:?})", field.json_name());
        let (kind, mut each) = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                if let Some(form) = &rules.keys {
                    let _ = write!(code, "RT::tidy_keys(&mut self.{rust}, {form}, {at}, out);");
                }
                (entry.map_entry_value_field().kind(), format!("for v in self.{rust}.values_mut()"))
            }
            kind => (kind, format!("for v in &mut self.{rust}")),
        };
        let what = match (kind, &rules.form) {
            (Kind::String, Some(form)) => format!("RT::tidy(v, {form});"),
            (Kind::Message(inner), _) if ours(&inner) && !generate(&inner).is_empty() => format!("RT::Checked::tidy(v, {at}, out);"),
            _ => continue,
        };
        if !field.is_map() && !field.is_list() {
            each =
                if field.supports_presence() { format!("if let Some(v) = &mut self.{rust}") } else { format!("let v = &mut self.{rust};") };
        }
        let _ = write!(code, "{each} {{ {what} }}");
    }
    if code.is_empty() {
        return code;
    }
    format!("fn tidy(&mut self, path: &RT::Path<'_>, out: &mut Vec<RT::Violation>) {{ let _ = (path, &out); {code} }}\n")
}
