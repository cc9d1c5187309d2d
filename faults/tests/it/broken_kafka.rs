//! Kafka that is not the log, numbers that went back, work that did not go on.

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
