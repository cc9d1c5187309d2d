//! Postgres' own words about a fault, in its log, whose lines begin as `scripts/services` has them: time, process, application.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::lanes::Partition;
use crate::cluster::{Cluster, Service};

/// The beginning of a line that belongs to the message before it.
const BELONGS: [&str; 6] = ["DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION"];
/// The beginning of the names of Daybook's own connections; the harness' have none.
const DAYBOOK: &str = "daybook ";
/// The connection that a lane's pages go by.
const WRITER: &str = "daybook writer";
const DISK_FULL: &str = "No space left on device";

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    at: DateTime<Utc>,
    /// The application whose statement it is about; empty for Postgres' own processes.
    application: String,
    severity: String,
    /// With its details, and the statement.
    text: String,
}

impl Said {
    /// The server gives up, because a disk is full.
    pub(super) fn is_panic_of_a_full_disk(&self) -> bool {
        self.severity == "PANIC" && self.text.contains(DISK_FULL)
    }

    /// A statement of Daybook's, not of the harness', found no place on the disk.
    pub(super) fn refuses_daybook_for_a_full_disk(&self) -> bool {
        self.application.starts_with(DAYBOOK) && self.severity == "ERROR" && self.text.contains(DISK_FULL)
    }

    /// The place where a lane tried to append a page, and another page stood already.
    pub(super) fn fenced(&self) -> Option<(Partition, i64)> {
        if self.application != WRITER || !self.text.starts_with("duplicate key value violates unique constraint \"page_") {
            return None;
        }
        let (_, key) = self.text.split_once("Key (partition, page)=(")?;
        let (number, page) = key.split_once(')')?.0.split_once(", ")?;
        let (_, statement) = self.text.split_once("INSERT INTO ")?;
        // A service may be named as a word of SQL is, so each is quoted.
        let service = statement.split_once(".page_")?.0.trim_matches('"');
        Some(((service.to_owned(), number.parse().ok()?), page.parse().ok()?))
    }
}

/// Messages of Postgres since a moment of the machine's clock, as far as it is kept: a log is gone at the second start after it.
pub(super) fn said_since(cluster: &Cluster, since: DateTime<Utc>) -> Vec<Said> {
    let mut all = read(&cluster.service_log(Service::Postgres));
    // It writes whole milliseconds.
    all.retain(|said| said.at.timestamp_millis() >= since.timestamp_millis());
    all
}

fn read(log: &str) -> Vec<Said> {
    let mut all = Vec::<Said>::new();
    for line in log.lines() {
        match (head(line), all.last_mut()) {
            (Some(said), Some(before)) if BELONGS.contains(&said.severity.as_str()) => {
                before.text.push('\n');
                before.text.push_str(&said.text);
            }
            (Some(said), _) => all.push(said),
            (None, Some(before)) => {
                before.text.push('\n');
                before.text.push_str(line);
            }
            (None, None) => {}
        }
    }
    all
}

/// A line that begins something.
fn head(line: &str) -> Option<Said> {
    let (at, rest) = line.split_once(" UTC [")?;
    let at = NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc();
    let (who, text) = rest.split_once("] ")?.1.split_once(":  ")?;
    let (application, severity) = who.rsplit_once(' ').unwrap_or(("", who));
    Some(Said { at, application: application.to_owned(), severity: severity.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-11-26 02:17:07.568 UTC [13563] daybook writer ERROR:  duplicate key value violates unique constraint \"page_0_pkey\"
2026-11-26 02:17:07.568 UTC [13563] daybook writer DETAIL:  Key (partition, page)=(0, 538) already exists.
2026-11-26 02:17:07.568 UTC [13563] daybook writer STATEMENT:  -- Appends one page: its row.
\tWITH page AS (
\t    INSERT INTO catalog.page_0 (partition, page, epoch)
2026-11-26 02:17:08.001 UTC [13570] daybook projector ERROR:  could not extend file \"base/16384/16500\": No space left on device
2026-11-26 02:17:08.001 UTC [13570] daybook projector HINT:  Check free disk space.
2026-11-26 02:17:08.002 UTC [13571] [unknown] ERROR:  could not extend file \"base/16384/16500\": No space left on device
2026-11-26 02:17:09.000 UTC [13572]  PANIC:  could not write to file \"pg_wal/xlogtemp.13572\": No space left on device
";

    #[test]
    fn messages_come_with_their_details() {
        let said = read(LOG);
        assert_eq!(said.len(), 4);
        assert_eq!(said[0].fenced(), Some((("catalog".to_owned(), 0), 538)));
        let told = |of: fn(&Said) -> bool| said.iter().map(of).collect::<Vec<_>>();
        assert_eq!(told(Said::refuses_daybook_for_a_full_disk), [false, true, false, false]);
        assert_eq!(told(Said::is_panic_of_a_full_disk), [false, false, false, true]);
    }

    #[test]
    fn a_takeover_that_collides_is_no_zombie() {
        let said = read(&LOG.replace("daybook writer", "daybook takeover"));
        assert_eq!(said[0].fenced(), None);
    }
}
