//! Membership of the group of all who follow logs: one consumer a process, a task for each partition that it is given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, GroupConsumer, GroupHandler, GroupOptions, Inbox, Inspector};
use daybook_kernel::{Digest, digest};
use daybook_log::Log;
use daybook_process::{Readiness, Shutdown};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alone::{Member, Shared};
use crate::board::Board;
use crate::config::Limits;
use crate::feed::Feed;
use crate::follower::Roster;
use crate::partition::{self, Common};

/// Time to wait before the group is joined again after a fatal error.
const PAUSE: Duration = Duration::from_secs(1);
/// Time that the memory of a partition's followers is kept after a revocation: they may come back with the next assignment.
const KEPT: Duration = Duration::from_secs(30);

/// The followers of one kind that a process has: projections, for example.
pub struct Followers {
    /// The name and fingerprint of each that this build can run.
    pub runs: Vec<(&'static str, Digest)>,
    /// The logs that they follow.
    pub logs: Vec<Log>,
    /// The followers, as they come and go.
    pub roster: watch::Receiver<Roster>,
}

/// The logs that are followed, their followers, and Kafka.
pub struct Sources {
    /// Kafka.
    pub bus: BusConfig,
    /// Options of this member of the group.
    pub options: GroupOptions,
    /// The group's full name.
    pub group: String,
    /// The logs; the first of each service counts.
    pub logs: Vec<Log>,
    /// The followers: the kinds of all of these.
    pub rosters: Vec<watch::Receiver<Roster>>,
    /// Limits of what is done and held at once.
    pub limits: Limits,
}

/// Options of a process as a member of the followers' group. What followers hold takes far more memory than what waits for them: a small
/// inbox is enough.
pub fn group_options() -> GroupOptions {
    GroupOptions { max_messages_per_partition: 4_096, ..GroupOptions::default() }
}

impl Sources {
    /// For all followers of a process, in the group of all processes that can run the same.
    pub fn of(bus: BusConfig, options: GroupOptions, limits: Limits, followers: Vec<Followers>) -> Self {
        let group = group_name(&bus, followers.iter().flat_map(|f| f.runs.iter().copied()));
        let (mut logs, mut rosters) = (Vec::new(), Vec::new());
        for of_a_kind in followers {
            logs.extend(of_a_kind.logs);
            rosters.push(of_a_kind.roster);
        }
        Self { bus, options, group, logs, rosters, limits }
    }
}

/// The full name of the group of all processes that can run the same: those share the partitions. `runs` has each
/// follower's name and fingerprint.
fn group_name(bus: &BusConfig, runs: impl Iterator<Item = (&'static str, Digest)>) -> String {
    let mut runs: Vec<_> = runs.collect();
    runs.sort_unstable();
    let bytes: Vec<u8> = runs
        .iter()
        .flat_map(|(name, fingerprint)| [&(name.len() as u64).to_be_bytes()[..], name.as_bytes(), fingerprint].concat())
        .collect();
    let hash: String = digest::sha256(&bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    bus.group(&format!("followers-{hash}"))
}

type Tasks = HashMap<(Arc<str>, i32), JoinHandle<Vec<Member>>>;

struct Group {
    common: Arc<Common>,
    bus: BusConfig,
    name: String,
    options: GroupOptions,
    /// The full name of a log's `.events`, and the log.
    logs: HashMap<String, Log>,
    roster: watch::Receiver<Roster>,
    consumer: Mutex<Option<GroupConsumer>>,
    tasks: Mutex<Tasks>,
}

/// The followers of this process. Cheap to clone; they stop with the shutdown that they were started with.
#[derive(Clone)]
pub struct Following {
    group: Arc<Group>,
    board: Arc<Board>,
    done: watch::Receiver<bool>,
}

impl Following {
    /// Joins the group, and follows for everybody on the roster.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn start(sources: Sources, shutdown: Shutdown) -> Result<Self, BusError> {
        let board = Arc::new(Board::default());
        let shared = Arc::new(Shared { limits: sources.limits, board: board.clone() });
        let common = Arc::new(Common { shared, inspector: Inspector::new(&sources.bus)?, ending: shutdown.clone(), feed: Feed::default() });
        let mut logs = HashMap::new();
        for log in sources.logs {
            logs.entry(sources.bus.events(log.service())).or_insert(log);
        }
        let roster = joined(sources.rosters);
        let (bus, name, options) = (sources.bus, sources.group, sources.options);
        let (consumer, tasks) = (Mutex::default(), Mutex::default());
        let group = Arc::new(Group { common, bus, name, options, logs, roster, consumer, tasks });
        let (finished, done) = watch::channel(false);
        tokio::spawn({
            let group = group.clone();
            async move {
                group.run(shutdown).await;
                let _ = finished.send(true);
            }
        });
        Ok(Self { group, board, done })
    }

    /// Takes pages that lanes of this process have committed.
    pub fn feed(&self) -> Feed {
        self.group.common.feed.clone()
    }

    /// Whether the group's last rebalance is done here.
    pub fn is_joined(&self) -> bool {
        lock(&self.group.consumer).as_ref().is_some_and(GroupConsumer::is_joined)
    }

    /// Which followers of which partitions this process has.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Whether the group is joined, and no follower stands still.
    pub fn readiness(&self) -> Readiness {
        let joined = self.is_joined();
        let readiness =
            Readiness::default().check("followers' group", (!joined).then(|| "has not joined the consumer group yet".to_owned()));
        let still: Vec<String> = self.waiting().into_iter().map(|(which, why)| format!("{which}: {why}")).collect();
        readiness.check("partitions", (!still.is_empty()).then(|| still.join("; ")))
    }

    /// The followers that stand still, and the reason of each.
    fn waiting(&self) -> Vec<(String, String)> {
        let named = |((follower, generation, service, n), why): (crate::FollowerKey, String)| {
            let generation = if generation > 0 { format!(" (generation {generation})") } else { String::new() };
            (format!("{follower} {service}/{n}{generation}"), why)
        };
        self.board.troubles().into_iter().map(named).collect()
    }

    /// Returns once the group is left and all tasks have ended.
    pub async fn stopped(&self) {
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}

impl Group {
    fn join(self: &Arc<Self>, fatal: UnboundedSender<String>) -> Result<(), BusError> {
        let handler = Handler { group: self.clone(), runtime: Handle::current(), fatal };
        let consumer = GroupConsumer::join(&self.bus, &self.name, self.logs.keys().cloned().collect(), self.options.clone(), handler)?;
        *lock(&self.consumer) = Some(consumer);
        Ok(())
    }

    async fn leave(&self) {
        let consumer = lock(&self.consumer).take();
        if let Some(consumer) = consumer {
            consumer.shutdown().await;
        }
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        for task in tasks.into_values() {
            let _ = task.await;
        }
    }

    /// Joins, joins again whenever the membership ends by itself, and leaves at the shutdown.
    async fn run(self: Arc<Self>, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            let (fatal, mut ended) = unbounded_channel();
            if let Err(error) = self.join(fatal) {
                tracing::error!(group = self.name, %error, "could not join");
            } else {
                tokio::select! {
                    () = shutdown.requested() => break,
                    why = ended.recv() => tracing::error!(group = self.name, ?why, "the membership ended; joining again"),
                }
            }
            self.leave().await;
            tokio::select! {
                () = shutdown.requested() => break,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        self.leave().await;
    }
}

struct Handler {
    group: Arc<Group>,
    runtime: Handle,
    fatal: UnboundedSender<String>,
}

impl GroupHandler for Handler {
    fn assigned(&mut self, partitions: Vec<Inbox>) {
        let mut tasks = lock(&self.group.tasks);
        for inbox in partitions {
            let Some(log) = self.group.logs.get(&*inbox.topic).cloned() else { continue };
            let at = (inbox.topic.clone(), inbox.partition);
            let before = tasks.remove(&at);
            let (common, roster) = (self.group.common.clone(), self.group.roster.clone());
            let task = self.runtime.spawn(async move {
                // The task that had it may be at its last batch: two would only get into each other's way.
                let rested = match before {
                    Some(before) => before.await.unwrap_or_default(),
                    None => Vec::new(),
                };
                partition::run(common, log, inbox, roster, rested).await
            });
            tasks.insert(at, task);
        }
    }

    /// The inboxes have ended, and with them the tasks do. What one still writes, the checkpoint fences.
    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {
        let group = Arc::downgrade(&self.group);
        self.runtime.spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Some(group) = group.upgrade() {
                lock(&group.tasks).retain(|_, task| !task.is_finished());
            }
        });
    }

    fn error(&mut self, message: &str, fatal: bool) {
        if fatal {
            let _ = self.fatal.send(message.to_owned());
        }
    }
}

/// One roster of all, kept as they are.
fn joined(rosters: Vec<watch::Receiver<Roster>>) -> watch::Receiver<Roster> {
    fn all(rosters: &[watch::Receiver<Roster>]) -> Roster {
        Roster(Arc::new(rosters.iter().flat_map(|roster| roster.borrow().0.as_ref().clone()).collect()))
    }
    let (sender, joined) = watch::channel(all(&rosters));
    let (sender, rosters) = (Arc::new(sender), Arc::new(rosters));
    for mut roster in rosters.iter().cloned() {
        let (sender, rosters) = (sender.clone(), rosters.clone());
        // It ends with the sender that changes this one.
        tokio::spawn(async move {
            while roster.changed().await.is_ok() {
                sender.send_modify(|joined| *joined = all(&rosters));
            }
        });
    }
    joined
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
