//! An install of one database and one Kafka prefix: lanes, and processes of reactors.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use daybook_bus::{GroupOptions, Headers, PartitionReader, Producer, ProducerOptions, Record, StartAt, headers};
use daybook_command_handlers::{CommandHandlers, HandlerConfig, HandlerParts, ensure_topics};
use daybook_follow::{Ask, Following, Limits, Sources};
use daybook_http::{Gate, Surface};
use daybook_kernel::{Begins, ErasedReactor, EventAt, Instant as Moment, Reactor, Registry, ServiceMessage, StreamId};
use daybook_log::{Log, StoredEvent};
use daybook_messages::LocalLanes;
use daybook_postgres::Role;
use daybook_process::shutdown;
use daybook_proto::CommandSet;
use daybook_proto::v1::Metadata;
use daybook_reactors::{ParkedReaction, ParkedReactions, Reactors, ReactorsConfig, Rule, prepare};
use daybook_testkit::{TestBus, TestDatabase, bus, eventually};
use prost::Message as _;
use shop_projectors::read_models;
use shop_proto::inventory::v1::*;
use tokio::sync::{Mutex, MutexGuard, watch};
use uuid::Uuid;

pub(crate) const SERVICE: &str = "inventory";
pub(crate) const PARTITIONS: u32 = 2;
const WAREHOUSE: &str = "w-1";

/// The services that these tests ask.
pub(crate) const SERVICES: [&str; 2] = ["catalog", SERVICE];

pub(crate) fn shop() -> Registry {
    let aggregates = shop_domain::aggregates().into_iter().filter(|aggregate| SERVICES.contains(&aggregate.service()));
    Registry::new(aggregates).expect("the shop's list is sound")
}

/// The shop's reactor that opens proposals.
pub(crate) fn reordering() -> Rule {
    shop_domain::reactors().into_iter().find(|reactor| reactor.name() == "reorder").expect("it is on the list").into()
}

/// A reactor of the same name, with a rule of its own: it opens a proposal for each delivery, whose quantity decides what happens.
pub(crate) struct Picky<const RULE: u32>;

/// A delivery of so many pieces makes the rule panic while it stands here.
pub(crate) static PANICS_AT: AtomicU32 = AtomicU32::new(0);
/// Times that it has panicked.
pub(crate) static PANICKED: AtomicU32 = AtomicU32::new(0);
/// One rule is shared by all tests: one at a time sets it.
static RULE: Mutex<()> = Mutex::const_new(());

/// A delivery of so many pieces makes the rule panic from now on; while the guard stands nobody else sets it.
pub(crate) async fn panics_at(quantity: u32) -> MutexGuard<'static, ()> {
    let guard = RULE.lock().await;
    PANICS_AT.store(quantity, Ordering::Relaxed);
    guard
}

impl<const RULE: u32> Reactor for Picky<RULE> {
    const NAME: &'static str = "picky";
    const BEGINS: Begins = Begins::AtTheBeginning;
    const RULE_VERSION: u32 = RULE;
    type Event = StockEvent;

    fn react(event: &StockEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        let StockEvent::StockReceived(e) = event else { return Vec::new() };
        if e.quantity == PANICS_AT.load(Ordering::Relaxed) {
            PANICKED.fetch_add(1, Ordering::Relaxed);
            panic!("as it was told");
        }
        // The rule is what differs between two builds.
        let (reorder_point, available) = (e.quantity + RULE, e.quantity);
        let (sku, warehouse) = (e.sku.clone(), e.warehouse.clone());
        let open = OpenReorderProposal { sku, warehouse, reorder_point, available, stock_version: at.version.0.cast_signed() };
        vec![ServiceMessage::of(&ReorderCommand::from(open))]
    }
}

pub(crate) fn picky<const RULE: u32>() -> Rule {
    <dyn ErasedReactor>::of::<Picky<RULE>>().into()
}

pub(crate) struct Install {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    producer: Producer,
    /// Its lanes, for its reactors.
    pub(crate) local: LocalLanes,
    /// How far the clock of its processes is ahead of the machine's, in microseconds.
    pub(crate) clock: Arc<AtomicI64>,
}

/// One process of lanes, in this one.
pub(crate) struct Lanes {
    stop: watch::Sender<bool>,
    handlers: CommandHandlers,
}

impl Lanes {
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.handlers.stopped().await;
    }
}

/// One process of reactors, in this one.
pub(crate) struct Process {
    pub(crate) following: Following,
    stop: watch::Sender<bool>,
}

impl Process {
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.following.stopped().await;
    }

    /// Partitions that it works on.
    pub(crate) fn works(&self) -> usize {
        self.following.board().places().len()
    }
}

impl Install {
    /// With these reactors' checkpoints.
    pub(crate) async fn new(rules: &[Rule]) -> Self {
        let database = TestDatabase::migrated(&SERVICES, PARTITIONS).await;
        let bus = bus();
        let install = Self {
            producer: Producer::new(&bus, ProducerOptions::default()).expect("a producer"),
            database,
            bus,
            local: LocalLanes::default(),
            clock: Arc::default(),
        };
        ensure_topics(&install.bus, &[install.log("catalog").await, install.log(SERVICE).await]).await.expect("Kafka answers");
        prepare(&install.database.databases(), rules).await.expect("the database answers");
        install
    }

    /// With lanes, and one process that runs this reactor.
    pub(crate) async fn running(rule: Rule) -> (Self, Lanes, Process) {
        let install = Self::new(std::slice::from_ref(&rule)).await;
        let (lanes, process) = (install.lanes().await, install.process(vec![rule]).await);
        (install, lanes, process)
    }

    /// As it is left by a process that was killed between Kafka's acknowledgement and the mark.
    pub(crate) async fn forget_marks(&self) {
        let sql = "UPDATE inventory.reactor SET next_offset = 0, settled = 0";
        self.database.owner().await.batch_execute(sql).await.expect("the owner may");
    }

    pub(crate) async fn log(&self, service: &str) -> Log {
        Log::open(&self.database.databases(), service, Role::Reader).await.expect("migrated")
    }

    pub(crate) async fn lanes(&self) -> Lanes {
        let (stop, stopping) = shutdown();
        let parts = HandlerParts {
            config: HandlerConfig { session_timeout: Duration::from_secs(6), ..HandlerConfig::default() },
            databases: self.database.databases(),
            bus: self.bus.clone(),
            registry: shop(),
            services: vec![SERVICE.to_owned()],
            committed: Arc::new(|_, _, _| {}),
            local: self.local.clone(),
        };
        let surface = Surface::bind("127.0.0.1:0".parse().expect("an address"), Gate::anonymous()).await.expect("a free port");
        Lanes { handlers: CommandHandlers::start(parts, surface, stopping).await.expect("everything is there"), stop }
    }

    /// A process that runs these, in the group of its build.
    pub(crate) async fn process(&self, rules: Vec<Rule>) -> Process {
        self.process_of(rules, "").await
    }

    /// As of another build: in a group of its own.
    pub(crate) async fn process_of(&self, rules: Vec<Rule>, build: &str) -> Process {
        self.follow(self.reactors(rules).await, build)
    }

    pub(crate) fn follow(&self, reactors: Reactors, build: &str) -> Process {
        self.follow_with(reactors, build, Limits { idle: Duration::from_millis(100), ..Limits::default() })
    }

    pub(crate) fn follow_with(&self, reactors: Reactors, build: &str, limits: Limits) -> Process {
        let (stop, stopping) = shutdown();
        let options = GroupOptions { session_timeout: Duration::from_secs(6), ..GroupOptions::default() };
        let mut sources = Sources::of(self.bus.clone(), options, limits, vec![reactors.followers()]);
        sources.group += build;
        Process { following: Following::start(sources, stopping).expect("librdkafka takes it"), stop }
    }

    pub(crate) async fn reactors(&self, rules: Vec<Rule>) -> Reactors {
        let databases = self.database.databases();
        let ahead = self.clock.clone();
        let clock = move || Moment::from_micros(chrono::Utc::now().timestamp_micros() + ahead.load(Ordering::Relaxed));
        let config = ReactorsConfig::new(databases, self.bus.clone(), shop(), rules, read_models());
        Reactors::new(ReactorsConfig { clock: Arc::new(clock), local: self.local.clone(), ..config }).await.expect("everything is there")
    }

    /// The streams that are parked for the reactor `picky`.
    pub(crate) async fn parked(&self) -> Vec<ParkedReaction> {
        self.parked_reactions().await.list().await.expect("the database answers")
    }

    /// Waits until something is parked for it.
    pub(crate) async fn has_parked(&self) -> Vec<ParkedReaction> {
        eventually("a stream to be parked", || async { Some(self.parked().await).filter(|all| !all.is_empty()) }).await
    }

    /// Waits until nothing is parked for it any more.
    pub(crate) async fn flows(&self) {
        eventually("the stream to flow", || async { self.parked().await.is_empty().then_some(()) }).await;
    }

    /// Asks for something of a stream that is parked for it. False: it is not.
    pub(crate) async fn ask(&self, stream: &str, what: Ask) -> bool {
        self.parked_reactions().await.ask(stream, what).await.expect("the database answers")
    }

    /// The same, of other rules.
    pub(crate) async fn ask_rules(&self, rules: &[Rule], stream: &str, what: Ask) -> bool {
        let parked = ParkedReactions::open(&self.database.databases(), rules).await.expect("the database answers");
        parked.ask(stream, what).await.expect("the database answers")
    }

    async fn parked_reactions(&self) -> ParkedReactions {
        ParkedReactions::open(&self.database.databases(), &[picky::<1>()]).await.expect("the database answers")
    }

    /// Messages that were sent to a stream.
    pub(crate) async fn messages_to(&self, stream: &str) -> usize {
        let topic = self.bus.messages(SERVICE);
        let mut reader =
            PartitionReader::open(&self.bus, &topic, self.partition(stream), StartAt::Earliest).await.expect("the topic is there");
        let (mut count, end) = (0, reader.stable_end().await.expect("Kafka answers"));
        while let Some(messages) = reader.recv_before(end, 1_000, 1 << 20).await {
            count += messages.iter().filter(|message| message.key.as_deref() == Some(stream.as_bytes())).count();
        }
        count
    }

    /// A message on the events topic, at the log's end, that no relay has written.
    pub(crate) async fn forge(&self, stream: &str, type_name: &'static str) {
        let n = self.partition(stream);
        let head = self.log(SERVICE).await.partition(n).expect("one").last_page().await.expect("it answers");
        let version = self.events(stream).await.len() + 1;
        let record = Record {
            topic: self.bus.events(SERVICE).into(),
            partition: n,
            key: stream.to_owned().into(),
            headers: Headers::new()
                .with(headers::CE_TYPE, type_name)
                .with(headers::CE_TIME, "2026-11-21T08:00:00.123456Z")
                .with(headers::OFFSET, head.next_offset().to_string())
                .with(headers::EPOCH, head.epoch.to_string())
                .with(headers::VERSION, version.to_string()),
            value: Some(Vec::new().into()),
        };
        self.producer.send(vec![record]).await.expect("Kafka takes it");
    }

    /// Sends a command as a client does.
    pub(crate) async fn send<C: CommandSet>(&self, command: impl Into<C>, correlation: &str) {
        let command: C = command.into();
        let stream = StreamId::new(C::AGGREGATE, &command.key());
        let record = Record {
            topic: self.bus.messages(C::SERVICE).into(),
            partition: stream.partition(PARTITIONS),
            key: stream.as_str().to_owned().into(),
            headers: Headers::new()
                .with(headers::CE_TYPE, command.type_name())
                .with(headers::CE_ID, Uuid::new_v4().to_string())
                .with(headers::CORRELATION_ID, correlation.to_owned()),
            value: Some(command.encode_to_vec().into()),
        };
        self.producer.send(vec![record]).await.expect("Kafka takes it");
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: u32) {
        let command = ReceiveStock { sku: sku.into(), warehouse: WAREHOUSE.into(), quantity, ..Default::default() };
        self.send::<StockCommand>(command, "").await;
    }

    pub(crate) async fn reorder_below(&self, sku: &str, reorder_point: u32, correlation: &str) {
        let command = SetReorderPoint { sku: sku.into(), warehouse: WAREHOUSE.into(), reorder_point };
        self.send::<StockCommand>(command, correlation).await;
    }

    /// The log partition of a stream.
    pub(crate) fn partition(&self, stream: &str) -> i32 {
        StreamId::parse(stream).expect("a stream id").partition(PARTITIONS)
    }

    /// The events of a stream.
    pub(crate) async fn events(&self, stream: &str) -> Vec<StoredEvent> {
        let id = StreamId::parse(stream).expect("a stream id");
        let log = self.log(SERVICE).await.partition(id.partition(PARTITIONS)).expect("one");
        log.read_stream(stream).await.expect("the database answers")
    }

    /// Waits until a stream has so many events.
    pub(crate) async fn has_events(&self, stream: &str, count: usize) -> Vec<StoredEvent> {
        let what = format!("{stream} to have {count} events");
        let found = eventually(&what, || async { Some(self.events(stream).await).filter(|events| events.len() >= count) }).await;
        assert_eq!(found.len(), count, "{stream}: {found:?}");
        found
    }

    /// (next offset, settled, term) of a reactor in the partition of a stream.
    pub(crate) async fn mark(&self, reactor: &str, stream: &str) -> (i64, i64, i64) {
        let partition = StreamId::parse(stream).expect("a stream id").partition(PARTITIONS);
        let sql = "SELECT next_offset, settled, term FROM inventory.reactor WHERE name = $1 AND partition = $2";
        let row = self.database.owner().await.query_one(sql, &[&reactor, &partition]).await.expect("prepared");
        (row.get(0), row.get(1), row.get(2))
    }

    /// Waits until a reactor stands at the log's end in each partition, and all that it has sent has come to an end.
    pub(crate) async fn settled(&self, reactor: &str) {
        let log = self.log(SERVICE).await;
        eventually("all to be settled", || async {
            for n in 0..PARTITIONS.cast_signed() {
                let end = log.partition(n).ok()?.last_page().await.ok()?.next_offset();
                let sql = "SELECT next_offset, settled FROM inventory.reactor WHERE name = $1 AND partition = $2";
                let row = self.database.owner().await.query_one(sql, &[&reactor, &n]).await.ok()?;
                if (row.get::<_, i64>(0), row.get::<_, i64>(1)) != (end, end) {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.owner().await.query_one(sql, &[]).await.expect("readable").get(0)
    }
}

pub(crate) fn metadata(event: &StoredEvent) -> Metadata {
    Metadata::decode(event.metadata.as_slice()).expect("as the lane wrote it")
}

pub(crate) fn stock(sku: &str) -> String {
    format!("stock/{sku}@{WAREHOUSE}")
}

pub(crate) fn reorder(sku: &str) -> String {
    format!("reorder/{sku}@{WAREHOUSE}")
}
