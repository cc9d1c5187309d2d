//! Builds the evidence of a run by hand: commands are decided by whoever writes the test, pages get right digests.

use std::collections::BTreeMap;

use daybook_faults::evidence::{Event, Evidence, Ledger, Log, Page, Past, Published, Rejected};
use daybook_faults::history::{Answer, Asked, Command, Entry, Via};
use daybook_faults::judge::digest;
use daybook_proto::v1::command_result::Outcome;
use daybook_proto::v1::{Accepted, Caller, CommandResult, EventRef, Metadata, Refused};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use uuid::Uuid;

/// Of each log.
pub(crate) const PARTITIONS: i32 = 2;
/// When the run began, in microseconds since 1970.
pub(crate) const BEGAN: i64 = 1_700_000_000_000_000;

/// W3C trace context of every command.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The test's decision of a command: its events, by the types' short names, or a refusal's code and the numbers with it.
pub(crate) enum End {
    Done(Vec<(&'static str, Value)>),
    Refused(&'static str, Value, Vec<(&'static str, Value)>),
}

/// The caller of a command, and its cause.
struct Origin {
    id: Uuid,
    caller: Caller,
    correlation_id: String,
    causation_id: String,
}

/// A run that is being built.
pub(crate) struct World {
    pub(crate) evidence: Evidence,
    versions: BTreeMap<String, i64>,
    now: i64,
    /// Of the pages that are written.
    epoch: i32,
}

/// A copy of the database.
pub(crate) struct Backup {
    logs: BTreeMap<String, Log>,
    versions: BTreeMap<String, i64>,
}

/// The encoding of a message of the shop.
pub(crate) fn encode(kind: &str, json: &Value) -> Vec<u8> {
    let descriptor = contract::descriptors().get_message_by_name(kind).expect("a type of the shop");
    DynamicMessage::deserialize(descriptor, json).expect("such a message").encode_to_vec()
}

/// A command over HTTP, to the first endpoint.
pub(crate) fn command(name: &str, stream: &str, key: &str, body: Value) -> Command {
    let service = service_of(stream);
    let (name, stream, key) = (name.to_owned(), stream.to_owned(), key.to_owned());
    Command { service: service.to_owned(), name, stream, key, body, if_match: None, via: Via::Http("e-1".to_owned()) }
}

/// The service that a stream is of.
pub(crate) fn service_of(stream: &str) -> &'static str {
    match stream.split('/').next().unwrap_or_default() {
        "product" => "catalog",
        "cart" => "cart",
        "order" => "order",
        "payment" => "payment",
        "shipment" => "shipping",
        _ => "inventory",
    }
}

fn type_of(command: &Command) -> String {
    let words = command.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
    format!("shop.{}.v1.{}", command.service, words.collect::<String>())
}

impl World {
    /// Two logs, each with page 0 in each partition.
    pub(crate) fn new() -> Self {
        Self::of(&["catalog", "inventory"])
    }

    /// The same with logs of these services.
    pub(crate) fn of(services: &[&str]) -> Self {
        let mut evidence = Evidence::default();
        for (n, service) in (1..).zip(services) {
            let mut log = Log { log_id: Uuid::from_u128(n).to_string(), partitions: PARTITIONS, ..Log::default() };
            for partition in 0..PARTITIONS {
                let birth = Page { epoch: 1, message_offset: -1, writer: "migrate".into(), recorded_at: BEGAN, ..Page::default() };
                log.pages.insert(partition, vec![birth]);
                log.events.insert(partition, Vec::new());
                log.commands.insert(partition, Vec::new());
            }
            evidence.logs.insert((*service).to_owned(), log);
        }
        Self { evidence, versions: BTreeMap::new(), now: 0, epoch: 1 }
    }

    /// The next moment, in microseconds since the run began.
    fn tick(&mut self) -> i64 {
        self.now += 1000;
        self.now
    }

    /// Copies the database.
    pub(crate) fn back_up(&self) -> Backup {
        Backup { logs: self.evidence.logs.clone(), versions: self.versions.clone() }
    }

    /// Puts the copy in the database's place, and begins another epoch in every partition.
    pub(crate) fn restore(&mut self, backup: Backup) {
        reforge(&mut self.evidence);
        let at = self.tick().unsigned_abs();
        let logs = std::mem::replace(&mut self.evidence.logs, backup.logs);
        self.evidence.pasts.push(Past { at, logs, aside: Vec::new() });
        self.versions = backup.versions;
        self.epoch += 1;
        let recorded_at = BEGAN + self.tick();
        for log in self.evidence.logs.values_mut() {
            for (partition, pages) in &mut log.pages {
                let (page, first_offset) = (pages.len() as i64, log.events[partition].len() as i64);
                let (epoch, writer) = (self.epoch, "operator".to_owned());
                pages.push(Page { page, epoch, first_offset, message_offset: page, writer, recorded_at, ..Page::default() });
            }
        }
    }

    /// Writes a page of these commands, which are of one partition; what each is to be told.
    pub(crate) fn page(&mut self, decided: Vec<(&Command, End)>) -> Vec<Answer> {
        let origin = |command: &Command| Origin {
            id: digest::command_id(&command.service, "anonymous", &command.stream, &command.key),
            caller: Caller::anonymous(),
            correlation_id: format!("c-{}", command.key),
            causation_id: String::new(),
        };
        self.write(decided.into_iter().map(|(command, end)| (command, origin(command), end)).collect())
    }

    /// Writes what the reactor `reorder` sends for this version of a stream, and what it leads to.
    pub(crate) fn reaction(&mut self, cause: (&str, i64), command: &Command, events: Vec<(&'static str, Value)>) {
        let origin = self.origin(cause, "reorder", &type_of(command), &command.stream);
        self.write(vec![(command, origin, End::Done(events))]);
    }

    /// Writes an event that a process has led to, by a command of which nothing is known but where it comes from.
    pub(crate) fn said(&mut self, cause: (&str, i64), stream: &str, kind: &'static str, body: Value) {
        let unknown = command("", stream, "", Value::Null);
        let origin = self.origin(cause, "rule", &format!("shop.{}.v1.{kind}", unknown.service), stream);
        self.write(vec![(&unknown, origin, End::Done(vec![(kind, body)]))]);
    }

    /// The same of the scheduler, by the name of the deadline that the cause has armed.
    pub(crate) fn fired(&mut self, cause: (&str, i64), deadline: &str, stream: &str, kind: &'static str, body: Value) {
        let unknown = command("", stream, "", Value::Null);
        let (at, sent) = (self.place(cause), self.origin(cause, "", "", stream));
        let id = digest::deadline_id(&at, "reservations", deadline, stream);
        let origin = Origin { id, caller: Caller::process("deadlines/reservations".to_owned()), ..sent };
        self.write(vec![(&unknown, origin, End::Done(vec![(kind, body)]))]);
    }

    /// The version of a stream.
    pub(crate) fn version(&self, stream: &str) -> i64 {
        self.versions.get(stream).copied().unwrap_or_default()
    }

    fn event(&self, (stream, version): (&str, i64)) -> &Event {
        let events_there = &self.evidence.logs[service_of(stream)].events[&digest::partition(stream, PARTITIONS)];
        events_there.iter().find(|event| event.stream_id == stream && event.version == version).expect("it stands")
    }

    /// Where a version of a stream stands.
    fn place(&self, at: (&str, i64)) -> digest::EventPlace<'static> {
        let (service, partition) = (service_of(at.0), digest::partition(at.0, PARTITIONS));
        digest::EventPlace { epoch: 1, service, partition, offset: self.event(at).offset }
    }

    /// A reactor, by the event that it reacts to, the type of its command, and the stream that gets it.
    fn origin(&self, cause: (&str, i64), reactor: &str, kind: &str, target: &str) -> Origin {
        let at = self.place(cause);
        Origin {
            id: digest::reaction_id(&at, reactor, kind, target),
            caller: Caller::process(format!("reactor/{reactor}")),
            correlation_id: Metadata::decode(self.event(cause).metadata.as_slice()).expect("metadata").correlation_id,
            causation_id: format!("{}/{}:{}@1", at.service, at.partition, at.offset),
        }
    }

    fn write(&mut self, decided: Vec<(&Command, Origin, End)>) -> Vec<Answer> {
        let (service, stream) = (decided[0].0.service.clone(), decided[0].0.stream.clone());
        let partition = digest::partition(&stream, PARTITIONS);
        let recorded_at = BEGAN + self.tick();
        let log = self.evidence.logs.get_mut(&service).expect("one of two");
        let (pages, events) = (log.pages.get_mut(&partition).expect("born"), log.events.get_mut(&partition).expect("born"));
        let first_offset = i64::try_from(events.len()).expect("few");
        let page = i64::try_from(pages.len()).expect("few");
        let rows = log.commands.get_mut(&partition).expect("born");
        let mut told = Vec::new();
        for (ordinal, (command, origin, end)) in (0..).zip(decided) {
            assert_eq!(
                (digest::partition(&command.stream, PARTITIONS), &command.service),
                (partition, &service),
                "one page, one partition"
            );
            let Origin { id, caller, correlation_id, causation_id } = origin;
            let (command_id, traceparent, actor) = (id.as_bytes().to_vec(), TRACE.to_owned(), "tester".into());
            let metadata =
                Metadata { command_id, correlation_id, causation_id, traceparent, actor, caller: Some(caller), ..Metadata::default() };
            let metadata = metadata.encode_to_vec();
            let (written, outcome, problem) = match end {
                End::Done(written) => (written, Outcome::Accepted(Accepted {}), None),
                End::Refused(code, members, written) => {
                    let refused = Refused { code: code.into(), title: "No".into(), ..Refused::default() };
                    (written, Outcome::Refused(refused), Some((code, members)))
                }
            };
            let mut named = Vec::new();
            for (kind, json) in written {
                let version = self.versions.entry(command.stream.clone()).or_default();
                *version += 1;
                let r#type = format!("shop.{service}.v1.{kind}");
                let offset = i64::try_from(events.len()).expect("few");
                named.push(EventRef { r#type: r#type.clone(), offset });
                let (stream_id, version, payload) = (command.stream.clone(), *version, encode(&r#type, &json));
                let metadata = metadata.clone();
                events.push(Event { offset, stream_id, version, r#type, payload, metadata, recorded_at, digest: Vec::new(), page });
            }
            let if_match = command.if_match.map_or(-1, u64::cast_signed);
            let result = CommandResult {
                service: service.clone(),
                stream_id: command.stream.clone(),
                version: self.versions.get(&command.stream).copied().unwrap_or_default().unsigned_abs(),
                events: named,
                partition,
                offset: i64::try_from(events.len()).expect("few") - 1,
                epoch: self.epoch.unsigned_abs(),
                command_digest: match command.name.as_str() {
                    "" => vec![7; 32],
                    _ => digest::command(&type_of(command), &encode(&type_of(command), &command.body), if_match),
                },
                outcome: Some(outcome),
            };
            told.push(answer(id, &result, problem));
            let request_digest = vec![7; 32];
            let (stream_id, result) = (command.stream.clone(), result.encode_to_vec());
            rows.push(Ledger { stream_id, command_id: id.to_string(), page, ordinal, request_digest, result });
        }
        let count = i32::try_from(events.len()).expect("few") - i32::try_from(first_offset).expect("few");
        let (epoch, message_offset, writer) = (self.epoch, page, "lane-1".to_owned());
        let (previous, digest) = (Vec::new(), Vec::new());
        pages.push(Page { page, epoch, first_offset, count, message_offset, writer, recorded_at, previous, digest });
        told
    }

    /// Writes a page of one command that takes effect.
    pub(crate) fn done(&mut self, command: &Command, events: Vec<(&'static str, Value)>) -> Answer {
        self.page(vec![(command, End::Done(events))]).remove(0)
    }

    /// Notes an entry of the history.
    pub(crate) fn note(&mut self, asked: Asked, told: Answer) {
        let asked_at = self.tick().unsigned_abs();
        let told_at = self.tick().unsigned_abs();
        let n = self.evidence.history.len();
        self.evidence.history.push(Entry { n, client: 1, asked_at, told_at, asked, told });
    }

    /// Notes a read that was answered with a page.
    pub(crate) fn read(&mut self, at: &str, (model, key): (&str, &str), tokens: &[&str], body: &Value, positions: &[&str]) {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
        let status = if body.is_null() { 404 } else { 200 };
        let told = Answer::Page { status, body: body.clone(), positions: texts(positions), stale: Vec::new() };
        let (model, key, at, query) = (model.to_owned(), key.to_owned(), at.to_owned(), String::new());
        self.note(Asked::Read { model, key, tokens: texts(tokens), at, query }, told);
    }
}

/// As the endpoint says it.
fn answer(id: Uuid, result: &CommandResult, problem: Option<(&str, Value)>) -> Answer {
    let token = format!("{}/{}:{}@{}", result.service, result.partition, result.offset, result.epoch);
    let Some((code, mut body)) = problem else {
        let events = result.events.iter().map(|e| (e.r#type.clone(), e.offset.unsigned_abs())).collect();
        return Answer::Done { command_id: id.to_string(), version: result.version, events, token, replayed: false };
    };
    body["type"] = json!(format!("urn:daybook:refusal:{code}"));
    body["commandId"] = json!(id.to_string());
    Answer::Refused { status: 409, body, token: Some(token), replayed: false }
}

/// Works out every digest of the logs anew: the chain says what stands now.
pub(crate) fn reforge(evidence: &mut Evidence) {
    for (service, log) in &mut evidence.logs {
        let log_id = log.log_id.parse().expect("a UUID");
        for (partition, pages) in &mut log.pages {
            let events = log.events.get_mut(partition).expect("born");
            for event in events.iter_mut() {
                event.digest = digest::event(*partition, event);
            }
            let mut previous = digest::birth(service, log_id, *partition, log.partitions);
            for page in pages {
                page.previous = previous;
                let of_page: Vec<&Event> = events.iter().filter(|e| e.page == page.page).collect();
                let rows: Vec<&Ledger> = log.commands[partition].iter().filter(|r| r.page == page.page).collect();
                page.digest = digest::page(*partition, page, &of_page, &rows).expect("UUIDs");
                previous = page.digest.clone();
            }
        }
    }
}

/// Publishes the logs as they stand.
pub(crate) fn publish(evidence: &mut Evidence) {
    evidence.topics = messages_of(&evidence.logs);
}

/// Messages of all events.
pub(crate) fn messages_of(logs: &BTreeMap<String, Log>) -> BTreeMap<String, BTreeMap<i32, Vec<Published>>> {
    let mut topics = BTreeMap::<String, BTreeMap<i32, Vec<Published>>>::new();
    for (service, log) in logs {
        let topic = topics.entry(service.clone()).or_default();
        for (partition, events) in &log.events {
            let message = |e: &Event| {
                let page = log.pages[partition].iter().find(|p| p.page == e.page).expect("it is of a page");
                let (key, epoch, offset, version) = (e.stream_id.clone(), page.epoch, e.offset, e.version);
                let (r#type, page_digest, value) = (e.r#type.clone(), page.digest.clone(), e.payload.clone());
                let headers = Some(headers(&format!("{service}/{partition}:{offset}@{epoch}"), service, e));
                Published { key, epoch, offset, version, r#type, page_digest, value, headers }
            };
            topic.insert(*partition, events.iter().map(message).collect());
        }
    }
    topics
}

/// Further headers of an event in Kafka.
fn headers(id: &str, service: &str, event: &Event) -> BTreeMap<String, String> {
    let metadata = Metadata::decode(event.metadata.as_slice()).expect("metadata");
    let time = chrono::DateTime::from_timestamp_micros(event.recorded_at).expect("a time");
    let command = Uuid::from_slice(&metadata.command_id).expect("a UUID");
    let all = [
        ("ce_id", id.to_owned()),
        ("ce_source", format!("/daybook/{service}")),
        ("ce_time", time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
        ("ce_specversion", "1.0".to_owned()),
        ("content-type", "application/protobuf".to_owned()),
        ("daybook-command-id", command.to_string()),
        ("daybook-correlation-id", metadata.correlation_id),
        ("traceparent", metadata.traceparent),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Tells the senders of messages that were rejected.
pub(crate) fn tell_rejected(evidence: &mut Evidence) {
    for aside in evidence.aside.iter().filter(|aside| aside.kind == "rejected") {
        let (partition, offset) = aside.place.expect("it stood somewhere");
        let from = format!("{}/{partition} message {offset}", aside.service);
        evidence.rejected.entry(aside.service.clone()).or_default().push(Rejected { from, reason: aside.reason.clone() });
    }
}
