//! Generations as the database has them: tables, checkpoints, and both of one moment.

use std::sync::Arc;

use super::sql;
use crate::entry::Part;
use crate::source::{Position, Source, Sources, Streams};

/// A generation of a read model, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) number: i32,
    /// The table of its parts.
    pub(crate) parts: String,
    /// The statements that read them: of one key, of a page, and those that fill items.
    pub(super) read_parts: String,
    pub(super) read_list: String,
    pub(super) read_fill: String,
    /// The statement that reads which streams show nothing.
    pub(super) read_hidden: String,
}

impl Generation {
    pub(crate) fn new(number: i32, parts: &str) -> Self {
        let statements = [sql::READ_PARTS, sql::READ_LIST, sql::READ_FILL, sql::READ_HIDDEN];
        let [read_parts, read_list, read_fill, read_hidden] = statements.map(|s| sql::at(s, parts));
        Self { number, parts: parts.to_owned(), read_parts, read_list, read_fill, read_hidden }
    }
}

/// A checkpoint: how far one log partition has been folded.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) service: String,
    pub(crate) partition: i32,
    pub(crate) at: Position,
    /// Its streams that are parked and show nothing.
    pub(crate) hidden: Streams,
}

/// The checkpoints of a generation, in order of service and partition.
pub(crate) type Checkpoints = Vec<Checkpoint>;

/// The positions of checkpoints, where they are those of these sources.
pub(crate) fn stamps(sources: &Sources, checkpoints: &Checkpoints) -> Option<Vec<Position>> {
    let is_of = |(source, checkpoint): (&Source, &Checkpoint)| {
        (&*source.at.service, source.at.partition) == (&*checkpoint.service, checkpoint.partition)
    };
    let same = sources.len() == checkpoints.len() && sources.iter().zip(checkpoints).all(is_of);
    same.then(|| checkpoints.iter().map(|checkpoint| checkpoint.at).collect())
}

/// Parts of a view, and all checkpoints of the generation, in one snapshot.
pub(crate) struct Snapshot {
    pub(crate) parts: Vec<Arc<Part>>,
    /// In the order of the generation's sources.
    pub(crate) stamps: Vec<Position>,
    /// By source: the streams that show nothing.
    pub(crate) hidden: Vec<Streams>,
}
