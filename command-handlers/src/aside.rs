//! Messages that a lane can't decide: rejected, parked for a newer build, and taken up again by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use daybook_bus::{Headers, Message, Record, headers};
use daybook_kernel::{StreamId, digest, ids};
use daybook_log::{ParkedMessage, RejectedMessage};
use daybook_process::metrics;
use daybook_proto::v1::reply::Answer as ReplyAnswer;
use daybook_proto::v1::{MessageHeader, Parked, Rejected, UnverifiedMessage};
use prost::Message as _;
use uuid::Uuid;

use crate::HandlerError;
use crate::batch::Answer;
use crate::intake::{Arrival, Misfit, MisfitKind, Origin, keepable};
use crate::lane::Tenure;

/// Kind of a parked message that waits for a newer build, and is taken up by itself.
const NEWER_BUILD: &str = "newer-build";
/// Kind of a parked message whose MAC is of a later version. It holds up nobody: anybody who may write to the topic could have sent it.
pub(crate) const NEWER_MAC: &str = "newer-mac";
/// So many rejected messages of a process are told in its log, each span of time.
const MOST_LINES: u32 = 20;
const EVERY: Duration = Duration::from_secs(60);
/// Largest message that is copied when it is rejected, in bytes: topics take 4 MiB.
const MAX_COPIED: usize = 3 << 20;

impl Tenure<'_> {
    /// A message that this build can't decide: parked for a newer one, or rejected; durable before the offset moves.
    pub(crate) async fn set_aside(&mut self, misfit: Misfit) -> Result<Answer, HandlerError> {
        let Misfit { message_offset, command_id, reply_to, reason, kind } = misfit;
        let reason = keepable(reason);
        let (service, number) = (self.service().to_owned(), self.lane.partition.number());
        daybook_failpoint::reach("aside.before");
        let answer = match kind {
            MisfitKind::NewerBuild { stream, command_id, request } => {
                let parked_id = ids::misfit_id(&service, number, message_offset, command_id.as_bytes());
                let parked = ParkedMessage {
                    parked_id,
                    message_offset,
                    stream_id: stream.as_str().to_owned(),
                    command_id,
                    kind: NEWER_BUILD.to_owned(),
                    reason: reason.clone(),
                    request: request.encode_to_vec(),
                    parked_at: self.now(),
                };
                self.lane.partition.park(&parked).await?;
                self.handover.memory.block(stream, reason.clone());
                ReplyAnswer::Parked(Parked { parked_id: parked_id.as_bytes().to_vec(), kind: NEWER_BUILD.to_owned(), reason })
            }
            MisfitKind::Unverified { stream, message } => {
                let parked_id =
                    ids::misfit_id(&service, number, message_offset, &digest::sha256(message.value.as_deref().unwrap_or_default()));
                let parked = ParkedMessage {
                    parked_id,
                    message_offset,
                    stream_id: stream.as_str().to_owned(),
                    // Its own is not believed: it would speak of another's command.
                    command_id: parked_id,
                    kind: NEWER_MAC.to_owned(),
                    reason: reason.clone(),
                    request: unverified(message).encode_to_vec(),
                    parked_at: self.now(),
                };
                self.lane.partition.park(&parked).await?;
                ReplyAnswer::Parked(Parked { parked_id: parked_id.as_bytes().to_vec(), kind: NEWER_MAC.to_owned(), reason })
            }
            MisfitKind::Rejected(message) => {
                self.reject(message, command_id, &reason).await?;
                ReplyAnswer::Rejected(Rejected { reason })
            }
        };
        daybook_failpoint::reach("aside.after");
        Ok(Answer { reply_to, command_id: command_id.unwrap_or_default(), replayed: false, answer, next: Vec::new() })
    }

    async fn reject(&mut self, message: Message, command_id: Option<Uuid>, reason: &str) -> Result<(), HandlerError> {
        let (service, number) = (self.service().to_owned(), self.lane.partition.number());
        tell(&message, reason);
        metrics::MESSAGES_REJECTED.with([&service]).increment(1);
        let content = digest::sha256(message.value.as_deref().unwrap_or_default());
        let rejected = RejectedMessage {
            rejected_id: ids::misfit_id(&service, number, message.offset, &content),
            message_offset: message.offset,
            command_id,
            reason: reason.to_owned(),
            rejected_at: self.now(),
        };
        let place = format!("{service}/{number} message {}", message.offset);
        let record = copy(message, self.lane.parts.rejected_topic.clone(), number, reason, place);
        self.lane.partition.reject(&rejected).await?;
        daybook_failpoint::reach("aside.between");
        self.lane.parts.producers.in_order(1).send(vec![record]).await?;
        Ok(())
    }

    /// Messages that waited for a newer build: taken up in the order of their arrival, before anything new. One whose stream
    /// this build still can't read stays, and later ones of the stream behind it.
    pub(crate) async fn take_up_parked(&mut self) -> Result<(), HandlerError> {
        let parked = self.lane.partition.parked().await?;
        let mut arrivals = Vec::new();
        for message in parked.into_iter().filter(|m| m.kind == NEWER_BUILD || m.kind == NEWER_MAC) {
            let Ok(stream) = StreamId::parse(&message.stream_id) else { continue };
            if self.handover.memory.blocked(&stream).is_some() {
                continue;
            }
            if message.kind == NEWER_MAC {
                arrivals.extend(self.verify_parked(&message).await?);
                continue;
            }
            match self.lane.intake.again(message.parked_id, message.command_id, &message.request) {
                Ok(arrival) => arrivals.push(arrival),
                Err(reason) => self.handover.memory.block(stream, reason),
            }
        }
        self.pages(&arrivals).await
    }
}

impl Tenure<'_> {
    /// Reads a message again whose MAC was of a later version than its lane's. None: this build does not know the version either, and it
    /// stays; or it is no command after all, and is rejected or parked as any other.
    async fn verify_parked(&mut self, parked: &ParkedMessage) -> Result<Option<Arrival>, HandlerError> {
        let Ok(kept) = UnverifiedMessage::decode(parked.request.as_slice()) else { return Ok(None) };
        let mut headers = Headers::new();
        kept.headers.into_iter().for_each(|header| headers.push(header.name, header.value));
        let (topic, partition) = (self.lane.parts.messages_topic.clone(), self.lane.partition.number());
        let (key, value) = (Some(Bytes::from(kept.key)), Some(Bytes::from(kept.value)));
        let message = Message { topic, partition, offset: parked.message_offset, timestamp_ms: None, key, value, headers };
        match self.lane.intake.read(message) {
            // Its client has been told long since, and may ask by the handle.
            Ok(arrival) => Ok(Some(Arrival { origin: Origin::Parked(parked.parked_id), reply_to: None, ..arrival })),
            Err(misfit) if matches!(misfit.kind, MisfitKind::Unverified { .. }) => Ok(None),
            Err(misfit) => {
                self.set_aside(*misfit).await?;
                self.lane.partition.settle_parked(parked.parked_id, self.now(), "read").await?;
                Ok(None)
            }
        }
    }
}

/// A message as it is kept until its MAC can be checked.
fn unverified(message: Message) -> UnverifiedMessage {
    let header = |(name, value): (&str, &Bytes)| MessageHeader { name: name.to_owned(), value: value.to_vec() };
    UnverifiedMessage {
        headers: message.headers.iter().map(header).collect(),
        key: message.key.unwrap_or_default().to_vec(),
        value: message.value.unwrap_or_default().to_vec(),
    }
}

/// A line in the log for a rejected message, as long as there are few: a sender of nonsense must not fill the disk.
fn tell(message: &Message, reason: &str) {
    static LINES: Mutex<Lines> = Mutex::new(Lines { since: None, written: 0 });
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).another(Instant::now());
    let Some(left) = lines else { return };
    let (topic, partition, offset) = (&*message.topic, message.partition, message.offset);
    tracing::warn!(
        topic,
        partition,
        offset,
        reason,
        "a message was rejected: it is kept in <service>.messages.rejected, and its reason in the table rejected"
    );
    if left == 0 {
        tracing::warn!("more rejected messages are told after {} s; daybook_messages_rejected_total counts them", EVERY.as_secs());
    }
}

/// Lines of a span of time.
struct Lines {
    since: Option<Instant>,
    written: u32,
}

impl Lines {
    /// Lines that may follow this one; none where it is one too many itself.
    fn another(&mut self, now: Instant) -> Option<u32> {
        if self.since.is_none_or(|since| now.duration_since(since) >= EVERY) {
            (self.since, self.written) = (Some(now), 0);
        }
        let left = MOST_LINES.checked_sub(self.written + 1)?;
        self.written += 1;
        Some(left)
    }
}

/// A message as it goes to `<service>.messages.rejected`: as it came, with the reason and where it stood. Of one that would be
/// too large with them only these two are told: what can't be published would stop the partition for ever.
fn copy(message: Message, topic: Arc<str>, partition: i32, reason: &str, place: String) -> Record {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let size = length(&message.key) + length(&message.value) + message.headers.iter().map(|(n, v)| n.len() + v.len() + 16).sum::<usize>();
    let (key, mut record_headers, value) = if size > MAX_COPIED {
        (Bytes::new(), Headers::new(), None)
    } else {
        (message.key.unwrap_or_default(), message.headers, message.value)
    };
    record_headers.push(headers::REJECTED_REASON, reason.to_owned());
    record_headers.push(headers::REJECTED_FROM, place);
    Record { topic, partition, key, headers: record_headers, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(size: usize) -> Record {
        let (key, value) = (Some(Bytes::from_static(b"k")), Some(Bytes::from(vec![0; size])));
        let headers = Headers::new().with("h", "v");
        let message = Message { topic: "t".into(), partition: 0, offset: 9, timestamp_ms: None, key, value, headers };
        copy(message, "rejected".into(), 0, "why", "s/0 message 9".into())
    }

    #[test]
    fn a_rejected_message_is_copied_as_it_came_unless_it_could_not_be_published_so() {
        let small = copied(100);
        assert_eq!((small.value.map(|v| v.len()), &small.key[..], small.headers.iter().count()), (Some(100), &b"k"[..], 3));
        let large = copied(MAX_COPIED);
        assert_eq!((large.value, &large.key[..], large.headers.iter().count()), (None, &b""[..], 2));
    }

    #[test]
    fn so_many_rejections_are_told_in_a_span_of_time_and_as_many_in_the_next() {
        let (mut lines, now) = (Lines { since: None, written: 0 }, Instant::now());
        for span in 0..3 {
            let now = now + EVERY * span;
            let told: Vec<Option<u32>> = (0..1_000).map(|n| lines.another(now + Duration::from_millis(n))).collect();
            assert_eq!((told[0], told[19], told[20], told[999]), (Some(19), Some(0), None, None));
        }
    }
}
