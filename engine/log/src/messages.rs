//! Messages that got no result: parked ones, which wait, and rejected ones, which never will have one.

use std::collections::HashSet;

use daybook_kernel::Instant;
use uuid::Uuid;

use crate::read::instant;
use crate::{LogError, PartitionLog, sql};

/// A message that could not be handled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedMessage {
    /// Derived from where it stood: parking it again is the same.
    pub parked_id: Uuid,
    /// Its offset in `<service>.messages`.
    pub message_offset: i64,
    /// The whole stream id.
    pub stream_id: String,
    /// The command's id.
    pub command_id: Uuid,
    /// `panic`, `too-large`, `newer-build`, `newer-mac` or `behind`.
    pub kind: String,
    /// For people.
    pub reason: String,
    /// `daybook.v1.Request`, encoded.
    pub request: Vec<u8>,
    /// When.
    pub parked_at: Instant,
}

/// A message that will never be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedMessage {
    /// Derived from where it stood.
    pub rejected_id: Uuid,
    /// Its offset in `<service>.messages`.
    pub message_offset: i64,
    /// The command's id, where one could be worked out.
    pub command_id: Option<Uuid>,
    /// For people.
    pub reason: String,
    /// When.
    pub rejected_at: Instant,
}

/// The fate of a command that has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits: kind, reason, id.
    Parked(String, String, Uuid),
    /// It never will have one: reason.
    Rejected(String),
}

impl PartitionLog {
    /// Parks a message.
    ///
    /// # Errors
    /// When Postgres does not answer; nothing is parked then.
    pub async fn park(&self, m: &ParkedMessage) -> Result<(), LogError> {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&m.parked_id, &m.message_offset, &m.stream_id, &m.command_id, &m.kind, &m.reason, &m.request, &m.parked_at.to_utc()];
        self.home.get().await?.execute(&self.sql(sql::INSERT_PARKED), &values).await?;
        Ok(())
    }

    /// The messages that are parked here and not settled, in the order of arrival.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn parked(&self) -> Result<Vec<ParkedMessage>, LogError> {
        let rows = self.home.get().await?.query(&self.sql(sql::READ_PARKED), &[]).await?;
        let message = |row: &tokio_postgres::Row| ParkedMessage {
            parked_id: row.get("parked_id"),
            message_offset: row.get("message_offset"),
            stream_id: row.get("stream_id"),
            command_id: row.get("command_id"),
            kind: row.get("kind"),
            reason: row.get("reason"),
            request: row.get("request"),
            parked_at: instant(row, "parked_at"),
        };
        Ok(rows.iter().map(message).collect())
    }

    /// Marks a parked message as settled; false when it was settled before.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn settle_parked(&self, parked_id: Uuid, at: Instant, settlement: &str) -> Result<bool, LogError> {
        let n = self.home.get().await?.execute(&self.sql(sql::SETTLE_PARKED), &[&parked_id, &at.to_utc(), &settlement]).await?;
        Ok(n == 1)
    }

    /// Writes down that a message was rejected.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn reject(&self, m: &RejectedMessage) -> Result<(), LogError> {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&m.rejected_id, &m.message_offset, &m.command_id, &m.reason, &m.rejected_at.to_utc()];
        self.home.get().await?.execute(&self.sql(sql::INSERT_REJECTED), &values).await?;
        Ok(())
    }

    /// Those of some commands, each with the stream that it is addressed to, that have come to an end: a result, or a parked or rejected
    /// message.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn ended(&self, commands: &[(&str, Uuid)]) -> Result<HashSet<Uuid>, LogError> {
        let (streams, ids): (Vec<&str>, Vec<Uuid>) = commands.iter().copied().unzip();
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::ENDED_COMMANDS)).await?;
        let mut ended: HashSet<Uuid> = client.query(&statement, &[&streams, &ids]).await?.iter().map(|row| row.get(0)).collect();
        drop(client);
        let open: Vec<Uuid> = ids.into_iter().filter(|id| !ended.contains(id)).collect();
        if !open.is_empty() {
            let rows = self.home.get().await?.query(&self.sql(sql::ENDED_MESSAGES), &[&open]).await?;
            ended.extend(rows.iter().map(|row| row.get::<_, Uuid>(0)));
        }
        Ok(ended)
    }

    /// The fate of a command that has no result.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn fate(&self, command_id: Uuid) -> Result<Option<Fate>, LogError> {
        let row = self.home.get().await?.query_opt(&self.sql(sql::FATE_OF_MESSAGE), &[&command_id]).await?;
        Ok(row.map(|r| match r.get::<_, &str>("fate") {
            "parked" => Fate::Parked(r.get("kind"), r.get("reason"), r.get("parked_id")),
            _ => Fate::Rejected(r.get("reason")),
        }))
    }
}
