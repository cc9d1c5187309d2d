//! JSON Lines: a row a line, and a bad line spoils no other.

use std::io::{BufRead, Read as _};

use crate::bytes::MAX_ROW;

/// The lines of a file.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    over: bool,
}

impl Lines {
    pub(crate) fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self { reader, number: 0, over: false }
    }

    fn read(&mut self) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_ROW as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.len() > MAX_ROW && line.last() != Some(&b'\n') {
            self.skip_line()?;
            return Ok(Some(Err(format!("longer than {MAX_ROW} bytes"))));
        }
        Ok(Some(Ok(line)))
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let (consumed, found) = match buffer.iter().position(|b| *b == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.reader.consume(consumed);
            if found {
                return Ok(());
            }
        }
    }
}

impl Iterator for Lines {
    /// The line's number, from 1, and its bytes or why there are none. Empty lines are passed over.
    type Item = (u64, Result<Vec<u8>, String>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            self.number += 1;
            match self.read() {
                Ok(None) => self.over = true,
                Ok(Some(Ok(line))) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) => return Some((self.number, line)),
                Err(error) => {
                    // A file that was cut off: what came before it counts, nothing comes after it.
                    self.over = true;
                    return Some((self.number, Err(unreadable(&error))));
                }
            }
        }
        None
    }
}

/// In place of a row, where the file can't be read on.
pub(crate) fn unreadable(error: &std::io::Error) -> String {
    format!("the file can't be read from here on, what follows is not loaded: {error}")
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn read(bytes: impl Into<Vec<u8>>) -> Vec<(u64, Result<String, String>)> {
        let lines = Lines::new(Box::new(BufReader::new(Cursor::new(bytes.into()))));
        lines.map(|(n, l)| (n, l.map(|l| String::from_utf8_lossy(l.trim_ascii()).into_owned()))).collect()
    }

    #[test]
    fn lines_have_their_number_in_the_file_and_empty_ones_are_passed_over() {
        assert_eq!(read(*b"a\n\n  \r\nb\r\nc"), [(1, Ok("a".into())), (4, Ok("b".into())), (5, Ok("c".into()))]);
        assert_eq!(read([]), []);
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_the_next_is_read() {
        let mut bytes = vec![b'x'; 3 * MAX_ROW];
        bytes.extend_from_slice(b"\nb\n");
        let lines = read(bytes);
        assert!(lines[0].1.is_err());
        assert_eq!(lines[1], (2, Ok("b".into())));
    }
}
