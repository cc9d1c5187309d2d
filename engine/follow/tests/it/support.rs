//! A log that is filled by hand, and followers whose every effect is a row.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_bus::{GroupOptions, Headers, Producer, ProducerOptions, Record, TopicSpec, ensure_topics, headers as h};
use daybook_follow::{Event, FollowError, Follower, Following, Home, Kind, Limits, Moved, Roster, Sources, Standing};
use daybook_log::{AppendOutcome, Log, LogError, NewEvent, Page, PageHead, PartitionLog, StoredEvent, Writer, WriterSessions};
use daybook_postgres::{Connector, Pool, Role};
use daybook_process::shutdown;
use daybook_testkit::{TestBus, TestDatabase, eventually};
use deadpool_postgres::Client;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_postgres::Statement;

pub(crate) const SERVICE: &str = "catalog";

const TABLES: &str = r#"
    CREATE TABLE read.place (
        follower text PRIMARY KEY, next bigint NOT NULL DEFAULT 0, epoch int NOT NULL DEFAULT 1, term bigint NOT NULL DEFAULT 0,
        given_up_at_term bigint NOT NULL DEFAULT -1);
    CREATE TABLE read.effect (
        follower text, "offset" bigint CHECK ("offset" >= 0), payload bytea NOT NULL, PRIMARY KEY (follower, "offset"))"#;

/// As a projector's batch: the checkpoint moves from where it was read, by its holder, and with it everything else.
const WRITE: &str = r#"
    WITH held AS (SELECT FROM read.place WHERE follower = $1 FOR NO KEY UPDATE SKIP LOCKED),
    moved AS (
        UPDATE read.place p SET next = $3, epoch = $4 FROM held WHERE p.follower = $1 AND p.next = $2 AND p.term = $5 RETURNING 1),
    written AS (
        INSERT INTO read.effect SELECT $1, e."offset", e.payload FROM moved, unnest($6::bigint[], $7::bytea[]) AS e ("offset", payload))
    SELECT EXISTS (SELECT FROM held), EXISTS (SELECT FROM moved), pg_sleep($8)"#;

/// A log of one partition, its topic, and the database of the checkpoints.
pub(crate) struct Ledger {
    pub(crate) database: TestDatabase,
    pub(crate) bus: TestBus,
    producer: Producer,
    sessions: WriterSessions,
    lane: Option<(Writer, PageHead)>,
    log: Log,
    version: i64,
    /// The last page.
    last: Option<Arc<Page>>,
}

impl Ledger {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::migrated(&[SERVICE], 1).await;
        let bus = daybook_testkit::bus();
        ensure_topics(&bus, &[TopicSpec::events(&bus, SERVICE, 1)]).await.expect("Kafka makes topics");
        database.owner().await.batch_execute(TABLES).await.expect("the owner may");
        let log = Log::open(&database.databases(), SERVICE, Role::Writer).await.expect("just migrated");
        let producer = Producer::new(&bus, ProducerOptions::default()).expect("a producer");
        Self { database, bus, producer, sessions: WriterSessions::new(1), lane: None, log, version: 0, last: None }
    }

    /// Appends so many events in one page.
    pub(crate) async fn append(&mut self, count: usize) -> Vec<StoredEvent> {
        let events = (0..count).map(|_| {
            self.version += 1;
            NewEvent {
                stream_id: "a/1".to_owned(),
                version: self.version,
                type_name: "t.Happened".to_owned(),
                payload: self.version.to_string().into(),
                metadata: Vec::new(),
            }
        });
        let events = events.collect();
        self.page(events).await
    }

    /// As `daybook replay reconcile` will: the log goes on in the next epoch.
    pub(crate) async fn begin_epoch(&mut self, epoch: i32) {
        self.page(Vec::new()).await;
        self.lane.as_mut().expect("just opened").1.epoch = epoch;
        self.page(Vec::new()).await;
    }

    async fn page(&mut self, events: Vec<NewEvent>) -> Vec<StoredEvent> {
        if self.lane.is_none() {
            let writer = Writer::new(self.log.partition(0).expect("one"), &self.sessions).await.expect("the database answers");
            let head = writer.open(Writer::now()).await.expect("nobody else writes").head;
            self.lane = Some((writer, head));
        }
        let (writer, head) = self.lane.as_mut().expect("just opened");
        let page = Page::following(head, 0, writer.name(), Writer::now(), head.message_offset + 1, events, Vec::new());
        assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
        *head = page.head().clone();
        let stored = page.stored_events().collect();
        self.last = Some(Arc::new(page));
        stored
    }

    /// Appends so many events in one page, and hands it to a process as a lane there does.
    pub(crate) async fn append_and_feed(&mut self, count: usize, process: &Process) -> Vec<StoredEvent> {
        let stored = self.append(count).await;
        process.following.feed().committed(self.log.service(), 0, self.last.as_ref().expect("just written"));
        stored
    }

    /// Publishes as a relay does.
    pub(crate) async fn publish(&self, events: &[StoredEvent]) {
        let records = events.iter().map(|e| {
            let headers = Headers::new()
                .with(h::CE_TYPE, e.type_name.clone())
                .with(h::CE_TIME, e.recorded_at.to_string())
                .with(h::EPOCH, e.epoch.to_string())
                .with(h::OFFSET, e.offset.to_string())
                .with(h::VERSION, e.version.to_string());
            let value = Some(e.payload.clone().into());
            Record { topic: self.bus.events(SERVICE).into(), partition: 0, key: e.stream_id.clone().into(), headers, value }
        });
        self.producer.send(records.collect()).await.expect("Kafka takes them");
    }

    pub(crate) async fn append_and_publish(&mut self, count: usize) {
        let stored = self.append(count).await;
        self.publish(&stored).await;
    }

    /// The end of the log.
    pub(crate) async fn end(&self) -> i64 {
        self.log.partition(0).expect("one").last_page().await.expect("it answers").next_offset()
    }

    /// A follower of this name, standing at the log's beginning.
    pub(crate) async fn follower(&self, name: &'static str) -> Arc<Counter> {
        self.database.owner().await.execute("INSERT INTO read.place (follower) VALUES ($1)", &[&name]).await.expect("new");
        let (pool, together) = (self.pool(&[]), self.pool(&[("statement_timeout", "800")]));
        Arc::new(Counter { name, pool, home: Home { name: "read", pool: together, rests: true }, trouble: Mutex::default() })
    }

    /// As [`follower`](Self::follower), with its checkpoint in a database that does not answer.
    pub(crate) async fn follower_away(&self, name: &'static str) -> Arc<Counter> {
        let nobody = Connector::new("postgres://nobody@127.0.0.1:1/none", None, &[], "a test").expect("a url");
        let pool = nobody.pool(1, Duration::from_millis(200)).expect("a pool");
        Arc::new(Counter { name, home: Home { name: "away", pool: pool.clone(), rests: true }, pool, trouble: Mutex::default() })
    }

    fn pool(&self, settings: &[(&str, &str)]) -> Pool {
        let connector = Connector::new(self.database.databases().read_url(), None, settings, "a test").expect("a url");
        connector.pool(8, Duration::from_secs(10)).expect("a pool")
    }

    /// A process that follows for these, in a group of this name.
    pub(crate) async fn process(&self, group: &str, kinds: &[Arc<Counter>]) -> Process {
        self.process_with(group, kinds, Limits { still: Duration::from_millis(600), idle: Duration::from_millis(100), ..Limits::default() })
            .await
    }

    pub(crate) async fn process_with(&self, group: &str, kinds: &[Arc<Counter>], limits: Limits) -> Process {
        let (stop, stopping) = shutdown();
        let log = Log::open(&self.database.databases(), SERVICE, Role::Projector).await.expect("it is there");
        let roster = watch::Sender::new(roster(kinds));
        let sources = Sources {
            bus: self.bus.clone(),
            options: GroupOptions { session_timeout: Duration::from_secs(6), ..GroupOptions::default() },
            group: self.bus.group(group),
            logs: vec![log],
            rosters: vec![roster.subscribe()],
            limits,
        };
        let following = Following::start(sources, stopping).expect("librdkafka takes it");
        Process { following, roster, stop }
    }

    /// The offsets of a follower's effects, in order.
    pub(crate) async fn effects(&self, follower: &Counter) -> Vec<i64> {
        let sql = "SELECT \"offset\" FROM read.effect WHERE follower = $1 ORDER BY 1";
        self.database.owner().await.query(sql, &[&follower.name]).await.expect("readable").iter().map(|r| r.get(0)).collect()
    }

    /// Its checkpoint: next offset and term.
    pub(crate) async fn place(&self, follower: &Counter) -> (i64, i64) {
        let sql = "SELECT next, term FROM read.place WHERE follower = $1";
        let row = self.database.owner().await.query_one(sql, &[&follower.name]).await.expect("there");
        (row.get(0), row.get(1))
    }

    /// Waits until a follower has come to the log's end, and checks that it has done each event once.
    pub(crate) async fn caught_up(&self, follower: &Counter) {
        let end = self.end().await;
        let what = format!("{} to come to offset {end}", follower.name);
        eventually(&what, || async { (self.place(follower).await.0 == end).then_some(()) }).await;
        assert_eq!(self.effects(follower).await, (0..end).collect::<Vec<_>>(), "{}: each event once", follower.name);
    }
}

fn roster(kinds: &[Arc<Counter>]) -> Roster {
    Roster(Arc::new(kinds.iter().map(|kind| Arc::new(CounterKind(kind.clone())) as Arc<dyn Kind>).collect()))
}

/// A process of followers.
pub(crate) struct Process {
    pub(crate) following: Following,
    roster: watch::Sender<Roster>,
    stop: watch::Sender<bool>,
}

impl Process {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        self.following.stopped().await;
    }

    pub(crate) fn follows_for(&self, kinds: &[Arc<Counter>]) {
        self.roster.send_replace(roster(kinds));
    }

    /// Why followers stand still.
    pub(crate) fn troubles(&self) -> Vec<(&'static str, String)> {
        self.following.board().troubles().into_iter().map(|(place, why)| (place.0, why)).collect()
    }

    /// The followers that work here.
    pub(crate) fn works(&self) -> Vec<&'static str> {
        self.following.board().places().into_iter().map(|place| place.0).collect()
    }
}

/// A follower's fault.
#[derive(Clone, Debug, Default)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// It panics when it is given a batch that has an event from this offset on.
    Panics(i64),
    /// Its statement breaks a rule of the database when the batch has an event from this offset on.
    Fails(i64),
    /// It computes for so long on each batch.
    Computes(Duration),
    /// Its statement takes so long.
    Sleeps(Duration),
}

/// A follower that notes each event that it is given.
pub(crate) struct Counter {
    pub(crate) name: &'static str,
    pool: Pool,
    home: Home,
    pub(crate) trouble: Mutex<Trouble>,
}

impl Counter {
    pub(crate) fn set(&self, trouble: Trouble) {
        *self.trouble.lock().expect("no panic") = trouble;
    }

    fn trouble(&self) -> Trouble {
        self.trouble.lock().expect("no panic").clone()
    }
}

struct CounterKind(Arc<Counter>);

impl Kind for CounterKind {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn generation(&self) -> i32 {
        1
    }

    fn follows(&self, service: &str) -> bool {
        service == SERVICE
    }

    fn home(&self, _: &PartitionLog) -> Home {
        self.0.home.clone()
    }

    fn open(&self, log: PartitionLog) -> Box<dyn Follower> {
        let of = self.0.clone();
        Box::new(One { of, log, next: 0, epoch: 1, term: 0, end: 0, prepared: None })
    }
}

struct Prepared {
    statement: Statement,
    to: i64,
    epoch: i32,
    offsets: Vec<i64>,
    payloads: Vec<Vec<u8>>,
}

struct One {
    of: Arc<Counter>,
    log: PartitionLog,
    next: i64,
    epoch: i32,
    term: i64,
    end: i64,
    prepared: Option<Prepared>,
}

fn failed(error: impl Into<LogError>) -> FollowError {
    FollowError::Failed(Box::new(error.into()))
}

impl One {
    async fn stand(&mut self, sql: &str) -> Result<(), FollowError> {
        let row = self.of.pool.get().await.map_err(failed)?.query_opt(sql, &[&self.of.name]).await.map_err(failed)?;
        let row = row.ok_or_else(|| FollowError::Gone(self.of.name.to_owned()))?;
        (self.next, self.epoch, self.term, self.prepared) = (row.get(0), row.get(1), row.get(2), None);
        Ok(())
    }

    fn work(&self, events: &[&Event], statement: Statement) -> Prepared {
        let last = events.last().expect("a batch has events");
        assert_eq!(events[0].offset, self.next, "from the next one on, without a gap");
        match self.of.trouble() {
            Trouble::Panics(from) if last.offset >= from => panic!("as it was told"),
            Trouble::Computes(time) => std::thread::sleep(time),
            _ => {}
        }
        let mut offsets: Vec<i64> = events.iter().map(|e| e.offset).collect();
        if let Trouble::Fails(from) = self.of.trouble()
            && last.offset >= from
        {
            offsets[0] = -1;
        }
        let payloads = events.iter().map(|e| e.payload.to_vec()).collect();
        Prepared { statement, to: last.offset + 1, epoch: last.epoch, offsets, payloads }
    }

    async fn send(&self, client: &Client) -> Result<Moved, tokio_postgres::Error> {
        let Some(p) = &self.prepared else { return Ok(Moved::Yes) };
        let sleep = if let Trouble::Sleeps(time) = self.of.trouble() { time.as_secs_f64() } else { 0.0 };
        let row = client
            .query_one(&p.statement, &[&self.of.name, &self.next, &p.to, &p.epoch, &self.term, &p.offsets, &p.payloads, &sleep])
            .await?;
        Ok(match (row.get(0), row.get(1)) {
            (_, true) => Moved::Yes,
            (true, false) => Moved::No,
            (false, false) => Moved::Locked,
        })
    }

    async fn write(&mut self) -> Result<(), FollowError> {
        let client = self.of.pool.get().await.map_err(failed)?;
        let statement = client.prepare_cached(WRITE).await.map_err(failed)?;
        if let Some(prepared) = &mut self.prepared {
            prepared.statement = statement;
        }
        match self.send(&client).await.map_err(failed)? {
            Moved::Yes => self.committed().await,
            Moved::No => Err(FollowError::Moved(self.name())),
            Moved::Locked => Err(FollowError::Locked(self.name())),
        }
    }
}

impl Follower for One {
    fn name(&self) -> String {
        self.of.name.to_owned()
    }

    fn next(&self) -> i64 {
        self.next
    }

    fn epoch(&self) -> i32 {
        self.epoch
    }

    fn term(&self) -> i64 {
        self.term
    }

    fn heard(&mut self, end: i64) {
        self.end = end;
    }

    fn take_over(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        self.stand("UPDATE read.place SET term = term + 1 WHERE follower = $1 RETURNING next, epoch, term").boxed()
    }

    fn resume(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            if self.standing().await?.term != self.term {
                return Err(FollowError::Moved(self.name()));
            }
            self.stand("SELECT next, epoch, term FROM read.place WHERE follower = $1").await
        }
        .boxed()
    }

    fn standing(&self) -> BoxFuture<'_, Result<Standing, FollowError>> {
        async {
            let client = self.of.pool.get().await.map_err(failed)?;
            let row = client
                .query_opt("SELECT next, term, given_up_at_term = term FROM read.place WHERE follower = $1", &[&self.of.name])
                .await
                .map_err(failed)?;
            let row = row.ok_or_else(|| FollowError::Gone(self.of.name.to_owned()))?;
            Ok(Standing { next: row.get(0), term: row.get(1), given_up: row.get(2), owes: false, alive_at: None })
        }
        .boxed()
    }

    fn prepare<'a>(&'a mut self, client: &'a Client, events: &'a [Arc<Event>]) -> BoxFuture<'a, Result<(), FollowError>> {
        async move {
            let statement = client.prepare_cached(WRITE).await.map_err(failed)?;
            let events: Vec<&Event> = events.iter().map(|e| &**e).collect();
            self.prepared = Some(self.work(&events, statement));
            Ok(())
        }
        .boxed()
    }

    fn has_statement(&self) -> bool {
        self.prepared.is_some()
    }

    fn execute<'a>(&'a self, client: &'a Client) -> BoxFuture<'a, Result<Moved, tokio_postgres::Error>> {
        self.send(client).boxed()
    }

    fn committed(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            if let Some(prepared) = self.prepared.take() {
                (self.next, self.epoch) = (prepared.to, prepared.epoch);
            }
            Ok(())
        }
        .boxed()
    }

    fn again(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            match self.write().await {
                Err(FollowError::Locked(who)) => self.standing().await.and(Err(FollowError::Locked(who))),
                other => other,
            }
        }
        .boxed()
    }

    fn log_end(&self) -> BoxFuture<'_, Result<i64, FollowError>> {
        async { Ok(self.log.last_page().await.map_err(failed)?.next_offset()) }.boxed()
    }

    fn is_behind(&mut self) -> BoxFuture<'_, Result<bool, FollowError>> {
        async {
            self.end = self.log_end().await?;
            Ok(self.next < self.end)
        }
        .boxed()
    }

    fn step(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            let stored = self.log.read_events(self.next, 100).await.map_err(failed)?;
            let events: Vec<Event> = stored.into_iter().map(|e| Event::stored(e).expect("a stream id")).collect();
            if events.is_empty() {
                return Ok(());
            }
            let events: Vec<&Event> = events.iter().collect();
            let client = self.of.pool.get().await.map_err(failed)?;
            let statement = client.prepare_cached(WRITE).await.map_err(failed)?;
            drop(client);
            self.prepared = Some(self.work(&events, statement));
            self.write().await
        }
        .boxed()
    }

    fn wants_tending(&mut self) -> bool {
        false
    }

    fn tend(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(()) }.boxed()
    }

    fn let_go(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async { Ok(()) }.boxed()
    }

    fn give_up(&mut self) -> BoxFuture<'_, Result<(), FollowError>> {
        async {
            let sql = "UPDATE read.place SET term = term + 1, given_up_at_term = term + 1 WHERE follower = $1 AND term = $2";
            self.of.pool.get().await.map_err(failed)?.execute(sql, &[&self.of.name, &self.term]).await.map_err(failed)?;
            Ok(())
        }
        .boxed()
    }
}
