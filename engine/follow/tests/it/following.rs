//! Harm that one follower may not do to another, nor one process to another.

use std::sync::Arc;
use std::time::Duration;

use daybook_follow::Limits;
use daybook_testkit::eventually;

use crate::support::{Ledger, Process, Trouble};

async fn standing_still(process: &Process, follower: &str, why: &str) {
    eventually(&format!("{follower} to stand still: {why}"), || async {
        process.troubles().iter().any(|(who, what)| *who == follower && what.contains(why)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_followers_of_a_partition_go_along_the_log_and_along_kafka() {
    let mut ledger = Ledger::new().await;
    ledger.append(250).await;
    let all = [ledger.follower("one").await, ledger.follower("two").await, ledger.follower("three").await];
    let process = ledger.process("g", &all).await;
    for follower in &all {
        ledger.caught_up(follower).await;
    }
    for n in 0..30 {
        ledger.append_and_publish(1 + n % 7).await;
    }
    // And what Kafka lacks.
    ledger.append(3).await;
    for follower in &all {
        ledger.caught_up(follower).await;
    }
    assert!(process.troubles().is_empty());
    process.stop().await;
}

/// The log is read where two looks have found more, which is later than this waits: nothing else brings what is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_lane_of_the_process_commits_comes_without_kafka_and_once_where_kafka_brings_it_too() {
    let mut ledger = Ledger::new().await;
    let follower = ledger.follower("one").await;
    let limits = Limits { idle: Duration::from_secs(25), ..Limits::default() };
    let process = ledger.process_with("g", std::slice::from_ref(&follower), limits).await;
    // It knows where it stands by what Kafka has brought: until then it needs Kafka, and from then on it does not.
    let (mut late, mut without_kafka) = (Vec::new(), 0);
    for n in 0..40 {
        late.extend(ledger.append_and_feed(1 + n % 3, &process).await);
        if tokio::time::timeout(Duration::from_secs(3), ledger.caught_up(&follower)).await.is_ok() {
            without_kafka += 1;
        } else {
            ledger.publish(&std::mem::take(&mut late)).await;
            ledger.caught_up(&follower).await;
            without_kafka = 0;
        }
        if without_kafka == 15 {
            break;
        }
    }
    assert_eq!(without_kafka, 15, "in a row");
    // One that does not go on from the last is left to Kafka, which brings what was fed as well.
    late.extend(ledger.append(2).await);
    late.extend(ledger.append_and_feed(3, &process).await);
    ledger.publish(&late).await;
    ledger.caught_up(&follower).await;
    ledger.append_and_feed(1, &process).await;
    ledger.caught_up(&follower).await;
    assert!(process.troubles().is_empty());
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_panics_or_whose_statement_fails_fails_alone_and_goes_on_once_it_can() {
    for trouble in [Trouble::Panics(10), Trouble::Fails(10)] {
        let mut ledger = Ledger::new().await;
        let (good, bad) = (ledger.follower("good").await, ledger.follower("bad").await);
        let process = ledger.process("g", &[good.clone(), bad.clone()]).await;
        ledger.append_and_publish(10).await;
        ledger.caught_up(&good).await;
        ledger.caught_up(&bad).await;
        bad.set(trouble.clone());
        for _ in 0..10 {
            ledger.append_and_publish(5).await;
            ledger.caught_up(&good).await;
        }
        let why = if matches!(trouble, Trouble::Panics(_)) { "as it was told" } else { "check" };
        standing_still(&process, "bad", why).await;
        assert_eq!(ledger.place(&bad).await.0, 10, "{trouble:?}");
        assert_eq!(process.troubles().len(), 1);
        bad.set(Trouble::None);
        ledger.caught_up(&bad).await;
        ledger.append_and_publish(5).await;
        ledger.caught_up(&bad).await;
        eventually("the trouble to be over", || async { process.troubles().is_empty().then_some(()) }).await;
        process.stop().await;
    }
}

/// The slow one is never waited for twice: the others come to the end while its statement still runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_slow_works_alone_and_the_others_pass_it() {
    for trouble in [Trouble::Sleeps(Duration::from_secs(3)), Trouble::Computes(Duration::from_secs(1))] {
        let mut ledger = Ledger::new().await;
        let (good, slow) = (ledger.follower("good").await, ledger.follower("slow").await);
        let process = ledger.process("g", &[good.clone(), slow.clone()]).await;
        ledger.append_and_publish(1).await;
        ledger.caught_up(&good).await;
        ledger.caught_up(&slow).await;
        slow.set(trouble.clone());
        let mut passed = false;
        for _ in 0..30 {
            ledger.append_and_publish(1).await;
            ledger.caught_up(&good).await;
            passed |= ledger.place(&slow).await.0 < ledger.place(&good).await.0;
        }
        assert!(passed, "{trouble:?}: the good one went on while the slow one had not");
        slow.set(Trouble::None);
        ledger.caught_up(&slow).await;
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_a_promotion_holds_holds_up_nobody_else() {
    let mut ledger = Ledger::new().await;
    let (free, held) = (ledger.follower("free").await, ledger.follower("held").await);
    let process = ledger.process("g", &[free.clone(), held.clone()]).await;
    ledger.append_and_publish(3).await;
    ledger.caught_up(&free).await;
    ledger.caught_up(&held).await;
    let mut owner = ledger.database.owner().await;
    let transaction = owner.transaction().await.expect("it begins");
    transaction.execute("SELECT FROM read.place WHERE follower = 'held' FOR UPDATE", &[]).await.expect("nobody holds it for long");
    for _ in 0..5 {
        ledger.append_and_publish(4).await;
        ledger.caught_up(&free).await;
    }
    assert_eq!(ledger.place(&held).await.0, 3);
    transaction.rollback().await.expect("it ends");
    ledger.caught_up(&held).await;
    let (_, term) = ledger.place(&held).await;
    assert_eq!(term, 1, "nobody took it over for that");
    process.stop().await;
}

/// Two builds beside each other: one works, the other stands by, whichever comes last is first, and its end is made good.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_groups_one_works_and_the_other_stands_by_until_it_ends() {
    let mut ledger = Ledger::new().await;
    let follower = ledger.follower("one").await;
    let kinds = [follower.clone()];
    let old = ledger.process("old", &kinds).await;
    ledger.append_and_publish(5).await;
    ledger.caught_up(&follower).await;
    let new = ledger.process("new", &kinds).await;
    eventually("the new build to take over", || async { (ledger.place(&follower).await.1 == 2).then_some(()) }).await;
    for _ in 0..20 {
        ledger.append_and_publish(3).await;
        ledger.caught_up(&follower).await;
    }
    eventually("the old build to stand by", || async { old.works().is_empty().then_some(()) }).await;
    assert_eq!(ledger.place(&follower).await.1, 2, "they don't take it from each other");
    new.stop().await;
    ledger.append_and_publish(3).await;
    ledger.caught_up(&follower).await;
    // Given up, and taken over.
    assert_eq!((ledger.place(&follower).await.1, old.works()), (4, vec!["one"]));
    old.stop().await;
}

/// A death, which gives nothing up: another process' takeover that is followed by nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stands_still_with_more_in_the_log_is_replaced() {
    let mut ledger = Ledger::new().await;
    let follower = ledger.follower("one").await;
    let process = ledger.process("g", std::slice::from_ref(&follower)).await;
    ledger.append_and_publish(5).await;
    ledger.caught_up(&follower).await;
    ledger.database.owner().await.batch_execute("UPDATE read.place SET term = term + 1").await.expect("the owner may");
    ledger.append_and_publish(3).await;
    ledger.caught_up(&follower).await;
    assert_eq!(ledger.place(&follower).await.1, 3);
    process.stop().await;
}

/// Nobody here would ever be seen to stand still.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_in_order_gives_up_and_who_stands_by_takes_over_at_its_next_look() {
    let limits = Limits { still: Duration::from_secs(3_600), idle: Duration::from_millis(100), ..Limits::default() };
    let mut ledger = Ledger::new().await;
    let all = [ledger.follower("one").await, ledger.follower("two").await];
    let first = ledger.process_with("first", &all, limits.clone()).await;
    ledger.append_and_publish(5).await;
    for follower in &all {
        ledger.caught_up(follower).await;
    }
    let second = ledger.process_with("second", &all, limits.clone()).await;
    first_stands_by(&mut ledger, &first).await;
    second.stop().await;
    // With nothing more in the log, too.
    eventually("the first to take over", || async { (first.works().len() == 2).then_some(()) }).await;
    ledger.append_and_publish(5).await;
    for follower in &all {
        ledger.caught_up(follower).await;
        assert_eq!(ledger.place(follower).await.1, 4, "taken over, taken over, given up, taken over");
    }

    // A follower that stands by has nothing to give up.
    let third = ledger.process_with("third", &all, limits).await;
    first_stands_by(&mut ledger, &first).await;
    first.stop().await;
    ledger.append_and_publish(5).await;
    for follower in &all {
        ledger.caught_up(follower).await;
        assert_eq!(ledger.place(follower).await.1, 5);
    }
    third.stop().await;
}

/// Events come until the process has found out that another one has taken over.
async fn first_stands_by(ledger: &mut Ledger, first: &Process) {
    while !first.works().is_empty() {
        ledger.append_and_publish(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// In a rebalance a member of the same group takes over anyhow.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebalance_gives_nothing_up() {
    let mut ledger = Ledger::new().await;
    let follower = ledger.follower("one").await;
    let kinds = [follower.clone()];
    let mut processes = vec![ledger.process("g", &kinds).await];
    for _ in 0..3 {
        processes.push(ledger.process("g", &kinds).await);
        ledger.append_and_publish(5).await;
        ledger.caught_up(&follower).await;
    }
    eventually("all to have joined", || async { processes.iter().all(|p| p.following.is_joined()).then_some(()) }).await;
    let sql = "SELECT count(*) FROM read.place WHERE given_up_at_term >= 0";
    let given_up: i64 = ledger.database.owner().await.query_one(sql, &[]).await.expect("readable").get(0);
    assert_eq!(given_up, 0);
    for process in processes {
        process.stop().await;
    }
}

/// A holder that is replaced, and fails before it could write: it must not go on under the term that it finds.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_fails_after_it_was_replaced_stands_by_and_takes_no_term_that_is_not_its_own() {
    for trouble in [Trouble::Panics(5), Trouble::Fails(5)] {
        let mut ledger = Ledger::new().await;
        let follower = ledger.follower("one").await;
        let process = ledger.process("g", std::slice::from_ref(&follower)).await;
        ledger.append_and_publish(5).await;
        ledger.caught_up(&follower).await;
        // Another process takes over, and stands still from then on.
        ledger.database.owner().await.batch_execute("UPDATE read.place SET term = term + 1").await.expect("the owner may");
        follower.set(trouble);
        ledger.append_and_publish(2).await;
        eventually("it to stand by", || async { process.works().is_empty().then_some(()) }).await;
        follower.set(Trouble::None);
        ledger.caught_up(&follower).await;
        assert_eq!(ledger.place(&follower).await.1, 3, "it has taken over before it wrote");
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_build_come_and_go_and_each_event_is_done_once() {
    let mut ledger = Ledger::new().await;
    let all = [ledger.follower("one").await, ledger.follower("two").await];
    let mut processes = vec![ledger.process("g", &all).await];
    for n in 0..24 {
        ledger.append_and_publish(1 + n % 5).await;
        match n % 6 {
            1 if processes.len() < 3 => processes.push(ledger.process("g", &all).await),
            4 if processes.len() > 1 => processes.remove(0).stop().await,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    for follower in &all {
        ledger.caught_up(follower).await;
    }
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_comes_later_and_one_that_goes_disturb_nobody() {
    let mut ledger = Ledger::new().await;
    let (first, second) = (ledger.follower("first").await, ledger.follower("second").await);
    // A ring so small that one who begins at the log's beginning must read the log.
    let limits = Limits { ring_events: 4, ..Limits::default() };
    let process = ledger.process_with("g", std::slice::from_ref(&first), limits).await;
    ledger.append_and_publish(120).await;
    ledger.caught_up(&first).await;
    process.follows_for(&[first.clone(), second.clone()]);
    ledger.append_and_publish(30).await;
    ledger.caught_up(&first).await;
    ledger.caught_up(&second).await;
    process.follows_for(std::slice::from_ref(&second));
    eventually("the first to be let go", || async { (process.works() == ["second"]).then_some(()) }).await;
    let stood = ledger.place(&first).await;
    ledger.append_and_publish(10).await;
    ledger.caught_up(&second).await;
    assert_eq!(ledger.place(&first).await, stood);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_checkpoint_is_dropped_is_let_go_and_the_others_go_on() {
    let mut ledger = Ledger::new().await;
    let (stays, goes) = (ledger.follower("stays").await, ledger.follower("goes").await);
    let process = ledger.process("g", &[stays.clone(), goes.clone()]).await;
    ledger.append_and_publish(3).await;
    ledger.caught_up(&goes).await;
    ledger.database.owner().await.execute("DELETE FROM read.place WHERE follower = 'goes'", &[]).await.expect("the owner may");
    ledger.append_and_publish(3).await;
    ledger.caught_up(&stays).await;
    eventually("it to be let go", || async { (process.works() == ["stays"]).then_some(()) }).await;
    process.stop().await;
}

/// The database of the checkpoints is cut off, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_lose_and_repeat_nothing() {
    let mut ledger = Ledger::new().await;
    let all = [ledger.follower("one").await, ledger.follower("two").await, ledger.follower("three").await];
    let process = ledger.process("g", &all).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
               AND query LIKE '%read.place%'";
    for n in 0..20 {
        ledger.append_and_publish(1 + n % 4).await;
        if n % 3 == 0 {
            ledger.database.owner().await.batch_execute(cut).await.expect("the owner may");
        }
    }
    for follower in &all {
        ledger.caught_up(follower).await;
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_begins_is_followed() {
    let mut ledger = Ledger::new().await;
    let follower = ledger.follower("one").await;
    let process = ledger.process("g", &[Arc::clone(&follower)]).await;
    ledger.append_and_publish(5).await;
    ledger.caught_up(&follower).await;
    ledger.begin_epoch(2).await;
    ledger.append_and_publish(5).await;
    ledger.caught_up(&follower).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_holds_up_its_own_followers_alone() {
    let mut ledger = Ledger::new().await;
    let (here, away) = (ledger.follower("here").await, ledger.follower_away("away").await);
    ledger.append_and_publish(3).await;
    let process = ledger.process("one", &[here.clone(), away.clone()]).await;
    ledger.caught_up(&here).await;
    eventually("the other one to stand still", || async { process.troubles().iter().any(|(name, _)| *name == "away").then_some(()) }).await;
    for _ in 0..20 {
        ledger.append_and_publish(5).await;
    }
    ledger.caught_up(&here).await;
    assert_eq!(process.troubles().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["away"]);
    process.stop().await;
}
