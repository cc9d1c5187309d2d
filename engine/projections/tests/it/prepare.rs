//! Generations: made once, and never misread.

use daybook_bus::Inspector;
use daybook_projections::{Limits, LiveGeneration, Prepared, ProjectorError, prepare};
use daybook_testkit::TestDatabase;

use crate::models::{by_category, pages};
use crate::support::{SERVICES, Shop};

#[tokio::test]
async fn preparing_again_changes_nothing_and_many_may_do_it_at_once() {
    let database = TestDatabase::migrated(&SERVICES, 3).await;
    let (databases, bus) = (database.databases(), daybook_testkit::bus());
    let models = [pages(), by_category()];
    let all = futures_util::future::join_all((0..4).map(|_| prepare(&databases, &bus, &models))).await;
    let made = all.into_iter().flat_map(|p| p.expect("all of them succeed")).filter(|p| p.found == LiveGeneration::Made).count();
    assert_eq!(made, 2, "one of them made each");

    let again = prepare(&databases, &bus, &models).await.expect("harmless");
    let current = |model| Prepared { model, generation: 1, found: LiveGeneration::Current };
    assert_eq!(again, [current("product-pages"), current("by-category")]);
    let rows = database
        .owner()
        .await
        .query(
            "SELECT projection, service, count(*) FROM read.checkpoint WHERE next_offset = 0 AND epoch = 1 GROUP BY 1, 2 ORDER BY 1, 2",
            &[],
        )
        .await;
    let rows: Vec<(String, String, i64)> = rows.expect("it answers").iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect();
    let of = |projection: &str, service: &str| (projection.to_owned(), service.to_owned(), 3);
    assert_eq!(rows, [of("by-category", "catalog"), of("product-pages", "catalog"), of("product-pages", "inventory")]);
    let inspector = Inspector::new(&bus).expect("an inspector");
    assert_eq!(inspector.partitions(&bus.read("product-pages")).await.expect("Kafka answers"), Some(3));
}

#[tokio::test]
async fn a_number_that_a_generation_has_had_is_not_given_to_the_first_one_that_is_live() {
    let shop = Shop::new(1, &[pages()]).await;
    let (databases, model) = (shop.database.databases(), by_category());
    // As a rebuild before `daybook migrate` has left it.
    let left = "INSERT INTO read.generation (projection, generation, fingerprint, state, parts)
                VALUES ('by-category', 1, '', 'retired', 'by_category_1')";
    shop.database.owner().await.batch_execute(left).await.expect("the owner may");
    for found in [LiveGeneration::Made, LiveGeneration::Current] {
        let prepared = prepare(&databases, &shop.bus, std::slice::from_ref(&model)).await.expect("nothing is in the way");
        assert_eq!(prepared, [Prepared { model: "by-category", generation: 2, found }]);
    }
    assert!(shop.parts_of(&model, 2).await.is_empty());
    let process = shop.process(&[model]).await;
    process.stop().await;
}

#[tokio::test]
async fn projectors_that_were_never_prepared_say_what_to_do() {
    let shop = Shop::new(1, &[by_category()]).await;
    let (_stop, shutdown) = daybook_process::shutdown();
    let refused = shop.start(&[pages()], Limits::default(), shutdown).await.err();
    assert!(matches!(&refused, Some(ProjectorError::NotPrepared(model)) if model == "product-pages"), "{refused:?}");
    assert!(refused.is_some_and(|e| e.to_string().contains("daybook migrate")));
}

#[tokio::test]
async fn the_roles_can_do_no_more_than_they_must() {
    let shop = Shop::new(1, &[by_category()]).await;
    let allowed = async |role: &str, sql: &str| {
        let client = shop.database.owner().await;
        client.batch_execute(&format!("SET ROLE {role}")).await.expect("the owner may");
        client.batch_execute(sql).await.is_ok()
    };
    for (role, sql, may) in [
        ("daybook_query", "SELECT key, part, bytes, stream_id, \"offset\" FROM read.by_category_1", true),
        ("daybook_query", "SELECT view FROM read.by_category_1", false),
        ("daybook_query", "SELECT * FROM read.checkpoint, read.generation", true),
        ("daybook_query", "SELECT * FROM read.by_category_1_view", false),
        ("daybook_query", "UPDATE read.checkpoint SET next_offset = 0", false),
        ("daybook_query", "DELETE FROM read.by_category_1", false),
        ("daybook_query", "SELECT * FROM catalog.event", false),
        ("daybook_reader", "SELECT * FROM read.by_category_1_view", true),
        ("daybook_reader", "DELETE FROM read.by_category_1_view", false),
        ("daybook_projector", "DELETE FROM read.by_category_1_view", true),
        ("daybook_projector", "SELECT * FROM catalog.event_0", true),
        ("daybook_projector", "DELETE FROM read.checkpoint", false),
        ("daybook_projector", "UPDATE read.generation SET state = 'retired'", false),
        ("daybook_projector", "INSERT INTO catalog.event_0 SELECT * FROM catalog.event_0", false),
        ("daybook_writer", "SELECT * FROM read.checkpoint", false),
    ] {
        assert_eq!(allowed(role, sql).await, may, "{role}: {sql}");
    }
}

/// A statement of the source, on this test's tables.
macro_rules! sql {
    ($file:literal) => {
        ($file, include_str!(concat!("../../src/sql/", $file)).replace("{parts}", "by_category_1"))
    };
}

#[tokio::test]
async fn no_statement_of_a_projector_scans_a_read_model() {
    let shop = Shop::new(1, &[by_category()]).await;
    let client = shop.database.owner().await;
    client
        .batch_execute("SET ROLE daybook_projector; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        .await
        .expect("the owner may");
    for (file, sql) in [
        sql!("write_batch.sql"),
        sql!("write_known.sql"),
        sql!("write_pushed.sql"),
        sql!("read_views.sql"),
        sql!("read_shown.sql"),
        sql!("read_removed.sql"),
        sql!("read_skipped.sql"),
        sql!("read_asked.sql"),
        sql!("write_retried.sql"),
        sql!("read_checkpoint.sql"),
        sql!("read_parked.sql"),
        sql!("kept_up_generations.sql"),
        sql!("one_generation.sql"),
    ] {
        let lines = plan(&client, file, &sql).await;
        assert!(!lines.iter().any(|l| l.contains("Seq Scan on")), "{file}\n{}", lines.join("\n"));
    }
}

/// The plan of a statement, whatever its parameters are.
async fn plan(client: &tokio_postgres::Client, file: &str, sql: &str) -> Vec<String> {
    let plan = client.simple_query(&format!("EXPLAIN (GENERIC_PLAN, COSTS OFF) {sql}")).await.expect(file);
    let text = |m: &tokio_postgres::SimpleQueryMessage| match m {
        tokio_postgres::SimpleQueryMessage::Row(r) => r.get(0).map(str::to_owned),
        _ => None,
    };
    plan.iter().filter_map(text).collect()
}

/// A statement is planned once a connection, and the tables may be small then: a plan that reads a whole index would be kept while they grow.
#[tokio::test]
async fn no_statement_of_a_projector_reads_a_whole_index_of_a_read_model_that_has_hardly_begun() {
    let shop = Shop::new(1, &[by_category()]).await;
    let (client, owner) = (shop.database.owner().await, shop.database.owner().await);
    client
        .batch_execute("SET ROLE daybook_projector; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
        .await
        .expect("the owner may");
    let fill = |from: i32, to: i32| {
        format!(
            "INSERT INTO read.by_category_1 SELECT 'k' || i, 'p', '', 'catalog', 'product/' || i, 0, i, 1 FROM generate_series({from}, {to}) i;
             INSERT INTO read.by_category_1_view SELECT 'catalog', 'product/' || i, 0, i, 1, '' FROM generate_series({from}, {to}) i;
             ANALYZE read.by_category_1; ANALYZE read.by_category_1_view"
        )
    };
    for (from, to) in [(1, 0), (1, 5), (6, 60), (61, 1_000)] {
        if to > 0 {
            owner.batch_execute(&fill(from, to)).await.expect("the owner may");
        }
        for (file, sql) in [sql!("write_batch.sql"), sql!("write_known.sql"), sql!("read_views.sql")] {
            let lines = plan(&client, file, &sql).await;
            let mut scans =
                lines.iter().enumerate().filter(|(_, l)| l.contains("Index") && l.contains("Scan") && l.contains(" on by_category_1"));
            let whole = scans.find(|(n, _)| !lines.get(n + 1).is_some_and(|next| next.contains("Index Cond")));
            assert!(whole.is_none(), "{file} with {to} rows: {whole:?}\n{}", lines.join("\n"));
        }
    }
}
