//! Characters as Unicode's own data know them: the same letter, a letter at all, or nothing.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use icu_properties::props::{Dash, DefaultIgnorableCodePoint, EmojiPresentation, GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointSetData};

/// A text as it is compared: no case, no compatibility forms (NFKC), nothing invisible, every dash a hyphen, accents as they
/// are written. Trade marks are no letters.
pub(crate) fn written(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() };
    }
    let (dash, invisible) = (CodePointSetData::new::<Dash>(), CodePointSetData::new::<DefaultIgnorableCodePoint>());
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if c.is_ascii() => seen.push(c),
            // The marks that Unicode would decompose to letters: TM, SM, MC, MD, MR.
            '\u{2122}' | '\u{2120}' | '\u{1f16a}'..='\u{1f16c}' => seen.push(' '),
            // Quotation marks and double primes stand for inches.
            '\u{201c}'..='\u{201f}' | '\u{2033}' => seen.push('"'),
            // `2½` is not 21/2.
            '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215e}' => seen.extend([' ', c]),
            _ if c.is_numeric()
                && let Some(digit) = decimal(c) =>
            {
                seen.push(digit)
            }
            _ if dash.contains(c) => seen.push('-'),
            _ if invisible.contains(c) => {}
            _ => seen.push(c),
        }
    }
    let same = ComposingNormalizer::new_nfkc().normalize(&seen);
    let folded = CaseMapper::new().fold_string(&same);
    let composed = ComposingNormalizer::new_nfc().normalize(&folded);
    // Thai's and Lao's AM are one letter to their writers, and to the segmenter.
    if composed.contains(['\u{e4d}', '\u{ecd}']) {
        return composed.replace("\u{e4d}\u{e32}", "\u{e33}").replace("\u{ecd}\u{eb2}", "\u{eb3}").into();
    }
    composed.into_owned().into()
}

/// A digit of any script: each has its ten in a row.
fn decimal(c: char) -> Option<char> {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |code: u32| categories.get32(code) == GeneralCategory::DecimalNumber;
    let code = u32::from(c);
    let before = (1..=9).take_while(|n| is_digit(code.saturating_sub(*n))).count();
    is_digit(code).then(|| char::from_digit(before as u32, 10)).flatten()
}

/// A [written](written) word as it is typed without accents, where the script's readers take the two for one.
///
/// Dropped: all marks of Latin, Greek, Hebrew (niqqud) and Arabic (tashkeel, hamza on its seat, tatweel); of Cyrillic, stress
/// and the dots of ё, but not the breve of й; of Devanagari the nukta, which many leave out (as Lucene's normaliser has it).
/// Marks of all other scripts are letters: a voiced kana is another kana, an Indic vowel sign another vowel.
pub(crate) fn bare(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return word.into();
    }
    let scripts = CodePointMapData::<Script>::new();
    let mut out = String::with_capacity(word.len());
    let (mut base, mut script) = (' ', Script::Common);
    for c in DecomposingNormalizer::new_nfd().normalize_iter(word.chars()) {
        if is_mark(c) {
            if keeps(script, base, c) {
                out.push(c);
            }
            continue;
        }
        (base, script) = (c, scripts.get(c));
        match plain_letter(c) {
            Some(letters) => out.push_str(letters),
            None if c == '\u{640}' => {}
            None => out.push(c),
        }
    }
    ComposingNormalizer::new_nfc().normalize(&out).into_owned().into()
}

/// Both: the form that texts are compared and sorted by.
pub(crate) fn fold(text: &str) -> String {
    match written(text) {
        Cow::Borrowed(text) => bare(text).into_owned(),
        Cow::Owned(text) if text.is_ascii() => text,
        Cow::Owned(text) => bare(&text).into_owned(),
    }
}

/// A [written](written) word as keyboards without its letters type it: `oe` for ö and ø. None: it has none of them.
pub(crate) fn spelled_out(word: &str) -> Option<String> {
    let digraph = |c| match c {
        'ä' => Some("ae"),
        'ö' | 'ø' => Some("oe"),
        'ü' => Some("ue"),
        'å' => Some("aa"),
        _ => None,
    };
    if word.is_ascii() || !word.contains(|c| digraph(c).is_some()) {
        return None;
    }
    let mut out = String::with_capacity(word.len() + 2);
    for c in word.chars() {
        match digraph(c) {
            Some(letters) => out.push_str(letters),
            None => out.push(c),
        }
    }
    Some(bare(&out).into_owned())
}

/// Latin letters that are another one with a stroke, or two: Unicode does not decompose them (CLDR's `Latin-ASCII` does).
fn plain_letter(c: char) -> Option<&'static str> {
    Some(match c {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ŋ' => "n",
        _ => return None,
    })
}

fn keeps(script: Script, base: char, mark: char) -> bool {
    match script {
        Script::Latin | Script::Greek | Script::Hebrew | Script::Arabic | Script::Common => false,
        Script::Cyrillic => !(matches!(mark, '\u{300}' | '\u{301}') || base == 'е' && mark == '\u{308}'),
        Script::Devanagari => mark != '\u{93c}',
        _ => true,
    }
}

/// Whether it belongs to the letter before.
pub(crate) fn is_mark(c: char) -> bool {
    !c.is_ascii() && GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// Whether it is a word of its own: a pictograph.
pub(crate) fn is_picture(c: char) -> bool {
    !c.is_ascii() && CodePointSetData::new::<EmojiPresentation>().contains(c)
}

/// Whether it is part of a word.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c) || is_picture(c)
}

/// The script of a word's first letter.
pub(crate) fn script(word: &str) -> Script {
    match word.chars().next() {
        Some(c) if c.is_ascii() => Script::Latin,
        Some(c) => CodePointMapData::<Script>::new().get(c),
        None => Script::Common,
    }
}

/// Whether its script writes words without blanks between them. None: it goes with the letter before.
pub(crate) fn is_unspaced(c: char) -> Option<bool> {
    if c.is_ascii() {
        return Some(false);
    }
    match CodePointMapData::<Script>::new().get(c) {
        Script::Han | Script::Hiragana | Script::Katakana | Script::Thai | Script::Lao | Script::Khmer | Script::Myanmar => Some(true),
        Script::Inherited => None,
        // The long vowel of kana.
        Script::Common if c == '\u{30fc}' => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_the_same_where_their_readers_take_them_for_the_same() {
        for (text, folded) in [
            ("Écouteurs Žižek ĀŪ", "ecouteurs zizek au"),
            ("Übergröße STRASSE straße ẞ", "ubergrosse strasse strasse ss"),
            ("Smørbrød Łódź Đorđe Þór Ævar cœur IŞIK ışık İstanbul", "smorbrod lodz dorde thor aevar coeur isik isik istanbul"),
            ("ΟΔΟΣ οδός ὁδός", "οδοσ οδοσ οδοσ"),
            ("Ёлка ёлка е́лка йод їжа ЎЗБЕК", "елка елка елка йод їжа ўзбек"),
            ("שָׁלוֹם", "שלום"),
            ("كِتَابٌ كـتاب أحمد", "كتاب كتاب احمد"),
            ("ﾊﾞｹﾂ バケツ ハケツ が か", "バケツ バケツ ハケツ が か"),
            ("हिन्दी क़लम", "हिन्दी कलम"),
            ("বাংলা தமிழ்", "বাংলা தமிழ்"),
            ("ＵＳＢ－Ｃ ①", "usb-c 1"),
            ("น้ำ ນ້ຳ", "น้ำ ນ້ຳ"),
            ("한국어", "한국어"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }

    #[test]
    fn what_is_invisible_is_nothing_and_every_dash_is_a_hyphen() {
        assert_eq!(fold("key\u{ad}board\u{200b}s\u{feff}\u{2060}\u{200d}"), "keyboards");
        for dash in "‐‑‒–—―−﹣－⁻".chars().filter(|c| *c != '⁻') {
            assert_eq!(fold(&format!("TN{dash}2110")), "tn-2110", "{dash:?}");
        }
        assert_eq!(fold("Brand™ Brand® Mark℠"), "brand  brand® mark ");
    }

    #[test]
    fn digraphs_are_told_where_a_keyboard_may_lack_the_letter() {
        let spelled = |text| spelled_out(&written(text));
        assert_eq!(spelled("Übergröße").as_deref(), Some("uebergroesse"));
        assert_eq!(spelled("Smørrebrød Ålesund").as_deref(), Some("smoerrebroed aalesund"));
        assert_eq!(spelled("Café"), None);
    }
}
