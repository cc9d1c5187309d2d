//! Postgres's binary COPY format, as the statements of this module give it.

use bytes::{Buf as _, Bytes, BytesMut};
use daybook_kernel::Instant;

use super::BulkEvent;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// 2000-01-01, from which Postgres counts, in microseconds since 1970.
const EPOCH_2000: i64 = 946_684_800_000_000;
/// offset, stream_id, version, type, payload, recorded_at.
const FIELDS: i16 = 6;

/// Cuts a stream of bytes into rows. Postgres sends a row a message, but nothing promises that: what is left of a
/// chunk is kept and put before the next one.
#[derive(Default)]
pub(super) struct Decoder {
    left: BytesMut,
    begun: bool,
    ended: bool,
}

/// The item at the beginning of some bytes.
enum Next<'a> {
    Row(BulkEvent<'a>, usize),
    End,
    Incomplete,
}

impl Decoder {
    /// Hands over each row that is complete, until `each` says no.
    pub(super) fn rows(&mut self, chunk: &Bytes, each: impl FnMut(BulkEvent<'_>) -> bool) -> Result<(), &'static str> {
        if self.left.is_empty() {
            let used = self.cut(chunk, each)?;
            self.left.extend_from_slice(&chunk[used..]);
        } else {
            let mut all = std::mem::take(&mut self.left);
            all.extend_from_slice(chunk);
            let used = self.cut(&all, each)?;
            all.advance(used);
            self.left = all;
        }
        Ok(())
    }

    /// Whether the end has been told and nothing is left over.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.left.is_empty()
    }

    fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(BulkEvent<'_>) -> bool) -> Result<usize, &'static str> {
        let mut at = 0;
        if !self.begun {
            let Some(header) = header(bytes)? else { return Ok(0) };
            (self.begun, at) = (true, header);
        }
        while at < bytes.len() {
            match row(&bytes[at..])? {
                Next::Row(event, length) => {
                    at += length;
                    if !each(event) {
                        break;
                    }
                }
                Next::End => {
                    self.ended = true;
                    at += 2;
                }
                Next::Incomplete => break,
            }
        }
        Ok(at)
    }
}

/// Signature, flags, and an extension of as many bytes as it says.
fn header(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some((head, rest)) = bytes.split_at_checked(SIGNATURE.len() + 4) else { return Ok(None) };
    if !head.starts_with(SIGNATURE) {
        return Err("it does not begin with the signature");
    }
    let Some(extension) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = head.len() + 4 + usize::try_from(i32::from_be_bytes(*extension)).map_err(|_| "its header has a negative length")?;
    Ok((bytes.len() >= length).then_some(length))
}

fn row(bytes: &[u8]) -> Result<Next<'_>, &'static str> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(Next::Incomplete) };
    match i16::from_be_bytes(*count) {
        -1 => return Ok(Next::End),
        FIELDS => {}
        _ => return Err("a row has another number of fields"),
    }
    let mut fields = [&[] as &[u8]; FIELDS as usize];
    for field in &mut fields {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(Next::Incomplete) };
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| "a field is NULL")?;
        let Some((value, after)) = after.split_at_checked(length) else { return Ok(Next::Incomplete) };
        (*field, rest) = (value, after);
    }
    let [offset, stream_id, version, type_name, payload, recorded_at] = fields;
    let event = BulkEvent {
        offset: number(offset)?,
        stream_id: text(stream_id)?,
        version: number(version)?,
        type_name: text(type_name)?,
        payload,
        recorded_at: Instant::from_micros(number(recorded_at)?.saturating_add(EPOCH_2000)),
    };
    Ok(Next::Row(event, bytes.len() - rest.len()))
}

fn number(bytes: &[u8]) -> Result<i64, &'static str> {
    bytes.try_into().map(i64::from_be_bytes).map_err(|_| "a number has not eight bytes")
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend(i32::try_from(bytes.len()).expect("short").to_be_bytes());
        out.extend(bytes);
    }

    /// Rows of offsets 0 to `n`, as Postgres sends them.
    fn copy(n: i64) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend([0; 4]);
        out.extend(3_i32.to_be_bytes());
        out.extend(b"ext");
        for offset in 0..n {
            out.extend(FIELDS.to_be_bytes());
            for bytes in
                [&offset.to_be_bytes()[..], b"product/A", &(offset + 1).to_be_bytes(), b"t.T", b"payload", &1_000_000_i64.to_be_bytes()]
            {
                field(&mut out, bytes);
            }
        }
        out.extend((-1_i16).to_be_bytes());
        out
    }

    #[test]
    fn rows_are_read_however_the_bytes_are_cut() {
        let all = copy(5);
        for size in 1..all.len() {
            let mut decoder = Decoder::default();
            let mut offsets = Vec::new();
            for chunk in all.chunks(size) {
                let each = |e: BulkEvent<'_>| {
                    assert_eq!((e.stream_id, e.version, e.type_name, e.payload), ("product/A", e.offset + 1, "t.T", &b"payload"[..]));
                    assert_eq!(e.recorded_at.to_string(), "2000-01-01T00:00:01.000000Z");
                    offsets.push(e.offset);
                    true
                };
                decoder.rows(&Bytes::copy_from_slice(chunk), each).expect("well-formed");
            }
            assert!(decoder.is_complete(), "chunks of {size}");
            assert_eq!(offsets, [0, 1, 2, 3, 4], "chunks of {size}");
        }
    }

    #[test]
    fn what_ends_early_is_not_complete_and_what_is_no_copy_is_refused() {
        let all = copy(2);
        let mut decoder = Decoder::default();
        decoder.rows(&Bytes::copy_from_slice(&all[..all.len() - 3]), |_| true).expect("so far");
        assert!(!decoder.is_complete());
        assert!(Decoder::default().rows(&Bytes::from_static(b"offset,stream_id\n1,product/A"), |_| true).is_err());
    }
}
