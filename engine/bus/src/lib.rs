//! Kafka: consumers on threads of their own, a producer, topics.
//!
//! Kafka is a pipe here: it carries messages, shares partitions out, and fences nothing. What is true stands in
//! Postgres; all that this crate loses can be sent or read again from there. So its promises are few: per partition
//! messages arrive in order, a batch says how far it got, nothing grows without bound, and nobody waits on a
//! consumer that has lost its partition.
//!
//! | to … | use |
//! |---|---|
//! | reach Kafka, name a topic or group | [`BusConfig`] |
//! | create, check and empty topics | [`ensure_topics`], [`check_topics`], [`TopicSpec`], [`delete_before`] |
//! | send | [`Producer`], [`Record`], [`Delivery`] |
//! | share partitions with other processes | [`GroupConsumer`], [`GroupHandler`], [`Inbox`] |
//! | read one partition alone | [`PartitionReader`] |
//! | read whole topics as they grow | [`Tail`] |
//! | look something up | [`Inspector`] |
//! | know where a partition ends | [`Inspector::written`], [`Inspector::readable`], [`Inspector::decided`] |

mod buffer;
mod client;
mod config;
mod ends;
mod error;
mod group;
pub mod headers;
mod inspector;
mod message;
mod partition;
mod position;
mod producer;
mod pump;
mod reader;
mod signals;
mod tail;
mod topics;
mod watch;

pub use config::BusConfig;
pub use ends::{Readable, StableEnd, Unread, Written};
pub use error::{BusError, DeliveryError};
pub use group::{GroupConsumer, GroupHandler, GroupOptions, Inbox, StartAt};
pub use headers::{HeaderError, Headers};
pub use inspector::Inspector;
pub use message::{Message, Record};
pub use producer::{Compression, Delivery, Guarantee, Producer, ProducerOptions, SharedProducer};
pub use reader::{PartitionReader, ReaderOptions};
pub use tail::Tail;
pub use topics::{Ensured, TopicSpec, check_topics, delete_before, ensure_topics};
