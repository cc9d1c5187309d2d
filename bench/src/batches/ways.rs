//! The two ways to write a batch, both fenced by the checkpoint.

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, BytesMut};
use daybook_postgres::OwnConnection;
use futures_util::SinkExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement, Transaction};

use crate::rebuild::MODEL;

/// As projectors send it.
const ARRAYS: &str = include_str!("../../../engine/projections/src/sql/write_batch.sql");
const COPIED_TABLES: &str = include_str!("../sql/copied_tables.sql");
const COPIED_BATCH: &str = include_str!("../sql/copied_batch.sql");
const COPY_PARTS: &str = r#"COPY copied_part (key, part, bytes, stream_id, "offset", version) FROM STDIN (FORMAT binary)"#;
const COPY_WRITERS: &str = "COPY copied_writer (key, stream_id) FROM STDIN (FORMAT binary)";
/// The beginning of a binary COPY: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const SERVICE: &str = "catalog";

#[derive(Clone, Copy)]
pub(super) enum Way {
    /// One statement, its rows in arrays.
    Unnest,
    /// A transaction: a COPY a table, and a statement that takes the rows from there.
    Copy,
}

/// Streams with one part each, which is also their view, as large as a product page's details.
pub(super) struct Batch {
    streams: Vec<String>,
    keys: Vec<String>,
    bytes: Vec<u8>,
    /// They have no parts yet.
    is_new: bool,
}

impl Batch {
    pub(super) fn new(from: usize, count: usize, is_new: bool) -> Self {
        // Spread over the index, as ids of products are.
        let keys: Vec<String> = (from..from + count).map(|n| format!("SKU-{:08x}", (n as u32).wrapping_mul(0x9e37_79b1))).collect();
        Self { streams: keys.iter().map(|key| format!("product/{key}")).collect(), keys, bytes: vec![7; 300], is_new }
    }

    /// Keys and streams that have come to have a part.
    fn writers(&self) -> (&[String], &[String]) {
        if self.is_new { (&self.keys, &self.streams) } else { (&[], &[]) }
    }
}

/// Writes batches to one generation.
pub(super) struct Writer {
    session: OwnConnection,
    parts: String,
    generation: i32,
    arrays: Statement,
    copied: Statement,
    next: i64,
}

impl Writer {
    pub(super) async fn new(session: OwnConnection, parts: &str, generation: i32) -> anyhow::Result<Self> {
        session.batch_execute(COPIED_TABLES).await?;
        let arrays = session.prepare(&ARRAYS.replace("{parts}", parts)).await?;
        let copied = session.prepare(&COPIED_BATCH.replace("{parts}", parts)).await?;
        Ok(Self { session, parts: parts.to_owned(), generation, arrays, copied, next: 0 })
    }

    /// Nothing is written any more, and the checkpoint stands at 0.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        self.next = 0;
        clear(&self.session, &self.parts).await
    }

    pub(super) async fn write(&mut self, batch: &Batch, way: Way) -> anyhow::Result<()> {
        let to = self.next + batch.keys.len() as i64;
        let fence: [&(dyn ToSql + Sync); 7] = [&MODEL, &self.generation, &SERVICE, &0_i32, &self.next, &to, &1_i32];
        let moved = match way {
            Way::Unnest => arrays(&self.session, &self.arrays, &fence, batch, to).await?,
            Way::Copy => {
                let transaction = self.session.transaction().await?;
                let moved = copied(&transaction, &self.copied, &fence, batch, to).await?;
                transaction.commit().await?;
                moved
            }
        };
        ensure!(moved == 1, "the checkpoint stood elsewhere");
        self.next = to;
        Ok(())
    }
}

/// Empties a generation's tables.
pub(super) async fn clear(client: &Client, parts: &str) -> anyhow::Result<()> {
    let tables = format!("TRUNCATE read.{parts}, read.{parts}_view, read.{parts}_writer");
    client.batch_execute(&format!("{tables}; UPDATE read.checkpoint SET next_offset = 0, pushed = 0")).await.context("the owner may")
}

async fn arrays(client: &Client, statement: &Statement, fence: &[&(dyn ToSql + Sync)], batch: &Batch, to: i64) -> anyhow::Result<u64> {
    let count = batch.keys.len();
    let (bytes, offsets) = (vec![batch.bytes.as_slice(); count], vec![to - 1; count]);
    let parts = vec!["details"; count];
    let (keys, streams) = batch.writers();
    let (texts, numbers): (&[&str], &[i64]) = (&[], &[]);
    let part_versions = vec![Some(1_i64); count];
    let (no_views, none): (Vec<Option<&[u8]>>, &[&[u8]]) = (vec![None; count], &[]);
    let rows: [&(dyn ToSql + Sync); 23] = [
        &None::<i64>,
        &texts,
        &texts,
        &texts,
        &numbers,
        &batch.keys,
        &parts,
        &bytes,
        &batch.streams,
        &offsets,
        &keys,
        &streams,
        &texts,
        &numbers,
        &numbers,
        &none,
        &texts,
        &numbers,
        &texts,
        &0_i64,
        &part_versions,
        &no_views,
        &batch.streams,
    ];
    let moved: bool = client.query_one(statement, &[fence, &rows].concat()).await?.get(1);
    Ok(moved.into())
}

async fn copied(
    transaction: &Transaction<'_>,
    statement: &Statement,
    fence: &[&(dyn ToSql + Sync)],
    batch: &Batch,
    to: i64,
) -> anyhow::Result<u64> {
    let (offset, version) = ((to - 1).to_be_bytes(), 1_i64.to_be_bytes());
    let both = || batch.keys.iter().zip(&batch.streams).map(|(key, stream)| (key.as_bytes(), stream.as_bytes()));
    copy(transaction, COPY_PARTS, both().map(|(key, stream)| [key, b"details", &batch.bytes, stream, &offset, &version])).await?;
    if batch.is_new {
        copy(transaction, COPY_WRITERS, both().map(|(key, stream)| [key, stream])).await?;
    }
    Ok(transaction.execute(statement, fence).await?)
}

async fn copy<const N: usize>(
    transaction: &Transaction<'_>,
    statement: &str,
    rows: impl Iterator<Item = [&[u8]; N]>,
) -> anyhow::Result<()> {
    let mut encoded = BytesMut::from(HEADER);
    for row in rows {
        encoded.put_i16(i16::try_from(N)?);
        for field in row {
            encoded.put_i32(i32::try_from(field.len())?);
            encoded.extend_from_slice(field);
        }
    }
    encoded.put_i16(-1);
    let sink = transaction.copy_in(statement).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(encoded.freeze()).await?;
    sink.finish().await?;
    Ok(())
}
