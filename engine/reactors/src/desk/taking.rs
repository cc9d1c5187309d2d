//! How calls come to the desk: told by the follower, read from the table, hastened by an operator.

use std::time::Duration;

use daybook_kernel::Instant as Moment;
use futures_util::future::join_all;
use tokio::time::Instant;
use uuid::Uuid;

use super::rows::Read;
use super::{BEGINNING, HELD, Work};
use crate::ReactorError;
use crate::call::{AT_ONCE, At, Call};
use crate::store::CallRow;

/// Rows that are read at once.
const READ_AT_ONCE: i64 = 1_024;
/// Events of rows that are read side by side.
const EVENTS_AT_ONCE: usize = 4;
/// Between two looks what an operator has hastened.
pub(super) const BETWEEN_NOTES: Duration = Duration::from_secs(1);

impl Work {
    /// Whether there are rows to read and room for them.
    pub(super) fn wants_more(&self, now: Moment) -> bool {
        self.has_room() && self.next_due.is_some_and(|due| due <= now)
    }

    fn has_room(&self) -> bool {
        self.book.len() <= HELD / 2
    }

    /// When rows are to be read.
    pub(super) fn next_read(&self, now: Moment) -> Option<Instant> {
        let due = self.next_due.filter(|_| self.has_room())?;
        if due <= now {
            return Some(self.read_at);
        }
        // No longer than a look: a clock may be set.
        let micros = u64::try_from(due.micros().saturating_sub(now.micros())).unwrap_or(0);
        Some(Instant::now() + Duration::from_micros(micros).min(BETWEEN_NOTES))
    }

    /// The rows of these stand by now. True: one of them waits for nothing but a look into the ledger.
    pub(super) fn add(&mut self, calls: Vec<Call>, repeats: bool) -> bool {
        if !self.waits && self.next_due.is_none() && self.book.len() + calls.len() <= HELD {
            let mut waits_for_the_ledger = false;
            for call in calls {
                self.read_to = self.read_to.max(call.at());
                waits_for_the_ledger |= self.book.hold(call, 0, repeats);
            }
            return waits_for_the_ledger;
        }
        // Those before them come first, from the table. A parked stream that flows again has older ones than were read, and a deadline may be
        // due sooner than those that were.
        for (due_at, offset, id) in calls.iter().map(Call::at) {
            if (due_at, offset, id) <= self.read_to {
                self.read_to = (due_at, offset - 1, Uuid::max());
            }
            self.next_due = Some(self.next_due.map_or(due_at, |next| next.min(due_at)));
        }
        false
    }

    /// Rows may stand that it was not told of. Those that it holds, or has under way, stay as they are.
    pub(super) fn read_again(&mut self) {
        (self.read_to, self.next_due) = (BEGINNING, Some(AT_ONCE));
    }

    /// Reads rows behind those that are held, as far as they are due, with their events.
    pub(super) async fn read(&mut self, now: Moment) -> Result<(), ReactorError> {
        let rows = self.shared.store.calls_after(self.read_to, now, READ_AT_ONCE).await?;
        let is_last = rows.len() < usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX);
        self.take(rows, true).await?;
        self.next_due = match is_last {
            false => Some(now),
            true if self.waits => self.shared.store.next_due(self.read_to).await?,
            true => None,
        };
        Ok(())
    }

    /// Holds the calls of these rows. `in_order`: they come behind those that were read.
    async fn take(&mut self, rows: Vec<CallRow>, in_order: bool) -> Result<(), ReactorError> {
        let shared = self.shared.clone();
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<(At, i32, Option<CallRow>)> = rows
                .by_ref()
                .take(EVENTS_AT_ONCE)
                .map(|row| (row.at, row.tries, (!self.book.holds(&row.at) && !self.left.contains(&row.at)).then_some(row)))
                .collect();
            let read = join_all(some.into_iter().map(async |(at, tries, row)| match row {
                Some(row) => (at, tries, shared.read(row).await.map(Some)),
                None => (at, tries, Ok(None)),
            }));
            for (at, tries, read) in read.await {
                match read? {
                    None => {}
                    Some(Read::Call(call)) => _ = self.book.hold(*call, tries, true),
                    Some(Read::Stays(why)) => {
                        tracing::error!(rule = shared.rule.name(), offset = at.1, why, "this build can't do a call; its row stays");
                        shared.meters.failures.increment(1);
                        self.left.insert(at);
                        shared.store.keep_failure(at, tries.saturating_add(1), &why, shared.term).await?;
                    }
                    Some(Read::OfAnotherPast) => {
                        tracing::warn!(rule = shared.rule.name(), offset = at.1, "a call of events that the log has not is dropped");
                        shared.store.end_calls(&[at], shared.term).await?;
                    }
                }
                if in_order {
                    self.read_to = self.read_to.max(at);
                }
            }
        }
        Ok(())
    }

    /// Sees the table, and takes in what an operator has hastened.
    pub(super) async fn look_for_hastened(&mut self, begins: bool) {
        let looked = match self.shared.store.hastened(READ_AT_ONCE).await {
            Ok(mut rows) => {
                self.looked_at = self.shared.machine_time();
                rows.retain(|row| begins && !self.left.contains(&row.at));
                self.take(rows, false).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = looked {
            tracing::warn!(rule = self.shared.rule.name(), %error, "it can't be seen which deadlines are hastened");
        }
    }
}
