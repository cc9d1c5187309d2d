//! The short way from a sender to a lane of the same process, beside Kafka.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use daybook_bus::Record;
use tokio::sync::mpsc;

/// Commands of a partition that wait for its lane. Where there are more, much is under way, and Kafka brings them soon enough.
const WAITING: usize = 64;

/// A topic and a partition of it.
type Place = (Arc<str>, i32);

/// The lanes of this process: a command that goes to one of them may be handed to it *beside* Kafka, which takes a few milliseconds less.
/// It is a hint and no more. Whoever hands a command over sends it to Kafka as well and waits for that alone; whichever comes first is
/// decided, and the ledger makes the other a repeat. So nothing is lost where no lane of the partition runs here, where it has enough to
/// do, or where it ends with what it was handed. Cheap to clone.
#[derive(Clone, Default)]
pub struct LocalLanes(Arc<Mutex<HashMap<Place, mpsc::Sender<Record>>>>);

impl LocalLanes {
    /// Hands a command to the lane of its partition, where one runs here and has room.
    pub fn offer(&self, record: &Record) {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&(record.topic.clone(), record.partition)) {
            // Nobody waits for a lane.
            let _ = lane.try_send(record.clone());
        }
    }

    /// The commands for a partition of `<service>.messages` from now on; whoever had them before gets no more.
    pub fn open(&self, topic: &Arc<str>, partition: i32) -> mpsc::Receiver<Record> {
        let (lane, handed) = mpsc::channel(WAITING);
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| !lane.is_closed());
        lanes.insert((topic.clone(), partition), lane);
        handed
    }
}

#[cfg(test)]
mod tests {
    use daybook_bus::Headers;

    use super::*;

    fn record(topic: &str, partition: i32, key: &'static str) -> Record {
        Record { topic: topic.into(), partition, key: key.into(), headers: Headers::new(), value: None }
    }

    fn keys(lane: &mut mpsc::Receiver<Record>) -> Vec<String> {
        std::iter::from_fn(|| lane.try_recv().ok()).map(|record| String::from_utf8_lossy(&record.key).into_owned()).collect()
    }

    #[test]
    fn a_command_is_handed_to_the_last_lane_of_its_partition_and_to_no_other() {
        let lanes = LocalLanes::default();
        lanes.offer(&record("a", 0, "before any"));
        let (mut a0, mut a1, mut b0) = (lanes.open(&"a".into(), 0), lanes.open(&"a".into(), 1), lanes.open(&"b".into(), 0));
        lanes.offer(&record("a", 0, "1"));
        lanes.offer(&record("a", 0, "2"));
        lanes.offer(&record("b", 0, "3"));
        lanes.offer(&record("c", 0, "nobody's"));
        assert_eq!((keys(&mut a0), keys(&mut a1), keys(&mut b0)), (vec!["1".into(), "2".into()], vec![], vec!["3".to_owned()]));
        let mut later = lanes.open(&"a".into(), 0);
        lanes.offer(&record("a", 0, "4"));
        assert_eq!((keys(&mut a0), keys(&mut later)), (vec![], vec!["4".to_owned()]));
    }

    #[test]
    fn a_lane_that_has_enough_to_do_holds_up_nobody() {
        let lanes = LocalLanes::default();
        let mut lane = lanes.open(&"a".into(), 0);
        for _ in 0..WAITING + 1 {
            lanes.offer(&record("a", 0, "x"));
        }
        assert_eq!(keys(&mut lane).len(), WAITING);
        drop(lane);
        lanes.offer(&record("a", 0, "x"));
    }
}
