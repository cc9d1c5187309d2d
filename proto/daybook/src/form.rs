//! Forms of texts that have a name of their own: what makes one, and what is said of one that is none.

use std::sync::LazyLock;

use prost_reflect::{MessageDescriptor, ReflectMessage as _};

use crate::checks::compile_pattern;
use crate::levels;
use crate::v1::TextForm;

impl TextForm {
    /// Whether texts of the form are keys of read models: one of dots only would be a direction there.
    pub fn stands_in_urls(self) -> bool {
        matches!(self, Self::Name | Self::Levels)
    }

    /// A regular expression that every text of the form matches as a whole, empty where any does. Of a GTIN's check digit it says nothing.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::AsSent | Self::Trimmed | Self::Name => "",
            // GS1 General Specifications, section 3.3.
            Self::Gtin => "[0-9]{8}|[0-9]{12,14}",
            // RFC 5646, without extensions and private use.
            Self::Language => "[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*",
            // A level holds more than blanks, those without width included.
            Self::Levels => {
                "[\\s\u{200b}\u{2060}\u{feff}]*[^\\s\u{200b}\u{2060}\u{feff}>][^>]*(>[\\s\u{200b}\u{2060}\u{feff}]*[^\\s\u{200b}\u{2060}\u{feff}>][^>]*)*"
            }
        }
    }

    /// The length of a text of the form, in characters. A separator of levels counts once, however many blanks stand around it: who writes
    /// `Home>Lamps` has written no longer text than is kept.
    pub fn length(self, text: &str) -> usize {
        let blanks = if self == Self::Levels { (levels::SEPARATOR.len() - 1) * text.matches(levels::SEPARATOR).count() } else { 0 };
        text.chars().count() - blanks
    }

    /// The fault that keeps a text from having the form, and the remedy; none where it has it.
    pub fn fault(self, text: &str) -> Option<String> {
        static LANGUAGE: LazyLock<regex_lite::Regex> = LazyLock::new(|| compile_pattern(TextForm::Language.pattern()));
        match self {
            Self::AsSent | Self::Trimmed | Self::Name => None,
            Self::Gtin => gtin(text),
            Self::Language if LANGUAGE.is_match(text) => None,
            Self::Language => Some("must be a language tag of BCP 47, for example de, pt-BR or zh-Hant-TW".to_owned()),
            Self::Levels if text.split(levels::MARK).all(|level| !level.trim().is_empty()) => None,
            Self::Levels => Some(format!("must have a name on each level: levels are separated by `{}`", levels::SEPARATOR)),
        }
    }
}

/// The form of a read model's keys, as the message that its parts merge to says; texts as they were sent where it says nothing.
pub fn key_form(message: &MessageDescriptor) -> TextForm {
    let form = || {
        let options = message.options();
        let extension = options.descriptor().parent_pool().get_extension_by_name("daybook.v1.read_model")?;
        let read_model = options.get_extension(&extension);
        let number = read_model.as_message()?.get_field_by_name("key")?.as_enum_number()?;
        TextForm::try_from(number).ok()
    };
    form().unwrap_or(TextForm::AsSent)
}

/// GS1 General Specifications, section 7.9: the last digit makes the weighted sum of all a multiple of ten.
fn gtin(text: &str) -> Option<String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Some("must be a GTIN (EAN, UPC, ISBN-13): digits alone, without blanks and hyphens".to_owned());
    }
    if !matches!(text.len(), 8 | 12 | 13 | 14) {
        return Some(format!("must be a GTIN of 8, 12, 13 or 14 digits, has {}: leading zeros belong to it", text.len()));
    }
    if text.bytes().all(|b| b == b'0') {
        return Some("must be a GTIN that was given out: this one has zeros alone".to_owned());
    }
    let (body, last) = text.split_at(text.len() - 1);
    // From the right the digits count 3, 1, 3, … times.
    let sum: u32 = body.bytes().rev().zip([3, 1].into_iter().cycle()).map(|(digit, times)| u32::from(digit - b'0') * times).sum();
    let check = (10 - sum % 10) % 10;
    (check.to_string() != last).then(|| format!("must be a GTIN that ends with its check digit: {check} behind {body}, not {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gtin_of_each_length_is_taken_with_its_check_digit_and_with_no_other() {
        for good in ["96385074", "036000291452", "4006381333931", "9780306406157", "10614141000415", "00000000000017"] {
            assert_eq!(TextForm::Gtin.fault(good), None, "{good}");
            let (body, last) = good.split_at(good.len() - 1);
            for other in (0..10).map(|n: u8| n.to_string()).filter(|n| n != last) {
                let said = TextForm::Gtin.fault(&format!("{body}{other}")).expect("a slip");
                assert!(said.contains(&format!("{last} behind {body}")), "{said}");
            }
        }
    }

    #[test]
    fn what_is_no_gtin_is_told_what_it_lacks() {
        for (bad, says) in [
            ("978-0-306-40615-7", "without blanks and hyphens"),
            ("4006381 333931", "without blanks and hyphens"),
            ("４００６３８１３３３９３１", "digits alone"),
            ("6381333931", "has 10"),
            ("36000291452", "leading zeros"),
            ("00000000", "zeros alone"),
        ] {
            let said = TextForm::Gtin.fault(bad).unwrap_or_default();
            assert!(said.contains(says), "{bad}: {said}");
        }
    }

    #[test]
    fn a_language_is_a_tag_and_no_name() {
        for good in ["de", "pt-BR", "zh-Hant", "zh-Hant-TW", "es-419", "sl-rozaj", "de-CH-1996", "haw", "EN"] {
            assert_eq!(TextForm::Language.fault(good), None, "{good}");
        }
        for bad in ["german", "d", "de_DE", "de-", "-de", "de DE", "zh-Hant-", "de-DEU1", "en-x-mine"] {
            assert!(TextForm::Language.fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_level_has_a_name_and_a_slash_is_part_of_it() {
        for good in ["Home", "Home > Lamps", "Home>Lamps", "Audio/Video > A/B testing", "\u{a0}Home\u{a0}>\u{a0}Lamps "] {
            assert_eq!(TextForm::Levels.fault(good), None, "{good:?}");
        }
        for bad in [">", " > ", "> Home", "Home >", "Home > > Lamps", "Home >\u{a0}> Lamps", " \t"] {
            assert!(TextForm::Levels.fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_separator_of_levels_counts_as_one_character() {
        assert_eq!((TextForm::Levels.length("ä > b > c"), TextForm::Name.length("ä > b > c")), (5, 9));
    }

    #[test]
    fn what_has_a_form_matches_its_pattern() {
        let some = [
            "",
            "de",
            "de_DE",
            "96385074",
            "9638507",
            ">",
            "a > b",
            "a >> b",
            " a",
            "a>",
            "4006381333931",
            "a/b",
            "a>\u{feff}",
            "\u{200b}>a",
            "a>\u{2060}b",
        ];
        for form in [TextForm::Language, TextForm::Levels] {
            let pattern = compile_pattern(form.pattern());
            for text in some {
                let canonical = crate::canonical(text, form);
                assert_eq!(form.fault(&canonical).is_none(), pattern.is_match(text), "{form:?} {text:?}");
            }
        }
        assert!(
            some.iter()
                .filter(|text| TextForm::Gtin.fault(text).is_none())
                .all(|text| compile_pattern(TextForm::Gtin.pattern()).is_match(text))
        );
    }
}
