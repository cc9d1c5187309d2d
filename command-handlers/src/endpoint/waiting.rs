//! The requests that wait, each for its reply: from a lane of this process, or from one random partition of `command.replies`, read from
//! its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, PartitionReader, StartAt, TopicSpec};
use daybook_messages::ReplyTo;
use daybook_process::Shutdown;
use daybook_proto::v1::{Replies, Reply};
use prost::Message as _;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::HandlerError;

/// Longest time that a passing trouble of Kafka's is waited out at the start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waiting requests by number, each with its command's id.
type Waiting = HashMap<u64, (Uuid, oneshot::Sender<Reply>)>;

/// The requests of this process that wait, by number, each with its command's id. A lane of the process answers them here; what other
/// processes have decided comes over Kafka. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Arc<Mutex<Waiting>>);

impl Waiters {
    /// Waits for the reply to a command under a number that nobody else waits under.
    pub(super) fn wait(&self, request_id: u64, command_id: Uuid) -> oneshot::Receiver<Reply> {
        let (sender, reply) = oneshot::channel();
        self.lock().insert(request_id, (command_id, sender));
        reply
    }

    /// Gives a reply to whoever waits for it. Gives it back where nobody of this process does: it is somebody else's, or nobody waits any more.
    pub(crate) fn answer(&self, reply: Reply) -> Option<Reply> {
        self.answer_all(std::iter::once(reply)).pop()
    }

    /// The same for several; those that nobody waits for here.
    fn answer_all(&self, replies: impl Iterator<Item = Reply>) -> Vec<Reply> {
        let mut waiting = self.lock();
        let mut left = Vec::new();
        for reply in replies {
            // The command id must be the one that was asked for: a number alone is no proof.
            let is_its = waiting.get(&reply.request_id).is_some_and(|(id, _)| id.as_bytes() == reply.command_id.as_slice());
            match is_its.then(|| waiting.remove(&reply.request_id)).flatten() {
                Some((_, sender)) => _ = sender.send(reply),
                None => left.push(reply),
            }
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of one endpoint process.
pub(crate) struct ReplySlots {
    waiters: Waiters,
    partition: Arc<AtomicI32>,
    listening: Arc<AtomicBool>,
    next: AtomicU64,
}

/// A slot; it is given back when this goes.
pub(crate) struct Slot {
    pub(crate) reply_to: ReplyTo,
    pub(crate) reply: oneshot::Receiver<Reply>,
    waiters: Waiters,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.waiters.lock().remove(&self.reply_to.request_id);
    }
}

impl ReplySlots {
    pub(crate) async fn start(bus: &BusConfig, waiters: Waiters, shutdown: Shutdown) -> Result<Self, HandlerError> {
        // Random numbers, for endpoints that share a partition must not mistake each other's replies.
        let random = Uuid::new_v4().as_u128();
        let partitions = TopicSpec::replies(bus).partitions;
        let partition = i32::try_from(random % u128::from(partitions.unsigned_abs().max(1))).unwrap_or_default();
        let waiting = Self {
            waiters,
            partition: Arc::new(AtomicI32::new(partition)),
            listening: Arc::default(),
            next: AtomicU64::new((random >> 64) as u64),
        };
        let reader = open(bus, partition).await?;
        waiting.listening.store(true, Ordering::Relaxed);
        tokio::spawn(listen(bus.clone(), partition, reader, waiting.waiters.clone(), waiting.listening.clone(), shutdown));
        Ok(waiting)
    }

    /// A slot for one message under this command id.
    pub(crate) fn slot(&self, command_id: Uuid) -> Slot {
        let request_id = self.next.fetch_add(1, Ordering::Relaxed);
        let reply = self.waiters.wait(request_id, command_id);
        Slot { reply_to: ReplyTo { partition: self.partition.load(Ordering::Relaxed), request_id }, reply, waiters: self.waiters.clone() }
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }
}

/// A topic that was made a moment ago may have no leader yet: that passes.
async fn open(bus: &BusConfig, partition: i32) -> Result<PartitionReader, BusError> {
    let begun = std::time::Instant::now();
    loop {
        match PartitionReader::open(bus, &bus.replies(), partition, StartAt::End).await {
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(100)).await,
            opened => return opened,
        }
    }
}

async fn listen(
    bus: BusConfig,
    partition: i32,
    mut reader: PartitionReader,
    waiters: Waiters,
    listening: Arc<AtomicBool>,
    shutdown: Shutdown,
) {
    loop {
        let messages = tokio::select! {
            messages = reader.recv(10_000, 16 << 20) => messages,
            () = shutdown.requested() => {
                // Requests in flight still wait for theirs; the process ends the reader with itself.
                reader.recv(10_000, 16 << 20).await
            }
        };
        if let Some(messages) = messages {
            for message in messages {
                deliver(message.value.as_deref().unwrap_or_default(), &waiters);
            }
            continue;
        }
        // The reader ended. Meanwhile clients get handles instead of replies.
        listening.store(false, Ordering::Relaxed);
        loop {
            if shutdown.is_requested() {
                return;
            }
            match PartitionReader::open(&bus, &bus.replies(), partition, StartAt::End).await {
                Ok(again) => {
                    reader = again;
                    listening.store(true, Ordering::Relaxed);
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "replies can't be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// A message of `command.replies`. What nobody waits for is passed over.
pub(super) fn deliver(bytes: &[u8], waiters: &Waiters) {
    if let Ok(replies) = Replies::decode(bytes) {
        waiters.answer_all(replies.replies.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_by_who_waits_for_its_command_and_a_number_alone_is_no_proof() {
        let id = Uuid::from_u128(1);
        let waiters = Waiters::default();
        let reply = |request_id, command: Uuid| Reply { request_id, command_id: command.as_bytes().to_vec(), ..Default::default() };
        let message = |reply: Reply| Replies { replies: vec![reply] }.encode_to_vec();

        let mut by_kafka = waiters.wait(7, id);
        deliver(&message(reply(7, Uuid::from_u128(2))), &waiters);
        deliver(&message(reply(8, id)), &waiters);
        assert!(by_kafka.try_recv().is_err());
        deliver(&message(reply(7, id)), &waiters);
        assert_eq!(by_kafka.try_recv().expect("it is there").request_id, 7);
        assert!(waiters.lock().is_empty());

        let mut here = waiters.wait(7, id);
        for others in [reply(7, Uuid::from_u128(2)), reply(8, id)] {
            assert_eq!(waiters.answer(others.clone()), Some(others), "it goes on to Kafka");
        }
        assert_eq!(waiters.answer(reply(7, id)), None);
        assert_eq!(here.try_recv().expect("it is there").request_id, 7);
        assert!(waiters.answer(reply(7, id)).is_some(), "nobody waits any more");
    }
}
