//! Membership of one generation's consumer group: a task for each partition that it is given.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, GroupConsumer, GroupHandler, GroupOptions, Inbox};
use daybook_http::Shutdown;
use daybook_log::Log;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::ProjectorError;
use crate::partition::{self, Shared};

/// How long to wait before a group is joined again after a fatal error.
const PAUSE: Duration = Duration::from_secs(1);

type Tasks = HashMap<(Arc<str>, i32), JoinHandle<()>>;

/// One generation of a read model, in one process.
pub(crate) struct Group {
    shared: Arc<Shared>,
    bus: BusConfig,
    options: GroupOptions,
    /// The full name of a log's `.events`, and the log.
    logs: HashMap<String, Log>,
    consumer: Mutex<Option<GroupConsumer>>,
    tasks: Mutex<Tasks>,
}

impl Group {
    pub(crate) fn new(shared: Arc<Shared>, bus: BusConfig, options: GroupOptions, logs: HashMap<String, Log>) -> Arc<Self> {
        Arc::new(Self { shared, bus, options, logs, consumer: Mutex::default(), tasks: Mutex::default() })
    }

    /// Whether the group's last rebalance is done here.
    pub(crate) fn is_joined(&self) -> bool {
        lock(&self.consumer).as_ref().is_some_and(GroupConsumer::is_joined)
    }

    /// `projection-<name>-<generation>`, with the install's prefix: generations are built side by side.
    fn name(&self) -> String {
        self.bus.group(&format!("projection-{}-{}", self.shared.model.name, self.shared.generation.number))
    }

    fn join(self: &Arc<Self>, fatal: UnboundedSender<String>) -> Result<(), ProjectorError> {
        let handler = Handler { group: self.clone(), runtime: Handle::current(), fatal };
        let consumer = GroupConsumer::join(&self.bus, &self.name(), self.logs.keys().cloned().collect(), self.options.clone(), handler)?;
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
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            let (fatal, mut ended) = unbounded_channel();
            if let Err(error) = self.join(fatal) {
                tracing::error!(group = self.name(), %error, "could not join");
            } else {
                tokio::select! {
                    () = shutdown.requested() => break,
                    why = ended.recv() => tracing::error!(group = self.name(), ?why, "the membership ended; joining again"),
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
        tasks.retain(|_, task| !task.is_finished());
        for inbox in partitions {
            let Some(log) = self.group.logs.get(&*inbox.topic).cloned() else { continue };
            let place = (inbox.topic.clone(), inbox.partition);
            let before = tasks.remove(&place);
            let shared = self.group.shared.clone();
            let task = self.runtime.spawn(async move {
                // The task that had it may be at its last batch: two would only get into each other's way.
                if let Some(before) = before {
                    let _ = before.await;
                }
                partition::run(shared, log, inbox).await;
            });
            tasks.insert(place, task);
        }
    }

    /// The inboxes have ended, and with them the tasks do. What one still writes, the checkpoint fences.
    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {}

    fn error(&mut self, message: &str, fatal: bool) {
        if fatal {
            let _ = self.fatal.send(message.to_owned());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
