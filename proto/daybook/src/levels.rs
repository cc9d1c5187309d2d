//! Texts of levels, from the outermost to the innermost: `Home > Lamps`. One character separates them, and nothing else does: `Audio/Video`
//! is one level.

/// Separates levels, whatever blanks stand around it.
pub const MARK: char = '>';

/// Separates levels where they are written by us.
pub const SEPARATOR: &str = " > ";

/// The names of the levels, without blanks around them. A level without a name is none.
pub fn of(text: &str) -> impl Iterator<Item = &str> {
    text.split(MARK).map(str::trim).filter(|level| !level.is_empty())
}

/// A text of levels as it is written everywhere: `Home > Lamps` of `Home>Lamps`.
pub fn normal(text: &str) -> String {
    of(text).collect::<Vec<_>>().join(SEPARATOR)
}

/// A normal text of levels, and those that it is within: `Home`, `Home > Lamps` of `Home > Lamps`.
pub fn with_those_above(normal: &str) -> impl Iterator<Item = &str> {
    let ends = normal.match_indices(SEPARATOR).map(|(at, _)| at).chain([normal.len()]);
    ends.map(|end| &normal[..end]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_the_mark_do_not_matter_and_within_a_name_they_do() {
        for text in ["Home > Floor lamps", "Home>Floor lamps", " Home  >\u{a0}Floor lamps\t", "> Home > > Floor lamps >"] {
            assert_eq!(normal(text), "Home > Floor lamps", "{text:?}");
        }
        assert_eq!(normal(" > "), "");
        assert_eq!(normal("Home > Floor  lamps"), "Home > Floor  lamps");
    }

    #[test]
    fn nothing_but_the_mark_separates() {
        assert_eq!(of("Audio/Video > A/B testing > Hi-Fi, 5.1").collect::<Vec<_>>(), ["Audio/Video", "A/B testing", "Hi-Fi, 5.1"]);
        assert_eq!(with_those_above("Audio/Video > A/B testing").collect::<Vec<_>>(), ["Audio/Video", "Audio/Video > A/B testing"]);
        assert_eq!(with_those_above("").count(), 0);
    }
}
