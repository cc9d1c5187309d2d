//! A product's properties in words, however a merchant's columns are named.

/// From so many digits on, a number is one that something is told from others by, not how much there is of it.
const LONGEST_AMOUNT: usize = 8;
/// Fewer names share their beginning by chance.
const FEWEST_NAMES: usize = 3;

/// The words of properties, by name and value: what each says, or its name, when it says that the product has it. What it has
/// not, and how much of something it has without a unit, nobody looks for by the word.
pub(crate) fn words(all: &[(String, String)]) -> String {
    let shared = shared(all);
    let mut words = String::new();
    for (name, value) in all {
        let value = value.trim();
        match says(value) {
            Says::Yes => named(name, shared, &mut words),
            Says::Nothing => continue,
            Says::Itself => words.push_str(value),
        }
        words.push('\n');
    }
    words
}

enum Says {
    Yes,
    Nothing,
    Itself,
}

fn says(value: &str) -> Says {
    let is_one_of = |all: &[&str]| all.iter().any(|one| value.eq_ignore_ascii_case(one));
    if is_one_of(&["true", "yes", "y"]) {
        Says::Yes
    } else if value.is_empty() || is_one_of(&["false", "no", "n"]) || value.len() < LONGEST_AMOUNT && value.parse::<f64>().is_ok() {
        Says::Nothing
    } else {
        Says::Itself
    }
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty())
}

/// Number of words that all names of a product begin with: they tell a column's origin, not its meaning.
fn shared(all: &[(String, String)]) -> usize {
    let Some((first, _)) = all.first().filter(|_| all.len() >= FEWEST_NAMES) else { return 0 };
    parts(first).enumerate().take_while(|(n, part)| all.iter().all(|(name, _)| parts(name).nth(*n) == Some(*part))).count()
}

/// A name's own words. Single letters tell a column's type.
fn named(name: &str, shared: usize, words: &mut String) {
    for part in parts(name).skip(shared).filter(|part| part.chars().nth(1).is_some()) {
        words.push_str(part);
        words.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(all: &[(&str, &str)]) -> String {
        let all: Vec<_> = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        words(&all).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_a_product_has_is_told_by_its_name_and_what_it_has_not_by_nothing() {
        for yes in ["Y", "y", "Yes", "TRUE", "true", " yes "] {
            assert_eq!(said(&[("water_resistant", yes)]), "water resistant", "{yes}");
        }
        for no in ["N", "no", "False", "", "0", "1", "17.0", "-3.25", "1e3"] {
            assert_eq!(said(&[("water_resistant", no)]), "", "{no}");
        }
        assert_eq!(said(&[("colour", "night blue"), ("width", "17.0 in"), ("gtin", "4006381333931")]), "night blue 17.0 in 4006381333931");
    }

    #[test]
    fn how_a_merchant_names_columns_says_nothing() {
        let columns = [("spec_b_foldable", "Y"), ("spec_t_frame", "steel"), ("spec_n_weight", "4.0"), ("spec_b_usb-port", "Y")];
        assert_eq!(said(&columns), "foldable steel usb port");
        assert_eq!(said(&[("usb_hub", "Y"), ("usb_port", "Y")]), "usb hub usb port", "two names share a beginning by chance");
        assert_eq!(said(&[("spec_b", "Y"), ("spec_b", "Y"), ("spec_b", "Y")]), "", "nothing is left of them");
    }
}
