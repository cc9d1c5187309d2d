//! Rows that a projector reads to push again, and the note of how far it has pushed.

use tokio_postgres::Row;

use super::{CheckpointKey, ReadStore};
use crate::push::PushedPart;
use crate::{ProjectorError, sql};

fn shown(row: &Row) -> PushedPart {
    PushedPart { key: row.get(0), part: row.get(1), stream: row.get(2), offset: row.get(3), bytes: row.get(4), stale: false }
}

impl ReadStore {
    /// The parts of `streams` that rest on an event from `from` on, and all of those of the streams `whole`.
    pub(crate) async fn shown(
        &self,
        at: &CheckpointKey<'_>,
        streams: &[&str],
        from: i64,
        whole: &[&str],
    ) -> Result<Vec<PushedPart>, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&sql::at(sql::READ_SHOWN, &at.generation.parts)).await?;
        Ok(client.query(&statement, &[&at.service, &streams, &from, &whole]).await?.iter().map(shown).collect())
    }

    /// The parts noted as removed by an event from `from` on: gone, or as they stand by now.
    pub(crate) async fn removed(&self, at: &CheckpointKey<'_>, from: i64) -> Result<Vec<PushedPart>, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&sql::at(sql::READ_REMOVED, &at.generation.parts)).await?;
        let place: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&at.projection, &at.generation.number, &at.service, &at.partition, &from];
        Ok(client.query(&statement, &place).await?.iter().map(shown).collect())
    }

    /// Notes how far Kafka has acknowledged. False: the checkpoint stood elsewhere.
    pub(crate) async fn write_pushed(&self, at: &CheckpointKey<'_>, next: i64, pushed: i64) -> Result<bool, ProjectorError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::WRITE_PUSHED).await?;
        let moved = client
            .execute(&statement, &[&at.projection, &at.generation.number, &at.service, &at.partition, &next, &pushed, &at.term])
            .await?;
        Ok(moved == 1)
    }
}
