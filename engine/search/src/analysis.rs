//! Texts as terms: both the indexed texts and the queries go through the same.

use super::fold::{bare, is_picture, is_unspaced, is_word, spelled_out, written};
use super::language::Language;
use super::segment::segments;
use super::units::{NEVER_APART, is_number, number, unit};

/// Compounds of more letters are no names of anything.
const LONGEST_COMPOUND: usize = 24;
/// Longer terms are cut: nobody types them.
const LONGEST_TERM: usize = 48;

/// A term's part in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of its words.
    Word,
    /// The word before, or several before, written otherwise (`tn-2110`: `tn2110`): takes no place of its own.
    Spelling,
    /// The bare number of one with a unit: takes no place of its own.
    Part,
}

/// One term of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The word's stem, without accents.
    pub(crate) term: String,
    /// As it was written, in lower case.
    pub(crate) surface: String,
    pub(crate) kind: Kind,
}

impl Token {
    fn same(term: String, kind: Kind) -> Self {
        Self { surface: term.clone(), term, kind }
    }

    /// Whether it stands in the text as such.
    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// A piece of a text, from which its terms are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// As it was written, in lower case.
    pub(crate) text: &'a str,
    pub(crate) kind: Kind,
    /// Whether it is a word, which has a stem and may be spelt otherwise. Else it is its own term.
    pub(crate) stem: bool,
}

/// The term of a word's very form: no word can be it. A word of ASCII has none in the index: English stems keep words apart that are not
/// the same, and each would take ten bytes.
pub(crate) fn form_of(word: &str) -> String {
    format!("={word}")
}

/// The steps of the analysis, each to be left out for measuring its gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// Words are their stems.
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
    /// The terms of a text in a language, in order.
    pub(crate) fn tokens(self, text: &str, language: Language) -> Vec<Token> {
        let mut out = Vec::new();
        self.pieces(&written(text), &mut |piece| self.expand(&piece, language, &mut out));
        out
    }

    /// The terms of a piece.
    pub(crate) fn expand(self, piece: &Piece<'_>, language: Language, out: &mut Vec<Token>) {
        if piece.stem {
            self.word(piece.text, language, out);
        } else {
            out.push(Token::same(piece.text.to_owned(), piece.kind));
        }
    }

    /// The pieces of a [written](written) text, in order.
    pub(crate) fn pieces(self, text: &str, out: &mut impl FnMut(Piece<'_>)) {
        let mut chunks = text.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            let next = chunks.peek().copied().map(|c| c.trim_matches(|c: char| !is_word(c) && c != '"'));
            if self.chunk(chunk, next, out) {
                chunks.next();
            }
        }
    }

    /// The pieces between two blanks; says whether it took the unit behind the blank with it.
    fn chunk(self, chunk: &str, next: Option<&str>, out: &mut impl FnMut(Piece<'_>)) -> bool {
        let mut rest = chunk;
        let mut compound = Compound::default();
        let mut took_next = false;
        while let Some(begin) = rest.find(is_word) {
            if compound.parts > 0 && !matches!(&rest[..begin], "-" | "." | "_") {
                self.close(&mut compound, out);
            }
            rest = &rest[begin..];
            let length = word(rest);
            let atom = &rest[..length];
            rest = &rest[length..];
            if atom.chars().next().and_then(is_unspaced) == Some(true) {
                self.close(&mut compound, out);
                segments(atom).for_each(|word| out(Piece { text: word, kind: Kind::Word, stem: true }));
                continue;
            }
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
                    compound.measure(&plain, unit, out);
                    continue;
                }
                if let Some(unit) = self.compounds.then(|| unit(attached).or_else(|| apart.and_then(unit))).flatten() {
                    took_next = attached.is_empty();
                    compound.measure(&plain, unit, out);
                    continue;
                }
                if attached.is_empty() {
                    compound.add(&plain);
                    out(Piece { text: &plain, kind: Kind::Word, stem: false });
                    continue;
                }
            }
            compound.add(&bare(atom));
            out(Piece { text: atom, kind: Kind::Word, stem: true });
        }
        self.close(&mut compound, out);
        took_next
    }

    /// A word, and its form when typed without accents.
    fn word(self, word: &str, language: Language, out: &mut Vec<Token>) {
        let term = self.term(word, language);
        let at = out.len();
        out.push(Token { term, surface: word.to_owned(), kind: Kind::Word });
        if word.is_ascii() {
            return;
        }
        for other in [Some(bare(word).into_owned()), spelled_out(word)].into_iter().flatten() {
            let other = self.term(&other, language);
            if out[at..].iter().all(|t| t.term != other) {
                out.push(Token::same(other, Kind::Spelling));
            }
        }
    }

    fn close(self, compound: &mut Compound, out: &mut impl FnMut(Piece<'_>)) {
        if self.compounds && (2..=4).contains(&compound.parts) && compound.text.len() <= LONGEST_COMPOUND {
            out(Piece { text: &compound.text, kind: Kind::Spelling, stem: false });
        }
        *compound = Compound::default();
    }

    /// The term that a [written](written) word is indexed as.
    pub(crate) fn term(self, word: &str, language: Language) -> String {
        let word = cut(word);
        if self.stemming && word.chars().all(|c| c.is_alphabetic() || !c.is_ascii()) {
            bare(&language.stem(word)).into_owned()
        } else {
            bare(word).into_owned()
        }
    }
}

/// A word's beginning, which is its term.
pub(crate) fn cut(word: &str) -> &str {
    if word.len() <= LONGEST_TERM {
        return word;
    }
    &word[..word.char_indices().nth(LONGEST_TERM).map_or(word.len(), |(at, _)| at)]
}

/// Pieces that stand together without a blank.
#[derive(Default)]
struct Compound {
    parts: usize,
    text: String,
}

impl Compound {
    fn add(&mut self, part: &str) {
        self.parts += 1;
        self.text.push_str(part);
    }

    fn measure(&mut self, number: &str, unit: &str, out: &mut impl FnMut(Piece<'_>)) {
        // A measure is the same however many zeros it is written with.
        let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
        let measure = format!("{number}{unit}");
        self.add(&measure);
        out(Piece { text: &measure, kind: Kind::Word, stem: false });
        out(Piece { text: number, kind: Kind::Part, stem: false });
    }
}

/// Length of the word at the beginning: letters with their marks and digits, and the point or comma within a number. A
/// picture is a word, and letters of a script without blanks are no word together with others.
fn word(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut numeric = true;
    let mut unspaced = None;
    for (at, c) in text.char_indices() {
        let inside = numeric && matches!(c, '.' | ',') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        // A comma within a number separates thousands: three digits follow, and no more.
        let thousands = c != ',' || bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count() == 3;
        if !(is_word(c) || inside && thousands) {
            return at;
        }
        if !c.is_ascii() && is_picture(c) {
            return if at == 0 { c.len_utf8() } else { at };
        }
        match (unspaced, is_unspaced(c)) {
            (Some(before), Some(now)) if before != now => return at,
            (None, now) => unspaced = now,
            _ => {}
        }
        numeric &= c.is_ascii_digit() || inside;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        in_language(text, "")
    }

    fn in_language(text: &str, language: &str) -> Vec<String> {
        Analysis::default().tokens(text, Language::of(language)).into_iter().map(|t| t.term).collect()
    }

    #[test]
    fn words_are_lower_case_without_accents_in_the_singular() {
        for [one, many] in [["Battery", "BATTERIES"], ["watch", "Watches"], ["box", "boxes"], ["Lamp", "lamps"], ["glass", "glasses"]] {
            assert_eq!(terms(one), terms(many));
        }
        assert_eq!(terms("Café"), ["cafe"]);
        assert_eq!(terms("bus glass"), ["bus", "glass"]);
    }

    #[test]
    fn a_number_is_one_term_with_its_unit_however_it_is_written() {
        for text in ["13.3\"", "13.3”", "13.3″", "13.3 inch", "13.3in", "13.3-inch", "13.3‑inch", "(13.3\")", "１３.３ ｉｎｃｈ"]
        {
            assert_eq!(terms(text), ["13.3in", "13.3"], "{text}");
        }
        assert_eq!(terms("2 GB"), ["2gb", "2"]);
        assert_eq!(terms("2GB"), ["2gb", "2"]);
        assert_eq!(terms("20,100mAh"), ["20100mah", "20100"]);
        assert_eq!(terms("6 in 1"), ["6", "in", "1"]);
        assert_eq!(terms("6-in-1"), ["6", "in", "1", "6in1"]);
        assert_eq!(terms("16:9, 3.5"), ["16", "9", "3.5"]);
        assert_eq!(terms("5㎏"), terms("5 kg"));
        assert_eq!(terms("17.0 inch"), ["17in", "17"]);
        assert_eq!(terms("USB 3.0"), ["usb", "3.0"]);
    }

    #[test]
    fn a_compound_is_found_whole_and_in_parts() {
        assert_eq!(terms("TN-2110"), ["tn", "2110", "tn2110"]);
        assert_eq!(terms("TN–2110"), terms("TN−2110"));
        assert_eq!(terms("USB-C"), ["usb", "c", "usbc"]);
        assert_eq!(terms("Laptop/Desktop"), ["laptop", "desktop"]);
        assert_eq!(terms("StarTech.com"), ["startech", "com", "startechcom"]);
    }

    #[test]
    fn marks_and_what_is_invisible_are_no_letters() {
        assert_eq!(terms("Brand™ Mark® Name©"), terms("brand mark name"));
        assert_eq!(terms("Core™2"), terms("core 2"));
        assert_eq!(terms("key\u{ad}board head\u{200b}set"), terms("keyboard headset"));
    }

    #[test]
    fn a_word_is_found_however_its_letters_are_typed() {
        let spellings = terms("Übergröße");
        for typed in ["ubergrosse", "übergrösse", "UEBERGROESSE", "übergröße"] {
            assert!(terms(typed).iter().any(|t| spellings.contains(t)), "{typed}: {spellings:?}");
        }
        let spellings = terms("Smørbrød");
        for typed in ["smorbrod", "smoerbroed"] {
            assert!(terms(typed).iter().any(|t| spellings.contains(t)), "{typed}: {spellings:?}");
        }
    }

    #[test]
    fn a_text_without_blanks_is_words() {
        assert_eq!(terms("无线蓝牙耳机"), ["无线", "蓝牙", "耳机"]);
        assert_eq!(terms("USB充电2个"), ["usb", "充电", "2", "个"]);
        assert!(terms("กระเป๋าสะพายข้าง").len() > 1);
        assert!(terms("ワイヤレスイヤホンのケース").len() > 1);
        assert_eq!(terms("हिन्दी किताबें").len(), 2, "signs and virama are in the word");
    }

    #[test]
    fn a_picture_is_a_word() {
        assert_eq!(terms("Party 🎉🎈 box"), ["parti", "🎉", "🎈", "box"]);
        assert!(terms("%%% — … °").is_empty());
    }

    #[test]
    fn nothing_that_is_typed_does_harm() {
        for text in [
            "",
            "   ",
            "\u{0}\u{7}",
            "'; DROP TABLE--",
            "%%%",
            "🎧",
            "a\u{301}\u{301}\u{301}",
            "-.-.-",
            "1.2.3.4",
            "\"\"",
            ",5",
            "5,",
            "\u{301}",
            "ー",
        ] {
            let _ = terms(text);
        }
        assert!(terms(&"x".repeat(10_000))[0].len() <= LONGEST_TERM);
    }
}
