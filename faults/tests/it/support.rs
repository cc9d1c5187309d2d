//! Breaking the good run, one thing at a time.

use std::collections::BTreeSet;

use daybook_faults::evidence::{Event, Evidence, Ledger, Page};
use daybook_faults::history::{Answer, Asked, Entry};
use daybook_faults::judge::digest;
use daybook_faults::shop::judge;
use serde_json::Value;

use crate::good::good;
use crate::world::{PARTITIONS, service_of};

/// Breaks the good run: the first violation must be of this rule, and the only others of those that can't but fall with it.
#[track_caller]
pub(crate) fn caught(invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Evidence)) {
    caught_in(good(), invariant, rule, also, breaking);
}

/// The same of another good run.
#[track_caller]
pub(crate) fn caught_in(mut evidence: Evidence, invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Evidence)) {
    breaking(&mut evidence);
    let verdict = judge(&evidence);
    let first = verdict.first().map(|v| (v.invariant, v.rule));
    assert_eq!(first, Some((invariant, rule)), "{verdict}");
    let expected: BTreeSet<&str> = also.iter().copied().chain([rule]).collect();
    assert_eq!(verdict.found.keys().copied().collect::<BTreeSet<_>>(), expected, "{verdict}");
    assert!(!verdict.violations[0].seen.is_empty(), "it must show what it saw: {verdict}");
}

/// Where a stream stands.
pub(crate) fn place(stream: &str) -> (&'static str, i32) {
    (service_of(stream), digest::partition(stream, PARTITIONS))
}

/// The events of the stream's partition.
pub(crate) fn events<'e>(evidence: &'e mut Evidence, stream: &str) -> &'e mut Vec<Event> {
    let (service, partition) = place(stream);
    evidence.logs.get_mut(service).and_then(|log| log.events.get_mut(&partition)).expect("it has events")
}

/// The pages of the stream's partition.
pub(crate) fn pages<'e>(evidence: &'e mut Evidence, stream: &str) -> &'e mut Vec<Page> {
    let (service, partition) = place(stream);
    evidence.logs.get_mut(service).and_then(|log| log.pages.get_mut(&partition)).expect("it has pages")
}

/// The ledger rows of the stream's partition.
pub(crate) fn rows<'e>(evidence: &'e mut Evidence, stream: &str) -> &'e mut Vec<Ledger> {
    let (service, partition) = place(stream);
    evidence.logs.get_mut(service).and_then(|log| log.commands.get_mut(&partition)).expect("it has a ledger")
}

/// An event, by its stream and version.
pub(crate) fn event<'e>(evidence: &'e mut Evidence, stream: &str, version: i64) -> &'e mut Event {
    events(evidence, stream).iter_mut().find(|e| e.stream_id == stream && e.version == version).expect("it stands")
}

/// The ledger row of a command.
pub(crate) fn row<'e>(evidence: &'e mut Evidence, stream: &str, key: &str) -> &'e mut Ledger {
    let id = digest::command_id(service_of(stream), "anonymous", stream, key).to_string();
    rows(evidence, stream).iter_mut().find(|row| row.command_id == id).expect("it stands")
}

/// The answers to a command, its handle's too, in the order of asking.
pub(crate) fn answers<'e>(evidence: &'e mut Evidence, stream: &str, key: &str) -> Vec<&'e mut Entry> {
    let is_it = |entry: &&mut Entry| match &entry.asked {
        Asked::Command(command) | Asked::Handle { command, .. } => command.stream == stream && command.key == key,
        Asked::Read { .. } => false,
    };
    evidence.history.iter_mut().filter(is_it).collect()
}

/// The n-th read of a key, from 0: its tokens, its body and its positions.
pub(crate) fn read<'e>(
    evidence: &'e mut Evidence,
    model: &str,
    key: &str,
    n: usize,
) -> (&'e mut Vec<String>, &'e mut Value, &'e mut Vec<String>) {
    let read = evidence.history.iter_mut().filter_map(|entry| match (&mut entry.asked, &mut entry.told) {
        (Asked::Read { model: m, key: k, tokens, .. }, Answer::Page { body, positions, .. }) if m == model && k == key => {
            Some((tokens, body, positions))
        }
        _ => None,
    });
    read.into_iter().nth(n).expect("it was read")
}

/// All messages of the stream's partition of `<service>.events`.
pub(crate) fn messages<'e>(evidence: &'e mut Evidence, stream: &str) -> &'e mut Vec<daybook_faults::evidence::Published> {
    let (service, partition) = place(stream);
    evidence.topics.get_mut(service).and_then(|topic| topic.get_mut(&partition)).expect("it is published")
}
