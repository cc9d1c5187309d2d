//! What is held of one key: its parts, as far as they are known to be, and the forms in which they are served.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use daybook_kernel::digest;
use prost_reflect::MessageDescriptor;

use crate::list::Page;
use crate::negotiate::Form;
use crate::position::Position;
use crate::render;

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) id: Box<str>,
    pub(crate) bytes: Bytes,
    /// Which source writes it: its place among those of the generation.
    pub(crate) source: u16,
    /// Its stream, where that is parked.
    pub(crate) stale: Option<Box<str>>,
}

/// What has become of a part.
#[derive(Clone, Debug)]
pub(crate) struct PartNow {
    pub(crate) id: Box<str>,
    pub(crate) source: u16,
    /// None: it is gone.
    pub(crate) part: Option<Arc<Part>>,
    /// All changes of its source before it are in what it says.
    pub(crate) to: Position,
}

/// What an entry is after a change of one of its parts.
pub(crate) enum After {
    /// As it was: it says that already, or more.
    Same,
    Changed(Box<Entry>),
    /// Nobody can tell: something else is said of the same position. It must be read.
    Unsure,
}

/// A form of an entry, as it is served.
pub(crate) struct Shown {
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
}

/// Both forms, each made when it is asked for first.
#[derive(Default)]
pub(crate) struct Forms([OnceLock<Result<Shown, Arc<str>>>; 2]);

impl Forms {
    /// A form, and whether it was made now: then there are more bytes of them.
    ///
    /// # Errors
    /// As `make`'s, which makes the body.
    pub(crate) fn get(&self, form: Form, make: impl FnOnce() -> Result<Bytes, String>) -> (Result<&Shown, Arc<str>>, bool) {
        let mut made = false;
        let shown = self.0[form as usize].get_or_init(|| {
            made = true;
            let body = make()?;
            let etag = HeaderValue::try_from(etag(form, &body)).map_err(|e| e.to_string())?;
            Ok(Shown { body, etag })
        });
        (shown.as_ref().map_err(Arc::clone), made)
    }

    /// How many bytes there are of them.
    pub(crate) fn weight(&self) -> usize {
        self.0.iter().filter_map(OnceLock::get).flatten().map(|shown| shown.body.len()).sum()
    }
}

/// All parts of a [view](crate::view::View), a key most often, at one moment. Never changed: a change makes another one.
pub(crate) struct Entry {
    /// Entries of another era than the generation's are not to be believed.
    pub(crate) era: u64,
    parts: Vec<Arc<Part>>,
    /// The sources that it rests on, in order.
    sources: Vec<u16>,
    /// Where it was read from a state that was further than what had been pushed, in order.
    ahead: Vec<(u16, Position)>,
    /// The parked streams that it shows, separated by commas.
    stale: Option<HeaderValue>,
    forms: Forms,
    /// Whether its read model's root is there.
    rooted: OnceLock<bool>,
    /// The positions that it was told with last, and how they are written.
    told: Mutex<Option<(Vec<Position>, Option<HeaderValue>)>>,
    /// The encoded event for those who subscribe.
    pub(crate) event: OnceLock<Bytes>,
    /// Where it is a list's page: what that shows.
    pub(crate) page: OnceLock<Result<Box<Page>, Arc<str>>>,
    /// What else is kept for it, in bytes.
    beside: usize,
}

/// About what an entry costs beyond its bytes.
const OVERHEAD: usize = 600;
/// About what a part costs beyond its bytes.
const PART_OVERHEAD: usize = 96;

impl Entry {
    /// `parts` in any order; `ahead` in order.
    pub(crate) fn new(era: u64, mut parts: Vec<Arc<Part>>, ahead: Vec<(u16, Position)>) -> Self {
        parts.sort_unstable_by(|a, b| a.id.as_bytes().cmp(b.id.as_bytes()));
        let sources: BTreeSet<u16> = parts.iter().map(|p| p.source).collect();
        Self::with(era, parts, sources.into_iter().collect(), ahead)
    }

    fn with(era: u64, parts: Vec<Arc<Part>>, sources: Vec<u16>, ahead: Vec<(u16, Position)>) -> Self {
        let parked: BTreeSet<&str> = parts.iter().filter_map(|p| p.stale.as_deref()).collect();
        let parked: Vec<&str> = parked.into_iter().collect();
        let stale = (!parked.is_empty()).then(|| HeaderValue::try_from(parked.join(", ")).ok()).flatten();
        let (forms, rooted, told, event, page) = (Forms::default(), OnceLock::new(), Mutex::default(), OnceLock::new(), OnceLock::new());
        Self { era, parts, sources, ahead, stale, forms, rooted, told, event, page, beside: 0 }
    }

    /// Rests on that many sources: all there are. `beside` bytes are kept for it elsewhere.
    pub(crate) fn resting_on(self, sources: usize, beside: usize) -> Self {
        Self { sources: (0..).take(sources).collect(), beside, ..self }
    }

    /// Keeps so many parts, the first ones.
    pub(crate) fn cut(&mut self, most: usize) {
        self.parts.truncate(most);
    }

    /// With what has become of one of its parts, when all that came before `known` is in it.
    pub(crate) fn after(&self, now: &PartNow, known: Position) -> After {
        let known = known.max(self.ahead(now.source));
        if now.to < known {
            return After::Same;
        }
        let found = self.parts.binary_search_by(|p| p.id.as_bytes().cmp(now.id.as_bytes()));
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
        let mut parts = self.parts.clone();
        match (found, &now.part) {
            (Ok(at), Some(part)) => parts[at] = part.clone(),
            (Ok(at), None) => drop(parts.remove(at)),
            (Err(at), Some(part)) => parts.insert(at, part.clone()),
            (Err(_), None) => {}
        }
        // Also one whose part is gone: that it is gone is what the entry says of it.
        let mut sources = self.sources.clone();
        if let Err(at) = sources.binary_search(&now.source) {
            sources.insert(at, now.source);
        }
        let ahead = self.ahead.iter().filter(|(source, at)| *source != now.source || *at > now.to).copied().collect();
        After::Changed(Box::new(Self { beside: self.beside, ..Self::with(self.era, parts, sources, ahead) }))
    }

    /// How far beyond what had been pushed it was read; unknown where it was not.
    pub(crate) fn ahead(&self, source: u16) -> Position {
        self.ahead.iter().find(|(s, _)| *s == source).map_or(Position::UNKNOWN, |(_, at)| *at)
    }

    /// In byte order of their ids.
    pub(crate) fn parts(&self) -> &[Arc<Part>] {
        &self.parts
    }

    /// The part of this id.
    pub(crate) fn part(&self, id: &str) -> Option<&Part> {
        let at = self.parts.binary_search_by(|p| p.id.as_bytes().cmp(id.as_bytes())).ok()?;
        self.parts.get(at).map(Arc::as_ref)
    }

    pub(crate) fn sources(&self) -> &[u16] {
        &self.sources
    }

    /// The parked streams that it shows: what they show is older than the log.
    pub(crate) fn stale(&self) -> Option<&HeaderValue> {
        self.stale.as_ref()
    }

    /// How its positions are written: as they were last time, where they are the same, or as `write` does it.
    pub(crate) fn told(&self, positions: &[Position], write: impl FnOnce() -> Option<HeaderValue>) -> Option<HeaderValue> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some((at, written)) if at == positions => written.clone(),
            _ => {
                let written = write();
                *told = Some((positions.to_vec(), written.clone()));
                written
            }
        }
    }

    /// [Whether](Self::has) the root of its read model is there, which is looked for once.
    pub(crate) fn is_rooted(&self, root: &str) -> bool {
        *self.rooted.get_or_init(|| self.has(root))
    }

    /// Whether there is a part whose id begins with this.
    pub(crate) fn has(&self, root: &str) -> bool {
        self.beginning(root).next().is_some()
    }

    /// The parts whose ids begin with this.
    pub(crate) fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Part> {
        // Parts are sorted: the first that is not before the prefix has it, or none has.
        let at = self.parts.partition_point(|p| p.id.as_bytes() < prefix.as_bytes());
        self.parts[at..].iter().map(Arc::as_ref).take_while(move |p| p.id.starts_with(prefix))
    }

    /// A form of it; made when it is asked for first. The second value: it was made now, so the entry weighs more.
    ///
    /// # Errors
    /// When the parts are no such message.
    pub(crate) fn form(&self, form: Form, message: &MessageDescriptor) -> (Result<&Shown, Arc<str>>, bool) {
        self.forms.get(form, || {
            let bytes = self.merged();
            match form {
                Form::Protobuf => Ok(bytes),
                Form::Json => Ok(render::json(message, &bytes)?.into()),
            }
        })
    }

    /// The parts' bytes, one after the other: a message.
    fn merged(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [one] => one.bytes.clone(),
            many => {
                let mut bytes = Vec::with_capacity(many.iter().map(|p| p.bytes.len()).sum());
                for part in many {
                    bytes.extend_from_slice(&part.bytes);
                }
                bytes.into()
            }
        }
    }

    /// About how many bytes it holds, its forms included.
    pub(crate) fn weight(&self) -> usize {
        let parts: usize = self.parts.iter().map(|p| PART_OVERHEAD + p.id.len() + p.bytes.len()).sum();
        let page = self.page.get().and_then(|page| page.as_ref().ok()).map_or(0, |page| page.weight());
        OVERHEAD + self.beside + parts + self.forms.weight() + page + self.event.get().map_or(0, Bytes::len)
    }
}

/// A strong tag: a hash of the served bytes, and of the form that they are served in.
pub(crate) fn etag(form: Form, body: &[u8]) -> String {
    let hash = digest::sha256(body);
    let letter = match form {
        Form::Json => 'j',
        Form::Protobuf => 'p',
    };
    format!("\"{letter}{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..18]))
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
        match entry.after(now, Position::new(1, 4)) {
            After::Changed(next) => *next,
            After::Same => panic!("the same"),
            After::Unsure => panic!("unsure"),
        }
    }

    fn is_same(entry: &Entry, now: &PartNow) -> bool {
        matches!(entry.after(now, Position::new(1, 4)), After::Same)
    }

    #[test]
    fn a_part_is_put_in_byte_order_replaced_and_taken_away() {
        let entry = Entry::new(1, vec![part("b", b"2", 0), part("a", b"1", 1)], Vec::new());
        assert_eq!(entry.merged(), "12");
        let entry = changed(&entry, &now("B", Some(part("B", b"0", 2)), 2, 5));
        assert_eq!((entry.merged().as_ref(), entry.sources()), (&b"012"[..], &[0, 1, 2][..]));
        let entry = changed(&entry, &now("b", None, 0, 6));
        assert_eq!((entry.merged().as_ref(), entry.sources()), (&b"01"[..], &[0, 1, 2][..]), "what is gone still counts");
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
        assert!(matches!(entry.after(&another, Position::UNKNOWN), After::Unsure));
        let after = changed(&entry, &now("a", Some(part("a", b"as of 11", 0)), 0, 11));
        assert_eq!((after.merged().as_ref(), after.ahead(0)), (&b"as of 11"[..], Position::UNKNOWN));
    }

    #[test]
    fn what_is_pushed_of_one_source_leaves_what_was_read_of_another_as_far_as_it_was() {
        let ahead = vec![(0, Position::new(1, 10)), (1, Position::new(1, 5))];
        let entry = Entry::new(1, vec![part("a", b"1", 0), part("B", b"2", 1)], ahead);
        assert_eq!(entry.merged(), "21", "in byte order");
        let after = changed(&entry, &now("a", Some(part("a", b"3", 0)), 0, 11));
        assert_eq!((after.ahead(0), after.ahead(1)), (Position::UNKNOWN, Position::new(1, 5)));
    }

    #[test]
    fn positions_are_written_anew_when_they_are_others() {
        let entry = Entry::new(1, Vec::new(), Vec::new());
        let told = |next: i64| {
            let text = HeaderValue::try_from(next.to_string()).ok();
            entry.told(&[Position::new(1, next)], || text).expect("it is written")
        };
        assert_eq!([told(1), told(1), told(2), told(1)], ["1", "1", "2", "1"]);
    }

    #[test]
    fn the_root_is_found_by_its_prefix() {
        let entry = Entry::new(1, vec![part("details", b"", 0), part("stock/a", b"", 1)], Vec::new());
        assert!(entry.has("details") && entry.has("stock/") && entry.has("det"));
        assert!(!entry.has("d/") && !entry.has("z"));
    }
}
