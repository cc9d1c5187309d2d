//! Functions for generated checks: one function a rule, so that every message says the same thing in the same words.

use std::sync::LazyLock;

use crate::text::shows_something;
use crate::v1::TextForm;
use crate::violation::{Path, REQUIRED, Violation, add, listed, missing, one_of, shown};

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
    /// Personal data: what was sent is not repeated.
    pub personal: bool,
}

/// Longest text of a field that states no limit of its own, in characters.
const DEFAULT_MAX_LENGTH: usize = 64 * 1024;
/// Most elements of a list or map that states no limit of its own.
const DEFAULT_MAX_ITEMS: usize = 10_000;
/// Longest key of a map, in characters.
const MAX_KEY: usize = 128;

const ID: &str = "1 to 128 characters of A-Z a-z 0-9 . _ -";
const DOTS: &str = "must not be made of dots only (in a URL they are directions, and nothing by that name could be reached)";
const UNSEEN: &str = "must show something (it has only blanks, and characters that nobody sees)";

fn is_of_dots(text: &str) -> bool {
    text.bytes().all(|b| b == b'.')
}

/// A text against its rules.
pub fn check_text(text: &str, rules: &TextRules, path: &Path<'_>, out: &mut Vec<Violation>) {
    if text.is_empty() {
        match () {
            () if rules.id => add(path, format!("{REQUIRED}: {ID}"), out),
            () if rules.required || rules.form == TextForm::Gtin => missing(path, out),
            () => {}
        }
        return;
    }
    let Some(fault) = fault_of_text(text, rules) else { return };
    let is = if rules.personal { String::new() } else { format!(", is {}", shown(text)) };
    add(path, fault + &is, out);
}

/// The rule that a text, which is not empty, does not follow.
fn fault_of_text(text: &str, rules: &TextRules) -> Option<String> {
    if rules.id {
        let fits = text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        return match fits {
            false => Some(format!("must be {ID}")),
            true => is_of_dots(text).then(|| DOTS.to_owned()),
        };
    }
    if text.contains('\0') {
        return Some("must not hold the character U+0000".to_owned());
    }
    if rules.required && !shows_something(text) {
        return Some(UNSEEN.to_owned());
    }
    if rules.form.stands_in_urls() && is_of_dots(text) {
        return Some(DOTS.to_owned());
    }
    let max = if rules.max_length == 0 { DEFAULT_MAX_LENGTH } else { rules.max_length as usize };
    // Bytes bound characters from above: the common case is decided without counting.
    if text.len() > max {
        let length = rules.form.length(text);
        if length > max {
            return Some(format!("must be at most {max} characters, has {length}"));
        }
    }
    if rules.min_length > 1 {
        let length = rules.form.length(text);
        if length < rules.min_length as usize {
            return Some(format!("must be at least {} characters, has {length}", rules.min_length));
        }
    }
    if let Some((written, compiled)) = rules.pattern
        && !compiled().is_match(text)
    {
        return Some(format!("must match {written}"));
    }
    if let Some(fault) = rules.form.fault(text) {
        return Some(fault);
    }
    if !rules.one_of.is_empty() && !rules.one_of.contains(&text) {
        let near = rules.one_of.iter().find(|one| one.eq_ignore_ascii_case(text.trim()));
        let all = listed(rules.one_of.iter().copied());
        return Some(near.map_or_else(|| format!("must be one of {all}"), |near| format!("must be one of {all} (perhaps {near})")));
    }
    None
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
        add(path, format!("{REQUIRED}: {}", one_of(values)), out);
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

/// A key of the map at `path`.
pub fn check_key(key: &str, path: &Path<'_>, out: &mut Vec<Violation>) {
    let fault = if key.contains('\0') {
        "must not hold the character U+0000".to_owned()
    } else if key.len() > MAX_KEY && key.chars().count() > MAX_KEY {
        format!("must be at most {MAX_KEY} characters, has {}", key.chars().count())
    } else if !shows_something(key) {
        UNSEEN.to_owned()
    } else {
        return;
    };
    add(&path.key(key), format!("has a key that {fault}, is {}", shown(key)), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: TextRules = TextRules {
        required: false,
        id: false,
        min_length: 0,
        max_length: 3,
        pattern: None,
        one_of: &[],
        form: TextForm::AsSent,
        personal: false,
    };

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
        assert_eq!(told, ["must be one of NONE, RED, is 7", "is required: one of NONE, RED"]);
        let mut out = Vec::new();
        check_enum(7, &[("COLOUR_UNSPECIFIED", 0), ("COLOUR_RED", 1)], true, &Path::Root.field("colour"), &mut out);
        assert_eq!(out[0].message, "must be one of COLOUR_RED, is 7", "the value that says nothing is not offered");
    }

    #[test]
    fn a_length_counts_characters_and_the_violation_names_the_field() {
        assert!(said("äöü", &FREE).is_empty());
        assert_eq!(said("äöüß", &FREE), ["price.currency must be at most 3 characters, has 4, is \"äöüß\""]);
    }

    #[test]
    fn a_fault_repeats_the_text_that_was_sent_escaped_and_bounded_unless_it_is_personal() {
        static UPPER: Pattern = Pattern::new(|| compile_pattern("[A-Z]+"));
        let long = "x".repeat(100_000);
        let bound = TextRules { max_length: 200_000, ..FREE };
        for rules in [
            TextRules { id: true, ..bound },
            TextRules { form: TextForm::Gtin, ..bound },
            TextRules { form: TextForm::Language, ..bound },
            TextRules { pattern: Some(("[A-Z]+", || &UPPER)), ..bound },
            TextRules { one_of: &["EUR", "USD"], ..bound },
            TextRules { min_length: 150_000, ..bound },
            FREE,
        ] {
            for text in ["a\u{202e}b\n\"c", &long] {
                let told = said(text, &rules).pop().expect("a fault");
                let repeated = if text == long { format!("\"{}…\"", "x".repeat(60)) } else { r#""a\u{202e}b\n\"c""#.to_owned() };
                assert!(told.contains(&format!(", is {repeated}")) && told.len() < 300, "{told}");
                let personal = said(text, &TextRules { personal: true, ..rules }).pop().expect("a fault");
                assert_eq!(format!("{personal}, is {repeated}"), told);
            }
        }
    }

    #[test]
    fn a_list_of_texts_is_told_whole_or_with_the_number_of_those_that_are_left_out() {
        const MANY: &[&str] = &[
            "AA", "BB", "CC", "DD", "EE", "FF", "GG", "HH", "II", "JJ", "KK", "LL", "MM", "NN", "OO", "PP", "QQ", "RR", "SS", "TT", "UU",
            "VV",
        ];
        let rules = |one_of| TextRules { one_of, ..FREE };
        assert_eq!(said("x", &rules(&MANY[..3])), ["price.currency must be one of AA, BB, CC, is \"x\""]);
        assert!(said("x", &rules(&MANY[..20]))[0].contains("SS, TT, is"), "all twenty");
        assert!(said("x", &rules(MANY))[0].contains("SS, TT and 2 more, is \"x\""));
        assert!(said("vv", &rules(MANY))[0].contains("and 2 more (perhaps VV), is \"vv\""));
    }

    #[test]
    fn a_bad_key_of_a_map_is_named_with_its_reason() {
        let key = |key: &str| {
            let mut out = Vec::new();
            check_key(key, &Path::Root.field("attributes"), &mut out);
            out.pop().map(|v| format!("{}: {}", v.field, v.message))
        };
        assert_eq!(key("colour"), None);
        assert!(key("\u{a0}").is_some_and(|told| told.starts_with(r#"attributes["\u{a0}"]: "#) && told.contains("must show something")));
        assert!(key("a\0b").is_some_and(|told| told.starts_with(r#"attributes["a\0b"]: "#) && told.contains("U+0000")));
        let long = key(&"k".repeat(129)).expect("a fault");
        assert!(
            long.starts_with(&format!("attributes[\"{}…\"]", "k".repeat(40))) && long.contains("at most 128 characters, has 129"),
            "{long}"
        );
    }

    #[test]
    fn a_pattern_matches_the_whole_text() {
        static P: Pattern = Pattern::new(|| compile_pattern("[A-Z]+"));
        let rules = TextRules { pattern: Some(("[A-Z]+", || &P)), ..FREE };
        assert!(said("AB", &rules).is_empty());
        assert_eq!(said("AB1", &rules).len(), 1);
    }
}
