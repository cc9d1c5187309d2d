//! Brings a database to what this build needs. Harmless to repeat, and safe when several processes do it at once.

use std::time::Duration;

use chrono::Utc;
use daybook_kernel::{Instant, Secret, digest};
use daybook_postgres::{Connector, Databases, Role};
use refinery::{Migration, Runner};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{LogError, sql};

/// The advisory lock around all migrations (refinery takes none): one process makes tables at a time.
pub const MIGRATION_LOCK: i64 = 0x6461_7962_6f6f_6b01;

const DAYBOOK: &[(&str, &str)] = &[("V1__roles_and_secret", include_str!("../../../migrations/daybook/V1__roles_and_secret.sql"))];
const LOG: &[(&str, &str)] = &[
    ("V1__log", include_str!("../../../migrations/log/V1__log.sql")),
    ("V2__reactors", include_str!("../../../migrations/log/V2__reactors.sql")),
];
const READ: &[(&str, &str)] = &[
    ("V1__read", include_str!("../../../migrations/read/V1__read.sql")),
    ("V2__checkpoint_term", include_str!("../../../migrations/read/V2__checkpoint_term.sql")),
    ("V3__checkpoint_given_up", include_str!("../../../migrations/read/V3__checkpoint_given_up.sql")),
];

/// A service's name that is safe as a schema's: `[a-z][a-z0-9_]{0,40}`, and none of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// Of a service's name.
    ///
    /// # Errors
    /// When it could not be a schema's name.
    pub fn new(service: &str) -> Result<Self, LogError> {
        let plain = service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let begins = service.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if !plain || !begins || service.len() > 40 || ["daybook", "read", "public"].contains(&service) || service.starts_with("pg_") {
            return Err(LogError::Configuration(format!(
                "{service:?} can't be a service: a name must match [a-z][a-z0-9_]{{0,39}}, and not be daybook, read or public"
            )));
        }
        Ok(Self(service.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What to migrate.
#[derive(Clone, Debug)]
pub struct MigrateOptions {
    /// A log schema each.
    pub services: Vec<String>,
    /// Of a log that is born now; a log that stands keeps its own number. 1 to 1024.
    pub partitions: u32,
}

/// What a migration found or made.
#[derive(Clone, Debug)]
pub struct Migrated {
    /// (service, partitions, born just now)
    pub logs: Vec<(String, u32, bool)>,
}

/// Connects as the owner, without a role.
///
/// # Errors
/// When the database can't be reached.
pub async fn connect_owner(url: &str) -> Result<Client, LogError> {
    let (client, connection) = Connector::new(url, None, &[], "daybook migrate")?.connect().await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the owner's connection ended");
        }
    });
    Ok(client)
}

/// Migrates schema `daybook`, a log schema a service, and the read schema.
///
/// # Errors
/// When a database can't be reached, a migration fails, or a log has another number of partitions in another database.
pub async fn migrate(databases: &Databases, options: &MigrateOptions) -> Result<Migrated, LogError> {
    let mut home = locked(databases.default_url()).await?;
    run(&mut home, "daybook", DAYBOOK).await?;
    make_secret(&home).await?;
    let mut logs = Vec::new();
    for service in &options.services {
        logs.push(migrate_service(databases, service, options.partitions).await?);
    }
    let mut read = on_same_or_locked(databases.default_url(), databases.read_url()).await?;
    let read = read.as_mut().unwrap_or(&mut home);
    if databases.read_url() != databases.default_url() {
        run(read, "daybook", DAYBOOK).await?;
    }
    run(read, "read", READ).await?;
    Ok(Migrated { logs })
}

async fn on_same_or_locked(held: &str, url: &str) -> Result<Option<Client>, LogError> {
    if held == url { Ok(None) } else { locked(url).await.map(Some) }
}

/// The owner's connection, holding the migration lock until it is dropped.
async fn locked(url: &str) -> Result<Client, LogError> {
    let client = connect_owner(url).await?;
    for _ in 0..240 {
        if client.query_one("SELECT pg_try_advisory_lock($1)", &[&MIGRATION_LOCK]).await?.get(0) {
            return Ok(client);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(LogError::Migration("another process has held the migration lock for two minutes: see pg_locks (locktype = advisory)".to_owned()))
}

async fn run(client: &mut Client, schema: &str, migrations: &[(&str, &str)]) -> Result<(), LogError> {
    // client_min_messages: "already exists, skipping" is what a second migration is meant to find.
    client
        .batch_execute(&format!("SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path TO {schema}"))
        .await?;
    let migrations: Vec<Migration> = migrations
        .iter()
        .map(|(name, sql)| Migration::unapplied(name, sql).map_err(|e| LogError::Migration(e.to_string())))
        .collect::<Result<_, _>>()?;
    Runner::new(&migrations)
        .set_migration_table_name("migration")
        .run_async(client)
        .await
        .map_err(|e| LogError::Migration(format!("schema {schema}: {e}")))?;
    client.batch_execute("SET search_path TO DEFAULT").await?;
    Ok(())
}

async fn make_secret(client: &Client) -> Result<(), LogError> {
    // Two random UUIDs of the server's strong source: 244 random bits.
    let sql = "INSERT INTO daybook.secret (name, value) SELECT 'mac', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING";
    client.execute(sql, &[]).await?;
    Ok(())
}

/// The install's secret, for handles, page tokens and the engine's own messages.
///
/// # Errors
/// When the database can't be reached, or was not migrated.
pub async fn read_secret(databases: &Databases, role: Role) -> Result<Secret, LogError> {
    let (client, connection) = Connector::new(databases.default_url(), Some(role), &[], "daybook")?.connect().await?;
    let driving = tokio::spawn(connection);
    let row = client.query_one("SELECT value FROM daybook.secret WHERE name = 'mac'", &[]).await?;
    drop(client);
    let _ = driving.await;
    Ok(Secret::new(row.get::<_, Vec<u8>>(0)))
}

async fn migrate_service(databases: &Databases, service: &str, partitions: u32) -> Result<(String, u32, bool), LogError> {
    let schema = SchemaName::new(service)?;
    let home = databases.service_url(service).to_owned();
    // The lock of the default database is held by the caller.
    let mut own = if home == databases.default_url() { connect_owner(&home).await? } else { locked(&home).await? };
    if home != databases.default_url() {
        run(&mut own, "daybook", DAYBOOK).await?;
    }
    run(&mut own, schema.as_str(), LOG).await?;
    let (log_id, partitions, born) = birth(&own, service, schema.as_str(), partitions, Uuid::new_v4()).await?;
    for n in 0..partitions {
        let url = databases.partition_url(service, n);
        if url == home {
            make_partition(&own, service, schema.as_str(), log_id, n, partitions).await?;
        } else {
            let mut other = locked(url).await?;
            run(&mut other, "daybook", DAYBOOK).await?;
            run(&mut other, schema.as_str(), LOG).await?;
            let (there, _, _) = birth(&other, service, schema.as_str(), partitions, log_id).await?;
            if there != log_id {
                return Err(LogError::Configuration(format!(
                    "the database of {service} partition {n} holds another log ({there}, not {log_id}): check [services.{service}] partitions"
                )));
            }
            make_partition(&other, service, schema.as_str(), log_id, n, partitions).await?;
        }
    }
    own.batch_execute(&format!("ANALYZE {0}.page; ANALYZE {0}.event; ANALYZE {0}.command", schema.as_str())).await?;
    Ok((service.to_owned(), partitions, born))
}

/// The log's identity: made once.
async fn birth(client: &Client, service: &str, schema: &str, partitions: u32, log_id: Uuid) -> Result<(Uuid, u32, bool), LogError> {
    let born = client
        .execute(
            &format!("INSERT INTO {schema}.log (service, log_id, partitions, born_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"),
            &[&service, &log_id, &partitions.cast_signed(), &Utc::now()],
        )
        .await?;
    let row = client.query_one(&format!("SELECT log_id, partitions FROM {schema}.log WHERE service = $1"), &[&service]).await?;
    Ok((row.get(0), row.get::<_, i32>(1).cast_unsigned(), born == 1))
}

/// A partition's tables and its page 0, whose `previous` makes it different from every other partition.
async fn make_partition(client: &Client, service: &str, schema: &str, log_id: Uuid, n: u32, partitions: u32) -> Result<(), LogError> {
    let exists: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("{schema}.page_{n}")]).await?.get(0);
    if exists {
        return Ok(());
    }
    let previous = digest::birth(service, log_id, n.cast_signed(), partitions.cast_signed());
    let recorded_at = Instant::from(Utc::now());
    let fields = digest::PageFields {
        previous: &previous,
        partition: n.cast_signed(),
        page: 0,
        epoch: 1,
        first_offset: 0,
        count: 0,
        message_offset: -1,
        writer: "migrate",
        recorded_at,
    };
    let page_digest = digest::page(&fields, std::iter::empty(), std::iter::empty());
    // One transaction, in one message: a partition has its page 0 or does not exist.
    let page_0 = format!(
        "INSERT INTO page_{n} (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at, reason)
         VALUES ({n}, 0, 1, 0, 0, -1, 'migrate', '\\x{}', '\\x{}', '{}', 'birth')",
        hex::encode(previous),
        hex::encode(page_digest),
        recorded_at
    );
    let tables = sql::at(sql::PARTITION, schema, n);
    client.batch_execute(&format!("BEGIN; SET LOCAL search_path TO {schema}; {tables}; {page_0}; COMMIT")).await?;
    Ok(())
}
