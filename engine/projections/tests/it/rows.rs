//! Read models that are kept as SQL: rows beside the parts, and views that show those of the generation that is served.

use std::sync::Arc;

use daybook_follow::Ask;
use daybook_kernel::{ReadModel, SqlValue, SqlView};
use daybook_projections::lifecycle::{Building, LifecycleError};
use daybook_projections::promotion::promote;
use daybook_projections::rebuild::RebuildOptions;
use daybook_projections::{LiveGeneration, ReadStore, prepare};
use daybook_testkit::eventually;
use shop_projectors::read_models;
use shop_proto::read::v1::CategoryListing;

use crate::models::{categorized, created, retired, retitled, unheard_of};
use crate::support::Shop;

const LISTED: &[SqlView] = &[
    SqlView {
        name: "listed",
        select: "
            SELECT key AS category, sku, title
            FROM {rows}",
    },
    SqlView { name: "listed_count", select: "SELECT key AS category, count(*) AS products FROM {rows} GROUP BY key" },
];

/// The shop's categories, with these views.
fn listings(views: &'static [SqlView]) -> ReadModel {
    let model = read_models().into_iter().find(|m| m.name == "category-listings").expect("the shop has them");
    model.kept_as_sql::<CategoryListing>(Some("items"), views)
}

fn text(value: SqlValue) -> Option<String> {
    match value {
        SqlValue::Null => None,
        SqlValue::Text(text) => Some(text),
        SqlValue::BigInt(n) => Some(n.to_string()),
        other => panic!("no column of listings is {other:?}"),
    }
}

impl Shop {
    /// What the view shows: category, SKU, title.
    async fn listed(&self) -> Vec<(String, String, String)> {
        let client = self.database.owner().await;
        client.batch_execute("SET ROLE daybook_reader").await.expect("the owner may");
        let rows = client.query("SELECT category, sku, title FROM read.listed ORDER BY sku", &[]).await.expect("a reader may");
        rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect()
    }

    /// Each row is what its part says.
    async fn rows_are_the_parts(&self, model: &ReadModel, generation: i32) {
        let rows = model.rows.as_ref().expect("it is kept as SQL");
        let columns: Vec<String> = rows.columns.iter().map(|c| format!("\"{}\"::text", c.name)).collect();
        let sql = format!("SELECT bytes, {} FROM read.category_listings_{generation}", columns.join(", "));
        let stored = self.database.owner().await.query(&sql, &[]).await.expect("the owner may");
        for row in &stored {
            let is: Vec<Option<String>> = (1..=columns.len()).map(|n| row.get(n)).collect();
            let expected: Vec<Option<String>> = rows.row(row.get(0)).into_iter().map(text).collect();
            assert_eq!(is, expected);
        }
    }

    /// A generation that is filled from the logs and ready, as a rebuild makes it.
    async fn rebuilt(&self, model: &ReadModel) -> i32 {
        let mut building = Building::begin(&self.database.databases(), model).await.expect("nobody else does");
        building.fill(&RebuildOptions::default(), &Arc::default()).await.expect("the logs are sound");
        building.finish().await.expect("it is whole")
    }

    async fn marked(&self, generation: i32) {
        let mark = format!("UPDATE read.category_listings_{generation} SET title = 'of generation {generation}'");
        self.database.owner().await.batch_execute(&mark).await.expect("the owner may");
    }

    async fn titles(&self) -> Vec<String> {
        self.listed().await.into_iter().map(|(.., title)| title).collect()
    }
}

fn listed(category: &str, sku: &str, title: &str) -> (String, String, String) {
    (category.to_owned(), sku.to_owned(), title.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_written_with_its_part_changes_with_it_and_goes_with_it() {
    let model = listings(LISTED);
    let mut shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.append([created("A-1", "one", "toys"), created("A-2", "two", "toys")]).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.listed().await, [listed("toys", "A-1", "one"), listed("toys", "A-2", "two")]);

    shop.append([retitled("A-1", "three")]).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.titles().await, ["three", "two"], "a batch that only changes rows that are there");

    shop.append([categorized("A-1", "games"), retired("A-2")]).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.listed().await, [listed("games", "A-1", "three")]);
    assert_eq!(shop.count("SELECT sum(products)::bigint FROM read.listed_count").await, 1);

    // A stream that is parked is folded again by a statement of its own.
    shop.append([unheard_of("A-1"), retitled("A-1", "four"), created("A-3", "five", "toys")]).await;
    shop.caught_up(&model).await;
    assert_eq!(shop.titles().await, ["three", "five"]);
    let store = ReadStore::new(&shop.database.databases()).expect("a URL");
    let parked = store.parked_streams(Some(model.name), None, None).await.expect("it answers");
    store.unpark(&parked, Ask::Skip, std::time::Duration::from_secs(60)).await.expect("it answers");
    eventually("the stream to go on", || async { (shop.titles().await == ["four", "five"]).then_some(()) }).await;
    shop.rows_are_the_parts(&model, 1).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_writes_the_rows_too_and_a_promotion_has_the_views_show_them() {
    let model = listings(LISTED);
    let mut shop = Shop::new(2, std::slice::from_ref(&model)).await;
    let facts = (0..50).flat_map(|n| [created(&format!("A-{n:02}"), &format!("title {n}"), "toys"), retitled(&format!("A-{n:02}"), "new")]);
    shop.append(facts).await;
    let process = shop.process(std::slice::from_ref(&model)).await;
    shop.caught_up(&model).await;
    let whole = shop.listed().await;
    assert_eq!(whole.len(), 50);
    // Somebody's own view, upon ours.
    let own = "CREATE VIEW mine AS SELECT count(*) FILTER (WHERE title = 'new') AS new FROM read.listed";
    shop.database.owner().await.batch_execute(own).await.expect("the owner may");

    let number = shop.rebuilt(&model).await;
    assert_eq!(number, 2);
    shop.rows_are_the_parts(&model, 2).await;
    shop.marked(1).await;
    assert_eq!(shop.titles().await, vec!["of generation 1"; 50], "it is not served yet");
    assert_eq!(shop.count("SELECT new FROM mine").await, 0);
    let promote = async |number| promote(&shop.database.databases(), &model, Some(number), std::time::Duration::from_secs(30)).await;
    promote(2).await.expect("it is ready");
    assert_eq!(shop.listed().await, whole);
    assert_eq!(shop.count("SELECT new FROM mine").await, 50);
    assert_eq!(shop.count("SELECT products FROM read.listed_count").await, 50);
    promote(1).await.expect("it is kept");
    assert_eq!(shop.titles().await, vec!["of generation 1"; 50], "and back");
    process.stop().await;
}

#[tokio::test]
async fn who_reads_a_view_for_long_holds_no_promotion_up_for_longer_than_a_moment() {
    let model = listings(LISTED);
    let shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let number = shop.rebuilt(&model).await;
    let reader = shop.database.owner().await;
    reader.batch_execute("BEGIN; SELECT * FROM read.listed").await.expect("the owner may");
    let promote = async || promote(&shop.database.databases(), &model, Some(number), std::time::Duration::from_secs(30)).await;
    let refused = promote().await.expect_err("somebody reads it");
    assert!(matches!(&refused, LifecycleError::Refused(why) if why.contains("somebody reads view read.listed")), "{refused}");
    reader.batch_execute("COMMIT").await.expect("it answers");
    promote().await.expect("nobody reads it");
}

#[tokio::test]
async fn migrating_defines_the_views_of_this_build_and_touches_none_that_stand() {
    let model = listings(LISTED);
    let shop = Shop::new(1, std::slice::from_ref(&model)).await;
    let (databases, bus) = (shop.database.databases(), &shop.bus);
    let version = "SELECT xmin::text::bigint FROM pg_class WHERE oid = 'read.listed'::regclass";
    let before = shop.count(version).await;
    let prepared = prepare(&databases, bus, std::slice::from_ref(&model)).await.expect("harmless");
    assert_eq!((prepared[0].found, shop.count(version).await), (LiveGeneration::Current, before));

    // Another build names a column otherwise: no rebuild is needed, for the rows are the same.
    let renamed = listings(&[SqlView { name: "listed", select: "SELECT key AS shelf, sku FROM {rows}" }]);
    let prepared = prepare(&databases, bus, std::slice::from_ref(&renamed)).await.expect("nobody rests upon it");
    assert_eq!(prepared[0].found, LiveGeneration::Current);
    assert_eq!(shop.count("SELECT count(shelf) FROM read.listed").await, 0);

    shop.database.owner().await.batch_execute("CREATE VIEW mine AS SELECT shelf FROM read.listed").await.expect("the owner may");
    let refused = prepare(&databases, bus, std::slice::from_ref(&model)).await.expect_err("a view rests upon it").to_string();
    assert!(refused.contains("view read.listed") && refused.contains("mine") && refused.contains("drop those"), "{refused}");
    assert_eq!(shop.count("SELECT count(shelf) FROM read.listed").await, 0, "nothing was changed");
}

#[test]
fn other_columns_are_another_build_and_other_views_are_not() {
    let of = |model: ReadModel| daybook_projections::fingerprint(&model);
    let bare = || read_models().into_iter().find(|m| m.name == "category-listings").expect("the shop has them");
    let one = &[SqlView { name: "one", select: "SELECT sku FROM {rows}" }];
    assert_eq!(of(listings(LISTED)), of(listings(one)));
    assert_ne!(of(bare()), of(listings(one)));
}
