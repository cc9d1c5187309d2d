//! The stemmer that a word goes through: Snowball's, by the language that a text says it is in, and by the word's script.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};
use icu_properties::props::Script;

use super::fold::script;

/// A language, as far as words have stems in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Language(Option<Algorithm>);

impl Language {
    /// Of a BCP 47 tag. Languages without a stemmer, and an empty tag, are none: scripts decide.
    pub(crate) fn of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        // Bokmål and Nynorsk are written alike enough.
        let code = if matches!(primary.as_str(), "nb" | "nn") { "no" } else { primary.as_str() };
        Self(Some(code).filter(|c| c.len() == 2).and_then(|c| Algorithm::from_name(c).ok()))
    }

    /// The stem of a word, in lower case with its accents. A word that is not in the language's script is taken for one of the
    /// commonest language of its own: Latin for English, Cyrillic for Russian.
    pub(crate) fn stem(self, word: &str) -> Cow<'_, str> {
        let Some(algorithm) = self.algorithm(script(word)) else { return word.into() };
        let stem = Stemmer::new(algorithm).stem(word);
        match without_fleeting(algorithm, &stem) {
            Some(shorter) => shorter.into(),
            None => stem,
        }
    }

    /// Whether it writes compounds as one word: `Sofaüberzug`.
    pub(crate) fn compounds(self) -> bool {
        use Algorithm as A;
        matches!(self.0, Some(A::German | A::Dutch | A::Danish | A::Norwegian | A::Swedish | A::Finnish | A::Hungarian | A::Estonian))
    }

    fn algorithm(self, of: Script) -> Option<Algorithm> {
        use Algorithm as A;
        match (of, self.0) {
            (Script::Latin, Some(said)) if writes_latin(said) => Some(said),
            (Script::Latin, _) => Some(A::English),
            (Script::Cyrillic, Some(said @ (A::Ukrainian | A::Serbian))) => Some(said),
            (Script::Cyrillic, _) => Some(A::Russian),
            (Script::Greek, _) => Some(A::Greek),
            (Script::Arabic, Some(A::Persian)) => Some(A::Persian),
            (Script::Arabic, _) => Some(A::Arabic),
            (Script::Devanagari, _) => Some(A::Hindi),
            (Script::Armenian, _) => Some(A::Armenian),
            _ => None,
        }
    }
}

/// A Slavic stem without the vowel that comes and goes before its last consonant: `kubek` as in `kubki`. Snowball's stemmers keep
/// the two apart. Only of the suffixes -ek, -ok and -ec, which nearly always lose it, and only behind another syllable.
fn without_fleeting(algorithm: Algorithm, stem: &str) -> Option<String> {
    use Algorithm as A;
    let (vowels, lasts, soft): (&[char], &[char], &[char]) = match algorithm {
        A::Polish => (&['e'], &['k', 'c'], &['i']),
        A::Czech => (&['e'], &['k', 'c'], &[]),
        A::Russian | A::Ukrainian => (&['е', 'о'], &['к', 'ц'], &[]),
        _ => return None,
    };
    let last = stem.chars().next_back().filter(|c| lasts.contains(c))?;
    let before = stem.strip_suffix(last)?.strip_suffix(vowels)?;
    let before = before.strip_suffix(soft).unwrap_or(before);
    let is_vowel = |c: char| "aeiouyąęóáéěíůúýаеёиоуыэюяіїє".contains(c);
    (before.contains(is_vowel) && !before.ends_with(is_vowel)).then(|| format!("{before}{last}"))
}

fn writes_latin(language: Algorithm) -> bool {
    use Algorithm as A;
    !matches!(language, A::Ukrainian | A::Russian | A::Greek | A::Persian | A::Arabic | A::Hindi | A::Armenian)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_words_stem_is_by_the_language_that_is_said_and_by_its_script() {
        for (tag, words) in [
            ("de", ["lampen", "lampe"]),
            ("de-AT", ["kindern", "kinder"]),
            ("fr", ["chaussures", "chaussure"]),
            ("ru", ["ноутбуками", "ноутбука"]),
            ("", ["ноутбуки", "ноутбук"]),
            ("uk", ["ноутбуки", "ноутбуків"]),
            ("pl", ["słuchawkami", "słuchawki"]),
            ("pl", ["kubek", "kubki"]),
            ("pl", ["młotek", "młotki"]),
            ("pl", ["torebka", "torebek"]),
            ("pl", ["widelec", "widelce"]),
            ("cs", ["hrnek", "hrnky"]),
            ("cs", ["lžička", "lžiček"]),
            ("ru", ["молоток", "молотки"]),
            ("ru", ["чашка", "чашек"]),
            ("uk", ["молоток", "молотки"]),
            ("el", ["παπούτσια", "παπουτσι"]),
            ("nb", ["lampene", "lampen"]),
            ("ja", ["cables", "cable"]),
            ("", ["cables", "cable"]),
        ] {
            let stems = words.map(|w| Language::of(tag).stem(w).into_owned());
            assert_eq!(super::super::fold::bare(&stems[0]), super::super::fold::bare(&stems[1]), "{tag}: {words:?}");
        }
        for tag in ["", "english", "xx", "de_", "-", "ε"] {
            let _ = Language::of(tag);
        }
        assert_eq!(Language::of("xx"), Language::default());
    }
}
