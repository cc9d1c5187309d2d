//! Calls: work that takes longer than a batch may wait. An event asks for one, its row is written with the marks, and a desk beside the
//! follower does it: what it finds out is kept in the row, sent as one command, and the row goes when the ledger has that.

use std::sync::Arc;

use daybook_follow::Event;
use daybook_kernel::{PageKey, StreamId};
use uuid::Uuid;

/// A call that an event asks for.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) event: Arc<Event>,
    /// The service and the stream that hear the outcome.
    pub(crate) service: &'static str,
    pub(crate) target: StreamId,
    pub(crate) outcome_id: Uuid,
    /// The pages to read first.
    pub(crate) pages: Vec<PageKey>,
}
