//! From a Kafka message to a command that a lane can decide, or the reason why it never will.

use std::sync::Arc;

use daybook_bus::{Headers, Message, Record, headers};
use daybook_kernel::{Aggregate, Command, CommandFault, Digest, Registry, Secret, StreamId, digest, ids};
use daybook_messages::{Envelope, EnvelopeError, MAX_COMMAND, ReplyTo};
use daybook_proto::SetError;
use daybook_proto::v1::Request;
use prost::Message as _;
use uuid::Uuid;

use crate::lost::LostEvents;

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 2_000;

/// A command that a lane can decide.
pub(crate) struct Arrival {
    pub(crate) origin: Origin,
    pub(crate) command_id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) aggregate: Arc<dyn Aggregate>,
    pub(crate) command: Command,
    /// Canonical: its `command` is the canonical encoding.
    pub(crate) request: Request,
    /// The digest that a repeat is compared with.
    pub(crate) digest: Digest,
    pub(crate) reply_to: Option<ReplyTo>,
}

/// The way by which a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Its message's offset in `<service>.messages`.
    Kafka(i64),
    /// It was parked under this id, and is taken up again.
    Parked(Uuid),
    /// It was handed over in this process, and Kafka brings it too. What can't be decided waits for that: it has an offset.
    Beside,
}

impl Origin {
    /// The message's offset, where Kafka has brought it.
    pub(crate) fn message_offset(self) -> Option<i64> {
        match self {
            Self::Kafka(offset) => Some(offset),
            Self::Parked(_) | Self::Beside => None,
        }
    }

    /// The id under which it was parked.
    pub(crate) fn parked_id(self) -> Option<Uuid> {
        match self {
            Self::Parked(id) => Some(id),
            Self::Kafka(_) | Self::Beside => None,
        }
    }
}

/// A message without a command that this build can decide.
pub(crate) struct Misfit {
    pub(crate) message_offset: i64,
    pub(crate) command_id: Option<Uuid>,
    pub(crate) reply_to: Option<ReplyTo>,
    pub(crate) reason: String,
    pub(crate) kind: MisfitKind,
}

pub(crate) enum MisfitKind {
    /// It will never be decided.
    Rejected(Message),
    /// A newer build's endpoint sent it: it waits for a lane of that build.
    NewerBuild { stream: StreamId, command_id: Uuid, request: Box<Request> },
    /// Its MAC is of a later version: nothing of it is believed until a lane that knows that version has read it.
    Unverified { stream: StreamId, message: Message },
}

/// Reads messages for one partition of one service.
pub(crate) struct Intake {
    pub(crate) service: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) partitions: u32,
    pub(crate) registry: Arc<Registry>,
    pub(crate) secret: Secret,
    pub(crate) lost: Arc<LostEvents>,
}

impl Intake {
    /// Reads one message. Nothing in it is trusted: key, partition, command and limits are all checked against the payload.
    pub(crate) fn read(&self, message: Message) -> Result<Arrival, Box<Misfit>> {
        let offset = message.offset;
        let reject = |message: Message, command_id, reply_to, reason: String| {
            Box::new(Misfit { message_offset: offset, command_id, reply_to, reason, kind: MisfitKind::Rejected(message) })
        };
        if let Some(reason) = passed_over(&message.headers) {
            return Err(reject(message, None, None, reason));
        }
        let envelope = match Envelope::read(&message, &self.secret) {
            Ok(envelope) => envelope,
            Err(EnvelopeError::Invalid(reason)) => return Err(reject(message, None, None, reason)),
            Err(EnvelopeError::UnknownMac(version)) => return Err(self.unverified(message, version)),
        };
        let Envelope { request, key, command_id: signed, reply_to } = envelope;
        if self.lost.have_caused(&request) {
            let reason = format!("it follows from the event {}, which its log has lost: the log was restored", request.causation_id);
            return Err(reject(message, signed, reply_to, reason));
        }
        let known = self.registry.of_command(&request.r#type).filter(|a| a.service() == &*self.service);
        let Some(aggregate) = known else {
            let reason = format!("{} has no command {}", self.service, request.r#type);
            return Err(self.unknown(message, request, signed, reply_to, reason));
        };
        if request.command.len() > MAX_COMMAND {
            return Err(reject(message, signed, reply_to, format!("the command is larger than {MAX_COMMAND} bytes")));
        }
        let command = match aggregate.read_command(&request.r#type, &request.command) {
            Ok(command) => command,
            Err(CommandFault::Unreadable(SetError::UnknownField(at))) => {
                return Err(self.unknown(message, request, signed, reply_to, format!("this build knows no field {at}")));
            }
            Err(fault) => return Err(reject(message, signed, reply_to, fault.to_string())),
        };
        let stream = command.stream.clone();
        let command_id =
            signed.unwrap_or_else(|| ids::command_id(&self.service, daybook_messages::key_scope(&request), stream.as_str(), &key));
        if message.key.as_deref() != Some(stream.as_str().as_bytes()) {
            return Err(reject(message, Some(command_id), reply_to, format!("the message's key is not its stream id, {stream}")));
        }
        if stream.partition(self.partitions) != self.partition {
            let reason = format!("{stream} belongs in partition {}: set partitioner=murmur2_random", stream.partition(self.partitions));
            return Err(reject(message, Some(command_id), reply_to, reason));
        }
        Ok(arrival(Origin::Kafka(offset), command_id, aggregate, command, request, reply_to))
    }

    /// Reads a command that was handed over in this process, beside its message. None where it is no command that can be decided.
    pub(crate) fn read_beside(&self, record: Record) -> Option<Arrival> {
        let Record { topic, partition, key, headers, value } = record;
        let message = Message { topic, partition, offset: -1, timestamp_ms: None, key: Some(key), value, headers };
        self.read(message).ok().map(|arrival| Arrival { origin: Origin::Beside, ..arrival })
    }

    /// A message that only a newer build can read: it waits when an endpoint of ours sent it, and is refused otherwise.
    fn unknown(&self, message: Message, request: Request, signed: Option<Uuid>, reply_to: Option<ReplyTo>, reason: String) -> Box<Misfit> {
        let message_offset = message.offset;
        let stream = message.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()).and_then(|k| StreamId::parse(k).ok());
        let kind = match (signed, stream) {
            (Some(command_id), Some(stream)) => MisfitKind::NewerBuild { stream, command_id, request: Box::new(request) },
            _ => MisfitKind::Rejected(message),
        };
        Box::new(Misfit { message_offset, command_id: signed, reply_to, reason, kind })
    }

    /// A message whose MAC this build can't check. It has a place where it waits only if its key is that of a stream of this partition.
    fn unverified(&self, message: Message, version: u32) -> Box<Misfit> {
        let message_offset = message.offset;
        let reason = format!("its MAC is of version {version}, which this build does not know: lanes are upgraded before endpoints");
        let stream = message.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()).and_then(|k| StreamId::parse(k).ok());
        let kind = match stream.filter(|stream| stream.partition(self.partitions) == self.partition) {
            Some(stream) => MisfitKind::Unverified { stream, message },
            None => MisfitKind::Rejected(message),
        };
        Box::new(Misfit { message_offset, command_id: None, reply_to: None, reason, kind })
    }

    /// A message that was parked, to be decided again.
    pub(crate) fn again(&self, parked_id: Uuid, command_id: Uuid, request: &[u8]) -> Result<Arrival, String> {
        let request = Request::decode(request).map_err(|e| e.to_string())?;
        let aggregate =
            self.registry.of_command(&request.r#type).ok_or_else(|| format!("this build knows no command {}", request.r#type))?;
        let command = aggregate.read_command(&request.r#type, &request.command).map_err(|e| e.to_string())?;
        Ok(arrival(Origin::Parked(parked_id), command_id, aggregate, command, request, None))
    }
}

/// Why the endpoint has passed a notice over, which it sends here to be kept. Whoever else sends such a message has it rejected, as it should be.
fn passed_over(headers: &Headers) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let webhook = text(headers::WEBHOOK)?;
    Some(format!("a notice of the webhook {webhook}: {}", text(headers::REASON).unwrap_or_default()))
}

fn arrival(
    origin: Origin,
    command_id: Uuid,
    aggregate: &Arc<dyn Aggregate>,
    command: Command,
    mut request: Request,
    reply_to: Option<ReplyTo>,
) -> Arrival {
    request.command.clone_from(&command.bytes);
    let digest = digest::command(&request.r#type, &request.command, request.if_match);
    Arrival { origin, command_id, stream: command.stream.clone(), aggregate: aggregate.clone(), command, request, digest, reply_to }
}

/// A reason as it can be kept: Postgres takes no U+0000, and it has to fit into a header and a reply.
pub(crate) fn keepable(reason: String) -> String {
    let reason = if reason.contains('\0') { reason.replace('\0', "\u{fffd}") } else { reason };
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use daybook_bus::Headers;
    use daybook_bus::headers as h;
    use daybook_proto::v1::Caller;
    use shop_proto::inventory::v1::ReceiveStock;

    use super::*;
    use daybook_messages::Addressed;

    const RECEIVE: &str = "shop.inventory.v1.ReceiveStock";
    const STREAM: &str = "stock/A-1@w-1";
    const PARTITIONS: u32 = 16;

    fn intake(partition: i32) -> Intake {
        let registry = Arc::new(Registry::new(shop_domain::aggregates()).expect("sound"));
        Intake {
            service: "inventory".into(),
            partition,
            partitions: PARTITIONS,
            registry,
            secret: Secret::new([1; 32]),
            lost: Arc::default(),
        }
    }

    fn home() -> i32 {
        StreamId::parse(STREAM).expect("a stream id").partition(PARTITIONS)
    }

    fn received() -> Vec<u8> {
        ReceiveStock { sku: "A-1".into(), warehouse: "w-1".into(), quantity: 5, ..Default::default() }.encode_to_vec()
    }

    /// As a client of Kafka sends it.
    fn message(type_name: &str, key: &str, value: Vec<u8>) -> Message {
        let headers = Headers::new().with(h::CE_TYPE, type_name.to_owned()).with(h::CE_ID, "k");
        Message {
            topic: "t".into(),
            partition: home(),
            offset: 9,
            timestamp_ms: None,
            key: Some(key.to_owned().into()),
            value: Some(value.into()),
            headers,
        }
    }

    /// As an endpoint sends it.
    fn signed(type_name: &str) -> Message {
        let request =
            Request { r#type: type_name.to_owned(), command: received(), caller: Some(Caller::process("bob")), ..Default::default() };
        let addressed = Addressed::new("inventory", StreamId::parse(STREAM).expect("a stream id"), "k", request);
        let Record { topic, partition, key, headers, value } = addressed.record("t".into(), PARTITIONS, &Secret::new([1; 32]));
        Message { topic, partition, offset: 9, timestamp_ms: None, key: Some(key), value, headers }
    }

    #[track_caller]
    fn rejected(intake: &Intake, message: Message, says: &str) {
        match intake.read(message) {
            Err(misfit) if matches!(misfit.kind, MisfitKind::Rejected(_)) => assert!(misfit.reason.contains(says), "{}", misfit.reason),
            Err(misfit) => panic!("it waits for a newer build: {}", misfit.reason),
            Ok(_) => panic!("it is taken"),
        }
    }

    #[test]
    fn a_command_is_taken_in_its_canonical_form_under_its_own_id() {
        let Ok(arrival) = intake(home()).read(message(RECEIVE, STREAM, received())) else { panic!("it is in order") };
        assert_eq!((arrival.origin, arrival.stream.as_str(), &arrival.request.command), (Origin::Kafka(9), STREAM, &received()));
        assert_eq!(arrival.command_id, ids::command_id("inventory", "anonymous", STREAM, "k"));
        // The same fields in another order are the same command.
        let other_order = [
            ReceiveStock { quantity: 5, ..Default::default() }.encode_to_vec(),
            ReceiveStock { sku: "A-1".into(), warehouse: "w-1".into(), ..Default::default() }.encode_to_vec(),
        ]
        .concat();
        let Ok(same) = intake(home()).read(message(RECEIVE, STREAM, other_order)) else { panic!("it is in order") };
        assert_eq!((&same.request.command, same.digest), (&arrival.request.command, arrival.digest));
        // The version that it expects is part of it.
        let mut expecting = message(RECEIVE, STREAM, received());
        expecting.headers.push(h::IF_MATCH, "3");
        let Ok(expecting) = intake(home()).read(expecting) else { panic!("it is in order") };
        assert_ne!(expecting.digest, arrival.digest);
    }

    #[test]
    fn what_does_not_belong_here_is_rejected() {
        let here = intake(home());
        rejected(&here, message(RECEIVE, "stock/A-2@w-1", received()), "key");
        for elsewhere in [home() - 1, home() + 1] {
            rejected(&intake(elsewhere), message(RECEIVE, STREAM, received()), "belongs in partition");
        }
        let create = shop_proto::catalog::v1::CreateProduct { sku: "A-1".into(), title: "A lamp".into(), ..Default::default() };
        rejected(&here, message("shop.catalog.v1.CreateProduct", "product/A-1", create.encode_to_vec()), "inventory has no command");
        rejected(&here, message(RECEIVE, STREAM, vec![0; MAX_COMMAND + 1]), "larger");
        let mut notice = message(RECEIVE, STREAM, received());
        notice.headers = notice.headers.with(h::WEBHOOK, "deliveries").with(h::REASON, "it has no order");
        rejected(&here, notice, "a notice of the webhook deliveries: it has no order");
    }

    #[test]
    fn what_no_build_of_ours_has_sent_does_not_wait_for_a_newer_one() {
        let here = intake(home());
        rejected(&here, message("shop.inventory.v1.TeleportStock", STREAM, received()), "no command");
        let unknown_field = [received(), vec![0xf8, 0x3f, 1]].concat();
        rejected(&here, message(RECEIVE, STREAM, unknown_field), "knows no field");
        match here.read(signed("shop.inventory.v1.TeleportStock")) {
            Err(misfit) => assert!(matches!(misfit.kind, MisfitKind::NewerBuild { .. }), "{}", misfit.reason),
            Ok(_) => panic!("nobody knows it"),
        }
    }

    #[test]
    fn a_reason_is_kept_as_far_as_it_can_be() {
        assert_eq!(keepable("a\0b".to_owned()), "a\u{fffd}b");
        assert_eq!(keepable("ü".repeat(MAX_REASON)).chars().count(), MAX_REASON);
        assert_eq!(keepable("ü".repeat(MAX_REASON + 1)), format!("{}…", "ü".repeat(MAX_REASON)));
    }
}
