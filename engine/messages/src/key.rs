//! The idempotency key, as a client writes it: one rule for the header `Idempotency-Key` and for `ce_id` on Kafka.

/// Most characters of a key.
const MAX_KEY: usize = 255;

/// Reads a key. Blanks around it are no part of it, and neither is one pair of double quotes: the IETF's draft of the header
/// has a quoted text, where a backslash stands before a quote or another backslash (RFC 9651, 3.3.3). What is inside the
/// quotes is the key, its blanks too. Case counts, and nothing else is unescaped or composed: a key is not for people.
///
/// # Errors
/// The rule for a key, for people.
pub fn idempotency_key(text: &str) -> Result<String, String> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None if text.ends_with('"') => return Err("ends with a double quote, but does not begin with one".to_owned()),
        None => text.to_owned(),
    };
    if !(1..=MAX_KEY).contains(&key.chars().count()) || key.chars().any(char::is_control) {
        return Err(format!("must be 1 to {MAX_KEY} printable characters"));
    }
    Ok(key)
}

/// The text behind the opening quote, without its escapes and the closing one.
fn unquoted(rest: &str) -> Result<String, String> {
    let mut key = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.as_str().is_empty() => return Ok(key),
            '"' => return Err("has a double quote inside double quotes: a backslash must stand before it".to_owned()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => key.push(c),
                _ => return Err(r#"has a backslash inside double quotes that stands before neither " nor \"#.to_owned()),
            },
            c => key.push(c),
        }
    }
    Err("begins with a double quote, but does not end with one".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_the_same_with_quotes_and_without_and_whatever_blanks_stand_around_it() {
        for (written, key) in [
            ("abc", "abc"),
            ("\"abc\"", "abc"),
            (" abc\t", "abc"),
            ("  \"abc\"  ", "abc"),
            ("\u{a0}abc\u{3000}", "abc"),
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            // Inside, blanks are part of it.
            ("a b", "a b"),
            ("\"a b\"", "a b"),
            ("\" abc \"", " abc "),
            // Escapes stand in quotes only.
            (r#""a\"b""#, r#"a"b"#),
            (r#"a"b"#, r#"a"b"#),
            (r#""a\\b""#, r"a\b"),
            (r"a\b", r"a\b"),
            (r#""\"\"""#, r#""""#),
            // Case counts; nothing is decoded or composed.
            ("ABC", "ABC"),
            ("%61bc", "%61bc"),
            ("%22abc%22", "%22abc%22"),
            ("'abc'", "'abc'"),
            (":YWJj:", ":YWJj:"),
            ("ключ", "ключ"),
            ("\"ключ\"", "ключ"),
            ("e\u{301}", "e\u{301}"),
        ] {
            assert_eq!(idempotency_key(written).as_deref(), Ok(key), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        for (written, why) in [
            ("", "1 to 255"),
            (" \t ", "1 to 255"),
            ("\"\"", "1 to 255"),
            (" \"\" ", "1 to 255"),
            ("a\u{7}b", "printable"),
            ("\"a\nb\"", "printable"),
            ("\"", "does not end"),
            ("\"abc", "does not end"),
            ("abc\"", "does not begin"),
            (r#""abc\""#, "does not end"),
            (r#""a"b""#, "inside double quotes"),
            ("\"\"abc\"\"", "inside double quotes"),
            ("\"abc\" \"def\"", "inside double quotes"),
            ("\"abc\"; v=1", "inside double quotes"),
            (r#""a\b""#, "backslash"),
            (r#""abc\"#, "backslash"),
        ] {
            let told = idempotency_key(written).expect_err(written);
            assert!(told.contains(why), "{written:?}: {told}");
        }
    }

    #[test]
    fn a_length_is_counted_without_quotes_escapes_and_blanks() {
        let long = "ß".repeat(255);
        for written in [long.clone(), format!("\"{long}\""), format!("  {long}  "), format!("\"{}\"", r#"\""#.repeat(255))] {
            assert_eq!(idempotency_key(&written).map(|key| key.chars().count()), Ok(255), "{written}");
        }
        for written in ["k".repeat(256), format!("\"{}\"", "k".repeat(256))] {
            assert!(idempotency_key(&written).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Any key's quoted form is the same key.
        #[test]
        fn every_key_has_a_quoted_form_that_is_the_same_key(key in "[\\PC]{1,40}") {
            let quoted = format!(" \"{}\"\t", key.replace('\\', r"\\").replace('"', r#"\""#));
            prop_assert_eq!(idempotency_key(&quoted), Ok(key.clone()), "{}", quoted);
            let bare = key.trim();
            if !bare.is_empty() && !bare.starts_with('"') && !bare.ends_with('"') {
                prop_assert_eq!(idempotency_key(&key), Ok(bare.to_owned()));
            }
        }
    }
}
