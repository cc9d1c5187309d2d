//! From a Kafka message to a command that a lane can decide, or the reason why it never will.

use std::sync::Arc;

use daybook_bus::Message;
use daybook_kernel::{Aggregate, Command, CommandFault, Digest, Registry, Secret, StreamId, digest, ids};
use daybook_proto::SetError;
use daybook_proto::v1::Request;
use prost::Message as _;
use uuid::Uuid;

use crate::envelope::{Envelope, ReplyTo};

/// Largest command, in bytes.
pub(crate) const MAX_COMMAND: usize = 512 * 1024;

/// A command that a lane can decide.
pub(crate) struct Arrival {
    /// Where it stood in `<service>.messages`; none when it was parked and is taken up again.
    pub(crate) message_offset: Option<i64>,
    pub(crate) command_id: Uuid,
    pub(crate) stream: StreamId,
    pub(crate) aggregate: Arc<dyn Aggregate>,
    pub(crate) command: Command,
    /// Canonical: its `command` is the canonical encoding.
    pub(crate) request: Request,
    /// What a repeat is compared with.
    pub(crate) digest: Digest,
    pub(crate) reply_to: Option<ReplyTo>,
    /// Of a message that was parked: its id.
    pub(crate) parked_id: Option<Uuid>,
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
    NewerBuild { stream: StreamId, command_id: Uuid, request: Request },
}

/// Reads messages for one partition of one service.
pub(crate) struct Intake {
    pub(crate) service: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) partitions: u32,
    pub(crate) registry: Arc<Registry>,
    pub(crate) secret: Secret,
}

impl Intake {
    /// Reads one message. Nothing in it is trusted: key, partition, command and limits are all checked against the payload.
    pub(crate) fn read(&self, message: Message) -> Result<Arrival, Box<Misfit>> {
        let offset = message.offset;
        let reject = |message: Message, command_id, reply_to, reason: String| {
            Box::new(Misfit { message_offset: offset, command_id, reply_to, reason, kind: MisfitKind::Rejected(message) })
        };
        let envelope = match Envelope::read(&message, &self.secret) {
            Ok(envelope) => envelope,
            Err(reason) => return Err(reject(message, None, None, reason)),
        };
        let Envelope { request, key, command_id: signed, reply_to } = envelope;
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
        let command_id = signed.unwrap_or_else(|| ids::command_id(&self.service, &request.caller, stream.as_str(), &key));
        if message.key.as_deref() != Some(stream.as_str().as_bytes()) {
            return Err(reject(message, Some(command_id), reply_to, format!("the message's key is not its stream id, {stream}")));
        }
        if stream.partition(self.partitions) != self.partition {
            let reason = format!("{stream} belongs in partition {}: set partitioner=murmur2_random", stream.partition(self.partitions));
            return Err(reject(message, Some(command_id), reply_to, reason));
        }
        Ok(self.arrival(Some(offset), command_id, aggregate.clone(), command, request, reply_to, None))
    }

    /// A message that only a newer build can read: it waits when an endpoint of ours sent it, and is refused otherwise.
    fn unknown(&self, message: Message, request: Request, signed: Option<Uuid>, reply_to: Option<ReplyTo>, reason: String) -> Box<Misfit> {
        let message_offset = message.offset;
        let stream = message.key.as_deref().and_then(|k| std::str::from_utf8(k).ok()).and_then(|k| StreamId::parse(k).ok());
        let kind = match (signed, stream) {
            (Some(command_id), Some(stream)) => MisfitKind::NewerBuild { stream, command_id, request },
            _ => MisfitKind::Rejected(message),
        };
        Box::new(Misfit { message_offset, command_id: signed, reply_to, reason, kind })
    }

    /// A message that was parked, to be decided again.
    pub(crate) fn again(&self, parked_id: Uuid, command_id: Uuid, request: &[u8]) -> Result<Arrival, String> {
        let request = Request::decode(request).map_err(|e| e.to_string())?;
        let aggregate =
            self.registry.of_command(&request.r#type).ok_or_else(|| format!("this build knows no command {}", request.r#type))?;
        let command = aggregate.read_command(&request.r#type, &request.command).map_err(|e| e.to_string())?;
        Ok(self.arrival(None, command_id, aggregate.clone(), command, request, None, Some(parked_id)))
    }

    #[allow(clippy::too_many_arguments)] // one constructor, two callers, every field once
    fn arrival(
        &self,
        message_offset: Option<i64>,
        command_id: Uuid,
        aggregate: Arc<dyn Aggregate>,
        command: Command,
        mut request: Request,
        reply_to: Option<ReplyTo>,
        parked_id: Option<Uuid>,
    ) -> Arrival {
        request.command.clone_from(&command.bytes);
        let digest = digest::command(&request.r#type, &request.command, request.if_match);
        Arrival { message_offset, command_id, stream: command.stream.clone(), aggregate, command, request, digest, reply_to, parked_id }
    }
}
