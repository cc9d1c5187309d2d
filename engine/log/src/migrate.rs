//! Makes logs: a schema a service, and its partitions. Harmless to repeat, and safe when several processes do it at once.

use chrono::Utc;
use daybook_kernel::{Instant, digest};
use daybook_postgres::{Databases, Migrating};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{LogError, sql};

const LOG: &[(&str, &str)] = &[
    ("V1__log", include_str!("../../../migrations/log/V1__log.sql")),
    ("V2__reactors", include_str!("../../../migrations/log/V2__reactors.sql")),
    ("V3__calls", include_str!("../../../migrations/log/V3__calls.sql")),
    ("V4__signs_of_life", include_str!("../../../migrations/log/V4__signs_of_life.sql")),
];

/// A service's name as that of its schema, quoted: `order` is a word of SQL. It must match `[a-z][a-z0-9_]{0,39}`, and be none of our own.
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
        Ok(Self(format!("\"{service}\"")))
    }

    /// The name, as statements have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Settings of a migration.
#[derive(Clone, Debug)]
pub struct MigrateOptions {
    /// A log schema each.
    pub services: Vec<String>,
    /// Of a log that is born now; a log that stands keeps its own number. 1 to 1024.
    pub partitions: u32,
}

/// The logs that a migration found or made.
#[derive(Clone, Debug)]
pub struct Migrated {
    /// (service, partitions, born just now)
    pub logs: Vec<(String, u32, bool)>,
}

/// Makes the log of each service, or finds it. The secret and the read models are `daybook_postgres::migrate_install`'s.
///
/// # Errors
/// When a database can't be reached, a migration fails, or a log has another number of partitions in another database.
pub async fn migrate(databases: &Databases, options: &MigrateOptions) -> Result<Migrated, LogError> {
    let mut logs = Vec::new();
    for service in &options.services {
        logs.push(migrate_service(databases, service, options.partitions).await?);
    }
    Ok(Migrated { logs })
}

/// One database after the other, so that two processes never wait for each other.
async fn migrate_service(databases: &Databases, service: &str, partitions: u32) -> Result<(String, u32, bool), LogError> {
    let schema = SchemaName::new(service)?;
    let home = databases.service_url(service);
    let mut own = Migrating::begin(home).await?;
    own.run(schema.as_str(), LOG).await?;
    let (log_id, partitions, born) = birth(&own, service, schema.as_str(), partitions, Uuid::new_v4()).await?;
    let (here, elsewhere): (Vec<u32>, Vec<u32>) = (0..partitions).partition(|n| databases.partition_url(service, *n) == home);
    for n in here {
        make_partition(&own, service, schema.as_str(), log_id, n, partitions).await?;
    }
    own.batch_execute(&format!("ANALYZE {0}.page; ANALYZE {0}.event; ANALYZE {0}.command", schema.as_str())).await?;
    drop(own);
    for n in elsewhere {
        let mut other = Migrating::begin(databases.partition_url(service, n)).await?;
        other.run(schema.as_str(), LOG).await?;
        let (there, _, _) = birth(&other, service, schema.as_str(), partitions, log_id).await?;
        if there != log_id {
            return Err(LogError::Configuration(format!(
                "the database of {service} partition {n} holds another log ({there}, not {log_id}): check [services.{service}] partitions"
            )));
        }
        make_partition(&other, service, schema.as_str(), log_id, n, partitions).await?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_that_there_is_is_run() {
        let folder = format!("{}/../../migrations/log", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("readable").file_name());
        let mut files: Vec<String> = files.map(|name| name.into_string().expect("a name").replace(".sql", "")).collect();
        files.sort_unstable();
        assert_eq!(LOG.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(), files);
    }
}
