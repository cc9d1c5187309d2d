//! One member: its start, its partitions, its commits.

use std::time::Duration;

use daybook_bus::{BusConfig, GroupOptions, Inspector, StartAt};

use crate::support::{Member, bus, number, produce, producer, receive, receive_numbers, topic, until, within};

async fn committed(bus: &BusConfig, topic: &str, expected: i64) {
    let inspector = Inspector::new(bus).expect("inspector");
    let group = bus.group("members");
    until("committed", || async { inspector.committed(&group, topic, 0).await.expect("answers") == Some(expected) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_committed_offset_it_starts_at_the_earliest() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    assert_eq!(inbox.committed, None);
    assert!(inbox.try_recv(10, usize::MAX).is_none());
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 5).await, [0, 1, 2, 3, 4]);
    until("joined", || async { member.consumer.is_joined() }).await;
    member.leave().await;
    assert!(inbox.is_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_delivered_before_the_inbox_is_started() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..5).await;
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(inbox.try_recv(10, usize::MAX).is_none());
    inbox.start(StartAt::Earliest).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 5).await, [0, 1, 2, 3, 4]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_is_not_redelivered() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..10).await;
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    receive(&mut inbox, 10).await;
    // The same one twice, as after a page of repeats, and then at once away: leaving commits.
    inbox.store(6);
    inbox.store(6);
    member.leave().await;

    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    assert_eq!(inbox.committed, Some(6));
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 4).await, [6, 7, 8, 9]);
    produce(&producer, &topic, 0, 10..12).await;
    assert_eq!(receive_numbers(&mut inbox, 2).await, [10, 11]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_below_the_committed_offset_delivers_from_there() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..10).await;
    let mut member = Member::join(&bus, &topic);
    let inbox = member.inbox().await;
    inbox.store(8);
    member.leave().await;

    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    assert_eq!(inbox.committed, Some(8));
    inbox.start(StartAt::Offset(3)).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 7).await, [3, 4, 5, 6, 7, 8, 9]);
    // A lower one is committed too: it is the truth.
    inbox.store(5);
    committed(&bus, &topic, 5).await;
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_offset_beyond_the_end_starts_at_the_earliest() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..5).await;
    let mut member = Member::join(&bus, &topic);
    let inbox = member.inbox().await;
    // As if the topic had been wiped and made again since.
    inbox.store(1_000);
    member.leave().await;

    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    assert_eq!(inbox.committed, Some(1_000));
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 5).await, [0, 1, 2, 3, 4]);
    // Offsets stored from there are committed, though they are less.
    inbox.store(5);
    committed(&bus, &topic, 5).await;
    produce(&producer, &topic, 0, 5..6).await;
    assert_eq!(receive_numbers(&mut inbox, 1).await, [5]);
    // The same for an offset of one's own.
    inbox.start(StartAt::Offset(777)).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 6).await, [0, 1, 2, 3, 4, 5]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_started_again_delivers_from_there_and_nothing_of_before() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..5_000).await;
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    for from in [2_000, 10, 4_980, 0, 2_500] {
        receive(&mut inbox, 10).await;
        inbox.start(StartAt::Offset(from)).await.expect("starts");
        let first = receive(&mut inbox, 10).await;
        let offsets: Vec<i64> = first.iter().map(|message| message.offset).collect();
        assert_eq!(offsets, (from..from + 10).collect::<Vec<i64>>());
    }
    // From the assigned place, again.
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 3).await, [0, 1, 2]);
    inbox.start(StartAt::End).await.expect("starts");
    produce(&producer, &topic, 0, 5_000..5_001).await;
    assert_eq!(receive_numbers(&mut inbox, 1).await, [5_000]);
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_partition_is_paused_and_nothing_is_dropped() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 2).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..30_000).await;
    let options = GroupOptions { max_messages_per_partition: 500, ..GroupOptions::default() };
    let mut member = Member::join_with(&bus, &topic, options);
    let mut inboxes = member.assigned().await;
    for inbox in &inboxes {
        inbox.start(StartAt::Committed).await.expect("starts");
    }
    let (first, second) = inboxes.split_at_mut(1);
    let (full, other) = (&mut first[0], &mut second[0]);
    // It is full by now, and stands still; the other one goes on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    produce(&producer, &topic, 1, 0..100).await;
    assert_eq!(receive_numbers(other, 100).await, (0..100).collect::<Vec<u32>>());

    let mut all = Vec::new();
    while all.len() < 30_000 {
        let some = within("receive", full.recv(usize::MAX, usize::MAX)).await.expect("not ended");
        assert!(some.len() <= 500, "held {}", some.len());
        all.extend(some.iter().map(number));
        if all.len() % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(all, (0..30_000).collect::<Vec<u32>>());
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_for_two_topics_gets_the_messages_of_each_apart() {
    let bus = bus();
    let topics = [topic(&bus, "one", 1).await, topic(&bus, "two", 1).await];
    let producer = producer(&bus);
    for n in 0..50 {
        for (topic, from) in topics.iter().zip([0, 1_000]) {
            produce(&producer, topic, 0, from + n..from + n + 1).await;
        }
    }
    let mut member = Member::join_topics(&bus, &topics, GroupOptions::default());
    let mut inboxes = member.assigned().await;
    inboxes.sort_by_key(|inbox| inbox.topic.clone());
    for inbox in &inboxes {
        inbox.start(StartAt::Committed).await.expect("starts");
    }
    for (inbox, from) in inboxes.iter_mut().zip([0, 1_000]) {
        assert_eq!(receive_numbers(inbox, 50).await, (from..from + 50).collect::<Vec<u32>>());
    }
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_in_bytes_holds_too() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    let big: Vec<_> = (0..60).map(|_| crate::support::record(&topic, 0, vec![7; 300_000])).collect();
    within("produce", producer.send(big)).await.expect("delivered");
    let options = GroupOptions { max_bytes_per_partition: 1_000_000, ..GroupOptions::default() };
    let mut member = Member::join_with(&bus, &topic, options);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    let mut offsets = Vec::new();
    while offsets.len() < 60 {
        let some = within("receive", inbox.recv(usize::MAX, usize::MAX)).await.expect("not ended");
        assert!(some.len() <= 4, "held {}", some.len());
        offsets.extend(some.iter().map(|message| message.offset));
    }
    assert_eq!(offsets, (0..60).collect::<Vec<i64>>());
    member.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_receive_loses_nothing() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    let mut member = Member::join(&bus, &topic);
    let mut inbox = member.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    let mut all = Vec::new();
    for round in 0..50_u32 {
        let delivery = producer.send(vec![crate::support::record(&topic, 0, round.to_string())]);
        // Cancelled at any point, most often while it waits.
        let patience = Duration::from_micros(u64::from(round) * 40);
        if let Ok(some) = tokio::time::timeout(patience, inbox.recv(10, usize::MAX)).await {
            all.extend(some.expect("not ended").iter().map(number));
        }
        within("delivery", delivery).await.expect("delivered");
    }
    let rest = receive_numbers(&mut inbox, 50 - all.len()).await;
    all.extend(rest);
    assert_eq!(all, (0..50).collect::<Vec<u32>>());
    member.leave().await;
}
