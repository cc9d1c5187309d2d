//! Reading a catalogue file: line by line, unpacked on the way, never as a whole.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

/// Longest line that is looked at, in bytes; a longer one is a bad row.
pub(super) const MAX_LINE: usize = 4 << 20;

/// The lines of a file.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    over: bool,
}

/// Counts bytes of the file itself, so that progress is known without knowing the number of rows.
struct Counted {
    file: File,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Lines {
    /// Opens a file; one whose first two bytes are gzip's is unpacked, whatever its name. `count` follows how far it was read.
    ///
    /// # Errors
    /// When it can't be opened or read.
    pub(super) fn open(path: &Path, count: Arc<AtomicU64>) -> std::io::Result<(Self, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((Self::unpacked(Counted { file, count })?, length))
    }

    fn unpacked(from: impl Read + Send + 'static) -> std::io::Result<Self> {
        let mut packed = BufReader::with_capacity(64 << 10, from);
        let is_gzip = packed.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead + Send> =
            if is_gzip { Box::new(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(packed))) } else { Box::new(packed) };
        Ok(Self { reader, number: 0, over: false })
    }

    #[cfg(test)]
    pub(super) fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self::unpacked(std::io::Cursor::new(bytes.into())).expect("memory can be read")
    }

    fn read(&mut self) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
            self.skip_line()?;
            return Ok(Some(Err(format!("longer than {MAX_LINE} bytes"))));
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
                    return Some((self.number, Err(format!("the file can't be read from here on: {error}"))));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(lines: Lines) -> Vec<(u64, Result<String, String>)> {
        lines.map(|(n, l)| (n, l.map(|l| String::from_utf8_lossy(l.trim_ascii()).into_owned()))).collect()
    }

    #[test]
    fn lines_have_their_number_in_the_file_and_empty_ones_are_passed_over() {
        assert_eq!(read(Lines::of(*b"a\n\n  \r\nb\r\nc")), [(1, Ok("a".into())), (4, Ok("b".into())), (5, Ok("c".into()))]);
        assert_eq!(read(Lines::of([])), []);
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_the_next_is_read() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE];
        bytes.extend_from_slice(b"\nb\n");
        let lines = read(Lines::of(bytes));
        assert!(lines[0].1.is_err());
        assert_eq!(lines[1], (2, Ok("b".into())));
    }

    #[test]
    fn a_packed_file_is_unpacked_and_one_that_was_cut_off_says_where() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        for i in 0..20_000 {
            writeln!(packed, "{{\"id\":{}}}", i * 7919 % 20_011).expect("memory");
        }
        let packed = packed.finish().expect("memory");
        let path = std::env::temp_dir().join(format!("daybook-load-{}", std::process::id()));
        for (bytes, cut) in [(&packed[..], false), (&packed[..packed.len() / 2], true)] {
            std::fs::write(&path, bytes).expect("a temporary file");
            let count = Arc::new(AtomicU64::new(0));
            let (lines, length) = Lines::open(&path, count.clone()).expect("there");
            let lines = read(lines);
            assert_eq!(length, bytes.len() as u64);
            let last = lines.last().expect("some");
            assert_eq!(last.1.is_err(), cut, "{last:?}");
            assert_eq!(lines.len() == 20_000, !cut);
            assert_eq!(count.load(Ordering::Relaxed), length);
        }
        std::fs::remove_file(&path).expect("it was written");
    }
}
