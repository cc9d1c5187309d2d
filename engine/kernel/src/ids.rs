//! Derived ids. Every id that the engine makes is worked out from the thing that it names (UUIDv5), so that doing a thing
//! again gives the same id again.

use uuid::Uuid;

/// The namespace of all of Daybook's UUIDv5 ids: UUIDv5(DNS, "daybook").
pub const NAMESPACE: Uuid = Uuid::from_u128(0xab38_9f60_a143_5b93_9b27_6a4e_2dc3_55e8);

/// UUIDv5 over length-prefixed parts: no two lists of parts share an encoding.
fn derive(kind: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(16 + parts.iter().map(|p| p.len() + 4).sum::<usize>());
    for part in std::iter::once(&kind.as_bytes()).chain(parts) {
        name.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// A command's id: of service, the caller's key scope, stream id and idempotency key. A key is scoped to one caller and one stream.
pub fn command_id(service: &str, key_scope: &str, stream_id: &str, key: &str) -> Uuid {
    derive("command", &[service.as_bytes(), key_scope.as_bytes(), stream_id.as_bytes(), key.as_bytes()])
}

/// The n-th id that deciding a command asks for, from 0.
pub fn new_id(command_id: Uuid, ordinal: u32) -> Uuid {
    derive("new", &[command_id.as_bytes(), &ordinal.to_be_bytes()])
}

/// The place of an event, for ids that are derived from it. The epoch is the event's page's, never the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// The log's epoch when the event was written, from 1.
    pub epoch: i32,
    /// The service whose log holds it.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The event's offset.
    pub offset: i64,
}

/// The id of the `n`-th command (from 0) of this type to this stream that a reactor sends for one event. Never a
/// bare index: adding a rule must not give its message the id of another.
pub fn reaction_id(place: &EventPlace, reactor: &str, command_type: &str, target: &str, n: u32) -> Uuid {
    derive(
        "reaction",
        &[
            &place.epoch.to_be_bytes(),
            place.service.as_bytes(),
            &place.partition.to_be_bytes(),
            &place.offset.to_be_bytes(),
            reactor.as_bytes(),
            command_type.as_bytes(),
            target.as_bytes(),
            &n.to_be_bytes(),
        ],
    )
}

/// The id of the one outcome that an effect has for one event, whatever the outcome's type: a second, different
/// outcome is the same id with another digest.
pub fn effect_outcome_id(place: &EventPlace, effect: &str, target: &str) -> Uuid {
    derive(
        "effect",
        &[
            &place.epoch.to_be_bytes(),
            place.service.as_bytes(),
            &place.partition.to_be_bytes(),
            &place.offset.to_be_bytes(),
            effect.as_bytes(),
            target.as_bytes(),
        ],
    )
}

/// The id of the message that a deadline sends: of the event that armed it, its name and its target; the same whoever fires it.
pub fn deadline_id(place: &EventPlace, rule: &str, deadline: &str, target: &str) -> Uuid {
    derive(
        "deadline",
        &[
            &place.epoch.to_be_bytes(),
            place.service.as_bytes(),
            &place.partition.to_be_bytes(),
            &place.offset.to_be_bytes(),
            rule.as_bytes(),
            deadline.as_bytes(),
            target.as_bytes(),
        ],
    )
}

/// The id of a message that got no result, by its place and content: parking or rejecting it again is the same.
pub fn misfit_id(service: &str, partition: i32, message_offset: i64, content: &[u8]) -> Uuid {
    derive("misfit", &[service.as_bytes(), &partition.to_be_bytes(), &message_offset.to_be_bytes(), content])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> EventPlace {
        EventPlace { epoch: 1, service: "orders".into(), partition: 3, offset: 7 }
    }

    #[test]
    fn a_key_is_scoped_to_service_caller_and_stream() {
        let id = command_id("catalog", "anonymous", "product/A-1", "k");
        assert_eq!(id, command_id("catalog", "anonymous", "product/A-1", "k"));
        for other in [
            command_id("inventory", "anonymous", "product/A-1", "k"),
            command_id("catalog", "bob", "product/A-1", "k"),
            command_id("catalog", "anonymous", "product/A-2", "k"),
            command_id("catalog", "anonymous", "product/A-1", "l"),
            command_id("catalo", "ganonymous", "product/A-1", "k"),
        ] {
            assert_ne!(id, other);
        }
        // A one-way door: the ledger keeps these for ever.
        assert_eq!(id.to_string(), "cb7d6c79-c9af-5014-8111-b2fab416fcf2");
    }

    #[test]
    fn new_ids_come_from_the_command_and_their_ordinal() {
        let command = command_id("s", "c", "a/1", "k");
        assert_ne!(new_id(command, 0), new_id(command, 1));
        assert_eq!(new_id(command, 1), new_id(command, 1));
    }

    #[test]
    fn adding_a_rule_gives_no_message_the_id_of_another() {
        let before = reaction_id(&place(), "fulfil", "t.Reserve", "stock/A@w", 0);
        assert_ne!(before, reaction_id(&place(), "fulfil", "t.Notify", "stock/A@w", 0));
        assert_ne!(before, reaction_id(&place(), "fulfil", "t.Reserve", "stock/A@w", 1));
        assert_eq!(before, reaction_id(&place(), "fulfil", "t.Reserve", "stock/A@w", 0));
    }

    #[test]
    fn an_effect_has_one_outcome_id_whatever_came_of_it() {
        assert_eq!(effect_outcome_id(&place(), "charge", "payment/o-1"), effect_outcome_id(&place(), "charge", "payment/o-1"));
        let next_epoch = EventPlace { epoch: 2, ..place() };
        assert_ne!(effect_outcome_id(&place(), "charge", "payment/o-1"), effect_outcome_id(&next_epoch, "charge", "payment/o-1"));
    }

    #[test]
    fn each_deadline_has_its_own_id_and_the_same_one_whoever_fires_it() {
        let id = deadline_id(&place(), "orders", "payment", "order/o-1");
        assert_eq!(id, deadline_id(&place(), "orders", "payment", "order/o-1"));
        for other in [
            deadline_id(&EventPlace { offset: 8, ..place() }, "orders", "payment", "order/o-1"),
            deadline_id(&EventPlace { epoch: 2, ..place() }, "orders", "payment", "order/o-1"),
            deadline_id(&place(), "others", "payment", "order/o-1"),
            deadline_id(&place(), "orders", "allocation", "order/o-1"),
            deadline_id(&place(), "orders", "payment", "order/o-2"),
            effect_outcome_id(&place(), "orders", "order/o-1"),
        ] {
            assert_ne!(id, other);
        }
        // A one-way door: the ledger keeps these for ever.
        assert_eq!(id.to_string(), "50f12b65-2cae-5974-8319-30d72e9ece86");
    }
}
