//! A record on its way to Kafka, and a message that came from it.

use std::sync::Arc;

use bytes::Bytes;

use crate::headers::Headers;

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

/// What a message costs beyond its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 128;

fn size(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    OVERHEAD + headers + key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len)
}
