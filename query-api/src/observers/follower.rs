//! Followers of a read model: an index for searching, say, that is kept in memory beside it. They take what is pushed, batch by
//! batch.

use bytes::Bytes;

use crate::source::{Position, SourceId};

/// Observers of every batch of one read model's live generation, in order per source. Calls come from one task, one at a time:
/// they must be quick and must not block.
pub(crate) trait Follower: Send + Sync + 'static {
    /// All changes of [from, to) of a source, as of `to`; called before waiters of `to` wake. `from` is never beyond the `to`
    /// of the call before, but may lie before it (what was pushed twice), and `to` may be the same as before (a part that
    /// was changed in place, when a parked stream was mended, or what was pushed twice): a change counts where `to` does
    /// not lie before what the follower has read of the source, whatever the change's own offset.
    fn applied(&self, at: &SourceId, from: i64, to: i64, epoch: i32, changes: &[Change]);

    /// Changes of this source that lie before a position were missed, or the generation switched: what was built from it must
    /// be compared with the database as of there, or later.
    fn lost(&self, at: &SourceId, before: Position);
}

/// One part as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) part: String,
    /// The only writer of the part.
    pub(crate) stream: String,
    /// Of the last event that the part rests on.
    pub(crate) offset: i64,
    pub(crate) content: Content,
    /// The part's stream is parked: what is shown is older than the log.
    pub(crate) stale: bool,
}

/// The content of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The part's message, encoded.
    Bytes(Bytes),
    /// The part is gone.
    Removed,
    /// It is too large to be pushed: read it.
    TooLarge,
}
