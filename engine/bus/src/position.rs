//! Places of consumers.

use std::sync::Arc;

/// The place of a consumer in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerPosition {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// The offset that it reads next.
    pub(crate) next: i64,
}
