//! A command's message to Kafka, and the wait for its reply.

use std::time::Duration;

use daybook_http::Problem;
use daybook_messages::Addressed;
use daybook_proto::v1::{Handle, Reply};

use super::admission::Admission;
use super::{Endpoint, Route};

/// What became of a command while its client waited.
pub(super) enum Decided {
    Now(Reply),
    /// Kafka has it: it will be decided once.
    Later(Handle),
}

/// Sends a command, and waits so long for its reply.
///
/// # Errors
/// 503, when Kafka takes no more, or did not answer.
pub(super) async fn decided(
    endpoint: &Endpoint,
    route: &Route,
    addressed: &mut Addressed,
    wait: Duration,
    admission: &Admission<'_>,
) -> Result<Decided, Problem> {
    let mut slot = endpoint.0.waiting.slot(addressed.command_id);
    addressed.reply_to = Some(slot.reply_to);
    let record = addressed.record(route.topic.clone(), route.log.partitions(), &endpoint.0.secret);
    let partition = record.partition;
    let mut delivery = std::pin::pin!(endpoint.producer().send(vec![record]));
    let mut message_offset = None;
    let mut waited = std::pin::pin!(tokio::time::sleep(wait));
    let mut over = false;
    // The reply is the answer, whenever it comes; when the wait ends first, Kafka's acknowledgement makes it a 202.
    loop {
        tokio::select! {
            biased;
            reply = &mut slot.reply => {
                if let Ok(reply) = reply {
                    daybook_failpoint::reach("endpoint.produced");
                    admission.answered();
                    return Ok(Decided::Now(reply));
                }
                over = true;
            }
            delivered = &mut delivery, if message_offset.is_none() => match delivered {
                Ok(offsets) => {
                    daybook_failpoint::reach("endpoint.produced");
                    message_offset = offsets.first().copied();
                }
                Err(error) if error.queue_full => {
                    return Err(Problem::unavailable("the endpoint's queue to Kafka is full: repeat with the same key", 1));
                }
                Err(error) => {
                    tracing::warn!(%error, "a command's message was not acknowledged");
                    return Err(Problem::unavailable("Kafka did not answer: whether the command was taken is not known; repeat it with the same key", 2).with("unknown", true));
                }
            },
            () = &mut waited, if !over => over = true,
        }
        if let (true, Some(message_offset)) = (over, message_offset) {
            let handle = Handle {
                service: addressed.service.clone(),
                stream_id: addressed.stream.as_str().to_owned(),
                command_id: addressed.command_id.as_bytes().to_vec(),
                partition,
                message_offset,
                origin: None,
            };
            admission.deferred();
            return Ok(Decided::Later(handle));
        }
    }
}
