//! Entries: the parts of a key, a page of a list, or what its items are filled with, as far as they are known to be; and the forms
//! in which they are served.

mod form;
mod made;
mod part;
pub(crate) mod render;
mod view;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::HeaderValue;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;

pub(crate) use form::{Form, Forms, Representation, etag};
pub(crate) use made::{Filled, MadePage, finish, represent};
pub(crate) use part::{Part, PartNow, Parts};
pub(crate) use view::{BETWEEN, PartsQuery, View, Views};

use crate::source::Position;

/// An entry after a change of one of its parts.
pub(crate) enum After {
    /// As it was: it says that already, or more.
    Same,
    Changed(Box<Entry>),
    /// Nobody can tell: something else is said of the same position. It must be read.
    Unsure,
}

/// All parts of a [view](View), a key most often, at one moment. It never changes: a change makes another one.
pub(crate) struct Entry {
    /// Entries of another era than the generation's are not to be believed.
    pub(crate) era: u64,
    parts: Parts,
    /// The sources that it rests on, in order.
    sources: Vec<u16>,
    /// Where it was read from a state that was further than what had been pushed, in order.
    ahead: Vec<(u16, Position)>,
    /// The parked streams that it shows, separated by commas.
    stale: Option<HeaderValue>,
    forms: Forms,
    /// Whether its read model's root is there.
    rooted: OnceLock<bool>,
    /// The positions that it was answered with last, and the text of them.
    written: Mutex<Option<(Vec<Position>, Option<HeaderValue>)>>,
    /// The encoded event for those who subscribe.
    pub(crate) event: OnceLock<Bytes>,
    /// Where more is shown than its parts' bytes: a list's page, or one that is filled or finished.
    pub(crate) page: OnceLock<Result<Box<MadePage>, Arc<str>>>,
    /// Bytes that are kept for it elsewhere.
    beside: usize,
}

/// About what an entry costs beyond its bytes.
const OVERHEAD: usize = 600;
/// About what a part costs beyond its bytes.
const PART_OVERHEAD: usize = 96;

impl Entry {
    /// `parts` in any order; `ahead` in order.
    pub(crate) fn new(era: u64, parts: Vec<Arc<Part>>, ahead: Vec<(u16, Position)>) -> Self {
        let parts = Parts::new(parts);
        let sources: BTreeSet<u16> = parts.iter().map(|p| p.source).collect();
        Self::with(era, parts, sources.into_iter().collect(), ahead)
    }

    fn with(era: u64, parts: Parts, sources: Vec<u16>, ahead: Vec<(u16, Position)>) -> Self {
        let parked: BTreeSet<&str> = parts.iter().filter_map(|p| p.stale.as_deref()).collect();
        let parked: Vec<&str> = parked.into_iter().collect();
        let stale = (!parked.is_empty()).then(|| HeaderValue::try_from(parked.join(", ")).ok()).flatten();
        let (forms, rooted, written, event, page) = (Forms::default(), OnceLock::new(), Mutex::default(), OnceLock::new(), OnceLock::new());
        Self { era, parts, sources, ahead, stale, forms, rooted, written, event, page, beside: 0 }
    }

    /// Rests on that many sources: all there are. `beside` bytes are kept for it elsewhere.
    pub(crate) fn resting_on(self, sources: usize, beside: usize) -> Self {
        Self { sources: (0..).take(sources).collect(), beside, ..self }
    }

    /// The entry of a view with what has become of one of its parts, when all that came before `known` is in it. A page with a next
    /// one says nothing of what lies behind its last part.
    pub(crate) fn after(&self, view: &View, now: &PartNow, known: Position) -> After {
        if view.is_behind(&now.id, &self.parts) {
            return After::Same;
        }
        let known = known.max(self.ahead(now.source));
        if now.to < known {
            return After::Same;
        }
        let found = self.parts.place(&now.id);
        let same = match (found, &now.part) {
            (Ok(at), Some(part)) => self.parts[at] == *part,
            // Its place was taken by another source's part: what is gone is not this one.
            (Ok(at), None) => self.parts[at].source != now.source,
            (Err(_), part) => part.is_none(),
        };
        if same {
            return After::Same;
        }
        // What a position covers is changed in place where a parked stream is mended; and it may be pushed again, late, by
        // one who did not know of that.
        if now.to == known {
            return After::Unsure;
        }
        let mut parts = self.parts.to_vec();
        match (found, &now.part) {
            (Ok(at), Some(part)) => parts[at] = part.clone(),
            (Ok(at), None) => drop(parts.remove(at)),
            (Err(at), Some(part)) => parts.insert(at, part.clone()),
            (Err(_), None) => {}
        }
        if let Some(most) = view.most() {
            // Which part moves up, only the database knows.
            if self.parts.len() > most && parts.len() < self.parts.len() {
                return After::Unsure;
            }
            parts.truncate(most.saturating_add(1));
        }
        // Also one whose part is gone: that it is gone is what the entry says of it.
        let mut sources = self.sources.clone();
        if let Err(at) = sources.binary_search(&now.source) {
            sources.insert(at, now.source);
        }
        let ahead = self.ahead.iter().filter(|(source, at)| *source != now.source || *at > now.to).copied().collect();
        After::Changed(Box::new(Self { beside: self.beside, ..Self::with(self.era, Parts::in_order(parts), sources, ahead) }))
    }

    /// The position that it was read at, where that is beyond what had been pushed; else unknown.
    pub(crate) fn ahead(&self, source: u16) -> Position {
        self.ahead.iter().find(|(s, _)| *s == source).map_or(Position::UNKNOWN, |(_, at)| *at)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn sources(&self) -> &[u16] {
        &self.sources
    }

    /// The parked streams that it shows: what they show is older than the log.
    pub(crate) fn stale(&self) -> Option<&HeaderValue> {
        self.stale.as_ref()
    }

    /// The text of its positions: that of last time, where they are the same, or what `write` makes.
    pub(crate) fn written(&self, positions: &[Position], write: impl FnOnce() -> Option<HeaderValue>) -> Option<HeaderValue> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match &*written {
            Some((at, text)) if at == positions => text.clone(),
            _ => {
                let text = write();
                *written = Some((positions.to_vec(), text.clone()));
                text
            }
        }
    }

    /// [Whether](Self::has) the root of its read model is there, which is looked for once.
    pub(crate) fn is_rooted(&self, root: &str) -> bool {
        *self.rooted.get_or_init(|| self.has(root))
    }

    /// Whether there is a part whose id begins with this.
    pub(crate) fn has(&self, root: &str) -> bool {
        self.parts.beginning(root).next().is_some()
    }

    /// A form of it; made when it is asked for first. The second value: it was made now, so the entry weighs more.
    ///
    /// # Errors
    /// When the parts are no such message.
    pub(crate) fn form(&self, form: Form, message: &MessageDescriptor) -> (Result<&Representation, Arc<str>>, bool) {
        self.forms.get(form, || {
            let bytes = self.parts.merged();
            match form {
                Form::Protobuf => Ok(bytes),
                Form::Json => Ok(render::json(message, &bytes)?.into()),
            }
        })
    }

    /// About how many bytes it holds, its forms included.
    pub(crate) fn weight(&self) -> usize {
        let parts: usize = self.parts.iter().map(|p| PART_OVERHEAD + p.id.len() + p.bytes.len()).sum();
        let page = self.page.get().and_then(|page| page.as_ref().ok()).map_or(0, |page| page.weight());
        OVERHEAD + self.beside + parts + self.forms.weight() + page + self.event.get().map_or(0, Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str, bytes: &'static [u8], source: u16) -> Arc<Part> {
        Arc::new(Part { id: id.into(), bytes: Bytes::from_static(bytes), source, stale: None })
    }

    fn now(id: &str, part: Option<Arc<Part>>, source: u16, to: i64) -> PartNow {
        PartNow { id: id.into(), source, part, to: Position::new(1, to) }
    }

    fn changed(entry: &Entry, now: &PartNow) -> Entry {
        match entry.after(&View::all("k"), now, Position::new(1, 4)) {
            After::Changed(next) => *next,
            After::Same => panic!("the same"),
            After::Unsure => panic!("unsure"),
        }
    }

    fn is_same(entry: &Entry, now: &PartNow) -> bool {
        matches!(entry.after(&View::all("k"), now, Position::new(1, 4)), After::Same)
    }

    #[test]
    fn a_part_is_put_in_byte_order_replaced_and_taken_away() {
        let entry = Entry::new(1, vec![part("b", b"2", 0), part("a", b"1", 1)], Vec::new());
        assert_eq!(entry.parts().merged(), "12");
        let entry = changed(&entry, &now("B", Some(part("B", b"0", 2)), 2, 5));
        assert_eq!((entry.parts().merged().as_ref(), entry.sources()), (&b"012"[..], &[0, 1, 2][..]));
        let entry = changed(&entry, &now("b", None, 0, 6));
        assert_eq!((entry.parts().merged().as_ref(), entry.sources()), (&b"01"[..], &[0, 1, 2][..]), "what is gone still counts");
        assert!(is_same(&entry, &now("b", None, 0, 7)));
        assert!(is_same(&entry, &now("a", None, 0, 8)), "another source's part");
        assert!(is_same(&entry, &now("a", Some(part("a", b"1", 1)), 1, 9)), "the same bytes");
    }

    #[test]
    fn what_was_read_further_ahead_is_not_replaced_by_what_is_older() {
        let entry = Entry::new(1, vec![part("a", b"as of 10", 0)], vec![(0, Position::new(1, 10))]);
        assert!(is_same(&entry, &now("a", Some(part("a", b"as of 9", 0)), 0, 9)));
        assert!(is_same(&entry, &now("a", Some(part("a", b"as of 10", 0)), 0, 10)));
        let another = now("a", Some(part("a", b"mended at 10, or older", 0)), 0, 10);
        assert!(matches!(entry.after(&View::all("k"), &another, Position::UNKNOWN), After::Unsure));
        let after = changed(&entry, &now("a", Some(part("a", b"as of 11", 0)), 0, 11));
        assert_eq!((after.parts().merged().as_ref(), after.ahead(0)), (&b"as of 11"[..], Position::UNKNOWN));
    }

    #[test]
    fn what_is_pushed_of_one_source_leaves_what_was_read_of_another_as_far_as_it_was() {
        let ahead = vec![(0, Position::new(1, 10)), (1, Position::new(1, 5))];
        let entry = Entry::new(1, vec![part("a", b"1", 0), part("B", b"2", 1)], ahead);
        assert_eq!(entry.parts().merged(), "21", "in byte order");
        let after = changed(&entry, &now("a", Some(part("a", b"3", 0)), 0, 11));
        assert_eq!((after.ahead(0), after.ahead(1)), (Position::UNKNOWN, Position::new(1, 5)));
    }

    #[test]
    fn positions_are_written_anew_when_they_are_others() {
        let entry = Entry::new(1, Vec::new(), Vec::new());
        let written = |next: i64| {
            let text = HeaderValue::try_from(next.to_string()).ok();
            entry.written(&[Position::new(1, next)], || text).expect("it is written")
        };
        assert_eq!([written(1), written(1), written(2), written(1)], ["1", "1", "2", "1"]);
    }

    #[test]
    fn the_root_is_found_by_its_prefix() {
        let entry = Entry::new(1, vec![part("details", b"", 0), part("stock/a", b"", 1)], Vec::new());
        assert!(entry.has("details") && entry.has("stock/") && entry.has("det"));
        assert!(!entry.has("d/") && !entry.has("z"));
    }

    fn page_of(most: usize, ids: &[&str]) -> (View, Entry) {
        (View::page("k", Some("b"), most), Entry::new(1, ids.iter().map(|id| part(id, b"x", 0)).collect(), Vec::new()))
    }

    /// The ids after a part has come, or gone; none: it must be read.
    fn ids(of: &(View, Entry), id: &str, comes: bool) -> Option<Vec<String>> {
        let now = PartNow { id: id.into(), source: 0, part: comes.then(|| part(id, b"x", 0)), to: Position::new(1, 9) };
        let ids = |entry: &Entry| entry.parts().iter().map(|p| p.id.to_string()).collect();
        match of.1.after(&of.0, &now, Position::new(1, 4)) {
            After::Same => Some(ids(&of.1)),
            After::Changed(next) => Some(ids(&next)),
            After::Unsure => None,
        }
    }

    #[test]
    fn a_page_with_a_next_one_pushes_its_last_part_out_and_is_read_when_one_must_move_up() {
        let page = page_of(2, &["c", "e", "g"]);
        assert_eq!(ids(&page, "d", true).expect("known"), ["c", "d", "e"]);
        assert_eq!(ids(&page, "h", true).expect("known"), ["c", "e", "g"], "that is behind it");
        assert_eq!(ids(&page, "h", false).expect("known"), ["c", "e", "g"]);
        assert_eq!(ids(&page, "e", false), None);
        assert_eq!(ids(&page, "g", false), None, "whether there is a next page");
    }

    #[test]
    fn the_last_page_knows_all_that_is_behind_its_beginning() {
        let page = page_of(2, &["c", "e"]);
        assert_eq!(ids(&page, "h", true).expect("known"), ["c", "e", "h"], "there is a next page now");
        assert_eq!(ids(&page, "e", false).expect("known"), ["c"]);
        assert_eq!(page.0.part_id("k", "b"), None);
        assert_eq!(page.0.part_id("k", "ba").as_deref(), Some("ba"));
    }
}
