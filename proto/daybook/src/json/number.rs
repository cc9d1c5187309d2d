//! Whole numbers as JSON writes them, read exactly: not by way of a float, which has no place for the last digits of a large one.

/// Why a text is no whole number that could fit into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoWhole;

/// Most digits of a number that is worked out: more than any field holds.
const MAX_DIGITS: i64 = 38;

/// The number that a text of JSON's own grammar (RFC 8259, section 6) says, where it is whole: `7`, `7.0`, `70e-1`, `0.7E+1`.
pub(super) fn whole(text: &str) -> Result<i128, NoWhole> {
    let (minus, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (integer, rest) = digits(rest);
    if integer.is_empty() || integer.len() > 1 && integer.starts_with('0') {
        return Err(NoWhole);
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("0", rest),
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        Some(rest) => exponent(rest)?,
        None if rest.is_empty() => 0,
        None => return Err(NoWhole),
    };
    if fraction.is_empty() {
        return Err(NoWhole);
    }
    let all = [integer, fraction].concat();
    let significant = all.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // The number of significant digits before the point.
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let before = (length(integer) - (length(&all) - length(significant))).saturating_add(exponent);
    let significant = significant.trim_end_matches('0');
    let zeros = before.saturating_sub(length(significant));
    if zeros < 0 || before > MAX_DIGITS {
        return Err(NoWhole);
    }
    let value: i128 = significant.parse().map_err(|_| NoWhole)?;
    let value = value * 10_i128.pow(u32::try_from(zeros).map_err(|_| NoWhole)?);
    Ok(if minus { -value } else { value })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

fn exponent(text: &str) -> Result<i64, NoWhole> {
    let (minus, text) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoWhole);
    }
    // One that is longer than a body can be is as good as any that long.
    let value = text.bytes().fold(0_i64, |value, b| value.saturating_mul(10).saturating_add(i64::from(b - b'0')).min(i64::MAX / 4));
    Ok(if minus { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_point_and_an_exponent() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0.000", 0),
            ("0e99999999999999999999", 0),
            ("7", 7),
            ("-7.000", -7),
            ("1e2", 100),
            ("1E+2", 100),
            ("100e-2", 1),
            ("2.147483647e9", 2_147_483_647),
            ("0.0025e4", 25),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX.into()),
            ("-9.223372036854775808e18", i64::MIN.into()),
            ("18446744073709551616", i128::from(u64::MAX) + 1),
        ] {
            assert_eq!(whole(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_not_a_number_or_without_end_is_none() {
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-01",
            "00",
            ".5",
            "5.",
            "1.e2",
            "1e",
            "1e+",
            "1e1.5",
            "0.5",
            "1e-1",
            "12abc",
            "1 2",
            " 1",
            "1 ",
            "1,2",
            "0x10",
            "1_0",
            "NaN",
            "Infinity",
            "٣",
            "1e536870000",
            "1e39",
            "-1e99999999999999999999",
            "1e-99999999999999999999",
            "--1",
        ] {
            assert_eq!(whole(text), Err(NoWhole), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn a_number_is_read_as_it_was_meant_wherever_its_point_stands(value in any::<i64>(), moved in 0..25_usize) {
            prop_assert_eq!(whole(&value.to_string()), Ok(value.into()));
            let digits = format!("{:026}", value.unsigned_abs());
            let (before, behind) = digits.split_at(digits.len() - moved);
            let before = before.trim_start_matches('0');
            let text = format!("{}{}.{}0e{moved}", if value < 0 { "-" } else { "" }, if before.is_empty() { "0" } else { before }, behind);
            prop_assert_eq!(whole(&text), Ok(value.into()), "{}", text);
        }

        #[test]
        fn any_text_is_a_number_or_none(text in "[-+0-9.eE ]{0,12}|\\PC{0,8}") {
            if whole(&text).is_ok() {
                prop_assert!(serde_json::from_str::<f64>(&text).is_ok(), "{}", text);
            }
        }
    }
}
