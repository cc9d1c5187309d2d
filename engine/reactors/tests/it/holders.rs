//! Holders of a partition, followed by hand: what each may write, and what it notes when it lets go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use daybook_follow::{Ask, Event, FollowError, Follower};
use daybook_log::{Log, StoredEvent, Writer, WriterSessions};
use daybook_postgres::{Pool, Role};

use crate::support::*;

/// A partition of the stock `A-1`, and connections for those who hold it.
struct Held {
    install: Install,
    lanes: Lanes,
    kind: Arc<dyn daybook_follow::Kind>,
    log: daybook_log::PartitionLog,
    pool: Pool,
}

impl Held {
    async fn new() -> Self {
        let install = Install::new(&[picky::<1>()]).await;
        let lanes = install.lanes().await;
        let log = Log::open(&install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
        let log = log.partition(install.partition(&stock("A-1"))).expect("one");
        let kind = install.reactors(vec![picky::<1>()]).await.followers().roster.borrow().0[0].clone();
        let pool = kind.home(&log).pool;
        Self { install, lanes, kind, log, pool }
    }

    /// One that has taken the partition over.
    async fn holder(&self) -> Box<dyn Follower> {
        let mut holder = self.kind.open(self.log.clone());
        holder.take_over().await.expect("the database answers");
        holder
    }

    async fn prepare(&self, holder: &mut dyn Follower, event: StoredEvent) -> Result<(), FollowError> {
        let client = self.pool.get().await.expect("the database answers");
        holder.prepare(&client, &[Arc::new(Event::stored(event).expect("in order"))]).await
    }

    async fn sql(&self, sql: &str) {
        self.install.database.owner().await.batch_execute(sql).await.expect("the owner may");
    }

    async fn mark(&self) -> (i64, i64, i64) {
        self.install.mark("picky", &stock("A-1")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_lets_go_waits_for_what_it_has_sent_and_notes_all_that_it_has_seen() {
    let held = Held::new().await;
    held.install.receive("A-1", 1).await;
    held.install.reorder_below("A-1", 9, "").await;
    let events = held.install.has_events(&stock("A-1"), 3).await;
    let mut holder = held.holder().await;
    for event in events {
        // The later ones ask for nothing.
        held.prepare(&mut *holder, event).await.expect("it can be reacted to");
    }
    holder.let_go().await.expect("the database answers");
    assert_eq!(held.mark().await.0, 3);
    held.install.has_events(&reorder("A-1"), 1).await;
    held.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_somebody_has_moved_are_not_written_over() {
    let held = Held::new().await;
    held.install.receive("A-1", 1).await;
    let event = held.install.has_events(&stock("A-1"), 1).await.remove(0);
    for (before, moved) in [("next_offset = 1, settled = 0", "next_offset = 0"), ("next_offset = 1, settled = 1", "settled = 0")] {
        held.sql(&format!("UPDATE inventory.reactor SET {before}")).await;
        let mut holder = held.holder().await;
        assert_eq!(holder.next(), 1);
        held.sql(&format!("UPDATE inventory.reactor SET {moved}")).await;
        // An event that asks for nothing: all that it says is where it stands.
        let later = StoredEvent { offset: 1, version: 2, type_name: "shop.inventory.v1.ReorderPointSet".into(), ..event.clone() };
        held.prepare(&mut *holder, StoredEvent { payload: Vec::new(), ..later }).await.expect("it can be reacted to");
        assert!(matches!(holder.tend().await, Err(FollowError::Moved(_))), "{moved}");
        assert_eq!(held.mark().await.1, 0, "{moved}");
    }
    held.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_replaced_frees_no_stream_and_says_nothing_of_one() {
    let guard = panics_at(23).await;
    let held = Held::new().await;
    held.install.receive("A-1", 23).await;
    held.install.has_events(&stock("A-1"), 1).await;
    let mut old = held.holder().await;
    assert!(old.is_behind().await.expect("the log answers"));
    old.step().await.expect("the database answers");
    old.tend().await.expect("it is its own");
    assert_eq!(held.install.has_parked().await.len(), 1);
    let mut new = held.holder().await;

    assert!(held.install.ask(&stock("A-1"), Ask::Retry).await);
    assert!(matches!(old.tend().await, Err(FollowError::Moved(_))), "in vain");
    let is_asked = async || held.install.parked().await.first().map(|one| one.asked.is_some());
    assert_eq!(is_asked().await, Some(true));
    PANICS_AT.store(0, Ordering::Relaxed);
    drop(guard);
    assert!(matches!(old.tend().await, Err(FollowError::Moved(_))), "with success");
    assert_eq!(is_asked().await, Some(true));
    new.tend().await.expect("it is its own");
    assert_eq!(is_asked().await, None);
    held.install.has_events(&reorder("A-1"), 1).await;
    held.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_is_tried_once_by_each_that_takes_over() {
    let guard = panics_at(29).await;
    let held = Held::new().await;
    held.install.receive("A-1", 29).await;
    held.install.has_events(&stock("A-1"), 1).await;
    let mut first = held.holder().await;
    assert!(first.is_behind().await.expect("the log answers"));
    first.step().await.expect("the database answers");
    first.tend().await.expect("it is its own");
    let mut second = held.holder().await;
    let before = PANICKED.load(Ordering::Relaxed);
    for _ in 0..3 {
        second.tend().await.expect("it is its own");
    }
    assert_eq!(PANICKED.load(Ordering::Relaxed), before + 1);
    drop(guard);
    held.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_given_up_is_not_any_more_once_it_is_taken_over() {
    let held = Held::new().await;
    let mut first = held.holder().await;
    first.give_up().await.expect("the database answers");
    assert!(first.standing().await.expect("the database answers").given_up);
    let second = held.holder().await;
    assert!(!second.standing().await.expect("the database answers").given_up);
    held.lanes.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reactor_that_is_new_stands_in_the_logs_epoch_and_takes_nothing_of_an_older_one_from_kafka() {
    let install = Install::new(&[]).await;
    let lanes = install.lanes().await;
    install.reorder_below("A-1", 5, "").await;
    install.has_events(&stock("A-1"), 2).await;
    lanes.stop().await;
    let n = install.partition(&stock("A-1"));
    let log = Log::open(&install.database.databases(), SERVICE, Role::Writer).await.expect("it is there");
    let writer = Writer::new(log.partition(n).expect("one"), &WriterSessions::new(1)).await.expect("the database answers");
    writer.begin_epoch(Writer::now(), 2, "restored").await.expect("nobody else writes");
    writer.release().await;
    let lanes = install.lanes().await;
    install.reorder_below("A-1", 0, "").await;
    let events = install.has_events(&stock("A-1"), 4).await;
    daybook_reactors::prepare(&install.database.databases(), &[reordering()]).await.expect("the database answers");
    let partition = log.partition(n).expect("one");
    let kind = install.reactors(vec![reordering()]).await.followers().roster.borrow().0[0].clone();
    let mut holder = kind.open(partition.clone());
    holder.take_over().await.expect("the database answers");
    assert_eq!((holder.next(), holder.epoch()), (4, 2));
    // As Kafka alone says: at the next offset stood an event before the restore.
    let old = StoredEvent { offset: 4, version: 5, epoch: 1, ..events[0].clone() };
    let client = kind.home(&partition).pool.get().await.expect("the database answers");
    let refused = holder.prepare(&client, &[Arc::new(Event::stored(old).expect("in order"))]).await;
    assert!(matches!(refused, Err(FollowError::Carefully(_))), "{refused:?}");
    assert_eq!(install.messages_to(&reorder("A-1")).await, 0);
    lanes.stop().await;
}
