//! The state that requests are answered from, and reading it: from memory, or from the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use daybook_http::Problem;
use daybook_kernel::Secret;
use tokio::time::Instant;

use super::live::LiveQueries;
use super::{consistency, negotiate};
use crate::entry::View;
use crate::freshness::{Generations, Watch};
use crate::memory::{EntryAt, LoadError, Memory, Need};
use crate::model::{QueryModel, ServedModel};
use crate::observers::Meters;
use crate::past::Reader;
use crate::store::Store;

/// Time that reading from the database may take.
pub(crate) const LOAD: Duration = Duration::from_secs(5);

/// The state that requests are answered from.
pub(crate) struct Serving {
    pub(crate) models: BTreeMap<String, ServedModel>,
    pub(crate) store: Store,
    pub(crate) generations: Arc<Generations>,
    pub(crate) watch: Arc<Watch>,
    /// Counts queries for read models that are not there.
    pub(crate) unknown: Meters,
    pub(crate) events: LiveQueries,
    pub(crate) secret: Secret,
    /// Where the past may be asked for.
    pub(crate) past: Option<Reader>,
    pub(crate) default_wait: Duration,
    pub(crate) max_wait: Duration,
}

impl Serving {
    /// The read model of this name.
    pub(crate) fn model(&self, name: &str) -> Option<&ServedModel> {
        self.models.get(name)
    }

    /// The memory of the generation that answers for a read model.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn memory(&self, model: &str) -> Result<Arc<Memory>, Problem> {
        let none = || Problem::unavailable(format!("{model} has not been built in this database: run `daybook migrate`"), 5);
        self.generations.answering(model).ok_or_else(none)
    }

    /// 404, with the names that are near.
    pub(crate) fn no_such_model(&self, name: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "there is no read model of this name")
            .with("readModel", name.chars().take(100).collect::<String>())
            .with("near", near(name, self.models.keys()))
    }

    /// Until when a request with tokens waits.
    pub(crate) fn deadline(&self, headers: &HeaderMap) -> Instant {
        Instant::now() + negotiate::wait(headers, self.default_wait, self.max_wait)
    }

    /// Waits for the tokens that matter to a read model; what must be shown then.
    pub(crate) async fn reach(
        &self,
        memory: &Memory,
        model: &QueryModel,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Vec<Need>, Problem> {
        if !consistency::is_wanted(headers) {
            return Ok(Vec::new());
        }
        let mut wanted = consistency::tokens(headers, model).map_err(|why| Problem::invalid(consistency::TOKEN_NAME, why))?;
        wanted.tokens.extend(consistency::last_event(headers, memory));
        let mut needs = consistency::reach(&self.watch, memory, &wanted.tokens, deadline).await?;
        if wanted.stored {
            needs.extend(consistency::stored(&self.watch, memory).await?);
        }
        Ok(needs)
    }

    /// The entry of a key now, as far as the request's tokens want it.
    pub(crate) async fn see(&self, served: &ServedModel, key: &str, headers: &HeaderMap) -> Result<(Arc<Memory>, EntryAt), Problem> {
        // Without a token the state is shown as it is: no clock is looked at for it.
        let deadline = consistency::is_wanted(headers).then(|| self.deadline(headers));
        loop {
            let memory = self.memory(&served.model.name)?;
            let needs = match deadline {
                Some(deadline) => Box::pin(self.reach(&memory, &served.model, headers, deadline)).await?,
                None => Vec::new(),
            };
            match self.read(&memory, key, &needs).await {
                Ok(seen) => return Ok((memory, seen)),
                // It was begun on a generation that does not answer any more.
                Err(LoadError::Retired) => {}
                Err(error) => return Err(unread(error)),
            }
        }
    }

    /// The entry of a key: from memory, or from the database.
    pub(crate) async fn read(&self, memory: &Arc<Memory>, key: &str, needs: &[Need]) -> Result<EntryAt, LoadError> {
        if let Some(seen) = memory.hit(key, needs) {
            memory.observers.meters.hits.increment(1);
            memory.observers.hot.hit(key);
            return Ok(seen);
        }
        memory.observers.meters.misses.increment(1);
        memory.observers.hot.missed(key);
        Box::pin(memory.load(&self.store, &Arc::new(View::all(key)), needs, Instant::now() + LOAD)).await
    }
}

/// 503: why it could not be read.
pub(crate) fn unread(error: LoadError) -> Problem {
    let why = match error {
        LoadError::Slow => "the read models' database does not answer in time",
        LoadError::TooOld => "the read models' database that is read lags behind what was shown: ask again",
        LoadError::Unreachable | LoadError::Retired => "the read models' database does not answer",
    };
    Problem::unavailable(why, 1)
}

/// The names nearest to one that is not there, the nearest first.
fn near<'a>(name: &str, all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut ranked: Vec<(f64, &String)> = all.map(|n| (strsim::jaro_winkler(name, n), n)).filter(|(score, _)| *score > 0.7).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(3).map(|(_, n)| n.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_names_are_told_and_no_others() {
        let all = ["product-pages".to_owned(), "orders".to_owned()];
        assert_eq!(near("product-page", all.iter()), ["product-pages"]);
        assert_eq!(near("order", all.iter()), ["orders"]);
        assert!(near("zzz", all.iter()).is_empty());
    }
}
