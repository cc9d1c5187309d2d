//! Changes of writer: takeover is a write, and a lost answer is settled by one.

use std::time::Duration;

use daybook_log::{AppendOutcome, Settled, Writer};

use crate::support::{Fixture, NOW, append, event, page, row};

/// The answer that a session was ended arrives before its socket's end does.
async fn until_closed(writer: &Writer) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while !writer.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("a session that was ended is known to be closed");
}

#[tokio::test]
async fn once_an_opening_page_stands_the_older_writer_cannot_commit() {
    let f = Fixture::new().await;
    let (zombie, head) = f.opened().await;
    // A page that a paused process had decided, and sends when it wakes up.
    let late = page(&head, &zombie, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let (writer, mut head) = f.opened().await;
    // Before the new writer has written anything but its opening page.
    assert_eq!(zombie.append(&late).await, AppendOutcome::NotTheWriter);
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    assert_eq!(f.partition.read_events(0, 10).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_zombie_hears_that_it_is_one_even_when_its_commands_are_repeats() {
    let f = Fixture::new().await;
    let (zombie, head) = f.opened().await;
    let late = page(&head, &zombie, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    // Both its page and its command stand already; the fence must be what it hears of.
    assert_eq!(zombie.append(&late).await, AppendOutcome::NotTheWriter);
}

#[tokio::test]
async fn the_opening_page_tells_whether_memory_is_still_good() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    let again = writer.open(NOW).await.expect("nobody else writes");
    assert_eq!(again.before, head, "nobody wrote between: what is in memory is good");
    let (_other, _) = f.opened().await;
    let third = writer.open(NOW).await.expect("takes over again");
    assert_ne!(third.before.writer, writer.name());
}

#[tokio::test]
async fn writers_that_open_at_once_leave_one_chain() {
    let f = Fixture::new().await;
    let writers = [f.writer().await, f.writer().await, f.writer().await, f.writer().await];
    let opened = futures_util::future::join_all(writers.iter().map(|w| w.open(NOW))).await;
    assert!(opened.iter().all(Result::is_ok), "each has its turn: {opened:?}");
    let pages = f.partition.read_pages(0, 20).await.expect("readable");
    assert_eq!(pages.len(), 5);
    assert!(pages.windows(2).all(|w| w[1].previous == w[0].digest && w[1].page == w[0].page + 1));
}

#[tokio::test]
async fn a_held_advisory_lock_delays_a_takeover_and_does_not_prevent_it() {
    let f = Fixture::new().await;
    // Keeps its lock, as a process under SIGSTOP does.
    let (_paused, _) = f.opened().await;
    let (writer, mut head) = tokio::time::timeout(Duration::from_secs(20), f.opened()).await.expect("a courtesy has an end");
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
}

#[tokio::test]
async fn a_lost_answer_to_a_page_that_stands_is_settled_as_committed() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let sent = page(&head, &writer, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    assert_eq!(writer.append(&sent).await, AppendOutcome::Appended);
    let settled = writer.settle(&sent, &head, NOW).await.expect("Postgres answers");
    assert!(matches!(settled, Settled::Committed), "{settled:?}");
}

#[tokio::test]
async fn a_lost_page_that_does_not_stand_never_will() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let lost = page(&head, &writer, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let Settled::NeverWritten(opening) = writer.settle(&lost, &head, NOW).await.expect("Postgres answers") else {
        panic!("it was never sent")
    };
    assert_eq!(writer.append(&lost).await, AppendOutcome::NotTheWriter, "it arrives after all");
    assert_eq!(f.partition.last_page().await.expect("readable"), opening);
}

#[tokio::test]
async fn a_lost_page_in_whose_place_another_writers_stands_means_superseded() {
    let f = Fixture::new().await;
    let (old, head) = f.opened().await;
    let lost = page(&head, &old, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let _new = f.opened().await;
    assert!(matches!(old.settle(&lost, &head, NOW).await.expect("Postgres answers"), Settled::Superseded));
}

#[tokio::test]
async fn a_cut_connection_is_an_unknown_outcome() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let owner = f.database.owner().await;
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'daybook writer' AND datname = current_database()", &[]).await.expect("owner may");
    let outcome = writer.append(&page(&head, &writer, vec![], vec![row("a/1", 1)])).await;
    assert!(matches!(outcome, AppendOutcome::Unknown(_)), "{outcome:?}");
    until_closed(&writer).await;
}

#[tokio::test]
async fn a_session_that_holds_the_place_of_a_lost_page_is_ended_and_no_other() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let lost = page(&head, &writer, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    // The append's own session sits in a transaction that has written the page and not yet committed: its answer is "lost".
    let hold = format!(
        "SET idle_in_transaction_session_timeout = 0; BEGIN; INSERT INTO ledger.page_0 (partition, page, epoch, first_offset, count, message_offset, writer, previous, digest, recorded_at) \
         VALUES (0, {}, 1, 0, 0, 0, 'held', '\\x00', '\\x01', now())",
        lost.head().page
    );
    writer.session().client().batch_execute(&hold).await.expect("a writer may insert");
    let bystander = f.database.owner().await;
    let settled = writer.settle(&lost, &head, NOW).await.expect("Postgres answers");
    assert!(matches!(settled, Settled::NeverWritten(_)), "{settled:?}");
    until_closed(&writer).await;
    bystander.simple_query("SELECT 1").await.expect("another session was left alone");
}

#[tokio::test]
async fn a_lost_page_in_whose_place_another_of_the_same_writer_stands_was_not_committed() {
    let f = Fixture::new().await;
    let writer = f.writer().await;
    let before = f.partition.last_page().await.expect("page 0");
    writer.open(NOW).await.expect("nobody else writes");
    // As if its first page had been sent in the opening page's place.
    let lost = page(&before, &writer, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let settled = writer.settle(&lost, &before, NOW).await.expect("Postgres answers");
    assert!(matches!(settled, Settled::Superseded), "{settled:?}");
}
