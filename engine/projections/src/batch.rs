//! Folding a batch: views go in, changes come out. Pure, so that it can be thrown away and done again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use daybook_follow::Event;
use daybook_kernel::{ErasedFold, EventAt, ReadModel, RenderedPart, StreamId, Version, ViewState};

use crate::held::View;

/// The longest key of a part, in bytes: the query API takes no longer one.
pub(crate) const MAX_KEY: usize = 512;
/// The longest part id, in bytes: with its key it must fit an index row.
const MAX_PART: usize = 1_024;

/// A stream's view before a batch.
pub(crate) enum Before {
    /// It was in memory.
    Held(View),
    /// As the database has it.
    Stored { version: i64, bytes: Vec<u8> },
    /// The stream has no events yet.
    New,
}

/// The event that a stream stopped at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub(crate) stream: StreamId,
    pub(crate) offset: i64,
    pub(crate) reason: String,
}

/// The change of one part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) stream: StreamId,
    /// Of the last event that the part rests on.
    pub(crate) offset: i64,
    /// None: it is deleted.
    pub(crate) bytes: Option<Vec<u8>>,
    /// It is there before the batch, as far as the view says.
    pub(crate) is_known: bool,
    /// It is as it was: its row is written for the view alone that it holds now, or holds no longer.
    pub(crate) is_same: bool,
    /// The view of its stream, whose only part it is: it is kept in the part's row.
    pub(crate) view: Option<PartView>,
}

/// A view that is kept in the row of its stream's only part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartView {
    /// Of the last event folded into it.
    pub(crate) version: i64,
    /// None: it equals the part.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// Events that an operator decided to do without, by stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skipped(HashMap<String, BTreeSet<i64>>);

impl Skipped {
    pub(crate) fn add(&mut self, stream: String, offset: i64) {
        self.0.entry(stream).or_default().insert(offset);
    }

    fn has(&self, event: &Event) -> bool {
        self.0.get(event.stream.as_str()).is_some_and(|offsets| offsets.contains(&event.offset))
    }
}

/// A view after a batch, as it is written.
pub(crate) struct ViewRow {
    pub(crate) stream: StreamId,
    pub(crate) offset: i64,
    pub(crate) version: i64,
    /// None: it is kept in the row of the stream's only part.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Encoded bytes, wherever they are kept.
    pub(crate) size: usize,
    /// It is there before the batch, and was kept as it is now: in a part's row, or in one of its own.
    pub(crate) is_known: bool,
}

/// All that a batch changes. Sorted, so that two partitions never wait for each other's rows in turn.
#[derive(Default)]
pub(crate) struct Changes {
    pub(crate) parts: BTreeMap<(String, String), Change>,
    /// The keys that a stream has come to have a part under, be it only between two events of the batch.
    pub(crate) writers: BTreeSet<(String, StreamId)>,
    pub(crate) views: Vec<ViewRow>,
    pub(crate) stopped: Vec<Stopped>,
}

impl Changes {
    /// Whether it changes rows that are there, and nothing else.
    pub(crate) fn only_updates(&self) -> bool {
        self.stopped.is_empty()
            && self.writers.is_empty()
            && self.views.iter().all(|view| view.is_known)
            && self.parts.values().all(|part| part.is_known && part.bytes.is_some())
    }

    /// Whether it takes parts away.
    pub(crate) fn removes(&self) -> bool {
        self.parts.values().any(|part| part.bytes.is_none())
    }
}

/// The outcome of a batch.
#[derive(Default)]
pub(crate) struct Folded {
    pub(crate) changes: Changes,
    /// The views of `changes.views`, in the same order: to be kept once they are committed.
    pub(crate) views: Vec<View>,
    /// Events that went into views.
    pub(crate) events: u64,
}

/// The pace of folding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Folds in place. What can't be folded or rendered ends it.
    Quick,
    /// Keeps the state before each event, so that what can't be folded or rendered parks its stream at that very event.
    Careful,
}

struct Stream {
    fold: Arc<dyn ErasedFold>,
    view: View,
    /// It has a view before the batch.
    is_known: bool,
    rendered: Vec<RenderedPart>,
    /// The keys rendered after each event but the last.
    passed: BTreeSet<String>,
    /// Of the last event folded in this batch.
    offset: Option<i64>,
}

/// Folds events, all of streams that `model` reads, in order.
///
/// # Errors
/// At the quick pace: where the first stream stopped. Nothing is changed; fold again, carefully.
pub(crate) fn fold(
    model: &ReadModel,
    service: &str,
    events: &[&Event],
    mut before: HashMap<StreamId, Before>,
    skipped: &Skipped,
    pace: Pace,
) -> Result<Folded, Stopped> {
    let mut streams: HashMap<StreamId, Stream> = HashMap::new();
    let mut folded = Folded::default();
    let mut waiting: HashSet<StreamId> = HashSet::new();
    for event in events {
        if waiting.contains(&event.stream) {
            continue;
        }
        if let Err(reason) = step(model, service, event, &mut streams, &mut before, skipped, pace) {
            let stop = Stopped { stream: event.stream.clone(), offset: event.offset, reason };
            if pace == Pace::Quick {
                return Err(stop);
            }
            waiting.insert(event.stream.clone());
            folded.changes.stopped.push(stop);
        } else {
            folded.events += 1;
        }
    }
    let mut streams: Vec<_> = streams.into_iter().collect();
    streams.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut only_places = Vec::new();
    for (id, stream) in streams {
        let Some(offset) = stream.offset else { continue };
        let after = render(&*stream.fold, &stream.view.state, &id).map_err(|reason| Stopped { stream: id.clone(), offset, reason })?;
        let keys = stream.passed.into_iter().chain(after.iter().map(|p| p.key.clone()));
        let new = keys.filter(|key| !stream.rendered.iter().any(|before| before.key == *key));
        folded.changes.writers.extend(new.map(|key| (key, id.clone())));
        let bytes = stream.fold.encode_view(&stream.view.state);
        let size = bytes.len();
        let (was_in_a_part, only) = (stream.rendered.len() == 1, only_place(&after));
        if was_in_a_part || only.is_some() {
            write_unchanged(&mut folded.changes.parts, &id, offset, &stream.rendered, &after);
        }
        difference(&mut folded.changes.parts, &id, offset, stream.rendered, after);
        let is_known = stream.is_known && was_in_a_part == only.is_some();
        folded.changes.views.push(ViewRow { stream: id, offset, version: stream.view.version, bytes: Some(bytes), size, is_known });
        folded.views.push(stream.view);
        only_places.push(only);
    }
    keep_in_parts(&mut folded.changes, only_places);
    Ok(folded)
}

/// The place of an only part.
fn only_place(parts: &[RenderedPart]) -> Option<(String, String)> {
    match parts {
        [only] => Some((only.key.clone(), only.part.clone())),
        _ => None,
    }
}

/// Has the parts of a stream written that stay as they are: the row of an only part holds the stream's view.
fn write_unchanged(
    changes: &mut BTreeMap<(String, String), Change>,
    stream: &StreamId,
    offset: i64,
    before: &[RenderedPart],
    after: &[RenderedPart],
) {
    for part in after.iter().filter(|part| before.contains(part)) {
        changes.entry((part.key.clone(), part.part.clone())).or_insert_with(|| Change {
            stream: stream.clone(),
            offset,
            bytes: Some(part.bytes.clone()),
            is_known: true,
            is_same: true,
            view: None,
        });
    }
}

/// Puts the view of each stream that has exactly one part into that part's row; `only`: its place, for each view.
fn keep_in_parts(changes: &mut Changes, only: Vec<Option<(String, String)>>) {
    for (row, place) in changes.views.iter_mut().zip(only) {
        let Some(place) = place else { continue };
        match changes.parts.get_mut(&place).filter(|change| change.stream == row.stream) {
            Some(change) => {
                let bytes = row.bytes.take().filter(|bytes| Some(bytes) != change.bytes.as_ref());
                change.view = Some(PartView { version: row.version, bytes });
            }
            // Another stream has come to have a part there.
            None => row.is_known = false,
        }
    }
}

/// Folds one event. On an error the stream is as it was before it; at the quick pace it may be half changed, and is thrown away.
fn step(
    model: &ReadModel,
    service: &str,
    event: &Event,
    streams: &mut HashMap<StreamId, Stream>,
    before: &mut HashMap<StreamId, Before>,
    skipped: &Skipped,
    pace: Pace,
) -> Result<(), String> {
    if !streams.contains_key(&event.stream) {
        let fold = model.fold(service, event.stream.aggregate()).ok_or("no projection folds it")?;
        let stream = begin(fold, &event.stream, before.remove(&event.stream).unwrap_or(Before::New))?;
        streams.insert(event.stream.clone(), stream);
    }
    let Some(stream) = streams.get_mut(&event.stream) else { return Ok(()) };
    let Stream { fold, view, offset, passed, .. } = stream;
    if event.version != view.version + 1 {
        return Err(format!("the event is version {} of its stream, but the view stands at version {}", event.version, view.version));
    }
    if skipped.has(event) {
        // As if it had changed nothing; its version counts, for the next one follows it.
        view.version = event.version;
        *offset = Some(event.offset);
        return Ok(());
    }
    if offset.is_some() {
        // Parts that stood between two events of a batch are never written, but a read model as it was must find its writers, and where a
        // batch ends must not decide what parks.
        passed.extend(render(&**fold, &view.state, &event.stream)?.into_iter().map(|p| p.key));
    }
    let kept = (pace == Pace::Careful).then(|| fold.encode_view(&view.state));
    let version = Version(u64::try_from(event.version).unwrap_or_default());
    let at = EventAt { stream: &event.stream, version, recorded_at: event.recorded_at };
    let folded = fold.fold_decoded(&mut view.state, &event.type_name, &event.payload, &event.decoded, &at);
    let mut outcome = folded.map_err(|e| format!("{}: {e}", event.type_name));
    if let Some(kept) = kept {
        outcome = outcome.and_then(|()| render(&**fold, &view.state, &event.stream).map(drop));
        if outcome.is_err() {
            view.state = fold.decode_view(&kept).map_err(|e| e.to_string())?;
        }
    }
    outcome?;
    view.version = event.version;
    *offset = Some(event.offset);
    Ok(())
}

/// A stream as it stands before the batch.
fn begin(fold: &Arc<dyn ErasedFold>, id: &StreamId, before: Before) -> Result<Stream, String> {
    let view = match before {
        // Parts that a stream without events would render were never written.
        Before::New => {
            return Ok(Stream {
                view: View { state: fold.new_view(), version: 0 },
                is_known: false,
                fold: fold.clone(),
                rendered: Vec::new(),
                passed: BTreeSet::new(),
                offset: None,
            });
        }
        Before::Held(view) => view,
        Before::Stored { version, bytes } => {
            View { state: fold.decode_view(&bytes).map_err(|e| format!("its view can't be read: {e}"))?, version }
        }
    };
    let rendered = render(&**fold, &view.state, id)?;
    Ok(Stream { fold: fold.clone(), view, is_known: true, rendered, passed: BTreeSet::new(), offset: None })
}

/// The parts of a view, when they can be kept.
pub(crate) fn render(fold: &dyn ErasedFold, view: &ViewState, stream: &StreamId) -> Result<Vec<RenderedPart>, String> {
    let parts = fold.render(view, stream).map_err(|e| e.to_string())?;
    let fits = |text: &str, longest: usize| !text.is_empty() && text.len() <= longest && !text.contains('\0');
    match parts.iter().find(|p| !fits(&p.key, MAX_KEY) || !fits(&p.part, MAX_PART)) {
        Some(p) => Err(format!(
            "it renders a part with key {:?} and id {:?}: they must not be empty or hold a zero byte, and have at most {MAX_KEY} and {MAX_PART} bytes",
            p.key.chars().take(100).collect::<String>(),
            p.part.chars().take(100).collect::<String>(),
        )),
        None => Ok(parts),
    }
}

/// The changes to write so that `before` becomes `after`; both are sorted.
pub(crate) fn difference(
    changes: &mut BTreeMap<(String, String), Change>,
    stream: &StreamId,
    offset: i64,
    before: Vec<RenderedPart>,
    after: Vec<RenderedPart>,
) {
    let mut old: BTreeMap<(String, String), Vec<u8>> = before.into_iter().map(|p| ((p.key, p.part), p.bytes)).collect();
    for RenderedPart { key, part, bytes } in after {
        let place = (key, part);
        let before = old.remove(&place);
        if before.as_ref() != Some(&bytes) {
            let (stream, is_known) = (stream.clone(), before.is_some());
            changes.insert(place, Change { stream, offset, bytes: Some(bytes), is_known, is_same: false, view: None });
        }
    }
    for place in old.into_keys() {
        // A part is one stream's for ever. Were it not so, the one that is there would have to win.
        let stream = stream.clone();
        changes.entry(place).or_insert(Change { stream, offset, bytes: None, is_known: true, is_same: false, view: None });
    }
}

#[cfg(test)]
mod tests;
