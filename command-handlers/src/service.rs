//! The command handlers of one process: a group member a service, a lane an assigned partition, one endpoint.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, GroupConsumer, GroupHandler, GroupOptions, Inbox, Inspector};
use daybook_http::{Probe, Surface};
use daybook_kernel::{Registry, Secret};
use daybook_log::{Log, Writer, WriterSessions};
use daybook_messages::lanes_group;
use daybook_postgres::{Role, read_secret};
use daybook_process::{Readiness, Shutdown};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::endpoint::{Endpoint, ReplySlots, Waiters, openapi};
use crate::intake::Intake;
use crate::lane::{Clock, Handover, Lane, LaneParts};
use crate::lost::LostEvents;
use crate::memory::Memory;
use crate::producers::Producers;
use crate::standing::Board;
use crate::{HandlerError, HandlerParts, check_topics};

/// The running command handlers of one process.
pub struct CommandHandlers {
    address: SocketAddr,
    probe: Probe,
    tasks: JoinSet<()>,
}

impl CommandHandlers {
    /// Starts lanes and endpoint; returns once the endpoint serves on the bound address. They stop with the shutdown.
    ///
    /// # Errors
    /// When Postgres or Kafka can't be reached, was not migrated, or a topic has another number of partitions than its log.
    pub async fn start(parts: HandlerParts, surface: Surface, shutdown: Shutdown) -> Result<Self, HandlerError> {
        let mut logs = Vec::new();
        for service in parts.registry.services() {
            logs.push(Log::open(&parts.databases, service, Role::Writer).await?);
        }
        check_topics(&parts.bus, &logs).await?;
        let secret = read_secret(&parts.databases, Role::Writer).await?;
        let registry = Arc::new(parts.registry.clone());
        let producers = Producers::new(&parts.bus, &parts.config)?;
        let inspector = Inspector::new(&parts.bus)?;
        let lost = Arc::new(LostEvents::of(&logs, &registry).await?);
        let sessions = Arc::new(WriterSessions::new(parts.config.writer_connections));

        let (board, waiters) = (Board::default(), Waiters::default());
        let mut tasks = JoinSet::new();
        let mut groups = Vec::new();
        for log in logs.iter().filter(|l| parts.services.iter().any(|s| **s == **l.service())) {
            let service = log.service().clone();
            let lanes = LaneParts {
                config: parts.config.clone(),
                sessions: sessions.clone(),
                producers: producers.clone(),
                inspector: inspector.clone(),
                messages_topic: parts.bus.messages(&service).into(),
                events_topic: parts.bus.events(&service).into(),
                rejected_topic: parts.bus.rejected(&service).into(),
                replies_topic: parts.bus.replies().into(),
                clock: Arc::new(Writer::now) as Clock,
                committed: parts.committed.clone(),
                local: parts.local.clone(),
                waiters: waiters.clone(),
                board: board.clone(),
                service: service.clone(),
            };
            let group = ServiceGroup {
                parts: Arc::new(lanes),
                log: log.clone(),
                registry: registry.clone(),
                secret: secret.clone(),
                lost: lost.clone(),
                handovers: Arc::default(),
                joined: Arc::default(),
            };
            groups.push((service.to_string(), group.joined.clone()));
            tasks.spawn(group.stay(parts.bus.clone(), shutdown.clone()));
        }
        let waiting = ReplySlots::start(&parts.bus, waiters, shutdown.clone()).await?;
        let endpoint = Endpoint::new(&parts, logs.clone(), registry.clone(), secret, producers, inspector, waiting);
        let probe = Probe::new(Ready { groups, logs, endpoint: endpoint.clone(), board }, Ready::readiness);
        let router = daybook_http::surface_routes(endpoint.routes(), probe.clone(), openapi::document(&registry, &parts.config.webhooks));
        let address = surface.address();
        tasks.spawn(surface.serve(router, shutdown));
        Ok(Self { address, probe, tasks })
    }

    /// The address that the endpoint listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks whether lanes have joined their groups, and Postgres and Kafka are within reach.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Returns once everything has stopped in order.
    pub async fn stopped(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The parts that the command handlers' readiness is worked out from.
#[derive(Clone)]
struct Ready {
    /// Services whose lanes run here, and whether each has joined its group.
    groups: Vec<(String, Arc<AtomicBool>)>,
    logs: Vec<Log>,
    endpoint: Endpoint,
    board: Board,
}

impl Ready {
    /// Every group joined, Postgres and Kafka within reach; a partition that waits is named, and drains nobody.
    async fn readiness(self) -> Readiness {
        let mut readiness = Readiness::default();
        for (service, joined) in &self.groups {
            let problem = (!joined.load(Ordering::Relaxed)).then(|| "has not joined its group yet".to_owned());
            readiness = readiness.check(format!("lanes of {service}"), problem);
        }
        readiness = readiness.check("postgres", reaches(&self.logs).await);
        readiness = readiness.check("kafka", self.endpoint.kafka_problem());
        self.board.waiting().into_iter().fold(readiness, |readiness, (partition, why)| readiness.waits(partition, why))
    }
}

async fn reaches(logs: &[Log]) -> Option<String> {
    for log in logs {
        let asked = async { log.partition(0)?.last_page().await };
        match tokio::time::timeout(Duration::from_secs(2), asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("did not answer in 2 s".to_owned()),
        }
    }
    None
}

/// A service's membership in its lanes' group.
struct ServiceGroup {
    parts: Arc<LaneParts>,
    log: Log,
    registry: Arc<Registry>,
    secret: Secret,
    lost: Arc<LostEvents>,
    handovers: Arc<Mutex<HashMap<i32, Arc<tokio::sync::Mutex<Handover>>>>>,
    joined: Arc<AtomicBool>,
}

/// Spawns a lane for each partition that is assigned.
struct Spawner {
    group: Arc<ServiceGroup>,
    lanes: Arc<Mutex<Vec<JoinHandle<()>>>>,
    runtime: tokio::runtime::Handle,
    failed: Arc<Notify>,
}

impl ServiceGroup {
    /// Stays in the group until the shutdown; joins again when the membership ended.
    async fn stay(self, bus: BusConfig, shutdown: Shutdown) {
        let group = Arc::new(self);
        let service = group.parts.service.clone();
        let lanes: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        while !shutdown.is_requested() {
            let failed = Arc::new(Notify::new());
            let spawner =
                Spawner { group: group.clone(), lanes: lanes.clone(), runtime: tokio::runtime::Handle::current(), failed: failed.clone() };
            let options = GroupOptions { session_timeout: group.parts.config.session_timeout, ..Default::default() };
            let consumer = match GroupConsumer::join(&bus, &lanes_group(&bus, &service), vec![bus.messages(&service)], options, spawner) {
                Ok(consumer) => consumer,
                Err(error) => {
                    tracing::error!(%service, %error, "could not join the lanes' group");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            loop {
                group.joined.store(consumer.is_joined(), Ordering::Relaxed);
                tokio::select! {
                    () = shutdown.requested() => break,
                    () = failed.notified() => break,
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                }
            }
            group.joined.store(false, Ordering::Relaxed);
            consumer.shutdown().await;
        }
        let open = std::mem::take(&mut *lanes.lock().unwrap_or_else(PoisonError::into_inner));
        for lane in open {
            let _ = lane.await;
        }
    }

    /// The state that earlier lanes of a partition left in this process. Locked by a lane for its life: the next one waits for it.
    fn handover(&self, partition: i32) -> Arc<tokio::sync::Mutex<Handover>> {
        let config = &self.parts.config;
        let mut handovers = self.handovers.lock().unwrap_or_else(PoisonError::into_inner);
        handovers
            .entry(partition)
            .or_insert_with(|| {
                Arc::new(tokio::sync::Mutex::new(Handover {
                    memory: Memory::new(config.streams_in_memory, config.recent_results),
                    digest: None,
                }))
            })
            .clone()
    }
}

impl GroupHandler for Spawner {
    fn assigned(&mut self, partitions: Vec<Inbox>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| !lane.is_finished());
        for inbox in partitions {
            let group = &self.group;
            let Ok(partition) = group.log.partition(inbox.partition) else { continue };
            let intake = Intake {
                service: group.parts.service.clone(),
                partition: inbox.partition,
                partitions: group.log.partitions(),
                registry: group.registry.clone(),
                secret: group.secret.clone(),
                lost: group.lost.clone(),
            };
            let handover = group.handover(inbox.partition);
            let lane = Lane { parts: group.parts.clone(), intake, partition, inbox, done: None };
            lanes.push(self.runtime.spawn(async move {
                let mut handover = handover.lock().await;
                lane.run(&mut handover).await;
            }));
        }
    }

    // Their inboxes have ended, and with them the lanes.
    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}

    fn error(&mut self, message: &str, fatal: bool) {
        tracing::warn!(service = %self.group.parts.service, message, fatal, "Kafka");
        if fatal {
            self.failed.notify_one();
        }
    }
}
