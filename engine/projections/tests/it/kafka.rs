//! Kafka is a pipe: whatever it repeats, loses or garbles, the log has it.

use daybook_bus::{Headers, headers as h};
use daybook_projections::Limits;
use daybook_testkit::eventually;

use crate::models::{by_category, categorized, created, retitled};
use crate::support::{Shop, message};

/// Six events of three streams, in the log; a projector that has seen none.
async fn six() -> (daybook_kernel::ReadModel, Shop, Vec<daybook_bus::Message>, daybook_projections::Projector) {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop
        .append([
            created("A-1", "one", "toys"),
            created("A-2", "two", "toys"),
            retitled("A-1", "1"),
            categorized("A-1", "games"),
            created("A-3", "three", "games"),
            retitled("A-2", "2"),
        ])
        .await;
    let messages = stored.iter().map(|e| message(e, 0)).collect();
    let projector = shop.projector(&model, "catalog", 0).await;
    (model, shop, messages, projector)
}

#[tokio::test]
async fn a_gap_on_kafka_is_read_from_the_log() {
    let (model, shop, messages, mut projector) = six().await;
    // Within a batch, before it, and at its end, where only the next message shows it.
    shop.follow(&mut projector, &[messages[0].clone(), messages[2].clone()]).await.expect("the log has the rest");
    shop.follow(&mut projector, &messages[5..]).await.expect("the log has the rest");
    assert_eq!(projector.next(), 6);
    assert_eq!(projector.counts().folded, 6);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (6, 1));
}

#[tokio::test]
async fn a_repeat_on_kafka_is_folded_once() {
    let (model, shop, messages, mut projector) = six().await;
    let order = [0, 1, 0, 1, 2, 3, 2, 4, 5, 5, 0];
    let all: Vec<_> = order.iter().map(|i| messages[*i].clone()).collect();
    shop.follow(&mut projector, &all[..6]).await.expect("in order");
    shop.follow(&mut projector, &all[6..]).await.expect("in order");
    assert_eq!(projector.counts().folded, 6);
    // A fold that took one twice would park its stream: versions count.
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn a_message_that_is_no_event_does_not_stop_the_partition() {
    let (model, shop, messages, mut projector) = six().await;
    let mut garbled = messages.clone();
    garbled[0].headers = Headers::new();
    garbled[2].headers.push(h::OFFSET, &b"\xff\xfe"[..]);
    garbled[4].key = None;
    garbled[5].value = None;
    shop.follow(&mut projector, &garbled).await.expect("the log has them");
    // Also the last one, which no later message could show as missing.
    assert_eq!(projector.next(), 6);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_has_and_the_log_has_not_is_never_folded() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop.append([created("A-1", "one", "toys"), retitled("A-1", "two")]).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.caught_up(&model).await;
    let before = shop.parts(&model).await;
    // As after a restore of the log: Kafka went on further.
    let beyond = daybook_log::StoredEvent { offset: 9, version: 3, ..stored[1].clone() };
    let why = eventually("the trouble to be told", || async {
        shop.publish("catalog", std::slice::from_ref(&beyond)).await;
        let checks = process.projectors.readiness().await.checks;
        checks.into_iter().find_map(|(what, problem)| problem.filter(|_| what == "partitions"))
    })
    .await;
    assert!(why.contains("Kafka has events from offset 9 on, but the log ends at 2"), "{why}");
    assert_eq!(shop.parts(&model).await, before);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_epoch_that_is_over_are_no_events() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop.append([created("A-1", "one", "toys")]).await;
    shop.begin_epoch(("catalog", 0), 2).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    // Of the past that the log has not: at the offset that is next.
    let over = daybook_log::StoredEvent { offset: 1, version: 2, payload: b"another".to_vec(), ..stored[0].clone() };
    for _ in 0..3 {
        shop.publish("catalog", std::slice::from_ref(&over)).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let now = shop.append([retitled("A-1", "two")]).await;
    shop.publish("catalog", &now).await;
    shop.caught_up(&model).await;
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!(shop.checkpoint(&model, "catalog", 0).await, (2, 2));
    process.stop().await;
}

#[tokio::test]
async fn a_batch_is_bounded_however_much_kafka_brings() {
    let (model, shop, messages, _) = six().await;
    let limits = Limits { batch_events: 2, ..Limits::default() };
    let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
    shop.follow(&mut projector, &messages).await.expect("in order");
    assert_eq!((projector.next(), projector.counts().folded), (6, 6));
    let limits = Limits { batch_bytes: 1, ..Limits::default() };
    shop.database
        .owner()
        .await
        .batch_execute("UPDATE read.checkpoint SET next_offset = 0; DELETE FROM read.by_category_1")
        .await
        .expect("the owner may");
    let mut projector = shop.projector_with(&model, "catalog", 0, limits).await;
    projector.catch_up().await.expect("an event at a time");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}
