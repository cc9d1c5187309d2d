//! Parked streams, as an operator sees them: looked at, folded again, or gone on with without the event that can't be folded.

use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_follow::Ask;
use daybook_kernel::Instant;
use tokio_postgres::Row;

use crate::store::ReadStore;
use crate::{ProjectorError, sql};

/// Time between looks whether a request is done.
const LOOK: Duration = Duration::from_millis(100);

/// A stream that holds an event which a projection could not fold. What is shown of it is older than the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedStream {
    /// The read model.
    pub projection: String,
    /// The generation of it.
    pub generation: i32,
    /// The service whose log holds the stream.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The whole stream id.
    pub stream: String,
    /// Of the event that could not be folded.
    pub offset: i64,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Instant,
    /// The operator's request that is not done yet.
    pub asked: Option<Ask>,
    /// Times that it was folded again in vain.
    pub attempts: i32,
}

impl ParkedStream {
    /// `service/partition:offset` of the event that could not be folded.
    pub fn place(&self) -> String {
        format!("{}/{}:{}", self.service, self.partition, self.offset)
    }

    /// `projection/stream`, as the command line names it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.projection, self.stream)
    }

    fn is(&self, other: &Self) -> bool {
        (self.generation, &self.service) == (other.generation, &other.service)
    }
}

/// The outcome of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unparked {
    /// The stream is folded, and flows again.
    Healed,
    /// It could not be folded this time either.
    Again(Box<ParkedStream>),
    /// No projector has done it in time; it stays asked for.
    Unanswered,
}

fn parked_stream(row: &Row) -> ParkedStream {
    ParkedStream {
        projection: row.get(0),
        generation: row.get(1),
        service: row.get(2),
        partition: row.get(3),
        stream: row.get(4),
        offset: row.get(5),
        reason: row.get(6),
        since: row.get::<_, DateTime<Utc>>(7).into(),
        asked: row.get::<_, Option<&str>>(8).and_then(Ask::parse),
        attempts: row.get(9),
    }
}

impl ReadStore {
    /// The streams that are parked, the longest parked first: all, or those of one projection, stream and generation.
    ///
    /// # Errors
    /// When Postgres does not answer, or was never migrated.
    pub async fn parked_streams(
        &self,
        projection: Option<&str>,
        stream: Option<&str>,
        generation: Option<i32>,
    ) -> Result<Vec<ParkedStream>, ProjectorError> {
        let rows = self.client().await?.query(sql::PARKED_STREAMS, &[&projection, &stream, &generation]).await?;
        Ok(rows.iter().map(parked_stream).collect())
    }

    /// Asks for each of these, and waits up to `patience` until the projectors that own their partitions have done it.
    /// Answers in their order.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn unpark(&self, streams: &[ParkedStream], ask: Ask, patience: Duration) -> Result<Vec<Unparked>, ProjectorError> {
        for s in streams {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&s.projection, &s.generation, &s.service, &s.stream, &ask.as_str()];
            self.client().await?.execute(sql::ASK, &values).await?;
        }
        let until = tokio::time::Instant::now() + patience;
        loop {
            let late = tokio::time::Instant::now() >= until;
            let mut outcomes = Vec::with_capacity(streams.len());
            for s in streams {
                let now = self.parked_streams(Some(&s.projection), Some(&s.stream), Some(s.generation)).await?;
                outcomes.push(match now.into_iter().find(|n| n.is(s)) {
                    None => Some(Unparked::Healed),
                    Some(now) if now.asked.is_none() && now.attempts > s.attempts => Some(Unparked::Again(Box::new(now))),
                    Some(_) => late.then_some(Unparked::Unanswered),
                });
            }
            if outcomes.iter().all(Option::is_some) {
                return Ok(outcomes.into_iter().flatten().collect());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
