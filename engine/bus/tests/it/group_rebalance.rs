//! Several members: their partitions, and when they get them.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use daybook_bus::{GroupConsumer, GroupHandler, GroupOptions, Inbox, StartAt};

use crate::support::{Member, Told, bus, produce, producer, receive_numbers, topic, until, within};

fn numbers(inboxes: &[Inbox]) -> Vec<i32> {
    inboxes.iter().map(|inbox| inbox.partition).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_partitions() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 4).await;
    let mut first = Member::join(&bus, &topic);
    assert_eq!(numbers(&first.assigned().await), [0, 1, 2, 3]);
    let mut second = Member::join(&bus, &topic);
    let (one, two) = tokio::join!(first.assigned(), second.assigned());
    let mut all = [numbers(&one), numbers(&two)].concat();
    assert_eq!((one.len(), two.len()), (2, 2));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);

    // A third and more members than partitions: a member that gets nothing has joined all the same.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(Member::join(&bus, &topic));
    }
    until("all have joined", || async {
        first.consumer.is_joined() && second.consumer.is_joined() && others.iter().all(|m| m.consumer.is_joined())
    })
    .await;
    for other in others {
        other.leave().await;
    }
    second.leave().await;
    loop {
        if first.assigned().await.len() == 4 {
            break;
        }
    }
    first.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_dropped_leaves_so_that_others_go_on() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let mut first = Member::join(&bus, &topic);
    let inbox = first.inbox().await;
    inbox.store(3);
    drop(first.consumer);
    until("its inbox has ended", || async { inbox.is_ended() }).await;
    let mut second = Member::join(&bus, &topic);
    assert_eq!(second.inbox().await.committed, Some(3));
    second.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_ends_the_inbox_before_the_other_gets_it() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let producer = producer(&bus);
    produce(&producer, &topic, 0, 0..10).await;
    let mut first = Member::join(&bus, &topic);
    let mut inbox = first.inbox().await;
    inbox.start(StartAt::Committed).await.expect("starts");
    assert_eq!(receive_numbers(&mut inbox, 10).await.len(), 10);
    inbox.store(4);

    // A waiting receive ends when another member comes; the handler is told after that, and stored offsets are committed.
    let waiting = tokio::spawn(async move {
        let ended = inbox.recv(10, usize::MAX).await.is_none();
        (ended, inbox)
    });
    let mut second = Member::join(&bus, &topic);
    let (ended, inbox) = within("the inbox ends", waiting).await.expect("no panic");
    assert!(ended && inbox.is_ended());
    inbox.store(9);
    match within("revoked", first.told.recv()).await {
        Some(Told::Revoked(partitions)) => assert_eq!(partitions, [0]),
        _ => panic!("not told of the revocation"),
    }
    assert!(inbox.start(StartAt::Earliest).await.is_err());

    let (one, two) = tokio::join!(first.assigned(), second.assigned());
    let mut again = one.into_iter().chain(two).next().expect("one of them has it");
    let committed = again.committed.expect("stored before");
    // 9, if the call came before the handler had returned; the store is without effect after that.
    assert!(committed == 4 || committed == 9, "committed {committed}");
    again.start(StartAt::Committed).await.expect("starts");
    let rest = 10 - usize::try_from(committed).expect("small");
    assert_eq!(receive_numbers(&mut again, rest).await.last(), Some(&9));
    first.leave().await;
    second.leave().await;
}

/// Stores in `revoked`, through an inbox that it kept: the last moment at which it counts.
struct StoresLate(mpsc::Sender<()>, Option<Inbox>);

impl GroupHandler for StoresLate {
    fn assigned(&mut self, mut partitions: Vec<Inbox>) {
        self.1 = partitions.pop();
        let _ = self.0.send(());
    }

    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {
        let inbox = self.1.take().expect("assigned before");
        assert!(inbox.is_ended(), "told of the revocation before the inbox had ended");
        inbox.store(7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_while_the_handler_is_told_of_the_revocation_is_committed() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    produce(&producer(&bus), &topic, 0, 0..10).await;
    let (sender, assigned) = mpsc::channel();
    let group = bus.group("members");
    let handler = StoresLate(sender, None);
    let consumer = GroupConsumer::join(&bus, &group, vec![topic.to_string()], GroupOptions::default(), handler);
    let consumer = consumer.expect("joins");
    let waiting = tokio::task::spawn_blocking(move || assigned.recv_timeout(Duration::from_secs(60)));
    waiting.await.expect("no panic").expect("assigned");
    within("leave", consumer.shutdown()).await;
    let mut next = Member::join(&bus, &topic);
    assert_eq!(next.inbox().await.committed, Some(7));
    next.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_over_rebalances_when_each_page_is_stored() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 2).await;
    let producer = producer(&bus);
    let total = 2_000_u32;
    for partition in 0..2 {
        produce(&producer, &topic, partition, 0..total).await;
    }
    // Takes some, stores, is interrupted by a newcomer, and so on; the next one begins at the stored offsets.
    let mut seen = [0_u32; 2];
    let mut members: Vec<Member> = Vec::new();
    while seen.iter().any(|next| *next < total) {
        members.push(Member::join(&bus, &topic));
        let mut inboxes = Vec::new();
        for member in &mut members {
            // The latest assignment counts; those before it have ended.
            inboxes.extend(member.assigned().await);
        }
        for mut inbox in inboxes {
            let place = usize::try_from(inbox.partition).expect("small");
            if inbox.start(StartAt::Committed).await.is_err() {
                continue;
            }
            for _ in 0..8 {
                if seen[place] >= total {
                    break;
                }
                let Some(page) = within("receive", inbox.recv(100, usize::MAX)).await else {
                    break;
                };
                let offsets: Vec<u32> = page.iter().map(crate::support::number).collect();
                let first = offsets[0];
                assert!(first <= seen[place], "skipped from {} to {first}", seen[place]);
                let last = offsets[offsets.len() - 1] + 1;
                assert_eq!(offsets, (first..last).collect::<Vec<u32>>());
                seen[place] = seen[place].max(last);
                inbox.store(i64::from(last));
            }
        }
        if members.len() > 1 {
            members.remove(0).leave().await;
        }
    }
    for member in members {
        member.leave().await;
    }
}

struct Panics(mpsc::Sender<String>);

impl GroupHandler for Panics {
    fn assigned(&mut self, _: Vec<Inbox>) {
        panic!("a bug in the handler");
    }

    fn revoked(&mut self, _: &[(Arc<str>, i32)]) {
        let _ = self.0.send("revoked".to_owned());
    }

    fn error(&mut self, message: &str, fatal: bool) {
        if fatal {
            let _ = self.0.send(message.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_leaves_the_group_so_that_others_go_on_and_is_told_so() {
    let bus = bus();
    let topic = topic(&bus, "pipe", 1).await;
    let (sender, told) = mpsc::channel();
    let group = bus.group("members");
    let topics = vec![topic.to_string()];
    let bad = GroupConsumer::join(&bus, &group, topics, GroupOptions::default(), Panics(sender)).expect("joins");
    let waiting = tokio::task::spawn_blocking(move || [(); 2].map(|()| told.recv_timeout(Duration::from_secs(60))));
    // A member that is told of a fatal error joins again.
    assert_eq!(waiting.await.expect("no panic").map(Result::unwrap), ["the group's handler panicked", "revoked"]);
    assert!(!bad.is_joined());
    let mut good = Member::join(&bus, &topic);
    assert_eq!(good.assigned().await.len(), 1);
    good.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_for_a_topic_that_comes_later_gets_it_then() {
    let bus = bus();
    let name: Arc<str> = bus.group("later").into();
    let mut properties = bus.clone();
    let refresh = ("topic.metadata.refresh.interval.ms".to_owned(), "500".to_owned());
    properties.properties.extend([refresh]);
    let mut member = Member::join(&properties, &name);
    tokio::time::sleep(Duration::from_millis(500)).await;
    topic(&bus, "later", 2).await;
    loop {
        if member.assigned().await.len() == 2 {
            break;
        }
    }
    member.leave().await;
}
