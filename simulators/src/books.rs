//! What a simulator knows: its objects, the keys that it was asked under, and notices that were not taken yet. In memory, and in a file
//! of JSON lines that a simulator which was killed goes on from.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::notice::Notice;

/// Something that a simulator has: a payment, a parcel.
pub(crate) trait Object: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// Its id.
    fn id(&self) -> &str;
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// `create`, `capture`, …
    pub(crate) operation: String,
    /// The object's id; empty where it makes one.
    pub(crate) target: String,
    pub(crate) body: Value,
}

/// What came of a key, for as long as the books are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) asked: Asked,
    /// The object that it changed, or made; empty where it was refused before there was one.
    pub(crate) object: String,
    /// 200, or 402.
    pub(crate) status: u16,
    pub(crate) answer: Value,
    /// How often it was called, the first time included.
    pub(crate) calls: u64,
    /// When it was called first, in milliseconds since 1970.
    #[serde(default)]
    pub(crate) since: i64,
    /// Nobody gets an answer before this notice was taken, or that many seconds since 1970 are over.
    pub(crate) after_notice: Option<(String, i64)>,
}

/// A change: a line of the file.
#[derive(Serialize, Deserialize)]
#[serde(default, bound = "O: Object")]
pub(crate) struct Change<O> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<O>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Kept>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<Notice>,
    /// The id of a notice that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) taken: Option<String>,
}

impl<O> Default for Change<O> {
    fn default() -> Self {
        Self { object: None, kept: None, notices: Vec::new(), taken: None }
    }
}

/// All of it.
pub(crate) struct Books<O> {
    pub(crate) objects: BTreeMap<String, O>,
    pub(crate) keys: BTreeMap<String, Kept>,
    /// In the order of their making.
    pub(crate) untaken: Vec<Notice>,
    file: Option<File>,
}

impl<O: Object> Books<O> {
    /// As a file has them; empty ones without a file.
    ///
    /// # Errors
    /// When the file can't be read or made.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut books = Self { objects: BTreeMap::new(), keys: BTreeMap::new(), untaken: Vec::new(), file: None };
        let Some(path) = path else { return Ok(books) };
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let text = std::fs::read_to_string(path)?;
        for (n, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(change) => books.apply(change),
                // Who is killed may leave half a line: nobody was told of it.
                Err(error) => tracing::warn!(%error, line = n + 1, path = %path.display(), "a line of the state is passed over"),
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        books.file = Some(file);
        Ok(books)
    }

    /// Writes a change down, then does it. Before anybody is told.
    ///
    /// # Errors
    /// When the file can't be written: then nothing was done.
    pub(crate) fn change(&mut self, change: Change<O>) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_vec(&change)?;
            line.push(b'\n');
            file.write_all(&line)?;
        }
        self.apply(change);
        Ok(())
    }

    fn apply(&mut self, change: Change<O>) {
        if let Some(object) = change.object {
            self.objects.insert(object.id().to_owned(), object);
        }
        if let Some(kept) = change.kept {
            self.keys.insert(kept.key.clone(), kept);
        }
        self.untaken.extend(change.notices);
        if let Some(taken) = change.taken {
            self.untaken.retain(|notice| notice.id != taken);
        }
    }

    /// Whether what came of a key may be told already.
    pub(crate) fn may_tell(&self, kept: &Kept, now: i64) -> bool {
        kept.after_notice.as_ref().is_none_or(|(id, until)| now >= *until || self.untaken.iter().all(|notice| notice.id != *id))
    }
}
