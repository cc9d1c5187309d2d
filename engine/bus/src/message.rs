//! A record on its way to Kafka, and a message that came from it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use crate::headers::{Headers, known};

/// A record to send. The partition is always explicit: librdkafka's own choice (CRC32) is not the engine's (murmur2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic's full name, from [`BusConfig`](crate::BusConfig).
    pub topic: Arc<str>,
    /// The partition, 0 or more.
    pub partition: i32,
    /// The key.
    pub key: Bytes,
    /// The headers, in order.
    pub headers: Headers,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
}

impl Record {
    /// About how many bytes it takes in a queue.
    pub fn size(&self) -> usize {
        size(Some(&self.key), self.value.as_ref(), &self.headers)
    }
}

/// A message as it came. Nothing in it is trusted yet: any client may have produced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Kafka's offset in the partition (not the log's): grows, may have gaps.
    pub offset: i64,
    /// Milliseconds since 1970, as the producer or broker says; absent in messages of old formats.
    pub timestamp_ms: Option<i64>,
    /// The key, if there is one.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// The headers. One whose *name* is not UTF-8 is left out; a value may be any bytes.
    pub headers: Headers,
}

impl Message {
    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        size(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

/// A message's cost beyond its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 128;

fn size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    OVERHEAD + headers + key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len)
}

/// A copy of librdkafka's message, in one allocation.
pub(crate) fn own(message: &BorrowedMessage<'_>, topic: &Arc<str>) -> Message {
    let headers = read_headers(message);
    let (key, value) = (message.key(), message.payload());
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let total: usize = headers.iter().map(|(_, value)| value.len()).sum();
    let mut block = BytesMut::with_capacity(total + length(key) + length(value));
    for part in headers.iter().map(|(_, value)| *value).chain(key).chain(value) {
        block.extend_from_slice(part);
    }
    let mut block = block.freeze();
    let mut next = |length: usize| -> Bytes { block.split_to(length) };
    let headers = headers.into_iter().map(|(name, value)| (name, next(value.len()))).collect();
    Message {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        headers: Headers(headers),
        key: key.map(|key| next(key.len())),
        value: value.map(|value| next(value.len())),
    }
}

fn read_headers<'a>(message: &'a BorrowedMessage<'_>) -> Vec<(Cow<'static, str>, &'a [u8])> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    let mut read = Vec::with_capacity(headers.count());
    for index in 0..headers.count() {
        // rdkafka panics on a header name that is not UTF-8, and anybody may send one: that must not end the thread.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
        if let Ok(Some(header)) = header {
            let name = known(header.key).map_or_else(|| Cow::Owned(header.key.to_owned()), Cow::Borrowed);
            read.push((name, header.value.unwrap_or_default()));
        }
    }
    read
}
