//! The requests that wait, each for its reply. One random partition of `command.replies`, read from its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

type Slots = Mutex<HashMap<u64, (Uuid, oneshot::Sender<Reply>)>>;

/// The slots of one endpoint process.
pub(crate) struct ReplySlots {
    slots: Arc<Slots>,
    partition: Arc<AtomicI32>,
    listening: Arc<AtomicBool>,
    next: AtomicU64,
}

/// A slot; it is given back when this goes.
pub(crate) struct Slot {
    pub(crate) reply_to: ReplyTo,
    pub(crate) reply: oneshot::Receiver<Reply>,
    slots: Arc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.reply_to.request_id);
    }
}

impl ReplySlots {
    pub(crate) async fn start(bus: &BusConfig, shutdown: Shutdown) -> Result<Self, HandlerError> {
        // Random numbers, for endpoints that share a partition must not mistake each other's replies.
        let random = Uuid::new_v4().as_u128();
        let partitions = TopicSpec::replies(bus).partitions;
        let partition = i32::try_from(random % u128::from(partitions.unsigned_abs().max(1))).unwrap_or_default();
        let waiting = Self {
            slots: Arc::default(),
            partition: Arc::new(AtomicI32::new(partition)),
            listening: Arc::default(),
            next: AtomicU64::new((random >> 64) as u64),
        };
        let reader = open(bus, partition).await?;
        waiting.listening.store(true, Ordering::Relaxed);
        tokio::spawn(listen(bus.clone(), partition, reader, waiting.slots.clone(), waiting.listening.clone(), shutdown));
        Ok(waiting)
    }

    /// A slot for one message under this command id.
    pub(crate) fn slot(&self, command_id: Uuid) -> Slot {
        let request_id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(request_id, (command_id, sender));
        Slot { reply_to: ReplyTo { partition: self.partition.load(Ordering::Relaxed), request_id }, reply, slots: self.slots.clone() }
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
    slots: Arc<Slots>,
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
            let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            for message in messages {
                deliver(message.value.as_deref().unwrap_or_default(), &mut slots);
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

pub(super) fn deliver(bytes: &[u8], slots: &mut HashMap<u64, (Uuid, oneshot::Sender<Reply>)>) {
    let Ok(replies) = Replies::decode(bytes) else { return };
    for reply in replies.replies {
        // The command id must be the one that was asked for: a number alone is no proof.
        let matches = slots.get(&reply.request_id).is_some_and(|(id, _)| id.as_bytes() == reply.command_id.as_slice());
        if matches && let Some((_, sender)) = slots.remove(&reply.request_id) {
            let _ = sender.send(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_by_who_waits_for_its_command_and_a_number_alone_is_no_proof() {
        let id = Uuid::from_u128(1);
        let (sender, mut receiver) = oneshot::channel();
        let mut slots = HashMap::from([(7, (id, sender))]);
        let reply = |request_id, command: Uuid| {
            let reply = Reply { request_id, command_id: command.as_bytes().to_vec(), ..Default::default() };
            Replies { replies: vec![reply] }.encode_to_vec()
        };
        deliver(&reply(7, Uuid::from_u128(2)), &mut slots);
        deliver(&reply(8, id), &mut slots);
        assert!(receiver.try_recv().is_err());
        deliver(&reply(7, id), &mut slots);
        assert_eq!(receiver.try_recv().expect("it is there").request_id, 7);
        assert!(slots.is_empty());
    }
}
