//! What generated checks call: one function a rule, so that every message says the same thing in the same words.

use std::sync::LazyLock;

use crate::json::one_of;
use crate::text::shows_something;
use crate::v1::TextForm;

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The field, as JSON names it: `price.minorUnits`, `attributes["colour"]`, `lines[2].sku`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Where in a message we are; a text is made of it only when something is wrong.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// The message itself.
    Root,
    /// A field, by its JSON name.
    Field(&'a Path<'a>, &'a str),
    /// An element of a list.
    Index(&'a Path<'a>, usize),
    /// An entry of a map.
    Key(&'a Path<'a>, &'a str),
}

impl<'a> Path<'a> {
    /// A field below this path.
    pub fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    /// An element below this path.
    pub fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// An entry below this path.
    pub fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{:?}]", key.chars().take(40).collect::<String>()),
        }
    }
}

/// A compiled regular expression, made at its first use.
pub type Pattern = LazyLock<regex_lite::Regex>;

/// Gives a field's compiled pattern.
pub type GetPattern = fn() -> &'static Pattern;

/// Anchors and compiles a field's pattern.
///
/// # Panics
/// When the pattern is no regular expression: a fault of the `.proto` file, which the first test of it shows.
pub fn compile_pattern(pattern: &str) -> regex_lite::Regex {
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern of a .proto file must be a regular expression")
}

/// The rules of a text.
pub struct TextRules {
    /// Must show something.
    pub required: bool,
    /// 1 to 128 bytes of `[A-Za-z0-9._-]`, not of dots only.
    pub id: bool,
    /// In characters.
    pub min_length: u32,
    /// In characters; 0 means 64 Ki.
    pub max_length: u32,
    /// The expression as written, and its compiled form.
    pub pattern: Option<(&'static str, GetPattern)>,
    /// The only texts allowed; empty means any.
    pub one_of: &'static [&'static str],
    /// The form that it must have.
    pub form: TextForm,
}

/// Longest text of a field that states no limit of its own, in characters.
const DEFAULT_MAX_LENGTH: usize = 64 * 1024;
/// Most elements of a list or map that states no limit of its own.
const DEFAULT_MAX_ITEMS: usize = 10_000;
/// Longest key of a map, in characters.
const MAX_KEY: usize = 128;

/// The most violations that are told of one message: a command can break a rule in each of 100,000 places, and who sent it
/// needs no list of them.
pub(crate) const MAX_TOLD: usize = 100;

/// One more violation, where there are not too many yet.
pub(crate) fn add(path: &Path<'_>, message: String, out: &mut Vec<Violation>) {
    if out.len() < MAX_TOLD {
        out.push(Violation { field: path.to_string(), message });
    }
}

/// A required message is not there.
pub fn missing(path: &Path<'_>, out: &mut Vec<Violation>) {
    add(path, "is required".to_owned(), out);
}

const DOTS: &str = "must not be made of dots only: in a URL they are directions, and nothing by that name could be reached";
const UNSEEN: &str = "must show something: it has only blanks, and characters that nobody sees";

fn is_of_dots(text: &str) -> bool {
    text.bytes().all(|b| b == b'.')
}

/// A text against its rules.
pub fn check_text(text: &str, rules: &TextRules, path: &Path<'_>, out: &mut Vec<Violation>) {
    if rules.id {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fits {
            add(path, "must be 1 to 128 characters of A-Z a-z 0-9 . _ -".to_owned(), out);
        } else if is_of_dots(text) {
            add(path, DOTS.to_owned(), out);
        }
        return;
    }
    if text.is_empty() {
        if rules.required || rules.form == TextForm::Gtin {
            missing(path, out);
        }
        return;
    }
    if text.contains('\0') {
        return add(path, "must not hold the character U+0000".to_owned(), out);
    }
    if rules.required && !shows_something(text) {
        return add(path, UNSEEN.to_owned(), out);
    }
    if rules.form.stands_in_urls() && is_of_dots(text) {
        return add(path, DOTS.to_owned(), out);
    }
    let max = if rules.max_length == 0 { DEFAULT_MAX_LENGTH } else { rules.max_length as usize };
    // Bytes bound characters from above: the common case is decided without counting.
    if text.len() > max {
        let length = rules.form.length(text);
        if length > max {
            return add(path, format!("must be at most {max} characters, is {length}"), out);
        }
    }
    if rules.min_length > 1 && rules.form.length(text) < rules.min_length as usize {
        return add(path, format!("must be at least {} characters", rules.min_length), out);
    }
    if let Some((written, compiled)) = rules.pattern
        && !compiled().is_match(text)
    {
        return add(path, format!("must match {written}"), out);
    }
    if let Some(fault) = rules.form.fault(text) {
        return add(path, fault, out);
    }
    if !rules.one_of.is_empty() && !rules.one_of.contains(&text) {
        let some = rules.one_of.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        let more = if rules.one_of.len() > 8 { ", …" } else { "" };
        add(path, format!("must be one of {some}{more}"), out);
    }
}

/// A number against its bounds, both inclusive.
pub fn check_number(value: i64, min: Option<i64>, max: Option<i64>, path: &Path<'_>, out: &mut Vec<Violation>) {
    match (min, max) {
        (Some(min), Some(max)) if value < min || value > max => add(path, format!("must be {min} to {max}, is {value}"), out),
        (Some(min), None) if value < min => add(path, format!("must be at least {min}, is {value}"), out),
        (None, Some(max)) if value > max => add(path, format!("must be at most {max}, is {value}"), out),
        _ => {}
    }
}

/// An enum: one of its values, and named when it is required.
pub fn check_enum(value: i32, values: &[(&str, i32)], required: bool, path: &Path<'_>, out: &mut Vec<Violation>) {
    if !values.iter().any(|(_, known)| *known == value) {
        add(path, format!("must be {}, is {value}", one_of(values)), out);
    } else if required && value == 0 {
        missing(path, out);
    }
}

/// The number of elements; `max` 0 means the default limit.
pub fn check_items(count: usize, required: bool, max: u32, path: &Path<'_>, out: &mut Vec<Violation>) {
    let max = if max == 0 { DEFAULT_MAX_ITEMS } else { max as usize };
    if required && count == 0 {
        missing(path, out);
    } else if count > max {
        add(path, format!("must have at most {max} elements, has {count}"), out);
    }
}

/// A map's key.
pub fn check_key(key: &str, path: &Path<'_>, out: &mut Vec<Violation>) {
    if key.contains('\0') || key.chars().count() > MAX_KEY || !shows_something(key) {
        add(path, format!("keys must be 1 to {MAX_KEY} characters, without U+0000, and show something"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: TextRules =
        TextRules { required: false, id: false, min_length: 0, max_length: 3, pattern: None, one_of: &[], form: TextForm::AsSent };

    fn said(text: &str, rules: &TextRules) -> Vec<String> {
        let mut out = Vec::new();
        check_text(text, rules, &Path::Root.field("price").field("currency"), &mut out);
        out.into_iter().map(|v| format!("{} {}", v.field, v.message)).collect()
    }

    #[test]
    fn an_id_is_1_to_128_plain_bytes() {
        let id = TextRules { id: true, ..FREE };
        assert!(said("A-1_b.c", &id).is_empty());
        for bad in ["", "a@b", "ä", "a b", &"x".repeat(129)] {
            assert_eq!(said(bad, &id).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn an_id_or_a_name_of_dots_only_is_refused_with_the_reason() {
        let (id, name) = (TextRules { id: true, ..FREE }, TextRules { form: TextForm::Name, max_length: 9, ..FREE });
        for dots in [".", "..", "...", "........"] {
            assert!(said(dots, &id)[0].contains("dots only"), "{dots}");
            assert!(said(dots, &name)[0].contains("dots only"), "{dots}");
        }
        for good in [".a", "..-", "a.", "1..2", "-", "_"] {
            assert!(said(good, &id).is_empty() && said(good, &name).is_empty(), "{good}");
        }
        assert!(said("...", &TextRules { required: true, ..FREE }).is_empty(), "a text of people may be an ellipsis");
    }

    #[test]
    fn a_required_text_that_shows_nothing_is_refused() {
        let required = TextRules { required: true, max_length: 9, ..FREE };
        for nothing in ["", " ", "\t\u{a0}", "\u{200b}\u{feff}", "\u{7}", "\u{202e}\u{ad}", "\u{e000}", "\u{378}", "\u{3164}", "\u{301}"] {
            assert_eq!(said(nothing, &required).len(), 1, "{nothing:?}");
            assert!(said(nothing, &TextRules { max_length: 9, ..FREE }).is_empty(), "{nothing:?}");
        }
        assert!(said("\u{200b}x", &required).is_empty());
    }

    #[test]
    fn a_value_that_an_enum_has_not_is_told_with_those_that_it_has() {
        let mut out = Vec::new();
        check_enum(7, &[("NONE", 0), ("RED", 1)], true, &Path::Root.field("colour"), &mut out);
        check_enum(0, &[("NONE", 0), ("RED", 1)], true, &Path::Root.field("colour"), &mut out);
        check_enum(1, &[("NONE", 0), ("RED", 1)], true, &Path::Root.field("colour"), &mut out);
        let told: Vec<_> = out.iter().map(|v| v.message.as_str()).collect();
        assert_eq!(told, ["must be one of NONE, RED, is 7", "is required"]);
    }

    #[test]
    fn a_length_counts_characters_and_the_violation_names_the_field() {
        assert!(said("äöü", &FREE).is_empty());
        assert_eq!(said("äöüß", &FREE), ["price.currency must be at most 3 characters, is 4"]);
    }

    #[test]
    fn a_pattern_matches_the_whole_text() {
        static P: Pattern = Pattern::new(|| compile_pattern("[A-Z]+"));
        let rules = TextRules { pattern: Some(("[A-Z]+", || &P)), ..FREE };
        assert!(said("AB", &rules).is_empty());
        assert_eq!(said("AB1", &rules).len(), 1);
    }
}
