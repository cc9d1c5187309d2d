//! Which generation of each read model answers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::QueryError;
use crate::store::{Live, Store};

/// How often the live generations are looked at. The one that was live before is kept until every pod has moved.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The live generations, as they were last seen.
#[derive(Default)]
pub(crate) struct Generations(RwLock<HashMap<String, Arc<Live>>>);

impl Generations {
    /// The one that answers for a read model; none when it was never built.
    pub(crate) fn live(&self, model: &str) -> Option<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned()
    }

    /// Looks now.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), QueryError> {
        let seen = store.live().await?;
        let mut live = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // What is unchanged keeps its statement.
        let next = seen.into_iter().map(|(model, now)| match live.get(&model) {
            Some(before) if **before == now => (model, before.clone()),
            _ => {
                tracing::info!(model, generation = now.generation, "a generation is live");
                (model, Arc::new(now))
            }
        });
        *live = next.collect();
        Ok(())
    }

    /// Looks again and again. Never returns.
    pub(crate) async fn keep_fresh(self: Arc<Self>, store: Store) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(%error, "the live generations can't be read; those known are served");
            }
        }
    }
}
