//! Violations of rules, with the path of their field; and the words that all of them share.

use std::borrow::Cow;

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// The field, as JSON names it: `price.minorUnits`, `attributes["colour"]`, `lines[2].sku`.
    pub field: String,
    /// The fault, and the remedy.
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
            Self::Key(parent, key) => write!(f, "{parent}[{:?}]", shortened(key, LONGEST_KEY_SHOWN)),
        }
    }
}

/// The longest value, and the longest unknown name, that a fault tells, in characters.
pub(crate) const LONGEST_SHOWN: usize = 60;
/// The same of a map's key within a path.
const LONGEST_KEY_SHOWN: usize = 40;
/// Names that are told of many.
const MOST_LISTED: usize = 20;

/// The beginning of a text, and a mark where it goes on.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A text that somebody sent, as it is told back: in quotes, what can't be seen escaped, and no longer than somebody reads.
pub fn shown(text: &str) -> String {
    format!("{:?}", shortened(text, LONGEST_SHOWN))
}

/// Names for people: all of them, or the first and how many more there are.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MOST_LISTED);
    let first = names.take(MOST_LISTED).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// The names of an enum, for people. Not of the value that says nothing.
pub(crate) fn one_of(values: &[(&str, i32)]) -> String {
    let names: Vec<&str> =
        values.iter().filter(|(name, number)| *number != 0 || !name.ends_with("_UNSPECIFIED")).map(|(name, _)| *name).collect();
    format!("one of {}", listed(names.into_iter()))
}

/// The most violations that are told of one message: a command can break a rule in each of 100,000 places, and who sent it
/// needs no list of them.
pub(crate) const MAX_TOLD: usize = 100;

/// One more violation; where there are too many already, that there are more.
pub(crate) fn add(path: &Path<'_>, message: String, out: &mut Vec<Violation>) {
    push(out, || Violation { field: path.to_string(), message });
}

pub(crate) fn push(out: &mut Vec<Violation>, violation: impl FnOnce() -> Violation) {
    match out.len() {
        ..MAX_TOLD => out.push(violation()),
        MAX_TOLD => out.push(Violation { field: String::new(), message: format!("more is wrong than these {MAX_TOLD} faults") }),
        _ => {}
    }
}

/// The violation of a field that must be there and is not, or the beginning of it.
pub(crate) const REQUIRED: &str = "is required";

/// A required field is not there.
pub fn missing(path: &Path<'_>, out: &mut Vec<Violation>) {
    add(path, REQUIRED.to_owned(), out);
}
