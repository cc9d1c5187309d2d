//! The rows of a file, in whatever form it has them.

use crate::bytes::Bytes;
use crate::json::Lines;
use crate::row::Row;
use crate::split::Values;
use crate::table::Table;

/// The format of a file, where its mapping says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// It is worked out from the file.
    #[default]
    Any,
    /// Lines, an array, or objects one after the other.
    Json,
    /// With a heading.
    Csv,
}

/// The rows of a file.
pub(crate) enum Rows {
    Lines(Lines),
    Values(Values),
    Table(Box<Table>),
}

impl Rows {
    /// # Errors
    /// When the file is no table that can be read.
    pub(crate) fn new(bytes: Bytes, format: Format, delimiter: Option<u8>) -> Result<Self, String> {
        let first = bytes.head.trim_ascii_start().first();
        let is_json = matches!(first, Some(b'{' | b'[') | None);
        match format {
            Format::Any if is_json => Ok(Self::json(bytes)),
            Format::Json => Ok(Self::json(bytes)),
            Format::Any | Format::Csv => Table::new(bytes, delimiter).map(|table| Self::Table(Box::new(table))),
        }
    }

    fn json(bytes: Bytes) -> Self {
        match bytes.head.trim_ascii_start() {
            [b'[', ..] => Self::Values(Values::new(bytes.reader, true)),
            head if is_sequence(head) => Self::Values(Values::new(bytes.reader, false)),
            _ => Self::Lines(Lines::new(bytes.reader)),
        }
    }

    /// The columns, where they are known before the first row.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Table(table) => Some(table.columns()),
            Self::Lines(_) | Self::Values(_) => None,
        }
    }
}

impl Iterator for Rows {
    /// The line where it begins, from 1, and the row.
    type Item = (u64, Result<Row, String>);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, bytes) = match self {
            Self::Lines(lines) => lines.next()?,
            Self::Values(values) => values.next()?,
            Self::Table(table) => return table.next(),
        };
        Some((line, bytes.and_then(|bytes| Row::from_json(&bytes, line))))
    }
}

/// Whether objects stand one after the other over several lines, or several on one, where JSON Lines has one a line.
fn is_sequence(head: &[u8]) -> bool {
    let Some(end) = head.iter().position(|b| *b == b'\n') else { return ends_early(head) };
    let (first, rest) = head.split_at(end);
    match depth_at_end(first) {
        Some(_) => {
            // A first row that is only spoilt is followed by another that begins like one.
            let followed = rest.trim_ascii_start().starts_with(b"{") && first.trim_ascii().len() > 1;
            !followed
        }
        None => ends_early(first),
    }
}

/// The number of brackets that are open at the end of a line; none when it is balanced.
fn depth_at_end(line: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    walk(line, |byte| {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        true
    });
    (depth > 0).then_some(depth)
}

/// Whether another object follows the first on its line.
fn ends_early(line: &[u8]) -> bool {
    let (mut depth, mut ended, mut again) = (0_usize, false, false);
    walk(line, |byte| {
        match byte {
            b'{' if ended => again = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                ended = depth == 0;
            }
            _ => {}
        }
        !again
    });
    again
}

/// Shows each byte that stands in no text, as long as it is asked for.
fn walk(line: &[u8], mut each: impl FnMut(u8) -> bool) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            byte => {
                if !each(*byte) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, Result<Row, String>)> {
        let bytes = crate::bytes::text(Box::new(std::io::Cursor::new(text.to_owned().into_bytes()))).expect("text");
        Rows::new(bytes, Format::Any, None).expect("rows").collect()
    }

    fn good(text: &str) -> usize {
        let rows = rows(text);
        assert!(rows.iter().all(|(_, row)| row.is_ok()), "{rows:?}");
        rows.len()
    }

    #[test]
    fn the_form_is_told_by_the_file_itself() {
        let two = [
            "{\"a\":1}\n{\"a\":2}\n",
            "\n{\"a\":1}\r\n\r\n{\"a\":2}",
            "[{\"a\":1},{\"a\":2}]",
            "[\n{\"a\":1},\n{\"a\":2}\n]\n",
            "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n",
            "{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n",
            "{\"a\":1}{\"a\":2}",
            "{\"a\":1} {\"a\":2}\n",
            "{\"a\":1}\r{\"a\":2}\r",
            "{ \"a\": 1,\n  \"b\": {} }\n{ \"a\": 2,\n  \"b\": {} }\n",
            "a,b\n1,2\n3,4\n",
            "\"a\"\n1\n2\n",
            "a;b\r1;2\r3;4\r",
        ];
        for text in two {
            assert_eq!(good(text), 2, "{text:?}");
        }
        assert_eq!(good(""), 0);
        assert_eq!(good(" \n"), 0);
    }

    #[test]
    fn a_first_line_that_is_spoilt_costs_one_row() {
        for text in ["{\"a\":1\n{\"a\":2}\n{\"a\":3}\n", "{\"a\":1}}\n{\"a\":2}\n{\"a\":3}\n", "{\"a\":\"1\n{\"a\":2}\n{\"a\":3}\n"] {
            let rows = rows(text);
            let bad = rows.iter().filter(|(_, row)| row.is_err()).count();
            assert_eq!((rows.len() - bad, bad), (2, 1), "{text:?}: {rows:?}");
        }
    }
}
