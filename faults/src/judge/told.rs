//! Answers of clients beside the log. Sources: the contract's "Commands over HTTP", the protocol's "Repeats" and "Kafka is a pipe".

use super::asked;
use super::case::{Case, Deed, entry_line, is_final, moment};
use super::decode::{CommandOutcome, LedgerResult};
use super::rules;
use super::verdict::Findings;
use crate::history::{Answer, Asked, Command, Entry, Via};

/// Every rule of answers.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for entry in &case.evidence.history {
        answers_are_known(case, entry, findings);
    }
    for deed in &case.deeds {
        for (entry, _) in &deed.entries {
            command_ids_are_right(deed, entry, findings);
            answers_have_results(case, deed, entry, findings);
            handles_are_known(case, deed, entry, findings);
        }
        if !case.evidence.under_way {
            accepted_ends(case, deed, findings);
        }
        set_aside_for_a_newer_build(case, deed, findings);
        invalid_is_invalid(case, deed, findings);
        shed_is_nothing(case, deed, findings);
        answers_are_the_same(deed, findings);
    }
}

/// `unexpected-answer`: such as a 500, a command that is shed without `Retry-After`, a 202 that does not say where its result will be,
/// a list or a search that is not there: it may be empty.
fn answers_are_known(case: &Case<'_>, entry: &Entry, findings: &mut Findings) {
    let known = match (&entry.asked, &entry.told) {
        (_, Answer::Unexpected { .. }) => false,
        (Asked::Command(_), Answer::Shed { retry_after, .. }) => *retry_after,
        (Asked::Command(Command { via: Via::Http(_), .. }), Answer::Accepted { location }) => location.is_some(),
        (Asked::Read { model, .. }, Answer::Page { status, .. }) if case.domain.lists.contains(&model.as_str()) => *status == 200,
        _ => true,
    };
    findings.check(rules::UNEXPECTED_ANSWER, moment(entry), known, || {
        ("an answer that the contract does not know".to_owned(), vec![entry_line(entry)])
    });
}

/// `wrong-command-id`: the id that was told is the one derived from what was asked.
fn command_ids_are_right(deed: &Deed<'_>, entry: &Entry, findings: &mut Findings) {
    let told = match &entry.told {
        Answer::Done { command_id, .. } => Some(command_id.as_str()),
        Answer::Refused { body, .. } => body.get("commandId").and_then(|id| id.as_str()),
        _ => None,
    };
    let Some(told) = told else { return };
    findings.check(rules::WRONG_COMMAND_ID, moment(entry), told.parse() == Ok(deed.id), || {
        (format!("the command's id is {}, and {told} was told", deed.id), vec![entry_line(entry)])
    });
}

/// `lost-command`, `told-otherwise`: an acknowledged command has its result in the ledger, and that is what was told.
fn answers_have_results(case: &Case<'_>, deed: &Deed<'_>, entry: &Entry, findings: &mut Findings) {
    if !is_final(&entry.told) {
        return;
    }
    let found = case.result(deed.service, deed.id);
    let what = || (format!("{} has no result in the ledger, and a client was told one", deed.id), vec![entry_line(entry)]);
    if !findings.check(rules::LOST_COMMAND, moment(entry), found.is_some(), what) {
        return;
    }
    let Some((row, result)) = found else { return };
    let holds = row.ledger.stream_id == deed.stream && is_told(result, &entry.told);
    findings.check(rules::TOLD_OTHERWISE, moment(entry), holds, || {
        (format!("{}: what was told is not what the ledger says", deed.id), vec![entry_line(entry), row.line()])
    });
}

/// Whether an answer says what a result says.
fn is_told(result: &LedgerResult, told: &Answer) -> bool {
    match (told, &result.outcome) {
        (Answer::Done { version, events, token, .. }, CommandOutcome::Accepted) => {
            let same = |(told, kept): (&(String, u64), &(String, i64))| told.0 == kept.0 && i64::try_from(told.1) == Ok(kept.1);
            let events = events.len() == result.events.len() && events.iter().zip(&result.events).all(same);
            events && *version == result.version && *token == result.token()
        }
        (Answer::Refused { status: 409, body, token, .. }, CommandOutcome::Refused { code }) => {
            let kind = body.get("type").and_then(|kind| kind.as_str());
            kind == Some(format!("urn:daybook:refusal:{code}").as_str()) && *token == Some(result.token())
        }
        (Answer::Refused { status: 412, token, .. }, CommandOutcome::PreconditionFailed { .. }) => *token == Some(result.token()),
        _ => false,
    }
}

/// `handle-forgotten`: any no to a handle that a 202 gave, such as 404, but 410 for what was set aside and has no result.
fn handles_are_known(case: &Case<'_>, deed: &Deed<'_>, entry: &Entry, findings: &mut Findings) {
    if let Asked::Handle { .. } = &entry.asked {
        let holds = match &entry.told {
            Answer::Invalid { status: 410, .. } => {
                case.set_aside(deed.service, deed.id).next().is_some() && case.result(deed.service, deed.id).is_none()
            }
            Answer::Invalid { .. } => false,
            _ => true,
        };
        findings.check(rules::HANDLE_FORGOTTEN, moment(entry), holds, || {
            ("a handle that a 202 gave is not known".to_owned(), vec![entry_line(entry)])
        });
    }
}

/// `set-aside`: neither rejected nor parked, unless two builds serve and the older one left it to the newer, which took it up.
fn set_aside_for_a_newer_build(case: &Case<'_>, deed: &Deed<'_>, findings: &mut Findings) {
    let can_be_read = || deed.entries.iter().any(|(_, command)| asked::read(command).is_some());
    let wrong = case.set_aside(deed.service, deed.id).find(|aside| !case.is_for_a_newer_build(aside)).filter(|_| can_be_read());
    findings.check(rules::SET_ASIDE, deed.moment(), wrong.is_none(), || {
        (format!("{} can be read, and was set aside", deed.id), wrong.iter().map(|w| format!("{w:?}")).chain(deed.lines()).collect())
    });
}

/// `called-invalid`: 400 for what can't be read, 422 for another command under a key that is taken, and nothing else. An older build
/// can't read what came into the contract after it.
fn invalid_is_invalid(case: &Case<'_>, deed: &Deed<'_>, findings: &mut Findings) {
    for (entry, command) in &deed.entries {
        let (Asked::Command(_), Answer::Invalid { status, .. }) = (&entry.asked, &entry.told) else { continue };
        let readable = asked::read(command);
        let holds = match (status, &readable) {
            (400, None) => true,
            (422, Some(this)) => {
                let same = |other: &Command| (&other.name, &other.body, other.if_match) == (&command.name, &command.body, command.if_match);
                let result = case.result(deed.service, deed.id);
                let taken = deed.entries.iter().any(|(_, other)| !same(other));
                taken && result.is_none_or(|(_, result)| !this.has_order() || !asked::is_digest_of(result, this))
            }
            (400 | 404, Some(_)) => case.evidence.two_builds && command.name == case.domain.newest_command,
            _ => false,
        };
        findings.check(rules::CALLED_INVALID, moment(entry), holds, || {
            (format!("{} was told {status}", deed.id), std::iter::once(entry_line(entry)).chain(deed.lines()).collect())
        });
    }
}

/// `accepted-without-result`: now that all has caught up, an accepted command has its result, or was set aside for a reason.
fn accepted_ends(case: &Case<'_>, deed: &Deed<'_>, findings: &mut Findings) {
    let Some((entry, _)) = deed.entries.iter().find(|(entry, _)| matches!(entry.told, Answer::Accepted { .. })) else { return };
    let aside = case.set_aside(deed.service, deed.id).any(|aside| !aside.reason.is_empty());
    let holds = aside || case.results(deed.service, deed.id).len() > 0;
    findings.check(rules::ACCEPTED_WITHOUT_RESULT, moment(entry), holds, || {
        (format!("{} was accepted, has no result and was not set aside", deed.id), deed.lines())
    });
}

/// `shed-took-effect`: 429 and 503 without `unknown` have begun nothing, what is invalid is not taken, and what was aborted is not seen.
fn shed_is_nothing(case: &Case<'_>, deed: &Deed<'_>, findings: &mut Findings) {
    let begun_nothing = |told: &Answer| matches!(told, Answer::Shed { .. } | Answer::Invalid { .. } | Answer::Aborted);
    if !deed.entries.iter().all(|(entry, _)| begun_nothing(&entry.told)) {
        return;
    }
    let rows: Vec<String> = case.results(deed.service, deed.id).map(|row| row.line()).collect();
    let effects: Vec<String> = case.effects(deed.service, deed.id).map(|at| at.line()).collect();
    findings.check(rules::SHED_TOOK_EFFECT, deed.moment(), rows.is_empty() && effects.is_empty(), || {
        let what = format!("{} was only ever shed or found invalid, and took effect", deed.id);
        (what, deed.lines().into_iter().chain(rows).chain(effects).collect())
    });
}

/// `answers-differ`: a repeat, another endpoint and a handle say what the first answer said; only `replayed` may differ.
fn answers_are_the_same(deed: &Deed<'_>, findings: &mut Findings) {
    let mut answers = deed.entries.iter().map(|(entry, _)| *entry).filter(|entry| is_final(&entry.told));
    let Some(first) = answers.next() else { return };
    for entry in answers {
        findings.check(rules::ANSWERS_DIFFER, moment(entry), is_same(&first.told, &entry.told), || {
            (format!("{} was told two results", deed.id), vec![entry_line(first), entry_line(entry)])
        });
    }
}

fn is_same(one: &Answer, other: &Answer) -> bool {
    let plain = |told: &Answer| match told.clone() {
        Answer::Done { command_id, version, events, token, .. } => Answer::Done { command_id, version, events, token, replayed: false },
        Answer::Refused { status, body, token, .. } => Answer::Refused { status, body, token, replayed: false },
        told => told,
    };
    plain(one) == plain(other)
}
