//! Codes that tell a thing from all others: its key and further identifiers, found as people type them. Letters and digits
//! count, their case and separators do not; a part is found that begins where the identifier or a block of it does.

use super::columns::Bits;
use super::fold::fold;

/// Ends an identifier in the text of all.
const END: u8 = 0;
/// Fewer letters and digits are no part that anybody would look for an identifier by.
const SHORTEST_PART: usize = 3;
/// Blocks of an identifier that parts are found from.
const MOST_BLOCKS: usize = 8;
/// A part that begins in more places is no number that anybody looks for: then only identifiers typed in full count.
const MOST_PLACES: usize = 65_536;
/// So many places that were added last are looked through one after the other, or a fraction of all where that is more.
const RECENT: usize = 4_096;
const OF_ALL: usize = 256;
/// Bytes of the text whose documents are remembered together while it is compacted.
const BLOCK: usize = 64;

/// The identifiers of all documents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identifiers {
    /// Letters and digits of one after the other.
    text: Vec<u8>,
    /// By document: where its own begin.
    begins: Vec<u32>,
    /// Beginnings of blocks, in the order of the text there.
    sorted: Vec<u32>,
    /// Beginnings of blocks that were added since.
    recent: Vec<u32>,
}

/// A typed text, as an identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Typed {
    /// As it is, and without zeros before a number.
    forms: Vec<String>,
    /// Whether a part may be meant: it has a digit, or something that separates blocks of it.
    part: bool,
}

impl Identifiers {
    /// The identifiers of the next document.
    pub(crate) fn push<'a>(&mut self, all: impl IntoIterator<Item = &'a str>) {
        let begin = self.text.len();
        self.begins.push(u32::try_from(begin).unwrap_or(u32::MAX));
        let mut known: Vec<String> = Vec::new();
        for identifier in all {
            let (letters, blocks) = read(identifier);
            // Places are of 32 bits: documents beyond are not found by their identifiers.
            if letters.is_empty() || known.contains(&letters) || u32::try_from(self.text.len() + letters.len()).is_err() {
                continue;
            }
            let at = self.text.len() as u32;
            self.recent.extend(blocks.into_iter().map(|block| at + block));
            self.text.extend_from_slice(letters.as_bytes());
            self.text.push(END);
            known.push(letters);
        }
        if self.recent.len() > RECENT.max(self.sorted.len() / OF_ALL) {
            self.settle();
        }
    }

    /// Puts recent blocks where they belong.
    fn settle(&mut self) {
        let mut recent = std::mem::take(&mut self.recent);
        let text = &self.text;
        let behind = |place: u32| &text[place as usize..];
        recent.sort_unstable_by(|a, b| behind(*a).cmp(behind(*b)));
        let mut all = Vec::with_capacity(self.sorted.len() + recent.len());
        let mut rest = self.sorted.as_slice();
        for place in recent {
            let (before, after) = rest.split_at(rest.partition_point(|p| behind(*p) < behind(place)));
            all.extend_from_slice(before);
            all.push(place);
            rest = after;
        }
        all.extend_from_slice(rest);
        self.sorted = all;
    }

    /// The documents that somebody may mean, in order, and whether one of their identifiers is typed in full.
    pub(crate) fn find(&self, text: &str) -> Vec<(u32, bool)> {
        let typed = typed(text);
        let mut found: Vec<(u32, bool)> = Vec::new();
        for form in &typed.forms {
            let sought = form.as_bytes();
            let behind = |place: u32| &self.text[place as usize..];
            let (sorted, recent) = (self.beginning(sought), self.recent.iter().filter(|place| behind(**place).starts_with(sought)));
            let part = typed.part && form.chars().count() >= SHORTEST_PART && sorted.len() <= MOST_PLACES;
            // Identifiers that end here stand first.
            let ends = |place: u32| self.text[place as usize + sought.len()] == END;
            let sorted = sorted.iter().take_while(|place| part || ends(**place));
            for place in sorted.chain(recent).copied() {
                let whole = (place == 0 || self.text[place as usize - 1] == END) && ends(place);
                if whole || part {
                    found.push((self.document(place), whole));
                }
            }
        }
        // Of one document, whole identifiers come first.
        found.sort_unstable_by_key(|(document, whole)| (*document, !whole));
        found.dedup_by_key(|(document, _)| *document);
        found
    }

    /// The places, among those in order, where a text begins.
    fn beginning(&self, with: &[u8]) -> &[u32] {
        let behind = |place: u32| &self.text[place as usize..];
        let from = &self.sorted[self.sorted.partition_point(|place| behind(*place) < with)..];
        &from[..from.partition_point(|place| behind(*place).starts_with(with))]
    }

    fn document(&self, place: u32) -> u32 {
        self.begins.partition_point(|begin| *begin <= place) as u32 - 1
    }

    /// Those of some of the documents only.
    pub(crate) fn kept(&self, of: &Bits) -> Self {
        let mut kept = Self::default();
        let mut moved = vec![None; self.begins.len()];
        for document in of.iter() {
            let at = document as usize;
            let from = self.begins[at] as usize;
            let to = self.begins.get(at + 1).map_or(self.text.len(), |next| *next as usize);
            moved[at] = Some(kept.text.len() as u32);
            kept.begins.push(kept.text.len() as u32);
            kept.text.extend_from_slice(&self.text[from..to]);
        }
        // By block of the text: the document that its first byte is of. Searching for each place's would take longest of all.
        let mut blocks: Vec<u32> = Vec::with_capacity(self.text.len() / BLOCK + 1);
        for (document, begin) in (0..).zip(&self.begins) {
            while blocks.len() * BLOCK < *begin as usize {
                blocks.push(document - 1);
            }
        }
        blocks.resize(self.text.len() / BLOCK + 1, (self.begins.len() as u32).saturating_sub(1));
        let document_of = |place: u32| {
            let mut document = blocks[place as usize / BLOCK] as usize;
            while self.begins.get(document + 1).is_some_and(|begin| *begin <= place) {
                document += 1;
            }
            document
        };
        let move_to = |place: &u32| {
            let document = document_of(*place);
            moved[document].map(|begin| begin + (place - self.begins[document]))
        };
        kept.sorted = self.sorted.iter().filter_map(move_to).collect();
        // Still in order: text behind an identifier's end decides only between equal ones.
        kept.recent = self.recent.iter().filter_map(move_to).collect();
        kept
    }

    /// Gives back spare memory, after many at once.
    pub(crate) fn shrink(&mut self) {
        self.settle();
        self.text.shrink_to_fit();
        self.begins.shrink_to_fit();
        self.sorted.shrink_to_fit();
        self.recent.shrink_to_fit();
    }
}

/// An identifier's letters and digits, and where among them its blocks begin: behind separators, and where digits follow letters.
fn read(identifier: &str) -> (String, Vec<u32>) {
    let (mut letters, mut blocks) = (String::new(), Vec::new());
    let mut before = None;
    for c in fold(identifier).chars() {
        if c.is_alphanumeric() {
            let begins = before.is_none_or(|b: char| !b.is_alphanumeric() || b.is_alphabetic() && c.is_numeric());
            if begins && blocks.len() < MOST_BLOCKS {
                blocks.push(letters.len() as u32);
            }
            letters.push(c);
        }
        before = Some(c);
    }
    // A number is the same whatever zeros stand before it, as GTINs of 12, 13 and 14 digits are.
    if let Some(number) = without_zeros(&letters) {
        return (number.to_owned(), vec![0]);
    }
    (letters, blocks)
}

/// A number without the zeros before it; none where there are none, or there is nothing else.
fn without_zeros(letters: &str) -> Option<&str> {
    let number = letters.trim_start_matches('0');
    (number.len() < letters.len() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(number)
}

fn typed(text: &str) -> Typed {
    let folded = fold(text);
    let folded = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let letters: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
    if letters.is_empty() {
        return Typed::default();
    }
    let part = folded.contains(|c: char| c.is_numeric() || matches!(c, '-' | '.' | '_' | '/'));
    let number = without_zeros(&letters).map(str::to_owned);
    Typed { forms: std::iter::once(letters).chain(number).collect(), part }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(all: &[&[&str]]) -> Identifiers {
        let mut identifiers = Identifiers::default();
        all.iter().for_each(|some| identifiers.push(some.iter().copied()));
        identifiers
    }

    #[test]
    fn an_identifier_is_found_however_it_is_typed() {
        let some = of(&[&["CJ-1082185", "4006381333931", "LX-100/B"], &["cj-1082186"], &["\u{ff23}\u{ff2a}\u{2010}7"]]);
        for text in [
            "CJ-1082185",
            "cj-1082185",
            "cj1082185",
            "CJ 1082185",
            "cj.1082185",
            "\u{ff23}\u{ff2a}1082185",
            " 4006381333931 ",
            "400 6381-333931",
            "lx100b",
            "LX-100 B",
        ] {
            assert_eq!(some.find(text), [(0, true)], "{text}");
        }
        assert_eq!(some.find("cj7"), [(2, true)]);
        for text in ["", "-", "lamp", "cj-9", "\u{0}"] {
            assert_eq!(some.find(text), [], "{text:?}");
        }
    }

    #[test]
    fn a_part_is_found_from_the_beginning_and_from_a_blocks() {
        let some = of(&[&["CJ-1082185-B2", "4006381333931"], &["TN2110"], &["ABC-DEF"]]);
        for (text, document) in
            [("cj-108", 0), ("1082", 0), ("1082185b", 0), ("185-b", 9), ("400638", 0), ("tn21", 1), ("2110", 1), ("abc-d", 2), ("110", 9)]
        {
            assert_eq!(some.find(text), if document == 9 { vec![] } else { vec![(document, false)] }, "{text}");
        }
        assert_eq!(some.find("ab"), [], "too short");
        assert_eq!(some.find("abc"), [], "a word: it has neither digit nor hyphen");
    }

    #[test]
    fn a_number_is_the_same_whatever_zeros_stand_before_it() {
        let some = of(&[&["0036000291452"], &["000"], &["A-0012"]]);
        for text in ["036000291452", "36000291452", "0036000291452", "00036000291452"] {
            assert_eq!(some.find(text), [(0, true)], "{text}");
        }
        assert_eq!(some.find("0360"), [(0, false)]);
        assert_eq!((some.find("000"), some.find("0012")), (vec![(1, true)], vec![(2, false)]));
    }

    proptest! {
        /// However many come, and whichever go: it finds the same as looking through all of them.
        #[test]
        fn what_is_found_is_what_looking_through_all_finds(
            all in prop::collection::vec(prop::collection::vec("[ab1-]{0,5}", 0..3), 0..40),
            keep in prop::collection::vec(any::<bool>(), 40),
            text in "[ab1-]{0,4}",
            settle in any::<bool>(),
        ) {
            let mut identifiers = Identifiers::default();
            for some in &all {
                identifiers.push(some.iter().map(String::as_str));
            }
            if settle {
                identifiers.shrink();
            }
            let mut live = Bits::default();
            let kept: Vec<&Vec<String>> = (0..).zip(&all).filter(|(n, _)| keep[*n as usize]).map(|(n, some)| { live.set(n, true); some }).collect();
            let naive = |all: &[&Vec<String>]| -> Vec<(u32, bool)> {
                let typed = typed(&text);
                let hit = |identifier: &String| {
                    let (letters, blocks) = read(identifier);
                    typed.forms.iter().filter(|f| !f.is_empty() && !letters.is_empty()).filter_map(|form| {
                        let part = typed.part && form.len() >= SHORTEST_PART && blocks.iter().any(|b| letters[*b as usize..].starts_with(form.as_str()));
                        if letters == *form { Some(true) } else { part.then_some(false) }
                    }).max()
                };
                (0..).zip(all).filter_map(|(n, some)| some.iter().filter_map(hit).max().map(|whole| (n, whole))).collect()
            };
            prop_assert_eq!(identifiers.find(&text), naive(&all.iter().collect::<Vec<_>>()));
            prop_assert_eq!(identifiers.kept(&live).find(&text), naive(&kept));
        }
    }
}
