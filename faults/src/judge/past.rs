//! Restores of the database: what was before is judged beside the logs as they were then, and what comes after it goes on from an earlier state. Sources:
//! `docs/restore.md`, the protocol's "A restored log".

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::case::{Case, is_final, moment};
use super::decode::tokens;
use super::rules::restored as rules;
use super::verdict::Findings;
use crate::evidence::{Aside, Event, Evidence, Log, Page, Past};
use crate::history::{Answer, Asked, Entry, Via};

/// The pages of a partition that a restore took away.
pub(crate) struct Lost<'a> {
    pub(crate) service: &'a str,
    pub(crate) partition: i32,
    log: &'a Log,
    pages: &'a [Page],
}

impl<'a> Lost<'a> {
    /// Of each partition in which pages were lost: those that do not stand in these logs.
    pub(crate) fn of(past: &'a Past, logs: &BTreeMap<String, Log>) -> Vec<Self> {
        let mut all = Vec::new();
        for (service, log) in &past.logs {
            for (partition, pages) in &log.pages {
                let now = logs.get(service).and_then(|log| log.pages.get(partition)).map(Vec::as_slice).unwrap_or_default();
                let kept = pages.iter().zip(now).take_while(|(was, is)| was.digest == is.digest && was.page == is.page).count();
                if kept < pages.len() {
                    all.push(Self { service, partition: *partition, log, pages: &pages[kept..] });
                }
            }
        }
        all
    }

    /// The events that were lost, each with its epoch.
    pub(crate) fn events(&self) -> impl Iterator<Item = (&'a Event, i32)> {
        let events = self.log.events.get(&self.partition).map(Vec::as_slice).unwrap_or_default();
        let from = self.pages.first().map_or(i64::MAX, |page| page.first_offset);
        let pages = self.pages;
        events.iter().filter(move |event| event.offset >= from).map(move |event| {
            let at = pages.partition_point(|page| page.page < event.page);
            (event, pages.get(at).map_or(0, |page| page.epoch))
        })
    }

    /// The commands whose results were lost.
    fn commands(&self) -> impl Iterator<Item = Uuid> + use<'a> {
        let rows = self.log.commands.get(&self.partition).map(Vec::as_slice).unwrap_or_default();
        let from = self.pages.first().map_or(i64::MAX, |page| page.page);
        rows.iter().filter(move |row| row.page >= from).filter_map(|row| row.command_id.parse().ok())
    }
}

/// The evidence as it was when the n-th past ended: work was under way, and nothing had caught up.
pub(crate) fn as_it_was(evidence: &Evidence, n: usize) -> Evidence {
    let past = &evidence.pasts[n];
    let asked = evidence.history.iter().filter(|entry| entry.asked_at <= past.at);
    let unheard = || Answer::Unknown { why: "the database was lost before it was told".to_owned() };
    let as_of_then = |entry: &Entry| Entry { told: if entry.told_at > past.at { unheard() } else { entry.told.clone() }, ..entry.clone() };
    let then = Evidence {
        history: asked.map(as_of_then).collect(),
        logs: past.logs.clone(),
        aside: past.aside.clone(),
        pasts: evidence.pasts[..n].to_vec(),
        reacting_from: evidence.reacting_from.clone(),
        two_builds: evidence.two_builds,
        orders: evidence.orders,
        under_way: true,
        ..Evidence::default()
    };
    what_remains(&then).into_owned()
}

/// The evidence with what is still true of the history after the last restore: what was read before shows a past. A command that was lost with its
/// result stands in Kafka, and so is accepted: it will have a result, which may be another one, for others come between.
pub(crate) fn what_remains(evidence: &Evidence) -> Cow<'_, Evidence> {
    let Some(last) = evidence.pasts.last() else { return Cow::Borrowed(evidence) };
    let lost: Vec<(u64, HashSet<(&str, Uuid)>)> = evidence
        .pasts
        .iter()
        .map(|past| {
            let lost = Lost::of(past, &evidence.logs);
            (past.at, lost.iter().flat_map(|lost| lost.commands().map(|id| (lost.service, id))).collect())
        })
        .collect();
    let remains = |entry: &Entry| {
        let (Asked::Command(command) | Asked::Handle { command, .. }) = &entry.asked else {
            return (entry.told_at > last.at).then(|| entry.clone());
        };
        let of_then = lost.iter().find(|(at, _)| entry.told_at <= *at);
        let id = super::digest::command_id(&command.service, super::case::CALLER, &command.stream, &command.key);
        if !is_final(&entry.told) || !of_then.is_some_and(|(_, lost)| lost.contains(&(command.service.as_str(), id))) {
            return Some(entry.clone());
        }
        let location = matches!(command.via, Via::Http(_)).then(String::new);
        Some(Entry { told: Answer::Accepted { location }, ..entry.clone() })
    };
    Cow::Owned(Evidence { history: evidence.history.iter().filter_map(remains).collect(), ..evidence.clone() })
}

/// Every rule of what a restore leads to.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for past in &case.evidence.pasts {
        for lost in Lost::of(past, &case.evidence.logs) {
            another_epoch_begins(case, &lost, findings);
            if !case.evidence.under_way {
                commands_are_decided_again(case, &lost, findings);
            }
        }
    }
    for entry in &case.evidence.history {
        tokens_are_of_this_past(case, entry, findings);
    }
}

/// `epoch-not-begun`: else a place in the log means two things.
fn another_epoch_begins(case: &Case<'_>, lost: &Lost<'_>, findings: &mut Findings) {
    let Some((first, epoch)) = lost.events().next() else { return };
    let pages = case.evidence.logs.get(lost.service).and_then(|log| log.pages.get(&lost.partition));
    let goes_on = pages.into_iter().flatten().find(|page| page.first_offset + i64::from(page.count) > first.offset);
    let holds = goes_on.is_none_or(|page| page.epoch > epoch);
    findings.check(rules::EPOCH_NOT_BEGUN, first.recorded_at, holds, || {
        let what = format!("{}/{}:{} was lost, and written again in the same epoch", lost.service, lost.partition, first.offset);
        (what, vec![format!("{first:?}"), format!("{goes_on:?}")])
    });
}

/// `not-decided-again`: Kafka has the commands of what was lost. Those that reactors had sent for lost events are rejected instead, by the event's
/// place: what caused that is decided again.
fn commands_are_decided_again(case: &Case<'_>, lost: &Lost<'_>, findings: &mut Findings) {
    let follows_from_the_lost = |aside: &Aside| {
        let words: Vec<String> = aside.reason.split([' ', ',']).map(str::to_owned).collect();
        aside.kind == "rejected" && tokens(&words).iter().any(|cause| case.is_void(cause))
    };
    for id in lost.commands() {
        let holds = case.results(lost.service, id).len() > 0 || case.set_aside(lost.service, id).any(follows_from_the_lost);
        findings.check(rules::NOT_DECIDED_AGAIN, lost.pages[0].recorded_at, holds, || {
            (
                format!("{id} of {}/{} was decided, and is not decided again", lost.service, lost.partition),
                vec![format!("{:?}", lost.pages[0])],
            )
        });
    }
}

/// `token-of-the-past`.
fn tokens_are_of_this_past(case: &Case<'_>, entry: &Entry, findings: &mut Findings) {
    let Asked::Read { tokens: asked, .. } = &entry.asked else { return };
    let asked = tokens(asked);
    let say = |what: &'static str| move || (what.to_owned(), vec![super::case::entry_line(entry)]);
    match &entry.told {
        Answer::Refused { .. } => {
            let holds = asked.iter().any(|token| case.epochs(&token.service, token.partition) > 1);
            findings.check(rules::TOKEN_OF_THE_PAST, moment(entry), holds, say("the tokens' logs have one epoch each"));
        }
        Answer::Page { positions, .. } => {
            // One of a place that was kept is true still.
            let positions = tokens(positions);
            for token in asked.iter().filter(|token| case.is_void(token)) {
                let mut same = positions.iter().filter(|at| (&at.service, at.partition) == (&token.service, token.partition));
                let holds = same.all(|at| at.epoch <= token.epoch);
                findings.check(
                    rules::TOKEN_OF_THE_PAST,
                    moment(entry),
                    holds,
                    say("a token of a place that was lost is answered with what came instead"),
                );
            }
        }
        _ => {}
    }
}
