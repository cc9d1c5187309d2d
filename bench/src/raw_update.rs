//! The least that a further read model can cost: Postgres, which updates one row an event by arrays, in a table like that of parts.

use daybook_postgres::connect_owner;

use crate::cpu::Processes;
use crate::database::in_its_own_database;

/// Rows of the table: as many as the load has streams.
const ROWS: usize = 10_000;
/// From one row of a batch to the next, all over the table: it has no divisor in common with the number of rows.
const STRIDE: usize = 7_919;
/// Rows that are updated in all, for each size of a batch.
const UPDATED: usize = 100_000;
/// Events of a batch: about those of the loads of 64 and 512 clients.
const BATCHES: [usize; 2] = [100, 500];

const TABLE: &str = "CREATE TABLE raw_part (
        key text COLLATE \"C\" NOT NULL, part text COLLATE \"C\" NOT NULL, bytes bytea NOT NULL, \"offset\" bigint NOT NULL,
        service text COLLATE \"C\" NOT NULL, partition int NOT NULL, stream_id text COLLATE \"C\" NOT NULL, version bigint, view bytea
    ) WITH (fillfactor = 80);
    INSERT INTO raw_part
    SELECT 'S-' || n, 'stock/w-1', decode(repeat('ab', 24), 'hex'), 0, 'inventory', 0, 'stock/S-' || n || '@w-1', 1, decode(repeat('cd', 24), 'hex')
    FROM generate_series(0, 9999) n;
    CREATE UNIQUE INDEX ON raw_part (key, part);
    CREATE INDEX ON raw_part (stream_id);
    ANALYZE raw_part;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off";
const UPDATE: &str = "UPDATE raw_part p SET bytes = u.bytes, \"offset\" = u.\"offset\", version = u.\"offset\", view = u.bytes
    FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS u (key, bytes, \"offset\")
    WHERE p.key = u.key AND p.part = 'stock/w-1'";

/// µs of CPU of the one backend for a row, by the number of rows in a statement: as a read model's, it is logged and flushed, a transaction each.
/// Nobody else writes, and nothing is looked up or moved beside it.
///
/// # Errors
/// When the database can't be reached.
pub(crate) async fn microseconds_a_row(database_url: &str) -> anyhow::Result<Vec<(usize, f64)>> {
    in_its_own_database(database_url, measure).await
}

async fn measure(url: &str) -> anyhow::Result<Vec<(usize, f64)>> {
    let client = connect_owner(url).await?;
    client.batch_execute(TABLE).await?;
    let statement = client.prepare(UPDATE).await?;
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let backend = Processes(vec![("backend", backend.unsigned_abs())]);
    let mut found = Vec::new();
    for size in BATCHES {
        let (mut rows, used) = (0, backend.used());
        while rows < UPDATED {
            let keys: Vec<String> = (0..size).map(|n| format!("S-{}", (rows + n) * STRIDE % ROWS)).collect();
            let (bytes, offsets) = (vec![vec![0xef_u8; 24]; keys.len()], vec![i64::try_from(rows)?; keys.len()]);
            rows += usize::try_from(client.execute(&statement, &[&keys, &bytes, &offsets]).await?)?;
        }
        found.push((size, backend.used().since(&used).processes[0].1 / rows as f64));
    }
    Ok(found)
}
