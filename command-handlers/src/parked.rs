//! An operator's ways with parked messages: look, have them decided again, or give them up.

use daybook_bus::{BusConfig, Producer, ProducerOptions, headers};
use daybook_kernel::{Secret, StreamId};
use daybook_log::{Log, ParkedMessage, PartitionLog, Writer};
use daybook_messages::Addressed;
use daybook_postgres::{Databases, Role, read_secret};
use daybook_proto::v1::{Request, UnverifiedMessage};
use prost::Message as _;
use uuid::Uuid;

use crate::HandlerError;
use crate::aside::NEWER_MAC;

/// The parked messages of some services.
pub struct ParkedMessages {
    bus: BusConfig,
    logs: Vec<Log>,
    secret: Secret,
}

impl ParkedMessages {
    /// Opens them.
    ///
    /// # Errors
    /// When Postgres does not answer, or was not migrated.
    pub async fn open(databases: &Databases, bus: BusConfig, services: &[&str]) -> Result<Self, HandlerError> {
        let mut logs = Vec::new();
        for service in services {
            logs.push(Log::open(databases, service, Role::Writer).await?);
        }
        Ok(Self { bus, logs, secret: read_secret(databases, Role::Writer).await? })
    }

    /// Those that are not settled, in the order of their arrival in each partition.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn list(&self) -> Result<Vec<(PartitionLog, ParkedMessage)>, HandlerError> {
        let mut all = Vec::new();
        for log in &self.logs {
            for n in 0..log.partitions().cast_signed() {
                let partition = log.partition(n)?;
                all.extend(partition.parked().await?.into_iter().map(|m| (partition.clone(), m)));
            }
        }
        Ok(all)
    }

    /// One of them.
    ///
    /// # Errors
    /// When there is none, or Postgres does not answer.
    pub async fn find(&self, id: Uuid) -> Result<(PartitionLog, ParkedMessage), HandlerError> {
        let all = self.list().await?;
        let unknown =
            || HandlerError::Configuration(format!("no parked message {id}: `daybook parked list` shows those that are not settled"));
        all.into_iter().find(|(_, m)| m.parked_id == id).ok_or_else(unknown)
    }

    /// One of them, with its request.
    ///
    /// # Errors
    /// When there is none, or Postgres does not answer.
    pub async fn show(&self, id: Uuid) -> Result<(PartitionLog, ParkedMessage, Request), HandlerError> {
        let (partition, message) = self.find(id).await?;
        let unreadable = |e: prost::DecodeError| HandlerError::Configuration(format!("its request can't be read: {e}"));
        let request = if message.kind == NEWER_MAC {
            // As far as it says what it is: nothing of it is checked.
            let kept = UnverifiedMessage::decode(message.request.as_slice()).map_err(unreadable)?;
            let r#type = kept.headers.iter().find(|header| header.name == headers::CE_TYPE);
            let r#type = r#type.map(|header| String::from_utf8_lossy(&header.value).into_owned()).unwrap_or_default();
            Request { r#type, command: kept.value, ..Request::default() }
        } else {
            Request::decode(message.request.as_slice()).map_err(unreadable)?
        };
        Ok((partition, message, request))
    }

    /// Sends it to its lane again: a new arrival under the same command id, decided on the state of that moment. Sent
    /// before it is settled, so a death in between repeats it, which changes nothing.
    ///
    /// # Errors
    /// When there is none, or Postgres or Kafka does not answer.
    pub async fn retry(&self, id: Uuid) -> Result<(), HandlerError> {
        let (partition, message, request) = self.show(id).await?;
        if message.kind == NEWER_MAC {
            let why = "nobody here can tell whether it is genuine: a lane of a build that knows its MAC takes it up by itself";
            return Err(HandlerError::Configuration(format!("{why}; `daybook parked skip {id}` gives it up")));
        }
        let stream = StreamId::parse(&message.stream_id).map_err(|e| HandlerError::Configuration(e.to_string()))?;
        let service = partition.service().to_string();
        let partitions = self.logs.iter().find(|l| **l.service() == *service).map_or(1, Log::partitions);
        let addressed = Addressed {
            service: service.clone(),
            stream,
            command_id: message.command_id,
            key: String::new(),
            request,
            reply_to: None,
            source: "operator",
        };
        let record = addressed.record(self.bus.messages(&service).into(), partitions, &self.secret);
        Producer::new(&self.bus, ProducerOptions::default())?.send(vec![record]).await?;
        partition.settle_parked(id, Writer::now(), "retried").await?;
        Ok(())
    }

    /// Gives it up: it will have no result, and its handle says so.
    ///
    /// # Errors
    /// When there is none, or Postgres does not answer.
    pub async fn skip(&self, id: Uuid) -> Result<(), HandlerError> {
        let (partition, _) = self.find(id).await?;
        partition.settle_parked(id, Writer::now(), "skipped").await?;
        Ok(())
    }
}
