//! Snapshots, folded again: a state that was kept must be the one that the events come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_kernel::{Aggregate, AnyState, Registry, StreamId};
use daybook_log::{EventRow, LogError, PartitionLog, Rows, SnapshotRow};

use crate::report::PartitionReport;

/// A stream, folded up to a version.
struct Folded {
    stream_id: String,
    aggregate: Arc<dyn Aggregate>,
    state: AnyState,
    /// The last event that was folded: its offset, version and digest.
    last: Option<(i64, i64, Vec<u8>)>,
    events: Rows<EventRow>,
    /// Why nothing behind can be folded.
    stuck: Option<String>,
}

/// Folds every snapshot of this build's fingerprints again. Those of other builds are not read by this one; one whose event
/// does not stand is ignored by every reader: both are notes.
pub(super) async fn fold_again(
    log: &PartitionLog,
    registry: &Registry,
    report: &mut PartitionReport,
    tell: &mut (dyn FnMut(i64) + Send),
) -> Result<(), LogError> {
    let mut snapshots = log.audit_snapshots().await?;
    let mut passed_over: BTreeMap<String, u64> = BTreeMap::new();
    let mut folded: Option<Folded> = None;
    while let Some(snapshot) = snapshots.next().await? {
        report.snapshots += 1;
        let aggregate = StreamId::parse(&snapshot.stream_id).ok().and_then(|s| registry.aggregate(log.service(), s.aggregate()).cloned());
        let Some(aggregate) = aggregate.filter(|a| a.fingerprint()[..] == snapshot.fingerprint[..]) else {
            *passed_over.entry("another build's, or of an aggregate that this build does not know".to_owned()).or_default() += 1;
            continue;
        };
        if folded.as_ref().is_none_or(|f| f.stream_id != snapshot.stream_id) {
            let (stream_id, state) = (snapshot.stream_id.clone(), aggregate.new_state());
            folded = Some(Folded { events: log.audit_stream(&stream_id).await?, stream_id, aggregate, state, last: None, stuck: None });
        }
        if let Some(folded) = &mut folded {
            folded.up_to(snapshot.version).await?;
            if let Some(why) = folded.compare(&snapshot, report) {
                *passed_over.entry(why).or_default() += 1;
            }
        }
        if report.snapshots.is_multiple_of(1_000) {
            tell(i64::try_from(report.snapshots).unwrap_or(i64::MAX));
        }
    }
    report.notes.extend(passed_over.into_iter().map(|(why, count)| format!("{count} snapshots were not folded again: {why}")));
    Ok(())
}

impl Folded {
    async fn up_to(&mut self, version: i64) -> Result<(), LogError> {
        while self.stuck.is_none() {
            let Some(event) = self.events.next_if(|e| e.version <= version).await? else { break };
            if let Err(error) = self.aggregate.evolve(&mut self.state, &event.type_name, &event.payload) {
                self.stuck = Some(format!("{} holds an event that can't be folded: {error}", self.stream_id));
            }
            self.last = Some((event.offset, event.version, event.digest));
        }
        Ok(())
    }

    /// Says why the snapshot could not be compared, if it could not.
    fn compare(&self, snapshot: &SnapshotRow, report: &mut PartitionReport) -> Option<String> {
        if self.stuck.is_some() {
            return self.stuck.clone();
        }
        let Some((offset, _, _)) = self.last.as_ref().filter(|(_, v, digest)| *v == snapshot.version && *digest == snapshot.event_digest)
        else {
            return Some("the event that they name does not stand, so every reader ignores them".to_owned());
        };
        let state = self.aggregate.encode_state(&self.state);
        if state != snapshot.state {
            let json = |bytes: &[u8]| {
                self.aggregate.decode_state(bytes).map_or_else(|e| e.to_string(), |s| self.aggregate.state_json(&s).to_string())
            };
            let place = report.at(*offset);
            let what = format!("snapshot of {} at version {}", snapshot.stream_id, snapshot.version);
            report.find(place, &what, json(&state), json(&snapshot.state));
        }
        None
    }
}
