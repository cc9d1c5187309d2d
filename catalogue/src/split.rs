//! A JSON array, or objects one after the other, cut into rows as it is read: never more than a row is in memory, and a row
//! with a fault costs as few others as can be.

use std::io::BufRead;

use crate::bytes::MAX_ROW;
use crate::json::unreadable;

/// The values of an array or of a sequence.
pub(crate) struct Values {
    reader: Box<dyn BufRead + Send>,
    /// Of the next byte, from 1.
    line: u64,
    /// Blanks before the first other byte of this line.
    indent: usize,
    /// Nothing but blanks so far on this line.
    at_line_start: bool,
    array: Array,
    /// Whether a line that begins like a row is one, also where the row before is not finished. It is not known before the
    /// first row has shown how the file is laid out: `{` and what is within it, all at the same indentation, tell nothing.
    restarts: Option<bool>,
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Array {
    /// Objects one after the other.
    None,
    /// `[` is still to come.
    Before,
    Within,
    /// `]` has come.
    Behind,
}

/// The line where a value begins, from 1, and its bytes or why there are none.
type Numbered = (u64, Result<Vec<u8>, String>);

/// The part of one value that has been read.
#[derive(Default)]
struct Value {
    bytes: Vec<u8>,
    too_long: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Value {
    fn push(&mut self, byte: u8) {
        if self.bytes.len() < MAX_ROW {
            self.bytes.push(byte)
        } else {
            self.too_long = true
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                // JSON has no line breaks within texts: a quotation mark is missing, and the row is bad.
                b'"' | b'\n' => self.in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }
}

impl Values {
    /// Of an array, or of objects one after the other.
    pub(crate) fn new(reader: Box<dyn BufRead + Send>, array: bool) -> Self {
        let array = if array { Array::Before } else { Array::None };
        Self { reader, line: 1, indent: 0, at_line_start: true, array, restarts: None, over: false }
    }

    fn peek(&mut self) -> std::io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    fn take(&mut self, byte: u8) {
        self.reader.consume(1);
        match byte {
            b'\n' => {
                self.line += 1;
                self.indent = 0;
                self.at_line_start = true;
            }
            b' ' | b'\t' | b'\r' => self.indent += usize::from(self.at_line_start),
            _ => self.at_line_start = false,
        }
    }

    /// The next value; none at the end.
    fn read(&mut self) -> std::io::Result<Option<Numbered>> {
        loop {
            let Some(byte) = self.peek()? else {
                self.over = true;
                let cut_off = "the list is not closed by `]`: the file seems to be cut off here".to_owned();
                return Ok(matches!(self.array, Array::Within).then_some((self.line, Err(cut_off))));
            };
            match (byte, self.array) {
                (b' ' | b'\t' | b'\r' | b'\n', _) | (b',', Array::None | Array::Within) => self.take(byte),
                (b'[', Array::Before) => {
                    self.take(byte);
                    self.array = Array::Within;
                }
                (b']', Array::Within) => {
                    self.take(byte);
                    self.array = Array::Behind;
                }
                (_, Array::Behind) => {
                    self.over = true;
                    let behind = "something stands behind the list's end, and is not read: several lists are several files".to_owned();
                    return Ok(Some((self.line, Err(behind))));
                }
                _ => return self.value().map(Some),
            }
        }
    }

    fn value(&mut self) -> std::io::Result<Numbered> {
        let (line, indent) = (self.line, self.indent);
        let mut value = Value::default();
        while let Some(byte) = self.peek()? {
            let row_begins = byte == b'{' && self.line > line && self.at_line_start && self.indent == indent && !value.in_string;
            if row_begins && self.restarts == Some(true) {
                break;
            }
            if self.restarts.is_none() && self.line > line && self.at_line_start && !byte.is_ascii_whitespace() {
                let first_line = value.bytes.split(|b| *b == b'\n').next().unwrap_or_default();
                self.restarts = Some(self.indent > indent || first_line.trim_ascii().len() > 1);
                continue;
            }
            // A value that is neither object nor list ends where the next begins.
            if value.depth == 0 && !value.bytes.is_empty() && !value.in_string && matches!(byte, b',' | b'\n' | b']') {
                break;
            }
            self.take(byte);
            value.push(byte);
            if value.depth == 0 && matches!(byte, b'}' | b']') {
                break;
            }
        }
        self.restarts.get_or_insert(true);
        Ok((
            line,
            if value.too_long { Err(format!("longer than {MAX_ROW} bytes, or its last bracket is missing")) } else { Ok(value.bytes) },
        ))
    }
}

impl Iterator for Values {
    type Item = Numbered;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        self.read().unwrap_or_else(|error| {
            self.over = true;
            Some((self.line, Err(unreadable(&error))))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn read(text: &str, array: bool) -> Vec<(u64, Result<String, String>)> {
        let values = Values::new(Box::new(BufReader::with_capacity(7, Cursor::new(text.to_owned().into_bytes()))), array);
        values.map(|(n, v)| (n, v.map(|v| String::from_utf8(v).expect("text").split_whitespace().collect()))).collect()
    }

    fn rows(text: &str, array: bool) -> Vec<(u64, String)> {
        read(text, array).into_iter().map(|(n, v)| (n, v.expect("a value"))).collect()
    }

    fn at(rows: &[(u64, &str)]) -> Vec<(u64, String)> {
        rows.iter().map(|(n, v)| (*n, (*v).to_owned())).collect()
    }

    #[test]
    fn arrays_and_sequences_are_cut_into_their_values() {
        let expected = at(&[(1, r#"{"a":"}]\""}"#), (1, r#"{"b":[{},{}]}"#)]);
        assert_eq!(rows(r#"[{"a":"}]\""},{"b":[{},{}]}]"#, true), expected);
        assert_eq!(rows(r#"{"a":"}]\""}{"b":[{},{}]}"#, false), expected);
        let pretty = "[\n  {\n    \"a\": {\n      \"b\": 1\n    }\n  },\n  {\n    \"c\": 2\n  },\n  7,\n  \"x,y\",\n  []\n]\n";
        let expected = at(&[(2, r#"{"a":{"b":1}}"#), (7, r#"{"c":2}"#), (10, "7"), (11, "\"x,y\""), (12, "[]")]);
        assert_eq!(rows(pretty, true), expected);
        assert_eq!(rows("{\n\"a\":\n{\n\"b\": 1\n}\n}\n{\n\"a\": 2\n}\n", false), at(&[(1, r#"{"a":{"b":1}}"#), (7, r#"{"a":2}"#)]));
        assert_eq!(rows("{\"a\":1}\r\n\r\n{\"b\":1}\rgarbage\n{\"c\":1}", false).len(), 4);
        assert_eq!(rows("[]", true), []);
    }

    #[test]
    fn a_row_without_its_last_bracket_costs_no_other() {
        let pretty = "[\n  {\n    \"a\": 1\n  },\n  {\n    \"b\": [\n  },\n  {\n    \"c\": \"x\n  },\n  {\n    \"d\": 1\n  }\n]\n";
        let lines: Vec<u64> = rows(pretty, true).into_iter().map(|(n, _)| n).collect();
        assert_eq!(lines, [2, 5, 8, 11], "{:?}", rows(pretty, true));
        let sequence = "{\"a\": {\n{\"b\": 1}\n{\"c\": 1}\n";
        assert_eq!(rows(sequence, false).len(), 3, "{:?}", rows(sequence, false));
    }

    #[test]
    fn a_list_that_is_cut_off_or_goes_on_behind_its_end_says_so() {
        let cut = read("[{\"a\":1},\n{\"b\":1}", true);
        assert!(cut.len() == 3 && cut[2].1.as_ref().is_err_and(|e| e.contains("cut off")), "{cut:?}");
        let behind = read("[{\"a\":1}]\n[{\"b\":1}]", true);
        assert!(behind.len() == 2 && behind[1].1.as_ref().is_err_and(|e| e.contains("behind")), "{behind:?}");
    }

    #[test]
    fn a_value_without_end_costs_no_memory() {
        let text = format!("[{{\"a\":\"{}\"}},{{\"b\":1}}]", "x".repeat(3 * MAX_ROW));
        let values = Values::new(Box::new(BufReader::new(Cursor::new(text.into_bytes()))), true);
        let values: Vec<_> = values.collect();
        assert!(values.len() == 2 && values[0].1.is_err() && values[1].1.is_ok());
    }
}
