//! Views that a partition keeps in memory, the least recently used ones given up first.

use daybook_kernel::{StreamId, ViewState};
use lru::LruCache;

/// The view of one stream.
pub(crate) struct View {
    pub(crate) state: ViewState,
    /// Of the last event folded into it.
    pub(crate) version: i64,
}

/// Bytes that a view costs beyond its encoding.
const OVERHEAD: usize = 256;

/// Views as they were last committed, up to a number of bytes (as they are encoded).
pub(crate) struct Held {
    views: LruCache<StreamId, (View, usize)>,
    bytes: usize,
    bound: usize,
}

impl Held {
    pub(crate) fn new(bound: usize) -> Self {
        Self { views: LruCache::unbounded(), bytes: 0, bound }
    }

    /// Takes a view out: while a batch works on it, it is not the committed one.
    pub(crate) fn take(&mut self, stream: &StreamId) -> Option<View> {
        let (view, size) = self.views.pop(stream)?;
        self.bytes -= size;
        Some(view)
    }

    /// Keeps a view that was committed.
    pub(crate) fn put(&mut self, stream: StreamId, view: View, encoded: usize) {
        let size = encoded + stream.as_str().len() + OVERHEAD;
        if let Some((_, before)) = self.views.put(stream, (view, size)) {
            self.bytes -= before;
        }
        self.bytes += size;
        while self.bytes > self.bound {
            let Some((_, (_, size))) = self.views.pop_lru() else { break };
            self.bytes -= size;
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.views.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> StreamId {
        StreamId::new("product", &n.to_string())
    }

    #[test]
    fn it_holds_what_was_used_last_and_no_more_than_its_bound() {
        let fold = shop_projectors::read_models()[0].folds[0].clone();
        let view = |version| View { state: fold.new_view(), version };
        let mut held = Held::new(3 * (OVERHEAD + 20));
        for n in 0..3 {
            held.put(id(n), view(1), 10);
        }
        let first = held.take(&id(0)).expect("held");
        held.put(id(0), first, 10);
        held.put(id(3), view(1), 10);
        assert!(held.take(&id(1)).is_none(), "it was used least recently");
        assert_eq!(held.take(&id(0)).expect("used again").version, 1);
        held.put(id(2), view(2), 10);
        held.put(id(2), view(3), 10);
        assert_eq!(held.take(&id(2)).expect("held").version, 3);
        held.put(id(9), view(1), 1 << 20);
        assert!(held.take(&id(9)).is_none(), "larger than the bound");
        held.clear();
        assert_eq!(held.bytes, 0);
    }
}
