//! Which generations there are, and which of them are to be kept up.

use daybook_kernel::ReadModel;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::ReadStore;
use crate::generation::{Generation, fingerprint};
use crate::{ProjectorError, sql};

/// A generation that is kept up, by whichever build.
pub(crate) struct KeptUp {
    pub(crate) generation: Generation,
    /// It is served.
    pub(crate) live: bool,
    /// This build's folds made it, and may go on with it.
    pub(crate) ours: bool,
}

impl ReadStore {
    /// The live generation of a read model, when this build's folds made it.
    ///
    /// # Errors
    /// [`ProjectorError::NotPrepared`], [`ProjectorError::Outdated`], or that Postgres does not answer.
    pub async fn live(&self, model: &ReadModel) -> Result<Generation, ProjectorError> {
        let live = self.kept_up(model).await?.into_iter().find(|g| g.live);
        let live = live.ok_or_else(|| ProjectorError::NotPrepared(model.name.to_owned()))?;
        if !live.ours {
            return Err(ProjectorError::Outdated { model: model.name.to_owned(), generation: live.generation.number });
        }
        Ok(live.generation)
    }

    /// A generation of a read model by its number, whoever made it and whatever its state; none where it has no tables.
    ///
    /// # Errors
    /// [`ProjectorError::NotPrepared`] when there is no read schema, or that Postgres does not answer.
    pub async fn generation(&self, model: &ReadModel, number: i32) -> Result<Option<Generation>, ProjectorError> {
        let rows = self.generations(model, sql::ONE_GENERATION, &[&model.name, &number]).await?;
        Ok(rows.first().map(|r| Generation::new(model, r.get(0), r.get(1))))
    }

    /// All that are to be kept up, the oldest first.
    pub(crate) async fn kept_up(&self, model: &ReadModel) -> Result<Vec<KeptUp>, ProjectorError> {
        let ours = fingerprint(model);
        let rows = self.generations(model, sql::KEPT_UP_GENERATIONS, &[&model.name]).await?;
        let kept_up =
            |r: &Row| KeptUp { generation: Generation::new(model, r.get(0), r.get(1)), live: r.get(3), ours: r.get::<_, &[u8]>(2) == ours };
        Ok(rows.iter().map(kept_up).collect())
    }

    async fn generations(&self, model: &ReadModel, statement: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, ProjectorError> {
        self.pool.get().await?.query(statement, values).await.map_err(|e| match e.as_db_error().map(|db| db.code().code()) {
            // No table, no right, no role: it was never migrated. (Where there is no schema, Postgres says that there is no table.)
            Some("42P01" | "42501" | "22023") => ProjectorError::NotPrepared(model.name.to_owned()),
            _ => e.into(),
        })
    }
}
