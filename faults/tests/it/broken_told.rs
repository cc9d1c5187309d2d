//! Clients that were told what is not so.

use daybook_faults::evidence::{Aside, Evidence};
use daybook_faults::history::{Answer, Asked, Command};
use daybook_faults::judge::digest;
use daybook_proto::v1::CommandResult;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{answers, caught, events, messages, pages, row, rows};
use crate::world::{encode, publish, reforge};

const W1: &str = "stock/A-1@w-1";
const W2: &str = "stock/A-1@w-2";
const W3: &str = "stock/A-1@w-3";
const A1: &str = "product/A-1";
const A4: &str = "product/A-4";

#[test]
fn an_acknowledged_command_that_the_log_lost() {
    // As after a restore to an older state: the log is whole, and ends too early.
    let also = ["kafka-ahead", "part-unexpected", "served-differs", "from-nowhere"];
    caught("I1", "lost-command", &also, |e| {
        pages(e, W3).pop();
        events(e, W3).pop();
        rows(e, W3).pop();
    });
}

#[test]
fn an_acknowledged_event_that_the_log_lost_with_its_chain_forged() {
    // The ledger names it, the last page no longer has it, and every digest says so.
    caught("I1", "lost-event", &["wrong-version", "kafka-ahead"], |e| {
        events(e, W1).pop();
        pages(e, W1).last_mut().expect("a page").count = 0;
        reforge(e);
        let digest = pages(e, W1).last().expect("a page").digest.clone();
        messages(e, W1).last_mut().expect("published").page_digest = digest;
    });
}

#[test]
fn a_repeat_that_was_told_another_result() {
    caught("I2", "answers-differ", &["told-otherwise"], |e| {
        let Answer::Done { events, .. } = &mut answers(e, A1, "create")[1].told else { panic!("done") };
        events.clear();
    });
}

#[test]
fn a_repeat_on_another_endpoint_with_another_version() {
    caught("I2", "answers-differ", &["told-otherwise"], |e| {
        let Answer::Done { version, .. } = &mut answers(e, A1, "create")[1].told else { panic!("done") };
        *version = 2;
    });
}

#[test]
fn a_refusal_that_is_told_otherwise_when_repeated() {
    caught("I2", "answers-differ", &[], |e| {
        let Answer::Refused { body, .. } = &mut answers(e, W1, "reserve-2")[1].told else { panic!("refused") };
        body["available"] = json!(4);
    });
}

#[test]
fn a_handle_with_another_result_than_the_post() {
    caught("I2", "answers-differ", &["told-otherwise"], |e| {
        // The POST was answered after all.
        let told = answers(e, W1, "commit")[1].told.clone();
        let mut entries = answers(e, W1, "commit");
        entries[0].told = told;
        let Answer::Done { token, .. } = &mut entries[1].told else { panic!("done") };
        *token = "inventory/0:99@1".into();
    });
}

#[test]
fn an_answer_that_is_not_the_ledgers() {
    caught("I1", "told-otherwise", &[], |e| {
        let Answer::Done { token, .. } = &mut answers(e, A1, "reprice")[0].told else { panic!("done") };
        *token = "catalog/1:0@1".into();
    });
}

#[test]
fn a_refusal_of_what_took_effect() {
    caught("I1", "told-otherwise", &[], |e| {
        let body = json!({ "type": "urn:daybook:refusal:product-unknown" });
        answers(e, A1, "reprice")[0].told = Answer::Refused { status: 409, body, token: None, replayed: false };
    });
}

#[test]
fn a_command_id_that_is_anothers() {
    caught("I1", "wrong-command-id", &[], |e| {
        let Answer::Done { command_id, .. } = &mut answers(e, A1, "reprice")[0].told else { panic!("done") };
        *command_id = uuid::Uuid::nil().to_string();
    });
}

#[test]
fn a_token_that_does_not_cover_the_result() {
    caught("I1", "wrong-token", &["wrong-version"], |e| {
        let row = rows(e, A1).iter_mut().find(|row| row.stream_id == A1).expect("a row");
        let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
        result.offset = -1;
        row.result = result.encode_to_vec();
        reforge(e);
        publish(e);
        for entry in answers(e, A1, "create") {
            let Answer::Done { token, .. } = &mut entry.told else { panic!("done") };
            *token = "catalog/1:-1@1".into();
        }
    });
}

#[test]
fn an_accepted_command_without_a_result() {
    caught("I1", "accepted-without-result", &[], |e| {
        answers(e, W3, "lost")[0].told = Answer::Accepted { location: Some("/v1/commands/h-2".into()) };
    });
}

#[test]
fn a_message_that_was_set_aside_without_a_reason() {
    caught("I1", "accepted-without-result", &["rejection-untold"], |e| e.aside[0].reason.clear());
}

#[test]
fn a_handle_that_is_not_known() {
    caught("I1", "handle-forgotten", &[], |e| {
        answers(e, W1, "commit")[1].told = Answer::Invalid { status: 404, body: json!({}) };
    });
}

#[test]
fn a_shed_command_that_took_effect() {
    caught("I2", "shed-took-effect", &["sum-of-effects"], |e| {
        let entries = answers(e, W3, "receive");
        for entry in entries {
            entry.told = Answer::Shed { status: 503, retry_after: true };
        }
    });
}

#[test]
fn an_aborted_command_that_took_effect() {
    caught("I2", "shed-took-effect", &["sum-of-effects"], |e| {
        for entry in answers(e, W3, "receive") {
            entry.told = Answer::Aborted;
        }
    });
}

#[test]
fn an_invalid_command_that_took_effect() {
    caught("I2", "shed-took-effect", &["called-invalid", "sum-of-effects"], |e| {
        answers(e, W2, "raw")[0].told = Answer::Invalid { status: 400, body: json!({}) };
    });
}

#[test]
fn a_command_that_took_effect_though_it_was_answered_422() {
    caught("I2", "other-command", &["sum-of-effects"], |e| {
        // Another body stands under the key of what was acknowledged, and the log has that one's effect.
        for entry in answers(e, W3, "receive") {
            if let Asked::Command(command) = &mut entry.asked {
                command.body["quantity"] = json!(40);
            }
        }
    });
}

#[test]
fn events_that_the_command_did_not_ask_for() {
    use crate::support::event;
    caught("I2", "effect-not-asked", &["part-differs", "served-differs", "mixed-page"], |e| {
        let price = json!({ "sku": "A-1", "price": { "list": { "currency": "EUR", "minorUnits": 1 } } });
        event(e, A1, 2).payload = encode("shop.catalog.v1.ProductRepriced", &price);
        reforge(e);
        publish(e);
    });
}

#[test]
fn fewer_pieces_than_were_received() {
    use crate::support::event;
    let also = ["sum-of-effects", "part-differs", "served-differs", "mixed-page"];
    caught("I2", "effect-not-asked", &also, |e| {
        let fewer = json!({ "sku": "A-1", "warehouse": "w-3", "quantity": 3 });
        event(e, W3, 1).payload = encode("shop.inventory.v1.StockReceived", &fewer);
        reforge(e);
        publish(e);
    });
}

/// Says of what A-4's revision changed; the fold, and what is shown, say otherwise.
fn revised(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Evidence) {
    move |e| {
        let mut event = json!({ "sku": "A-4", "description": "To sit on.", "setAttributes": { "legs": "4" } });
        change(&mut event);
        crate::support::event(e, A4, 2).payload = encode("shop.catalog.v1.ProductRevised", &event);
        reforge(e);
        publish(e);
    }
}

#[test]
fn a_revision_that_lacks_what_was_asked_for() {
    let also = ["part-differs", "served-differs"];
    caught("I2", "effect-not-asked", &also, revised(|event| drop(event.as_object_mut().expect("fields").remove("setAttributes"))));
    let also = ["effect-not-asked", "part-differs", "served-differs"];
    // A later command had found nothing to do only because of this one.
    caught("I2", "unfounded-answer", &also, revised(|event| drop(event.as_object_mut().expect("fields").remove("description"))));
}

#[test]
fn a_revision_that_says_more_than_was_asked_for_or_changed() {
    caught("I2", "effect-not-asked", &["part-differs", "served-differs"], revised(|event| event["brand"] = json!("Dux")));
    caught("I2", "effect-not-asked", &[], revised(|event| event["title"] = json!("Chair")));
    caught("I2", "effect-not-asked", &[], revised(|event| event["setAttributes"]["colour"] = json!("red")));
}

#[test]
fn a_revision_that_is_said_to_have_been_done_already() {
    caught("I2", "unfounded-answer", &[], |e| {
        asked_otherwise(e, A4, "revise-again", "shop.catalog.v1.ReviseProduct", |command| command.body["brand"] = json!("Dux"));
    });
}

#[test]
fn pieces_that_were_received_twice_by_one_command() {
    let also = ["part-differs", "served-differs"];
    caught("I2", "sum-of-effects", &also, |e| {
        // The page, the result and the answer all say so.
        let mut twice = events(e, W3)[0].clone();
        (twice.offset, twice.version) = (1, 2);
        events(e, W3).push(twice);
        pages(e, W3)[1].count = 2;
        let row = &mut rows(e, W3)[0];
        let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
        let mut second = result.events[0].clone();
        second.offset = 1;
        result.events.push(second.clone());
        (result.version, result.offset) = (2, 1);
        row.result = result.encode_to_vec();
        let Answer::Done { version, events, token, .. } = &mut answers(e, W3, "receive")[1].told else { panic!("done") };
        events.push((second.r#type, 1));
        (*version, *token) = (2, "inventory/1:1@1".into());
        reforge(e);
        publish(e);
    });
}

#[test]
fn a_result_of_another_condition() {
    caught("I2", "other-command", &[], |e| {
        let Asked::Command(command) = &mut answers(e, A1, "reprice")[0].asked else { panic!("a command") };
        command.if_match = None;
    });
}

#[test]
fn a_shed_command_that_is_not_told_when_to_come_again() {
    caught("I1", "unexpected-answer", &[], |e| {
        let Answer::Shed { retry_after, .. } = &mut answers(e, W3, "shed")[0].told else { panic!("shed") };
        *retry_after = false;
    });
}

#[test]
fn a_search_that_is_not_there() {
    caught("I1", "unexpected-answer", &[], |e| {
        let is_it = |asked: &Asked| matches!(asked, Asked::Read { model, .. } if model == "products");
        let entry = e.history.iter_mut().find(|entry| is_it(&entry.asked)).expect("it was searched");
        entry.told = Answer::Page { status: 404, body: Value::Null, positions: Vec::new(), stale: Vec::new() };
    });
}

#[test]
fn an_unexpected_500() {
    caught("I1", "unexpected-answer", &[], |e| {
        answers(e, W3, "lost")[0].told = Answer::Unexpected { status: 500, body: "a bug".into() };
    });
}

/// Asks another command under a key, as if it had been that from the beginning: the result is of it.
pub(crate) fn asked_otherwise(e: &mut Evidence, stream: &str, key: &str, kind: &str, change: impl Fn(&mut Command)) {
    let mut digest = Vec::new();
    for entry in answers(e, stream, key) {
        let (Asked::Command(command) | Asked::Handle { command, .. }) = &mut entry.asked else { continue };
        if matches!(entry.told, Answer::Invalid { .. }) {
            continue;
        }
        change(command);
        let if_match = command.if_match.map_or(-1, u64::cast_signed);
        digest = digest::command(kind, &encode(kind, &command.body), if_match);
    }
    changed(e, stream, key, |result| result.command_digest = digest);
}

/// Changes a result in the ledger; every digest and message says so.
fn changed(e: &mut Evidence, stream: &str, key: &str, change: impl FnOnce(&mut CommandResult)) {
    let row = row(e, stream, key);
    let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
    change(&mut result);
    row.result = result.encode_to_vec();
    reforge(e);
    publish(e);
}

#[test]
fn a_result_that_nobody_asked_for() {
    caught("I2", "nobody-asked", &["sum-of-effects"], |e| {
        let is_it = |asked: &Asked| matches!(asked, Asked::Command(command) if command.key == "raw");
        e.history.retain(|entry| !is_it(&entry.asked));
    });
}

#[test]
fn a_command_that_was_decided_on_an_older_version() {
    caught("I3", "wrong-version", &[], |e| changed(e, W1, "reserve-2", |result| result.version = 1));
}

#[test]
fn a_command_that_took_effect_against_its_condition() {
    caught("I2", "wrong-condition", &[], |e| {
        asked_otherwise(e, A1, "reprice", "shop.catalog.v1.RepriceProduct", |command| command.if_match = Some(7));
    });
}

#[test]
fn a_refusal_of_what_was_there() {
    caught("I2", "unfounded-answer", &[], |e| {
        asked_otherwise(e, W1, "reserve-2", "shop.inventory.v1.ReserveStock", |command| command.body["quantity"] = json!(3));
    });
}

#[test]
fn a_repeat_that_is_told_that_its_key_is_anothers() {
    caught("I1", "called-invalid", &[], |e| {
        answers(e, A1, "create")[1].told = Answer::Invalid { status: 422, body: json!({}) };
    });
}

#[test]
fn the_command_that_took_effect_is_told_that_its_key_is_anothers() {
    caught("I1", "called-invalid", &[], |e| {
        // There is another one under the key; it is not the one that the log has.
        let mut entries = answers(e, A1, "reprice");
        let other = entries[0].clone();
        entries[1].asked = other.asked;
        let mut third = entries[1].clone();
        third.n = e.history.len();
        let Asked::Command(command) = &mut third.asked else { panic!("a command") };
        command.body["price"]["minorUnits"] = json!(1);
        e.history.push(third);
    });
}

#[test]
fn a_good_command_that_is_called_invalid() {
    caught("I1", "called-invalid", &[], |e| answers(e, W3, "lost")[0].told = Answer::Invalid { status: 400, body: json!({}) });
}

#[test]
fn a_good_command_that_was_set_aside() {
    let aside = |e: &mut Evidence, kind: &str, open| {
        let id = digest::command_id("inventory", "anonymous", W2, "raw").to_string();
        let (service, kind, reason) = ("inventory".into(), kind.into(), "it can't be read".into());
        e.aside.push(Aside { service, command_id: Some(id), kind, reason, open, place: None });
    };
    caught("I1", "set-aside", &[], |e| aside(e, "rejected", false));
    // A command that an older build leaves to a newer one is taken up.
    caught("I1", "set-aside", &[], |e| {
        e.two_builds = true;
        aside(e, "newer-build", true);
    });
}

#[test]
fn a_handle_that_is_said_to_be_lost_and_has_a_result() {
    caught("I1", "handle-forgotten", &[], |e| {
        answers(e, W1, "commit")[1].told = Answer::Invalid { status: 410, body: json!({}) };
    });
}

#[test]
fn a_refusal_without_its_token() {
    caught("I1", "told-otherwise", &["answers-differ"], |e| {
        let Answer::Refused { token, .. } = &mut answers(e, W1, "reserve-2")[0].told else { panic!("refused") };
        *token = None;
    });
}

#[test]
fn a_202_that_does_not_say_where_its_result_will_be() {
    caught("I1", "unexpected-answer", &[], |e| answers(e, W1, "commit")[0].told = Answer::Accepted { location: None });
}
