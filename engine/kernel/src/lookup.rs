//! Lookups: an event in, our own read models read under that event's token, a command back that carries what was read. Deciders stay
//! pure, deciding again sees the same facts, and the aggregate that owns a fact has the last word.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use daybook_proto::{CommandSet, EventSet, MessageSet as _};
use prost::{DecodeError, Message};
use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::panic::caught;
use crate::reactor::{identity, rule_fingerprint};
use crate::{Begins, DecodedOnce, Digest, EventAt, Instant, ReactError, ServiceMessage, StreamId};

/// A page of a read model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageKey {
    model: &'static str,
    key: String,
}

impl PageKey {
    /// The page of this read model, for example `product-pages`, under this key.
    pub fn new(model: &'static str, key: impl Into<String>) -> Self {
        Self { model, key: key.into() }
    }

    /// The read model's name.
    pub fn model(&self) -> &'static str {
        self.model
    }

    /// As a reader asks for it.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Display for PageKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.model, self.key)
    }
}

/// A lookup's question: the pages to read for an event, and the stream that hears of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asks {
    /// The service of that stream.
    pub service: &'static str,
    /// It gets the one command that [`Lookup::answer`] makes; the outcome's id is of this stream.
    pub target: StreamId,
    /// In any order.
    pub pages: Vec<PageKey>,
}

impl Asks {
    /// For the stream with this key of the aggregate that decides `C`.
    pub fn of<C: CommandSet>(key: &str, pages: Vec<PageKey>) -> Self {
        Self { service: C::SERVICE, target: StreamId::new(C::AGGREGATE, key), pages }
    }
}

/// The pages that were read for one event, also those that do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages(BTreeMap<PageKey, Option<Vec<u8>>>);

/// Why a lookup got no page.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PageError {
    /// The lookup did not ask for it, so whether there is one is not known.
    #[error("the page {0} was not asked for")]
    NotAsked(PageKey),
    /// It is no such message.
    #[error("the page {page} can't be read: {why}")]
    Unreadable {
        /// The page.
        page: PageKey,
        /// The fault of its bytes.
        why: DecodeError,
    },
}

impl Pages {
    /// Puts a page that was read: all of its parts, one after the other; none where there is no such page.
    pub fn put(&mut self, page: PageKey, merged: Option<Vec<u8>>) {
        self.0.insert(page, merged);
    }

    /// The pages that were asked for, sorted, also those that do not exist.
    pub fn asked(&self) -> impl Iterator<Item = &PageKey> {
        self.0.keys()
    }

    /// Whether this page was asked for.
    pub fn has(&self, page: &PageKey) -> bool {
        self.0.contains_key(page)
    }

    /// A page as it was read; none where there is no such page. Fields that this build does not know are left out: the read model's
    /// projector may be a newer one.
    ///
    /// # Errors
    /// When it was not asked for, or is no `M`.
    pub fn page<M: Message + Default>(&self, model: &'static str, key: impl Into<String>) -> Result<Option<M>, PageError> {
        let page = PageKey::new(model, key);
        let Some(read) = self.0.get(&page) else { return Err(PageError::NotAsked(page)) };
        let decoded = read.as_deref().map(M::decode).transpose();
        decoded.map_err(|why| PageError::Unreadable { page, why })
    }
}

/// An effect that only reads our own read models, under the token of the event, and sends a command with what it read. It has one outcome
/// ([`ids::effect_outcome_id`]) an event and target.
pub trait Lookup: Send + Sync + 'static {
    /// Stable: it is part of the id of its outcome.
    const NAME: &'static str;
    /// The beginning of a lookup that is new to an install.
    const BEGINS: Begins = Begins::AtTheEnd;
    /// Raise it when the rule changes: processes of both builds then stand by for each other instead of sharing partitions.
    const RULE_VERSION: u32 = 1;
    /// The events of one aggregate.
    type Event: EventSet;
    /// The stream that will hear what was read, and the pages to read; none where the event asks for nothing. Total: must not panic;
    /// where it does, the event's stream is parked for this lookup.
    fn asks(event: &Self::Event, at: &EventAt<'_>) -> Option<Asks>;
    /// Pages to read beside, now that the first are known: a second round, and the last.
    ///
    /// # Errors
    /// When a page can't be had.
    fn asks_further(event: &Self::Event, read: &Pages) -> Result<Vec<PageKey>, PageError> {
        let _ = (event, read);
        Ok(Vec::new())
    }
    /// The command that carries what was read, for the stream that [`asks`](Self::asks) named. `now`: when it was read. A lookup may have
    /// settings of the install, and hand them over: the outcome is kept, so whoever decides again sees the same.
    ///
    /// # Errors
    /// When a page can't be had.
    fn answer(&self, event: &Self::Event, read: &Pages, now: Instant) -> Result<ServiceMessage, PageError>;
}

/// Why a lookup that has read has no answer. The call is tried again, for ever: read models get better, and so do builds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// This build does not know the event, or the rule panicked.
    #[error(transparent)]
    Rule(#[from] ReactError),
    /// A page can't be had.
    #[error(transparent)]
    Page(#[from] PageError),
}

/// A lookup behind one face. Its events are stored ones of its aggregate; each is decoded where `decoded` does not hold it yet.
pub trait ErasedLookup: Send + Sync {
    /// [`Lookup::NAME`].
    fn name(&self) -> &'static str;
    /// The service whose log it follows.
    fn service(&self) -> &'static str;
    /// The aggregate whose streams it reads for.
    fn aggregate(&self) -> &'static str;
    /// [`Lookup::BEGINS`].
    fn begins(&self) -> Begins;
    /// Of its name, the version of its rule and the events that it knows.
    fn fingerprint(&self) -> Digest;
    /// [`Lookup::asks`], with the id that the outcome will have whenever this is done again.
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    fn asks(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Option<(Uuid, Asks)>, ReactError>;
    /// [`Lookup::asks_further`].
    ///
    /// # Errors
    /// When this build does not know the event, a page can't be had, or the rule panics.
    fn asks_further(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce, read: &Pages) -> Result<Vec<PageKey>, LookupError>;
    /// [`Lookup::answer`].
    ///
    /// # Errors
    /// When this build does not know the event, a page can't be had, or the rule panics.
    fn answer(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        read: &Pages,
        now: Instant,
    ) -> Result<ServiceMessage, LookupError>;
}

impl dyn ErasedLookup {
    /// The face of a lookup.
    pub fn of<L: Lookup>(lookup: L) -> Arc<dyn ErasedLookup> {
        Arc::new(Face(lookup))
    }
}

struct Face<L>(L);

impl<L: Lookup> Face<L> {
    /// What the rule makes of an event, where this build knows it and the rule does not panic.
    fn rule<T>(type_name: &str, payload: &[u8], decoded: &DecodedOnce, f: impl FnOnce(&L::Event) -> T) -> Result<T, ReactError> {
        let event = decoded.of::<L::Event>(type_name, payload)?;
        caught(|| f(event)).map_err(ReactError::Panicked)
    }
}

impl<L: Lookup> ErasedLookup for Face<L> {
    identity!(L);

    fn asks(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Option<(Uuid, Asks)>, ReactError> {
        let asks = Self::rule(type_name, payload, decoded, |event| L::asks(event, at))?;
        Ok(asks.map(|asks| (ids::effect_outcome_id(place, L::NAME, asks.target.as_str()), asks)))
    }

    fn asks_further(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce, read: &Pages) -> Result<Vec<PageKey>, LookupError> {
        Ok(Self::rule(type_name, payload, decoded, |event| L::asks_further(event, read))??)
    }

    fn answer(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        read: &Pages,
        now: Instant,
    ) -> Result<ServiceMessage, LookupError> {
        Ok(Self::rule(type_name, payload, decoded, |event| self.0.answer(event, read, now))??)
    }
}

#[cfg(test)]
mod tests {
    use daybook_proto::v1::{EventRef, Request};
    use daybook_proto::{MessageSet as _, Named as _, SetError};

    use super::*;
    use crate::Version;
    use crate::told::Told;

    /// Reads the page that an event names, then the page that this one names, and sends what that one says.
    struct Reading;

    impl Lookup for Reading {
        const NAME: &'static str = "reading";
        type Event = Told;

        fn asks(event: &Told, at: &EventAt<'_>) -> Option<Asks> {
            assert_ne!(event.0.r#type, "panic");
            let asks = || Asks { service: "tales", target: at.stream.clone(), pages: vec![PageKey::new("pages", &event.0.r#type)] };
            (!event.0.r#type.is_empty()).then(asks)
        }

        fn asks_further(event: &Told, read: &Pages) -> Result<Vec<PageKey>, PageError> {
            let first: Option<Request> = read.page("pages", &event.0.r#type)?;
            Ok(first.into_iter().map(|page| PageKey::new("pages", page.r#type)).collect())
        }

        fn answer(&self, event: &Told, read: &Pages, now: Instant) -> Result<ServiceMessage, PageError> {
            let first: Option<Request> = read.page("pages", &event.0.r#type)?;
            let second: Option<Request> = first.map_or(Ok(None), |first| read.page("pages", first.r#type))?;
            let bytes = [second.unwrap_or_default().r#type, now.micros().to_string()].join(" ").into_bytes();
            Ok(ServiceMessage { service: "tales", type_name: "Tell", bytes, target: StreamId::new("tale", "a") })
        }
    }

    fn event(text: &str) -> Vec<u8> {
        Told(EventRef { r#type: text.to_owned(), offset: 0 }).encode_to_vec()
    }

    fn page(text: &str) -> Option<Vec<u8>> {
        Some(Message::encode_to_vec(&Request { r#type: text.to_owned(), ..Request::default() }))
    }

    fn asks(text: &str) -> Result<Option<(Uuid, Asks)>, ReactError> {
        let (stream, place) = (StreamId::new("tale", "a"), place());
        let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() };
        <dyn ErasedLookup>::of(Reading).asks(EventRef::TYPE, &event(text), &DecodedOnce::default(), &at, &place)
    }

    fn place() -> EventPlace {
        EventPlace { epoch: 1, service: "tales".into(), partition: 0, offset: 7 }
    }

    fn answered(text: &str, read: &Pages) -> Result<String, String> {
        let answer =
            <dyn ErasedLookup>::of(Reading).answer(EventRef::TYPE, &event(text), &DecodedOnce::default(), read, Instant::from_micros(9));
        answer.map(|message| String::from_utf8(message.bytes).expect("a text")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_asks_for_pages_with_the_id_of_its_one_outcome() {
        let target = StreamId::new("tale", "a");
        let outcome = ids::effect_outcome_id(&place(), "reading", "tale/a");
        assert_eq!(asks("x"), Ok(Some((outcome, Asks { service: "tales", target, pages: vec![PageKey::new("pages", "x")] }))));
        assert_eq!(asks(""), Ok(None));
    }

    #[test]
    fn the_second_round_and_the_answer_come_from_what_was_read() {
        let lookup = <dyn ErasedLookup>::of(Reading);
        let mut read = Pages::default();
        read.put(PageKey::new("pages", "x"), page("y"));
        let further = lookup.asks_further(EventRef::TYPE, &event("x"), &DecodedOnce::default(), &read);
        assert_eq!(further, Ok(vec![PageKey::new("pages", "y")]));
        read.put(PageKey::new("pages", "y"), page("the end"));
        assert_eq!(answered("x", &read), Ok("the end 9".into()));
        assert_eq!(read.asked().map(ToString::to_string).collect::<Vec<_>>(), ["pages/x", "pages/y"]);
    }

    #[test]
    fn a_page_that_does_not_exist_is_none_and_one_that_was_not_asked_for_is_an_error() {
        let mut read = Pages::default();
        assert_eq!(answered("x", &read), Err("the page pages/x was not asked for".into()));
        read.put(PageKey::new("pages", "x"), None);
        assert_eq!(answered("x", &read), Ok(" 9".into()));
        assert!(read.has(&PageKey::new("pages", "x")) && !read.has(&PageKey::new("other", "x")));
        assert_eq!(read.page::<Request>("pages", "x"), Ok(None));
        read.put(PageKey::new("pages", "x"), Some(vec![0xff]));
        assert!(answered("x", &read).is_err_and(|why| why.starts_with("the page pages/x can't be read: ")));
    }

    #[test]
    fn a_field_that_a_newer_projector_writes_is_left_out() {
        let mut bytes = page("y").expect("a page");
        bytes.extend([0x9a, 0x06, 0x01, b'x']);
        let mut read = Pages::default();
        read.put(PageKey::new("pages", "x"), Some(bytes));
        assert_eq!(read.page::<Request>("pages", "x").map(|page| page.map(|p| p.r#type)), Ok(Some("y".into())));
    }

    #[test]
    fn a_rule_that_panics_and_an_event_that_is_not_known_are_told() {
        assert!(matches!(asks("panic"), Err(ReactError::Panicked(why)) if why.contains("panic")));
        let lookup = <dyn ErasedLookup>::of(Reading);
        let unknown = LookupError::Rule(ReactError::Unknown(SetError::UnknownType("t.Other".into())));
        let (decoded, read) = (DecodedOnce::default(), Pages::default());
        assert_eq!(lookup.asks_further("t.Other", &[], &decoded, &read), Err(unknown.clone()));
        assert_eq!(lookup.answer("t.Other", &[], &decoded, &read, Instant::default()), Err(unknown));
    }

    #[test]
    fn a_face_tells_the_rules_name_and_its_fingerprint_is_of_name_version_and_events() {
        let lookup = <dyn ErasedLookup>::of(Reading);
        assert_eq!((lookup.name(), lookup.service(), lookup.aggregate()), ("reading", "tales", "tale"));
        assert_eq!(lookup.begins(), Begins::AtTheEnd);
        let of = rule_fingerprint::<Told>;
        assert_eq!(lookup.fingerprint(), of("reading", 1));
        assert_ne!(of("reading", 1), of("reading", 2));
        assert_ne!(of("reading", 1), of("other", 1));
    }
}
