//! Databases of a measurement's own, beside Daybook's.

use anyhow::Context as _;
use daybook_postgres::connect_owner;
use uuid::Uuid;

/// An empty database on the same server.
pub(crate) struct OwnDatabase {
    owner: tokio_postgres::Client,
    name: String,
    /// As its owner.
    pub(crate) url: String,
}

impl OwnDatabase {
    /// Makes it, on the server that `url` names.
    ///
    /// # Errors
    /// When the server can't be reached, or the user may not create databases.
    pub(crate) async fn new(url: &str) -> anyhow::Result<Self> {
        let owner = connect_owner(url).await?;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        owner.batch_execute(&format!("CREATE DATABASE {name}")).await.context("a database for the raw limits can't be made")?;
        let own = format!("{}/{name}", url.rsplit_once('/').context("the database URL names no database")?.0);
        Ok(Self { owner, name, url: own })
    }

    /// Drops it.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        Ok(self.owner.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await?)
    }
}

/// Works in a database that is made for it, and dropped again however that ends.
///
/// # Errors
/// When the server can't be reached, the user may not create databases, or the work fails.
pub(crate) async fn in_its_own_database<T>(database_url: &str, work: impl AsyncFnOnce(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let database = OwnDatabase::new(database_url).await?;
    let worked = work(&database.url).await;
    database.drop().await?;
    worked
}
