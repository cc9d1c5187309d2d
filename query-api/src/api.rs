//! The query API of one process.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use daybook_http::{Front, Probe, Surface};
use daybook_process::{Readiness, Shutdown};
use daybook_search::SearchReader;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::answer::{LiveQueries, Serving};
use crate::config::QueryConfig;
use crate::freshness::{Feed, Generations, Pods, Watch};
use crate::memory::{Cache, Memory};
use crate::model::ServedModel;
use crate::observers::{Follower, Meters, Observers};
use crate::past::Reader;
use crate::search::{Fresh, Search};
use crate::store::Store;
use crate::{QueryError, openapi, page, search};

/// The parts of a process that keep memory fresh.
struct Upkeep {
    generations: Arc<Generations>,
    feed: Arc<Feed>,
    pods: Arc<Pods>,
    /// The keys that are asked for most have been loaded.
    warm: watch::Sender<bool>,
}

impl Upkeep {
    async fn readiness(&self) -> Readiness {
        let database = self.generations.refresh().await.err();
        let missing: Vec<&str> =
            self.generations.models().filter(|m| self.generations.answering(m).is_none()).map(String::as_str).collect();
        let unbuilt = (!missing.is_empty()).then(|| format!("not built: {}; run `daybook migrate`", missing.join(", ")));
        let readiness = match database {
            // An answer that says that nothing was migrated is an answer.
            Some(error) if !error.is_not_migrated() => Readiness::default().check("read models' database", Some(error.to_string())),
            _ => Readiness::default().check("read models' database", None),
        }
        .check("read models", unbuilt)
        .check("warm-up", (!*self.warm.borrow()).then(|| "what is asked for most is being loaded".to_owned()));
        let reads_through = "every query is read from the database meanwhile";
        let problem = self.feed.problem.borrow().clone();
        match (problem, self.behind()) {
            (Some(problem), _) => readiness.check("pushes", Some(format!("{problem}; {reads_through}"))),
            (None, None) => readiness.check("pushes", None),
            // Another process would wait for them too, and what is answered is right.
            (None, Some(behind)) => readiness.waits("pushes", format!("are behind the database, {behind}; {reads_through}")),
        }
    }

    /// The read models that are not answered from memory, though pushes are followed, and where to look.
    fn behind(&self) -> Option<String> {
        let behind: Vec<Arc<Memory>> = self.generations.all_answering().into_iter().filter(|m| !m.is_trusted()).collect();
        let topics: Vec<String> = behind.iter().map(|m| self.feed.topic(&m.model)).collect();
        let why = "no projector pushes, or an open transaction of a client that may write there holds back what they push";
        (!behind.is_empty()).then(|| format!("on {}: {why} (docs/kafka-acls.md)", topics.join(", ")))
    }
}

/// Ends the background's tasks with the last one who holds it.
struct Background(Vec<AbortHandle>);

impl Background {
    fn stop(&self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves read models over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct QueryApi {
    serving: Arc<Serving>,
    upkeep: Arc<Upkeep>,
    search: Option<Arc<Search>>,
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
        // What else follows read models is registered here: (read model, follower).
        let mut followers: Vec<(String, Arc<dyn Follower>)> = Vec::new();
        let searched = match config.search {
            Some(schema) => {
                let unserved = || QueryError::Configuration(format!("searching: no read model {} is served", schema.model));
                let model = config.models.iter().find(|m| m.name == schema.model).cloned().ok_or_else(unserved)?;
                let fresh = Fresh::new(SearchReader::new(schema, &model.message(&config.descriptors)?)?);
                followers.push((model.name.clone(), fresh.clone()));
                Some((model, fresh))
            }
            None => None,
        };
        let mut models = BTreeMap::new();
        for model in config.models {
            let mine = followers.extract_if(.., |(name, _)| *name == model.name).map(|(_, follower)| follower).collect();
            let observers = Observers::new(&model.name, mine);
            models.insert(model.name.clone(), ServedModel::new(model, &config.descriptors, observers)?);
        }
        let store = Store::new(&config.read_url, config.connections)?;
        let observers = models.iter().map(|(name, served)| (name.clone(), served.observers.clone())).collect();
        let generations = Arc::new(Generations::new(observers, Cache::new(config.cache_bytes), store.clone(), config.warm_up));
        if let Err(error) = generations.refresh().await {
            tracing::warn!(%error, "the read models can't be served yet");
        }
        let pods = Arc::new(Pods::new(config.bus.clone(), generations.clone()).map_err(|e| QueryError::Configuration(e.to_string()))?);
        let feed = Arc::new(Feed::new(config.bus, models.keys().cloned(), generations.clone(), store.clone()));
        let watch = Arc::new(Watch::new(generations.clone(), feed.clone(), store.clone(), config.push_patience, config.look_every));
        let mut tasks = vec![
            tokio::spawn(generations.clone().keep_fresh()).abort_handle(),
            tokio::spawn(feed.clone().run()).abort_handle(),
            tokio::spawn(watch.clone().run()).abort_handle(),
            tokio::spawn(pods.clone().run()).abort_handle(),
        ];
        let mut openapi = openapi::document(models.values());
        let (default_wait, max_wait, secret) = (config.default_wait, config.max_wait, config.secret);
        let search = searched.map(|(model, fresh)| {
            search::describe(&mut openapi, fresh.schema());
            let (search, task) = Search::open(model, fresh, store.clone(), generations.clone(), secret.clone(), (default_wait, max_wait));
            tasks.push(task);
            search
        });
        let (unknown, past) = (Meters::new("unknown"), config.past.map(Reader::new));
        let events = LiveQueries::new(config.max_subscribers, config.heartbeat);
        let upkeep = Arc::new(Upkeep { generations: generations.clone(), feed, pods, warm: watch::channel(false).0 });
        let (warming, warmed, deadline) = (upkeep.clone(), store.clone(), Instant::now() + config.warm_up);
        let serving = Arc::new(Serving { models, store, generations, watch, unknown, events, secret, past, default_wait, max_wait });
        let warming = tokio::spawn(async move {
            // What is loaded before pushes are followed is loaded once more then.
            let mut followed = warming.feed.problem.subscribe();
            let _ = tokio::time::timeout_at(deadline, followed.wait_for(Option::is_none)).await;
            warming.pods.warm_up(&warmed, deadline).await;
            warming.warm.send_replace(true);
        });
        tasks.push(warming.abort_handle());
        Ok(Self { serving, upkeep, search, openapi, background: Arc::new(Background(tasks)), done: watch::channel(true).1 })
    }

    /// Its routes, with health, readiness and its document.
    fn router(&self) -> Router {
        let pages = Router::new()
            .route("/v1/{read_model}/{key}", get(page::get).fallback(page::other_method))
            // Of every key, also of one that is called as a route below its read model is.
            .route("/v1/{read_model}/{key}/page", get(page::get).fallback(page::other_method))
            .route("/v1/{read_model}/{key}/events", get(page::get_events).fallback(page::other_method))
            .with_state(self.serving.clone());
        let pages = self.search.iter().fold(pages, |all, search| all.merge(search::routes(search.clone())));
        daybook_http::surface_routes(pages, self.probe(), self.openapi.clone())
    }

    /// Answers from memory, before any route is looked for.
    fn front(&self) -> Front {
        let serving = self.serving.clone();
        Arc::new(move |request, caller| page::at_once(&serving, request, caller))
    }

    /// Whether the database answers and holds a generation of every read model, and what is searched has been read.
    pub async fn readiness(&self) -> Readiness {
        let readiness = self.upkeep.readiness().await;
        self.search.iter().fold(readiness, |all, search| all.check("search", search.unread()))
    }

    /// Asks for the [readiness](Self::readiness).
    pub fn probe(&self) -> Probe {
        Probe::new(self.clone(), |api| async move { api.readiness().await })
    }

    /// The number of waits for a token's position that are under way: one a request and position.
    pub fn waits(&self) -> usize {
        self.serving.generations.followed().iter().map(|m| m.waits()).sum()
    }

    /// The number of times that a key has been read from the database, by the generations that are followed.
    pub fn loads(&self) -> u64 {
        self.serving.generations.followed().iter().map(|m| m.loads.load(std::sync::atomic::Ordering::SeqCst)).sum()
    }

    /// The number of pushed batches that have been taken in, late ones too, by the generations that are followed.
    pub fn pushes(&self) -> u64 {
        self.serving.generations.followed().iter().map(|m| m.batches.load(std::sync::atomic::Ordering::SeqCst)).sum()
    }

    /// [Opens](Self::open), and serves on a bound address until the shutdown.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn start(config: QueryConfig, surface: Surface, shutdown: Shutdown) -> Result<Self, QueryError> {
        let api = Self::open(config).await?;
        let (finished, done) = watch::channel(false);
        let serving = surface.serve_behind(api.front(), api.router(), shutdown.clone());
        let live = api.serving.clone();
        tokio::spawn(async move {
            shutdown.requested().await;
            live.events.close();
        });
        // What is served needs the background for as long as it is.
        let (background, upkeep) = (api.background.clone(), api.upkeep.clone());
        tokio::spawn(async move {
            serving.await;
            // It says no more that it is there, and then that it is not.
            background.stop();
            upkeep.pods.leave().await;
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
