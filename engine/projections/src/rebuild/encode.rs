//! Rows in Postgres's binary COPY format, one after the other in one buffer.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::rows::Cell;

/// Bytes that a buffer grows to before it is sent.
const SENT_AT: usize = 256 << 10;
/// Signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// The beginning of a COPY.
pub(crate) const fn header() -> Bytes {
    Bytes::from_static(HEADER)
}

/// The end of a COPY.
pub(crate) const fn trailer() -> Bytes {
    Bytes::from_static(TRAILER)
}

/// Rows of one table that have not been sent.
#[derive(Default)]
pub(crate) struct Rows(BytesMut);

impl Rows {
    /// Begins a row of so many fields, which must follow.
    pub(crate) fn row(&mut self, fields: i16) -> &mut Self {
        self.0.put_i16(fields);
        self
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        // A field of 2 GiB could not have been made: what it is rendered from came out of Postgres.
        self.0.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.0.put_i32(-1);
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn int(&mut self, value: i32) -> &mut Self {
        self.0.put_i32(4);
        self.0.put_i32(value);
        self
    }

    pub(crate) fn bigint(&mut self, value: i64) -> &mut Self {
        self.0.put_i32(8);
        self.0.put_i64(value);
        self
    }

    pub(crate) fn cell(&mut self, value: &Cell) -> &mut Self {
        let at = self.0.len();
        self.null();
        if value.write(&mut self.0) {
            let length = i32::try_from(self.0.len() - at - 4).unwrap_or(i32::MAX);
            self.0[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        self
    }

    /// The gathered bytes, once they are worth sending.
    pub(crate) fn full(&mut self) -> Option<Bytes> {
        (self.0.len() >= SENT_AT).then(|| self.rest())
    }

    /// The gathered bytes.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}
