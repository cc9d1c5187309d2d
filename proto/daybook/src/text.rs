//! Texts that are one text: the canonical form of a name or of words, and whether a text shows anything. By Unicode's own
//! data (ICU4X), not by tables of ours.

use std::borrow::Cow;
use std::collections::BTreeMap;

use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed};

use crate::violation::add;
use crate::{Path, TextForm, Violation, levels};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfc();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::<GeneralCategory>::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// Unicode's White_Space, and what is a blank without width: U+200B, U+2060, and the U+FEFF that files begin with.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Whether a reader sees anything of a text. Letters, numbers, punctuation and symbols are seen. Blanks, control and format
/// characters, private and unassigned ones are not, and marks are not without what they stand on.
pub fn shows_something(text: &str) -> bool {
    let seen = GeneralCategoryGroup::Letter
        .union(GeneralCategoryGroup::Number)
        .union(GeneralCategoryGroup::Punctuation)
        .union(GeneralCategoryGroup::Symbol);
    text.chars().any(|c| match c {
        _ if c.is_ascii() => c.is_ascii_graphic(),
        // A symbol by its category: the pattern of no dots.
        '\u{2800}' => false,
        // Fillers are letters by their category.
        _ => seen.contains(CATEGORIES.get(c)) && !IGNORABLE.contains(c),
    })
}

/// The canonical form of a text.
pub fn canonical(text: &str, form: TextForm) -> Cow<'_, str> {
    if form == TextForm::AsSent {
        return Cow::Borrowed(text);
    }
    if !shows_something(text) {
        return Cow::Borrowed("");
    }
    let composed = if text.is_ascii() { Cow::Borrowed(text) } else { NFC.normalize(text) };
    match composed {
        Cow::Borrowed(text) => without_blanks(text, form),
        Cow::Owned(text) => Cow::Owned(without_blanks(&text, form).into_owned()),
    }
}

fn without_blanks(text: &str, form: TextForm) -> Cow<'_, str> {
    match form {
        TextForm::Name => name(text),
        TextForm::Levels => canonical_levels(text),
        TextForm::AsSent | TextForm::Trimmed | TextForm::Gtin | TextForm::Language => Cow::Borrowed(text.trim_matches(is_blank)),
    }
}

/// Each level is a name. A level that shows nothing stays, for the check of the form to name it.
fn canonical_levels(text: &str) -> Cow<'_, str> {
    let levels: Vec<Cow<'_, str>> = text.split(levels::MARK).map(name).collect();
    let joined = levels.join(levels::SEPARATOR);
    let joined = joined.trim();
    if joined == text { Cow::Borrowed(text) } else { Cow::Owned(joined.to_owned()) }
}

fn name(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(is_blank);
    if !has_runs(text) {
        return Cow::Borrowed(text);
    }
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_blank) {
        let behind = rest[at..].trim_start_matches(is_blank);
        let run = &rest[at..rest.len() - behind.len()];
        name.push_str(&rest[..at]);
        // A character without width parts words where lines may end, and shows nothing: it stays, where no blank is beside it.
        name.push_str(if run.contains(char::is_whitespace) { " " } else { run });
        rest = behind;
    }
    name.push_str(rest);
    Cow::Owned(name)
}

/// Whether there is a blank inside that is not one space.
fn has_runs(text: &str) -> bool {
    let mut before = false;
    text.chars().any(|c| {
        let blank = is_blank(c);
        let run = blank && (c != ' ' || before);
        before = blank;
        run
    })
}

/// Gives a text its canonical form.
pub fn tidy(text: &mut String, form: TextForm) {
    let changed = match canonical(text, form) {
        Cow::Borrowed(same) if same.len() == text.len() => return,
        other => other.into_owned(),
    };
    *text = changed;
}

/// Gives a map's keys their canonical form. Two that are one name are told: which of the values was meant, nobody knows.
pub fn tidy_keys<T>(map: &mut BTreeMap<String, T>, form: TextForm, path: &Path<'_>, out: &mut Vec<Violation>) {
    if map.keys().all(|key| matches!(canonical(key, form), Cow::Borrowed(same) if same.len() == key.len())) {
        return;
    }
    for (key, value) in std::mem::take(map) {
        let name = canonical(&key, form).into_owned();
        if let Some(_twice) = map.insert(name.clone(), value) {
            let message = "is given twice: names are one whatever blanks stand around them, and however Unicode composes them";
            add(&path.key(&name), message.to_owned(), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_blanks_and_of_what_is_not_seen_shows_nothing() {
        for nothing in [
            "",
            " ",
            "\t\r\n\u{b}\u{c}\u{85}",
            "\u{a0}\u{2007}\u{202f}\u{3000}\u{1680}\u{2028}\u{2029}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{0}\u{1}\u{7f}\u{9f}",
            "\u{ad}\u{61c}\u{200e}\u{200f}\u{202e}\u{2066}\u{e0001}\u{fff9}",
            "\u{e000}\u{f8ff}\u{10fffd}",
            "\u{378}\u{e0080}\u{ffff}\u{1fffe}",
            "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{2800}\u{17b4}",
            "\u{301}\u{fe0f}\u{34f}",
        ] {
            assert!(!shows_something(nothing), "{nothing:?}");
            assert_eq!(canonical(nothing, TextForm::Trimmed), "", "{nothing:?}");
        }
        for something in ["a", ".", " \u{200b}7 ", "ß", "木", "\u{5d0}", "เ", "€", "😀", "\u{200f}א", "e\u{301}", "๏"] {
            assert!(shows_something(something), "{something:?}");
        }
    }

    #[test]
    fn one_name_has_one_form_however_it_is_composed_and_spaced() {
        for (sent, name) in [
            ("Brand", "Brand"),
            ("\u{feff} Brand\u{a0}", "Brand"),
            ("Bra\u{a0}\u{a0}nd", "Bra nd"),
            ("Home \t>\n Lamps", "Home > Lamps"),
            ("Cafe\u{301}", "Café"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("\u{212b}ngstro\u{308}m", "Ångström"),
            ("\u{3000}東京\u{3000}", "東京"),
            ("ภาษา\u{200b}ไทย", "ภาษา\u{200b}ไทย"),
            ("a \u{200b} b", "a b"),
            // NFC keeps what only looks alike: compatibility is no matter of spelling.
            ("№\u{2009}5", "№ 5"),
            ("ﬁne", "ﬁne"),
        ] {
            assert_eq!(canonical(sent, TextForm::Name), name, "{sent:?}");
        }
        assert_eq!(canonical("\u{a0} two  words\n", TextForm::Trimmed), "two  words");
        for sent in ["Audio/Video > A/B testing", " Audio/Video>A/B  testing", "Audio/Video\u{a0}> \u{200b}A/B testing"] {
            assert_eq!(canonical(sent, TextForm::Levels), "Audio/Video > A/B testing", "{sent:?}");
        }
        assert_eq!(canonical(" a > > b", TextForm::Levels), "a >  > b", "a level without a name is a fault to be told, not to be mended");
    }

    #[test]
    fn two_keys_that_are_one_name_are_told_and_others_only_change() {
        let tidied = |keys: &[&str]| {
            let mut map: BTreeMap<String, usize> = keys.iter().enumerate().map(|(n, key)| ((*key).to_owned(), n)).collect();
            let mut out = Vec::new();
            tidy_keys(&mut map, TextForm::Name, &Path::Root.field("attributes"), &mut out);
            (map.into_keys().collect::<Vec<_>>(), out.into_iter().map(|v| v.field).collect::<Vec<_>>())
        };
        assert_eq!(tidied(&["b ", "a"]), (vec!["a".to_owned(), "b".to_owned()], Vec::new()));
        assert_eq!(tidied(&["é", "e\u{301}", "x"]).1, ["attributes[\"é\"]"]);
    }

    fn odd() -> impl Strategy<Value = String> {
        let some = prop::sample::select(vec![
            ' ', '>', '\u{a0}', '\u{200b}', '\u{301}', '\u{feff}', 'e', 'é', '\u{1112}', '\u{1161}', '\u{958}', '\u{2000}',
        ]);
        prop::collection::vec(prop_oneof![3 => some, 1 => any::<char>()], 0..12).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn the_form_of_a_form_is_itself(text in odd()) {
            for form in [TextForm::Trimmed, TextForm::Name, TextForm::Levels] {
                let once = canonical(&text, form).into_owned();
                prop_assert_eq!(canonical(&once, form), once.as_str());
                prop_assert!(NFC.is_normalized(&once));
                let mut tidied = text.clone();
                tidy(&mut tidied, form);
                prop_assert_eq!(tidied, once);
            }
        }
    }
}
