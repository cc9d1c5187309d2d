//! Deciding a batch: from arrivals and committed states to a page that is not yet written, and the answers that go out
//! once it is. No I/O: the state that was read is handed in, the decisions are handed back.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use daybook_kernel::ids::{self, EventPlace};
use daybook_kernel::{Consequence, Context, ErasedDecision, ErasedEvent, EventAt, Instant, Registry, Secret, StreamId, Version, Waits};
use daybook_log::{LedgerRow, NewEvent, Page, PageHead, ParkedMessage, RejectedMessage};
use daybook_messages::ReplyTo;
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::reply::Answer as ReplyAnswer;
use daybook_proto::v1::{Accepted, Caller, CommandResult, EventRef, KeyReused, Metadata, Next, Parked, PreconditionFailed, Refused, Who};
use prost::Message as _;
use uuid::Uuid;

use crate::HandlerError;
use crate::intake::{Arrival, Origin, keepable};
use crate::memory::{Held, Memory};

/// Largest event with its metadata, in bytes: what can't be published would stop a partition for ever.
const MAX_EVENT: usize = 900 * 1024;

/// The answer to the one that waits, once the page stands.
pub(crate) struct Answer {
    pub(crate) reply_to: Option<ReplyTo>,
    pub(crate) command_id: Uuid,
    pub(crate) replayed: bool,
    pub(crate) answer: ReplyAnswer,
    /// The commands that follow from a new result's events.
    pub(crate) next: Vec<Next>,
}

/// The outcome of a batch.
pub(crate) struct Decided {
    /// Arrivals that it covers, from the first; the rest goes into the next page.
    pub(crate) consumed: usize,
    /// None when every command was a repeat, or was parked.
    pub(crate) page: Option<Page>,
    pub(crate) answers: Vec<Answer>,
    /// To be parked before anything else: durable before the offset moves.
    pub(crate) parked: Vec<ParkedMessage>,
    /// Messages of processes under the id of another command: written down before anything else.
    pub(crate) rejected: Vec<RejectedMessage>,
    /// States that are true once the page stands.
    pub(crate) streams: HashMap<StreamId, Held>,
    /// Results that are true once the page stands.
    pub(crate) results: HashMap<Uuid, Arc<CommandResult>>,
    /// Commands, of those whose ids were looked up, that were new.
    pub(crate) new: usize,
    /// Whether one was a repeat.
    pub(crate) repeats: usize,
    /// Parked messages that have their result now.
    pub(crate) taken_up: Vec<Uuid>,
}

/// The place where the page will stand.
pub(crate) struct PageContext<'a> {
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    pub(crate) writer: &'a str,
    pub(crate) after: &'a PageHead,
    /// The last message that the lane is done with: a page names it also where its commands came by another way, so that a lane that begins
    /// later reads no more than it must.
    pub(crate) message_offset: i64,
    pub(crate) now: Instant,
    /// The install's.
    pub(crate) secret: &'a Secret,
    /// The install's.
    pub(crate) waits: &'a Arc<Waits>,
    /// Tells what follows from events.
    pub(crate) registry: &'a Registry,
    /// Most arrivals that the page covers: the streams of no more were read.
    pub(crate) limit: usize,
    /// A command that can't be written: it is parked for this reason.
    pub(crate) unwritable: Option<(Uuid, &'a str)>,
}

/// The fate of one arrival.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It is part of the batch.
    In,
    /// It is set aside after its state was touched: the batch ends here.
    Spoilt,
    /// The page has no room for it: the batch ends before it.
    NoRoom,
}

struct PageBuilder<'a> {
    place: &'a PageContext<'a>,
    now: Instant,
    events: Vec<NewEvent>,
    ledger: Vec<LedgerRow>,
    bytes: usize,
    decided: Decided,
}

/// Decides arrivals in order, until the page is full. `streams` holds every stream that they are addressed to, unless
/// it is blocked; `known` holds results that the ledger has.
pub(crate) fn decide(
    arrivals: &[Arrival],
    streams: HashMap<StreamId, Held>,
    known: &HashMap<Uuid, Arc<CommandResult>>,
    memory: &mut Memory,
    place: &PageContext<'_>,
) -> Decided {
    let mut batch = PageBuilder {
        place,
        now: place.now.max(place.after.recorded_at),
        events: Vec::new(),
        ledger: Vec::new(),
        bytes: 0,
        decided: Decided {
            consumed: 0,
            page: None,
            answers: Vec::with_capacity(arrivals.len()),
            parked: Vec::new(),
            rejected: Vec::new(),
            streams,
            results: HashMap::new(),
            new: 0,
            repeats: 0,
            taken_up: Vec::new(),
        },
    };
    let mut message_offset = place.message_offset;
    for arrival in arrivals.iter().take(place.limit) {
        let taken = batch.take(arrival, known, memory);
        if taken != Taken::NoRoom {
            batch.decided.consumed += 1;
            message_offset = arrival.origin.message_offset().unwrap_or(message_offset);
        }
        if taken != Taken::In {
            // Its state has moved on without being written: forgotten, and read again for the next page.
            batch.decided.streams.remove(&arrival.stream);
            break;
        }
    }
    let PageBuilder { events, ledger, mut decided, now, .. } = batch;
    if !ledger.is_empty() {
        decided.page = Some(Page::following(place.after, place.partition, place.writer, now, message_offset, events, ledger));
    }
    decided
}

impl PageBuilder<'_> {
    fn take(&mut self, arrival: &Arrival, known: &HashMap<Uuid, Arc<CommandResult>>, memory: &mut Memory) -> Taken {
        let id = &arrival.command_id;
        // In this order: earlier in this batch, of late, in the ledger.
        if let Some(result) = self.decided.results.get(id).cloned().or_else(|| memory.result(id)).or_else(|| known.get(id).cloned()) {
            self.repeat(arrival, &result);
            return Taken::In;
        }
        if let Some((_, reason)) = self.place.unwritable.filter(|(unwritable, _)| unwritable == id) {
            self.park(arrival, "unwritable", reason.to_owned());
            return Taken::In;
        }
        let Some(held) = self.decided.streams.get_mut(&arrival.stream) else {
            let reason = memory.blocked(&arrival.stream).map_or_else(|| "its stream could not be read".to_owned(), |b| b.reason.clone());
            self.park(arrival, "newer-build", reason);
            return Taken::In;
        };
        let before = held.version;
        let r = &arrival.request;
        if let Some(expected) = r.if_match.filter(|expected| *expected != before) {
            return self.write(arrival, before, Vec::new(), Outcome::PreconditionFailed(PreconditionFailed { expected }));
        }
        let context = Context::new(self.now, *id, self.place.secret).with_request(
            r.caller.as_ref().unwrap_or(&Caller::default()),
            &r.actor,
            &r.reason,
        );
        let context = context.with_waits(self.place.waits);
        // A panic is a bug of the decider: it costs this message, not the partition.
        match catch_unwind(AssertUnwindSafe(|| arrival.aggregate.decide(&mut held.state, &arrival.command, &context))) {
            Ok(ErasedDecision { events, refusal }) => {
                held.version += events.len() as u64;
                let outcome = refusal.map_or(Outcome::Accepted(Accepted {}), |r| {
                    Outcome::Refused(Refused {
                        code: r.code.to_owned(),
                        title: r.title.to_owned(),
                        r#type: r.type_name.to_owned(),
                        refusal: r.payload,
                    })
                });
                self.write(arrival, before, events, outcome)
            }
            Err(panic) => {
                self.park(arrival, "panic", format!("the decider {}", HandlerError::panicked(panic.as_ref())));
                Taken::Spoilt
            }
        }
    }

    /// Writes a result, with its events, into the page. `before` is the stream's version before them.
    fn write(&mut self, arrival: &Arrival, before: u64, events: Vec<ErasedEvent>, outcome: Outcome) -> Taken {
        let metadata = metadata(arrival);
        if let Some(large) = events.iter().find(|e| e.payload.len() + metadata.len() > MAX_EVENT) {
            let reason = format!(
                "{} would be {} bytes with its metadata; at most {MAX_EVENT} can be published",
                large.type_name,
                large.payload.len() + metadata.len()
            );
            self.park(arrival, "too-large", reason);
            return Taken::Spoilt;
        }
        let request = arrival.request.encode_to_vec();
        let bytes = request.len() + events.iter().map(|e| e.payload.len() + metadata.len() + 200).sum::<usize>() + 300;
        if !self.ledger.is_empty() && self.bytes + bytes > Page::MAX_BYTES {
            return Taken::NoRoom;
        }
        self.bytes += bytes;
        self.decided.new += 1;
        let first = self.place.after.next_offset() + i64::try_from(self.events.len()).expect("a page is bounded");
        let references: Vec<EventRef> =
            (first..).zip(&events).map(|(offset, e)| EventRef { r#type: e.type_name.to_owned(), offset }).collect();
        let result = CommandResult {
            service: self.place.service.to_owned(),
            stream_id: arrival.stream.as_str().to_owned(),
            version: before + events.len() as u64,
            offset: first + i64::try_from(events.len()).expect("a page is bounded") - 1,
            events: references,
            partition: self.place.partition,
            epoch: self.place.after.epoch.cast_unsigned(),
            command_digest: arrival.digest.to_vec(),
            outcome: Some(outcome),
        };
        let next = self.next(arrival, before, first, &events);
        for (event, version) in events.into_iter().zip(before + 1..) {
            self.events.push(NewEvent {
                stream_id: arrival.stream.as_str().to_owned(),
                version: version.cast_signed(),
                type_name: event.type_name.to_owned(),
                payload: event.payload,
                metadata: metadata.clone(),
            });
        }
        self.ledger.push(LedgerRow {
            stream_id: arrival.stream.as_str().to_owned(),
            command_id: arrival.command_id,
            request,
            result: result.encode_to_vec(),
        });
        let result = Arc::new(result);
        self.decided.results.insert(arrival.command_id, result.clone());
        self.decided.taken_up.extend(arrival.origin.parked_id());
        self.told(arrival, false, ReplyAnswer::Result((*result).clone()), next);
        Taken::In
    }

    /// The commands that follow from these events, for somebody who waits. They are not kept: another build may have other reactors.
    fn next(&self, arrival: &Arrival, before: u64, first: i64, events: &[ErasedEvent]) -> Vec<Next> {
        if arrival.reply_to.is_none() {
            return Vec::new();
        }
        let (mut version, mut place) = (
            before,
            EventPlace {
                epoch: self.place.after.epoch,
                service: self.place.service.to_owned(),
                partition: self.place.partition,
                offset: first - 1,
            },
        );
        let mut next = Vec::new();
        for event in events {
            (version, place.offset) = (version + 1, place.offset + 1);
            let at = EventAt { stream: &arrival.stream, version: Version(version), recorded_at: self.now };
            next.extend(following(self.place.registry, (event.type_name, &event.payload), &at, &place));
        }
        next
    }

    /// The original result, or 422 when it is another command under the same key. A process hears no answer: for it, the first result
    /// stands, and the other command is written down (its rule has changed between two sends of one reaction).
    fn repeat(&mut self, arrival: &Arrival, result: &CommandResult) {
        self.decided.repeats += 1;
        self.decided.taken_up.extend(arrival.origin.parked_id());
        if result.command_digest == arrival.digest {
            self.answer(arrival, true, ReplyAnswer::Result(result.clone()));
        } else {
            if arrival.request.caller.as_ref().is_some_and(|caller| caller.kind() == Who::Process) {
                self.reject(arrival);
            }
            self.answer(arrival, false, ReplyAnswer::KeyReused(KeyReused {}));
        }
    }

    fn reject(&mut self, arrival: &Arrival) {
        let message_offset = match arrival.origin {
            Origin::Kafka(offset) => offset,
            Origin::Parked(_) => -1,
            // It is written down when Kafka brings it.
            Origin::Beside => return,
        };
        let reason = format!(
            "{} sent another {} under the id of a command that has a result: its rule has changed in between, and the first result stands",
            arrival.request.caller.clone().unwrap_or_default().name(),
            arrival.request.r#type
        );
        self.decided.rejected.push(RejectedMessage {
            rejected_id: ids::misfit_id(self.place.service, self.place.partition, message_offset, &arrival.digest),
            message_offset,
            command_id: Some(arrival.command_id),
            reason,
            rejected_at: self.now,
        });
    }

    fn park(&mut self, arrival: &Arrival, kind: &str, reason: String) {
        // One that was parked before stays as it is, and one that was handed over is parked when Kafka brings it.
        let Origin::Kafka(message_offset) = arrival.origin else { return };
        let reason = keepable(reason);
        let parked_id = ids::misfit_id(self.place.service, self.place.partition, message_offset, arrival.command_id.as_bytes());
        self.decided.parked.push(ParkedMessage {
            parked_id,
            message_offset,
            stream_id: arrival.stream.as_str().to_owned(),
            command_id: arrival.command_id,
            kind: kind.to_owned(),
            reason: reason.clone(),
            request: arrival.request.encode_to_vec(),
            parked_at: self.now,
        });
        self.answer(
            arrival,
            false,
            ReplyAnswer::Parked(Parked { parked_id: parked_id.as_bytes().to_vec(), kind: kind.to_owned(), reason }),
        );
    }

    fn answer(&mut self, arrival: &Arrival, replayed: bool, answer: ReplyAnswer) {
        self.told(arrival, replayed, answer, Vec::new());
    }

    fn told(&mut self, arrival: &Arrival, replayed: bool, answer: ReplyAnswer, next: Vec<Next>) {
        self.decided.answers.push(Answer { reply_to: arrival.reply_to, command_id: arrival.command_id, replayed, answer, next });
    }
}

/// The commands that follow from an event, as a reply carries them.
pub(crate) fn following(registry: &Registry, event: (&str, &[u8]), at: &EventAt<'_>, place: &EventPlace) -> Vec<Next> {
    let next = |(rule, consequence): (&str, Consequence)| Next {
        r#type: consequence.type_name.unwrap_or_default().to_owned(),
        service: consequence.service.to_owned(),
        stream_id: consequence.target.as_str().to_owned(),
        command_id: consequence.command_id.as_bytes().to_vec(),
        offset: place.offset,
        rule: rule.to_owned(),
    };
    registry.consequences(event, at, place).into_iter().map(next).collect()
}

fn metadata(arrival: &Arrival) -> Vec<u8> {
    let r = &arrival.request;
    Metadata {
        command_id: arrival.command_id.as_bytes().to_vec(),
        // A command without one begins a correlation of its own.
        correlation_id: if r.correlation_id.is_empty() { arrival.command_id.to_string() } else { r.correlation_id.clone() },
        causation_id: r.causation_id.clone(),
        actor: r.actor.clone(),
        reason: r.reason.clone(),
        source_address: r.source_address.clone(),
        traceparent: r.traceparent.clone(),
        caller: r.caller.clone(),
        personal_subject: String::new(),
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests;
