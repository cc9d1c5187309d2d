//! One statement a page: all of it or nothing, and outcomes with names.

use daybook_kernel::Instant;
use daybook_log::{AppendOutcome, Page};

use crate::support::{Fixture, NOW, append, event, page, row};

#[tokio::test]
async fn a_page_stands_with_its_events_ledger_and_requests() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1), event("a/2", 1)], vec![row("a/1", 1), row("a/2", 2), row("a/3", 3)]).await;

    let events = f.partition.read_events(0, 10).await.expect("readable");
    assert_eq!(events.iter().map(|e| (e.offset, e.version, e.page)).collect::<Vec<_>>(), [(0, 1, 2), (1, 1, 2)]);
    assert_eq!(events[0].page_digest, head.digest);
    assert_eq!(events[0].recorded_at, NOW);
    let ledger = f.partition.read_ledger(0, 9).await.expect("readable");
    assert_eq!(ledger.iter().map(|r| r.ordinal).collect::<Vec<_>>(), [0, 1, 2], "a refusal has a place too");
    assert_eq!(f.partition.read_requests(2).await.expect("readable").expect("there").requests.len(), 3);
    assert_eq!(f.partition.last_page().await.expect("readable"), head);
}

#[tokio::test]
async fn a_page_of_refusals_only_has_no_events() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![], vec![row("a/1", 1)]).await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 2)]).await;
    assert_eq!((head.first_offset, head.count), (0, 1));
}

#[tokio::test]
async fn a_repeat_is_named_and_nothing_of_its_page_is_left_behind() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    let repeated = page(&head, &writer, vec![event("a/1", 2), event("a/2", 1)], vec![row("a/2", 7), row("a/1", 1)]);
    assert_eq!(writer.append(&repeated).await, AppendOutcome::Repeated);
    assert_eq!(f.partition.read_events(0, 10).await.expect("readable").len(), 1);
    assert_eq!(f.partition.read_ledger(0, 9).await.expect("readable").len(), 1);
    assert_eq!(f.partition.last_page().await.expect("readable"), head);
}

#[tokio::test]
async fn a_page_never_stands_without_the_one_before_it() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let first = page(&head, &writer, vec![event("a/1", 1)], vec![row("a/1", 1)]);
    let second = page(first.head(), &writer, vec![event("a/1", 2)], vec![row("a/1", 2)]);
    // The first was never sent, as when its batch failed; the second was on its way already.
    assert_eq!(writer.append(&second).await, AppendOutcome::PredecessorMissing);
    assert_eq!(f.partition.read_events(0, 10).await.expect("readable"), []);
    assert_eq!(writer.append(&first).await, AppendOutcome::Appended);
    assert_eq!(writer.append(&second).await, AppendOutcome::Appended);
}

#[tokio::test]
async fn a_page_sent_before_the_answer_to_the_one_before_falls_with_it() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    let repeated = page(&head, &writer, vec![event("a/1", 2)], vec![row("a/1", 1)]);
    let next = page(repeated.head(), &writer, vec![event("a/1", 3)], vec![row("a/1", 3)]);
    let both = tokio::join!(writer.append(&repeated), writer.append(&next));
    assert_eq!(both, (AppendOutcome::Repeated, AppendOutcome::PredecessorMissing));
    assert_eq!(f.partition.read_events(0, 10).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_page_that_continues_another_history_is_refused() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let mut other = head.clone();
    other.digest[0] ^= 1;
    assert_eq!(writer.append(&page(&other, &writer, vec![event("a/1", 1)], vec![])).await, AppendOutcome::PredecessorMissing);
    let mut gap = head.clone();
    gap.count = 5;
    assert_eq!(
        writer.append(&page(&gap, &writer, vec![event("a/1", 1)], vec![])).await,
        AppendOutcome::PredecessorMissing,
        "an offset would be missing"
    );
}

#[tokio::test]
async fn two_events_of_one_version_fail_and_leave_nothing() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let outcome = writer.append(&page(&head, &writer, vec![event("a/1", 1), event("a/1", 1)], vec![row("a/1", 1)])).await;
    assert!(matches!(outcome, AppendOutcome::Failed(_)), "{outcome:?}");
    assert_eq!(f.partition.last_page().await.expect("readable"), head);
}

#[tokio::test]
async fn a_clock_that_was_set_back_stands_still() {
    let f = Fixture::new().await;
    let (writer, head) = f.opened().await;
    let earlier = Instant::from_micros(NOW.micros() - 3_600_000_000);
    let page = Page::following(&head, 0, writer.name(), earlier, 0, vec![event("a/1", 1)], vec![]);
    assert_eq!(page.head().recorded_at, NOW);
    assert_eq!(writer.append(&page).await, AppendOutcome::Appended);
}

#[tokio::test]
async fn page_0_is_bound_to_its_service_log_and_partition() {
    let f = Fixture::new().await;
    let first = f.partition.read_pages(0, 1).await.expect("readable").remove(0);
    assert_eq!(first.previous, f.partition.birth());
    assert_eq!((first.page, first.epoch, first.message_offset, first.writer.as_str()), (0, 1, -1, "migrate"));
}

#[tokio::test]
async fn a_page_beyond_the_prepared_request_ranges_finds_one_once_they_are_extended() {
    let f = Fixture::new().await;
    let (writer, _) = f.opened().await;
    writer.extend_requests(1_000_000).await.expect("the function runs as the owner");
    let owner = f.database.owner().await;
    let there: bool = owner
        .query_one(
            "SELECT to_regclass('ledger.request_0_1000000') IS NOT NULL AND to_regclass('ledger.request_0_1250000') IS NOT NULL",
            &[],
        )
        .await
        .expect("readable")
        .get(0);
    assert!(there);
}
