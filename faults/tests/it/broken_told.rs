//! Clients that were told what is not so.

use daybook_faults::history::{Asked, Told};
use serde_json::json;

use crate::support::{answers, caught, events, messages, pages, rows};
use crate::world::reforge;

const W1: &str = "stock/A-1@w-1";
const W2: &str = "stock/A-1@w-2";
const W3: &str = "stock/A-1@w-3";
const A1: &str = "product/A-1";

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
    caught("I1", "lost-event", &["kafka-ahead"], |e| {
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
        let Told::Done { events, .. } = &mut answers(e, A1, "create")[1].told else { panic!("done") };
        events.clear();
    });
}

#[test]
fn a_repeat_on_another_endpoint_with_another_version() {
    caught("I2", "answers-differ", &["told-otherwise"], |e| {
        let Told::Done { version, .. } = &mut answers(e, A1, "create")[1].told else { panic!("done") };
        *version = 2;
    });
}

#[test]
fn a_refusal_that_is_told_otherwise_when_repeated() {
    caught("I2", "answers-differ", &[], |e| {
        let Told::Refused { body, .. } = &mut answers(e, W1, "reserve-2")[1].told else { panic!("refused") };
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
        let Told::Done { token, .. } = &mut entries[1].told else { panic!("done") };
        *token = "inventory/0:99@1".into();
    });
}

#[test]
fn an_answer_that_is_not_the_ledgers() {
    caught("I1", "told-otherwise", &[], |e| {
        let Told::Done { token, .. } = &mut answers(e, A1, "reprice")[0].told else { panic!("done") };
        *token = "catalog/1:0@1".into();
    });
}

#[test]
fn a_refusal_of_what_took_effect() {
    caught("I1", "told-otherwise", &[], |e| {
        let body = json!({ "type": "urn:daybook:refusal:product-unknown" });
        answers(e, A1, "reprice")[0].told = Told::Refused { status: 409, body, token: None, replayed: false };
    });
}

#[test]
fn a_command_id_that_is_anothers() {
    caught("I1", "wrong-command-id", &[], |e| {
        let Told::Done { command_id, .. } = &mut answers(e, A1, "reprice")[0].told else { panic!("done") };
        *command_id = uuid::Uuid::nil().to_string();
    });
}

#[test]
fn a_token_that_does_not_cover_the_result() {
    use daybook_proto::v1::CommandResult;
    use prost::Message as _;
    caught("I1", "wrong-token", &[], |e| {
        let row = rows(e, A1).iter_mut().find(|row| row.stream_id == A1).expect("a row");
        let mut result = CommandResult::decode(row.result.as_slice()).expect("a result");
        result.offset = -1;
        row.result = result.encode_to_vec();
        reforge(e);
        crate::world::publish(e);
        for entry in answers(e, A1, "create") {
            let Told::Done { token, .. } = &mut entry.told else { panic!("done") };
            *token = "catalog/1:-1@1".into();
        }
    });
}

#[test]
fn an_accepted_command_without_a_result() {
    caught("I1", "accepted-without-result", &[], |e| {
        answers(e, W3, "lost")[0].told = Told::Accepted { location: Some("/v1/commands/h-2".into()) };
    });
}

#[test]
fn a_message_that_was_set_aside_without_a_reason() {
    caught("I1", "accepted-without-result", &[], |e| e.aside[0].reason.clear());
}

#[test]
fn a_handle_that_is_not_known() {
    caught("I1", "handle-forgotten", &[], |e| {
        answers(e, W1, "commit")[1].told = Told::Invalid { status: 404, body: json!({}) };
    });
}

#[test]
fn a_shed_command_that_took_effect() {
    caught("I2", "shed-took-effect", &[], |e| {
        let entries = answers(e, W3, "receive");
        for entry in entries {
            entry.told = Told::Shed { status: 503, retry_after: true };
        }
    });
}

#[test]
fn an_invalid_command_that_took_effect() {
    caught("I2", "shed-took-effect", &[], |e| {
        answers(e, W2, "raw")[0].told = Told::Invalid { status: 400, body: json!({}) };
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
    use crate::world::{encode, publish};
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
    use crate::world::{encode, publish};
    let also = ["sum-of-effects", "part-differs", "served-differs", "mixed-page"];
    caught("I2", "effect-not-asked", &also, |e| {
        let fewer = json!({ "sku": "A-1", "warehouse": "w-3", "quantity": 3 });
        event(e, W3, 1).payload = encode("shop.inventory.v1.StockReceived", &fewer);
        reforge(e);
        publish(e);
    });
}

#[test]
fn pieces_that_were_received_twice_by_one_command() {
    use daybook_proto::v1::CommandResult;
    use prost::Message as _;
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
        let Told::Done { version, events, token, .. } = &mut answers(e, W3, "receive")[1].told else { panic!("done") };
        events.push((second.r#type, 1));
        (*version, *token) = (2, "inventory/1:1@1".into());
        reforge(e);
        crate::world::publish(e);
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
        let Told::Shed { retry_after, .. } = &mut answers(e, W3, "shed")[0].told else { panic!("shed") };
        *retry_after = false;
    });
}

#[test]
fn an_unexpected_500() {
    caught("I1", "unexpected-answer", &[], |e| {
        answers(e, W3, "lost")[0].told = Told::Unexpected { status: 500, body: "a bug".into() };
    });
}
