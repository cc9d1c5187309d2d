//! The evidence, decoded once and indexed: what the rules look into.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::decode::{self, LedgerResult, Token};
use super::digest;
use super::log::{page_numbered, time_of};
use super::past::Lost;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Aside, Event, Evidence, Ledger, Log};
use crate::history::{Answer, Asked, Command, Entry};

/// The caller whose keys the harness's clients use: until there is authentication, everybody's.
pub(crate) const CALLER: &str = "anonymous";

/// The kind of what an older build parks.
const NEWER_BUILD: &str = "newer-build";

/// An event, with where it stands.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    pub(crate) event: &'a Event,
    /// The payload, default values written out; null where it can't be read.
    pub(crate) json: Value,
    /// The command in its metadata.
    pub(crate) command: Option<Uuid>,
}

impl Written<'_> {
    /// The type's name without its package.
    pub(crate) fn kind(&self) -> &str {
        self.event.r#type.rsplit('.').next().unwrap_or_default()
    }

    /// As a line for the verdict.
    pub(crate) fn line(&self) -> String {
        let (e, id) = (self.event, self.command.map(|id| id.to_string()).unwrap_or_default());
        let place = format!("{}/{}:{}", self.service, self.partition, e.offset);
        format!("event {place} {} version {} {} command {id} {}", e.stream_id, e.version, e.r#type, self.json)
    }
}

/// A ledger row, with where it stands.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    pub(crate) ledger: &'a Ledger,
    pub(crate) id: Option<Uuid>,
    /// None where it can't be read.
    pub(crate) result: Option<LedgerResult>,
    /// The time of its page.
    pub(crate) recorded_at: i64,
}

impl Row<'_> {
    /// As a line for the verdict.
    pub(crate) fn line(&self) -> String {
        let l = self.ledger;
        let place = format!("{}/{} page {} ordinal {}", self.service, self.partition, l.page, l.ordinal);
        format!("ledger row {place} {} command {} {:?}", l.stream_id, l.command_id, self.result)
    }
}

/// A command that clients asked for, with every entry about it, in the order of asking.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) service: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) id: Uuid,
    pub(crate) entries: Vec<(&'a Entry, &'a Command)>,
}

impl Deed<'_> {
    /// Its entries as lines for the verdict.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.entries.iter().map(|(entry, _)| entry_line(entry)).collect()
    }

    /// When it was first asked.
    pub(crate) fn moment(&self) -> i64 {
        self.entries.first().map_or(0, |(entry, _)| moment(entry))
    }
}

/// Facts about the services whose run is judged, beside their `.proto` files.
pub(crate) struct Domain {
    /// Events that a refusal may carry: a process learns of it by them, and nothing else changes.
    pub(crate) telling: &'static [&'static str],
    /// Read models that are there under every key.
    pub(crate) lists: &'static [&'static str],
    /// The command, as URLs name it, that an older build of a rolling upgrade does not know.
    pub(crate) newest_command: &'static str,
}

/// The evidence, indexed.
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) domain: &'static Domain,
    /// By service, partition and offset as they stand in the evidence.
    pub(crate) written: Vec<Written<'a>>,
    /// Events that a restore has taken away, each with its epoch: what they asked for is asked for still.
    pub(crate) void: Vec<(Written<'a>, i32)>,
    pub(crate) rows: Vec<Row<'a>>,
    pub(crate) deeds: Vec<Deed<'a>>,
    /// Places in `written`, by service and stream, in the order of offsets.
    pub(crate) streams: BTreeMap<(&'a str, &'a str), Vec<usize>>,
    places: HashMap<(&'a str, i32, i64), usize>,
    effects: HashMap<(&'a str, Uuid), Vec<usize>>,
    results: HashMap<(&'a str, Uuid), Vec<usize>>,
    aside: HashMap<(&'a str, Uuid), Vec<usize>>,
}

impl<'a> Case<'a> {
    /// Decodes everything; what can't be is a finding.
    pub(crate) fn of(evidence: &'a Evidence, domain: &'static Domain, findings: &mut Findings) -> Self {
        let mut case = Self {
            evidence,
            domain,
            written: Vec::new(),
            void: void(evidence),
            rows: Vec::new(),
            deeds: deeds(evidence),
            streams: BTreeMap::new(),
            places: HashMap::new(),
            effects: HashMap::new(),
            results: HashMap::new(),
            aside: HashMap::new(),
        };
        for (n, aside) in evidence.aside.iter().enumerate() {
            if let Some(id) = aside.command_id.as_ref().and_then(|id| id.parse().ok()) {
                case.aside.entry((aside.service.as_str(), id)).or_default().push(n);
            }
        }
        for (service, log) in &evidence.logs {
            case.read_events(service, log, findings);
            case.read_rows(service, log, findings);
        }
        case
    }

    fn read_events(&mut self, service: &'a str, log: &'a Log, findings: &mut Findings) {
        for (&partition, event) in log.events.iter().flat_map(|(p, events)| events.iter().map(move |e| (p, e))) {
            let json = decode::json(&event.r#type, &event.payload);
            let command = decode::metadata(&event.metadata).map(|metadata| metadata.command);
            let wrong = json.as_ref().err().or(command.as_ref().err()).cloned();
            findings.check(rules::UNREADABLE, event.recorded_at, wrong.is_none(), || {
                let place = format!("{service}/{partition}:{}", event.offset);
                (format!("event {place} can't be read: {}", wrong.unwrap_or_default()), vec![format!("{event:?}")])
            });
            let at = self.written.len();
            let command = command.ok().flatten();
            self.written.push(Written { service, partition, event, json: json.unwrap_or_default(), command });
            self.places.insert((service, partition, event.offset), at);
            self.streams.entry((service, event.stream_id.as_str())).or_default().push(at);
            if let Some(id) = command {
                self.effects.entry((service, id)).or_default().push(at);
            }
        }
    }

    fn read_rows(&mut self, service: &'a str, log: &'a Log, findings: &mut Findings) {
        for (&partition, ledger) in log.commands.iter().flat_map(|(p, rows)| rows.iter().map(move |r| (p, r))) {
            let recorded_at = log.pages.get(&partition).map_or(0, |pages| time_of(pages, ledger.page));
            let (result, id) = (decode::result(&ledger.result), ledger.command_id.parse::<Uuid>());
            findings.check(rules::UNREADABLE, recorded_at, result.is_ok() && id.is_ok(), || {
                let why = result.as_ref().err().cloned().or(id.as_ref().err().map(ToString::to_string)).unwrap_or_default();
                let place = format!("{service}/{partition} page {} ordinal {}", ledger.page, ledger.ordinal);
                (format!("ledger row {place} can't be read: {why}"), vec![format!("{ledger:?}")])
            });
            let (result, id) = (result.ok(), id.ok());
            if let Some(id) = id {
                self.results.entry((service, id)).or_default().push(self.rows.len());
            }
            self.rows.push(Row { service, partition, ledger, id, result, recorded_at });
        }
    }

    /// The partition of a stream in the service's log; none where there is no such log.
    pub(crate) fn partition(&self, service: &str, stream: &str) -> Option<i32> {
        self.evidence.logs.get(service).map(|log| digest::partition(stream, log.partitions))
    }

    /// The event at a place.
    pub(crate) fn event_at(&self, service: &str, partition: i32, offset: i64) -> Option<&Written<'a>> {
        self.places.get(&(service, partition, offset)).map(|n| &self.written[*n])
    }

    /// The epoch of an event of the log; none where its page is missing.
    pub(crate) fn epoch_of(&self, at: &Written<'_>) -> Option<i32> {
        let pages = self.evidence.logs.get(at.service)?.pages.get(&at.partition)?;
        Some(page_numbered(pages, at.event.page)?.epoch)
    }

    /// The number of epochs that a partition has had.
    pub(crate) fn epochs(&self, service: &str, partition: i32) -> usize {
        let pages = self.evidence.logs.get(service).and_then(|log| log.pages.get(&partition));
        pages.into_iter().flatten().map(|page| page.epoch).collect::<BTreeSet<_>>().len()
    }

    /// Whether another epoch has begun at a place, or before it: what stood there does not any more.
    pub(crate) fn is_void(&self, place: &Token) -> bool {
        let pages = self.evidence.logs.get(&place.service).and_then(|log| log.pages.get(&place.partition));
        pages.into_iter().flatten().any(|page| page.epoch > place.epoch && page.first_offset <= place.offset)
    }

    /// Whether what has led to an event is void: it asked before a restore took it away.
    pub(crate) fn is_of_the_void(&self, at: &Written<'_>) -> bool {
        let cause = decode::metadata(&at.event.metadata).map(|metadata| metadata.causation).unwrap_or_default();
        decode::tokens(&[cause]).iter().any(|cause| self.is_void(cause))
    }

    /// The event that stood at a place in an epoch, also where a restore has taken it away.
    pub(crate) fn once_at(&self, place: &Token) -> Option<&Written<'a>> {
        let is_it = |at: &Written<'_>| (at.service, at.partition, at.event.offset) == (&place.service, place.partition, place.offset);
        let stands = self.event_at(&place.service, place.partition, place.offset).filter(|at| self.epoch_of(at) == Some(place.epoch));
        stands.or_else(|| self.void.iter().find(|(at, epoch)| *epoch == place.epoch && is_it(at)).map(|(at, _)| at))
    }

    /// All events that a command led to.
    pub(crate) fn effects<'s>(&'s self, service: &'s str, id: Uuid) -> impl ExactSizeIterator<Item = &'s Written<'a>> {
        self.effects.get(&(service, id)).map(Vec::as_slice).unwrap_or_default().iter().map(|n| &self.written[*n])
    }

    /// All ledger rows of a command.
    pub(crate) fn results<'s>(&'s self, service: &'s str, id: Uuid) -> impl ExactSizeIterator<Item = &'s Row<'a>> {
        self.results.get(&(service, id)).map(Vec::as_slice).unwrap_or_default().iter().map(|n| &self.rows[*n])
    }

    /// Messages of a command among those that were set aside.
    pub(crate) fn set_aside<'s>(&'s self, service: &'s str, id: Uuid) -> impl Iterator<Item = &'s Aside> {
        let known = self.aside.get(&(service, id)).map(Vec::as_slice).unwrap_or_default();
        known.iter().map(|n| &self.evidence.aside[*n])
    }

    /// Whether an older build had left it to the newer one, which took it up.
    pub(crate) fn is_for_a_newer_build(&self, aside: &Aside) -> bool {
        self.evidence.two_builds && aside.kind == NEWER_BUILD && !aside.open
    }

    /// A command's result: the first, where there are several.
    pub(crate) fn result<'s>(&'s self, service: &'s str, id: Uuid) -> Option<(&'s Row<'a>, &'s LedgerResult)> {
        self.results(service, id).find_map(|row| row.result.as_ref().map(|result| (row, result)))
    }
}

/// The events that restores have taken away. What can't be read of them is a finding of that past.
fn void(evidence: &Evidence) -> Vec<(Written<'_>, i32)> {
    let mut all = Vec::new();
    for past in &evidence.pasts {
        for lost in Lost::of(past, &evidence.logs) {
            all.extend(lost.events().map(|(event, epoch)| {
                let json = decode::json(&event.r#type, &event.payload).unwrap_or_default();
                let command = decode::metadata(&event.metadata).ok().and_then(|metadata| metadata.command);
                (Written { service: lost.service, partition: lost.partition, event, json, command }, epoch)
            }));
        }
    }
    all
}

/// The commands of the history: two entries of one service, stream and key are about the same command.
fn deeds(evidence: &Evidence) -> Vec<Deed<'_>> {
    let mut places: HashMap<(&str, &str, &str), usize> = HashMap::new();
    let mut deeds: Vec<Deed<'_>> = Vec::new();
    for entry in &evidence.history {
        let (Asked::Command(command) | Asked::Handle { command, .. }) = &entry.asked else { continue };
        let (service, stream) = (command.service.as_str(), command.stream.as_str());
        let place = *places.entry((service, stream, &command.key)).or_insert_with(|| {
            let id = digest::command_id(service, CALLER, stream, &command.key);
            deeds.push(Deed { service, stream, id, entries: Vec::new() });
            deeds.len() - 1
        });
        deeds[place].entries.push((entry, command));
    }
    deeds
}

/// An entry of the history as a line for the verdict.
pub(crate) fn entry_line(entry: &Entry) -> String {
    serde_json::to_string(entry).map_or_else(|e| format!("history entry {}: {e}", entry.n), |json| format!("history {json}"))
}

/// When an entry was asked.
pub(crate) fn moment(entry: &Entry) -> i64 {
    i64::try_from(entry.asked_at).unwrap_or(i64::MAX)
}

/// A final answer to a command: it took effect, or was refused.
pub(crate) fn is_final(told: &Answer) -> bool {
    matches!(told, Answer::Done { .. } | Answer::Refused { .. })
}
