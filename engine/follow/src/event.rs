//! An event on its way to its followers, wherever it came from.

use bytes::Bytes;
use chrono::DateTime;
use daybook_bus::{HeaderError, Message, headers};
use daybook_kernel::{DecodedOnce, Instant, StreamId};
use daybook_log::{LogError, StoredEvent};
use daybook_proto::v1::Metadata;
use prost::Message as _;

/// An event, as far as a follower needs it.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the log partition, from 0, without gaps.
    pub offset: i64,
    /// The log's epoch that it was written in, from 1.
    pub epoch: i32,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 1, without gaps.
    pub version: i64,
    /// Full protobuf name.
    pub type_name: String,
    /// The event, encoded.
    pub payload: Bytes,
    /// The time of its page.
    pub recorded_at: Instant,
    /// The event itself: decoded when the first follower wants it, for all of them.
    pub decoded: DecodedOnce,
    /// Correlation and trace context.
    pub trail: Trail,
}

/// Correlation and trace context of an event, as they came: read only where a follower goes on from it.
#[derive(Clone, Debug)]
pub enum Trail {
    /// The event's metadata, encoded, from the log.
    Metadata(Bytes),
    /// Two of the headers of its message on Kafka; empty where it has none.
    Headers {
        /// `daybook-correlation-id`.
        correlation_id: Bytes,
        /// `traceparent`.
        traceparent: Bytes,
    },
}

impl Trail {
    /// Correlation id and W3C trace context; each empty where there is none.
    pub fn read(&self) -> (String, String) {
        match self {
            Self::Metadata(bytes) => {
                let metadata = Metadata::decode(bytes.clone()).unwrap_or_default();
                (metadata.correlation_id, metadata.traceparent)
            }
            Self::Headers { correlation_id, traceparent } => {
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                (text(correlation_id), text(traceparent))
            }
        }
    }
}

/// Why a message on `<service>.events` is no event. The log has it for certain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreadable {
    /// A header that is no text, or not of the form that it must have.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A header that every event has.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// Something else that no event of a log has.
    #[error("{0}")]
    Wrong(&'static str),
}

impl Event {
    /// From the log.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when its stream id is none.
    pub fn stored(e: StoredEvent) -> Result<Self, LogError> {
        let stream = StreamId::parse(&e.stream_id).map_err(|why| LogError::Damaged(format!("offset {}: {why}", e.offset)))?;
        Ok(Self {
            offset: e.offset,
            epoch: e.epoch,
            stream,
            version: e.version,
            type_name: e.type_name,
            payload: e.payload.into(),
            recorded_at: e.recorded_at,
            decoded: DecodedOnce::default(),
            trail: Trail::Metadata(e.metadata.into()),
        })
    }

    /// From Kafka, where anybody may have written it: it is taken only when all of it is in order. `partitions`: of the log.
    ///
    /// # Errors
    /// The part of the message that is not as an event has it.
    pub fn arrived(message: &Message, partitions: u32) -> Result<Self, Unreadable> {
        let headers = &message.headers;
        let time = headers.get_str(headers::CE_TIME)?.ok_or(Unreadable::Missing(headers::CE_TIME))?;
        let key = message.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()).and_then(|k| StreamId::parse(k).ok());
        let event = Self {
            offset: headers.get_parsed(headers::OFFSET)?.ok_or(Unreadable::Missing(headers::OFFSET))?,
            epoch: headers.get_parsed(headers::EPOCH)?.ok_or(Unreadable::Missing(headers::EPOCH))?,
            stream: key.ok_or(Unreadable::Wrong("its key is no stream id"))?,
            version: headers.get_parsed(headers::VERSION)?.ok_or(Unreadable::Missing(headers::VERSION))?,
            type_name: headers.get_str(headers::CE_TYPE)?.ok_or(Unreadable::Missing(headers::CE_TYPE))?.to_owned(),
            payload: message.value.clone().ok_or(Unreadable::Wrong("it has no value"))?,
            recorded_at: DateTime::parse_from_rfc3339(time)
                .map_err(|_| Unreadable::Wrong("its time is not as RFC 3339 writes it"))?
                .to_utc()
                .into(),
            decoded: DecodedOnce::default(),
            trail: Trail::Headers {
                correlation_id: headers.get(headers::CORRELATION_ID).cloned().unwrap_or_default(),
                traceparent: headers.get(headers::TRACEPARENT).cloned().unwrap_or_default(),
            },
        };
        // Counting on from them must not run over.
        if !(0..i64::MAX).contains(&event.offset) || !(1..i64::MAX).contains(&event.version) || event.epoch < 1 {
            return Err(Unreadable::Wrong("its offset, version or epoch is none of a log"));
        }
        if event.stream.partition(partitions) != message.partition {
            return Err(Unreadable::Wrong("its key belongs to another partition"));
        }
        Ok(event)
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let trail = match &self.trail {
            Trail::Metadata(bytes) => bytes.len(),
            Trail::Headers { correlation_id, traceparent } => correlation_id.len() + traceparent.len(),
        };
        self.payload.len() + self.type_name.len() + self.stream.as_str().len() + trail + 64
    }
}

#[cfg(test)]
mod tests {
    use daybook_bus::Headers;
    use daybook_testkit::fuzz::damaged;
    use proptest::prelude::*;

    use super::*;

    fn message() -> Message {
        let headers = Headers::new()
            .with(headers::CE_TYPE, "t.Happened")
            .with(headers::CE_TIME, "2026-11-21T08:00:00.123456Z")
            .with(headers::OFFSET, "7")
            .with(headers::EPOCH, "1")
            .with(headers::VERSION, "3");
        let (key, value) = (Some("product/A-1".into()), Some(Bytes::from_static(b"x")));
        let partition = StreamId::new("product", "A-1").partition(4);
        Message { topic: "t".into(), partition, offset: 0, timestamp_ms: None, key, value, headers }
    }

    #[test]
    fn an_event_of_kafka_is_the_one_of_the_log() {
        let event = Event::arrived(&message(), 4).expect("in order");
        assert_eq!((event.offset, event.epoch, event.version), (7, 1, 3));
        assert_eq!(event.recorded_at.to_string(), "2026-11-21T08:00:00.123456Z");
    }

    #[test]
    fn what_led_to_an_event_is_the_same_wherever_it_came_from() {
        let told = || ("c-1".to_owned(), "00-trace-01".to_owned());
        let mut m = message();
        m.headers.push(headers::CORRELATION_ID, "c-1");
        m.headers.push(headers::TRACEPARENT, "00-trace-01");
        assert_eq!(Event::arrived(&m, 4).expect("in order").trail.read(), told());
        let metadata = Metadata { correlation_id: told().0, traceparent: told().1, ..Default::default() };
        assert_eq!(Trail::Metadata(metadata.encode_to_vec().into()).read(), told());
        assert_eq!(Event::arrived(&message(), 4).expect("in order").trail.read(), Default::default());
    }

    #[test]
    fn a_message_that_is_no_event_is_told_apart() {
        let with = |change: fn(&mut Message)| {
            let mut m = message();
            change(&mut m);
            Event::arrived(&m, 4).expect_err("not in order").to_string()
        };
        assert_eq!(with(|m| m.headers = Headers::new()), "header ce_time is missing");
        assert_eq!(with(|m| m.headers.push(headers::OFFSET, "x")), "header daybook-offset cannot be read as i64");
        assert_eq!(with(|m| m.headers.push(headers::VERSION, &b"\xff"[..])), "header daybook-version is not UTF-8");
        assert_eq!(with(|m| m.headers.push(headers::CE_TIME, "today")), "its time is not as RFC 3339 writes it");
        assert_eq!(with(|m| m.value = None), "it has no value");
        assert_eq!(with(|m| m.key = None), "its key is no stream id");
        assert_eq!(with(|m| m.partition += 1), "its key belongs to another partition");
    }

    fn a_header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
        let names = [headers::CE_TYPE, headers::CE_TIME, headers::OFFSET, headers::EPOCH, headers::VERSION];
        let good = prop::sample::select(vec!["2026-11-21T08:00:00.123456Z", "7", "9223372036854775807", "t.Happened"]);
        (prop::sample::select(names.to_vec()), damaged(good.prop_map(|text| text.as_bytes().to_vec())))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_message_is_an_event_in_order_or_none(
            more in prop::collection::vec(a_header(), 0..3),
            key in prop_oneof![3 => Just(b"product/A-1".to_vec()), 1 => damaged(Just(b"product/A-1".to_vec()))],
        ) {
            let mut m = message();
            m.key = Some(key.into());
            more.into_iter().for_each(|(name, value)| m.headers.push(name, value));
            match Event::arrived(&m, 4) {
                Ok(event) => {
                    prop_assert!(event.offset >= 0 && event.offset < i64::MAX && event.epoch >= 1 && event.version >= 1);
                    prop_assert_eq!(event.stream.partition(4), m.partition);
                }
                Err(why) => prop_assert!(!why.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn a_place_that_no_log_has_is_refused() {
        for (name, value) in
            [(headers::OFFSET, "-1"), (headers::OFFSET, "9223372036854775807"), (headers::VERSION, "0"), (headers::EPOCH, "0")]
        {
            let mut m = message();
            m.headers.push(name, value);
            assert_eq!(Event::arrived(&m, 4).expect_err(value).to_string(), "its offset, version or epoch is none of a log");
        }
    }
}
