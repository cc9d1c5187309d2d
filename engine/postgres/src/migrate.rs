//! A database is brought to what this build needs: schema by schema, in order. Harmless to repeat, and safe when several
//! processes do it at once.

use std::ops::{Deref, DerefMut};

use refinery::{Migration, Runner};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::{Connector, DatabaseError, Databases, describe, secret};

/// The advisory lock around all migrations of a database (refinery takes none): one process makes tables at a time.
const LOCK: i64 = 0x6461_7962_6f6f_6b01;

const DAYBOOK: &[(&str, &str)] = &[("V1__roles_and_secret", include_str!("../../../migrations/daybook/V1__roles_and_secret.sql"))];
const READ: &[(&str, &str)] = &[
    ("V1__read", include_str!("../../../migrations/read/V1__read.sql")),
    ("V2__checkpoint_term", include_str!("../../../migrations/read/V2__checkpoint_term.sql")),
    ("V3__checkpoint_given_up", include_str!("../../../migrations/read/V3__checkpoint_given_up.sql")),
    ("V4__view_in_part", include_str!("../../../migrations/read/V4__view_in_part.sql")),
];

/// Connects as the owner, without a role.
///
/// # Errors
/// When the database can't be reached.
pub async fn connect_owner(url: &str) -> Result<Client, DatabaseError> {
    let (client, connection) = Connector::new(url, None, &[], "daybook migrate")?.connect().await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = describe(&error), "the owner's connection ended");
        }
    });
    Ok(client)
}

/// The owner's session in a database that no other process migrates until this is dropped.
pub struct Migrating(Client);

impl Migrating {
    /// Waits for its turn, two minutes at the most. The roles and schema `daybook` are there then.
    ///
    /// # Errors
    /// When the database can't be reached, another process does not end, or a migration fails.
    pub async fn begin(url: &str) -> Result<Self, DatabaseError> {
        let mut migrating = Self(connect_owner(url).await?);
        let lock = format!("SET lock_timeout = '120s'; SELECT pg_advisory_lock({LOCK}); SET lock_timeout = DEFAULT");
        migrating.batch_execute(&lock).await.map_err(|error| match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => DatabaseError::Migration(
                "another process has held the migration lock for two minutes: see pg_locks (locktype = advisory)".to_owned(),
            ),
            _ => error.into(),
        })?;
        migrating.run("daybook", DAYBOOK).await?;
        Ok(migrating)
    }

    /// Makes a schema where it is missing, and applies what it lacks of its migrations: (`V1__name`, SQL).
    ///
    /// # Errors
    /// When one fails, or differs from what was applied under its name.
    pub async fn run(&mut self, schema: &str, migrations: &[(&str, &str)]) -> Result<(), DatabaseError> {
        let failed = |error: refinery::Error| DatabaseError::Migration(format!("schema {schema}: {error}"));
        // client_min_messages: "already exists, skipping" is what a second migration is meant to find.
        self.batch_execute(&format!(
            "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path TO {schema}"
        ))
        .await?;
        let migrations: Vec<Migration> =
            migrations.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect::<Result<_, _>>().map_err(failed)?;
        Runner::new(&migrations).set_migration_table_name("migration").run_async(&mut self.0).await.map_err(failed)?;
        self.batch_execute("SET search_path TO DEFAULT").await?;
        Ok(())
    }
}

impl Deref for Migrating {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl DerefMut for Migrating {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.0
    }
}

/// Makes the parts that an install has once, whatever its logs: roles, the secret, and the schema of read models.
///
/// # Errors
/// When a database can't be reached, or a migration fails.
pub async fn migrate_install(databases: &Databases) -> Result<(), DatabaseError> {
    let mut migrating = Migrating::begin(databases.default_url()).await?;
    secret::make(&migrating).await?;
    if databases.read_url() != databases.default_url() {
        drop(migrating);
        migrating = Migrating::begin(databases.read_url()).await?;
    }
    migrating.run("read", READ).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_that_there_is_is_run() {
        for (folder, run) in [("daybook", DAYBOOK), ("read", READ)] {
            let folder = format!("{}/../../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("readable").file_name());
            let mut files: Vec<String> = files.map(|name| name.into_string().expect("a name").replace(".sql", "")).collect();
            files.sort_unstable();
            assert_eq!(run.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(), files);
        }
    }
}
