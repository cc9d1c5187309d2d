//! Texts as terms: what is indexed, and what is looked for, go through the same.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

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
const NEVER_APART: &[&str] = &["in", "m", "g", "l", "v", "w"];
/// Compounds of more letters are no names of anything.
const LONGEST_COMPOUND: usize = 24;
/// Longer terms are cut: nobody types them.
const LONGEST_TERM: usize = 48;

/// One term of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Lower case, without accents, in the singular.
    pub(crate) term: String,
    /// As it was written, in lower case.
    pub(crate) surface: String,
    /// Put together from others of the text (`tn-2110`: `tn2110`), or the bare number of one with a unit: it takes no
    /// place of its own.
    pub(crate) extra: bool,
}

/// What the analysis does, each step to be left out for measuring what it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Plurals are singulars.
    pub stemming: bool,
    /// Numbers are one term with their unit; compounds are indexed whole, too.
    pub compounds: bool,
}

impl Default for Analysis {
    fn default() -> Self {
        Self { stemming: true, compounds: true }
    }
}

impl Analysis {
    /// The terms of a text, in order.
    pub(crate) fn tokens(self, text: &str) -> Vec<Token> {
        let folded = fold(text);
        let mut out = Vec::new();
        let mut chunks = folded.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            let next = chunks.peek().copied().map(|c| c.trim_matches(|c: char| !c.is_alphanumeric() && c != '"'));
            if self.chunk(chunk, next, &mut out) {
                chunks.next();
            }
        }
        out
    }

    /// What stands between two blanks; says whether it took the unit behind the blank with it.
    fn chunk(self, chunk: &str, next: Option<&str>, out: &mut Vec<Token>) -> bool {
        let mut rest = chunk;
        let (mut parts, mut compound) = (0, String::new());
        let mut took_next = false;
        let close = |parts: &mut i32, compound: &mut String, out: &mut Vec<Token>| {
            if self.compounds && (2..=4).contains(parts) && compound.len() <= LONGEST_COMPOUND {
                out.push(Token { term: compound.clone(), surface: compound.clone(), extra: true });
            }
            (*parts, _) = (0, compound.clear());
        };
        while let Some(begin) = rest.find(char::is_alphanumeric) {
            let between = &rest[..begin];
            if parts > 0 && !matches!(between, "-" | "." | "_") {
                close(&mut parts, &mut compound, out);
            }
            rest = &rest[begin..];
            let length = word(rest);
            let atom = &rest[..length];
            rest = &rest[length..];
            let number = number(atom);
            if self.compounds && number.len() < atom.len() + usize::from(atom.contains(',')) && !number.is_empty() || is_number(atom) {
                let plain = number.replace(',', "");
                let attached = &atom[number.len()..];
                let attached = if attached.is_empty() && rest.starts_with('"') { "\"" } else { attached };
                let apart = if attached.is_empty() && rest.is_empty() { next.filter(|n| !NEVER_APART.contains(n)) } else { None };
                // `13-inch`
                let behind = rest.strip_prefix('-').map(|r| &r[..word(r)]).filter(|n| attached.is_empty() && !NEVER_APART.contains(n));
                if let Some(unit) = behind.filter(|_| self.compounds).and_then(unit) {
                    rest = &rest[1 + behind.map_or(0, str::len)..];
                    out.push(Token { term: format!("{plain}{unit}"), surface: format!("{plain}{unit}"), extra: false });
                    out.push(Token { term: plain.clone(), surface: plain.clone(), extra: true });
                    (parts, compound) = (parts + 1, compound + &plain + unit);
                    continue;
                }
                if let Some(unit) = self.compounds.then(|| unit(attached).or_else(|| apart.and_then(unit))).flatten() {
                    took_next = attached.is_empty();
                    out.push(Token { term: format!("{plain}{unit}"), surface: format!("{plain}{unit}"), extra: false });
                    out.push(Token { term: plain.clone(), surface: plain.clone(), extra: true });
                    (parts, compound) = (parts + 1, compound + &plain + unit);
                    continue;
                }
                if attached.is_empty() {
                    (parts, compound) = (parts + 1, compound + &plain);
                    out.push(Token { term: plain.clone(), surface: plain, extra: false });
                    continue;
                }
            }
            (parts, compound) = (parts + 1, compound + atom);
            out.push(Token { term: self.term(atom), surface: atom.to_owned(), extra: false });
        }
        close(&mut parts, &mut compound, out);
        took_next
    }

    fn term(self, word: &str) -> String {
        let cut = word.char_indices().nth(LONGEST_TERM).map_or(word.len(), |(at, _)| at);
        if self.stemming { singular(&word[..cut]) } else { word[..cut].to_owned() }
    }
}

/// Lower case, without accents and compatibility forms.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).map(|c| if "”“″„".contains(c) { '"' } else { c }).collect()
}

/// How long the word at the beginning is: letters and digits, and the point or comma within a number.
fn word(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut numeric = true;
    for (at, c) in text.char_indices() {
        let inside = numeric && matches!(c, '.' | ',') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        // A comma within a number separates thousands: three digits follow, and no more.
        let thousands = c != ',' || bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count() == 3;
        if !(c.is_alphanumeric() || inside && thousands) {
            return at;
        }
        numeric &= c.is_ascii_digit() || inside;
    }
    text.len()
}

/// The number that a word begins with.
fn number(word: &str) -> &str {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(word.len());
    &word[..end]
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && number(word).len() == word.len()
}

fn unit(text: &str) -> Option<&'static str> {
    UNITS.iter().find(|(written, _)| *written == text).map(|(_, unit)| *unit)
}

/// An English plural's singular, of words of letters only (Harman's S-stemmer, and -es behind hissing sounds).
fn singular(word: &str) -> String {
    if word.len() < 4 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let without = |n: usize| word[..word.len() - n].to_owned();
    let ends = |all: &[&str]| all.iter().any(|e| word.ends_with(e));
    if ends(&["ies"]) && word.len() > 4 && !ends(&["eies", "aies"]) {
        without(3) + "y"
    } else if ends(&["ches", "shes", "xes", "sses", "zzes"]) {
        without(2)
    } else if ends(&["s"]) && !ends(&["us", "ss", "is"]) {
        without(1)
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        Analysis::default().tokens(text).into_iter().map(|t| t.term).collect()
    }

    #[test]
    fn words_are_lower_case_without_accents_in_the_singular() {
        assert_eq!(terms("Écouteurs, BATTERIES Watches boxes mice"), ["ecouteur", "battery", "watch", "box", "mice"]);
        assert_eq!(terms("bus glass chassis gas"), ["bus", "glass", "chassis", "gas"]);
    }

    #[test]
    fn a_number_is_one_term_with_its_unit_however_it_is_written() {
        for text in ["13.3\"", "13.3”", "13.3 inch", "13.3in", "13.3-inch", "(13.3\")"] {
            assert_eq!(terms(text), ["13.3in", "13.3"], "{text}");
        }
        assert_eq!(terms("2 GB"), ["2gb", "2"]);
        assert_eq!(terms("2GB"), ["2gb", "2"]);
        assert_eq!(terms("20,100mAh"), ["20100mah", "20100"]);
        assert_eq!(terms("6 in 1"), ["6", "in", "1"]);
        assert_eq!(terms("6-in-1"), ["6", "in", "1", "6in1"]);
        assert_eq!(terms("16:9, 3.5"), ["16", "9", "3.5"]);
    }

    #[test]
    fn a_compound_is_found_whole_and_in_parts() {
        assert_eq!(terms("TN-2110"), ["tn", "2110", "tn2110"]);
        assert_eq!(terms("USB-C"), ["usb", "c", "usbc"]);
        assert_eq!(terms("Laptop/Desktop"), ["laptop", "desktop"]);
        assert_eq!(terms("StarTech.com"), ["startech", "com", "startechcom"]);
    }

    #[test]
    fn nothing_that_is_typed_does_harm() {
        for text in
            ["", "   ", "\u{0}\u{7}", "'; DROP TABLE--", "%%%", "🎧", "a\u{301}\u{301}\u{301}", "-.-.-", "1.2.3.4", "\"\"", ",5", "5,"]
        {
            let _ = terms(text);
        }
        assert!(terms(&"x".repeat(10_000))[0].len() <= LONGEST_TERM);
    }
}
