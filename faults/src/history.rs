//! The history that is judged: questions of clients, and their answers.
//!
//! An entry stands before anything is sent, and is completed when its client hears something. One that is never completed, for
//! whatever reason, may have taken effect all the same. Nothing here knows the engine: only what `contract.md` promises to those
//! outside.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One thing that a client asked, and what it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the history: 0, 1, 2 …, in the order of asking.
    pub n: usize,
    /// The client. One client asks one thing at a time, unless it repeats a command on purpose at once.
    pub client: u32,
    /// Microseconds since the run began, when it was sent.
    pub asked_at: u64,
    /// Microseconds since the run began, when it was told.
    pub told_at: u64,
    /// Its question.
    pub asked: Asked,
    /// Its answer.
    pub told: Answer,
}

/// A client's question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Asked {
    /// A command.
    Command(Command),
    /// `GET` of a handle that a 202 gave for this command.
    Handle {
        /// The command's.
        command: Command,
        /// The `Location`.
        location: String,
    },
    /// A read model's page.
    Read {
        /// The read model's name.
        model: String,
        /// The key that is asked for.
        key: String,
        /// The consistency tokens that went with it, as results gave them.
        tokens: Vec<String>,
        /// The process of the query API.
        at: String,
        /// The query string; empty: none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        query: String,
    },
}

/// A command as its client means it. Two of the same service, stream and key are the same command, or a mistake on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The service.
    pub service: String,
    /// The command, as in the URL.
    pub name: String,
    /// The stream that it addresses: `<aggregate>/<id>`.
    pub stream: String,
    /// The idempotency key.
    pub key: String,
    /// As protobuf JSON.
    pub body: Value,
    /// The stream's version that the client insists on.
    #[serde(default)]
    pub if_match: Option<u64>,
    /// Which way it went.
    pub via: Via,
}

/// The way of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Over HTTP, to the endpoint of this process.
    Http(String),
    /// Produced to `<service>.messages` by a Kafka client of another kind: nobody waits for its result.
    Kafka,
}

/// The answer that a client had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Answer {
    /// 200: it took effect, or had been done already (no events).
    Done {
        /// The command's id.
        command_id: String,
        /// The stream's version.
        version: u64,
        /// Type and log offset of each event.
        events: Vec<(String, u64)>,
        /// The consistency token.
        token: String,
        /// `Idempotent-Replayed` stood there.
        replayed: bool,
    },
    /// 409 or 412: the domain, or the condition, says no. Of a read 409: a token is of an epoch of the log that is over.
    Refused {
        /// The status.
        status: u16,
        /// The problem.
        body: Value,
        /// The consistency token, where one came.
        token: Option<String>,
        /// `Idempotent-Replayed` stood there.
        replayed: bool,
    },
    /// 202, or Kafka acknowledged a raw message: it will be decided once.
    Accepted {
        /// Where its result will be; none over Kafka.
        location: Option<String>,
    },
    /// 408, 429, or 503 without `unknown`: nothing was begun.
    Shed {
        /// The status.
        status: u16,
        /// `Retry-After` stood there.
        retry_after: bool,
    },
    /// Its client aborted the transaction of Kafka in which it was written: it is nobody's to see.
    Aborted,
    /// 400, 404, 410, 413, 415 or 422: it was not taken, for what the body says.
    Invalid {
        /// The status.
        status: u16,
        /// The problem.
        body: Value,
    },
    /// 503 with `unknown`, a time-out, a connection that ended, no acknowledgement from Kafka: it may take effect, or never.
    Unknown {
        /// The reason, as far as the client knows it.
        why: String,
    },
    /// 200 or 404 of a read: what the page said.
    Page {
        /// 200, or 404.
        status: u16,
        /// The page; null where there is none.
        body: Value,
        /// `Consistency-Position`: where each source stood, as tokens.
        positions: Vec<String>,
        /// The streams that `Daybook-Stale` and `Daybook-Hidden-Streams` name: they are parked, so that what is shown of them, if
        /// anything, is old. `*` stands for more of them, without their names.
        #[serde(default, deserialize_with = "named")]
        stale: Vec<String>,
    },
    /// A read that was not answered: 503, or the connection ended.
    NotServed {
        /// The reason, as far as the client knows it.
        why: String,
    },
    /// An answer that the contract does not know, such as a 500: always a violation.
    Unexpected {
        /// The status.
        status: u16,
        /// The body that came.
        body: String,
    },
}

/// Streams by name; of a history that only says whether there are any, the sign for all.
fn named<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Named(Vec<String>),
        Any(bool),
    }
    Ok(match Kept::deserialize(from)? {
        Kept::Named(names) => names,
        Kept::Any(any) => any.then(|| "*".to_owned()).into_iter().collect(),
    })
}

/// Keeps the history of a run, in memory and as lines of JSON in a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// In the order of asking: an entry's place is its number.
    entries: Vec<Entry>,
    /// Places of those that nothing was heard of yet, and that the file lacks.
    unheard: BTreeSet<usize>,
    file: BufWriter<File>,
}

impl Kept {
    /// The file is for people: a history that can't be written there is judged all the same.
    fn write(&mut self, n: usize) {
        if let Ok(line) = serde_json::to_string(&self.entries[n]) {
            let _ = writeln!(self.file, "{line}");
        }
    }
}

/// An entry that is under way.
#[derive(Debug)]
#[must_use = "what was told belongs to it"]
pub struct Open(usize);

impl Recorder {
    /// Begins a history, written to `path` as well.
    ///
    /// # Errors
    /// When the file can't be made.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Ok(Self { began: Instant::now(), kept: Arc::new(Mutex::new(Kept { entries: Vec::new(), unheard: BTreeSet::new(), file })) })
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// The same of another moment.
    pub fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Notes what is about to be asked.
    pub fn ask(&self, client: u32, asked: Asked) -> Open {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (n, now) = (kept.entries.len(), self.now());
        let told = Answer::Unknown { why: "nothing was heard".to_owned() };
        kept.entries.push(Entry { n, client, asked_at: now, told_at: now, asked, told });
        kept.unheard.insert(n);
        Open(n)
    }

    /// Notes what came of it.
    pub fn told(&self, open: Open, told: Answer) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = &mut kept.entries[open.0];
        (entry.told_at, entry.told) = (self.now(), told);
        kept.unheard.remove(&open.0);
        kept.write(open.0);
    }

    /// Microseconds since the run began when the first command was acknowledged, of those that were sent at `from` or later.
    pub fn first_acknowledged(&self, from: u64) -> Option<u64> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let later = kept.entries.iter().rev().take_while(|e| e.asked_at >= from);
        let acknowledged =
            |e: &&Entry| matches!(e.asked, Asked::Command(_)) && matches!(e.told, Answer::Done { .. } | Answer::Refused { .. });
        later.filter(acknowledged).map(|e| e.told_at).min()
    }

    /// Everything that has been asked so far, in the order of asking. What was not answered is in the file from now on, too: a
    /// line of the same number that comes later counts.
    pub fn entries(&self) -> Vec<Entry> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for n in std::mem::take(&mut kept.unheard) {
            kept.write(n);
        }
        let _ = kept.file.flush();
        kept.entries.clone()
    }
}
