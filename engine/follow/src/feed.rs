//! The short way from a lane to the followers of its partition, where one process has both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use daybook_log::{Page, PartitionLog};
use tokio::sync::mpsc;

/// Pages of a partition that wait to be taken in. Where there are more, much is under way, and Kafka brings it soon enough.
const WAITING: usize = 16;

type Partition = (Arc<str>, i32);

/// Tells followers of pages that lanes of the same process have committed, before Kafka has them. Kafka remains the way for all others, and
/// brings what is missed here. Cheap to clone.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<HashMap<Partition, mpsc::Sender<Arc<Page>>>>>);

impl Feed {
    /// A page stands in the log of this partition.
    pub fn committed(&self, service: &Arc<str>, partition: i32, page: &Arc<Page>) {
        let feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pages) = feeds.get(&(service.clone(), partition)) {
            // Nobody waits for a follower.
            let _ = pages.try_send(page.clone());
        }
    }

    /// The pages of a partition from now on; whoever had them before gets no more.
    pub(crate) fn open(&self, log: &PartitionLog) -> mpsc::Receiver<Arc<Page>> {
        let (sender, pages) = mpsc::channel(WAITING);
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.retain(|_, pages| !pages.is_closed());
        feeds.insert((log.service().clone(), log.number()), sender);
        pages
    }
}
