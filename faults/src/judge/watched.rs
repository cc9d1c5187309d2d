//! Numbers that were watched while the run went on and only grow, and the way back from each fault.

use std::collections::BTreeMap;

use super::case::Case;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Recovery, Sighting};

/// Every rule of what was watched.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    numbers_only_grow(case, findings);
    nobody_duels(case, findings);
    for recovery in &case.evidence.recoveries {
        work_goes_on(recovery, findings);
    }
}

/// `went-back`: log offsets, versions and checkpoints, in the order of looking.
fn numbers_only_grow(case: &Case<'_>, findings: &mut Findings) {
    let mut last: BTreeMap<&str, &Sighting> = BTreeMap::new();
    for sighting in &case.evidence.sightings {
        // A restore takes everything back.
        let is_of_this = |before: &&Sighting| !case.evidence.pasts.iter().any(|past| (before.at..sighting.at).contains(&past.at));
        let before = last.insert(&sighting.what, sighting).filter(is_of_this);
        let moment = i64::try_from(sighting.at).unwrap_or(i64::MAX);
        findings.check(rules::WENT_BACK, moment, before.is_none_or(|before| before.value <= sighting.value), || {
            (format!("{} went back to {}", sighting.what, sighting.value), vec![format!("{before:?}"), format!("{sighting:?}")])
        });
    }
}

/// `duel`: two holders that take a checkpoint from each other raise its term for ever.
fn nobody_duels(case: &Case<'_>, findings: &mut Findings) {
    for term in &case.evidence.terms {
        findings.check(rules::DUEL, 0, term.before == term.after, || {
            (
                format!("the term of {} rose from {} to {} while all was quiet", term.what, term.before, term.after),
                vec![format!("{term:?}")],
            )
        });
    }
}

/// `not-recovered`, `recovered-late`: both the first acknowledged command and having caught up.
fn work_goes_on(recovery: &Recovery, findings: &mut Findings) {
    let both = [("an acknowledged command", recovery.first_acknowledged), ("having caught up", recovery.caught_up)];
    for (what, after) in both {
        let seen = || vec![format!("{recovery:?}")];
        findings.check(rules::NOT_RECOVERED, 0, after.is_some(), || (format!("{}: {what} never came", recovery.nemesis), seen()));
        let Some(after) = after else { continue };
        findings.check(rules::RECOVERED_LATE, 0, after <= recovery.within, || {
            (format!("{}: {what} came after {after} µs, {} were allowed", recovery.nemesis, recovery.within), seen())
        });
    }
}
