//! Parked streams go on: folded again once what stopped them is gone, or without the event that did.

use std::time::Duration;

use daybook_follow::Ask;
use daybook_projections::{Limits, ReadStore, Unparked};
use daybook_testkit::{alter_topic, eventually};

use crate::models::{by_category, by_category_mended, categorized, created, cure, poisoned, retired, retitled};
use crate::pod::Pod;
use crate::support::{Process, Shop};

/// Products that the poisoned one stands among: 500, or what `TEST_PRODUCTS` says.
fn products() -> usize {
    std::env::var("TEST_PRODUCTS").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}
const PATIENCE: Duration = Duration::from_secs(60);

fn store(shop: &Shop) -> ReadStore {
    ReadStore::new(&shop.database.databases()).expect("a URL")
}

/// Asks for the only stream that is parked.
async fn unpark(shop: &Shop, ask: Ask) -> Unparked {
    let store = store(shop);
    let parked = store.parked_streams(Some("by-category"), None, None).await.expect("it answers");
    assert_eq!(parked.len(), 1);
    store.unpark(&parked, ask, PATIENCE).await.expect("it answers").remove(0)
}

/// Many products, one of which holds an event that can't be folded: its title is `poison`.
async fn many(shop: &mut Shop, poison: &str) -> i64 {
    let sku = |n: usize| format!("A-{n}");
    let middle = sku(products() / 2);
    for chunk in (0..products()).collect::<Vec<_>>().chunks(100) {
        let stored = shop.append(chunk.iter().map(|n| created(&sku(*n), "one", "toys"))).await;
        shop.publish("catalog", &stored).await;
    }
    let bad = shop.append([retitled(&middle, "two"), retitled(&middle, poison), categorized(&middle, "games")]).await;
    shop.publish("catalog", &bad).await;
    let after = shop.append((0..products()).map(|n| retitled(&sku(n), &format!("three {n}")))).await;
    shop.publish("catalog", &after).await;
    bad[1].offset
}

async fn poisoned_shop(poison: &str) -> (Shop, Process, Pod, i64) {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let pod = Pod::new(&shop, &model).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    let bad = many(&mut shop, poison).await;
    shop.caught_up(&model).await;
    (shop, process, pod, bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poisoned_product_among_many_waits_until_its_cause_is_gone_and_the_others_flow() {
    let model = by_category();
    let poison = poisoned();
    let (shop, process, mut pod, bad) = poisoned_shop(&poison).await;
    let middle = format!("A-{}", products() / 2);
    // The others have all of it; the poisoned one's good parts stand, and pods know that they are old.
    let parts = shop.parts(&model).await;
    let fresh = shop.fresh_fold_without(&model, &[], &poison).await;
    assert_eq!((parts.len(), &parts), (products(), &fresh));
    assert_eq!(shop.parked(&model).await.iter().map(|(s, o, _)| (s.clone(), *o)).collect::<Vec<_>>(), [(format!("product/{middle}"), bad)]);
    pod.comes_to(&shop, &parts).await;
    eventually_stale(&mut pod, &shop, &[("toys", &middle)]).await;

    // Folded again in vain, it stays as it is, and says so.
    let Unparked::Again(again) = unpark(&shop, Ask::Retry).await else { panic!("the cause is not gone") };
    assert_eq!((again.offset, again.asked), (bad, None));
    assert!(again.attempts > 0);
    assert_eq!(shop.parts(&model).await, parts);

    // The cause goes: it is healed as if nothing had been.
    cure(&poison);
    assert_eq!(unpark(&shop, Ask::Retry).await, Unparked::Healed);
    let healed = shop.parts(&model).await;
    assert_eq!(healed, shop.fresh_fold(&model).await);
    assert!(healed.contains_key(&("games".to_owned(), middle.clone())));
    pod.comes_to(&shop, &healed).await;
    eventually_stale(&mut pod, &shop, &[]).await;
    assert_eq!(pod.gaps, 0);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_event_is_passed_over_for_ever_also_by_a_fresh_fold() {
    let model = by_category();
    let poison = poisoned();
    let (mut shop, process, mut pod, bad) = poisoned_shop(&poison).await;
    assert_eq!(unpark(&shop, Ask::Skip).await, Unparked::Healed);
    let parts = shop.parts(&model).await;
    assert_eq!(parts, shop.fresh_fold_without(&model, &[bad], &poison).await);
    pod.comes_to(&shop, &parts).await;
    eventually_stale(&mut pod, &shop, &[]).await;

    // It goes on from there; and a generation that begins at the log's beginning comes to the same.
    let middle = format!("A-{}", products() / 2);
    shop.append([retitled(&middle, "four"), retitled("A-1", "four")]).await;
    shop.begin_generation(&model, 2, "ready").await;
    shop.caught_up(&model).await;
    let parts = shop.parts(&model).await;
    assert_eq!(parts, shop.fresh_fold_without(&model, &[bad], &poison).await);
    eventually("the second generation to come to the same", || async { (shop.parts_of(&model, 2).await == parts).then_some(()) }).await;
    assert!(shop.parked(&model).await.is_empty());
    pod.comes_to(&shop, &parts).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_can_fold_it_unparks_a_stream_by_itself_once_it_takes_the_partition() {
    let (model, mended) = (by_category(), by_category_mended());
    let (shop, process, _, _) = poisoned_shop(&poisoned()).await;
    process.stop().await;
    // One that can't fold it either tries once.
    let process = shop.process(std::slice::from_ref(&model)).await;
    eventually("it to be tried", || async {
        let parked = store(&shop).parked_streams(None, None, None).await.expect("it answers");
        (parked[0].attempts > 0).then_some(())
    })
    .await;
    process.stop().await;
    let process = shop.process(std::slice::from_ref(&mended)).await;
    eventually("the stream to flow again", || async { shop.parked(&model).await.is_empty().then_some(()) }).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&mended).await);
    process.stop().await;
}

/// As in a rolling upgrade: the former holder moves its checkpoint once more, or Postgres hiccups.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_all_parked_streams_were_tried_does_not_use_up_their_try() {
    let (model, mended) = (by_category(), by_category_mended());
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    for sku in ["A-1", "A-2", "A-3"] {
        shop.append([created(sku, "one", "toys"), retitled(sku, &poisoned())]).await;
    }
    shop.projector(&model, "catalog", 0).await.catch_up().await.expect("streams that stop are no error");
    assert_eq!(shop.parked(&model).await.len(), 3);
    let owner = shop.database.owner().await;
    let hiccup = "CREATE FUNCTION hiccup() RETURNS trigger LANGUAGE plpgsql AS
                  $$ BEGIN RAISE EXCEPTION 'a hiccup' USING ERRCODE = 'serialization_failure'; END $$;
                  CREATE TRIGGER hiccup BEFORE DELETE ON read.parked FOR EACH ROW
                  WHEN (OLD.stream_id = 'product/A-2') EXECUTE FUNCTION hiccup()";
    owner.batch_execute(hiccup).await.expect("the owner may");

    let process = shop.process(std::slice::from_ref(&mended)).await;
    eventually("the hiccup", || async {
        let checks = process.projectors.readiness().await.checks;
        checks.into_iter().find(|(_, problem)| problem.as_ref().is_some_and(|p| p.contains("a hiccup")))
    })
    .await;
    owner.batch_execute("DROP TRIGGER hiccup ON read.parked").await.expect("the owner may");
    eventually("all streams to flow again", || async { shop.parked(&model).await.is_empty().then_some(()) }).await;
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&mended).await);
    process.stop().await;
}

/// Asked for by an operator, it would stop its partition once a second otherwise.
#[tokio::test]
async fn a_stream_that_fails_for_itself_holds_up_no_other_and_says_why() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    for sku in ["A-1", "A-2", "A-3"] {
        shop.append([created(sku, "one", "toys"), retitled(sku, &poisoned()), categorized(sku, "games")]).await;
    }
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("streams that stop are no error");
    let owner = shop.database.owner().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON read.skipped FOR EACH ROW
                  WHEN (NEW.stream_id = 'product/A-2') EXECUTE FUNCTION refuse();
                  UPDATE read.parked SET asked = 'skip'";
    owner.batch_execute(refuse).await.expect("the owner may");
    projector.tend().await.expect("the stream's fault is nobody else's");
    let parked = store(&shop).parked_streams(None, None, None).await.expect("it answers");
    let left: Vec<_> = parked.iter().map(|p| (p.stream.as_str(), p.asked, p.attempts)).collect();
    assert_eq!(left, [("product/A-2", None, 1)]);
    assert!(parked[0].reason.contains("not this one"), "{}", parked[0].reason);
    let keys: Vec<_> = shop.parts(&model).await.into_keys().map(|(key, part)| format!("{key} {part}")).collect();
    assert_eq!(keys, ["games A-1", "games A-3", "toys A-2"]);

    // An event that could not be skipped is not taken as skipped.
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(shop.parked(&model).await.len(), 1);
    owner.batch_execute("DROP TRIGGER refuse ON read.skipped; UPDATE read.parked SET asked = 'skip'").await.expect("the owner may");
    projector.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
}

/// As in a rolling upgrade that goes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_build_does_not_take_back_what_a_newer_one_has_folded() {
    let (older, newer) = (by_category(), by_category_mended());
    let mut shop = Shop::new(1, std::slice::from_ref(&newer)).await;
    let process = shop.process(std::slice::from_ref(&newer)).await;
    let (known, both) = (poisoned(), poisoned());
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &known), retitled("A-1", "three")]).await;
    shop.caught_up(&newer).await;
    let stands = shop.parts(&newer).await;
    assert_eq!(stands, shop.fresh_fold(&newer).await);
    process.stop().await;

    let process = shop.process(std::slice::from_ref(&older)).await;
    let at = shop.append([retitled("A-1", &both)]).await[0].offset;
    shop.caught_up(&older).await;
    process.stop().await;
    // It tries the stream once, from its beginning, where it meets an event that it does not know either.
    let process = shop.process(std::slice::from_ref(&older)).await;
    eventually("it to be tried", || async {
        let parked = store(&shop).parked_streams(None, None, None).await.expect("it answers");
        (parked[0].attempts > 0).then_some(())
    })
    .await;
    assert_eq!(shop.parked(&older).await.iter().map(|(_, o, _)| *o).collect::<Vec<_>>(), [at]);
    assert_eq!(shop.parts(&older).await, stands);
    process.stop().await;

    let process = shop.process(std::slice::from_ref(&newer)).await;
    eventually("the stream to flow again", || async { shop.parked(&newer).await.is_empty().then_some(()) }).await;
    assert_eq!(shop.parts(&newer).await, shop.fresh_fold(&newer).await);
    process.stop().await;
}

#[tokio::test]
async fn a_skip_that_meets_another_bad_event_parks_there_and_shows_what_is_good_before_it() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let (first, second) = (poisoned(), poisoned());
    let facts = [
        created("A-1", "one", "toys"),
        retitled("A-1", &first),
        categorized("A-1", "games"),
        retitled("A-1", &second),
        retired("A-1"),
        created("A-2", "two", "toys"),
    ];
    let stored = shop.append(facts).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("streams that stop are no error");
    let owner = shop.database.owner().await;
    let ask = async || owner.batch_execute("UPDATE read.parked SET asked = 'skip'").await.expect("the owner may");

    ask().await;
    projector.tend().await.expect("it is the owner");
    let parked: Vec<_> = shop.parked(&model).await.into_iter().map(|(stream, offset, _)| (stream, offset)).collect();
    assert_eq!(parked, [("product/A-1".to_owned(), stored[3].offset)]);
    // The parts that would have been folded up to there, had the first event never been.
    let keys: Vec<_> = shop.parts(&model).await.into_keys().map(|(key, part)| format!("{key} {part}")).collect();
    assert_eq!(keys, ["games A-1", "toys A-2"]);

    ask().await;
    projector.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
    let skipped = [1, 3].map(|i: usize| stored[i].offset);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold_without(&model, &skipped, "").await);
    assert_eq!(shop.parts(&model).await.len(), 1, "it is retired");
}

/// Every fold of the read model passes over what was skipped, also the fold that stops where it stopped before.
#[tokio::test]
async fn a_stream_that_stops_again_at_the_same_event_shows_what_is_good_before_it_by_now() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let stored = shop.append([created("A-1", "one", "toys"), categorized("A-1", "games"), retitled("A-1", &poisoned())]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    let keys = async || shop.parts(&model).await.into_keys().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys().await, ["games"]);
    // It was skipped for the sake of another generation, which had stopped there.
    let skip = "INSERT INTO read.skipped (projection, service, partition, stream_id, \"offset\", reason)
                VALUES ('by-category', 'catalog', 0, 'product/A-1', 1, 'test')";
    shop.database.owner().await.batch_execute(skip).await.expect("the owner may");
    projector.resume().await.expect("it answers");
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(shop.parked(&model).await.iter().map(|(_, offset, _)| *offset).collect::<Vec<_>>(), [stored[2].offset]);
    assert_eq!(keys().await, ["toys"]);
}

#[tokio::test]
async fn what_lies_beyond_the_checkpoint_is_not_folded_when_a_stream_is_unparked() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let poison = poisoned();
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &poison)]).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    // It is the very next event.
    shop.append([retitled("A-1", "three")]).await;
    cure(&poison);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(shop.parts(&model).await, shop.fresh_fold_without(&model, &[2], "").await);
    projector.catch_up().await.expect("it folds");
    assert_eq!(shop.parked(&model).await, []);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
}

#[tokio::test]
async fn a_long_parked_stream_is_folded_again_page_by_page_to_the_same() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let (first, second) = (poisoned(), poisoned());
    // Pages end at 500 and 1,000; it changes its key in each, and can't be folded early in the first and late in the third.
    let facts = (0..1_200).map(|n| match n {
        0 => created("A-1", "new", "toys"),
        7 => retitled("A-1", &first),
        400 | 900 | 1_150 => categorized("A-1", &format!("category {n}")),
        1_199 => retitled("A-1", &second),
        n => retitled("A-1", &format!("title {n}")),
    });
    let stored = shop.append(facts.collect::<Vec<_>>()).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    let parked_at = async |shop: &Shop| shop.parked(&model).await.into_iter().map(|(_, offset, _)| offset).collect::<Vec<_>>();
    assert_eq!(parked_at(&shop).await, [stored[7].offset]);

    cure(&first);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(parked_at(&shop).await, [stored[1_199].offset]);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold_without(&model, &[], &second).await);
    cure(&second);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(parked_at(&shop).await, [0_i64; 0]);
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    let writers = "SELECT key FROM read.by_category_1_writer ORDER BY key";
    let writers = shop.database.owner().await.query(writers, &[]).await.expect("it answers");
    assert_eq!(writers.iter().map(|r| r.get(0)).collect::<Vec<&str>>(), ["category 1150", "category 400", "category 900", "toys"]);
}

#[tokio::test]
async fn who_does_not_own_the_partition_unparks_nothing() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let poison = poisoned();
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &poison)]).await;
    let mut paused = shop.projector(&model, "catalog", 0).await;
    paused.catch_up().await.expect("streams that stop are no error");
    shop.append([created("A-2", "two", "toys")]).await;
    shop.projector(&model, "catalog", 0).await.catch_up().await.expect("it folds");
    let before = shop.parts(&model).await;
    shop.database.owner().await.batch_execute("UPDATE read.parked SET asked = 'skip'").await.expect("the owner may");
    let refused = paused.tend().await;
    assert!(matches!(refused, Err(daybook_projections::ProjectorError::Superseded(_))), "{refused:?}");
    assert_eq!((shop.parts(&model).await, shop.parked(&model).await.len()), (before, 1));
    let skipped = shop.database.owner().await.query("SELECT 1 FROM read.skipped", &[]).await.expect("it answers").len();
    assert_eq!(skipped, 0);
    // It starts again from the stored checkpoint, and is the owner then.
    paused.resume().await.expect("it answers");
    paused.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
}

#[tokio::test]
async fn what_a_death_kept_back_of_an_unparked_stream_is_pushed_again() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let poison = poisoned();
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &poison), categorized("A-1", "games"), created("A-2", "two", "toys")])
        .await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    projector.catch_up().await.expect("streams that stop are no error");
    eventually_pushed(&shop, &mut projector, 4).await;
    pod.follow(&shop).await;
    assert_eq!(pod.stale, [("toys".to_owned(), "A-1".to_owned())]);
    drop(projector);

    // All that came before is pushed and acknowledged; it heals, and dies before it can say so.
    cure(&poison);
    let mut dying = shop.projector(&model, "catalog", 0).await;
    dying.try_parked_again();
    dying.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(pod.hear().await, []);
    let mut after = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    eventually_pushed(&shop, &mut after, 4).await;
    pod.follow(&shop).await;
    assert_eq!((pod.gaps, pod.stale.len(), &pod.parts), (0, 0, &shop.parts(&model).await));
    assert_eq!(shop.removed(&model).await, 0);
}

#[tokio::test]
async fn what_kafka_did_not_take_of_an_unparked_stream_is_not_hidden_by_the_next_batch() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let poison = poisoned();
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &poison), retitled("A-1", &"x".repeat(1_000))]).await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    projector.catch_up().await.expect("streams that stop are no error");
    eventually_pushed(&shop, &mut projector, 3).await;
    pod.follow(&shop).await;

    let topic = shop.bus.read(model.name);
    alter_topic(&shop.bus, &topic, "max.message.bytes", "400").await;
    cure(&poison);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
    // Long enough that the broker has said no.
    tokio::time::sleep(Duration::from_millis(300)).await;
    alter_topic(&shop.bus, &topic, "max.message.bytes", "4194304").await;
    shop.append([created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    eventually_pushed(&shop, &mut projector, 4).await;
    pod.follow(&shop).await;
    assert_eq!((pod.stale.len(), &pod.parts), (0, &shop.parts(&model).await));
}

/// Far behind the log's end what is unparked is not pushed at once. The batch that comes to the end joins the marker before it.
#[tokio::test]
async fn changes_of_an_unparked_stream_come_with_the_marker_that_would_hide_their_loss() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let poison = poisoned();
    let mut limits = Limits::default();
    limits.push.silent_beyond = 3;
    let mut projector = shop.pushing(&model, "catalog", 0, limits).await;
    shop.append([created("A-1", "one", "toys"), retitled("A-1", &poison), created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    eventually_pushed(&shop, &mut projector, 3).await;
    pod.follow(&shop).await;
    assert_eq!(pod.stale.len(), 1);

    shop.append((0..5).map(|n| retitled("A-2", &format!("title {n}")))).await;
    assert!(projector.is_behind().await.expect("it answers"));
    cure(&poison);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert!(shop.parked(&model).await.is_empty());
    assert_eq!(pod.hear().await, []);
    // One batch; and nobody tends to what is owed before its marker has come.
    projector.catch_up().await.expect("it folds");
    eventually_reached(&mut pod, &shop, 8).await;
    assert_eq!((pod.gaps, pod.stale.len(), &pod.parts), (0, 0, &shop.parts(&model).await));
}

/// It is all one to the next holder, but a removed part is kept until the checkpoint says so.
#[tokio::test]
async fn an_unparked_stream_that_kafka_has_acknowledged_at_once_is_noted_as_pushed() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let limits = Limits { idle: PATIENCE, ..Limits::default() };
    let mut projector = shop.pushing(&model, "catalog", 0, limits).await;
    let poison = poisoned();
    for (sku, title) in [("A-1", poison.clone()), ("A-2", poisoned())] {
        shop.append([created(sku, "one", "toys"), retitled(sku, &title)]).await;
        projector.catch_up().await.expect("a stream that stops is no error");
    }
    eventually_pushed(&shop, &mut projector, 4).await;
    // The second one, which is not healed, takes so long that Kafka has acknowledged the first.
    let dawdle = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
                  CREATE TRIGGER dawdle BEFORE UPDATE ON read.parked FOR EACH ROW
                  WHEN (OLD.stream_id = 'product/A-2') EXECUTE FUNCTION dawdle()";
    shop.database.owner().await.batch_execute(dawdle).await.expect("the owner may");
    cure(&poison);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    assert_eq!(shop.parked(&model).await.len(), 1);
    eventually_pushed(&shop, &mut projector, 4).await;
}

/// No part of it can say that it is parked.
#[tokio::test]
async fn a_stream_that_shows_nothing_is_named_by_each_marker_until_it_does() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let poison = poisoned();
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", &poison, "toys"), created("A-2", "two", "toys"), retitled("A-2", &poisoned())]).await;
    projector.catch_up().await.expect("streams that stop are no error");
    eventually_pushed(&shop, &mut projector, 3).await;
    pod.follow(&shop).await;
    let named = |pod: &Pod| pod.hidden.values().flatten().cloned().collect::<Vec<_>>();
    assert_eq!((named(&pod), &pod.stale), (vec!["product/A-1".to_owned()], &vec![("toys".to_owned(), "A-2".to_owned())]));

    // Also by a projector that takes the partition over, whatever its batch is about.
    drop(projector);
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-3", "three", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    eventually_pushed(&shop, &mut projector, 4).await;
    pod.follow(&shop).await;
    assert_eq!(named(&pod), ["product/A-1"]);
    // Folded again in vain, it is still named.
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    shop.append([created("A-4", "four", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    eventually_pushed(&shop, &mut projector, 5).await;
    pod.follow(&shop).await;
    assert_eq!(named(&pod), ["product/A-1"]);

    cure(&poison);
    projector.try_parked_again();
    projector.tend().await.expect("it is the owner");
    eventually_pushed(&shop, &mut projector, 5).await;
    pod.comes_to(&shop, &shop.parts(&model).await).await;
    assert_eq!(named(&pod), [""; 0]);
    assert!(pod.parts.contains_key(&("toys".to_owned(), "A-1".to_owned())));
}

async fn eventually_pushed(shop: &Shop, projector: &mut daybook_projections::Projector, offset: i64) {
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        projector.tend().await.expect("it is the owner");
        if shop.pushed(&by_category(), "catalog", 0).await == offset {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("Kafka does not acknowledge");
}

/// As far as the catalogue's only partition has been told.
async fn eventually_reached(pod: &mut Pod, shop: &Shop, offset: i64) {
    for _ in 0..3_000 {
        pod.follow(shop).await;
        if pod.reached.get(&("catalog".to_owned(), 0)) == Some(&offset) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no marker comes to {offset}");
}

async fn eventually_stale(pod: &mut Pod, shop: &Shop, stale: &[(&str, &str)]) {
    for _ in 0..3_000 {
        if pod.stale.iter().map(|(k, p)| (k.as_str(), p.as_str())).eq(stale.iter().copied()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        pod.follow(shop).await;
    }
    assert_eq!(pod.stale.len(), stale.len(), "{:?} is not {stale:?}", pod.stale);
}
