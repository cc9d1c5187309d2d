//! The query API of one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use daybook_http::{Listening, Operations, Problem, Readiness, Shutdown, operations};
use daybook_kernel::Secret;
use prost_reflect::MessageDescriptor;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::config::{QueryConfig, QueryModel};
use crate::generations::Generations;
use crate::list::Items;
use crate::positions::Positions;
use crate::search::Search;
use crate::store::{Live, Store};
use crate::{QueryError, openapi, page, search};

/// A read model that is served.
pub(crate) struct Served {
    pub(crate) model: QueryModel,
    pub(crate) message: MessageDescriptor,
    /// Where it is a list: it has no root, and one field that repeats.
    pub(crate) items: Option<Items>,
}

/// What requests are answered from.
pub(crate) struct Serving {
    models: BTreeMap<String, Served>,
    pub(crate) store: Store,
    pub(crate) generations: Arc<Generations>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) secret: Secret,
    pub(crate) default_wait: Duration,
    pub(crate) max_wait: Duration,
}

impl Serving {
    /// The read model of this name.
    pub(crate) fn model(&self, name: &str) -> Option<&Served> {
        self.models.get(name)
    }

    /// The generation that answers for a read model.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn live(&self, model: &str) -> Result<Arc<Live>, Problem> {
        let none = || Problem::unavailable(format!("{model} has not been built in this database: run `daybook migrate`"), 5);
        self.generations.live(model).ok_or_else(none)
    }

    /// 404, with the names that are near.
    pub(crate) fn no_such_model(&self, name: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "there is no read model of this name")
            .with("readModel", name.chars().take(100).collect::<String>())
            .with("near", near(name, self.models.keys()))
    }

    async fn readiness(&self) -> Readiness {
        let database = self.generations.refresh(&self.store).await.err();
        let missing: Vec<&str> = self.models.keys().filter(|m| self.generations.live(m).is_none()).map(String::as_str).collect();
        let unbuilt = (!missing.is_empty()).then(|| format!("not built: {}; run `daybook migrate`", missing.join(", ")));
        match database {
            // An answer that says that nothing was migrated is an answer.
            Some(error) if !error.is_not_migrated() => Readiness::default().check("read models' database", Some(error.to_string())),
            _ => Readiness::default().check("read models' database", None),
        }
        .check("read models", unbuilt)
    }
}

/// The names nearest to one that is not there, the nearest first.
fn near<'a>(name: &str, all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut ranked: Vec<(f64, &String)> = all.map(|n| (strsim::jaro_winkler(name, n), n)).filter(|(score, _)| *score > 0.7).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(3).map(|(_, n)| n.clone()).collect()
}

/// Ends the background's tasks with the last one who holds it.
struct Background(Vec<AbortHandle>);

impl Drop for Background {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// Serves read models over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct QueryApi {
    serving: Arc<Serving>,
    search: Option<Arc<Search>>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    openapi: serde_json::Value,
    background: Arc<Background>,
    done: watch::Receiver<bool>,
}

impl QueryApi {
    /// Opens the database and begins to watch which generations are live. A database that does not answer yet is no error:
    /// requests are answered with 503 until it does.
    ///
    /// # Errors
    /// When the URL is not valid, or a read model's message is not described.
    pub async fn open(config: QueryConfig) -> Result<Self, QueryError> {
        let mut models = BTreeMap::new();
        for model in config.models {
            let message = config.descriptors.get_message_by_name(&model.message);
            let message =
                message.ok_or_else(|| QueryError::UnknownMessage { model: model.name.clone(), message: model.message.clone() })?;
            let items = Items::of(&message).filter(|_| model.root.is_none());
            models.insert(model.name.clone(), Served { model, message, items });
        }
        let store = Store::new(&config.read_url, config.connections)?;
        let generations = Arc::<Generations>::default();
        if let Err(error) = generations.refresh(&store).await {
            tracing::warn!(%error, "the read models can't be served yet");
        }
        let positions = Positions::new();
        let mut tasks = vec![
            tokio::spawn(generations.clone().keep_fresh(store.clone())).abort_handle(),
            tokio::spawn(positions.clone().feed(store.clone(), config.look_every)).abort_handle(),
        ];
        let mut openapi = openapi::document(models.values());
        let (default_wait, max_wait, secret) = (config.default_wait, config.max_wait, config.secret);
        let search = match config.search {
            Some(schema) => {
                search::describe(&mut openapi, &schema);
                let (search, task) = Search::open(schema, &models, &store, &secret, (default_wait, max_wait))?;
                tasks.push(task);
                Some(search)
            }
            None => None,
        };
        let serving = Serving { models, store, generations, positions, secret, default_wait, max_wait };
        Ok(Self {
            serving: Arc::new(serving),
            search,
            metrics: config.metrics,
            openapi,
            background: Arc::new(Background(tasks)),
            done: watch::channel(true).1,
        })
    }

    /// Its routes, and those of operations.
    pub fn router(&self) -> Router {
        let api = self.clone();
        let ready = move || {
            let api = api.clone();
            async move { api.readiness().await }
        };
        let pages = Router::new().route("/v1/{read_model}/{key}", get(page::get)).with_state(self.serving.clone());
        let pages = self.search.iter().fold(pages, |all, search| all.merge(search::routes(search.clone())));
        operations(Operations::new(ready, self.metrics.clone(), self.openapi.clone()), pages)
    }

    /// Whether the database answers and holds a generation of every read model, and what is searched has been read.
    pub async fn readiness(&self) -> Readiness {
        let readiness = self.serving.readiness().await;
        self.search.iter().fold(readiness, |all, search| all.check("search", search.unread()))
    }

    /// How many waits for a token's position are under way: one a request and position.
    pub fn waits(&self) -> usize {
        self.serving.positions.waits()
    }

    /// [Opens](Self::open), and serves on a bound address until the shutdown.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn start(config: QueryConfig, listening: Listening, shutdown: Shutdown) -> Result<Self, QueryError> {
        let api = Self::open(config).await?;
        let (finished, done) = watch::channel(false);
        let serving = listening.serve(api.router(), shutdown);
        // What is served needs the background for as long as it is.
        let background = api.background.clone();
        tokio::spawn(async move {
            serving.await;
            let _ = finished.send(true);
            drop(background);
        });
        Ok(Self { done, ..api })
    }

    /// Returns once nothing is served any more.
    pub async fn stopped(&self) {
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
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
