//! Kafka that is not the log, numbers that went back, work that did not go on.

use daybook_faults::shop::judge;

use crate::good::good;
use crate::support::{caught, messages};

const W1: &str = "stock/A-1@w-1";

#[test]
fn an_event_that_kafka_lacks() {
    caught("I5", "kafka-missing", &[], |e| {
        messages(e, W1).remove(2);
    });
}

#[test]
fn a_topic_that_kafka_lacks() {
    caught("I5", "kafka-missing", &[], |e| {
        e.topics.remove("catalog");
    });
}

#[test]
fn an_event_that_only_kafka_has() {
    caught("I5", "kafka-ahead", &[], |e| {
        let mut further = messages(e, W1).last().expect("published").clone();
        further.offset += 1;
        messages(e, W1).push(further);
    });
}

#[test]
fn events_in_another_order_in_kafka() {
    caught("I5", "kafka-order", &[], |e| messages(e, W1).swap(1, 2));
}

#[test]
fn other_bytes_in_kafka_under_the_same_offset() {
    caught("I5", "kafka-bytes", &[], |e| messages(e, W1)[1].value.push(0));
}

#[test]
fn another_key_in_kafka() {
    caught("I5", "kafka-bytes", &[], |e| messages(e, W1)[1].key = "stock/A-1@w-2".into());
}

#[test]
fn a_repeat_in_kafka_with_another_digest() {
    caught("I5", "kafka-digest", &[], |e| {
        let mut again = messages(e, W1)[1].clone();
        again.page_digest[0] ^= 1;
        messages(e, W1).insert(2, again);
    });
}

#[test]
fn headers_in_kafka_that_are_not_the_events() {
    let wrong = [
        ("ce_id", "inventory/0:1@2"),
        ("ce_source", "/daybook/catalog"),
        ("ce_time", "2023-11-14T22:13:20.000001Z"),
        ("ce_specversion", "0.3"),
        ("content-type", "application/json"),
        ("daybook-command-id", "7d1f7a3e-3a3f-4d0c-9a55-0d7c5b1d3a01"),
        ("daybook-correlation-id", "c-of-another"),
        ("traceparent", ""),
    ];
    for (name, value) in wrong {
        caught("I5", "kafka-bytes", &[], |e| {
            let headers = messages(e, W1)[1].headers.as_mut().expect("headers");
            *headers.get_mut(name).expect("it is there") = value.to_owned();
        });
        caught("I5", "kafka-bytes", &[], |e| drop(messages(e, W1)[1].headers.as_mut().expect("headers").remove(name)));
    }
}

/// Good headers that the broken ones above must not be confused with.
#[test]
fn a_time_in_another_form_and_a_run_without_headers() {
    let mut evidence = good();
    let headers = messages(&mut evidence, W1)[1].headers.as_mut().expect("headers");
    let time = headers.get_mut("ce_time").expect("a time");
    *time = time.replace('Z', "+00:00");
    messages(&mut evidence, W1)[2].headers = None;
    let verdict = judge(&evidence);
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn a_rejected_message_whose_sender_is_not_told() {
    caught("I1", "rejection-untold", &[], |e| e.rejected.clear());
    caught("I1", "rejection-untold", &[], |e| e.rejected.get_mut("inventory").expect("told")[0].reason.push('?'));
    caught("I1", "rejection-untold", &[], |e| e.rejected.get_mut("inventory").expect("told")[0].from.push('0'));
    caught("I1", "rejection-untold", &[], |e| {
        let told = e.rejected.remove("inventory").expect("told");
        e.rejected.insert("catalog".into(), told);
    });
}

#[test]
fn a_stream_that_went_back() {
    caught("I8", "went-back", &[], |e| {
        let last = e.sightings.iter_mut().rfind(|s| s.what.starts_with("version")).expect("seen");
        last.value = 2;
    });
}

#[test]
fn a_checkpoint_that_went_back() {
    caught("I8", "went-back", &[], |e| {
        let last = e.sightings.iter_mut().rfind(|s| s.what.starts_with("checkpoint")).expect("seen");
        last.value = 1;
    });
}

#[test]
fn a_log_that_went_back() {
    caught("I8", "went-back", &[], |e| {
        let last = e.sightings.iter_mut().rfind(|s| s.what.starts_with("log")).expect("seen");
        last.value = 2;
    });
}

#[test]
fn no_command_was_acknowledged_after_a_fault() {
    caught("I10", "not-recovered", &[], |e| e.recoveries[0].first_acknowledged = None);
}

#[test]
fn nothing_caught_up_after_a_fault() {
    caught("I10", "not-recovered", &[], |e| e.recoveries[0].caught_up = None);
}

#[test]
fn recovered_too_late() {
    caught("I10", "recovered-late", &[], |e| e.recoveries[0].caught_up = Some(e.recoveries[0].within + 1));
}

#[test]
fn two_holders_that_take_a_checkpoint_from_each_other() {
    caught("I10", "duel", &[], |e| e.terms[0].after += 1);
}
