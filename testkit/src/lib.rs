//! What integration tests share: a database of their own, a Kafka prefix of their own, waiting with a limit.
//! `scripts/test` starts Postgres and Kafka and names them in `DAYBOOK_TEST_DATABASE_URL` and `DAYBOOK_TEST_KAFKA`.

pub mod fuzz;
pub mod http;
mod transactions;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daybook_bus::BusConfig;
use daybook_log::{MigrateOptions, migrate};
use daybook_postgres::{Databases, connect_owner, migrate_install};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use transactions::TransactionalClient;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by ./scripts/test, which starts Postgres and Kafka"))
}

/// An empty database, dropped with its last connection when this goes.
pub struct TestDatabase {
    admin: String,
    name: String,
    /// The owner's URL.
    pub url: String,
}

impl TestDatabase {
    /// Makes one.
    pub async fn new() -> Self {
        Self::made_by("").await
    }

    async fn made_by(how: &str) -> Self {
        // RUST_LOG=debug shows what the engine said in a test that failed.
        let _ = tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).with_test_writer().try_init();
        let admin = variable("DAYBOOK_TEST_DATABASE_URL");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let client = connect_owner(&admin).await.expect("the test server answers");
        client.batch_execute(&format!("CREATE DATABASE {name} {how}")).await.expect("a superuser may create databases");
        let url = format!("{}/{name}", admin.rsplit_once('/').expect("a URL names its database").0);
        Self { admin, name, url }
    }

    /// With logs of these services, `partitions` each.
    pub async fn migrated(services: &[&str], partitions: u32) -> Self {
        Self::copied(&format!("{services:?} {partitions}"), async |database| {
            let options = MigrateOptions { services: services.iter().map(|s| (*s).to_owned()).collect(), partitions };
            migrate_install(&database.databases()).await.expect("a fresh database migrates");
            migrate(&database.databases(), &options).await.expect("a fresh database migrates");
        })
        .await
    }

    /// A copy of the database of this name, which `prepare` makes ready for the first test of the process that asks: tables are copied in a
    /// tenth of the time that it takes to make them. All copies have the same log ids and the same secret. The database itself stays until
    /// the test server goes.
    ///
    /// # Panics
    /// When a connection to the database is left open by `prepare`.
    pub async fn copied(name: &str, prepare: impl AsyncFnOnce(&Self)) -> Self {
        static PREPARED: Mutex<BTreeMap<String, Arc<OnceCell<TestDatabase>>>> = Mutex::new(BTreeMap::new());
        let prepared = PREPARED.lock().expect("no test panics with it").entry(name.to_owned()).or_default().clone();
        let original = prepared.get_or_init(async || {
            let database = Self::new().await;
            prepare(&database).await;
            database
        });
        Self::made_by(&format!("TEMPLATE {}", original.await.name)).await
    }

    /// The map with everything in it.
    pub fn databases(&self) -> Databases {
        Databases::one(&self.url)
    }

    /// A connection as the owner.
    pub async fn owner(&self) -> tokio_postgres::Client {
        connect_owner(&self.url).await.expect("the test database answers")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        aside(async move {
            if let Ok(client) = connect_owner(&admin).await {
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
            }
        });
    }
}

/// The test server's Kafka, under a prefix that no other test has. Its topics are deleted when this goes: a broker that keeps those of
/// every test needs a heap that grows with their number, and ended in the middle of a run.
pub struct TestBus(BusConfig);

/// See [`TestBus`].
pub fn bus() -> TestBus {
    TestBus(BusConfig::new(variable("DAYBOOK_TEST_KAFKA")).with_prefix(format!("t{}.", &Uuid::new_v4().simple().to_string()[..12])))
}

impl Deref for TestBus {
    type Target = BusConfig;

    fn deref(&self) -> &BusConfig {
        &self.0
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        let bus = self.0.clone();
        aside(async move {
            let admin = admin(&bus);
            let Ok(metadata) = admin.inner().fetch_metadata(None, Duration::from_secs(10)) else { return };
            let ours: Vec<_> = metadata.topics().iter().map(|topic| topic.name()).filter(|name| name.starts_with(&bus.prefix)).collect();
            if !ours.is_empty() {
                let _ = admin.delete_topics(&ours, &AdminOptions::new()).await;
            }
        });
    }
}

/// In a runtime of its own: the test's may be the one that is unwinding.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let _ = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
        std::io::Result::Ok(())
    })
    .join();
}

/// Asks again and again until the answer is there; says what it waited for when it is not there in 60 s.
#[track_caller]
pub fn eventually<T, F, A>(what: &str, ask: A) -> impl Future<Output = T>
where
    A: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    eventually_at(what.to_owned(), ask, caller)
}

async fn eventually_at<T, F, A>(what: String, mut ask: A, caller: &std::panic::Location<'_>) -> T
where
    A: FnMut() -> F,
    F: Future<Output = Option<T>>,
{
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{caller}: waited 60 s for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn admin(bus: &BusConfig) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &bus.brokers).create().expect("a Kafka client")
}

/// Deletes what stands on a topic's partition, as retention does.
pub async fn delete_records(bus: &BusConfig, topic: &str, partition: i32) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, partition, Offset::End).expect("a valid offset");
    admin(bus).delete_records(&offsets, &AdminOptions::new()).await.expect("Kafka answers");
}

/// Deletes a topic.
pub async fn delete_topic(bus: &BusConfig, topic: &str) {
    for result in admin(bus).delete_topics(&[topic], &AdminOptions::new()).await.expect("Kafka answers") {
        result.expect("the topic is there");
    }
}

/// Deletes a topic and makes it again, empty, as a wiped broker does.
pub async fn recreate_topic(bus: &BusConfig, topic: &str, partitions: i32) {
    delete_topic(bus, topic).await;
    make_topic(bus, topic, partitions).await;
}

/// Makes a topic that is gone, or is about to be.
pub async fn make_topic(bus: &BusConfig, topic: &str, partitions: i32) {
    let admin = admin(bus);
    eventually("the topic to be there again", || async {
        let new =
            NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1").set("max.message.bytes", "4194304");
        admin.create_topics(&[new], &AdminOptions::new()).await.expect("Kafka answers").remove(0).ok()
    })
    .await;
}

/// Changes one setting of a topic while it is in use.
pub async fn alter_topic(bus: &BusConfig, topic: &str, name: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    for result in admin(bus).alter_configs([&change], &AdminOptions::new()).await.expect("Kafka answers") {
        result.expect("the topic is there");
    }
}
