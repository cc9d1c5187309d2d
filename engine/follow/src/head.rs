//! The end of a partition's log: looked up by one task for all followers.

use std::sync::Arc;
use std::time::Duration;

use daybook_log::PartitionLog;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The end of a log at a look.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Its next offset and its epoch; or why it could not be seen.
    pub(crate) end: Result<(i64, i32), Arc<str>>,
}

/// Looks until it is dropped.
pub(crate) struct Looks {
    pub(crate) head: watch::Receiver<Head>,
    task: JoinHandle<()>,
}

impl Looks {
    pub(crate) fn begin(log: PartitionLog, every: Duration) -> Self {
        let (sender, head) = watch::channel(Head { end: Err("it has not been looked for yet".into()) });
        let task = tokio::spawn(async move {
            loop {
                let end = log.last_page().await.map(|page| (page.next_offset(), page.epoch)).map_err(|e| e.to_string().into());
                if sender.send(Head { end }).is_err() {
                    return;
                }
                tokio::time::sleep(every).await;
            }
        });
        Self { head, task }
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.task.abort();
    }
}
