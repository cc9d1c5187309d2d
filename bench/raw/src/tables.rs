//! The log's tables and the page statement, with nothing worked out: every digest, payload and result is a constant of the size that
//! receiving stock has.

use std::pin::pin;

use anyhow::Context as _;
use futures_util::future::{join, join_all};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

/// Commands are spread over so many streams.
pub(crate) const STREAMS: u64 = 10_000;
/// Sizes of what receiving stock writes, in bytes.
const PAYLOAD: [u8; 45] = [1; 45];
pub(crate) const METADATA: [u8; 88] = [2; 88];
pub(crate) const REQUEST: [u8; 130] = [3; 130];
pub(crate) const RESULT: [u8; 150] = [4; 150];
pub(crate) const DIGEST: [u8; 32] = [5; 32];
pub(crate) const TYPE: &str = "shop.inventory.v1.StockReceived";

/// The id of a command: each its own, and none near another in an index.
pub(crate) fn command_id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

/// A connection to a database in which the tables are made, with so many partitions.
///
/// # Errors
/// When the database can't be reached, or has them already.
pub(crate) async fn connect(database_url: &str, partitions: i32) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.context("the limit's database can't be reached")?;
    tokio::spawn(connection);
    client.batch_execute(include_str!("../sql/tables.sql")).await?;
    for n in 0..partitions {
        client.batch_execute(&include_str!("../sql/partition.sql").replace("{n}", &n.to_string())).await?;
    }
    client.batch_execute("SET plan_cache_mode = force_generic_plan").await?;
    Ok(client)
}

/// The stream of a command.
pub(crate) fn stream(number: u64) -> u64 {
    number % STREAMS
}

/// The log partitions of a writer, each at its last page.
pub(crate) struct Tables {
    client: Client,
    partitions: Vec<Place>,
}

struct Place {
    statement: Statement,
    page: i64,
    next: i64,
}

/// The columns of a page, as arrays.
#[derive(Default)]
struct Columns {
    offsets: Vec<i64>,
    streams: Vec<String>,
    versions: Vec<i64>,
    ids: Vec<Uuid>,
    requests: Vec<u8>,
}

impl Tables {
    /// Makes them in a database of their own.
    ///
    /// # Errors
    /// When the database can't be reached, or has them already.
    pub(crate) async fn make(database_url: &str, partitions: i32) -> anyhow::Result<Self> {
        let client = connect(database_url, partitions).await?;
        let mut places = Vec::new();
        for n in 0..partitions {
            let statement = client.prepare(&include_str!("../sql/page.sql").replace("{n}", &n.to_string())).await?;
            places.push(Place { statement, page: 0, next: 0 });
        }
        Ok(Self { client, partitions: places })
    }

    /// Commits one page a partition that has commands, all in one transaction: one round trip, one flush. `commands`: their numbers, by partition.
    ///
    /// # Errors
    /// When Postgres refuses it.
    pub(crate) async fn commit(&mut self, commands: &[Vec<u64>]) -> anyhow::Result<()> {
        let mut pages = Vec::new();
        for (place, numbers) in self.partitions.iter_mut().zip(commands).filter(|(_, numbers)| !numbers.is_empty()) {
            let (page, first, mut columns) = (place.page + 1, place.next, Columns::default());
            for (offset, number) in (first..).zip(numbers) {
                columns.offsets.push(offset);
                columns.streams.push(format!("stock/raw-{}@w-1", stream(*number)));
                // Of a stream each version once; which number it is nobody looks at here.
                columns.versions.push(offset + 1);
                columns.ids.push(command_id(*number));
                columns.requests.extend(REQUEST);
            }
            (place.page, place.next) = (page, first + i64::try_from(numbers.len())?);
            pages.push((place.statement.clone(), page, first, columns));
        }
        let written = join_all(pages.iter().map(|(statement, page, first, columns)| self.write(statement, *page, *first, columns)));
        // Sent in the order in which they are polled first, so that all of it is one round trip.
        if pages.len() > 1 {
            let (begin, (written, commit)) =
                join(self.client.batch_execute("BEGIN"), pin!(async { join(written, self.client.batch_execute("COMMIT")).await })).await;
            begin?;
            written.into_iter().collect::<anyhow::Result<Vec<()>>>()?;
            Ok(commit?)
        } else {
            written.await.into_iter().collect()
        }
    }

    async fn write(&self, statement: &Statement, page: i64, first: i64, columns: &Columns) -> anyhow::Result<()> {
        let count = columns.offsets.len();
        let same = |bytes: &'static [u8]| vec![bytes; count];
        let (payloads, metadata, digests, results) = (same(&PAYLOAD), same(&METADATA), same(&DIGEST), same(&RESULT));
        let (types, rows, digest) = (vec![TYPE; count], i32::try_from(count)?, &DIGEST[..]);
        let parameters: [&(dyn ToSql + Sync); 15] = [
            &page,
            &first,
            &rows,
            &digest,
            &columns.offsets,
            &columns.streams,
            &columns.versions,
            &types,
            &payloads,
            &metadata,
            &digests,
            &columns.ids,
            &digests,
            &results,
            &columns.requests,
        ];
        self.client.execute(statement, &parameters).await?;
        Ok(())
    }
}
