//! Which stream, which version of it, which place in the log.

use std::fmt;
use std::sync::Arc;

use crate::murmur2;

/// `<aggregate>/<id>`, for example `product/A-1` or `stock/A-1@w-1`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

/// A text that is no stream id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no stream id: it must be <aggregate>/<id>, each of A-Z a-z 0-9 . _ - @, at most 400 characters")]
pub struct StreamIdError(String);

impl StreamId {
    /// Of an aggregate and a key that a command's checks have let pass.
    pub fn new(aggregate: &str, key: &str) -> Self {
        Self(format!("{aggregate}/{key}").into())
    }

    /// From a text that came from outside.
    ///
    /// # Errors
    /// When it is not of the form.
    pub fn parse(text: &str) -> Result<Self, StreamIdError> {
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
        match text.split_once('/') {
            Some((aggregate, key)) if plain(aggregate) && plain(key) && text.len() <= 400 => Ok(Self(text.into())),
            _ => Err(StreamIdError(text.chars().take(100).collect())),
        }
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Before the slash.
    pub fn aggregate(&self) -> &str {
        self.0.split_once('/').map_or("", |(a, _)| a)
    }

    /// After the slash.
    pub fn key(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, k)| k)
    }

    /// The partition, 0 to `partitions` − 1, of this stream's messages, log and events:
    /// `(murmur2(id) & 0x7fffffff) mod n`, the Java client's default.
    pub fn partition(&self, partitions: u32) -> i32 {
        let hash = murmur2(self.0.as_bytes()) & 0x7fff_ffff;
        (hash % partitions.max(1)).cast_signed()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Number of a stream's events; its last event's number. 0: no such stream yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event's place in its log partition: 0, 1, 2 … without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_id_has_an_aggregate_and_a_key() {
        let id = StreamId::parse("stock/A-1@w-1").expect("valid");
        assert_eq!((id.aggregate(), id.key()), ("stock", "A-1@w-1"));
        for bad in ["", "product", "product/", "/A", "a/b/c", "product/ä", "product/a b"] {
            assert!(StreamId::parse(bad).is_err(), "{bad}");
        }
        let of = |length: usize| StreamId::parse(&format!("a/{}", "b".repeat(length - 2)));
        assert!(of(400).is_ok() && of(401).is_err());
    }

    #[test]
    fn a_partition_is_the_positive_hash_modulo_their_number() {
        // murmur2("abc") is 479470107.
        assert_eq!(StreamId("abc".into()).partition(16), 479_470_107 % 16);
        // murmur2("21") is negative in Java: toPositive masks the sign.
        assert_eq!(StreamId("21".into()).partition(7), (-973_932_308_i32 & 0x7fff_ffff) % 7);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_text_is_a_stream_id_or_none(text in "[a-z]{0,8}/?[A-Za-z0-9._@/-]{0,20}|\\PC{0,450}|[a-z]{1,300}/[a-z]{1,300}", partitions in 0..1_100_u32) {
            match StreamId::parse(&text) {
                Ok(id) => {
                    prop_assert_eq!(format!("{}/{}", id.aggregate(), id.key()), text);
                    prop_assert!((0..partitions.max(1).cast_signed()).contains(&id.partition(partitions)));
                }
                Err(error) => prop_assert!(error.to_string().chars().count() < 2_000),
            }
        }
    }
}
