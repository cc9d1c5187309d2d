//! Everything that a run left behind, as plain values: what the judge is given, and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::Entry;

/// The evidence that is judged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Questions of clients and their answers, in the order of asking.
    pub history: Vec<Entry>,
    /// The logs, a service each, read from Postgres by SQL when everything had caught up.
    pub logs: BTreeMap<String, Log>,
    /// `<service>.events` as Kafka keeps it: service, then partition, then the messages in Kafka's order.
    pub topics: BTreeMap<String, BTreeMap<i32, Vec<Published>>>,
    /// `<service>.messages.rejected` as Kafka keeps it, by service.
    #[serde(default)]
    pub rejected: BTreeMap<String, Vec<Rejected>>,
    /// Parts of the live generation of each read model.
    pub parts: BTreeMap<String, Vec<Part>>,
    /// The same parts as a fresh fold of the log gives them (`daybook replay diff`'s words where they differ).
    pub differences: BTreeMap<String, Vec<String>>,
    /// Answers of the query API for each key when everything had caught up: model, key, process → body.
    pub served: Vec<Served>,
    /// Checkpoints and heads as they were seen during the run, in the order of looking.
    pub sightings: Vec<Sighting>,
    /// Messages that were parked or rejected: service and command id (or key), with the reason.
    pub aside: Vec<Aside>,
    /// For each fault: what was measured of the way back.
    pub recoveries: Vec<Recovery>,
    /// Two builds served, of which one knows less.
    #[serde(default)]
    pub two_builds: bool,
    /// The offset from which on the reactor reacts, by partition of the log that it follows; none: from the log's beginning.
    #[serde(default)]
    pub reacting_from: BTreeMap<i32, i64>,
    /// The terms of checkpoints at the end, looked at twice.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// Clients placed orders, and all of these were brought to an end.
    #[serde(default)]
    pub orders: bool,
    /// What restores of the database have taken away, in order.
    #[serde(default)]
    pub pasts: Vec<Past>,
    /// It is of a moment at which work was under way: nothing has caught up, and nothing has come to its end.
    #[serde(default)]
    pub under_way: bool,
    /// The books of those outside, as they tell them themselves when everything had caught up: by the outsider's name.
    #[serde(default)]
    pub outside: BTreeMap<String, Value>,
}

/// The logs as they were when a restore put an earlier state in their place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Past {
    /// Microseconds since the run began: what was told until then was told of these logs.
    pub at: u64,
    /// By service.
    pub logs: BTreeMap<String, Log>,
    /// Messages that were parked or rejected.
    pub aside: Vec<Aside>,
}

/// One service's log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// The log's id (a UUID): page 0's `previous` rests on it.
    pub log_id: String,
    /// The number of its partitions.
    pub partitions: i32,
    /// Partition → its pages, in page order.
    pub pages: BTreeMap<i32, Vec<Page>>,
    /// Partition → its events, in offset order.
    pub events: BTreeMap<i32, Vec<Event>>,
    /// Partition → its ledger rows, by page and ordinal.
    pub commands: BTreeMap<i32, Vec<Ledger>>,
}

/// A row of `page`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct Page {
    pub page: i64,
    pub epoch: i32,
    pub first_offset: i64,
    pub count: i32,
    pub message_offset: i64,
    pub writer: String,
    pub recorded_at: i64,
    pub previous: Vec<u8>,
    pub digest: Vec<u8>,
}

/// A row of `event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct Event {
    pub offset: i64,
    pub stream_id: String,
    pub version: i64,
    pub r#type: String,
    pub payload: Vec<u8>,
    pub metadata: Vec<u8>,
    pub recorded_at: i64,
    pub digest: Vec<u8>,
    pub page: i64,
}

/// A row of `command`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the columns of the table, by their names")]
pub struct Ledger {
    pub stream_id: String,
    pub command_id: String,
    pub page: i64,
    pub ordinal: i32,
    pub request_digest: Vec<u8>,
    pub result: Vec<u8>,
}

/// A message of `<service>.events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The message's key: the stream id.
    pub key: String,
    /// `daybook-epoch`, `daybook-offset`, `daybook-version`.
    pub epoch: i32,
    /// The event's offset in the log.
    pub offset: i64,
    /// The stream's version.
    pub version: i64,
    /// `ce_type`.
    pub r#type: String,
    /// The digest of the event's page, as the message carries it.
    pub page_digest: Vec<u8>,
    /// The payload.
    pub value: Vec<u8>,
    /// Those of [`HEADERS`] that it carries, as text. None: of a run whose headers were not kept.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
}

/// Headers that the contract promises of an event in Kafka beside the fields of [`Published`], by the headers' names.
pub const HEADERS: [&str; 8] =
    ["ce_id", "ce_source", "ce_time", "ce_specversion", "content-type", "daybook-command-id", "daybook-correlation-id", "traceparent"];

/// A message of `<service>.messages.rejected`: what tells its sender which one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// `daybook-rejected-from`: where it stood in `<service>.messages`.
    pub from: String,
    /// `daybook-rejected-reason`.
    pub reason: String,
}

/// A part of a read model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The key that it stands under.
    pub key: String,
    /// The part's id below it.
    pub part: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A page of a read model, asked for when all was quiet again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The read model's name.
    pub model: String,
    /// The key that was asked for.
    pub key: String,
    /// Which process answered.
    pub at: String,
    /// 200 or 404.
    pub status: u16,
    /// The page.
    pub body: Value,
}

/// A number that may only grow, as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The thing that is counted: `log`, a version, or the checkpoint of a generation, with its place.
    pub what: String,
    /// Microseconds since the run began.
    pub at: u64,
    /// The number.
    pub value: i64,
}

/// A checkpoint's term, before and after a while in which nobody came or went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Which checkpoint: read model or reactor, and log partition.
    pub what: String,
    /// The term at first.
    pub before: i64,
    /// The term a few seconds later.
    pub after: i64,
}

/// A message that was set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The service.
    pub service: String,
    /// Its command id, where it has one.
    pub command_id: Option<String>,
    /// `rejected`, or the kind of what was parked.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// Parked, and not settled.
    #[serde(default)]
    pub open: bool,
    /// Where it stood in `<service>.messages`, partition and offset; none: of a run that did not keep it.
    #[serde(default)]
    pub place: Option<(i32, i64)>,
}

/// The way back from one fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The nemesis.
    pub nemesis: String,
    /// Microseconds from the end of the last fault to the first acknowledged command that was sent after it; none: it never came.
    pub first_acknowledged: Option<u64>,
    /// Microseconds from the end of the last fault until everything was caught up, and every endpoint took commands; none: never.
    pub caught_up: Option<u64>,
    /// The longest that it may take.
    pub within: u64,
}
