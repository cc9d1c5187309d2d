//! One stream, folded event by event, up to the one that can't be folded: as a projector does it before it parks a stream.

use std::collections::HashSet;

use daybook_kernel::{ErasedFold, EventAt, RenderedPart, StreamId, Version, ViewState};
use daybook_log::{LogError, PartitionLog, StoredEvent};

use super::views::Keys;
use crate::batch::{Stopped, render};

/// A stream as far as it can be folded.
pub(crate) struct Folded {
    pub(crate) view: ViewState,
    /// 0: nothing could be folded.
    pub(crate) version: i64,
    pub(crate) offset: i64,
    /// Events that went into the view.
    pub(crate) folded: u64,
    pub(crate) keys: Keys,
    pub(crate) parts: Vec<RenderedPart>,
    /// The event that it stopped at, and why.
    pub(crate) stopped: Option<Stopped>,
}

/// Events of a stream that are in memory at once.
const PAGE: i64 = 500;

/// Folds the events of a stream that stand before `end`, a page after the other.
pub(crate) async fn fold(
    log: &PartitionLog,
    fold: &dyn ErasedFold,
    stream: &StreamId,
    end: i64,
    skipped: &HashSet<i64>,
) -> Result<Folded, LogError> {
    let mut folded =
        Folded { view: fold.new_view(), version: 0, offset: -1, folded: 0, keys: Keys::default(), parts: Vec::new(), stopped: None };
    while folded.stopped.is_none() {
        let page = log.read_stream_after(stream.as_str(), folded.version, PAGE).await?;
        let mut events = page.into_iter().filter(|e| e.offset < end).peekable();
        if events.peek().is_none() {
            break;
        }
        for event in events {
            if let Err(reason) = step(&mut folded, fold, stream, &event, skipped)? {
                folded.stopped = Some(Stopped { stream: stream.clone(), offset: event.offset, reason });
                break;
            }
        }
    }
    Ok(folded)
}

/// One event; the inner error: why it stops there. All is as it was before it, then.
fn step(
    folded: &mut Folded,
    fold: &dyn ErasedFold,
    stream: &StreamId,
    event: &StoredEvent,
    skipped: &HashSet<i64>,
) -> Result<Result<(), String>, LogError> {
    if event.version != folded.version + 1 {
        let (found, stands) = (event.version, folded.version);
        return Ok(Err(format!("the event is version {found} of its stream, but the view stands at version {stands}")));
    }
    if !skipped.contains(&event.offset) {
        let kept = fold.encode_view(&folded.view);
        let at = EventAt { stream, version: Version(event.version.cast_unsigned()), recorded_at: event.recorded_at };
        if let Err(why) = fold.fold(&mut folded.view, &event.type_name, &event.payload, &at) {
            return Ok(Err(format!("{}: {why}", event.type_name)));
        }
        match render(fold, &folded.view, stream) {
            Ok(parts) => folded.parts = parts,
            Err(reason) => {
                folded.view = fold.decode_view(&kept).map_err(|e| LogError::Damaged(format!("{stream}: {e}")))?;
                return Ok(Err(reason));
            }
        }
        folded.folded += 1;
        for part in &folded.parts {
            folded.keys.tell(&part.key);
        }
    }
    (folded.version, folded.offset) = (event.version, event.offset);
    Ok(Ok(()))
}
