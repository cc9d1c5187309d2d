//! Kafka beside the log. Sources: the protocol's "Kafka is a pipe" (the relay), the contract's "Kafka".

use std::collections::BTreeSet;

use super::case::Case;
use super::log::page_numbered;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Event, Page, Published};

/// One partition of a topic, and what the log has for it.
struct Topic<'a> {
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
}

/// Every rule of `<service>.events`.
pub(super) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for (service, log) in &case.evidence.logs {
        for partition in 0..log.partitions {
            let messages = case.evidence.topics.get(service).and_then(|topic| topic.get(&partition));
            let topic = Topic {
                place: format!("{service}.events/{partition}"),
                messages: messages.map(Vec::as_slice).unwrap_or_default(),
                events: log.events.get(&partition).map(Vec::as_slice).unwrap_or_default(),
                pages: log.pages.get(&partition).map(Vec::as_slice).unwrap_or_default(),
            };
            nothing_is_missing(&topic, findings);
            order_is_the_logs(&topic, findings);
            for message in topic.messages {
                message_is_its_event(&topic, message, findings);
            }
        }
    }
}

/// `kafka-missing`: now that all has caught up, each event was published.
fn nothing_is_missing(topic: &Topic<'_>, findings: &mut Findings) {
    let there: BTreeSet<i64> = topic.messages.iter().map(|m| m.offset).collect();
    for event in topic.events {
        findings.check(rules::KAFKA_MISSING, event.offset, there.contains(&event.offset), || {
            (format!("{} lacks the log's offset {}", topic.place, event.offset), vec![format!("{event:?}")])
        });
    }
}

/// `kafka-order`: first occurrences only grow; what comes again is a repeat, and counted.
fn order_is_the_logs(topic: &Topic<'_>, findings: &mut Findings) {
    let (mut seen, mut last) = (BTreeSet::new(), None::<&Published>);
    for message in topic.messages {
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
    let holds = page.is_some_and(|page| page.digest == message.page_digest && page.epoch == message.epoch);
    findings.check(rules::KAFKA_DIGEST, message.offset, holds, || {
        let what = format!("{}: offset {} was published with another page's digest or epoch", topic.place, message.offset);
        (what, vec![format!("{message:?}"), format!("{page:?}")])
    });
}
