//! `COPY … FROM STDIN (FORMAT binary)` of pages into the tables of a log: what Postgres takes at most of these rows, with one client, durably.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::{Client, CopyInSink};

use crate::lines;
use crate::tables::{self, DIGEST, METADATA, REQUEST, RESULT, STREAMS, TYPE};

/// Microseconds of Postgres' epoch; one time for every row.
const RECORDED_AT: i64 = 850_000_000_000_000;

/// Options of the copying.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyIn {
    /// An empty database, as its owner.
    #[arg(long, env = "RAW_LIMITS_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Events, and commands, of a page: each page is a transaction.
    #[arg(long, default_value_t = 1_000)]
    events: u32,
    /// Bytes of an event's payload.
    #[arg(long, default_value_t = 300)]
    payload: usize,
}

/// Reads a number of milliseconds a line, copies pages for so long, and prints how many; until its input ends.
///
/// # Errors
/// When Postgres can't be reached, or refuses something.
pub(crate) async fn serve(options: CopyIn) -> anyhow::Result<()> {
    let client = tables::connect(&options.database_url, 1).await?;
    let mut pages = Pages { client, options, page: 0 };
    lines::answer(async |line| {
        let length = Duration::from_millis(line.parse().context("a line is a number of milliseconds")?);
        let (begun, before) = (Instant::now(), pages.page);
        while begun.elapsed() < length {
            pages.copy().await?;
        }
        // A page that ends after the time is over counts, with the time that it took.
        Ok(format!("{} {}", pages.page - before, begun.elapsed().as_micros()))
    })
    .await
}

struct Pages {
    client: Client,
    options: CopyIn,
    page: i64,
}

/// A table's rows in COPY's binary form.
struct Rows(BytesMut);

impl Rows {
    fn new() -> Self {
        let mut bytes = BytesMut::from(&b"PGCOPY\n\xff\r\n\0"[..]);
        bytes.put_i32(0);
        bytes.put_i32(0);
        Self(bytes)
    }

    fn row(&mut self, fields: i16) {
        self.0.put_i16(fields);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.0.put_i32(i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.0.put_slice(value);
    }

    fn int(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    fn bigint(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    fn end(mut self) -> Bytes {
        self.0.put_i16(-1);
        self.0.freeze()
    }
}

impl Pages {
    async fn copy(&mut self) -> anyhow::Result<()> {
        let (events, payload) = (i64::from(self.options.events), vec![7; self.options.payload]);
        let (page, first) = (self.page + 1, self.page * events);
        let (mut event_rows, mut command_rows) = (Rows::new(), Rows::new());
        for ordinal in 0..self.options.events {
            let number = first + i64::from(ordinal);
            let stream = format!("stock/raw-{}@w-1", number.unsigned_abs() % STREAMS);
            event_rows.row(10);
            event_rows.int(0);
            event_rows.bigint(number);
            event_rows.bytes(stream.as_bytes());
            event_rows.bigint(number + 1);
            event_rows.bytes(TYPE.as_bytes());
            event_rows.bytes(&payload);
            event_rows.bytes(&METADATA);
            event_rows.bigint(RECORDED_AT);
            event_rows.bytes(&DIGEST);
            event_rows.bigint(page);
            command_rows.row(7);
            command_rows.int(0);
            command_rows.bytes(stream.as_bytes());
            command_rows.bytes(tables::command_id(number.unsigned_abs()).as_bytes());
            command_rows.bigint(page);
            command_rows.int(i32::try_from(ordinal)?);
            command_rows.bytes(&DIGEST);
            command_rows.bytes(&RESULT);
        }
        let mut page_rows = Rows::new();
        page_rows.row(10);
        page_rows.int(0);
        page_rows.bigint(page);
        page_rows.int(1);
        page_rows.bigint(first);
        page_rows.int(i32::try_from(events)?);
        page_rows.bigint(first);
        page_rows.bytes(b"raw");
        page_rows.bytes(&DIGEST);
        page_rows.bytes(&DIGEST);
        page_rows.bigint(RECORDED_AT);
        let mut request_rows = Rows::new();
        request_rows.row(3);
        request_rows.int(0);
        request_rows.bigint(page);
        request_rows.bytes(&vec![3; (REQUEST.len() + self.options.payload) * usize::try_from(events)?]);
        self.client.batch_execute("BEGIN").await?;
        let page_columns = "page_0 (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at)";
        let event_columns = "event_0 (partition, \"offset\", stream_id, version, type, payload, metadata, recorded_at, digest, page)";
        let command_columns = "command_0 (partition, stream_id, command_id, page, ordinal, request_digest, result)";
        self.copy_into(page_columns, page_rows).await?;
        self.copy_into(event_columns, event_rows).await?;
        self.copy_into(command_columns, command_rows).await?;
        self.copy_into("request_0 (partition, page, requests)", request_rows).await?;
        self.client.batch_execute("COMMIT").await?;
        self.page = page;
        Ok(())
    }

    async fn copy_into(&self, table: &str, rows: Rows) -> anyhow::Result<()> {
        let sink: CopyInSink<Bytes> = self.client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(rows.end()).await?;
        sink.as_mut().finish().await?;
        Ok(())
    }
}
