//! The shop's read models in a database of their own, and their followers: for tests that decide what comes first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daybook_projections::prepare;
use daybook_testkit::{TestBus, TestDatabase, eventually};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use shop_projectors::read_models;

use crate::freshness::Generations;
use crate::memory::{Cache, Memory};
use crate::observers::Observers;
use crate::store::Store;

/// The read model that these tests follow.
pub(crate) const MODEL: &str = "product-pages";

/// The services that it and its neighbours read.
const SERVICES: [&str; 2] = ["catalog", "inventory"];

/// Read models of 2 partitions a service, with nothing in them; and one connection to read them by.
pub(crate) struct Prepared {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    pub(crate) store: Store,
}

impl Prepared {
    pub(crate) async fn new() -> Self {
        let (database, bus) = (TestDatabase::migrated(&SERVICES, 2).await, daybook_testkit::bus());
        let mut models = read_models();
        models.retain(|model| model.services().iter().all(|service| SERVICES.contains(service)));
        prepare(&database.databases(), &bus, &models).await.expect("the logs are there");
        let store = Store::of_one_connection(&database.url);
        // Connected, however long that takes here.
        eventually("it to answer", || async { store.live().await.ok() }).await;
        Self { database, bus, store }
    }

    /// Its generations, of which none answers yet.
    pub(crate) fn generations(&self, observers: Arc<Observers>) -> Arc<Generations> {
        let observers = BTreeMap::from([(MODEL.to_owned(), observers)]);
        Arc::new(Generations::new(observers, Cache::new(1 << 20), self.store.clone(), Duration::from_secs(60)))
    }

    /// The one that answers, as of a look now.
    pub(crate) async fn answering(&self, generations: &Arc<Generations>) -> Arc<Memory> {
        generations.refresh().await.expect("it answers");
        generations.answering(MODEL).expect("it was built")
    }

    /// Executes statements as the owner.
    pub(crate) async fn execute(&self, statements: &str) {
        self.database.owner().await.batch_execute(statements).await.expect("the owner may");
    }
}

/// The observers of a read model that nobody follows.
pub(crate) fn observers() -> Arc<Observers> {
    Arc::new(Observers::new(MODEL, Vec::new()))
}

/// Meters of one test.
pub(crate) struct Metered {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metered {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    /// What takes up a meter in here takes up this test's.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        daybook_process::metrics::with_local_recorder(&self.recorder, work)
    }

    /// What a gauge of the read model says, or one that has no label.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let text = self.handle.render();
        let of = [format!("{name}{{read_model=\"{MODEL}\"}} "), format!("{name} ")];
        let value = text.lines().find_map(|line| of.iter().find_map(|name| line.strip_prefix(name.as_str())));
        value.map(|value| value.parse().expect("a number"))
    }
}
