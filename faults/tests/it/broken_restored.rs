//! A run whose database was restored to an earlier state, and what breaks of it.

use daybook_faults::evidence::{Aside, Evidence, Sighting};
use daybook_faults::history::{Answer, Asked, Command};
use daybook_faults::judge::digest;
use daybook_faults::judge::rules::restored::RULES;
use daybook_faults::shop::judge;
use serde_json::{Value, json};

use crate::good::{note_done, product};
use crate::support::{answers, caught_in, messages, pages, place, rows};
use crate::world::{End, World, command, messages_of, publish, reforge};

const A1: &str = "product/A-1";

fn priced(units: i64) -> Value {
    json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": units.to_string() } })
}

fn reprice(key: &str, units: i64) -> (Command, (&'static str, Value)) {
    let event = json!({ "sku": "A-1", "price": { "list": priced(units)["price"] } });
    (command("reprice-product", A1, key, priced(units)), ("ProductRepriced", event))
}

/// The token of A-1's partition as it stands, in an epoch.
fn token(w: &World, epoch: i32) -> String {
    let (service, partition) = place(A1);
    format!("{service}/{partition}:{}@{epoch}", w.evidence.logs[service].events[&partition].len() - 1)
}

/// What it costs is changed, and lost with the database. It is changed otherwise, and then what was lost is decided again; a client asks for it again.
fn restored() -> Evidence {
    let mut w = World::new();
    let created = product("A-1", "Chair", "chairs");
    note_done(&mut w, &command("create-product", A1, "create", created.clone()), vec![("ProductCreated", created)]);
    let backup = w.back_up();
    let (lost, event) = reprice("lost", 1500);
    note_done(&mut w, &lost, vec![event]);
    let of_the_past = token(&w, 1);
    w.evidence.sightings.push(Sighting { what: "log catalog/0".into(), at: 1, value: 2 });
    w.restore(backup);
    let void = messages_of(&w.evidence.pasts[0].logs);

    let at = w.evidence.pasts[0].at + 1;
    w.evidence.sightings.push(Sighting { what: "log catalog/0".into(), at, value: 1 });
    let (other, event) = reprice("other", 1700);
    note_done(&mut w, &other, vec![event]);
    let (_, event) = reprice("lost", 1500);
    let again = w.page(vec![(&lost, End::Done(vec![event]))]).remove(0);
    w.note(Asked::Command(lost), again);
    let read = Asked::Read {
        model: "category-listings".to_owned(),
        key: "nothing".to_owned(),
        tokens: vec![of_the_past],
        at: "p-1".to_owned(),
        query: String::new(),
    };
    let told = json!({ "type": "urn:daybook:token-of-another-epoch" });
    w.note(read, Answer::Refused { status: 409, body: told, token: None, replayed: false });
    let (of_now, nothing) = (token(&w, 2), json!({ "items": [], "nextPageToken": "" }));
    w.read("p-1", ("category-listings", "nothing"), &[&of_now], &nothing, &[&of_now]);

    let mut evidence = w.evidence;
    evidence.orders = true;
    reforge(&mut evidence);
    publish(&mut evidence);
    for (service, partitions) in void {
        for (partition, void) in partitions {
            let topic = evidence.topics.get_mut(&service).and_then(|topic| topic.get_mut(&partition)).expect("it is published");
            let kept = topic.iter().filter(|message| message.epoch == 1).count();
            topic.splice(0..kept, void);
        }
    }
    evidence
}

#[track_caller]
fn caught(invariant: &str, rule: &str, also: &[&str], breaking: impl FnOnce(&mut Evidence)) {
    caught_in(restored(), invariant, rule, also, breaking);
}

#[test]
fn the_judge_passes_a_run_that_goes_on_from_an_earlier_state() {
    let verdict = judge(&restored());
    assert!(verdict.holds(), "{verdict}");
    let vacuous = verdict.vacuous();
    let of_it: Vec<&str> = RULES.iter().map(|rule| rule.name).filter(|name| vacuous.contains(name)).collect();
    assert_eq!(of_it, Vec::<&str>::new(), "{verdict}");
}

#[test]
fn what_was_lost_is_written_again_in_the_same_epoch() {
    caught("I8", "epoch-not-begun", &["wrong-token", "kafka-bytes", "kafka-digest", "token-of-the-past"], |e| {
        pages(e, A1).iter_mut().for_each(|page| page.epoch = 1);
        reforge(e);
    });
}

#[test]
fn a_command_whose_result_was_lost_is_not_decided_again() {
    caught("I1", "not-decided-again", &["accepted-without-result", "lost-command", "kafka-ahead"], |e| {
        let id = digest::command_id("catalog", "anonymous", A1, "lost").to_string();
        let page = rows(e, A1).iter().find(|row| row.command_id == id).expect("it stands").page;
        rows(e, A1).retain(|row| row.page < page);
        pages(e, A1).retain(|at| at.page < page);
        crate::support::events(e, A1).retain(|event| event.page < page);
        reforge(e);
    });
}

#[test]
fn a_command_whose_result_was_lost_is_rejected_for_an_event_that_stands() {
    let reject = |e: &mut Evidence, cause: &str| {
        let id = digest::command_id("catalog", "anonymous", A1, "lost").to_string();
        let page = rows(e, A1).iter().find(|row| row.command_id == id).expect("it stands").page;
        rows(e, A1).retain(|row| row.page < page);
        pages(e, A1).retain(|at| at.page < page);
        crate::support::events(e, A1).retain(|event| event.page < page);
        let reason = format!("it follows from the event {cause}, which its log has lost: the log was restored");
        e.aside.push(Aside { service: "catalog".into(), command_id: Some(id), kind: "rejected".into(), reason, ..Aside::default() });
        reforge(e);
    };
    let also = ["lost-command", "kafka-ahead", "set-aside"];
    caught("I1", "not-decided-again", &also, |e| reject(e, &format!("{}/{}:0@1", place(A1).0, place(A1).1)));
    let mut e = restored();
    reject(&mut e, &format!("{}/{}:1@1", place(A1).0, place(A1).1));
    assert!(!judge(&e).violations.iter().any(|found| found.rule == "not-decided-again"), "that one is lost");
}

#[test]
fn a_token_of_the_past_is_taken() {
    caught("I4", "token-of-the-past", &[], |e| {
        let told = e.history.iter_mut().find(|entry| matches!((&entry.asked, &entry.told), (Asked::Read { .. }, Answer::Refused { .. })));
        let (service, partition) = place(A1);
        let positions = vec![format!("{service}/{partition}:2@2")];
        let body = json!({ "items": [], "nextPageToken": "" });
        told.expect("it is told").told = Answer::Page { status: 200, body, positions, stale: Vec::new() };
    });
}

#[test]
fn a_token_is_called_one_of_the_past_where_there_is_none() {
    caught("I4", "token-of-the-past", &[], |e| {
        for entry in &mut e.history {
            if let (Asked::Read { tokens, .. }, Answer::Refused { .. }) = (&mut entry.asked, &entry.told) {
                *tokens = vec!["nowhere/0:0@1".to_owned()];
            }
        }
    });
}

#[test]
fn what_a_client_was_told_before_the_restore_was_never_so() {
    caught("I1", "told-otherwise", &[], |e| {
        if let Answer::Done { version, .. } = &mut answers(e, A1, "lost")[0].told {
            *version += 1;
        }
    });
}

#[test]
fn what_a_client_was_told_before_the_restore_and_is_kept_is_told_otherwise_after_it() {
    caught("I1", "told-otherwise", &[], |e| {
        if let Answer::Done { version, .. } = &mut answers(e, A1, "create")[0].told {
            *version += 1;
        }
    });
}

#[test]
fn a_message_of_the_past_was_never_an_event() {
    caught("I5", "kafka-bytes", &[], |e| {
        let void = messages(e, A1).iter_mut().rev().find(|message| message.epoch == 1).expect("it is published");
        void.value.push(0);
    });
    caught("I5", "kafka-ahead", &[], |e| {
        let void = messages(e, A1).iter().rposition(|message| message.epoch == 1).expect("it is published");
        let mut more = messages(e, A1)[void].clone();
        more.offset += 1;
        messages(e, A1).insert(void + 1, more);
    });
}

#[test]
fn a_number_goes_back_without_a_restore() {
    caught("I8", "went-back", &[], |e| {
        let last = e.sightings.last().expect("it was looked at").clone();
        e.sightings.push(Sighting { at: last.at + 1, value: last.value - 1, ..last });
    });
}
