//! Kafka beside the log, and beside what was rejected. Sources: the protocol's "Kafka is a pipe" (the relay), the contract's "Kafka".

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::case::Case;
use super::decode::{self, Token};
use super::log::page_numbered;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Event, Page, Published};

/// One partition of a topic, and what the log has for it.
struct Topic<'a> {
    service: &'a str,
    partition: i32,
    place: String,
    messages: &'a [Published],
    events: &'a [Event],
    pages: &'a [Page],
}

impl Topic<'_> {
    /// The log's event at an offset.
    fn event(&self, offset: i64) -> Option<&Event> {
        self.events.binary_search_by_key(&offset, |e| e.offset).ok().map(|at| &self.events[at])
    }

    /// Whether another epoch has begun at its place, or before it.
    fn is_void(&self, message: &Published) -> bool {
        self.pages.iter().any(|page| page.epoch > message.epoch && page.first_offset <= message.offset)
    }
}

/// Every rule of `<service>.events` and `<service>.messages.rejected`.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for (service, log) in &case.evidence.logs {
        for partition in 0..log.partitions {
            let messages = case.evidence.topics.get(service).and_then(|topic| topic.get(&partition));
            let topic = Topic {
                service,
                partition,
                place: format!("{service}.events/{partition}"),
                messages: messages.map(Vec::as_slice).unwrap_or_default(),
                events: log.events.get(&partition).map(Vec::as_slice).unwrap_or_default(),
                pages: log.pages.get(&partition).map(Vec::as_slice).unwrap_or_default(),
            };
            nothing_is_missing(&topic, findings);
            order_is_the_logs(&topic, findings);
            for message in topic.messages {
                match topic.is_void(message) {
                    true => void_was_an_event(case, &topic, message, findings),
                    false => message_is_its_event(&topic, message, findings),
                }
            }
        }
    }
    rejections_are_told(case, findings);
}

/// `rejection-untold`: whose message was rejected finds it, or the word of it, in Kafka; more than once where it was tried again.
fn rejections_are_told(case: &Case<'_>, findings: &mut Findings) {
    let all = case.evidence.rejected.iter().flat_map(|(service, all)| all.iter().map(move |told| (service.as_str(), told)));
    let told: HashSet<(&str, &str, &str)> = all.map(|(service, told)| (service, told.from.as_str(), told.reason.as_str())).collect();
    for aside in case.evidence.aside.iter().filter(|aside| aside.kind == "rejected") {
        let Some((partition, offset)) = aside.place else { continue };
        let (service, from) = (aside.service.as_str(), format!("{}/{partition} message {offset}", aside.service));
        findings.check(rules::REJECTION_UNTOLD, offset, told.contains(&(service, &from, &aside.reason)), || {
            let of_it = told.iter().filter(|(there, place, _)| *there == service && *place == from);
            let seen = std::iter::once(format!("{aside:?}")).chain(of_it.map(|(_, _, reason)| format!("stands there because: {reason}")));
            (format!("{service}.messages.rejected lacks {from}, or its reason"), seen.collect())
        });
    }
}

/// `kafka-missing`: now that all has caught up, each event was published.
fn nothing_is_missing(topic: &Topic<'_>, findings: &mut Findings) {
    let there: BTreeSet<i64> = topic.messages.iter().filter(|message| !topic.is_void(message)).map(|m| m.offset).collect();
    for event in topic.events {
        findings.check(rules::KAFKA_MISSING, event.offset, there.contains(&event.offset), || {
            (format!("{} lacks the log's offset {}", topic.place, event.offset), vec![format!("{event:?}")])
        });
    }
}

/// `kafka-order`: first occurrences only grow; what comes again is a repeat, and counted.
fn order_is_the_logs(topic: &Topic<'_>, findings: &mut Findings) {
    let (mut seen, mut last) = (BTreeSet::new(), None::<&Published>);
    for message in topic.messages.iter().filter(|message| !topic.is_void(message)) {
        if !seen.insert(message.offset) {
            findings.repeat();
            continue;
        }
        findings.check(rules::KAFKA_ORDER, message.offset, last.is_none_or(|last| last.offset < message.offset), || {
            let what = format!("{}: offset {} comes after a later one for the first time", topic.place, message.offset);
            (what, vec![format!("{last:?}"), format!("{message:?}")])
        });
        last = Some(message);
    }
}

/// `kafka-ahead`, `kafka-bytes`: what is void was an event, before a restore.
fn void_was_an_event(case: &Case<'_>, topic: &Topic<'_>, message: &Published, findings: &mut Findings) {
    let place = Token { service: topic.service.to_owned(), partition: topic.partition, offset: message.offset, epoch: message.epoch };
    let was = case.once_at(&place).map(|at| at.event);
    findings.check(rules::KAFKA_AHEAD, message.offset, was.is_some(), || {
        let what = format!("{} has offset {} of epoch {}, and the log never had", topic.place, message.offset, message.epoch);
        (what, vec![format!("{message:?}")])
    });
    let Some(was) = was else { return };
    let same = (&message.key, message.version, &message.r#type, &message.value) == (&was.stream_id, was.version, &was.r#type, &was.payload);
    findings.check(rules::KAFKA_BYTES, message.offset, same, || {
        let what = format!("{}: offset {} of epoch {} was another event", topic.place, message.offset, message.epoch);
        (what, vec![format!("{message:?}"), format!("{was:?}")])
    });
}

/// `kafka-ahead`, `kafka-bytes`, `kafka-digest`: each message, repeats too, is its event.
fn message_is_its_event(topic: &Topic<'_>, message: &Published, findings: &mut Findings) {
    let event = topic.event(message.offset);
    findings.check(rules::KAFKA_AHEAD, message.offset, event.is_some(), || {
        (format!("{} has offset {}, the log has not", topic.place, message.offset), vec![format!("{message:?}")])
    });
    let Some(event) = event else { return };
    let same = message.key == event.stream_id && message.version == event.version && message.r#type == event.r#type;
    findings.check(rules::KAFKA_BYTES, message.offset, same && message.value == event.payload, || {
        (format!("{}: offset {} is not the log's event", topic.place, message.offset), vec![format!("{message:?}"), format!("{event:?}")])
    });
    let page = page_numbered(topic.pages, event.page);
    if let (Some(headers), Some(page)) = (&message.headers, page) {
        headers_are_its_events(topic, message, headers, event, page, findings);
    }
    let holds = page.is_some_and(|page| page.digest == message.page_digest && page.epoch == message.epoch);
    findings.check(rules::KAFKA_DIGEST, message.offset, holds, || {
        let what = format!("{}: offset {} was published with another page's digest or epoch", topic.place, message.offset);
        (what, vec![format!("{message:?}"), format!("{page:?}")])
    });
}

/// `kafka-bytes`, its second half: what the contract promises in headers is what the event's row and its metadata say.
fn headers_are_its_events(
    topic: &Topic<'_>,
    message: &Published,
    headers: &BTreeMap<String, String>,
    event: &Event,
    page: &Page,
    findings: &mut Findings,
) {
    // Metadata that can't be read is a finding of its own.
    let Ok(metadata) = decode::metadata(&event.metadata) else { return };
    let told = |name: &str| headers.get(name).map(String::as_str);
    let id = format!("{}/{}:{}@{}", topic.service, topic.partition, event.offset, page.epoch);
    let (source, time) = (format!("/daybook/{}", topic.service), told("ce_time").and_then(decode::micros));
    let same = [
        ("ce_id", told("ce_id") == Some(id.as_str())),
        ("ce_source", told("ce_source") == Some(source.as_str())),
        ("ce_time", time == Some(event.recorded_at)),
        ("ce_specversion", told("ce_specversion") == Some("1.0")),
        ("content-type", told("content-type") == Some("application/protobuf")),
        ("daybook-command-id", told("daybook-command-id").map(|id| id.parse().ok()) == Some(metadata.command)),
        ("daybook-correlation-id", told("daybook-correlation-id") == Some(metadata.correlation.as_str())),
        ("traceparent", told("traceparent").unwrap_or_default() == metadata.traceparent),
    ];
    let wrong: Vec<&str> = same.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    findings.check(rules::KAFKA_BYTES, message.offset, wrong.is_empty(), || {
        let what = format!("{}: {} of offset {} are not the log's", topic.place, wrong.join(", "), message.offset);
        (what, vec![format!("{headers:?}"), format!("{metadata:?}"), format!("{event:?}")])
    });
}
