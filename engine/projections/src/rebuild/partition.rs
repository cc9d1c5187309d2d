//! One log partition, from its first event to the end that it has now, folded into a generation's tables.

use std::collections::HashSet;
use std::sync::Arc;

use daybook_kernel::ReadModel;
use daybook_log::{BulkOrder, BulkRead, LogError, PartitionLog};
use daybook_postgres::Role;
use tokio::sync::Semaphore;

use super::careful;
use super::load::{Cut, Sheets, StreamRows, Tables};
use super::progress::{RebuildProgress, Throttle};
use super::views::{Range, Views};
use crate::batch::{Stopped, render};

/// Events between two looks at the rate, and at who else wants to run.
const BREATH: i64 = 1_024;

/// State that all partitions of a rebuild share.
pub(crate) struct Shared {
    pub(crate) model: Arc<ReadModel>,
    /// One permit a partition that is read at the same time.
    pub(crate) at_once: Semaphore,
    /// Bytes of views that one partition may hold.
    pub(crate) bound: usize,
    pub(crate) throttle: Throttle,
    pub(crate) progress: Arc<RebuildProgress>,
}

/// The outcome of one partition.
pub(crate) struct FilledPartition {
    pub(crate) service: String,
    pub(crate) partition: i32,
    pub(crate) next_offset: i64,
    pub(crate) epoch: i32,
    pub(crate) folded: u64,
    pub(crate) streams: u64,
    pub(crate) passes: u32,
    pub(crate) stopped: Vec<Stopped>,
}

/// Why a partition could not be filled.
pub(crate) enum NotFilled {
    /// The log.
    Log(LogError),
    /// Its COPYs.
    Cut,
}

impl From<LogError> for NotFilled {
    fn from(e: LogError) -> Self {
        Self::Log(e)
    }
}

impl From<Cut> for NotFilled {
    fn from(_: Cut) -> Self {
        Self::Cut
    }
}

/// Fills in what a partition holds. Where its views need more memory than there is, only streams of a range of hashes are kept, and
/// the partition is read again for the next range.
pub(crate) async fn fill(
    shared: Arc<Shared>,
    log: PartitionLog,
    tables: Tables,
    skipped: HashSet<i64>,
) -> Result<FilledPartition, NotFilled> {
    let _permit = shared.at_once.acquire().await;
    let head = log.last_page().await?;
    let end = head.next_offset();
    let mut filled = FilledPartition {
        service: log.service().to_string(),
        partition: log.number(),
        next_offset: end,
        epoch: head.epoch,
        folded: 0,
        streams: 0,
        passes: 0,
        stopped: Vec::new(),
    };
    let (mut range, mut order) = (Some(Range::ALL), BulkOrder::AsTheyLie);
    while let Some(wanted) = range.filter(|_| end > 0) {
        filled.passes += 1;
        if filled.passes > 1 {
            shared.progress.will_read(end);
        }
        let mut views = loop {
            if let Some(views) = pass(&shared, &log, end, order, wanted, &skipped).await? {
                break views;
            }
            tracing::info!(partition = log.name(), "its rows do not lie in the order of their offsets; they are sorted");
            order = BulkOrder::Sorted;
        };
        write(&shared, &log, &tables, &mut views, &skipped, &mut filled).await?;
        range = views.range().next();
    }
    Ok(filled)
}

/// Reads all and folds what lies in the range; none: in another order, please.
async fn pass<'a>(
    shared: &'a Shared,
    log: &'a PartitionLog,
    end: i64,
    order: BulkOrder,
    range: Range,
    skipped: &'a HashSet<i64>,
) -> Result<Option<Views<'a>>, LogError> {
    let mut views = Views::new(&shared.model, log.service(), skipped, range, shared.bound);
    let mut events = log.bulk_events(Role::Projector, end, order).await?;
    let (mut told, mut wrong) = (0, None);
    loop {
        let read = events.next(|event| wrong = wrong.take().or(views.apply(event).err())).await?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let new = events.read() - told;
        if new >= BREATH || read != BulkRead::Some {
            told += new;
            shared.progress.has_read(new);
            shared.throttle.pass(new.cast_unsigned()).await;
            tokio::task::yield_now().await;
        }
        match read {
            BulkRead::Some => {}
            BulkRead::All => return Ok(Some(views)),
            BulkRead::Disorder => {
                shared.progress.has_read(-told);
                return Ok(None);
            }
        }
    }
}

/// Writes all streams of a pass; those that could not be folded as far as they can.
async fn write(
    shared: &Shared,
    log: &PartitionLog,
    tables: &Tables,
    views: &mut Views<'_>,
    skipped: &HashSet<i64>,
    filled: &mut FilledPartition,
) -> Result<(), NotFilled> {
    let mut sheets = Sheets::new(tables, log.service(), log.number());
    let mut again = Vec::new();
    for slot in views.take() {
        let fold = views.fold_of(&slot);
        let rendered = slot.view.as_ref().map(|view| (render(&*fold, view, &slot.stream), fold.encode_view(view)));
        let Some((Ok(parts), view)) = rendered else {
            again.push((slot.stream, fold));
            continue;
        };
        let (stream, keys) = (slot.stream.as_str(), slot.keys.all());
        sheets.add(&StreamRows { stream, offset: slot.offset, version: slot.version, view: &view, keys, parts: &parts });
        filled.folded += slot.folded;
        filled.streams += 1;
        shared.progress.wrote_stream();
        sheets.send_full().await?;
    }
    for (stream, fold) in again {
        let folded = careful::fold(log, &*fold, &stream, filled.next_offset, skipped).await?;
        filled.folded += folded.folded;
        filled.stopped.extend(folded.stopped);
        if folded.version > 0 {
            let (view, keys) = (fold.encode_view(&folded.view), folded.keys.all());
            let (offset, version) = (folded.offset, folded.version);
            sheets.add(&StreamRows { stream: stream.as_str(), offset, version, view: &view, keys, parts: &folded.parts });
            filled.streams += 1;
            sheets.send_full().await?;
        }
    }
    Ok(sheets.send_rest().await?)
}
