//! Deadlines: commands that are sent when their time has come. An event arms them; what fires names its `due_at`, and the decider
//! compares that with the one in its state, never with a clock.

use std::marker::PhantomData;
use std::sync::Arc;

use daybook_proto::{EventSet, MessageSet as _};
use uuid::Uuid;

use crate::ids::{self, EventPlace};
use crate::panic::caught;
use crate::reactor::{identity, rule_fingerprint};
use crate::{Begins, DecodedOnce, Digest, EventAt, Instant, ReactError, ServiceMessage};

/// Something that is due at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The step that it ends, for example `payment`. Of the deadlines that one event arms for one target, each has its own.
    pub name: &'static str,
    /// When.
    pub due_at: Instant,
    /// The message to send then. It names `due_at`, or the attempt that it ends.
    pub message: ServiceMessage,
}

/// The deadlines of one aggregate's streams.
pub trait Deadlines: Send + Sync + 'static {
    /// Stable: it is part of the ids of its messages.
    const NAME: &'static str;
    /// The beginning of a rule that is new to an install.
    const BEGINS: Begins = Begins::AtTheEnd;
    /// Raise it when the rule changes: processes of both builds then stand by for each other instead of sharing partitions.
    const RULE_VERSION: u32 = 1;
    /// The events of one aggregate.
    type Event: EventSet;
    /// The deadlines that an event arms. Total: must not panic; where it does, the event's stream is parked for this rule.
    fn arms(event: &Self::Event, at: &EventAt<'_>) -> Vec<Deadline>;
    /// The names of deadlines that earlier events of this stream have armed, and that need not fire any more. Only economy: the decider would
    /// take them for done. Those that this event arms itself stay.
    fn disarms(event: &Self::Event) -> Vec<&'static str> {
        let _ = event;
        Vec::new()
    }
}

/// A rule of deadlines behind one face.
pub trait ErasedDeadlines: Send + Sync {
    /// [`Deadlines::NAME`].
    fn name(&self) -> &'static str;
    /// The service whose log it follows.
    fn service(&self) -> &'static str;
    /// The aggregate whose events arm.
    fn aggregate(&self) -> &'static str;
    /// [`Deadlines::BEGINS`].
    fn begins(&self) -> Begins;
    /// Of its name, the version of its rule and the events that it knows.
    fn fingerprint(&self) -> Digest;
    /// [`Deadlines::arms`], with the ids that their messages will have whenever this is done again, by whomever they are fired.
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    fn arms(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Vec<(Uuid, Deadline)>, ReactError>;
    /// [`Deadlines::disarms`].
    ///
    /// # Errors
    /// When this build does not know the event, or the rule panics.
    fn disarms(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce) -> Result<Vec<&'static str>, ReactError>;
}

impl dyn ErasedDeadlines {
    /// The face of a rule.
    pub fn of<D: Deadlines>() -> Arc<dyn ErasedDeadlines> {
        Arc::new(Face::<D>(PhantomData))
    }
}

struct Face<D>(PhantomData<fn() -> D>);

impl<D: Deadlines> ErasedDeadlines for Face<D> {
    identity!(D);

    fn arms(
        &self,
        type_name: &str,
        payload: &[u8],
        decoded: &DecodedOnce,
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Result<Vec<(Uuid, Deadline)>, ReactError> {
        let event = decoded.of::<D::Event>(type_name, payload)?;
        let armed = caught(|| D::arms(event, at)).map_err(ReactError::Panicked)?;
        let id = |deadline: &Deadline| ids::deadline_id(place, D::NAME, deadline.name, deadline.message.target.as_str());
        Ok(armed.into_iter().map(|deadline| (id(&deadline), deadline)).collect())
    }

    fn disarms(&self, type_name: &str, payload: &[u8], decoded: &DecodedOnce) -> Result<Vec<&'static str>, ReactError> {
        let event = decoded.of::<D::Event>(type_name, payload)?;
        caught(|| D::disarms(event)).map_err(ReactError::Panicked)
    }
}

#[cfg(test)]
mod tests {
    use daybook_proto::v1::EventRef;
    use daybook_proto::{Named as _, SetError};

    use super::*;
    use crate::told::Told;
    use crate::{StreamId, Version};

    /// A tale ends a second after it was told, and twice so; an empty one ends what is told.
    struct Ending;

    impl Deadlines for Ending {
        const NAME: &'static str = "ending";
        type Event = Told;

        fn arms(event: &Told, at: &EventAt<'_>) -> Vec<Deadline> {
            assert_ne!(event.0.r#type, "panic");
            let deadline = |name| Deadline {
                name,
                due_at: Instant::from_micros(at.recorded_at.micros() + 1_000_000),
                message: ServiceMessage { service: "tales", type_name: "End", bytes: Vec::new(), target: at.stream.clone() },
            };
            if event.0.r#type.is_empty() { Vec::new() } else { vec![deadline("first"), deadline("second")] }
        }

        fn disarms(event: &Told) -> Vec<&'static str> {
            if event.0.r#type.is_empty() { vec!["first", "second"] } else { Vec::new() }
        }
    }

    fn place() -> EventPlace {
        EventPlace { epoch: 1, service: "tales".into(), partition: 0, offset: 7 }
    }

    fn arms(type_name: &str, text: &str) -> Result<Vec<(Uuid, Deadline)>, ReactError> {
        let (stream, event) = (StreamId::new("tale", "a"), Told(EventRef { r#type: text.to_owned(), offset: 0 }).encode_to_vec());
        let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::from_micros(5) };
        <dyn ErasedDeadlines>::of::<Ending>().arms(type_name, &event, &DecodedOnce::default(), &at, &place())
    }

    #[test]
    fn each_deadline_of_an_event_has_the_id_of_its_name_and_target() {
        let armed = arms(EventRef::TYPE, "x").expect("it is known");
        let id = |name| ids::deadline_id(&place(), "ending", name, "tale/a");
        assert_eq!(armed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id("first"), id("second")]);
        assert!(armed.iter().all(|(_, deadline)| deadline.due_at == Instant::from_micros(1_000_005)));
        assert_eq!(arms(EventRef::TYPE, "x"), Ok(armed), "whoever asks again");
        assert_eq!(arms(EventRef::TYPE, ""), Ok(Vec::new()));
    }

    #[test]
    fn an_event_names_what_it_disarms() {
        let rule = <dyn ErasedDeadlines>::of::<Ending>();
        let disarms = |text: &str| {
            let event = Told(EventRef { r#type: text.to_owned(), offset: 0 }).encode_to_vec();
            rule.disarms(EventRef::TYPE, &event, &DecodedOnce::default())
        };
        assert_eq!((disarms(""), disarms("x")), (Ok(vec!["first", "second"]), Ok(Vec::new())));
    }

    #[test]
    fn a_rule_that_panics_and_an_event_that_is_not_known_are_told() {
        assert!(matches!(arms(EventRef::TYPE, "panic"), Err(ReactError::Panicked(_))));
        assert_eq!(arms("t.Other", "x"), Err(ReactError::Unknown(SetError::UnknownType("t.Other".into()))));
    }

    #[test]
    fn a_face_tells_the_rules_name() {
        let rule = <dyn ErasedDeadlines>::of::<Ending>();
        assert_eq!((rule.name(), rule.service(), rule.aggregate(), rule.begins()), ("ending", "tales", "tale", Begins::AtTheEnd));
        assert_eq!(rule.fingerprint(), rule_fingerprint::<Told>("ending", 1));
    }
}
