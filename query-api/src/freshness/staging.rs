//! Pushed changes whose marker has not come yet: nothing of them may be believed.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use daybook_proto::v1::{PartChange, PushMarker, part_change};

use crate::observers::{Change, Content};
use crate::source::{SourceId, Streams};

/// Batches of one source that may be on their way at once. More than one only when a projector that was thought dead
/// pushes beside its successor.
const MAX_BATCHES: usize = 4;
/// Bytes of one source that may wait for their marker; more, and they are dropped: the marker then counts too few.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A batch as it came.
struct Staged {
    batch: Vec<u8>,
    changes: Vec<Change>,
    bytes: usize,
}

/// A marker, and the changes that came before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) at: SourceId,
    pub(crate) epoch: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) changes: Vec<Change>,
    /// There are as many as the marker counts.
    pub(crate) complete: bool,
    /// The streams that show nothing, as the marker says.
    pub(crate) hidden: Option<Streams>,
}

/// The batches of one read model that have no marker yet.
#[derive(Default)]
pub(crate) struct Staging(HashMap<SourceId, VecDeque<Staged>>);

impl Staging {
    /// A change has come.
    pub(crate) fn change(&mut self, change: PartChange) {
        let source = SourceId { generation: change.generation, service: change.service.into(), partition: change.partition };
        let content = match change.content {
            Some(part_change::Content::Bytes(bytes)) => Content::Bytes(Bytes::from(bytes)),
            Some(part_change::Content::Removed(_)) => Content::Removed,
            // What this build does not know is read.
            Some(part_change::Content::TooLarge(_)) | None => Content::TooLarge,
        };
        let staged = self.0.entry(source).or_default();
        if staged.back().is_none_or(|s| s.batch != change.batch) && !staged.iter().any(|s| s.batch == change.batch) {
            if staged.len() >= MAX_BATCHES {
                staged.pop_front();
            }
            staged.push_back(Staged { batch: change.batch.clone(), changes: Vec::new(), bytes: 0 });
        }
        let Some(of) = staged.iter_mut().rev().find(|s| s.batch == change.batch) else { return };
        of.bytes += 200 + change.key.len() + change.part.len() + if let Content::Bytes(bytes) = &content { bytes.len() } else { 0 };
        of.changes.push(Change {
            key: change.key,
            part: change.part,
            stream: change.stream,
            offset: change.offset,
            content,
            stale: change.stale,
        });
        if staged.iter().map(|s| s.bytes).sum::<usize>() > MAX_BYTES {
            tracing::warn!("a pushed batch is too large to be held until its marker comes");
            staged.clear();
        }
    }

    /// The number of sources that have batches without a marker.
    #[cfg(test)]
    pub(crate) fn sources(&self) -> usize {
        self.0.len()
    }

    /// A marker has come: what it closes.
    pub(crate) fn marker(&mut self, marker: PushMarker) -> Marked {
        let at = SourceId { generation: marker.generation, service: marker.service.into(), partition: marker.partition };
        let mut changes = Vec::new();
        if let Some(staged) = self.0.get_mut(&at) {
            if let Some(index) = staged.iter().position(|s| s.batch == marker.batch) {
                changes = staged.remove(index).map(|s| s.changes).unwrap_or_default();
            }
            if staged.is_empty() {
                self.0.remove(&at);
            }
        }
        let complete = u32::try_from(changes.len()) == Ok(marker.changes);
        let hidden = marker.hidden.map(Streams::from);
        Marked { at, epoch: marker.epoch, from: marker.from, to: marker.to, changes, complete, hidden }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(batch: u8, key: &str) -> PartChange {
        PartChange { key: key.into(), service: "s".into(), generation: 1, batch: vec![batch], ..Default::default() }
    }

    fn marker(batch: u8, changes: u32) -> PushMarker {
        PushMarker { service: "s".into(), generation: 1, batch: vec![batch], changes, ..Default::default() }
    }

    fn keys(marked: &Marked) -> Vec<&str> {
        marked.changes.iter().map(|c| c.key.as_str()).collect()
    }

    #[test]
    fn a_batch_is_what_its_marker_counts_also_where_two_come_mixed() {
        let mut staging = Staging::default();
        for (batch, key) in [(1, "a"), (2, "x"), (1, "b"), (2, "y")] {
            staging.change(change(batch, key));
        }
        let second = staging.marker(marker(2, 2));
        assert!(second.complete && keys(&second) == ["x", "y"]);
        let first = staging.marker(marker(1, 3));
        assert!(!first.complete && keys(&first) == ["a", "b"]);
        staging.change(change(4, "z"));
        assert!(!staging.marker(marker(4, 0)).complete, "more than it counts");
        assert!(staging.marker(marker(3, 0)).complete, "nothing changed");
        assert!(!staging.marker(marker(1, 2)).complete, "it was closed before");
        assert!(staging.0.is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut staging = Staging::default();
        for batch in 0..200 {
            staging.change(change(batch, "k"));
        }
        assert_eq!(staging.0.values().map(VecDeque::len).sum::<usize>(), MAX_BATCHES);
        for n in 0..100 {
            let mut large = change(200, &format!("k{n}"));
            large.content = Some(part_change::Content::Bytes(vec![0; 1 << 20]));
            staging.change(large);
        }
        assert!(!staging.marker(marker(200, 100)).complete);
    }
}
