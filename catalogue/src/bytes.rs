//! The bytes of a file as UTF-8: unpacked, without a byte-order mark, from UTF-16 where it is that.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Error, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::FileError;

/// Longest row that is looked at, in bytes; a longer one is a bad row.
pub const MAX_ROW: usize = 4 << 20;
/// So much of a file is looked at to tell what it is, in bytes.
const HEAD: usize = 64 << 10;

/// Files that are no text, by their first bytes, and the remedy.
const OTHERS: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a zip archive or a spreadsheet (.xlsx, .ods): unpack it, or save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls): save it as CSV in UTF-8"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd: unpack it with `zstd -d`"),
    (b"BZh", "packed by bzip2: unpack it with `bunzip2`"),
    (b"\xfd7zXZ", "packed by xz: unpack it with `unxz`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"PAR1", "a Parquet file: export it as CSV or JSON Lines"),
    (b"SQLite format 3", "a SQLite database: export the table as CSV"),
    (b"%PDF", "a PDF: export the data as CSV or JSON Lines"),
    (b"\xff\xfe\x00\x00", "UTF-32: convert it with `iconv -f UTF-32 -t UTF-8`"),
    (b"\x00\x00\xfe\xff", "UTF-32: convert it with `iconv -f UTF-32 -t UTF-8`"),
    (b"<", "XML or HTML, which is not read: export it as CSV or JSON Lines"),
    (b"\x1f\x8b", "packed twice by gzip: unpack it once with `gunzip`"),
];

type Reader = Box<dyn Read + Send>;

/// A text whose beginning has been looked at.
pub(crate) struct Bytes {
    /// The beginning, at most [`HEAD`] bytes.
    pub(crate) head: Vec<u8>,
    /// From the first byte.
    pub(crate) reader: Box<dyn BufRead + Send>,
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

/// Opens a file, and tells how many bytes it has. `count` follows how far it was read.
///
/// # Errors
/// When it can't be opened, or is something that is not read.
pub(crate) fn open(path: &Path, count: Arc<AtomicU64>) -> Result<(Bytes, u64), FileError> {
    let name = path.display();
    let cannot = |error: Error| FileError(format!("{name} can't be read: {error}"));
    let file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if about.is_dir() {
        return Err(FileError(format!("{name} is a folder, no file")));
    }
    let bytes = text(Box::new(Counted { file, count })).map_err(|what| FileError(format!("{name} is {what}")))?;
    Ok((bytes, about.len()))
}

/// Unpacks and decodes. What the bytes are is told by themselves, whatever the file is called.
pub(crate) fn text(from: Reader) -> Result<Bytes, String> {
    let mut read = Peeked::new(from);
    if read.head.starts_with(&[0x1f, 0x8b]) {
        read = Peeked::new(Box::new(MultiGzDecoder::new(BufReader::with_capacity(HEAD, read))));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| read.head.starts_with(magic)) {
        return Err((*what).to_owned());
    }
    let marked = |mark: &[u8]| read.head.starts_with(mark);
    let wide = match read.head.get(..2) {
        _ if marked(&[0xff, 0xfe]) => Some((false, 2)),
        _ if marked(&[0xfe, 0xff]) => Some((true, 2)),
        // Without a mark: JSON and the heading of a table begin with ASCII.
        Some([first, 0]) if *first != 0 => Some((false, 0)),
        Some([0, second]) if *second != 0 => Some((true, 0)),
        _ => None,
    };
    let mark = wide.map_or(if marked(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 }, |(_, mark)| mark);
    read.head.drain(..mark);
    if let Some((big_endian, _)) = wide {
        read = Peeked::new(Box::new(Utf16::new(read, big_endian)));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| read.head.starts_with(magic)) {
        return Err((*what).to_owned());
    }
    Ok(Bytes { head: read.head.clone(), reader: Box::new(BufReader::with_capacity(HEAD, read)) })
}

/// A reader whose beginning is known before it is read.
struct Peeked {
    head: Vec<u8>,
    at: usize,
    /// The error that came in place of the rest.
    error: Option<Error>,
    rest: Reader,
}

impl Peeked {
    fn new(mut rest: Reader) -> Self {
        let mut head = Vec::new();
        let error = rest.by_ref().take(HEAD as u64).read_to_end(&mut head).err();
        Self { head, at: 0, error, rest }
    }
}

impl Read for Peeked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at < self.head.len() {
            let read = Cursor::new(&self.head[self.at..]).read(buffer)?;
            self.at += read;
            return Ok(read);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.rest.read(buffer),
        }
    }
}

/// UTF-16 as UTF-8. Half a surrogate pair comes out as the three bytes that it would have, which are no UTF-8: so its row is
/// a bad one, and only that.
struct Utf16<R> {
    from: R,
    big_endian: bool,
    /// Bytes that are no whole unit yet.
    odd: Option<u8>,
    /// The first half of a pair.
    high: Option<u16>,
    out: Vec<u8>,
    at: usize,
}

impl<R: Read> Utf16<R> {
    fn new(from: R, big_endian: bool) -> Self {
        Self { from, big_endian, odd: None, high: None, out: Vec::new(), at: 0 }
    }

    fn unit(&mut self, unit: u16) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
                self.char(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (high, _) => {
                if let Some(high) = high {
                    self.half(high);
                }
                match unit {
                    0xd800..=0xdbff => self.high = Some(unit),
                    0xdc00..=0xdfff => self.half(unit),
                    _ => self.char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
        }
    }

    fn char(&mut self, c: char) {
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn half(&mut self, unit: u16) {
        let [high, low] = [(unit >> 6 & 0x3f) as u8, (unit & 0x3f) as u8];
        self.out.extend_from_slice(&[0xed, 0x80 | high, 0x80 | low]);
    }

    /// Decodes what comes next; nothing when there is nothing left.
    fn fill(&mut self) -> std::io::Result<()> {
        let mut bytes = [0; 8192];
        (self.at, self.out) = (0, Vec::new());
        while self.out.is_empty() {
            let read = self.from.read(&mut bytes)?;
            for byte in &bytes[..read] {
                match self.odd.take() {
                    None => self.odd = Some(*byte),
                    Some(first) => {
                        let pair = [first, *byte];
                        self.unit(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
                    }
                }
            }
            if read == 0 {
                // Half a pair or half a unit at the very end.
                if let Some(high) = self.high.take() {
                    self.half(high);
                }
                if self.odd.take().is_some() {
                    self.out.push(0xff);
                }
                break;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.out.len() {
            self.fill()?;
        }
        let read = Cursor::new(&self.out[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// A row's bytes as text.
///
/// # Errors
/// The encoding that they seem to have, and the remedy.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        match bytes[at..] {
            [0xed, 0xa0..=0xbf, ..] => format!("holds half of a UTF-16 pair after {at} bytes: the text was cut within a character"),
            [byte @ 0xa0..=0xff, ..] => format!(
                "is no UTF-8: byte 0x{byte:02X} after {at} bytes, which would be {:?} in Latin-1 or Windows-1252. Convert the file: \
                 iconv -f WINDOWS-1252 -t UTF-8",
                char::from(byte)
            ),
            [byte, ..] => format!("is no UTF-8: byte 0x{byte:02X} after {at} bytes. Convert the file: iconv -f WINDOWS-1252 -t UTF-8"),
            [] => "is no UTF-8".to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        text(Box::new(Cursor::new(bytes.to_vec())))?.reader.read_to_end(&mut all).map_err(|e| e.to_string())?;
        Ok(all)
    }

    fn wide(text: &str, mark: bool, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.then_some(0xfeff).into_iter().chain(text.encode_utf16()).flat_map(unit).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("memory");
        packer.finish().expect("memory")
    }

    #[test]
    fn a_text_is_the_same_with_a_mark_in_utf_16_and_packed() {
        // Longer than what is looked at, and than what is decoded at once.
        let text = format!("{{\"title\":\"{}\"}}\n", "Ünïcode 🛒 ".repeat(20_000));
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let forms = [
            text.clone().into_bytes(),
            marked.clone(),
            wide(&text, true, u16::to_le_bytes),
            wide(&text, true, u16::to_be_bytes),
            wide(&text, false, u16::to_le_bytes),
            wide(&text, false, u16::to_be_bytes),
        ];
        for form in forms {
            assert!(read(&form).expect("text") == text.as_bytes());
            assert!(read(&packed(&form)).expect("text") == text.as_bytes());
        }
        // A mark within the text is a character like any other, and two gzip members are one text.
        assert!(read(&[marked.clone(), marked.clone()].concat()).expect("text").len() == 2 * text.len() + 3);
        assert!(read(&[packed(text.as_bytes()), packed(b"x")].concat()).expect("text").len() == text.len() + 1);
    }

    #[test]
    fn half_a_pair_spoils_its_own_row_alone() {
        let mut units: Vec<u16> = "a".encode_utf16().collect();
        units.extend([0xd83d, b'\n'.into(), 0xdc00, b'\n'.into()]);
        units.extend("b🛒".encode_utf16());
        let bytes: Vec<u8> = [0xfeff].into_iter().chain(units).flat_map(u16::to_le_bytes).collect();
        let read = read(&bytes).expect("text");
        let lines: Vec<_> = read.split(|b| *b == b'\n').map(utf8).collect();
        assert!(lines[0].as_ref().is_err_and(|e| e.contains("UTF-16 pair")) && lines[1].is_err(), "{lines:?}");
        assert_eq!(lines[2], Ok("b🛒"));
    }

    #[test]
    fn what_is_no_text_is_named_with_the_remedy() {
        for (bytes, said) in [
            (&b"PK\x03\x04xl/worksheets"[..], "save the sheet as CSV"),
            (b"\x28\xb5\x2f\xfd....", "zstd -d"),
            (b"PAR1....", "Parquet"),
            (b"<?xml version=\"1.0\"?><products/>", "XML"),
            (b"\xef\xbb\xbf<html>", "HTML"),
            (b"\xff\xfe\x00\x00{\x00\x00\x00", "UTF-32"),
        ] {
            assert!(read(bytes).expect_err(said).contains(said), "{said}");
            assert!(read(&packed(bytes)).expect_err(said).contains(said), "{said}, packed");
        }
        assert!(read(&packed(&packed(b"{}"))).expect_err("twice").contains("twice"));
        let error = utf8(b"{\"title\":\"Caf\xe9\"}").expect_err("Latin-1");
        assert!(error.contains("0xE9") && error.contains("'é'") && error.contains("iconv"), "{error}");
        assert!(utf8(b"\x93quoted\x94").expect_err("Windows-1252").contains("iconv"));
    }
}
