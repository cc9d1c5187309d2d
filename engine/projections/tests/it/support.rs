//! A shop's logs, filled by hand; Kafka, told what the test wants it to have; and what the read models hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use daybook_bus::{BusConfig, Headers, Message, Producer, ProducerOptions, Record, TopicSpec, ensure_topics, headers as h};

use daybook_follow::{Event, FollowError, Follower as _, Moved, Ring};
use daybook_kernel::{EventAt, ReadModel, StreamId, Version};
use daybook_log::{AppendOutcome, Log, NewEvent, Page, PageHead, StoredEvent, Writer, WriterSessions};
use daybook_postgres::Role;
use daybook_process::Shutdown;
use daybook_projections::{Limits, Projector, ProjectorError, Projectors, ProjectorsConfig, Push, ReadStore, fingerprint, prepare};
use daybook_testkit::{TestBus, TestDatabase};
use tokio::sync::watch;

pub(crate) const SERVICES: [&str; 2] = ["catalog", "inventory"];

/// (key, part) to bytes.
pub(crate) type Parts = BTreeMap<(String, String), Vec<u8>>;

/// An event that a test wants to have happened.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) service: &'static str,
    pub(crate) stream: StreamId,
    pub(crate) type_name: String,
    pub(crate) payload: Vec<u8>,
}

/// Logs, a read schema and topics of a test's own.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    pub(crate) partitions: u32,
    producer: Producer,
    sessions: WriterSessions,
    logs: BTreeMap<&'static str, Log>,
    lanes: BTreeMap<(&'static str, i32), (Writer, PageHead)>,
    versions: HashMap<StreamId, i64>,
}

impl Shop {
    pub(crate) async fn new(partitions: u32, models: &[ReadModel]) -> Self {
        let database = TestDatabase::migrated(&SERVICES, partitions).await;
        let bus = daybook_testkit::bus();
        let topics: Vec<_> = SERVICES.iter().map(|s| TopicSpec::events(&bus, s, partitions.cast_signed())).collect();
        ensure_topics(&bus, &topics).await.expect("Kafka makes topics");
        prepare(&database.databases(), &bus, models).await.expect("the logs are there");
        let mut logs = BTreeMap::new();
        for service in SERVICES {
            logs.insert(service, Log::open(&database.databases(), service, Role::Writer).await.expect("just migrated"));
        }
        let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
        let sessions = WriterSessions::new(2);
        Self { database, bus, partitions, producer, sessions, logs, lanes: BTreeMap::new(), versions: HashMap::new() }
    }

    /// Which partition a stream is of.
    pub(crate) fn partition(&self, stream: &StreamId) -> i32 {
        stream.partition(self.partitions)
    }

    /// Appends: a page a partition and call, in the order given. Answers with what stands, in the same order.
    pub(crate) async fn append(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<StoredEvent> {
        let mut by_lane: BTreeMap<(&'static str, i32), Vec<NewEvent>> = BTreeMap::new();
        for fact in facts {
            let version = self.versions.entry(fact.stream.clone()).or_insert(0);
            *version += 1;
            by_lane.entry((fact.service, fact.stream.partition(self.partitions))).or_default().push(NewEvent {
                stream_id: fact.stream.as_str().to_owned(),
                version: *version,
                type_name: fact.type_name,
                payload: fact.payload,
                metadata: Vec::new(),
            });
        }
        let mut stored = Vec::new();
        for (at, events) in by_lane {
            stored.extend(self.append_page(at, events).await);
        }
        stored
    }

    /// An operator begins an epoch: by an opening page, without events.
    pub(crate) async fn begin_epoch(&mut self, at: (&'static str, i32), epoch: i32) {
        self.append_page(at, Vec::new()).await;
        self.lanes.get_mut(&at).expect("just opened").1.epoch = epoch;
        self.append_page(at, Vec::new()).await;
    }

    async fn append_page(&mut self, at: (&'static str, i32), events: Vec<NewEvent>) -> Vec<StoredEvent> {
        if !self.lanes.contains_key(&at) {
            let partition = self.logs[at.0].partition(at.1).expect("a partition");
            let writer = Writer::new(partition, &self.sessions).await.expect("the database answers");
            let head = writer.open(Writer::now()).await.expect("nobody else writes").head;
            self.lanes.insert(at, (writer, head));
        }
        let (writer, head) = self.lanes.get_mut(&at).expect("just opened");
        let page = Page::following(head, at.1, writer.name(), Writer::now(), head.message_offset + 1, events, Vec::new());
        assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
        *head = page.head().clone();
        page.stored_events().collect()
    }

    /// Publishes as a relay does.
    pub(crate) async fn publish(&self, service: &str, events: &[StoredEvent]) {
        assert!(self.try_publish(service, events).await, "Kafka takes them");
    }

    /// Publishes; false: Kafka did not take all of it.
    pub(crate) async fn try_publish(&self, service: &str, events: &[StoredEvent]) -> bool {
        let records = events.iter().map(|e| self.record(service, e)).collect();
        self.producer.send(records).await.is_ok()
    }

    fn record(&self, service: &str, e: &StoredEvent) -> Record {
        let stream = StreamId::parse(&e.stream_id).expect("a stream id");
        Record {
            topic: self.bus.events(service).into(),
            partition: stream.partition(self.partitions),
            key: e.stream_id.clone().into(),
            headers: headers(e),
            value: Some(e.payload.clone().into()),
        }
    }

    pub(crate) async fn log(&self, service: &str) -> Log {
        Log::open(&self.database.databases(), service, Role::Projector).await.expect("it is there")
    }

    /// A projector of one partition, as one process would have it.
    pub(crate) async fn projector(&self, model: &ReadModel, service: &str, partition: i32) -> Projector {
        self.projector_with(model, service, partition, Limits::default()).await
    }

    pub(crate) async fn projector_with(&self, model: &ReadModel, service: &str, partition: i32, limits: Limits) -> Projector {
        self.try_projector(model, service, partition, limits).await.expect("it opens")
    }

    pub(crate) async fn try_projector(
        &self,
        model: &ReadModel,
        service: &str,
        partition: i32,
        limits: Limits,
    ) -> Result<Projector, ProjectorError> {
        let store = ReadStore::new(&self.database.databases())?;
        let generation = store.live(model).await?;
        let log = self.log(service).await.partition(partition)?;
        Projector::open(Arc::new(model.clone()), Arc::new(generation), store, log, limits).await
    }

    /// Has a projector take messages of `<service>.events`, as the task of its partition does: by the ring, and from the log
    /// what is not there.
    pub(crate) async fn follow(&self, projector: &mut Projector, messages: &[Message]) -> Result<(), FollowError> {
        let mut ring = Ring::new(100, 1 << 20);
        let mut unreadable = false;
        for message in messages {
            match Event::arrived(message, self.partitions) {
                Ok(event) => _ = ring.add(event),
                Err(_) => unreadable = true,
            }
        }
        let pool = ReadStore::new(&self.database.databases())?.together();
        let client = pool.get().await.expect("the database answers");
        loop {
            match ring.from(projector.next(), 2, usize::MAX) {
                Some(events) if events.is_empty() => break,
                Some(events) => match projector.prepare(&client, &events).await {
                    Ok(()) => match projector.execute(&client).await.expect("the database answers") {
                        Moved::Yes => projector.committed().await?,
                        Moved::No => return Err(FollowError::Moved(projector.name())),
                        Moved::Locked => return Err(FollowError::Locked(projector.name())),
                    },
                    Err(FollowError::Carefully(_)) => {
                        projector.resume().await?;
                        projector.catch_up().await?;
                    }
                    Err(error) => return Err(error),
                },
                None => projector.catch_up().await?,
            }
        }
        if unreadable {
            projector.catch_up().await?;
        }
        Ok(())
    }

    /// As [`projector_with`](Self::projector_with), and it pushes what it commits.
    pub(crate) async fn pushing(&self, model: &ReadModel, service: &str, partition: i32, limits: Limits) -> Projector {
        self.pushing_over(&self.bus, model, service, partition, limits).await
    }

    pub(crate) async fn pushing_over(
        &self,
        bus: &BusConfig,
        model: &ReadModel,
        service: &str,
        partition: i32,
        limits: Limits,
    ) -> Projector {
        let push = Push::new(bus).expect("a producer");
        self.projector_with(model, service, partition, limits).await.pushing(&push).await.expect("it takes over")
    }

    /// The offset that all is pushed up to, as the checkpoint says.
    pub(crate) async fn pushed(&self, model: &ReadModel, service: &str, partition: i32) -> i64 {
        let sql = "SELECT pushed FROM read.checkpoint WHERE projection = $1 AND generation = 1 AND service = $2 AND partition = $3";
        self.database.owner().await.query_one(sql, &[&model.name, &service, &partition]).await.expect("prepared").get(0)
    }

    /// Removals that wait to be pushed.
    pub(crate) async fn removed(&self, model: &ReadModel) -> i64 {
        let sql = "SELECT count(*) FROM read.removed WHERE projection = $1";
        self.database.owner().await.query_one(sql, &[&model.name]).await.expect("the owner may").get(0)
    }

    /// A process with projectors of these models.
    pub(crate) async fn process(&self, models: &[ReadModel]) -> Process {
        self.process_with(models, Limits::default()).await
    }

    pub(crate) async fn process_with(&self, models: &[ReadModel], limits: Limits) -> Process {
        let (stop, shutdown) = daybook_process::shutdown();
        let projectors = self.start(models, limits, shutdown).await.expect("all is in order");
        Process { projectors, stop }
    }

    pub(crate) async fn start(&self, models: &[ReadModel], limits: Limits, shutdown: Shutdown) -> Result<Projectors, ProjectorError> {
        let mut config = ProjectorsConfig::new(self.database.databases(), self.bus.clone(), models.to_vec());
        config.group.session_timeout = std::time::Duration::from_secs(6);
        config.limits = limits;
        Projectors::start(config, shutdown).await
    }

    /// A generation of a model, as a rebuild begins it: empty.
    pub(crate) async fn begin_generation(&self, model: &ReadModel, number: i32, state: &str) {
        let owner = self.database.owner().await;
        let parts = format!("{}_{number}", model.name.replace('-', "_"));
        for tables in [
            include_str!("../../src/sql/generation.sql"),
            include_str!("../../src/sql/index_parts.sql"),
            include_str!("../../src/sql/index_views.sql"),
            include_str!("../../src/sql/index_writers.sql"),
        ] {
            owner.batch_execute(&tables.replace("{parts}", &parts)).await.expect("the owner may");
        }
        let fingerprint = fingerprint(model).to_vec();
        let sql = "INSERT INTO read.generation (projection, generation, fingerprint, state, parts) VALUES ($1, $2, $3, $4, $5)";
        owner.execute(sql, &[&model.name, &number, &fingerprint, &state, &parts]).await.expect("it is new");
        let sql = "INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch) \
                   SELECT projection, $2, service, partition, 0, 1 FROM read.checkpoint WHERE projection = $1 AND generation = 1";
        owner.execute(sql, &[&model.name, &number]).await.expect("it is new");
    }

    pub(crate) async fn set_state(&self, model: &ReadModel, number: i32, state: &str) {
        let sql = "UPDATE read.generation SET state = $3 WHERE projection = $1 AND generation = $2";
        self.database.owner().await.execute(sql, &[&model.name, &number, &state]).await.expect("the owner may");
    }

    /// All parts of a model's first generation.
    pub(crate) async fn parts(&self, model: &ReadModel) -> Parts {
        self.parts_of(model, 1).await
    }

    pub(crate) async fn parts_of(&self, model: &ReadModel, generation: i32) -> Parts {
        let sql = format!("SELECT key, part, bytes FROM read.{}_{generation}", model.name.replace('-', "_"));
        let rows = self.database.owner().await.query(&sql, &[]).await.expect("the owner may");
        rows.iter().map(|r| ((r.get(0), r.get(1)), r.get(2))).collect()
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.database.owner().await.query_one(sql, &[]).await.expect("the owner may").get(0)
    }

    /// A partition's checkpoint: next offset and epoch.
    pub(crate) async fn checkpoint(&self, model: &ReadModel, service: &str, partition: i32) -> (i64, i32) {
        let sql =
            "SELECT next_offset, epoch FROM read.checkpoint WHERE projection = $1 AND generation = 1 AND service = $2 AND partition = $3";
        let row = self.database.owner().await.query_one(sql, &[&model.name, &service, &partition]).await.expect("prepared");
        (row.get(0), row.get(1))
    }

    /// The parked streams: stream, offset, reason.
    pub(crate) async fn parked(&self, model: &ReadModel) -> Vec<(String, i64, String)> {
        let sql = "SELECT stream_id, \"offset\", reason FROM read.parked WHERE projection = $1 ORDER BY 1";
        let rows = self.database.owner().await.query(sql, &[&model.name]).await.expect("the owner may");
        rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect()
    }

    /// Whether every checkpoint of the model has come to the end of its log.
    pub(crate) async fn is_caught_up(&self, model: &ReadModel) -> bool {
        for service in model.services() {
            let log = self.log(service).await;
            for n in 0..self.partitions.cast_signed() {
                let end = log.partition(n).expect("a partition").last_page().await.expect("it answers").next_offset();
                if self.checkpoint(model, service, n).await.0 != end {
                    return false;
                }
            }
        }
        true
    }

    /// Waits until every checkpoint has come to the end of its log.
    pub(crate) async fn caught_up(&self, model: &ReadModel) {
        daybook_testkit::eventually("the projectors to catch up", || async { self.is_caught_up(model).await.then_some(()) }).await;
    }

    /// The parts that the logs make of a model, worked out from nothing.
    pub(crate) async fn fresh_fold(&self, model: &ReadModel) -> Parts {
        self.fresh_fold_without(model, &[], "").await
    }

    /// The same without the events at these offsets; a stream stops where its event holds `poison`, if that is not empty.
    pub(crate) async fn fresh_fold_without(&self, model: &ReadModel, skipped: &[i64], poison: &str) -> Parts {
        let mut all = Parts::new();
        for service in model.services() {
            let log = self.log(service).await;
            for n in 0..self.partitions.cast_signed() {
                let (mut views, mut stopped) = (BTreeMap::new(), BTreeSet::new());
                for e in log.partition(n).expect("a partition").read_events(0, i64::MAX).await.expect("it answers") {
                    let stream = StreamId::parse(&e.stream_id).expect("a stream id");
                    let Some(fold) = model.fold(service, stream.aggregate()) else { continue };
                    let bad = !poison.is_empty() && e.payload.windows(poison.len()).any(|w| w == poison.as_bytes());
                    if skipped.contains(&e.offset) || stopped.contains(&stream) {
                        continue;
                    }
                    if bad {
                        stopped.insert(stream);
                        continue;
                    }
                    let view = views.entry(stream.clone()).or_insert_with(|| fold.new_view());
                    let at = EventAt { stream: &stream, version: Version(e.version.cast_unsigned()), recorded_at: e.recorded_at };
                    fold.fold(view, &e.type_name, &e.payload, &at).expect("a test's own event");
                }
                for (stream, view) in views {
                    let fold = model.fold(service, stream.aggregate()).expect("found before");
                    let parts = fold.render(&view, &stream).expect("it renders");
                    all.extend(parts.into_iter().map(|p| ((p.key, p.part), p.bytes)));
                }
            }
        }
        all
    }
}

/// The headers of a published event.
pub(crate) fn headers(e: &StoredEvent) -> Headers {
    let mut headers = Headers::new();
    headers.push(h::CE_TYPE, e.type_name.clone());
    headers.push(h::CE_TIME, e.recorded_at.to_string());
    headers.push_display(h::EPOCH, e.epoch);
    headers.push_display(h::OFFSET, e.offset);
    headers.push_display(h::VERSION, e.version);
    headers.push(h::PAGE_DIGEST, hex::encode(&e.page_digest));
    headers
}

/// A message as Kafka would bring it.
pub(crate) fn message(e: &StoredEvent, partition: i32) -> Message {
    Message {
        topic: "events".into(),
        partition,
        offset: e.offset,
        timestamp_ms: None,
        key: Some(e.stream_id.clone().into()),
        value: Some(Bytes::from(e.payload.clone())),
        headers: headers(e),
    }
}

/// Projectors that run until they are stopped.
pub(crate) struct Process {
    pub(crate) projectors: Projectors,
    stop: watch::Sender<bool>,
}

impl Process {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        self.projectors.stopped().await;
    }
}
