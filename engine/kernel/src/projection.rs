//! Projections: fold one stream into a private view state, and render it as parts of a read model.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use daybook_proto::v1::Access;
use daybook_proto::{EventSet, MessageSet as _, Named, SetError, decode_strict};
use prost::Message;

use crate::access::{AccessError, access_of_read_model};
use crate::aggregate::{fingerprint, known_event};
use crate::panic::caught;
use crate::rows::{SqlRows, SqlView};
use crate::{Digest, Instant, StreamId, Version};

/// The place and time of an event, for a fold that needs them.
#[derive(Clone, Debug)]
pub struct EventAt<'a> {
    /// The stream.
    pub stream: &'a StreamId,
    /// The event's version in it.
    pub version: Version,
    /// The page's time.
    pub recorded_at: Instant,
}

/// One part of a read model: (key, part) to a message. Every part has exactly one stream as its writer.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<M> {
    /// The key that a reader asks for, for example a SKU.
    pub key: String,
    /// Which part of it; parts are concatenated in byte order of this. A list's begins with its sort key.
    pub part: String,
    /// The message to merge: singular top-level fields belong to one kind of part only.
    pub message: M,
}

/// A pure projection of one kind of stream. Several together make a read model (see [`ReadModel`]).
pub trait Projection: Send + Sync + 'static {
    /// The events of one aggregate.
    type Event: EventSet;
    /// The state that is kept of a stream. Private: nobody but this projection reads it.
    type View: Message + Default + Clone + PartialEq + Named;
    /// The read model's message.
    type Model: Message + Default + Named;

    /// Raise it when `fold` or `render` makes something else of old events: a rebuild is then needed.
    const FOLD_VERSION: u32 = 1;

    /// The view after an event. Total: must not panic; where it does, its stream is parked.
    fn fold(view: &mut Self::View, event: &Self::Event, at: &EventAt<'_>);

    /// The parts that a view makes. The runner writes the difference to the stored ones.
    fn render(view: &Self::View, stream: &StreamId) -> Vec<Part<Self::Model>>;

    /// Tells the keys that [`render`](Self::render) puts parts under. It is asked after every event, for a read model as it
    /// was is found by them: a projection whose keys are cheaper told than rendered says so here. It may tell more, never fewer.
    fn keys(view: &Self::View, stream: &StreamId, tell: &mut dyn FnMut(&str)) {
        for part in Self::render(view, stream) {
            tell(&part.key);
        }
    }
}

/// A view, whatever its type.
pub struct ViewState(Box<dyn Any + Send + Sync>);

/// A stored event that is decoded when the first follower wants it, and then shared with all others.
#[derive(Clone, Default)]
pub struct DecodedOnce(OnceLock<Result<Arc<dyn Any + Send + Sync>, SetError>>);

impl DecodedOnce {
    /// The event, as one of its aggregate's set. It is decoded where it was not yet.
    pub(crate) fn of<E: EventSet>(&self, type_name: &str, payload: &[u8]) -> Result<&E, SetError> {
        let decode = || Ok(Arc::new(known_event::<E>(type_name, payload)?) as Arc<dyn Any + Send + Sync>);
        let event = self.0.get_or_init(decode).as_ref().map_err(Clone::clone)?;
        Ok(event.downcast_ref().expect("the events of one aggregate are one set"))
    }
}

impl Debug for DecodedOnce {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "decoded" } else { "not decoded yet" })
    }
}

/// A rendered part, encoded. An empty message is no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedPart {
    /// The key that a reader asks for.
    pub key: String,
    /// Which part of it.
    pub part: String,
    /// The message, encoded.
    pub bytes: Vec<u8>,
}

/// Why an event could not be folded; its stream is parked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// This build does not know the event.
    #[error(transparent)]
    Unknown(#[from] SetError),
    /// The projection panicked.
    #[error("the projection panicked: {0}")]
    Panicked(String),
}

/// A projection behind one face.
pub trait ErasedFold: Send + Sync {
    /// The service whose log it reads.
    fn service(&self) -> &'static str;
    /// Which streams of it.
    fn aggregate(&self) -> &'static str;
    /// Of the view's and the model's descriptors and the fold's version.
    fn fingerprint(&self) -> Digest;
    /// The view of a stream without events.
    fn new_view(&self) -> ViewState;
    /// A view as it was kept.
    ///
    /// # Errors
    /// When the bytes are no such view.
    fn decode_view(&self, bytes: &[u8]) -> Result<ViewState, SetError>;
    /// A view, to be kept.
    fn encode_view(&self, view: &ViewState) -> Vec<u8>;
    /// The view after a stored event. On an error it is unchanged.
    ///
    /// # Errors
    /// When the event can't be folded.
    fn fold(&self, view: &mut ViewState, type_name: &str, payload: &[u8], at: &EventAt<'_>) -> Result<(), FoldError>;
    /// As [`fold`](Self::fold), but without a copy of the view: after an error it may be half changed and must be thrown away. The event
    /// is decoded where `decoded` does not hold it yet; all projections of one aggregate share it.
    ///
    /// # Errors
    /// When the event can't be folded.
    fn fold_decoded(
        &self,
        view: &mut ViewState,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
    ) -> Result<(), FoldError>;
    /// As [`fold_decoded`](Self::fold_decoded), for folding in bulk, by one projection alone. `tell` hears the keys that the
    /// view has parts under now; some of them may have none.
    ///
    /// # Errors
    /// When the event can't be folded, or its keys can't be told.
    fn fold_in_place(
        &self,
        view: &mut ViewState,
        type_name: &str,
        payload: &[u8],
        at: &EventAt<'_>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), FoldError>;
    /// Tells the keys that a view has parts under, and perhaps more.
    ///
    /// # Errors
    /// When the projection panics.
    fn keys(&self, view: &ViewState, stream: &StreamId, tell: &mut dyn FnMut(&str)) -> Result<(), FoldError>;
    /// About how much memory a view takes, in bytes.
    fn view_size(&self, view: &ViewState) -> usize;
    /// The parts, sorted by key and part; a part that would be empty is left out.
    ///
    /// # Errors
    /// When rendering panics.
    fn render(&self, view: &ViewState, stream: &StreamId) -> Result<Vec<RenderedPart>, FoldError>;
}

struct Face<P>(PhantomData<fn() -> P>);

impl<P: Projection> Face<P> {
    fn view(view: &ViewState) -> &P::View {
        view.0.downcast_ref().expect("a view is read only by the projection that made it")
    }
}

fn catch<T>(f: impl FnOnce() -> T) -> Result<T, FoldError> {
    // The closures below work on clones, or their callers throw half-done work of a panic away.
    caught(f).map_err(FoldError::Panicked)
}

impl<P: Projection> ErasedFold for Face<P> {
    fn service(&self) -> &'static str {
        P::Event::SERVICE
    }

    fn aggregate(&self) -> &'static str {
        P::Event::AGGREGATE
    }

    fn fingerprint(&self) -> Digest {
        let both = [fingerprint::<P::View>(P::FOLD_VERSION), fingerprint::<P::Model>(0)].concat();
        crate::digest::sha256(&both)
    }

    fn new_view(&self) -> ViewState {
        ViewState(Box::new(P::View::default()))
    }

    fn decode_view(&self, bytes: &[u8]) -> Result<ViewState, SetError> {
        decode_strict::<P::View>(bytes).map(|v| ViewState(Box::new(v)))
    }

    fn encode_view(&self, view: &ViewState) -> Vec<u8> {
        Self::view(view).encode_to_vec()
    }

    fn fold(&self, view: &mut ViewState, type_name: &str, payload: &[u8], at: &EventAt<'_>) -> Result<(), FoldError> {
        let event = known_event::<P::Event>(type_name, payload)?;
        let mut next = Self::view(view).clone();
        let next = catch(|| {
            P::fold(&mut next, &event, at);
            next
        })?;
        view.0 = Box::new(next);
        Ok(())
    }

    fn fold_decoded(
        &self,
        view: &mut ViewState,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
    ) -> Result<(), FoldError> {
        let event = decoded.of::<P::Event>(type_name, payload)?;
        let view: &mut P::View = view.0.downcast_mut().expect("a view is read only by the projection that made it");
        catch(|| P::fold(view, event, at))
    }

    fn fold_in_place(
        &self,
        view: &mut ViewState,
        type_name: &str,
        payload: &[u8],
        at: &EventAt<'_>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), FoldError> {
        let event = known_event::<P::Event>(type_name, payload)?;
        let view: &mut P::View = view.0.downcast_mut().expect("a view is read only by the projection that made it");
        catch(|| {
            P::fold(view, &event, at);
            P::keys(view, at.stream, tell);
        })
    }

    fn keys(&self, view: &ViewState, stream: &StreamId, tell: &mut dyn FnMut(&str)) -> Result<(), FoldError> {
        catch(|| P::keys(Self::view(view), stream, tell))
    }

    fn view_size(&self, view: &ViewState) -> usize {
        // Texts and lists of a decoded message take about twice their encoded size.
        size_of::<P::View>() + 2 * Self::view(view).encoded_len()
    }

    fn render(&self, view: &ViewState, stream: &StreamId) -> Result<Vec<RenderedPart>, FoldError> {
        let parts = catch(|| P::render(Self::view(view), stream))?;
        let encoded = parts.into_iter().map(|p| RenderedPart { key: p.key, part: p.part, bytes: p.message.encode_to_vec() });
        let mut parts: Vec<RenderedPart> = encoded.filter(|p| !p.bytes.is_empty()).collect();
        // Most views have one part.
        if parts.len() > 1 {
            let all = parts.into_iter().map(|p| ((p.key, p.part), p.bytes));
            let sorted: BTreeMap<(String, String), Vec<u8>> = all.collect();
            parts = sorted.into_iter().map(|((key, part), bytes)| RenderedPart { key, part, bytes }).collect();
        }
        Ok(parts)
    }
}

/// A read model: its name, its message, and the projections whose parts make it.
#[derive(Clone)]
pub struct ReadModel {
    /// As URLs and tables name it, for example `product-pages`.
    pub name: &'static str,
    /// Full protobuf name of the message that the parts merge to.
    pub message: &'static str,
    /// Parts whose id begins with this must be there, or the key does not exist. None: a list, which always does.
    pub root: Option<&'static str>,
    /// One a kind of stream.
    pub folds: Vec<Arc<dyn ErasedFold>>,
    /// The access to it.
    pub access: Result<Access, AccessError>,
    /// Parts that the items get from another read model when they are served.
    pub fill: Option<Fill>,
    /// The last step before it is served; of pages alone, which have a root.
    pub finisher: Option<Finisher>,
    /// Its parts as rows, where it is kept as SQL too.
    pub rows: Option<Arc<SqlRows>>,
}

/// Parts of another read model that are appended to each item of a list, or of a page that repeats items, so that a fold need not
/// look sideways. Their fields must be the item's own, under the same numbers, or such that nobody reads: merging is concatenating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The field that repeats the items: a list's only one.
    pub items: &'static str,
    /// The item's field that holds the other one's key.
    pub by: &'static str,
    /// The other read model.
    pub model: &'static str,
    /// The prefix of its parts' ids.
    pub parts: &'static str,
}

/// A page as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<F> {
    /// The message that is served.
    pub message: F,
    /// When something else is to be served though nothing has happened; none: never.
    pub until: Option<Instant>,
}

/// Why a page could not be finished.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// The parts are no such message.
    #[error("the parts can't be read: {0}")]
    Unreadable(String),
    /// The function panicked.
    #[error("the finishing panicked: {0}")]
    Panicked(String),
}

type Finish = dyn Fn(&[u8], Instant) -> Result<Finished<Vec<u8>>, FinishError> + Send + Sync;

/// A pure function of what parts merge to, filled where the read model is, and of the time at which it is served. For what can't be
/// worked out by a fold, which sees one stream: sums over what others say. It is run once for each state of a page.
#[derive(Clone)]
pub struct Finisher {
    /// Full protobuf name of the message that is served.
    pub message: &'static str,
    finish: Arc<Finish>,
}

impl Finisher {
    /// Of a typed function.
    fn of<M: Message + Default + 'static, F: Message + Named + 'static>(finish: fn(M, Instant) -> Finished<F>) -> Self {
        let erased = move |bytes: &[u8], now: Instant| {
            // Leniently: what fills it has fields that it does not know.
            let merged = M::decode(bytes).map_err(|error| FinishError::Unreadable(error.to_string()))?;
            let Finished { message, until } = caught(|| finish(merged, now)).map_err(FinishError::Panicked)?;
            Ok(Finished { message: message.encode_to_vec(), until })
        };
        Self { message: F::TYPE, finish: Arc::new(erased) }
    }

    /// The page, encoded.
    ///
    /// # Errors
    /// When the parts are no such message, or the function panics.
    pub fn finish(&self, merged: &[u8], now: Instant) -> Result<Finished<Vec<u8>>, FinishError> {
        (self.finish)(merged, now)
    }
}

impl Debug for Finisher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Finisher").field(&self.message).finish()
    }
}

impl ReadModel {
    /// A read model of message `M`, without projections yet.
    pub fn of<M: Named>(name: &'static str, root: Option<&'static str>) -> Self {
        Self {
            name,
            message: M::TYPE,
            root,
            folds: Vec::new(),
            access: access_of_read_model(M::pool(), M::TYPE),
            fill: None,
            finisher: None,
            rows: None,
        }
    }

    /// Adds a projection.
    pub fn with<P: Projection>(mut self) -> Self {
        assert_eq!(P::Model::TYPE, self.message, "every projection of a read model renders its message");
        self.folds.push(Arc::new(Face::<P>(PhantomData)));
        self
    }

    /// Has the items of this list, or page, filled when they are served.
    pub fn filled(self, fill: Fill) -> Self {
        Self { fill: Some(fill), ..self }
    }

    /// Has this page, as its parts and what fills it merge to it, made into another message when it is served.
    pub fn finished<M: Message + Default + Named + 'static, F: Message + Named + 'static>(
        self,
        finish: fn(M, Instant) -> Finished<F>,
    ) -> Self {
        assert_eq!(M::TYPE, self.message, "what is finished is the read model's message");
        assert!(self.root.is_some(), "lists are served an item at a time: only a page is finished");
        Self { finisher: Some(Finisher::of(finish)), ..self }
    }

    /// Keeps it as SQL too: each part is a row, with a column for each singular field of the message, and for each of the elements of `list`,
    /// where one is named; a part has one element of it. People and tools ask the views.
    pub fn kept_as_sql<M: Named>(self, list: Option<&'static str>, views: &'static [SqlView]) -> Self {
        assert_eq!(M::TYPE, self.message, "what is kept as SQL is the read model's message");
        Self { rows: Some(Arc::new(SqlRows::of(M::pool(), M::TYPE, list, views))), ..self }
    }

    /// The services whose logs it reads, sorted, each once.
    pub fn services(&self) -> Vec<&'static str> {
        let mut all: Vec<_> = self.folds.iter().map(|f| f.service()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The projection that folds streams of this aggregate.
    pub fn fold(&self, service: &str, aggregate: &str) -> Option<&Arc<dyn ErasedFold>> {
        self.folds.iter().find(|f| f.service() == service && f.aggregate() == aggregate)
    }
}
