//! The views of one partition in memory, or of as many of its streams as there is room for.

use std::collections::HashSet;
use std::sync::Arc;

use daybook_kernel::{ErasedFold, EventAt, ReadModel, StreamId, Version, ViewState};
use daybook_log::{BulkEvent, LogError};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Bytes that a stream costs beyond its id, its view and its keys.
const OVERHEAD: usize = 224;
/// A view is measured again when so many bytes of events have been folded into it, or as many as it had.
const MEASURED_EVERY: usize = 512;

/// Which streams are kept: those whose hash lies between the two, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl Range {
    pub(crate) const ALL: Self = Self { low: 0, high: u64::MAX };

    fn holds(self, rank: u64) -> bool {
        self.low <= rank && rank <= self.high
    }

    /// The lower half; none of a single hash.
    fn halved(self) -> Option<Self> {
        (self.low < self.high).then(|| Self { high: self.low + (self.high - self.low) / 2, ..self })
    }

    /// The range after it, as wide; none when it was the last.
    pub(crate) fn next(self) -> Option<Self> {
        let low = self.high.checked_add(1)?;
        Some(Self { low, high: low.saturating_add(self.high - self.low) })
    }
}

/// A stream on its way.
pub(crate) struct Slot {
    pub(crate) stream: StreamId,
    hash: u64,
    fold: usize,
    /// None: it could not be folded, and is folded again by itself.
    pub(crate) view: Option<ViewState>,
    pub(crate) version: i64,
    /// Of the last event that was folded or passed over.
    pub(crate) offset: i64,
    /// Events that went into the view.
    pub(crate) folded: u64,
    pub(crate) keys: Keys,
    /// Bytes that it is counted with.
    counted: usize,
    /// Of those, what was added since the view was measured.
    unmeasured: usize,
}

/// Keys that a stream has had parts under, sorted. Most streams have one, for ever.
#[derive(Default)]
pub(crate) struct Keys(Vec<Box<str>>);

impl Keys {
    pub(crate) fn tell(&mut self, key: &str) {
        // A text that can't be a part's key has no part: rendering says so.
        if key.is_empty() || key.len() > crate::batch::MAX_KEY || key.contains('\0') {
            return;
        }
        if let Err(at) = self.0.binary_search_by(|known| (**known).cmp(key)) {
            self.0.insert(at, key.into());
        }
    }

    pub(crate) fn all(&self) -> &[Box<str>] {
        &self.0
    }

    fn size(&self) -> usize {
        self.0.iter().map(|k| k.len() + 32).sum()
    }
}

/// The views of one partition, up to a bound.
pub(crate) struct Views<'a> {
    service: &'a str,
    folds: Vec<(&'static str, &'a Arc<dyn ErasedFold>)>,
    skipped: &'a HashSet<i64>,
    range: Range,
    bound: usize,
    counted: usize,
    slots: HashTable<Slot>,
}

impl<'a> Views<'a> {
    /// None yet. `bound` is in bytes, about; `skipped` are offsets.
    pub(crate) fn new(model: &'a ReadModel, service: &'a str, skipped: &'a HashSet<i64>, range: Range, bound: usize) -> Self {
        let folds = model.folds.iter().filter(|f| f.service() == service).map(|f| (f.aggregate(), f)).collect();
        Self { service, folds, skipped, range, bound, counted: 0, slots: HashTable::new() }
    }

    /// Which streams are kept; smaller than what was asked for when there was no room.
    pub(crate) fn range(&self) -> Range {
        self.range
    }

    /// The fold of a stream.
    pub(crate) fn fold_of(&self, slot: &Slot) -> Arc<dyn ErasedFold> {
        self.folds[slot.fold].1.clone()
    }

    /// All streams.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Slot> + Send + use<> {
        std::mem::take(&mut self.slots).into_iter()
    }

    /// Folds one event, in the order of offsets.
    ///
    /// # Errors
    /// When the event's stream id is none.
    pub(crate) fn apply(&mut self, event: BulkEvent<'_>) -> Result<(), LogError> {
        let aggregate = event.stream_id.split_once('/').map_or("", |(aggregate, _)| aggregate);
        let Some(fold) = self.folds.iter().position(|(name, _)| *name == aggregate) else { return Ok(()) };
        let hash = hash(event.stream_id);
        if !self.range.holds(rank(hash)) {
            return Ok(());
        }
        let slot = match self.slots.entry(hash, |s| s.stream.as_str() == event.stream_id, |s| s.hash) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let stream = StreamId::parse(event.stream_id)
                    .map_err(|why| LogError::Damaged(format!("{} offset {}: {why}", self.service, event.offset)))?;
                let counted = OVERHEAD + event.stream_id.len();
                self.counted += counted;
                let view = Some(self.folds[fold].1.new_view());
                let new =
                    Slot { stream, hash, fold, view, version: 0, offset: -1, folded: 0, keys: Keys::default(), counted, unmeasured: 0 };
                entry.insert(new).into_mut()
            }
        };
        let before = slot.counted;
        step(slot, &**self.folds[fold].1, event, self.skipped);
        self.counted = self.counted + slot.counted - before;
        if self.counted > self.bound {
            self.give_up_half();
        }
        Ok(())
    }

    fn give_up_half(&mut self) {
        // A single stream that has no room alone is folded all the same: there is no smaller piece.
        while self.counted > self.bound
            && self.slots.len() > 1
            && let Some(lower) = self.range.halved()
        {
            self.range = lower;
            self.slots.retain(|s| lower.holds(rank(s.hash)));
            self.counted = self.slots.iter().map(|s| s.counted).sum();
        }
    }
}

/// Folds an event. Where it can't be folded the view is thrown away.
fn step(slot: &mut Slot, fold: &dyn ErasedFold, event: BulkEvent<'_>, skipped: &HashSet<i64>) {
    let Slot { view: Some(view), keys, stream, .. } = slot else { return };
    if event.version != slot.version + 1 {
        slot.view = None;
        return;
    }
    if skipped.is_empty() || !skipped.contains(&event.offset) {
        let at = EventAt { stream, version: Version(event.version.cast_unsigned()), recorded_at: event.recorded_at };
        if fold.fold_in_place(view, event.type_name, event.payload, &at, &mut |key| keys.tell(key)).is_err() {
            slot.view = None;
            return;
        }
        slot.folded += 1;
        slot.unmeasured += 2 * event.payload.len();
        slot.counted += 2 * event.payload.len();
        if slot.unmeasured > MEASURED_EVERY.max(slot.counted - slot.unmeasured) {
            slot.counted = OVERHEAD + stream.as_str().len() + keys.size() + fold.view_size(view);
            slot.unmeasured = 0;
        }
    }
    (slot.version, slot.offset) = (event.version, event.offset);
}

/// Of the middle bits, for the table places by the lowest and compares the highest.
fn rank(hash: u64) -> u64 {
    hash.rotate_left(32)
}

/// Eight bytes at a time, each mixed in by a multiplication whose halves are folded together. No secret: what could be made
/// to collide makes a rebuild slower, not wrong.
fn hash(text: &str) -> u64 {
    const MIX: u128 = 0x9e37_79b9_7f4a_7c15;
    let fold = |h: u64, word: u64| {
        let product = u128::from(h ^ word) * MIX;
        (product as u64) ^ (product >> 64) as u64
    };
    let bytes = text.as_bytes();
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let seed = 0x2545_f491_4f6c_dd1d ^ (bytes.len() as u64);
    let mixed = words.iter().fold(seed, |h, word| fold(h.rotate_left(23), u64::from_le_bytes(*word)));
    fold(fold(mixed.rotate_left(23), u64::from_le_bytes(last)), 0x1656_67b1_9e37_79f9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_halved_and_followed_up_cover_every_hash_once() {
        for halvings in [0, 1, 3, 10] {
            let mut range = Range::ALL;
            for _ in 0..halvings {
                range = range.halved().expect("wide enough");
            }
            let mut covered: u128 = 0;
            let mut low = 0;
            loop {
                assert_eq!(range.low, low);
                covered += u128::from(range.high - range.low) + 1;
                let Some(next) = range.next() else { break };
                (range, low) = (next, next.low);
            }
            assert_eq!(covered, 1 << 64, "{halvings}");
            assert_eq!(range.high, u64::MAX);
        }
        assert_eq!(Range { low: 7, high: 7 }.halved(), None);
    }

    #[test]
    fn the_hash_spreads_streams_over_ranges_and_over_the_table() {
        let (mut lower, mut low_bits) = (0, std::collections::HashSet::new());
        for n in 0..10_000 {
            let h = hash(&format!("product/SKU-{n}"));
            lower += u32::from(rank(h) < u64::MAX / 2);
            low_bits.insert(h & 0x3ff);
        }
        assert!((4_700..5_300).contains(&lower), "{lower} of 10000 in the lower half");
        assert_eq!(low_bits.len(), 1_024);
    }
}
