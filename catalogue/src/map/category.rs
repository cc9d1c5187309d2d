//! A category for products whose rows have none, or call it otherwise: rules, of which the first that gives one counts.

use std::collections::HashMap;

use super::file::{CategoriesFile, RuleFile};

/// The rules of one mapping.
#[derive(Clone, Debug)]
pub(super) struct Categories {
    words: Words,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
enum Rule {
    /// The text of the column, where it reads like a category.
    Column {
        column: String,
        begins_with_letter: bool,
        least: usize,
        most: usize,
    },
    /// The category of the words that stand in the column.
    WordsOf(String),
    /// This one, where the column says one of these.
    Equals {
        column: String,
        equals: Vec<String>,
        category: String,
    },
    Always(String),
}

impl Categories {
    pub(super) fn checked(file: CategoriesFile) -> Result<Self, String> {
        let words = Words::checked(file.words)?;
        let rules = file.rules.into_iter().enumerate().map(|(n, rule)| {
            let wrong = "needs one of: column; words_of; column with equals and category; category alone";
            Rule::checked(rule).ok_or_else(|| format!("rule {} {wrong}", n + 1))
        });
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let uses_words = rules.iter().any(|rule| matches!(rule, Rule::WordsOf(_)));
        if uses_words == words.categories.is_empty() {
            let what =
                if uses_words { "words are missing: a rule has words_of" } else { "words are used by no rule: words_of names a column" };
            return Err(what.to_owned());
        }
        Ok(Self { words, rules })
    }

    /// The columns that are looked at.
    pub(super) fn columns(&self) -> impl Iterator<Item = &String> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Column { column, .. } | Rule::WordsOf(column) | Rule::Equals { column, .. } => Some(column),
            Rule::Always(_) => None,
        })
    }

    /// The category of a row, whose texts `text` gives by column.
    pub(super) fn of(&self, text: impl Fn(&str) -> Option<String>) -> Option<String> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Column { column, begins_with_letter, least, most } => text(column).filter(|text| {
                (!begins_with_letter || text.starts_with(char::is_alphabetic)) && (*least..=*most).contains(&text.chars().count())
            }),
            Rule::WordsOf(column) => text(column).and_then(|text| self.words.of(&text).map(str::to_owned)),
            Rule::Equals { column, equals, category } => text(column).filter(|text| equals.contains(text)).map(|_| category.clone()),
            Rule::Always(category) => Some(category.clone()),
        })
    }
}

impl Rule {
    fn checked(rule: RuleFile) -> Option<Self> {
        let RuleFile { column, words_of, equals, begins_with_letter, length, category } = rule;
        match (column, words_of, equals, category) {
            (Some(column), None, None, None) => {
                let [least, most] = length.unwrap_or([1, usize::MAX]);
                Some(Self::Column { column, begins_with_letter, least, most })
            }
            _ if begins_with_letter || length.is_some() => None,
            (None, Some(column), None, None) => Some(Self::WordsOf(column)),
            (Some(column), None, Some(equals), Some(category)) => Some(Self::Equals { column, equals, category }),
            (None, None, None, Some(category)) => Some(Self::Always(category)),
            _ => None,
        }
    }
}

/// Words, and the category of what is called so. The first line counts, so the narrower stands before the wider: a `notebook
/// case` is no notebook. Words are compared in lower case, split at everything that is no letter or digit; the last one may
/// have a plural's s.
#[derive(Clone, Debug)]
struct Words {
    categories: Vec<(Vec<String>, String)>,
    /// By the first word: lines, in their order.
    by_first: HashMap<String, Vec<usize>>,
}

impl Words {
    fn checked(lines: Vec<(String, String)>) -> Result<Self, String> {
        let mut words = Self { categories: Vec::with_capacity(lines.len()), by_first: HashMap::new() };
        for (line, category) in lines {
            let split: Vec<String> = split(&line).collect();
            let first = split.first().filter(|_| split.join(" ") == line);
            let Some(first) = first else {
                let remedy = if split.is_empty() { "give words".to_owned() } else { format!("write {:?}", split.join(" ")) };
                return Err(format!("words {line:?} are no words in lower case with a blank between: {remedy}"));
            };
            if category.trim().is_empty() {
                return Err(format!("words {line:?} have no category"));
            }
            words.by_first.entry(first.clone()).or_default().push(words.categories.len());
            words.categories.push((split, category));
        }
        Ok(words)
    }

    fn of(&self, text: &str) -> Option<&str> {
        let text: Vec<String> = split(text).collect();
        let mut best: Option<usize> = None;
        for (at, word) in text.iter().enumerate() {
            let singular = word.strip_suffix('s');
            let lines = [Some(word.as_str()), singular].into_iter().flatten().filter_map(|first| self.by_first.get(first)).flatten();
            for line in lines.filter(|line| best.is_none_or(|best| **line < best)).copied().collect::<Vec<_>>() {
                if best.is_none_or(|best| line < best) && stands_at(&text[at..], &self.categories[line].0) {
                    best = Some(line);
                }
            }
        }
        best.map(|line| self.categories[line].1.as_str())
    }
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Whether a text begins with these words.
fn stands_at(text: &[String], words: &[String]) -> bool {
    let Some((last, before)) = words.split_last() else { return false };
    let Some(behind) = text.get(before.len()) else { return false };
    text[..before.len()] == *before && (behind == last || behind.strip_suffix('s').is_some_and(|singular| singular == last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(lines: &[(&str, &str)]) -> Result<Words, String> {
        Words::checked(lines.iter().map(|(w, c)| ((*w).to_owned(), (*c).to_owned())).collect())
    }

    #[test]
    fn the_narrower_kind_wins_and_half_a_word_is_none() {
        let words = words(&[
            ("notebook case", "Bags"),
            ("patch cable", "Network"),
            ("notebook", "Notebooks"),
            ("pc s", "Supplies"),
            ("ups", "UPS"),
        ])
        .expect("words");
        assert_eq!(words.of("Case Logic VNR-217 Notebook case 43.2 cm"), Some("Bags"));
        assert_eq!(words.of("C2G 5m Patch Cables, grey"), Some("Network"));
        assert_eq!(words.of("a case for notebooks"), Some("Notebooks"));
        assert_eq!(words.of("HP 94 Black Original 1 pc(s)"), Some("Supplies"));
        assert_eq!(words.of("Upstairs"), None, "no UPS");
        assert_eq!(words.of("notebooks case"), Some("Notebooks"), "the last word alone may be a plural");
    }

    #[test]
    fn what_can_not_be_meant_is_told() {
        for (lines, said) in
            [(&[("Toner-Cartridge", "x")][..], "write \"toner cartridge\""), (&[("--", "x")], "give words"), (&[("a", " ")], "no category")]
        {
            let error = words(lines).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
    }
}
