//! The read schema, as the query API sees it: under a role that reads read models, and nothing else.

mod generation;
pub(crate) mod sql;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_postgres::{Connector, Pool, Role};
use deadpool_postgres::Client;
use tokio_postgres::Row;

pub(crate) use generation::{Checkpoint, Checkpoints, Generation, Snapshot, stamps};

use crate::QueryError;
use crate::entry::{Part, PartsQuery, View};
use crate::source::{Position, Sources, Streams};

/// The statements are index look-ups by construction; the planner, seeing small tables, would scan them, and keep that
/// plan while they grow.
const SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_read_only", "on"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("statement_timeout", "10000"),
    ("idle_in_transaction_session_timeout", "10000"),
];
/// Time that a request waits for a connection: longer, and the client had better ask again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Streams that show nothing which are read beside parts, as the statements have it.
const HIDDEN_BESIDE: usize = 100;

#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
}

impl Store {
    pub(crate) fn new(url: &str, connections: usize) -> Result<Self, QueryError> {
        Self::within(PATIENCE, url, connections)
    }

    /// A store whose requests wait this long for a connection.
    fn within(patience: Duration, url: &str, connections: usize) -> Result<Self, QueryError> {
        let connector = Connector::new(url, Some(Role::Query), SETTINGS, "daybook query-api")?.within(PATIENCE, PATIENCE * 5);
        let pool = connector.pool(connections, patience)?;
        Ok(Self { pool })
    }

    /// Has one connection, and whoever asks waits for it: a test that holds it decides when the next one is answered.
    #[cfg(test)]
    pub(crate) fn of_one_connection(url: &str) -> Self {
        Self::within(Duration::from_secs(60), url, 1).expect("a URL")
    }

    /// A connection, waited for a moment.
    pub(crate) async fn connection(&self) -> Result<Client, QueryError> {
        Ok(self.pool.get().await?)
    }

    /// The live generation of every read model.
    pub(crate) async fn live(&self) -> Result<Vec<(String, Generation)>, QueryError> {
        let rows = self.pool.get().await?.query(sql::LIVE_GENERATIONS, &[]).await?;
        // The table's check lets no other names in; a statement is not made of anything else.
        let plain = |parts: &&str| parts.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let live = rows.iter().filter_map(|r| {
            let parts = Some(r.get::<_, &str>(2)).filter(plain)?;
            Some((r.get(0), Generation::new(r.get(1), parts)))
        });
        Ok(live.collect())
    }

    /// The parts of a view, and how far its generation had been folded then.
    pub(crate) async fn snapshot(
        &self,
        model: &str,
        generation: &Generation,
        sources: &Sources,
        view: &View,
    ) -> Result<Snapshot, QueryError> {
        let rows = self.rows(model, generation, view).await?;
        let hidden = vec![Streams::default(); sources.len()];
        let mut snapshot = Snapshot { parts: Vec::with_capacity(rows.len().saturating_sub(1)), stamps: Vec::new(), hidden };
        let mut left_hidden = HIDDEN_BESIDE;
        let other = || QueryError::Checkpoints { model: model.to_owned(), generation: generation.number };
        for row in &rows {
            let Some(part) = row.get::<_, Option<&str>>(0) else {
                let next: Vec<i64> = row.get::<_, Option<_>>(5).unwrap_or_default();
                let epochs: Vec<i32> = row.get::<_, Option<_>>(6).unwrap_or_default();
                snapshot.stamps = epochs.into_iter().zip(next).map(|(epoch, next)| Position::new(epoch, next)).collect();
                continue;
            };
            let source = sources.find(row.get(2), row.get(3)).ok_or_else(other)?;
            let Some(bytes) = row.get::<_, Option<&[u8]>>(1) else {
                snapshot.hidden[usize::from(source)].named.push(part.to_owned());
                left_hidden = left_hidden.saturating_sub(1);
                continue;
            };
            let Some(id) = view.part_id(row.get(7), part) else { continue };
            snapshot.parts.push(Arc::new(Part {
                id: (*id).into(),
                bytes: Bytes::copy_from_slice(bytes),
                source,
                stale: row.get::<_, Option<&str>>(4).map(Into::into),
            }));
        }
        if left_hidden == 0 {
            snapshot.hidden.iter_mut().for_each(|streams| streams.more = true);
        }
        if snapshot.stamps.len() == sources.len() { Ok(snapshot) } else { Err(other()) }
    }

    /// The rows of a view: one with the checkpoints, and one a part.
    async fn rows(&self, model: &str, generation: &Generation, view: &View) -> Result<Vec<Row>, QueryError> {
        let client = self.connection().await?;
        let key = view.keys.first().map_or("", String::as_str);
        let rows = match view.query() {
            PartsQuery::All => {
                client.query(&client.prepare_cached(&generation.read_parts).await?, &[&key, &model, &generation.number]).await?
            }
            PartsQuery::Page { after, limit } => {
                let statement = client.prepare_cached(&generation.read_list).await?;
                client.query(&statement, &[&model, &generation.number, &key, &after, &limit]).await?
            }
            PartsQuery::Beginning(prefix) => {
                let statement = client.prepare_cached(&generation.read_fill).await?;
                client.query(&statement, &[&model, &generation.number, &view.keys, &prefix]).await?
            }
        };
        Ok(rows)
    }

    /// The checkpoints of generations, in the order that they were asked for.
    pub(crate) async fn checkpoints(&self, generations: &[(&str, &Generation)]) -> Result<Vec<Checkpoints>, QueryError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql::READ_CHECKPOINTS).await?;
        let (models, numbers): (Vec<&str>, Vec<i32>) = generations.iter().map(|(model, generation)| (*model, generation.number)).unzip();
        let rows = client.query(&statement, &[&models, &numbers]).await?;
        let mut all = vec![Checkpoints::new(); generations.len()];
        let mut parked = vec![false; generations.len()];
        for row in rows {
            let Ok(of) = usize::try_from(row.get::<_, i64>(0)) else { continue };
            if let (Some(all), Some(parked)) = (all.get_mut(of), parked.get_mut(of)) {
                *parked = row.get(5);
                all.push(checkpoint(&row, 1, Streams::default()));
            }
        }
        for (of, ((model, generation), _)) in generations.iter().zip(parked).enumerate().filter(|(_, (_, parked))| *parked) {
            // Rare, and read again as a whole: the one snapshot has both.
            let statement = client.prepare_cached(&generation.read_hidden).await?;
            let rows = client.query(&statement, &[model, &generation.number]).await?;
            all[of] = rows.iter().map(|row| checkpoint(row, 0, row.get::<_, Option<Vec<String>>>(4).unwrap_or_default().into())).collect();
        }
        all.iter_mut().for_each(|of| of.sort_unstable_by(|a, b| (&a.service, a.partition).cmp(&(&b.service, b.partition))));
        Ok(all)
    }
}

/// A checkpoint's row, from a column on.
fn checkpoint(row: &Row, from: usize, hidden: Streams) -> Checkpoint {
    let at = Position::new(row.get(from + 3), row.get(from + 2));
    Checkpoint { service: row.get(from), partition: row.get(from + 1), at, hidden }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepared::Prepared;

    #[tokio::test]
    async fn the_live_generation_is_the_one_that_is_served() {
        let Prepared { database, store, .. } = Prepared::new().await;
        let live = async || {
            let all = store.live().await.expect("it is read").into_iter();
            let mut of = all.filter(|(model, _)| model == "product-pages").map(|(_, live)| (live.number, live.parts));
            (of.next(), of.next())
        };
        assert_eq!(live().await, (Some((1, "product_pages_1".to_owned())), None));
        let others = "INSERT INTO read.generation SELECT projection, n, fingerprint, s, 'product_pages_' || n \
                      FROM read.generation, (VALUES (2, 'building'), (3, 'ready'), (4, 'kept'), (5, 'retired')) AS other (n, s) \
                      WHERE projection = 'product-pages'";
        database.owner().await.batch_execute(others).await.expect("the owner may");
        assert_eq!(live().await, (Some((1, "product_pages_1".to_owned())), None));
    }

    #[tokio::test]
    async fn connections_read_only_as_who_reads_read_models_and_by_index() {
        let Prepared { database: _database, store, .. } = Prepared::new().await;
        let client = store.connection().await.expect("it answers");
        let row = client.query_one("SELECT current_user::text", &[]).await.expect("it answers");
        assert_eq!(row.get::<_, &str>(0), "daybook_query");
        for (setting, value) in [
            ("default_transaction_read_only", "on"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
            ("jit", "off"),
            ("statement_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ] {
            let row = client.query_one("SELECT current_setting($1)", &[&setting]).await.expect("there is one");
            assert_eq!(row.get::<_, &str>(0), value, "{setting}");
        }
    }

    #[tokio::test]
    async fn checkpoints_are_those_of_each_generation_in_order_with_its_streams_that_show_nothing() {
        let Prepared { database, store, .. } = Prepared::new().await;
        let owner = database.owner().await;
        let state = "INSERT INTO read.checkpoint SELECT projection, 2, service, partition, 0, 1 FROM read.checkpoint WHERE projection = 'product-pages'; \
                     UPDATE read.checkpoint SET epoch = 2 + partition, next_offset = 1000 * generation + 100 * (projection = 'product-pages')::int \
                         + 10 * (service = 'inventory')::int + partition; \
                     INSERT INTO read.product_pages_1 (key, part, bytes, service, stream_id, partition, \"offset\") \
                         VALUES ('A-1', 'stock/w', '', 'inventory', 'shown', 1, 0); \
                     INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) VALUES \
                         ('product-pages', 1, 'catalog', 0, 'p/b', 0, 'r'), ('product-pages', 1, 'catalog', 0, 'p/a', 0, 'r'), \
                         ('product-pages', 1, 'catalog', 1, 'shown', 0, 'r'), ('product-pages', 1, 'inventory', 0, 'p/a', 0, 'r'), \
                         ('product-pages', 1, 'inventory', 1, 'shown', 0, 'r'), ('product-pages', 2, 'catalog', 0, 'p/c', 0, 'r'), \
                         ('category-listings', 1, 'catalog', 0, 'p/d', 0, 'r'); \
                     INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                         SELECT 'category-listings', 1, 'catalog', 1, 'q/' || n, 0, 'r' FROM generate_series(10, 34) AS n";
        owner.batch_execute(state).await.expect("the owner may");
        let second = "CREATE TABLE read.product_pages_2 (LIKE read.product_pages_1 INCLUDING ALL); GRANT SELECT ON read.product_pages_2 TO daybook_query";
        owner.batch_execute(second).await.expect("the owner may");
        let (pages, next, lists) =
            (Generation::new(1, "product_pages_1"), Generation::new(2, "product_pages_2"), Generation::new(1, "category_listings_1"));
        let asked = [("product-pages", &next), ("category-listings", &lists), ("none", &pages), ("product-pages", &pages)];
        let read = async || {
            let all = store.checkpoints(&asked).await.expect("they are read").into_iter();
            let text = |of: Checkpoint| {
                format!(
                    "{}/{}:{}@{} {}{}",
                    of.service,
                    of.partition,
                    of.at.next(),
                    of.at.epoch(),
                    of.hidden.named.join(" "),
                    if of.hidden.more { " *" } else { "" }
                )
            };
            all.map(|of| of.into_iter().map(text).collect::<Vec<String>>()).collect::<Vec<_>>()
        };
        let twenty = (10..30).map(|n| format!("q/{n}")).collect::<Vec<_>>().join(" ");
        let most = format!("catalog/1:1001@3 {twenty} *");
        let expected = [
            vec!["catalog/0:2100@2 p/c", "catalog/1:2101@3 ", "inventory/0:2110@2 ", "inventory/1:2111@3 "],
            vec!["catalog/0:1000@2 p/d", &most],
            vec![],
            vec!["catalog/0:1100@2 p/a p/b", "catalog/1:1101@3 shown", "inventory/0:1110@2 p/a", "inventory/1:1111@3 "],
        ];
        assert_eq!(read().await, expected);
        // Where nothing is parked it is another statement that reads them.
        owner.batch_execute("DELETE FROM read.parked").await.expect("the owner may");
        let bare: Vec<Vec<String>> =
            expected.iter().map(|of| of.iter().map(|text| format!("{} ", text.split(' ').next().unwrap_or_default())).collect()).collect();
        assert_eq!(read().await, bare);
    }

    /// The snapshot of key `A-1`, of a generation that reads these partitions.
    async fn snapshot(store: &Store, places: &[(&str, i32)]) -> Result<Snapshot, QueryError> {
        let partitions: Vec<(String, i32)> = places.iter().map(|(service, partition)| ((*service).to_owned(), *partition)).collect();
        store.snapshot("product-pages", &Generation::new(1, "product_pages_1"), &Sources::new(1, &partitions), &View::all("A-1")).await
    }

    const PLACES: [(&str, i32); 4] = [("catalog", 0), ("catalog", 1), ("inventory", 0), ("inventory", 1)];

    #[tokio::test]
    async fn what_was_folded_from_other_partitions_than_a_memory_knows_is_not_shown() {
        let Prepared { database: _database, store, .. } = Prepared::new().await;
        assert_eq!(snapshot(&store, &PLACES).await.expect("they are the same").stamps.len(), 4);
        assert!(matches!(snapshot(&store, &PLACES[..3]).await, Err(QueryError::Checkpoints { generation: 1, .. })));
    }

    #[tokio::test]
    async fn a_snapshot_names_what_shows_nothing_by_its_source_and_says_what_is_stale() {
        let Prepared { database, store, .. } = Prepared::new().await;
        let owner = database.owner().await;
        let park = async |service: &str, partition: i32, streams: std::ops::Range<i32>| {
            let sql = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                       SELECT 'product-pages', 1, $1, $2, 's/' || n, 0, 'r' FROM generate_series($3::int, $4::int) AS n";
            owner.execute(sql, &[&service, &partition, &streams.start, &(streams.end - 1)]).await.expect("the owner may");
        };
        let state = "UPDATE read.checkpoint SET epoch = 2, next_offset = 7 WHERE projection = 'product-pages' AND service = 'catalog' AND partition = 1; \
                     INSERT INTO read.product_pages_1 (key, part, bytes, service, stream_id, partition, \"offset\") \
                         VALUES ('A-1', 'details', '', 'catalog', 's/0', 1, 0), ('A-1', 'stock/w', '', 'inventory', 's/1', 0, 0)";
        owner.batch_execute(state).await.expect("the owner may");
        park("catalog", 1, 0..1).await;
        park("inventory", 1, 2..3).await;
        let read = async || snapshot(&store, &PLACES).await.expect("it is read");
        let first = read().await;
        assert_eq!((first.stamps[1], first.stamps[0].epoch()), (Position::new(2, 7), 1));
        let parts: Vec<_> = first.parts.iter().map(|part| (&*part.id, part.source, part.stale.as_deref())).collect();
        assert_eq!(parts, [("details", 1, Some("s/0")), ("stock/w", 2, None)]);
        let of = |named: &[&str]| Streams { named: named.iter().map(|s| (*s).to_owned()).collect(), more: false };
        assert_eq!(first.hidden, [of(&[]), of(&[]), of(&[]), of(&["s/2"])]);
        // So many are read, and no more: whether there are others nobody knows.
        let more = async || read().await.hidden.iter().map(|streams| streams.more).collect::<Vec<_>>();
        park("catalog", 0, 100..198).await;
        assert_eq!(more().await, [false; 4]);
        park("catalog", 0, 198..199).await;
        assert_eq!(more().await, [true; 4]);
    }
}
