//! The report of an audit, for people and for programs.

use std::fmt;

use serde::Serialize;

/// Of one partition so many findings are told; the rest is counted. One deleted table should not fill a disk.
const TOLD: usize = 1_000;

/// The report of `verify`, partition by partition.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// By service, and by their numbers.
    pub partitions: Vec<PartitionReport>,
}

/// The contents of one log partition, counted, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionReport {
    /// For example `catalog`.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// The number of pages that were read.
    pub pages: u64,
    /// The number of events that were read.
    pub events: u64,
    /// The number of ledger rows that were read.
    pub commands: u64,
    /// The number of snapshots that were read.
    pub snapshots: u64,
    /// The last page's number; −1 when there is none.
    pub head_page: i64,
    /// The last page's digest, in hex: kept elsewhere, it proves later that nothing before it was changed.
    pub head_digest: String,
    /// The number of messages of `<service>.events` that came again; none when Kafka was not read. Repeats are no fault.
    pub repeats_on_kafka: Option<u64>,
    /// Faults.
    pub findings: Vec<Finding>,
    /// The number of findings beyond those that are told.
    pub more_findings: u64,
    /// Remarks for an auditor; none of them is a fault.
    pub notes: Vec<String>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `service/partition:offset` or `service/partition page N`.
    pub place: String,
    /// The thing that was looked at.
    pub what: String,
    /// Its right value.
    pub expected: String,
    /// Its value.
    pub found: String,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.partitions.iter().all(|p| p.findings.is_empty())
    }
}

impl PartitionReport {
    pub(crate) fn new(service: &str, partition: i32) -> Self {
        Self { service: service.to_owned(), partition, head_page: -1, ..Self::default() }
    }

    /// An offset's place.
    pub(crate) fn at(&self, offset: i64) -> String {
        format!("{}/{}:{offset}", self.service, self.partition)
    }

    /// A page's place.
    pub(crate) fn at_page(&self, page: i64) -> String {
        format!("{}/{} page {page}", self.service, self.partition)
    }

    pub(crate) fn find(&mut self, place: String, what: &str, expected: impl fmt::Display, found: impl fmt::Display) {
        if self.findings.len() >= TOLD {
            self.more_findings += 1;
            return;
        }
        self.findings.push(Finding { place, what: what.to_owned(), expected: expected.to_string(), found: found.to_string() });
    }

    /// A finding, unless both are the same.
    pub(crate) fn compare<T: PartialEq + fmt::Display>(&mut self, place: impl FnOnce(&Self) -> String, what: &str, expected: T, found: T) {
        if expected != found {
            let place = place(self);
            self.find(place, what, expected, found);
        }
    }
}

/// So many of something, as people say it: `1 event`, `2 events`.
pub(crate) struct Counted<N>(pub(crate) N, pub(crate) &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(n, what) = self;
        let more = if *n == N::from(1) { "" } else { if what.ends_with("ss") { "es" } else { "s" } };
        write!(f, "{n} {what}{more}")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: expected {}, found {}", self.place, self.what, self.expected, self.found)
    }
}

impl fmt::Display for PartitionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}: {}, {}, {}, {}",
            self.service,
            self.partition,
            Counted(self.pages, "page"),
            Counted(self.events, "event"),
            Counted(self.commands, "command"),
            Counted(self.snapshots, "snapshot")
        )?;
        if let Some(repeats) = self.repeats_on_kafka {
            write!(f, ", {} on Kafka", Counted(repeats, "repeat"))?;
        }
        writeln!(f, ", head page {} {}", self.head_page, self.head_digest)?;
        for finding in &self.findings {
            writeln!(f, "  WRONG {finding}")?;
        }
        if self.more_findings > 0 {
            writeln!(f, "  WRONG and {}", Counted(self.more_findings, "more finding"))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for partition in &self.partitions {
            write!(f, "{partition}")?;
        }
        let findings: u64 = self.partitions.iter().map(|p| p.findings.len() as u64 + p.more_findings).sum();
        let events: u64 = self.partitions.iter().map(|p| p.events).sum();
        if findings == 0 {
            writeln!(f, "sound: {} in {}", Counted(events, "event"), Counted(self.partitions.len(), "partition"))
        } else {
            let (findings, events) = (Counted(findings, "finding"), Counted(events, "event"));
            writeln!(f, "NOT SOUND: {findings} in {events} of {}", Counted(self.partitions.len(), "partition"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_something_is_told_as_one() {
        let one = PartitionReport {
            pages: 1,
            events: 1,
            commands: 1,
            snapshots: 0,
            repeats_on_kafka: Some(1),
            ..PartitionReport::new("catalog", 3)
        };
        let mut report = Report { partitions: vec![one] };
        let said = report.to_string();
        assert!(said.contains("catalog/3: 1 page, 1 event, 1 command, 0 snapshots, 1 repeat on Kafka,"), "{said}");
        assert!(said.contains("sound: 1 event in 1 partition\n"), "{said}");
        let place = report.partitions[0].at(0);
        report.partitions[0].find(place, "digest", "a", "b");
        assert!(report.to_string().contains("NOT SOUND: 1 finding in 1 event of 1 partition\n"));
        assert_eq!(Counted(2, "pass").to_string() + " " + &Counted(1, "pass").to_string(), "2 passes 1 pass");
    }

    #[test]
    fn a_finding_names_its_place_and_a_flood_of_them_is_counted() {
        let mut report = PartitionReport::new("catalog", 3);
        for offset in 0..1_500 {
            let place = report.at(offset);
            report.find(place, "digest", "a", "b");
        }
        assert_eq!(report.findings[7].to_string(), "catalog/3:7: digest: expected a, found b");
        assert_eq!((report.findings.len(), report.more_findings), (1_000, 500));
        let all = Report { partitions: vec![report] };
        assert!(!all.is_sound());
        assert!(all.to_string().contains("NOT SOUND: 1500 findings"));
    }
}
