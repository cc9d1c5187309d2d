//! `Checked` for every message: what its field rules say, and whether it holds enum values that this build
//! does not know. Generated instead of walked by reflection, because the lane runs it for every command.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::rules::{Rules, enum_path, ours, rust_name};
use crate::{json, texts};

/// `held`: full names of the messages that commands hold, for which reading JSON and tidying are generated too.
pub(crate) fn generate(runtime: &str, messages: &[MessageDescriptor], held: &BTreeSet<String>) -> Result<String> {
    let mut out = String::new();
    for message in messages {
        if message.child_messages().any(|m| !m.is_map_entry()) {
            bail!("{}: nested messages are not supported; put it at the top of the file", message.full_name());
        }
        let mut checks = String::new();
        let mut enums = String::from("false");
        for field in message.fields() {
            field_code(&field, &mut checks, &mut enums)?;
        }
        let name = message.name();
        let (tidy, read) = if held.contains(message.full_name()) {
            (texts::generate(message), json::generate(message)?)
        } else {
            (String::new(), String::new())
        };
        let body = format!(
            "impl RT::Checked for {name} {{\n{tidy}\
             fn check(&self, path: &RT::Path<'_>, out: &mut Vec<RT::Violation>) {{ let _ = (path, &out); {checks} }}\n\
             fn has_unknown_enum(&self) -> bool {{ {enums} }}\n}}\n\
             impl RT::Named for {name} {{ const TYPE: &'static str = {:?}; const SHAPE: &'static RT::Shape = {}; \
             fn pool() -> &'static RT::DescriptorPool {{ crate::descriptors() }} }}\n{read}",
            message.full_name(),
            shape(message, &mut Vec::new())
        );
        out.push_str(&body.replace("RT::", &format!("{runtime}::")));
    }
    Ok(out)
}

/// The expression for `&'static Shape`; `around` are the messages that it stands in.
fn shape(message: &MessageDescriptor, around: &mut Vec<String>) -> String {
    let mut fields = String::new();
    // It would not end: left empty, it covers nothing, and the descriptors are asked.
    if !around.iter().any(|name| name == message.full_name()) {
        around.push(message.full_name().to_owned());
        // A descriptor tells its fields in the order of their numbers.
        for field in message.fields() {
            let inner = match field.kind() {
                Kind::Message(inner) => format!("Some({})", shape(&inner, around)),
                _ => "None".to_owned(),
            };
            let _ = write!(fields, "({}, {inner}),", field.number());
        }
        around.pop();
    }
    format!("&RT::Shape {{ fields: &[{fields}] }}")
}

fn field_code(field: &FieldDescriptor, checks: &mut String, enums: &mut String) -> Result<()> {
    let rules = Rules::of(field);
    let rust = rust_name(field.name());
    let json = field.json_name();
    let at = format!("&path.field({json:?})");
    if field.containing_oneof().is_some() && !field.supports_presence() {
        bail!("{}: unsupported oneof", field.full_name());
    }
    // A real oneof is an enum in Rust; the engine's own results have them, and no rules on them.
    if field.containing_oneof().is_some_and(|o| o.fields().len() > 1 || !field.field_descriptor_proto().proto3_optional()) {
        return Ok(());
    }
    let optional = field.field_descriptor_proto().proto3_optional();
    if field.is_map() {
        let Kind::Message(entry) = field.kind() else { bail!("{}: not a map", field.full_name()) };
        let _ = write!(checks, "RT::check_items(self.{rust}.len(), {}, {}, {at}, out);", rules.required, rules.max_items);
        let value = entry.map_entry_value_field().kind();
        match value {
            Kind::String => {
                let _ = write!(
                    checks,
                    "for (k, v) in &self.{rust} {{ RT::check_key(k, {at}, out); RT::check_text(v, &{}, &path.field({json:?}).key(k), out); }}",
                    rules.text_rules()
                );
            }
            Kind::Message(m) if ours(&m) => {
                let _ = write!(
                    checks,
                    "for (k, v) in &self.{rust} {{ RT::check_key(k, {at}, out); RT::Checked::check(v, &path.field({json:?}).key(k), out); }}"
                );
                let _ = write!(enums, "|| self.{rust}.values().any(RT::Checked::has_unknown_enum)");
            }
            _ => {}
        }
        return Ok(());
    }
    if field.is_list() {
        let _ = write!(checks, "RT::check_items(self.{rust}.len(), {}, {}, {at}, out);", rules.required, rules.max_items);
        match field.kind() {
            Kind::String => {
                let _ = write!(
                    checks,
                    "for (i, v) in self.{rust}.iter().enumerate() {{ RT::check_text(v, &{}, &path.field({json:?}).index(i), out); }}",
                    rules.text_rules()
                );
            }
            Kind::Message(m) if ours(&m) => {
                let _ = write!(
                    checks,
                    "for (i, v) in self.{rust}.iter().enumerate() {{ RT::Checked::check(v, &path.field({json:?}).index(i), out); }}"
                );
                let _ = write!(enums, "|| self.{rust}.iter().any(RT::Checked::has_unknown_enum)");
            }
            Kind::Enum(e) => {
                let _ = write!(enums, "|| self.{rust}.iter().any(|v| {}::try_from(*v).is_err())", enum_path(field, &e));
            }
            _ => {}
        }
        return Ok(());
    }
    match field.kind() {
        Kind::String => {
            let call = format!("RT::check_text(v, &{}, {at}, out);", rules.text_rules());
            let source = if optional { format!("if let Some(v) = &self.{rust}") } else { format!("let v = &self.{rust};") };
            let _ = write!(checks, "{source} {{ {call} }}");
        }
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Sint32 | Kind::Sint64 if rules.min.is_some() || rules.max.is_some() => {
            let call = format!("RT::check_number(i64::from(v), {:?}, {:?}, {at}, out);", rules.min, rules.max);
            let source = if optional { format!("if let Some(v) = self.{rust}") } else { format!("let v = self.{rust};") };
            let _ = write!(checks, "{source} {{ {call} }}");
        }
        Kind::Enum(e) => {
            let known = format!("{}::try_from(v).is_ok()", enum_path(field, &e));
            let values = json::enum_values(&e);
            let source = if optional { format!("if let Some(v) = self.{rust}") } else { format!("let v = self.{rust};") };
            let _ = write!(checks, "{source} {{ RT::check_enum(v, {values}, {}, {at}, out); }}", rules.required);
            let _ = if optional {
                write!(enums, "|| self.{rust}.is_some_and(|v| {}::try_from(v).is_err())", enum_path(field, &e))
            } else {
                write!(enums, "|| {{ let v = self.{rust}; !({known}) }}")
            };
        }
        Kind::Message(m) => {
            let _ = write!(checks, "if self.{rust}.is_none() && {} {{ RT::missing({at}, out); }}", rules.required);
            if m.full_name() == "google.protobuf.Timestamp" {
                // Years 1 to 9999, as the well-known type is defined: JSON and Postgres can't tell of others.
                let _ = write!(
                    checks,
                    "if let Some(v) = &self.{rust} {{ let at = {at}; \
                     RT::check_number(v.seconds, Some(-62_135_596_800), Some(253_402_300_799), &at.field(\"seconds\"), out); \
                     RT::check_number(i64::from(v.nanos), Some(0), Some(999_999_999), &at.field(\"nanos\"), out); }}"
                );
            }
            if ours(&m) {
                let _ = write!(checks, "if let Some(v) = &self.{rust} {{ RT::Checked::check(v, {at}, out); }}");
                let _ = write!(enums, "|| self.{rust}.as_ref().is_some_and(RT::Checked::has_unknown_enum)");
            }
        }
        kind if rules.min.is_some() || rules.max.is_some() => {
            bail!("{}: the rules min and max are not held for {kind:?}; take int32, int64 or uint32", field.full_name())
        }
        _ => {}
    }
    Ok(())
}
