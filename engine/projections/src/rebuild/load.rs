//! Filling a generation's tables: a COPY each, that all partitions feed.

use std::sync::Arc;

use bytes::Bytes;
use daybook_kernel::{RenderedPart, SqlRows};
use daybook_log::LogError;
use daybook_postgres::{Databases, OwnConnection, Role};
use futures_util::SinkExt as _;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;

use super::encode::{Rows, header, trailer};
use crate::generation::Generation;
use crate::lifecycle::sql;
use crate::{rows, sql as tables};

/// Buffers that may wait for one table; each has about 256 KiB.
const WAITING: usize = 4;
/// The generation becomes visible by a commit that waits for the disk, and with it all before.
const SETTINGS: &[(&str, &str)] = &[("synchronous_commit", "off")];

/// A COPY has ended before its time: the task that ran it knows why.
pub(crate) struct Cut;

/// The channels for rows of the three tables.
#[derive(Clone)]
pub(crate) struct Tables {
    parts: Sender<Bytes>,
    views: Sender<Bytes>,
    writers: Sender<Bytes>,
    rows: Option<Arc<SqlRows>>,
}

/// The COPYs, which end once every [`Tables`] is gone.
pub(crate) type Copies = JoinSet<Result<u64, LogError>>;

/// Begins to fill the tables of a generation.
pub(crate) async fn begin(databases: &Databases, generation: &Generation) -> Result<(Tables, Copies), LogError> {
    let mut copies = JoinSet::new();
    let mut senders = Vec::with_capacity(3);
    for statement in [sql::COPY_PARTS, sql::COPY_VIEWS, sql::COPY_WRITERS] {
        let connection = OwnConnection::new(databases.read_url(), Some(Role::Projector), SETTINGS, "daybook rebuild").await?;
        let statement = tables::with_rows(statement, &generation.parts, generation.rows.as_deref());
        let (sender, mut rows) = channel::<Bytes>(WAITING);
        senders.push(sender);
        copies.spawn(async move {
            let sink = connection.copy_in(statement.as_str()).await?;
            let mut sink = std::pin::pin!(sink);
            sink.feed(header()).await?;
            while let Some(bytes) = rows.recv().await {
                sink.feed(bytes).await?;
            }
            sink.feed(trailer()).await?;
            Ok(sink.finish().await?)
        });
    }
    let [parts, views, writers] = <[Sender<Bytes>; 3]>::try_from(senders).unwrap_or_else(|_| unreachable!("three were made"));
    Ok((Tables { parts, views, writers, rows: generation.rows.clone() }, copies))
}

/// One partition's rows on their way.
pub(crate) struct Sheets<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    parts: Rows,
    views: Rows,
    writers: Rows,
}

/// The rows of one stream.
pub(crate) struct StreamRows<'a> {
    pub(crate) stream: &'a str,
    /// Of the last event that was folded.
    pub(crate) offset: i64,
    pub(crate) version: i64,
    pub(crate) view: &'a [u8],
    /// Every key under which it has, or ever had, a part.
    pub(crate) keys: &'a [Box<str>],
    pub(crate) parts: &'a [RenderedPart],
}

impl<'a> Sheets<'a> {
    pub(crate) fn new(tables: &'a Tables, service: &'a str, partition: i32) -> Self {
        Self { tables, service, partition, parts: Rows::default(), views: Rows::default(), writers: Rows::default() }
    }

    pub(crate) fn add(&mut self, s: &StreamRows<'_>) {
        let (service, n) = (self.service, self.partition);
        let is_only = s.parts.len() == 1;
        let rows = self.tables.rows.as_deref();
        let fields = 9 + rows.map_or(0, |rows| rows.columns.len());
        for p in s.parts {
            let row = self
                .parts
                .row(fields as i16)
                .text(&p.key)
                .text(&p.part)
                .bytes(&p.bytes)
                .text(service)
                .text(s.stream)
                .int(n)
                .bigint(s.offset);
            match (is_only, p.bytes == s.view) {
                (false, _) => row.null().null(),
                (true, true) => row.bigint(s.version).null(),
                (true, false) => row.bigint(s.version).bytes(s.view),
            };
            rows.into_iter().flat_map(|rows| rows::row(rows, &p.bytes)).for_each(|cell| _ = row.cell(&cell));
        }
        if !is_only {
            self.views.row(6).text(service).text(s.stream).int(n).bigint(s.offset).bigint(s.version).bytes(s.view);
        }
        for key in s.keys {
            self.writers.row(3).text(key).text(service).text(s.stream);
        }
    }

    /// Sends what is worth it; waits while Postgres has enough to do.
    pub(crate) async fn send_full(&mut self) -> Result<(), Cut> {
        for (rows, to) in self.all() {
            if let Some(bytes) = rows.full() {
                to.send(bytes).await.map_err(|_| Cut)?;
            }
        }
        Ok(())
    }

    /// Sends the rest.
    pub(crate) async fn send_rest(&mut self) -> Result<(), Cut> {
        for (rows, to) in self.all() {
            to.send(rows.rest()).await.map_err(|_| Cut)?;
        }
        Ok(())
    }

    fn all(&mut self) -> [(&mut Rows, &Sender<Bytes>); 3] {
        let Tables { parts, views, writers, .. } = self.tables;
        [(&mut self.parts, parts), (&mut self.views, views), (&mut self.writers, writers)]
    }
}
