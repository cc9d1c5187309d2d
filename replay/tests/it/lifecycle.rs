//! What is done with a generation touches no other one; and of several who want something at once, each gets its turn.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_kernel::ReadModel;
use daybook_projections::lifecycle::{Building, LifecycleError, clear_dead, describe, known_generations, retire};
use daybook_projections::promotion::{meet, promote};
use daybook_projections::rebuild::Tail;
use daybook_projections::{ProjectorError, prepare};
use daybook_replay::Then;
use daybook_testkit::{TestDatabase, eventually};
use tokio_postgres::Client;

use crate::shop::{SERVICES, Shop, by_category, created, pages, retitled, titles, waits_for_a_lock};

/// For what comes at once, or never.
const NO_PATIENCE: Duration = Duration::ZERO;
/// For what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shop with two read models, `by-category` and `titles`.
async fn two() -> (Shop, ReadModel, ReadModel) {
    let (model, other) = (by_category(), titles());
    let shop = Shop::new(1, &model).await;
    prepare(&shop.database.databases(), &shop.bus, std::slice::from_ref(&other)).await.expect("the logs are there");
    (shop, model, other)
}

/// All that the read schema keeps of generations beside their tables, by projection and number.
struct Kept {
    owner: Client,
    of: BTreeMap<(String, i32), String>,
}

impl Kept {
    async fn new(shop: &Shop) -> Self {
        let mut kept = Self { owner: shop.database.owner().await, of: BTreeMap::new() };
        kept.changed().await;
        kept
    }

    /// What is otherwise than at the last look.
    async fn changed(&mut self) -> Vec<(String, i32)> {
        let sql = r#"SELECT projection, generation, string_agg(what, '; ' ORDER BY what)
            FROM (SELECT projection, generation, state AS what FROM read.generation
                  UNION ALL SELECT projection, generation, format('%s/%s at %s, pushed to %s', service, partition, next_offset, pushed)
                      FROM read.checkpoint
                  UNION ALL SELECT projection, generation, 'parked ' || stream_id FROM read.parked
                  UNION ALL SELECT projection, generation, 'removed ' || key FROM read.removed) AS each
            GROUP BY 1, 2"#;
        let rows = self.owner.query(sql, &[]).await.expect("the owner may");
        let now = rows.iter().map(|r| ((r.get(0), r.get(1)), r.get(2))).collect();
        let before = std::mem::replace(&mut self.of, now);
        self.of.iter().filter(|(at, what)| before.get(*at) != Some(*what)).map(|(at, _)| at.clone()).collect()
    }

    fn at(&self, model: &ReadModel, number: i32) -> &str {
        &self.of[&(model.name.to_owned(), number)]
    }
}

fn of<const N: usize>(model: &ReadModel, numbers: [i32; N]) -> [(String, i32); N] {
    numbers.map(|n| (model.name.to_owned(), n))
}

/// The projectors of a generation.
async fn tail(shop: &Shop, model: &ReadModel, number: i32) -> Tail {
    let all = known_generations(&shop.database.owner().await, model.name).await.expect("it answers");
    let generation = all.iter().find(|g| g.number == number).expect("it is there");
    Tail::of(&shop.database.databases(), model, generation).await.expect("the logs are there")
}

#[tokio::test]
async fn what_is_done_with_a_generation_touches_no_other_one_and_no_other_read_model() {
    let (mut shop, model, other) = two().await;
    let (databases, owner) = (shop.database.databases(), shop.database.owner().await);
    shop.append([created("A", "a", "toys"), created("B", "b", "books")]).await;
    shop.project(&model).await;
    shop.project(&other).await;
    shop.rebuild(&other, Then::Keep).await;
    // The other one is being rebuilt all the time.
    let busy = Building::begin(&databases, &other).await.expect("nobody else builds it");
    owner.batch_execute("UPDATE read.checkpoint SET pushed = 0").await.expect("the owner may");
    let mut kept = Kept::new(&shop).await;
    let mut building = Building::begin(&databases, &model).await.expect("nobody else builds it");
    assert_eq!(kept.changed().await, of(&model, [2]));
    building.fill(&Default::default(), &Default::default()).await.expect("foldable");
    assert_eq!(kept.changed().await, of(&model, [2]));

    // Each has a stream that is parked and a removal that is not pushed; and the other's live one is far ahead.
    let sow = r#"INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
                     SELECT projection, generation, 'catalog', 0, 'product/P', 0, 'test' FROM read.generation;
                 INSERT INTO read.removed (projection, generation, service, partition, "offset", key, part, stream_id)
                     SELECT projection, generation, 'catalog', 0, 0, 'toys', 'P', 'product/P' FROM read.generation;
                 UPDATE read.checkpoint SET pushed = 0;
                 UPDATE read.checkpoint SET next_offset = 99 WHERE projection = 'titles' AND generation = 1"#;
    owner.batch_execute(sow).await.expect("the owner may");
    kept.changed().await;
    assert_eq!(kept.at(&model, 2), "building; catalog/0 at 2, pushed to 0; parked product/P; removed toys");
    building.finish().await.expect("it is there");
    assert_eq!(kept.changed().await, of(&model, [2]));
    assert_eq!(kept.at(&model, 2), "catalog/0 at 2, pushed to 2; parked product/P; ready");
    promote(&databases, &model, None, NO_PATIENCE).await.expect("it stands where the live one stands");
    assert_eq!(kept.changed().await, of(&model, [1, 2]));
    retire(&databases, &shop.bus, &model, 1).await.expect("nobody serves it");
    assert_eq!(kept.changed().await, of(&model, [1]));
    assert_eq!(kept.at(&model, 1), "retired");

    // Two that nobody will finish, as if one had not been cleared away; and what they have left.
    drop(Building::begin(&databases, &model).await.expect("nobody else builds it"));
    let dead = "INSERT INTO read.generation (projection, generation, fingerprint, state, parts)
                VALUES ('by-category', 4, '', 'building', 'by_category_4')";
    owner.batch_execute(dead).await.expect("the owner may");
    let sow = sow.replace("FROM read.generation", "FROM read.generation WHERE projection = 'by-category' AND state = 'building'");
    owner.batch_execute(&sow).await.expect("the owner may");
    kept.changed().await;
    assert_eq!(clear_dead(&databases, model.name, PATIENCE).await.expect("its lock ends"), [3, 4]);
    assert_eq!(kept.changed().await, of(&model, [3, 4]));
    assert_eq!([kept.at(&model, 3), kept.at(&model, 4)], ["retired"; 2]);
    busy.discard().await.expect("it is there");
    assert_eq!(kept.changed().await, of(&other, [3]));
}

/// As sessions that were cut, which take a moment to notice.
#[tokio::test]
async fn who_clears_up_waits_for_whoever_still_holds_the_lock() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    let first = Building::begin(&databases, &model).await.expect("nobody else builds it");
    let (cleared, ()) = tokio::join!(clear_dead(&databases, model.name, PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        first.discard().await.expect("it is there");
    });
    assert_eq!(cleared.expect("its turn comes"), [0; 0]);
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_generation_that_is_retired_while_its_promotion_waits_is_not_served() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    let (owner, mut other) = (shop.database.owner().await, shop.database.owner().await);
    let retiring = other.transaction().await.expect("it answers");
    let retire = "SELECT FROM read.generation WHERE projection = 'by-category' FOR UPDATE;
                  UPDATE read.generation SET state = 'retired' WHERE projection = 'by-category' AND generation = 2";
    retiring.batch_execute(retire).await.expect("the owner may");
    let databases = shop.database.databases();
    let (promoted, ()) = tokio::join!(promote(&databases, &model, Some(2), NO_PATIENCE), async {
        waits_for_a_lock(&owner, "daybook promote").await;
        retiring.commit().await.expect("the owner may");
    });
    let refused = promoted.expect_err("it is gone");
    assert!(refused.is_usage() && refused.to_string().contains("is retired"), "{refused}");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "retired".to_owned())]);
}

#[tokio::test]
async fn a_promotion_waits_for_no_other_read_model() {
    let (shop, model, _) = two().await;
    shop.rebuild(&model, Then::Keep).await;
    let mut owner = shop.database.owner().await;
    let held = owner.transaction().await.expect("it answers");
    let hold = "SELECT FROM read.generation WHERE projection = 'titles' FOR UPDATE;
                SELECT FROM read.checkpoint WHERE projection = 'titles' FOR UPDATE";
    held.batch_execute(hold).await.expect("the owner may");
    assert_eq!(promote(&shop.database.databases(), &model, None, NO_PATIENCE).await.expect("nothing is in its way").to, 2);
}

/// It has its generation's tables locked before it asks for its checkpoint: who took them the other way round would meet it.
#[tokio::test]
async fn a_projector_that_is_writing_is_waited_for_when_its_generation_is_retired() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    shop.rebuild(&model, Then::Keep).await;
    let (owner, mut projector) = (shop.database.owner().await, shop.database.owner().await);
    let writing = projector.transaction().await.expect("it answers");
    writing.batch_execute("LOCK TABLE read.by_category_2 IN ROW EXCLUSIVE MODE").await.expect("the owner may");
    let databases = shop.database.databases();
    let (retired, ()) = tokio::join!(retire(&databases, &shop.bus, &model, 2), async {
        waits_for_a_lock(&owner, "daybook retire").await;
        let moves = "UPDATE read.checkpoint SET next_offset = next_offset WHERE projection = 'by-category' AND generation = 2";
        assert_eq!(writing.execute(moves, &[]).await.expect("nobody has it"), 1);
        writing.commit().await.expect("the owner may");
    });
    retired.expect("nobody serves it");
}

#[tokio::test]
async fn what_is_not_to_be_served_or_retired_is_refused_and_nothing_is_changed() {
    let model = by_category();
    let shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    shop.rebuild(&model, Then::Keep).await;
    promote(&databases, &model, None, NO_PATIENCE).await.expect("it is this build's");
    shop.rebuild(&model, Then::Drop).await;
    let building = Building::begin(&databases, &model).await.expect("nobody else builds it");
    let states: Vec<String> = shop.generations(&model).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["kept", "live", "retired", "building"]);
    for (number, why) in
        [(None, "ready"), (Some(2), "live already"), (Some(3), "is retired"), (Some(4), "is building"), (Some(9), "no gen")]
    {
        let error = promote(&databases, &model, number, NO_PATIENCE).await.expect_err("it is not to be served");
        assert!(error.is_usage() && error.to_string().contains(why), "{number:?}: {error}");
    }
    for (number, usage, why) in [(2, false, "is live"), (3, true, "already"), (4, false, "being built"), (9, true, "no generation 9")] {
        let error = retire(&databases, &shop.bus, &model, number).await.expect_err("it is not to be retired");
        assert_eq!((error.is_usage(), error.is_refusal()), (usage, !usage), "{error}");
        assert!(error.to_string().contains(why), "{number}: {error}");
    }
    let left: Vec<String> = shop.generations(&model).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(left, states);
    building.discard().await.expect("it is there");
}

/// What is not written by this build is nobody's to wait for; what a generation lacks it has not come to.
#[tokio::test]
async fn a_promotion_compares_the_places_that_this_build_reads() {
    let model = by_category();
    let mut shop = Shop::new(2, &model).await;
    let (databases, owner) = (shop.database.databases(), shop.database.owner().await);
    shop.append((0..10).map(|n| created(&format!("P-{n}"), "new", "toys"))).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let places = "INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch)
                  VALUES ('by-category', 1, 'elsewhere', 0, 5, 1);
                  CREATE TABLE aside AS SELECT * FROM read.checkpoint WHERE generation = 2 AND partition = 1;
                  DELETE FROM read.checkpoint WHERE generation = 2 AND partition = 1";
    owner.batch_execute(places).await.expect("the owner may");
    promote(&databases, &model, None, NO_PATIENCE).await.expect_err("it lacks one");
    assert_eq!(shop.generations(&model).await, [(1, "live".to_owned()), (2, "ready".to_owned())]);
    owner.batch_execute("INSERT INTO read.checkpoint SELECT * FROM aside").await.expect("the owner may");
    promote(&databases, &model, None, NO_PATIENCE).await.expect("elsewhere is not read");
}

/// Under load the live generation is always an event or two further on.
#[tokio::test]
async fn a_generation_is_promoted_while_the_live_one_never_stands_still() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    shop.append([retitled("A", "b")]).await;
    shop.project(&model).await;
    let (databases, mut live) = (shop.database.databases(), shop.live(&model).await);
    let mut promoting = std::pin::pin!(promote(&databases, &model, None, PATIENCE));
    let promoted = loop {
        let moving = async {
            shop.append([retitled("A", "more")]).await;
            live.catch_up().await.expect("foldable");
        };
        // Whatever has begun is done.
        let mut moving = std::pin::pin!(moving);
        let mut moved = false;
        let promoted = tokio::select! {
            biased;
            promoted = &mut promoting => Some(promoted),
            () = &mut moving => { moved = true; None }
        };
        if !moved {
            moving.await;
        }
        if let Some(promoted) = promoted {
            break promoted;
        }
    };
    assert_eq!(promoted.expect("it is held for as long as it takes").to, 2);
}

#[tokio::test]
async fn two_generations_meet_just_where_the_live_one_is_held() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    shop.append([created("A", "a", "toys")]).await;
    shop.rebuild(&model, Then::Keep).await;
    shop.append([retitled("A", "b"), retitled("A", "c")]).await;
    shop.project(&model).await;
    shop.append([retitled("A", "d"), retitled("A", "e")]).await;
    let (mut tail, mut live) = (tail(&shop, &model, 2).await, shop.live(&model).await);
    let stand = async || [shop.holds(&model, 1).await, shop.holds(&model, 2).await].map(|h| h.checkpoints[&("catalog".to_owned(), 0)].0);
    assert_eq!(stand().await, [3, 1]);
    assert_eq!(meet(&databases, &model, 1, &mut tail, stand).await.expect("it answers"), Some([3, 3]));
    // Where it is further on, the live one must come to it.
    tail.catch_up().await.expect("foldable");
    assert_eq!(stand().await, [3, 5]);
    let (met, _) = tokio::join!(meet(&databases, &model, 1, &mut tail, stand), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        live.catch_up().await.expect("foldable")
    });
    assert_eq!(met.expect("it answers"), Some([5, 5]));
}

#[tokio::test]
async fn who_keeps_a_generation_up_beside_others_goes_on_where_they_have_come_to() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    shop.append([created("A", "a", "toys")]).await;
    shop.rebuild(&model, Then::Keep).await;
    let (mut late, mut later) = (tail(&shop, &model, 2).await, tail(&shop, &model, 2).await);
    shop.append([retitled("A", "b"), retitled("A", "c")]).await;
    tail(&shop, &model, 2).await.catch_up().await.expect("foldable");
    shop.append([retitled("A", "d")]).await;
    assert_eq!(late.catch_up().await.expect("foldable"), 3);
    shop.project(&model).await;
    assert_eq!(meet(&databases, &model, 1, &mut later, async || ()).await.expect("it answers"), Some(()));
    assert_eq!(shop.holds(&model, 2).await, shop.holds(&model, 1).await);
}

#[tokio::test]
async fn what_the_live_generation_does_not_know_stands_at_its_beginning_there() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "a", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let mut tail = tail(&shop, &model, 2).await;
    // As where the live one's folds read fewer services.
    let owner = shop.database.owner().await;
    let fewer = "DELETE FROM read.checkpoint WHERE generation = 1 AND service = 'inventory'";
    assert_eq!(owner.execute(fewer, &[]).await.expect("the owner may"), 1);
    assert_eq!(meet(&shop.database.databases(), &model, 1, &mut tail, async || ()).await.expect("it answers"), Some(()));
}

#[tokio::test]
async fn the_live_generation_is_not_held_while_a_newer_one_has_far_to_go() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    let databases = shop.database.databases();
    shop.append([created("A", "a", "toys")]).await;
    shop.rebuild(&model, Then::Keep).await;
    for _ in 0..6 {
        shop.append((0..1_000).map(|n| retitled("A", &format!("title {n}")))).await;
    }
    shop.project(&model).await;
    // The newer one is kept from moving.
    let (owner, mut other) = (shop.database.owner().await, shop.database.owner().await);
    let holding = other.transaction().await.expect("it answers");
    let hold = "SELECT FROM read.checkpoint WHERE projection = 'by-category' AND generation = 2 FOR UPDATE";
    holding.batch_execute(hold).await.expect("the owner may");
    let mut tail = tail(&shop, &model, 2).await;
    let (met, ()) = tokio::join!(meet(&databases, &model, 1, &mut tail, async || ()), async {
        let begun = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'daybook diff'";
        eventually("the two to be on their way", async || {
            (owner.query_one(begun, &[]).await.expect("readable").get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let moves = "SET lock_timeout = '2s'; UPDATE read.checkpoint SET next_offset = next_offset WHERE generation = 1";
        owner.batch_execute(moves).await.expect("the live one is free");
        holding.commit().await.expect("the owner may");
    });
    assert_eq!(met.expect("it answers"), Some(()));
}

#[tokio::test]
async fn what_is_told_of_a_generation_is_its_own() {
    let (mut shop, model, _) = two().await;
    shop.append([created("A", "a", "toys"), retitled("A", "b"), retitled("A", "c")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let sow = r#"INSERT INTO read.parked (projection, generation, service, partition, stream_id, "offset", reason)
                 VALUES ('by-category', 2, 'catalog', 0, 'product/B', 0, 'test'), ('titles', 2, 'catalog', 0, 'product/C', 0, 'test'),
                        ('titles', 1, 'catalog', 0, 'product/B', 0, 'test');
                 INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch)
                 VALUES ('by-category', 2, 'elsewhere', 0, 5, 1);
                 UPDATE read.checkpoint SET next_offset = 1 WHERE projection = 'by-category' AND generation = 1;
                 UPDATE read.checkpoint SET next_offset = 7 WHERE projection = 'by-category' AND generation = 2"#;
    shop.database.owner().await.batch_execute(sow).await.expect("the owner may");
    let reports = describe(&shop.database.databases(), &model).await.expect("it answers");
    let told: Vec<_> = reports.iter().map(|r| (r.generation, r.parked, r.sources.len(), r.behind())).collect();
    // A log that is shorter than was folded, and one that this build does not read, are nothing to be behind.
    assert_eq!(told, [(1, 0, 1, 2), (2, 1, 2, 0)]);
    assert!(reports.iter().all(|r| r.projection == model.name));
    shop.database.owner().await.batch_execute("DELETE FROM read.checkpoint WHERE service = 'elsewhere'").await.expect("the owner may");
    retire(&shop.database.databases(), &shop.bus, &model, 2).await.expect("nobody serves it");
    let gone = describe(&shop.database.databases(), &model).await.expect("it answers").remove(1);
    assert_eq!((gone.parts, gone.parked, gone.sources.len()), (None, 0, 0));
}

#[tokio::test]
async fn where_nothing_was_migrated_that_is_what_is_said() {
    let database = TestDatabase::migrated(&SERVICES, 1).await;
    database.owner().await.batch_execute("DROP SCHEMA read CASCADE").await.expect("the owner may");
    let error = describe(&database.databases(), &by_category()).await.expect_err("there is no read schema");
    assert!(matches!(error, LifecycleError::Projector(ProjectorError::NotPrepared(_))), "{error}");
}

#[tokio::test]
async fn who_keeps_a_rebuild_waiting_is_named_among_all_that_hold_or_want_locks() {
    let models = [by_category(), titles(), pages()];
    let shop = Shop::new(1, &models[0]).await;
    prepare(&shop.database.databases(), &shop.bus, &models[1..]).await.expect("the logs are there");
    let elsewhere = Shop::new(1, &models[0]).await;
    prepare(&elsewhere.database.databases(), &elsewhere.bus, &models[1..]).await.expect("the logs are there");
    let databases = shop.database.databases();
    let (mut others, mut held) = (Vec::new(), Vec::new());
    for model in &models {
        others.push(Building::begin(&elsewhere.database.databases(), model).await.expect("nobody else builds it"));
        held.push(Building::begin(&databases, model).await.expect("nobody else builds it"));
    }
    // The same numbers in a lock of the other kind, and of another class; and somebody who waits.
    let (owner, waiter) = (shop.database.owner().await, shop.database.owner().await);
    let locks = "SELECT pg_advisory_lock((classid::bigint << 32) | objid::bigint), pg_advisory_lock(1, objid::bigint::bit(32)::int)
                 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    owner.query(locks, &[]).await.expect("nobody has them");
    let waiting = tokio::spawn(async move {
        let wait = "SELECT pg_advisory_lock(classid::bigint::bit(32)::int, objid::bigint::bit(32)::int) FROM pg_locks JOIN pg_stat_activity USING (pid)
                    WHERE locktype = 'advisory' AND application_name LIKE 'daybook generations of by-category,%' AND datname = current_database()";
        waiter.batch_execute(&format!("SET application_name = 'waiter'; {wait}")).await
    });
    waits_for_a_lock(&owner, "waiter").await;
    for model in &models {
        let Err(refused) = Building::begin(&databases, model).await else { panic!("it is being built") };
        assert!(matches!(refused, LifecycleError::Running { .. }), "{refused}");
        let name = format!("\"daybook generations of {}, process {}\"", model.name, std::process::id());
        assert!(refused.to_string().contains(&name), "{refused}");
    }
    waiting.abort();
}
