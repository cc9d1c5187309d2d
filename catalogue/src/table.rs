//! CSV and TSV: a heading, and a row a record. Fields may be quoted, and then hold line breaks.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::bytes::{Bytes, MAX_ROW, utf8};
use crate::json::unreadable;
use crate::row::{Row, Value};

/// Characters that may stand between fields. Where a heading holds several, the one that it holds most often is taken.
const DELIMITERS: &[u8] = b"\t;,|";
/// The size of the reader's buffer, in bytes.
const BUFFER: usize = 64 << 10;

/// The records of a table.
pub(crate) struct Table {
    reader: Reader<Bounded>,
    left: Arc<AtomicUsize>,
    columns: Vec<String>,
    record: ByteRecord,
    /// Lines end with two characters.
    crlf: bool,
    over: bool,
}

/// A quotation mark that is not closed would have the rest of the file in memory. The last line ends as all others do.
struct Bounded {
    from: Box<dyn std::io::BufRead + Send>,
    last: u8,
    end: &'static [u8],
    /// So many bytes may be read before the record ends.
    left: Arc<AtomicUsize>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(std::io::Error::other(format!("a row is longer than {MAX_ROW} bytes: is a quotation mark not closed?")));
        }
        let most = buffer.len().min(left);
        let read = self.from.read(&mut buffer[..most])?;
        self.left.fetch_sub(read, Ordering::Relaxed);
        if let Some(last) = buffer[..read].last() {
            self.last = *last;
        } else if self.last != b'\n' && self.end.len() <= most {
            self.last = b'\n';
            buffer[..self.end.len()].copy_from_slice(self.end);
            return Ok(self.end.len());
        }
        Ok(read)
    }
}

impl Table {
    /// Reads the heading. The delimiter is worked out from it unless it is given.
    ///
    /// # Errors
    /// When it is no heading.
    pub(crate) fn new(bytes: Bytes, delimiter: Option<u8>) -> Result<Self, String> {
        let heading = heading(&bytes.head);
        let delimiter = delimiter.unwrap_or_else(|| worked_out(heading));
        let crlf = bytes.head[heading.len()..].starts_with(b"\r\n");
        let left = Arc::new(AtomicUsize::new(MAX_ROW + BUFFER));
        let bounded = Bounded { from: bytes.reader, last: b'\n', end: if crlf { b"\r\n" } else { b"\n" }, left: left.clone() };
        let mut reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).buffer_capacity(BUFFER).from_reader(bounded);
        let mut heading = ByteRecord::new();
        reader.read_byte_record(&mut heading).map_err(|error| fault(&error))?;
        let mut columns = Vec::with_capacity(heading.len());
        for (n, field) in heading.iter().enumerate() {
            let name = utf8(field).map_err(|what| format!("the heading {what}"))?.trim();
            let name = if name.is_empty() { format!("column {}", n + 1) } else { name.to_owned() };
            if columns.contains(&name) {
                return Err(format!("the heading has {name:?} twice: which one counts is not said"));
            }
            columns.push(name);
        }
        Ok(Self { reader, left, columns, record: ByteRecord::new(), crlf, over: false })
    }

    /// The heading's names.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Line breaks within the fields.
    fn breaks(&self) -> u64 {
        self.record.iter().map(|field| field.iter().filter(|b| **b == b'\n').count() as u64).sum()
    }

    /// The line where the record begins. The reader says where it went on, which is before the second half of a line's end and before
    /// empty lines; and where it ended.
    fn line(&self, went_on: u64) -> u64 {
        let behind = u64::from(!self.crlf);
        went_on.max(self.reader.position().line().saturating_sub(self.breaks() + behind))
    }

    fn row(&self) -> Result<Row, String> {
        let (has, needs) = (self.record.len(), self.columns.len());
        if has != needs {
            let hint = match self.breaks() {
                0 => String::new(),
                breaks => format!("; it goes over {} lines: is a quotation mark not closed?", breaks + 1),
            };
            return Err(format!("has {has} fields, the heading has {needs}{hint}"));
        }
        let value = |(name, field): (&String, &[u8])| {
            let text = utf8(field).map_err(|what| format!("{name:?} {what}"))?;
            Ok((name.clone(), if text.is_empty() { Value::Null } else { Value::Text(text.to_owned()) }))
        };
        Ok(Row::new(self.columns.iter().zip(self.record.iter()).map(value).collect::<Result<_, String>>()?))
    }
}

impl Iterator for Table {
    /// The line where it begins, from 1, and the row. Rows without any value are passed over.
    type Item = (u64, Result<Row, String>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            self.left.store(MAX_ROW + BUFFER, Ordering::Relaxed);
            let line = self.reader.position().line();
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => self.over = true,
                Ok(true) if self.record.iter().all(|field| field.trim_ascii().is_empty()) => {}
                Ok(true) => return Some((self.line(line), self.row())),
                Err(error) => {
                    self.over = true;
                    return Some((line, Err(fault(&error))));
                }
            }
        }
        None
    }
}

fn fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => unreadable(error),
        _ => "is no row of a table".to_owned(),
    }
}

/// The first line, where none of its fields holds a line break.
fn heading(head: &[u8]) -> &[u8] {
    let mut quoted = false;
    let end = head.iter().position(|byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    });
    &head[..end.unwrap_or(head.len())]
}

/// By what stands between the heading's names.
fn worked_out(heading: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [0; DELIMITERS.len()];
    for byte in heading {
        quoted ^= *byte == b'"';
        if let (false, Some(n)) = (quoted, DELIMITERS.iter().position(|d| d == byte)) {
            counts[n] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    if most == 0 { b',' } else { DELIMITERS[counts.iter().position(|c| *c == most).unwrap_or_default()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table, String> {
        Table::new(crate::bytes::text(Box::new(std::io::Cursor::new(text.to_owned().into_bytes())))?, None)
    }

    fn fields(text: &str) -> Vec<(u64, Result<Vec<String>, String>)> {
        let text_of = |row: Row| row.columns().map(|(_, v)| if let Value::Text(t) = v { t.clone() } else { String::new() }).collect();
        table(text).expect("a table").map(|(line, row)| (line, row.map(text_of))).collect()
    }

    fn ok(fields: &[&str]) -> Result<Vec<String>, String> {
        Ok(fields.iter().map(|f| (*f).to_owned()).collect())
    }

    #[test]
    fn fields_are_quoted_hold_line_breaks_and_stand_between_any_usual_delimiter() {
        assert_eq!(fields("a,b\n1,\"x, \"\"y\"\"\nz\"\n2,w\n"), [(2, ok(&["1", "x, \"y\"\nz"])), (4, ok(&["2", "w"]))]);
        assert_eq!(fields("a;\"b,c,d\"\r\n1;2,5\r\n\r\n;\r\n"), [(2, ok(&["1", "2,5"]))]);
        assert_eq!(fields("a\tb\n1\t\n"), [(2, ok(&["1", ""]))]);
        assert_eq!(fields("a|b\n\n1|2"), [(3, ok(&["1", "2"]))]);
        assert_eq!(fields("a,b\r\n\r\n1,\"x\r\ny\"\r\n2,z"), [(3, ok(&["1", "x\r\ny"])), (5, ok(&["2", "z"]))]);
        assert_eq!(table("\u{feff}sku,title\n").expect("a table").columns(), ["sku", "title"]);
        assert_eq!(table("sku,,x\n").expect("a table").columns(), ["sku", "column 2", "x"]);
    }

    #[test]
    fn what_is_no_row_says_so_and_the_next_is_read() {
        let rows = fields("a,b\n1\n2,3,4\n5,6\n\"7,8\n9,10\n");
        assert!(rows[0].1.as_ref().is_err_and(|e| e.contains("has 1 fields, the heading has 2")), "{rows:?}");
        assert_eq!(rows[2], (4, ok(&["5", "6"])));
        assert!(rows[3].1.as_ref().is_err_and(|e| e.contains("quotation mark")), "{rows:?}");
        assert!(table("a,b,a\n").is_err_and(|e| e.contains("\"a\" twice")));
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_costs_no_memory() {
        let text = format!("a,b\n1,2\n\"3,{}", "x,y\n".repeat(2 * MAX_ROW / 4));
        let rows = fields(&text);
        assert!(rows.len() == 2 && rows[1].1.as_ref().is_err_and(|e| e.contains("quotation mark")), "{:?}", rows[1].1);
    }
}
