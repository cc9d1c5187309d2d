//! An install of one database and one Kafka prefix, and processes that serve it.

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{Headers, Message, PartitionReader, Producer, ProducerOptions, Record, StartAt, headers};
use daybook_command_handlers::{CommandHandlers, HandlerConfig, HandlerParts, ensure_topics};
use daybook_http::{Gate, Surface};
use daybook_kernel::{Registry, StreamId};
use daybook_log::Log;
use daybook_messages::LocalLanes;
use daybook_postgres::{Databases, Role};
use daybook_process::shutdown;
use daybook_testkit::{TestBus, TestDatabase, bus, eventually};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) const PARTITIONS: u32 = 3;

/// The services that these tests ask.
pub(crate) const SERVICES: [&str; 2] = ["catalog", "inventory"];

pub(crate) fn shop() -> Registry {
    Registry::new(shop_domain::aggregates()).expect("the shop's list is sound").only(&SERVICES.map(str::to_owned))
}

pub(crate) struct Install {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    pub(crate) client: reqwest::Client,
    /// The lanes of its processes.
    pub(crate) local: LocalLanes,
}

/// One process of command handlers, in this one.
pub(crate) struct Process {
    pub(crate) url: String,
    stop: watch::Sender<bool>,
    pub(crate) handlers: CommandHandlers,
}

impl Install {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::migrated(&SERVICES, PARTITIONS).await;
        let bus = bus();
        let install = Self { database, bus, client: reqwest::Client::new(), local: LocalLanes::default() };
        ensure_topics(&install.bus, &[install.log("catalog").await, install.log("inventory").await]).await.expect("Kafka answers");
        install
    }

    /// With one process that is ready.
    pub(crate) async fn started() -> (Self, Process) {
        let install = Self::new().await;
        let process = install.process().await;
        (install, process)
    }

    pub(crate) fn databases(&self) -> Databases {
        self.database.databases()
    }

    pub(crate) async fn log(&self, service: &str) -> Log {
        Log::open(&self.databases(), service, Role::Reader).await.expect("migrated")
    }

    pub(crate) async fn process(&self) -> Process {
        self.process_of(shop(), HandlerConfig::default(), &["catalog", "inventory"]).await
    }

    pub(crate) async fn process_of(&self, registry: Registry, config: HandlerConfig, services: &[&str]) -> Process {
        self.process_on(surface(Gate::anonymous()).await, registry, config, services).await
    }

    pub(crate) async fn process_on(&self, surface: Surface, registry: Registry, config: HandlerConfig, services: &[&str]) -> Process {
        let process = self.begin(surface, registry, config, services).await;
        eventually("the process to be ready", || async {
            let status = self.client.get(format!("{}/readyz", process.url)).send().await.ok()?.status();
            (status == StatusCode::OK).then_some(())
        })
        .await;
        process
    }

    /// A process that may not be ready yet.
    pub(crate) async fn begin(&self, surface: Surface, registry: Registry, config: HandlerConfig, services: &[&str]) -> Process {
        let (stop, stopping) = shutdown();
        let parts = HandlerParts {
            config: HandlerConfig { session_timeout: Duration::from_secs(6), ..config },
            databases: self.databases(),
            bus: self.bus.clone(),
            registry,
            services: services.iter().map(|s| (*s).to_owned()).collect(),
            committed: Arc::new(|_, _, _| {}),
            local: self.local.clone(),
        };
        let handlers = CommandHandlers::start(parts, surface, stopping).await.expect("everything is there");
        Process { url: format!("http://{}", handlers.address()), stop, handlers }
    }

    pub(crate) async fn post(&self, process: &Process, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .client
            .post(format!("{}/v1/{path}", process.url))
            .header("Idempotency-Key", key.as_bytes())
            .header("Prefer", "wait=25")
            .json(body);
        Answer::of(request.send().await.expect("the process answers")).await
    }

    /// Produces a service message as a client in any language would.
    pub(crate) async fn produce(&self, service: &str, partition: i32, key: &str, headers: Headers, value: Option<Vec<u8>>) -> i64 {
        let producer = Producer::new(&self.bus, ProducerOptions::default()).expect("Kafka answers");
        let record = Record {
            topic: self.bus.messages(service).into(),
            partition,
            key: key.to_owned().into(),
            headers,
            value: value.map(Into::into),
        };
        producer.send(vec![record]).await.expect("delivered")[0]
    }

    /// Everything that stands on a topic's partition now.
    pub(crate) async fn topic(&self, topic: &str, partition: i32) -> Vec<Message> {
        // One that was made a moment ago may not be known everywhere yet.
        let mut reader = eventually("the topic to be there", || async {
            PartitionReader::open(&self.bus, topic, partition, StartAt::Earliest).await.ok()
        })
        .await;
        let (mut all, end) = (Vec::new(), reader.stable_end().await.expect("Kafka answers"));
        while let Some(messages) = reader.recv_before(end, 1000, 1 << 20).await {
            all.extend(messages);
        }
        all
    }

    /// As after a restore of an older backup: of a partition of catalog's log, the page of the event at `offset` is gone, and so is
    /// all behind it.
    pub(crate) async fn restore_to_before(&self, partition: i32, offset: i64) {
        let page = format!("page >= (SELECT page FROM catalog.event_{partition} WHERE \"offset\" = {offset})");
        let tables = ["command", "request", "page"].map(|table| format!("DELETE FROM catalog.{table}_{partition} WHERE {page};"));
        let events = format!("DELETE FROM catalog.event_{partition} WHERE \"offset\" >= {offset};");
        let sql = format!("SET session_replication_role = replica; {} {events}", tables.concat());
        self.database.owner().await.batch_execute(&sql).await.expect("the owner may, with the triggers off");
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.owner().await.query_one(sql, &[]).await.expect("readable").get(0)
    }
}

impl Process {
    /// Stops in order.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.handlers.stopped().await;
    }
}

/// A free port behind a gate.
pub(crate) async fn surface(gate: Gate) -> Surface {
    Surface::bind("127.0.0.1:0".parse().expect("an address"), gate).await.expect("a free port")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Self { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

pub(crate) fn key() -> String {
    Uuid::new_v4().to_string()
}

pub(crate) fn product(sku: &str) -> Value {
    json!({ "sku": sku, "title": "A lamp", "brand": "Lux", "category": "lamps", "price": { "currency": "EUR", "minorUnits": 1999 }, "attributes": { "colour": "red", "height": "40 cm" } })
}

pub(crate) fn price(sku: &str, minor_units: i64) -> Value {
    json!({ "sku": sku, "price": { "currency": "EUR", "minorUnits": minor_units } })
}

pub(crate) fn partition_of(stream: &str) -> i32 {
    StreamId::parse(stream).expect("a stream id").partition(PARTITIONS)
}

/// The headers of a client's own message.
pub(crate) fn message_headers(type_name: &str, key: &str) -> Headers {
    Headers::new().with(headers::CE_TYPE, type_name.to_owned()).with(headers::CE_ID, key.to_owned())
}
