//! Pushed changes, when nothing is pushed, and what is pushed again.

use daybook_follow::FollowError;
use daybook_projections::{Limits, ProjectorError, PushLimits};
use daybook_proto::v1::{HiddenStreams, PartChange, PushMarker, part_change::Content};
use daybook_testkit::alter_topic;

use crate::models::{by_category, categorized, created, pages, received, retired, retitled};
use crate::pod::{Pod, Said};
use crate::support::{Shop, message};

fn markers(said: &[Said]) -> Vec<(i64, i64, u32)> {
    let of = |s: &Said| match s {
        Said::Marker(m) => Some((m.from, m.to, m.changes)),
        _ => None,
    };
    said.iter().filter_map(of).collect()
}

/// key, part, and its outcome.
fn changes(said: &[Said]) -> Vec<(String, &'static str)> {
    let of = |s: &Said| match s {
        Said::Part(p) => Some((
            format!("{} {}", p.key, p.part),
            match p.content {
                Some(Content::Bytes(_)) => "is",
                Some(Content::Removed(_)) => "is gone",
                Some(Content::TooLarge(_)) => "is too large",
                None => "says nothing",
            },
        )),
        _ => None,
    };
    said.iter().filter_map(of).collect()
}

fn owned(list: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    list.iter().map(|(place, what)| ((*place).to_owned(), *what)).collect()
}

fn push_limits(change: impl FnOnce(&mut PushLimits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits.push);
    limits
}

/// Waits until Kafka has acknowledged all that was folded, and the checkpoint says so.
async fn acknowledged(shop: &Shop, model: &daybook_kernel::ReadModel, projector: &mut daybook_projections::Projector) {
    let mut patience = 3_000;
    while shop.pushed(model, "catalog", 0).await != projector.next() {
        projector.tend().await.expect("it is the owner");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        patience -= 1;
        assert!(patience > 0, "Kafka does not acknowledge");
    }
}

#[tokio::test]
async fn a_batch_is_pushed_with_its_removals_and_a_marker_also_when_nothing_changed() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    let stored = shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    shop.follow(&mut projector, &stored.iter().map(|e| message(e, 0)).collect::<Vec<_>>()).await.expect("in order");
    acknowledged(&shop, &model, &mut projector).await;
    let said = pod.hear().await;
    let parts = shop.parts(&model).await;
    let [Said::Part(first), Said::Part(second), Said::Marker(marker)] = said.as_slice() else { panic!("{said:?}") };
    let batch = marker.batch.clone();
    let expected = |sku: &str, offset| PartChange {
        key: "toys".into(),
        part: sku.into(),
        generation: 1,
        service: "catalog".into(),
        partition: 0,
        stream: format!("product/{sku}"),
        offset,
        batch: batch.clone(),
        content: Some(Content::Bytes(parts[&("toys".to_owned(), sku.to_owned())].clone())),
        stale: false,
    };
    assert_eq!((first, second), (&expected("A-1", 0), &expected("A-2", 1)));
    let span = PushMarker {
        generation: 1,
        service: "catalog".into(),
        partition: 0,
        epoch: 1,
        from: 0,
        to: 2,
        batch: batch.clone(),
        changes: 2,
        hidden: Some(HiddenStreams::default()),
    };
    assert_eq!((marker, batch.len()), (&span, 16));

    // One moves, one goes; and then an event that changes no part.
    shop.append([categorized("A-1", "games"), retired("A-2")]).await;
    projector.catch_up().await.expect("it folds");
    shop.append([categorized("A-1", "games")]).await;
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;
    let said = pod.hear().await;
    assert_eq!(changes(&said), owned(&[("games A-1", "is"), ("toys A-1", "is gone"), ("toys A-2", "is gone")]));
    assert_eq!(markers(&said), [(2, 4, 3), (4, 5, 0)]);
    let tombstones: Vec<_> = said.iter().filter_map(|s| if let Said::Tombstone(key) = s { Some(key.as_slice()) } else { None }).collect();
    assert_eq!(tombstones, [b"toys\0A-1", b"toys\0A-2"]);
    assert_eq!(shop.removed(&model).await, 0, "what is acknowledged is not kept");
}

#[tokio::test]
async fn who_takes_a_partition_pushes_again_what_a_death_kept_back() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut before = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys"), created("A-3", "three", "toys")]).await;
    before.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut before).await;
    pod.follow(&shop).await;
    drop(before);

    // It commits, and dies before it pushes: a part changes, one moves, one goes and comes back, one goes for good.
    let mut dying = shop.projector(&model, "catalog", 0).await;
    for fact in [retitled("A-1", "1"), categorized("A-2", "games"), categorized("A-2", "toys"), categorized("A-2", "books"), retired("A-3")]
    {
        shop.append([fact]).await;
        dying.catch_up().await.expect("it folds");
    }
    assert_eq!(pod.hear().await, []);
    assert_eq!(shop.removed(&model).await, 4, "toys A-2 twice, games A-2, toys A-3");

    let mut after = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    acknowledged(&shop, &model, &mut after).await;
    let mut heard = Pod::new(&shop, &model).await;
    let said: Vec<Said> = heard.hear().await.into_iter().skip(4).collect();
    assert_eq!(
        changes(&said),
        owned(&[("books A-2", "is"), ("games A-2", "is gone"), ("toys A-1", "is"), ("toys A-2", "is gone"), ("toys A-3", "is gone")])
    );
    assert_eq!(markers(&said), [(3, 8, 5)]);
    pod.follow(&shop).await;
    assert_eq!((pod.gaps, &pod.parts), (0, &shop.parts(&model).await));
    assert_eq!(shop.removed(&model).await, 0);
    // A change that is pushed and acknowledged is not pushed again.
    let mut again = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    again.tend().await.expect("it is the owner");
    assert_eq!(pod.hear().await, []);
}

#[tokio::test]
async fn what_a_stream_removes_in_the_batch_in_which_it_stops_is_pushed_as_gone() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;
    pod.follow(&shop).await;
    shop.append([categorized("A-1", "games"), retitled("A-1", "can't be folded")]).await;
    projector.catch_up().await.expect("a stream that stops is no error");
    acknowledged(&shop, &model, &mut projector).await;
    pod.follow(&shop).await;
    assert_eq!((pod.gaps, &pod.parts), (0, &shop.parts(&model).await));
    assert_eq!(pod.stale, [("games".to_owned(), "A-1".to_owned())]);
}

#[tokio::test]
async fn what_is_too_much_to_be_pushed_again_is_a_gap() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut dying = shop.projector(&model, "catalog", 0).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys"), categorized("A-1", "games"), retitled("A-2", "2")]).await;
    dying.catch_up().await.expect("it folds");
    let mut after = shop.pushing(&model, "catalog", 0, push_limits(|l| l.again_up_to = 3)).await;
    acknowledged(&shop, &model, &mut after).await;
    assert_eq!(markers(&pod.hear().await), [(4, 4, 0)]);
    // The same where the events are few and their parts large.
    shop.append([retitled("A-2", &"x".repeat(500))]).await;
    dying.catch_up().await.expect("it folds");
    let mut after = shop.pushing(&model, "catalog", 0, push_limits(|l| l.bytes = 300)).await;
    acknowledged(&shop, &model, &mut after).await;
    assert_eq!(markers(&pod.hear().await), [(5, 5, 0)]);
}

#[tokio::test]
async fn far_behind_the_logs_end_nothing_is_pushed_and_afterwards_there_is_a_gap() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    shop.append((0..10).map(|n| created(&format!("A-{n}"), "one", "toys"))).await;
    let mut limits = push_limits(|l| (l.silent_beyond, l.again_up_to) = (4, 3));
    limits.catch_up_events = 3;
    let mut projector = shop.pushing(&model, "catalog", 0, limits).await;
    for _ in 0..2 {
        projector.step().await.expect("it folds");
        projector.tend().await.expect("it is the owner");
    }
    assert_eq!(projector.next(), 6);
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;
    // At 6 it was 4 behind: near enough.
    assert_eq!(markers(&pod.hear().await), [(3, 6, 3), (6, 9, 3), (9, 10, 1)]);
}

#[tokio::test]
async fn a_projector_that_was_paused_pushes_nothing_when_it_comes_back() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut paused = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys")]).await;
    paused.catch_up().await.expect("nobody else writes");
    let second = shop.append([retitled("A-1", "two")]).await;
    let mut other = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([retitled("A-1", "three")]).await;
    other.catch_up().await.expect("nobody else writes");
    acknowledged(&shop, &model, &mut other).await;
    pod.follow(&shop).await;

    let stale = shop.follow(&mut paused, &[message(&second[0], 0)]).await;
    assert!(matches!(stale, Err(FollowError::Moved(_))), "{stale:?}");
    // Nor does it say of itself that more or less is acknowledged than the owner says.
    paused.tend().await.ok();
    assert_eq!(pod.hear().await, []);
    assert_eq!(shop.pushed(&model, "catalog", 0).await, 3);
    assert_eq!((pod.gaps, &pod.parts), (0, &shop.parts(&model).await));
}

#[tokio::test]
async fn a_large_part_is_pushed_as_too_large() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut projector = shop.pushing(&model, "catalog", 0, push_limits(|l| l.largest_part = 100)).await;
    shop.append([created("A-1", &"x".repeat(200), "toys"), created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;
    assert_eq!(changes(&pod.hear().await), owned(&[("toys A-1", "is too large"), ("toys A-2", "is")]));
}

#[tokio::test]
async fn folding_does_not_wait_for_kafka_and_what_is_underway_is_bounded() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let nowhere = daybook_bus::BusConfig { brokers: "127.0.0.1:1".to_owned(), ..shop.bus.clone() };
    let limits = push_limits(|l| l.batches = 2);
    let mut projector = shop.pushing_over(&nowhere, &model, "catalog", 0, limits).await;
    for n in 0..20 {
        shop.append([created(&format!("A-{n}"), "one", "toys")]).await;
        projector.catch_up().await.expect("it folds");
        projector.tend().await.expect("it is the owner");
    }
    assert_eq!(shop.parts(&model).await, shop.fresh_fold(&model).await);
    assert_eq!((shop.checkpoint(&model, "catalog", 0).await.0, shop.pushed(&model, "catalog", 0).await), (20, 0));
    // With a Kafka that is there, nothing of it is missing.
    let mut pod = Pod::new(&shop, &model).await;
    let mut after = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    acknowledged(&shop, &model, &mut after).await;
    pod.follow(&shop).await;
    assert_eq!((pod.gaps, &pod.parts), (0, &shop.parts(&model).await));
}

#[tokio::test]
async fn what_kafka_did_not_take_is_pushed_again() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    let topic = shop.bus.read(model.name);
    shop.append([created("A-1", "one", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;

    // The broker refuses the next one. It is pushed again, from where it was lost.
    alter_topic(&shop.bus, &topic, "max.message.bytes", "400").await;
    shop.append([retitled("A-1", &"x".repeat(1_000))]).await;
    projector.catch_up().await.expect("folding goes on");
    // Long enough that the broker has said no at least once.
    for _ in 0..10 {
        projector.tend().await.expect("folding goes on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(shop.pushed(&model, "catalog", 0).await, 1);
    alter_topic(&shop.bus, &topic, "max.message.bytes", "4194304").await;
    acknowledged(&shop, &model, &mut projector).await;
    // A marker may have arrived without its part: a reader that counts is not misled.
    let said = pod.hear().await;
    assert_eq!(changes(&said), owned(&[("toys A-1", "is"), ("toys A-1", "is")]));
    assert_eq!(markers(&said).last(), Some(&(1, 2, 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_pushes_what_its_partitions_change() {
    let model = pages();
    let mut shop = Shop::new(2, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.append((0..20).map(|n| created(&format!("A-{n}"), "one", "toys"))).await;
    shop.append((0..20).map(|n| received(&format!("A-{n}"), "w-1", 5))).await;
    shop.caught_up(&model).await;
    pod.comes_to(&shop, &shop.parts(&model).await).await;
    assert_eq!(pod.gaps, 0);
    process.stop().await;
}

#[tokio::test]
async fn each_stream_that_ever_had_a_part_under_a_key_is_noted() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut projector = shop.projector(&model, "catalog", 0).await;
    for fact in [created("A-1", "one", "toys"), categorized("A-1", "games"), categorized("A-1", "toys"), created("A-2", "two", "toys")] {
        shop.append([fact]).await;
        projector.catch_up().await.expect("it folds");
    }
    // One batch, in which it was shortly under another key: what is asked for by time must find it there.
    shop.append([categorized("A-2", "books"), categorized("A-2", "toys"), retired("A-2")]).await;
    projector.catch_up().await.expect("it folds");
    let rows = shop.database.owner().await.query("SELECT key, service, stream_id FROM read.by_category_1_writer ORDER BY 1, 3", &[]).await;
    let rows: Vec<(String, String, String)> = rows.expect("it answers").iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect();
    let row = |key: &str, sku: &str| (key.to_owned(), "catalog".to_owned(), format!("product/{sku}"));
    assert_eq!(rows, [row("books", "A-2"), row("games", "A-1"), row("toys", "A-1"), row("toys", "A-2")]);
}

#[tokio::test]
async fn a_removal_by_the_first_event_behind_the_last_acknowledgement_is_kept_until_it_is_pushed() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut pod = Pod::new(&shop, &model).await;
    let mut before = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    before.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut before).await;
    pod.follow(&shop).await;
    drop(before);
    let mut dying = shop.projector(&model, "catalog", 0).await;
    // The second batch clears away the removals that need no second telling.
    for fact in [retired("A-1"), retitled("A-2", "2")] {
        shop.append([fact]).await;
        dying.catch_up().await.expect("it folds");
    }
    assert_eq!(shop.removed(&model).await, 1);
    let mut after = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    acknowledged(&shop, &model, &mut after).await;
    pod.follow(&shop).await;
    assert_eq!((pod.gaps, &pod.parts), (0, &shop.parts(&model).await));
    assert_eq!(shop.removed(&model).await, 0);
}

#[tokio::test]
async fn an_acknowledgement_clears_away_what_was_removed_before_it_and_nothing_of_other_places() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut projector = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    projector.catch_up().await.expect("it folds");
    acknowledged(&shop, &model, &mut projector).await;
    drop(projector);
    // As it stands where the next batch removes something and is not acknowledged, and the acknowledgement of this one was not noted;
    // and removals of other places.
    let removals = "UPDATE read.checkpoint SET pushed = 0 WHERE service = 'catalog';
        INSERT INTO read.removed (projection, generation, service, partition, \"offset\", key, part, stream_id)
        SELECT 'by-category', generation, service, partition, \"offset\", 'games', 'A-9', 'product/A-9'
        FROM (VALUES (1, 'catalog', 0, 1), (1, 'catalog', 0, 2), (1, 'catalog', 1, 1), (1, 'inventory', 0, 1), (2, 'catalog', 0, 1))
            AS r (generation, service, partition, \"offset\")";
    shop.database.owner().await.batch_execute(removals).await.expect("the owner may");
    let mut after = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    acknowledged(&shop, &model, &mut after).await;
    assert_eq!(shop.removed(&model).await, 4, "the one before it was told");
    // So does a batch.
    shop.append([created("A-3", "three", "toys")]).await;
    after.catch_up().await.expect("it folds");
    assert_eq!(shop.removed(&model).await, 4);
    acknowledged(&shop, &model, &mut after).await;
    assert_eq!(shop.removed(&model).await, 3, "the rest is of other places");
}

#[tokio::test]
async fn a_projector_whose_checkpoint_another_has_moved_notes_no_acknowledgement_and_is_told() {
    let model = by_category();
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let mut paused = shop.pushing(&model, "catalog", 0, Limits::default()).await;
    shop.append([created("A-1", "one", "toys")]).await;
    paused.catch_up().await.expect("it folds");
    let mut other = shop.projector(&model, "catalog", 0).await;
    shop.append([retitled("A-1", "two")]).await;
    other.catch_up().await.expect("it folds");
    // As soon as Kafka has acknowledged what it pushed.
    let mut patience = 3_000;
    let error = loop {
        match paused.tend().await {
            Err(error) => break error,
            Ok(()) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
        patience -= 1;
        assert!(patience > 0, "it never hears that it is the old one");
    };
    assert!(matches!(error, ProjectorError::Superseded(_)), "{error}");
    assert_eq!(shop.pushed(&model, "catalog", 0).await, 0);
}
