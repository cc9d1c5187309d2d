//! Lists, media types and parameters in header fields (RFC 9110, 5.6 and 8.3.1). All of it is borrowed from the field.

/// The elements of a list. A comma within a quoted string is part of its element; empty elements are left out.
pub(crate) struct Elements<'a>(&'a str);

impl<'a> Elements<'a> {
    pub(crate) fn of(field: &'a str) -> Self {
        Self(field)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.0.is_empty() {
            let end = unquoted(self.0, b',').unwrap_or(self.0.len());
            let element = trim(&self.0[..end]);
            self.0 = self.0.get(end + 1..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The first place of a character outside quoted strings.
fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == wanted && !quoted
    })
}

/// Without the blanks that may stand around it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A media type or a media range. Names compare without case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media<'a> {
    pub(crate) top: &'a str,
    pub(crate) sub: &'a str,
    parameters: &'a str,
}

impl<'a> Media<'a> {
    /// None: it is no `type/subtype`.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (name, parameters) = text.find(';').map_or((text, ""), |at| text.split_at(at));
        let (top, sub) = trim(name).split_once('/')?;
        (is_token(top) && is_token(sub)).then_some(Self { top, sub, parameters })
    }

    pub(crate) fn is(&self, top: &str, sub: &str) -> bool {
        self.top.eq_ignore_ascii_case(top) && self.sub.eq_ignore_ascii_case(sub)
    }

    /// Its parameters, in order; an error is one that can't be read.
    pub(crate) fn parameters(&self) -> Parameters<'a> {
        Parameters(self.parameters)
    }
}

/// The parameters of a media type: each behind a semicolon.
pub(crate) struct Parameters<'a>(&'a str);

/// One parameter that can't be read.
pub(crate) struct Unreadable;

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<(&'a str, Value<'a>), Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.0.strip_prefix(';') {
            let end = unquoted(rest, b';').unwrap_or(rest.len());
            let parameter = trim(&rest[..end]);
            self.0 = &rest[end..];
            if !parameter.is_empty() {
                let read = parameter.split_once('=').and_then(|(name, value)| Some((name, Value::read(value)?)));
                return Some(read.filter(|(name, _)| is_token(name)).ok_or(Unreadable));
            }
        }
        None
    }
}

/// A parameter's value: a token, or a quoted string.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Token(&'a str),
    /// The text between the quotes; a backslash makes the next character stand for itself.
    Quoted(&'a str),
}

impl<'a> Value<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let Some(rest) = text.strip_prefix('"') else { return is_token(text).then_some(Self::Token(text)) };
        let (mut escaped, mut end) = (false, None);
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
        }
        // Nothing stands behind the closing quote.
        end.filter(|end| end + 1 == rest.len()).map(|end| Self::Quoted(&rest[..end]))
    }

    /// Whether it is this text, without case.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Self::Token(token) => token.eq_ignore_ascii_case(text),
            Self::Quoted(quoted) => {
                let mut escaped = false;
                let plain = quoted.chars().filter(|c| {
                    escaped = *c == '\\' && !escaped;
                    !escaped
                });
                plain.map(|c| c.to_ascii_lowercase()).eq(text.chars().map(|c| c.to_ascii_lowercase()))
            }
        }
    }

    /// A token; none where it is quoted.
    pub(crate) fn token(&self) -> Option<&'a str> {
        match self {
            Self::Token(token) => Some(token),
            Self::Quoted(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_semicolons_within_quoted_strings_are_no_separators() {
        let field = "a/b;x=\"1,2;\\\",\" , ,c/d\t,, e/f;y=\"\";Z=\"\\a\"";
        let elements: Vec<&str> = Elements::of(field).collect();
        assert_eq!(elements, ["a/b;x=\"1,2;\\\",\"", "c/d", "e/f;y=\"\";Z=\"\\a\""]);
        let media = Media::read(elements[0]).expect("a media type");
        let parameters: Vec<_> = media.parameters().map(|p| p.ok().map(|(name, value)| (name, value.is("1,2;\",")))).collect();
        assert_eq!((media.is("A", "B"), parameters), (true, vec![Some(("x", true))]));
        let last: Vec<_> = Media::read(elements[2]).expect("a media type").parameters().map(|p| p.ok().map(|(name, _)| name)).collect();
        assert_eq!(last, [Some("y"), Some("Z")]);
    }

    #[test]
    fn what_is_no_media_type_or_no_parameter_is_seen() {
        for bad in ["", "a", "a/", "/b", "a/b/c", "a b/c", "a/b c", "\"a/b\"", "ä/b"] {
            assert!(Media::read(bad).is_none(), "{bad:?}");
        }
        for bad in ["a/b;x", "a/b;x=", "a/b;=1", "a/b;x=\"1", "a/b;x=\"1\"2", "a/b;x = 1", "a/b;x=1 2"] {
            assert!(Media::read(bad).is_some_and(|media| media.parameters().any(|p| p.is_err())), "{bad:?}");
        }
        assert_eq!(Media::read("a/b ; ; x=1;").map(|m| m.parameters().filter(Result::is_ok).count()), Some(1));
    }
}
