//! The sources of a generation: the log partitions that it reads, how far each of them is, those who wait for one to get
//! further, and the streams of it that show nothing.

mod hidden;
mod position;
mod waits;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use hidden::{HIDDEN, Hidden, Streams};
pub(crate) use position::Position;
pub(crate) use waits::{Wait, Waits};

/// The name of a source: a log partition, and the generation that reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceId {
    pub(crate) generation: i32,
    pub(crate) service: Arc<str>,
    pub(crate) partition: i32,
}

/// The sources of one generation, in order of service and partition. A source's place among them is its number.
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Those of a generation that reads these log partitions, which are in order.
    pub(crate) fn new(generation: i32, partitions: &[(String, i32)]) -> Self {
        Self(partitions.iter().map(|(service, partition)| Source::new(generation, service, *partition)).collect())
    }

    /// The number of a source; none: there is no such log partition.
    pub(crate) fn find(&self, service: &str, partition: i32) -> Option<u16> {
        let found = self.0.binary_search_by(|s| (&*s.at.service, s.at.partition).cmp(&(service, partition)));
        found.ok().and_then(|at| u16::try_from(at).ok())
    }
}

impl Deref for Sources {
    type Target = [Source];

    fn deref(&self) -> &[Source] {
        &self.0
    }
}

/// One log partition that the generation reads.
pub(crate) struct Source {
    pub(crate) at: SourceId,
    /// The beginning of its tokens: `catalog/3:`.
    prefix: Box<str>,
    reached: AtomicU64,
    /// The furthest that the database was seen at.
    looked: AtomicU64,
    pub(crate) waits: Arc<Waits>,
}

impl Source {
    pub(crate) fn new(generation: i32, service: &str, partition: i32) -> Self {
        Self {
            at: SourceId { generation, service: service.into(), partition },
            prefix: format!("{service}/{partition}:").into(),
            reached: AtomicU64::default(),
            looked: AtomicU64::default(),
            waits: Arc::default(),
        }
    }

    /// All changes before it are applied to what is held.
    pub(crate) fn reached(&self) -> Position {
        Position::from_bits(self.reached.load(Ordering::SeqCst))
    }

    /// The furthest that is known: served from memory, or to be read from the database.
    pub(crate) fn known(&self) -> Position {
        self.reached().max(Position::from_bits(self.looked.load(Ordering::SeqCst)))
    }

    /// All changes before a position are applied: those who wait for it are woken.
    pub(crate) fn publish(&self, position: Position) {
        self.reached.store(position.to_bits(), Ordering::SeqCst);
        self.waits.reached(position);
    }

    /// The database was seen there.
    pub(crate) fn looked(&self, position: Position) {
        if self.looked.fetch_max(position.to_bits(), Ordering::SeqCst) < position.to_bits() {
            self.waits.reached(position);
        }
    }
}

/// Positions as `Consistency-Position` writes them; empty where there are none.
pub(crate) fn position_text<'a>(positions: impl ExactSizeIterator<Item = (&'a Source, Position)>) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(positions.len() * 28);
    for (source, position) in positions {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&source.prefix);
        let _ = write!(text, "{}@{}", position.next() - 1, position.epoch());
    }
    text
}

/// Those of several read models that show something together, in order: each partition once, and no further than all of
/// those that read it cover.
pub(crate) fn all_positions_text<'a>(positions: impl Iterator<Item = (&'a Source, Position)>) -> String {
    let mut all: Vec<(&Source, Position)> = positions.collect();
    all.sort_unstable_by_key(|(source, position)| (&*source.at.service, source.at.partition, *position));
    // The first one of a partition is the least.
    all.dedup_by_key(|(source, _)| &*source.prefix);
    position_text(all.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_several_models_name_a_partition_once_and_as_far_as_all_cover_it() {
        let [catalog, other, inventory] = [(1, "catalog"), (2, "catalog"), (2, "inventory")].map(|(g, s)| Source::new(g, s, 3));
        let seen = |all: &[(&Source, i32, i64)]| {
            let all: Vec<(&Source, Position)> = all.iter().map(|(source, epoch, next)| (*source, Position::new(*epoch, *next))).collect();
            all_positions_text(all.into_iter())
        };
        assert_eq!(seen(&[(&catalog, 1, 0), (&inventory, 1, 9), (&other, 1, 3)]), "catalog/3:-1@1, inventory/3:8@1");
        assert_eq!(seen(&[(&catalog, 1, 5), (&other, 1, 3)]), "catalog/3:2@1");
        assert_eq!(seen(&[(&catalog, 2, 1), (&other, 1, 3)]), "catalog/3:2@1", "of the older epoch");
        assert_eq!(seen(&[(&catalog, 1, 5), (&other, 1, 5)]), "catalog/3:4@1");
        assert_eq!(seen(&[]), "");
    }
}
