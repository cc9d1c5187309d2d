//! Numbers and their units.

/// Units that belong to the number before them, as they are written and as they are indexed.
const UNITS: &[(&str, &str)] = &[
    ("\"", "in"),
    ("inch", "in"),
    ("inches", "in"),
    ("in", "in"),
    ("cm", "cm"),
    ("mm", "mm"),
    ("m", "m"),
    ("ft", "ft"),
    ("gb", "gb"),
    ("tb", "tb"),
    ("mb", "mb"),
    ("kb", "kb"),
    ("hz", "hz"),
    ("mhz", "mhz"),
    ("ghz", "ghz"),
    ("w", "w"),
    ("kw", "kw"),
    ("watt", "w"),
    ("watts", "w"),
    ("v", "v"),
    ("ah", "ah"),
    ("mah", "mah"),
    ("kg", "kg"),
    ("g", "g"),
    ("l", "l"),
    ("ml", "ml"),
    ("mp", "mp"),
    ("dpi", "dpi"),
    ("rpm", "rpm"),
];
/// A unit that stands apart from its number must be none of these: they are words, too.
pub(crate) const NEVER_APART: &[&str] = &["in", "m", "g", "l", "v", "w"];

/// The number that a word begins with.
pub(crate) fn number(word: &str) -> &str {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(word.len());
    &word[..end]
}

pub(crate) fn is_number(word: &str) -> bool {
    !word.is_empty() && number(word).len() == word.len()
}

pub(crate) fn unit(text: &str) -> Option<&'static str> {
    UNITS.iter().find(|(written, _)| *written == text).map(|(_, unit)| *unit)
}
