//! Texts without their markup: tags are no words, and `&nbsp;` is a blank.

use std::borrow::Cow;

use html5gum::{Token, Tokenizer};

/// Elements within a word or line: taking them out parts nothing.
const INLINE: [&[u8]; 16] =
    [b"a", b"abbr", b"b", b"bdi", b"bdo", b"em", b"font", b"i", b"mark", b"s", b"small", b"span", b"strong", b"sub", b"u", b"wbr"];
/// Elements whose content nobody reads.
const UNSEEN: [&[u8]; 3] = [b"script", b"style", b"template"];

/// A text as a browser would show it. Most have no markup and are given back as they are.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '&']) {
        return text.into();
    }
    // A tag that never ends is none: `width < height`, `a<b`.
    let (marked, rest) = text.split_at(text.rfind('>').map_or(0, |at| at + 1));
    let mut out = String::with_capacity(text.len());
    let mut unseen = false;
    for token in Tokenizer::new(marked).flatten() {
        match token {
            Token::String(_) if unseen => {}
            Token::String(text) => out.push_str(&String::from_utf8_lossy(&text)),
            Token::StartTag(tag) => {
                unseen = UNSEEN.contains(&&**tag.name) && !tag.self_closing;
                part(&tag.name, &mut out);
            }
            Token::EndTag(tag) => {
                unseen = false;
                part(&tag.name, &mut out);
            }
            _ => {}
        }
    }
    for token in Tokenizer::new(rest.replace('<', "&lt;").as_str()).flatten() {
        if let Token::String(text) = token {
            out.push_str(&String::from_utf8_lossy(&text));
        }
    }
    out.into()
}

fn part(element: &[u8], out: &mut String) {
    if !INLINE.contains(&element) {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_no_words_and_references_are_characters() {
        let words = |text: &str| plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
        for (text, expected) in [
            ("Lamp<br>red<br/>warm", "Lamp red warm"),
            ("<ul class=\"big list\"><li>one<li>two</ul>", "one two"),
            ("<b>Smart</b>watch", "Smartwatch"),
            ("2&nbsp;GB &amp; more &#x41;&Uuml;", "2 GB & more AÜ"),
            ("<a href=\"https://example.org/hidden\">shown</a>", "shown"),
            ("<style>.x{}</style><script>var hidden;</script>shown<!-- hidden -->", "shown"),
            ("5 < 6 and a<b and AT&T", "5 < 6 and a<b and AT&T"),
            ("<p title='a>b'>text</p>", "text"),
            ("plain", "plain"),
            ("", ""),
            ("<", "<"),
            ("&lt;b&gt;", "<b>"),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
