//! Snapshots: the folded state of a long stream, insert-only.

use daybook_kernel::{Digest, Instant};

use crate::{LogError, PartitionLog, sql};

/// A state to keep. Taken of committed state only.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The whole stream id.
    pub stream_id: String,
    /// The version of the last event that the state covers.
    pub version: i64,
    /// The digest of that event: the snapshot is used only while it stands.
    pub event_digest: Vec<u8>,
    /// Of the state's descriptor and the fold's version.
    pub fingerprint: Digest,
    /// The state, encoded.
    pub state: Vec<u8>,
    /// When it was taken.
    pub recorded_at: Instant,
}

impl PartitionLog {
    /// Keeps a snapshot; one that is there already stays as it is.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn insert_snapshot(&self, s: &Snapshot) -> Result<(), LogError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(&self.sql(sql::INSERT_SNAPSHOT)).await?;
        client
            .execute(&statement, &[&s.stream_id, &s.version, &s.fingerprint.as_slice(), &s.event_digest, &s.state, &s.recorded_at.to_utc()])
            .await?;
        Ok(())
    }
}
