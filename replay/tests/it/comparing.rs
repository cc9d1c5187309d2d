//! `diff`: what it finds, and what it does not find.

use std::time::Duration;

use daybook_projections::lifecycle::known_generations;
use daybook_projections::promotion::meet;
use daybook_replay::{DiffOptions, DiffReport, DifferenceKind, RebuildRequest, Then, diff};
use prost::Message as _;
use serde_json::json;
use shop_proto::read::v1::ProductPage;
use tokio_postgres::Client;

use crate::shop::{
    Shop, by_category, by_category_broken, by_category_with_marks, categorized, created, pages, received, retired, retitled,
    waits_for_a_lock,
};

#[tokio::test]
async fn a_changed_fold_differs_in_exactly_the_parts_that_it_makes_otherwise() {
    let mut shop = Shop::new(2, &by_category()).await;
    shop.append(["A", "B", "C", "D"].map(|sku| created(sku, "new", "toys"))).await;
    shop.append([categorized("B", "games"), retired("C"), retitled("D", "second")]).await;
    shop.project(&by_category()).await;
    let report = shop.rebuild(&by_category_with_marks(), Then::Drop).await;
    assert!(!report.is_good());
    let diff = &report.diff;
    assert_eq!((diff.identical, diff.differing, diff.only_old, diff.only_new, diff.unsettled), (1, 2, 0, 0, 0), "{diff}");
    let streams: Vec<&str> = diff.stream_names.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!((streams, diff.streams), (vec!["product/A", "product/D"], 2));
    assert_eq!(diff.fields, [("media.alt".to_owned(), 2)].into());
    let mut shown = diff.shown.clone();
    shown.sort_by(|a, b| a.part.cmp(&b.part));
    let fields: Vec<_> =
        shown.iter().map(|d| (&*d.key, &*d.part, d.kind, &*d.fields[0].path, &d.fields[0].old, &d.fields[0].new)).collect();
    let (new, marked, second, marked_too) = (Some(json!("new")), Some(json!("new!")), Some(json!("second")), Some(json!("second!")));
    assert_eq!(
        fields,
        [
            ("toys", "A", DifferenceKind::Differs, "media[0].alt", &new, &marked),
            ("toys", "D", DifferenceKind::Differs, "media[0].alt", &second, &marked_too),
        ]
    );
    assert!(diff.is_expected(&["media".to_owned()]) && diff.is_expected(&["media.alt".to_owned()]));
    assert!(!diff.is_expected(&["med".to_owned()]) && !diff.is_expected(&[]));
    assert_eq!(shop.rubbish().await, Vec::<String>::new());
}

#[tokio::test]
async fn parts_that_are_gone_new_or_no_message_are_told_apart_and_all_are_counted() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append((0..50).map(|n| created(&format!("P-{n}"), "new", "toys"))).await;
    shop.project(&model).await;
    shop.rebuild(&model, Then::Keep).await;
    let tampered = r"DELETE FROM read.by_category_1 WHERE part = 'P-1'; DELETE FROM read.by_category_2 WHERE part = 'P-2';
                     UPDATE read.by_category_2 SET bytes = '\xff' WHERE part = 'P-3'; UPDATE read.by_category_2 SET bytes = bytes || '\x0a0178'::bytea WHERE part > 'P-30'";
    let owner = shop.database.owner().await;
    owner.batch_execute(tampered).await.expect("the owner may");
    let all = known_generations(&owner, model.name).await.expect("it answers");
    let options = DiffOptions { show: 3, ..DiffOptions::default() };
    let databases = shop.database.databases();
    let report = diff(&databases, &model, shop_proto::descriptors(), (&all[0], &all[1]), &options, None).await.expect("it answers");
    let longer = (0..50).filter(|n| format!("P-{n}").as_str() > "P-30").count() as u64;
    assert_eq!((report.only_new, report.only_old, report.undecodable, report.differing), (1, 1, 1, 1 + longer), "{report}");
    assert_eq!((report.fields["sku"], report.shown.len(), report.streams), (longer, 3, 3 + longer));
    assert_eq!(report.identical, 50 - 3 - longer);
}

#[tokio::test]
async fn a_stream_that_is_parked_in_one_of_them_is_told_and_is_no_stream_that_moves() {
    let mut shop = Shop::new(1, &by_category()).await;
    shop.append([created("A", "a", "toys"), created("B", "b", "toys")]).await;
    shop.append([retitled("A", "sour"), retitled("A", "a3")]).await;
    shop.project(&by_category()).await;
    let report = shop.rebuild(&by_category_broken(), Then::Keep).await;
    let parked: Vec<&str> = report.diff.newly_parked.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!((parked, report.diff.differing, report.diff.unsettled), (vec!["product/A"], 1, 0), "{}", report.diff);
    // The other way round it has been healed.
    let reader = shop.reader().await;
    let all = known_generations(&reader, "by-category").await.expect("it answers");
    let databases = shop.database.databases();
    let (model, options) = (by_category(), DiffOptions::default());
    let back = diff(&databases, &model, shop_proto::descriptors(), (&all[1], &all[0]), &options, None).await.expect("it answers");
    assert_eq!((back.no_longer_parked.len(), back.newly_parked.len(), back.differing, back.unsettled), (1, 0, 1, 0), "{back}");
}

/// Whichever of the two is looked at, the other one is elsewhere; found by the fault harness, which had killed the live one's projectors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_stands_still_is_compared_while_the_live_generation_is_held() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "new", "toys"), created("B", "new", "toys")]).await;
    shop.project(&model).await;
    shop.append([retitled("A", "second")]).await;
    let mut live = shop.live(&model).await;
    let projecting = tokio::spawn(async move {
        // It is not there yet when both are looked at first.
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        live.catch_up().await.expect("foldable");
    });
    let request = RebuildRequest { diff: DiffOptions { rounds: 0, ..DiffOptions::default() }, ..RebuildRequest::default() };
    let (databases, progress) = (shop.database.databases(), std::sync::Arc::default());
    let report = daybook_replay::rebuild(&databases, &model, shop_proto::descriptors(), &request, &progress).await;
    let report = report.expect("nothing is in the way");
    assert!(report.is_good() && report.diff.identical == 2, "{report}");
    projecting.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_both_move_nothing_is_reported_that_is_not_so() {
    let model = pages();
    let mut shop = Shop::new(2, &model).await;
    shop.trade(50, 500).await;
    shop.project(&model).await;
    let mut live = shop.live(&model).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    // The live generation is ahead of the new one now, and then behind it.
    let projecting = tokio::spawn(async move {
        while !*stopped.borrow() {
            live.catch_up().await.expect("foldable");
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
    });
    let databases = shop.database.databases();
    let rebuilding = tokio::spawn(async move {
        let mut compared = Vec::new();
        for _ in 0..6 {
            let request = RebuildRequest { diff: DiffOptions { rounds: 12, ..Default::default() }, ..Default::default() };
            let progress = std::sync::Arc::default();
            let report = daybook_replay::rebuild(&databases, &pages(), shop_proto::descriptors(), &request, &progress).await;
            compared.push(report.expect("nothing is in the way").diff);
        }
        compared
    });
    let mut n = 0;
    while !rebuilding.is_finished() {
        n += 1;
        let facts = (0..20).map(|i| retitled(&format!("P-{}", (n * 7 + i) % 50), &format!("{n}")));
        shop.append(facts.chain([received(&format!("P-{}", n % 50), "w-9", 1), created(&format!("N-{n}"), "new", "toys")])).await;
        // Slower than it can be folded, also in a build without optimisation: who writes faster is never caught up with.
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    for diff in rebuilding.await.expect("every rebuild was good") {
        assert_eq!((diff.differences(), diff.newly_parked.len()), (0, 0), "{diff}");
    }
    let _ = stop.send(true);
    projecting.await.expect("foldable");
}

#[tokio::test]
async fn a_generation_that_is_held_stands_still_until_what_holds_it_has_ended() {
    let model = by_category();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A-1", "one", "toys")]).await;
    shop.project(&model).await;
    let mut tail = shop.live(&model).await;
    let moves = "SET lock_timeout = '200ms'; UPDATE read.checkpoint SET next_offset = next_offset WHERE projection = 'by-category'";
    let moved = async || shop.database.owner().await.batch_execute(moves).await;
    let during = meet(&shop.database.databases(), &model, 1, &mut tail, async || moved().await).await.expect("it answers");
    let refused = during.expect("they stand at the same place").expect_err("nobody moves it");
    assert_eq!(refused.code().map(|code| code.code()), Some("55P03"), "{refused}");
    moved().await.expect("now it may move");
}

/// Two generations of a list that are filled by hand; they read two services, a partition of each.
struct Two {
    shop: Shop,
    owner: Client,
}

/// Service and stream, and the version and offset of the last event that was folded of it.
type Stands<'a> = (&'a str, &'a str, i64, i64);

impl Two {
    /// Where both stand in the catalog and in the inventory.
    async fn new(old: [i64; 2], new: [i64; 2]) -> Self {
        let shop = Shop::new(1, &by_category()).await;
        shop.rebuild(&by_category(), Then::Keep).await;
        let owner = shop.database.owner().await;
        // Those of another read model say nothing.
        for (model, catalog, inventory) in [
            ("another", [1_000; 2], [1_000; 2]),
            ("by-category", [old[0], new[0]], [old[1], new[1]]),
            ("yet-another", [1_000; 2], [1_000; 2]),
        ] {
            for (generation, (catalog, inventory)) in (1..).zip(catalog.into_iter().zip(inventory)) {
                for (service, next) in [("catalog", catalog), ("inventory", inventory)] {
                    let sql = "INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch) VALUES ($1, $2, $3, 0, $4, 1) \
                               ON CONFLICT (projection, generation, service, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset";
                    owner.execute(sql, &[&model, &generation, &service, &next]).await.expect("the owner may");
                }
            }
        }
        Self { shop, owner }
    }

    async fn view(&self, generation: i32, (service, stream, version, offset): Stands<'_>) {
        let sql = format!(
            "INSERT INTO read.by_category_{generation}_view (service, stream_id, partition, \"offset\", version, view) VALUES ($1, $2, 0, $3, $4, '')"
        );
        self.owner.execute(&sql, &[&service, &stream, &offset, &version]).await.expect("the owner may");
    }

    /// A part, and how far its stream has been folded.
    async fn part(&self, generation: i32, stands: Stands<'_>, key: &str, part: &str, title: &str) {
        self.view(generation, stands).await;
        let bytes = ProductPage { title: title.into(), ..Default::default() }.encode_to_vec();
        let (service, stream, _, offset) = stands;
        let sql = format!(
            "INSERT INTO read.by_category_{generation} (key, part, bytes, service, stream_id, partition, \"offset\") VALUES ($1, $2, $3, $4, $5, 0, $6)"
        );
        self.owner.execute(&sql, &[&key, &part, &bytes, &service, &stream, &offset]).await.expect("the owner may");
    }

    async fn diff(&self, rounds: u32) -> DiffReport {
        let all = known_generations(&self.owner, "by-category").await.expect("it answers");
        let options = DiffOptions { rounds, ..DiffOptions::default() };
        let databases = self.shop.database.databases();
        diff(&databases, &by_category(), shop_proto::descriptors(), (&all[0], &all[1]), &options, None).await.expect("it answers")
    }

    /// Changes something while they are being compared, most often after the first look.
    fn meanwhile(&self, sql: &'static str) -> tokio::task::JoinHandle<()> {
        let url = self.shop.database.url.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let owner = daybook_postgres::connect_owner(&url).await.expect("it answers");
            owner.batch_execute(sql).await.expect("the owner may");
        })
    }
}

/// Identical; differing, only in the old one, only in the new one; not settled.
fn counts(report: &DiffReport) -> (u64, [u64; 3], u64) {
    (report.identical, [report.differing, report.only_old, report.only_new], report.unsettled)
}

#[tokio::test]
async fn what_moved_is_compared_when_it_has_come_as_far_and_each_part_is_counted_once() {
    let two = Two::new([100, 20], [50, 40]).await;
    for generation in [1, 2] {
        two.part(generation, ("catalog", "product/S", 1, 1), "toys", "S", "the same").await;
        // Streams of the other service that are called the same.
        for stream in ["product/A", "product/B", "product/C"] {
            two.view(generation, ("inventory", stream, 9, 5)).await;
        }
    }
    // The old one is further in the catalog: the new one comes to the first of these events next.
    two.part(1, ("catalog", "product/G", 2, 50), "toys", "G", "second").await;
    two.part(2, ("catalog", "product/G", 1, 10), "toys", "G", "first").await;
    two.part(1, ("catalog", "product/A", 2, 60), "toys", "A", "second").await;
    two.part(2, ("catalog", "product/A", 1, 11), "toys", "A", "first").await;
    two.part(1, ("catalog", "product/B", 1, 61), "toys", "B", "created").await;
    two.view(1, ("catalog", "product/C", 2, 62)).await;
    two.part(2, ("catalog", "product/C", 1, 12), "toys", "C", "retired since").await;
    two.part(1, ("catalog", "product/D", 2, 63), "games", "D", "moved").await;
    two.part(2, ("catalog", "product/D", 1, 13), "toys", "D", "moved since").await;
    // The new one is further in the inventory.
    two.part(2, ("inventory", "stock/E", 1, 30), "toys", "E", "received").await;
    // That lies behind both: the old one does without it.
    two.part(2, ("catalog", "product/N", 1, 14), "toys", "N", "of a newer fold").await;

    let report = two.diff(0).await;
    assert_eq!(counts(&report), (1, [0, 0, 1], 7), "{report}");
    assert!(!report.is_identical());
    let settled = two.meanwhile(
        "UPDATE read.checkpoint SET next_offset = 100 WHERE projection = 'by-category'; \
         UPDATE read.by_category_2 n SET bytes = o.bytes FROM read.by_category_1 o WHERE n.part = 'G' AND o.part = 'G'; \
         UPDATE read.by_category_2_view SET version = 2, \"offset\" = 50 WHERE stream_id = 'product/G'",
    );
    let report = two.diff(8).await;
    settled.await.expect("no panic");
    assert_eq!(counts(&report), (2, [1, 2, 4], 0), "{report}");
    let shown: Vec<(&str, &str)> = report.shown.iter().map(|d| (&*d.key, &*d.part)).collect();
    assert_eq!(shown.len(), 7, "{shown:?}");
}

/// Parts are read after they were counted and after the checkpoints: a commit in between belongs to none of it.
#[tokio::test]
async fn what_is_committed_during_a_look_is_no_part_of_it() {
    let two = Two::new([10, 10], [10, 10]).await;
    for generation in [1, 2] {
        for sku in ["A", "B"] {
            let (stream, offset) = (format!("product/{sku}"), if sku == "A" { 1 } else { 2 });
            two.part(generation, ("catalog", &stream, 1, offset), "toys", sku, "the same").await;
        }
    }
    // The parts of the new one are asked for last.
    two.owner.batch_execute("BEGIN; LOCK TABLE read.by_category_2 IN ACCESS EXCLUSIVE MODE").await.expect("the owner may");
    let watcher = two.shop.database.owner().await;
    let changed = async {
        waits_for_a_lock(&watcher, "daybook diff").await;
        let sql = "DELETE FROM read.by_category_2 WHERE part = 'A'; DELETE FROM read.by_category_1 WHERE part = 'B'; COMMIT";
        two.owner.batch_execute(sql).await.expect("the owner may");
    };
    let all = known_generations(&watcher, "by-category").await.expect("it answers");
    let (databases, model, options) = (two.shop.database.databases(), by_category(), DiffOptions { rounds: 0, ..DiffOptions::default() });
    let looked = diff(&databases, &model, shop_proto::descriptors(), (&all[0], &all[1]), &options, None);
    let (report, ()) = tokio::join!(looked, changed);
    let report = report.expect("it answers");
    assert_eq!(counts(&report), (2, [0, 0, 0], 0), "{report}");
    // The next look sees it.
    assert_eq!(counts(&two.diff(0).await), (0, [0, 1, 1], 0));
}

#[tokio::test]
async fn a_part_that_another_stream_writes_is_a_difference_however_far_that_stream_is() {
    let two = Two::new([100, 100], [50, 50]).await;
    // (key, by whom in the old one, by whom in the new one); whoever writes it in the new one is further in the old one.
    let parts = [
        ("another-stream", ("catalog", "product/M1"), ("catalog", "product/M2")),
        ("another-service", ("catalog", "product/K"), ("inventory", "product/K")),
        ("another-stream-soon", ("catalog", "product/L2"), ("catalog", "product/L2")),
        ("another-service-soon", ("inventory", "product/J"), ("inventory", "product/J")),
    ];
    for (key, old, new) in parts {
        two.part(2, (new.0, new.1, 1, 15), key, "P", "new").await;
        if old == new {
            two.part(1, (old.0, old.1, 2, 64), key, "P", "old").await;
        } else {
            two.part(1, (old.0, old.1, 1, 15), key, "P", "old").await;
            two.view(1, (new.0, new.1, 2, 64)).await;
        }
    }
    let report = two.diff(0).await;
    assert_eq!(counts(&report), (0, [2, 0, 0], 2), "{report}");
    let changed = two.meanwhile(
        "UPDATE read.by_category_1 SET stream_id = 'product/L1' WHERE key = 'another-stream-soon'; \
         UPDATE read.by_category_1 SET service = 'catalog' WHERE key = 'another-service-soon'",
    );
    let report = two.diff(8).await;
    changed.await.expect("no panic");
    assert_eq!(counts(&report), (0, [4, 0, 0], 0), "{report}");
}

#[tokio::test]
async fn streams_that_are_parked_in_one_of_the_two_only_are_told_and_no_others() {
    let two = Two::new([0, 0], [0, 0]).await;
    for (model, generation, service, stream) in [
        ("by-category", 2, "catalog", "product/new"),
        ("another", 1, "catalog", "product/new"),
        ("by-category", 3, "catalog", "product/new"),
        ("by-category", 1, "catalog", "product/old"),
        ("by-category", 1, "catalog", "product/both"),
        ("by-category", 2, "catalog", "product/both"),
        // Two streams of one name.
        ("by-category", 2, "catalog", "product/twin"),
        ("by-category", 1, "inventory", "product/twin"),
        ("another", 2, "catalog", "product/of-another-read-model"),
        ("by-category", 3, "catalog", "product/of-another-generation"),
    ] {
        let sql = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) VALUES ($1, $2, $3, 0, $4, 0, 'test')";
        two.owner.execute(sql, &[&model, &generation, &service, &stream]).await.expect("the owner may");
    }
    let report = two.diff(0).await;
    let newly: Vec<String> = report.newly_parked.iter().map(ToString::to_string).collect();
    let no_longer: Vec<String> = report.no_longer_parked.iter().map(ToString::to_string).collect();
    assert_eq!(
        (newly, no_longer),
        (
            vec!["catalog product/new".to_owned(), "catalog product/twin".to_owned()],
            vec!["catalog product/old".to_owned(), "inventory product/twin".to_owned()]
        )
    );
    assert!(!report.is_identical());
}

#[tokio::test]
async fn a_message_that_is_encoded_otherwise_is_a_difference_of_its_encoding() {
    let two = Two::new([10, 10], [10, 10]).await;
    for generation in [1, 2] {
        two.part(generation, ("catalog", "product/A", 1, 1), "toys", "A", "").await;
    }
    // An empty title, written out.
    two.owner.batch_execute(r"UPDATE read.by_category_2 SET bytes = '\x1200'").await.expect("the owner may");
    let report = two.diff(0).await;
    assert_eq!((counts(&report), report.fields), ((0, [1, 0, 0], 0), [("(encoding)".to_owned(), 1)].into()));
}
