//! Effects: the only rules that talk to the outside world. An event in, an idempotent call out, a command back. They never run in a replay.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_proto::{CommandSet, EventSet, MessageSet as _};
use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::panic::caught;
use crate::reactor::{identity, rule_fingerprint};
use crate::{Begins, DecodedOnce, Digest, EventAt, Instant, ReactError, ServiceMessage, StreamId};

/// A call that an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outward {
    /// The service of the stream that learns the outcome.
    pub service: &'static str,
    /// It gets the one command that [`Effect::call`] makes; the outcome's id is of this stream.
    pub target: StreamId,
    /// From then on nothing is begun any more, only asked about. None: as long as the destination remembers keys.
    pub not_after: Option<Instant>,
}

impl Outward {
    /// For the stream with this key of the aggregate that decides `C`.
    pub fn of<C: CommandSet>(key: &str, not_after: Option<Instant>) -> Self {
        Self { service: C::SERVICE, target: StreamId::new(C::AGGREGATE, key), not_after }
    }
}

/// How far a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Nobody has called yet: do it.
    First,
    /// Somebody may have called, and what came of it is not known: ask the destination; where it never heard of it, do it.
    AskFirst,
    /// It is too late to begin: ask; where the destination does not know it, that is the outcome. It may have forgotten what was done: a no would
    /// be a guess. What is done may still be begun where the destination shows otherwise that it was not, or where twice does no harm.
    AskOnly,
}

/// The outcome is not known: it is asked about after a pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No answer, or one that says that the destination can't answer now. With time it will.
    #[error("{0}")]
    Unanswered(String),
    /// An answer that can't be: nobody can read it, or it contradicts what was asked. It is never taken for a no. Time alone does not mend it:
    /// somebody has to look.
    #[error("{0}")]
    Unusable(String),
}

impl Unknown {
    /// There was no answer, for this reason.
    pub fn unanswered(why: impl Into<String>) -> Self {
        Self::Unanswered(why.into())
    }

    /// The answer can't be, for this reason.
    pub fn unusable(why: impl Into<String>) -> Self {
        Self::Unusable(why.into())
    }
}

/// An effect has one outcome ([`ids::effect_outcome_id`]) an event and target, which is looked up before anything is called.
pub trait Effect: Send + Sync + 'static {
    /// Stable: it is part of the id of its outcome.
    const NAME: &'static str;
    /// The beginning of an effect that is new to an install.
    const BEGINS: Begins = Begins::AtTheEnd;
    /// Raise it when the rule changes: processes of both builds then stand by for each other instead of sharing partitions.
    const RULE_VERSION: u32 = 1;
    /// Those that share one share its breaker and its limit of calls at once, for example `payment-provider`.
    const DESTINATION: &'static str;
    /// Longest time of a call; what takes longer is not known.
    const TIME_LIMIT: Duration = Duration::from_secs(10);
    /// The events of one aggregate.
    type Event: EventSet;
    /// The call that an event asks for, or none. Total: must not panic; where it does, the event's stream is parked for this effect.
    fn asks(event: &Self::Event, at: &EventAt<'_>) -> Option<Outward>;
    /// Calls, as far as `attempt` allows. The command that it makes is for the stream that [`asks`](Self::asks) named. The key of what moves
    /// money rests on state (order, operation, attempt), never on a place in the log, which a restore changes.
    ///
    /// # Errors
    /// When it is not known what came of it.
    fn call(&self, event: &Self::Event, attempt: Attempt) -> impl Future<Output = Result<ServiceMessage, Unknown>> + Send;
    /// Why this process can call nobody: its settings name no destination. None: it can call. Then no call is begun, and none is counted.
    fn nobody(&self) -> Option<&str> {
        None
    }
    /// The outcome of a call that nobody has ever begun, and that is too late to begin now: where this process can call nobody, it has this
    /// outcome at [`Outward::not_after`]. None: it waits for a process that can call.
    fn not_begun(event: &Self::Event) -> Option<ServiceMessage> {
        let _ = event;
        None
    }
}

/// A call under way.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<ServiceMessage, Unknown>> + Send + 'a>>;

/// An effect behind one face.
pub trait ErasedEffect: Send + Sync {
    /// [`Effect::NAME`].
    fn name(&self) -> &'static str;
    /// [`Effect::DESTINATION`].
    fn destination(&self) -> &'static str;
    /// [`Effect::TIME_LIMIT`].
    fn time_limit(&self) -> Duration;
    /// The service whose log it follows.
    fn service(&self) -> &'static str;
    /// The aggregate whose events ask for calls.
    fn aggregate(&self) -> &'static str;
    /// [`Effect::BEGINS`].
    fn begins(&self) -> Begins;
    /// Of its name, the version of its rule and the events that it knows.
    fn fingerprint(&self) -> Digest;
    /// [`Effect::asks`], with the id that the outcome will have whenever this is done again.
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
    ) -> Result<Option<(Uuid, Outward)>, ReactError>;
    /// [`Effect::call`].
    ///
    /// # Errors
    /// When this build does not know the event.
    fn call<'a>(&'a self, type_name: &str, payload: &[u8], decoded: &'a DecodedOnce, attempt: Attempt) -> Result<Calling<'a>, ReactError>;
    /// [`Effect::nobody`].
    fn nobody(&self) -> Option<&str>;
    /// [`Effect::not_begun`].
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    fn not_begun(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce) -> Result<Option<ServiceMessage>, ReactError>;
}

impl dyn ErasedEffect {
    /// The face of an effect.
    pub fn of<E: Effect>(effect: E) -> Arc<dyn ErasedEffect> {
        Arc::new(Face(effect))
    }
}

struct Face<E>(E);

impl<E: Effect> ErasedEffect for Face<E> {
    identity!(E);

    fn destination(&self) -> &'static str {
        E::DESTINATION
    }

    fn time_limit(&self) -> Duration {
        E::TIME_LIMIT
    }

    fn asks(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Option<(Uuid, Outward)>, ReactError> {
        let event = decoded.of::<E::Event>(type_name, payload)?;
        let asked = caught(|| E::asks(event, at)).map_err(ReactError::Panicked)?;
        Ok(asked.map(|call| (ids::effect_outcome_id(place, E::NAME, call.target.as_str()), call)))
    }

    fn call<'a>(&'a self, type_name: &str, payload: &[u8], decoded: &'a DecodedOnce, attempt: Attempt) -> Result<Calling<'a>, ReactError> {
        let event = decoded.of::<E::Event>(type_name, payload)?;
        Ok(Box::pin(self.0.call(event, attempt)))
    }

    fn nobody(&self) -> Option<&str> {
        self.0.nobody()
    }

    fn not_begun(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce) -> Result<Option<ServiceMessage>, ReactError> {
        let event = decoded.of::<E::Event>(type_name, payload)?;
        caught(|| E::not_begun(event)).map_err(ReactError::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use daybook_proto::v1::EventRef;
    use daybook_proto::{Named as _, SetError};

    use super::*;
    use crate::Version;
    use crate::told::Told;

    /// Tells somebody outside.
    struct Telling(&'static str);

    impl Effect for Telling {
        const NAME: &'static str = "telling";
        const DESTINATION: &'static str = "outside";
        type Event = Told;

        fn asks(event: &Told, at: &EventAt<'_>) -> Option<Outward> {
            assert_ne!(event.0.r#type, "panic");
            let asks = || Outward { service: "tales", target: at.stream.clone(), not_after: None };
            (!event.0.r#type.is_empty()).then(asks)
        }

        async fn call(&self, event: &Told, attempt: Attempt) -> Result<ServiceMessage, Unknown> {
            if attempt == Attempt::AskOnly {
                return Err(Unknown::Unanswered(format!("{} does not answer", self.0)));
            }
            let bytes = format!("{} {attempt:?} {}", self.0, event.0.r#type).into_bytes();
            Ok(ServiceMessage { service: "tales", type_name: "Heard", bytes, target: StreamId::new("tale", "a") })
        }

        fn nobody(&self) -> Option<&str> {
            (self.0 == "nobody").then_some("nobody is there")
        }

        fn not_begun(event: &Told) -> Option<ServiceMessage> {
            assert_ne!(event.0.r#type, "panic");
            let told = || ServiceMessage { service: "tales", type_name: "Silence", bytes: Vec::new(), target: StreamId::new("tale", "a") };
            (event.0.r#type == "y").then(told)
        }
    }

    fn event(text: &str) -> Vec<u8> {
        Told(EventRef { r#type: text.to_owned(), offset: 0 }).encode_to_vec()
    }

    fn place() -> EventPlace {
        EventPlace { epoch: 1, service: "tales".into(), partition: 0, offset: 7 }
    }

    fn asks(text: &str) -> Result<Option<(Uuid, Outward)>, ReactError> {
        let stream = StreamId::new("tale", "a");
        let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::default() };
        <dyn ErasedEffect>::of(Telling("x")).asks(EventRef::TYPE, &event(text), &DecodedOnce::default(), &at, &place())
    }

    #[test]
    fn an_event_asks_for_one_call_with_the_id_of_its_one_outcome() {
        let call = Outward { service: "tales", target: StreamId::new("tale", "a"), not_after: None };
        assert_eq!(asks("x"), Ok(Some((ids::effect_outcome_id(&place(), "telling", "tale/a"), call))));
        assert_eq!(asks(""), Ok(None));
        assert!(matches!(asks("panic"), Err(ReactError::Panicked(_))));
    }

    #[test]
    fn a_call_hears_how_far_it_may_go() {
        let effect = <dyn ErasedEffect>::of(Telling("Ann"));
        let decoded = DecodedOnce::default();
        let call = |attempt| {
            let mut calling = effect.call(EventRef::TYPE, &event("y"), &decoded, attempt).expect("it is known");
            match calling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => outcome.map(|message| String::from_utf8(message.bytes).expect("a text")),
                Poll::Pending => panic!("it waits for nothing"),
            }
        };
        assert_eq!(call(Attempt::First), Ok("Ann First y".into()));
        assert_eq!(call(Attempt::AskFirst), Ok("Ann AskFirst y".into()));
        assert_eq!(call(Attempt::AskOnly), Err(Unknown::unanswered("Ann does not answer")));
        let unknown = effect.call("t.Other", &[], &DecodedOnce::default(), Attempt::First).err();
        assert_eq!(unknown, Some(ReactError::Unknown(SetError::UnknownType("t.Other".into()))));
    }

    #[test]
    fn who_can_call_nobody_says_so_and_what_comes_of_a_call_that_was_not_begun() {
        let effect = |name| <dyn ErasedEffect>::of(Telling(name));
        assert_eq!((effect("Ann").nobody(), effect("nobody").nobody()), (None, Some("nobody is there")));
        let not_begun = |text: &str| effect("nobody").not_begun(EventRef::TYPE, &event(text), &DecodedOnce::default());
        assert_eq!(not_begun("y").map(|outcome| outcome.map(|message| message.type_name)), Ok(Some("Silence")));
        assert_eq!(not_begun("x"), Ok(None));
        assert!(matches!(not_begun("panic"), Err(ReactError::Panicked(_))));
    }

    #[test]
    fn a_face_tells_name_destination_and_limit() {
        let effect = <dyn ErasedEffect>::of(Telling("x"));
        assert_eq!((effect.name(), effect.destination(), effect.time_limit()), ("telling", "outside", Duration::from_secs(10)));
        assert_eq!((effect.service(), effect.aggregate(), effect.begins()), ("tales", "tale", Begins::AtTheEnd));
        assert_eq!(effect.fingerprint(), rule_fingerprint::<Told>("telling", 1));
    }
}
