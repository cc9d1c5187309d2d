//! Numbers as they are written, never through a float: 9007199254740993 stays what it is, and 19.99 is 1999 cents.

/// A number: `digits` × 10^`exponent`, without zeros at either end; no digits are zero.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// Exponents beyond this are left as they are written: nobody reads a hundred zeros.
const LONGEST: i64 = 40;

impl Decimal {
    /// A sign, digits, and decimals behind `mark`; an exponent as JSON writes it. Nothing else, no blanks.
    fn parse(text: &str, mark: char) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?.into()),
            None => (rest, 0_i64),
        };
        let (whole, decimals) = number.split_once(mark).unwrap_or((number, ""));
        let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && decimals.is_empty()) || !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let digits = format!("{whole}{decimals}");
        let kept = digits.trim_end_matches('0');
        let exponent = exponent - decimals.len() as i64 + (digits.len() - kept.len()) as i64;
        let digits = kept.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Some(Self { negative: negative && !digits.is_empty(), digits, exponent })
    }
}

/// A JSON number as a shopper reads it: 6.0 is 6, and 1e-05 is 0.00001. Exact, however long it is.
pub(crate) fn plain(lexeme: &str) -> String {
    let Some(number) = Decimal::parse(lexeme, '.').filter(|n| n.exponent.abs() <= LONGEST) else { return lexeme.to_owned() };
    let Decimal { negative, digits, exponent } = number;
    if digits.is_empty() {
        return "0".to_owned();
    }
    let mut text = if negative { "-".to_owned() } else { String::new() };
    let decimals = usize::try_from(-exponent).unwrap_or(0);
    if decimals == 0 {
        text.push_str(&digits);
        text.extend((0..exponent).map(|_| '0'));
    } else if digits.len() > decimals {
        let (whole, rest) = digits.split_at(digits.len() - decimals);
        text.push_str(&format!("{whole}.{rest}"));
    } else {
        text.push_str("0.");
        text.extend((digits.len()..decimals).map(|_| '0'));
        text.push_str(&digits);
    }
    text
}

/// An amount in the smallest unit, which is `places` decimal places of the amount that is written.
///
/// # Errors
/// The fault of the number, without the name of its column.
pub(crate) fn minor_units(text: &str, places: u32, mark: char) -> Result<i64, String> {
    let shown = || text.chars().take(40).collect::<String>();
    let number = Decimal::parse(text, mark)
        .ok_or_else(|| format!("must be a number of digits with `{mark}` before the decimals and nothing else, is {:?}", shown()))?;
    let Decimal { negative, mut digits, exponent } = number;
    let zeros = exponent + i64::from(places);
    if zeros < 0 {
        return Err(if places == 0 {
            format!(
                "must be a whole number of the currency's smallest unit (cents), is {}; a mapping with `unit = \"decimal\"` reads decimals",
                shown()
            )
        } else {
            format!("has more than {places} decimal places: {}", shown())
        });
    }
    if digits.is_empty() {
        return Ok(0);
    }
    if zeros > 20 {
        return Err(format!("is too large: {}", shown()));
    }
    digits.extend((0..zeros).map(|_| '0'));
    let units: i64 = digits.parse().map_err(|_| format!("is too large: {}", shown()))?;
    Ok(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_shown_as_a_shopper_reads_it_and_is_exact() {
        for (lexeme, shown) in [
            ("6.0", "6"),
            ("6", "6"),
            ("2.130", "2.13"),
            ("1e-05", "0.00001"),
            ("1.5E3", "1500"),
            ("100", "100"),
            ("-0.0", "0"),
            ("-12.50", "-12.5"),
            ("9007199254740993", "9007199254740993"),
            ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
            ("1e400", "1e400"),
        ] {
            assert_eq!(plain(lexeme), shown, "{lexeme}");
        }
    }

    #[test]
    fn an_amount_is_exact_or_told_what_is_wrong() {
        for (text, places, mark, units) in [
            ("19.99", 2, '.', 1_999),
            ("19,9", 2, ',', 1_990),
            ("0.29", 2, '.', 29),
            ("1.005", 3, '.', 1_005),
            ("1980", 0, '.', 1_980),
            ("1980.00", 0, '.', 1_980),
            (".5", 2, '.', 50),
            ("-3", 2, '.', -300),
            ("1e2", 0, '.', 100),
            ("92233720368547758.07", 2, '.', i64::MAX),
        ] {
            assert_eq!(minor_units(text, places, mark), Ok(units), "{text}");
        }
        for (text, places, said) in [
            ("19.999", 2, "more than 2 decimal places"),
            ("19.99", 0, "whole number"),
            ("1,299.00", 2, "nothing else"),
            ("€ 5", 2, "nothing else"),
            ("", 2, "nothing else"),
            ("92233720368547758.08", 2, "too large"),
            ("1e900", 2, "too large"),
        ] {
            let error = minor_units(text, places, '.').expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn cents_written_as_decimals_are_the_same_cents(units in 0_i64..i64::MAX) {
            let text = format!("{}.{:02}", units / 100, units % 100);
            prop_assert_eq!(minor_units(&text, 2, '.'), Ok(units));
            prop_assert_eq!(minor_units(&units.to_string(), 0, '.'), Ok(units));
        }

        #[test]
        fn a_float_is_shown_as_the_standard_library_shows_it(n in -1e9_f64..1e9) {
            let shown = plain(&serde_json::to_string(&n).expect("finite"));
            prop_assert_eq!(shown, if n == 0.0 { "0".to_owned() } else { n.to_string() });
        }
    }
}
