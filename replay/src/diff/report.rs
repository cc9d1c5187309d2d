//! The report of a comparison of two generations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;

use super::fields::FieldDifference;
use crate::report::Counted;

/// So many streams are named; all are counted.
const NAMED: usize = 1_000;

/// In which way a part is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DifferenceKind {
    /// Both have it, with other bytes.
    Differs,
    /// The new generation lacks it.
    OnlyOld,
    /// The old generation lacks it.
    OnlyNew,
}

/// One part that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartDifference {
    /// The part's key.
    pub key: String,
    /// The part's id.
    pub part: String,
    /// The stream that writes it.
    pub stream: StreamName,
    /// In which way.
    pub kind: DifferenceKind,
    /// Of a part that both have: field by field. None of them: the same message, encoded in another way.
    pub fields: Vec<FieldDifference>,
    /// Of a part that one of them has: the message.
    pub message: Option<Json>,
    /// Why it can't be read.
    pub undecodable: Option<String>,
}

/// A stream of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamName {
    /// For example `catalog`.
    pub service: String,
    /// For example `product/A-1`.
    pub stream: String,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.service, self.stream)
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// The read model.
    pub projection: String,
    /// The generation that the other one is compared with.
    pub old: i32,
    /// The other one.
    pub new: i32,
    /// Parts that are the same.
    pub identical: u64,
    /// Parts that both have, with other bytes.
    pub differing: u64,
    /// Parts that only the old one has.
    pub only_old: u64,
    /// Parts that only the new one has.
    pub only_new: u64,
    /// Parts whose stream kept moving, so that they could not be compared.
    pub unsettled: u64,
    /// Of the parts that are not the same, those of the new one that are no message of the read model.
    pub undecodable: u64,
    /// In how many parts a field differs, without keys and indexes.
    pub fields: BTreeMap<String, u64>,
    /// The number of streams that write parts that are not the same.
    pub streams: u64,
    /// The first thousand of them, in order.
    pub stream_names: Vec<StreamName>,
    /// Streams that are parked in the new one only.
    pub newly_parked: Vec<StreamName>,
    /// Streams that are parked in the old one only.
    pub no_longer_parked: Vec<StreamName>,
    /// The first differences, as many as were asked for.
    pub shown: Vec<PartDifference>,
}

impl DiffReport {
    /// Parts that are not the same.
    pub fn differences(&self) -> u64 {
        self.differing + self.only_old + self.only_new
    }

    /// Whether all parts were compared and are the same, and the same streams are parked.
    pub fn is_identical(&self) -> bool {
        self.differences() + self.unsettled == 0 && self.newly_parked.is_empty() && self.no_longer_parked.is_empty()
    }

    /// Whether it is identical but for these fields, each with all that lies below it; as [`FieldDifference::field`] names them.
    pub fn is_expected(&self, fields: &[String]) -> bool {
        let expected =
            |field: &String| fields.iter().any(|f| field == f || field.strip_prefix(f.as_str()).is_some_and(|rest| rest.starts_with('.')));
        let others = self.only_old + self.only_new + self.unsettled + self.undecodable == 0;
        others && self.newly_parked.is_empty() && self.no_longer_parked.is_empty() && self.fields.keys().all(expected)
    }

    pub(super) fn name_streams(&mut self, streams: BTreeSet<StreamName>) {
        self.streams = streams.len() as u64;
        self.stream_names = streams.into_iter().take(NAMED).collect();
    }
}

impl fmt::Display for PartDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DifferenceKind::Differs => "differs",
            DifferenceKind::OnlyOld => "is gone",
            DifferenceKind::OnlyNew => "is new",
        };
        writeln!(f, "  {} {} {kind} ({})", self.key, self.part, self.stream)?;
        if let Some(why) = &self.undecodable {
            writeln!(f, "    can't be read: {why}")?;
        }
        if let Some(message) = &self.message {
            writeln!(f, "    {message}")?;
        }
        let value = |v: &Option<Json>| v.as_ref().map_or_else(|| "nothing".to_owned(), Json::to_string);
        self.fields.iter().try_for_each(|d| writeln!(f, "    {}: {} -> {}", d.path, value(&d.old), value(&d.new)))
    }
}

impl fmt::Display for DiffReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, old, new, .. } = self;
        if self.is_identical() {
            return writeln!(f, "{projection}: generations {old} and {new} are identical: {}", Counted(self.identical, "part"));
        }
        writeln!(
            f,
            "{projection}: generation {new} against {old}: {} identical, {} differ, {} gone, {} new",
            Counted(self.identical, "part"),
            self.differing,
            self.only_old,
            self.only_new
        )?;
        for (n, what) in [
            (self.unsettled, "could not be compared, for their streams kept moving"),
            (self.undecodable, "can't be read as the read model's message"),
        ] {
            if n > 0 {
                writeln!(f, "  {} {what}", Counted(n, "part"))?;
            }
        }
        for (field, n) in &self.fields {
            writeln!(f, "  {field}: in {}", Counted(*n, "part"))?;
        }
        for (what, streams) in [("parked now", &self.newly_parked), ("no longer parked", &self.no_longer_parked)] {
            for stream in streams {
                writeln!(f, "  {what}: {stream}")?;
            }
        }
        if self.streams > 0 {
            writeln!(f, "  of {}; the first {}:", Counted(self.streams, "stream"), Counted(self.shown.len(), "part"))?;
        }
        self.shown.iter().try_for_each(|d| write!(f, "{d}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_fields_can_be_expected_to_differ() {
        let expected = ["price".to_owned()];
        let same = DiffReport { identical: 3, ..DiffReport::default() };
        assert!(same.is_identical() && same.is_expected(&[]));
        let priced = DiffReport { differing: 1, fields: [("price.minorUnits".to_owned(), 1)].into(), ..same.clone() };
        assert!(!priced.is_identical() && priced.is_expected(&expected) && !priced.is_expected(&[]));
        let prices = DiffReport { fields: [("prices".to_owned(), 1)].into(), ..priced.clone() };
        assert!(!prices.is_expected(&expected), "another field that begins so");
        type Change = fn(&mut DiffReport);
        let changes: [(&str, Change); 6] = [
            ("gone", |r| r.only_old = 1),
            ("new", |r| r.only_new = 1),
            ("not settled", |r| r.unsettled = 1),
            ("no message", |r| (r.differing, r.undecodable) = (1, 1)),
            ("newly parked", |r| r.newly_parked = vec![StreamName { service: "s".into(), stream: "a/1".into() }]),
            ("no longer parked", |r| r.no_longer_parked = vec![StreamName { service: "s".into(), stream: "a/1".into() }]),
        ];
        for (what, change) in changes {
            let mut report = same.clone();
            change(&mut report);
            assert!(!report.is_identical() && !report.is_expected(&expected), "{what}");
        }
    }
}
