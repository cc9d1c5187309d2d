//! What searching reads from the database: by which plans, and only what has moved.

use daybook_testkit::eventually;

use crate::search::{Searched, put_product, put_stock, skus};
use crate::support::header;

/// A statement's plan on the tests' tables.
async fn plan(client: &tokio_postgres::Client, statement: &str, values: &[&str]) -> String {
    let statement = (1..).zip(values).fold(statement.replace("{parts}", "products_1"), |sql, (n, v)| sql.replace(&format!("${n}"), v));
    let rows = client.query(&format!("EXPLAIN {statement}"), &[]).await.expect("it can be planned");
    rows.iter().map(|r| r.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_searched_is_read_as_it_lies_or_looked_up_and_never_sorted() {
    let searched = Searched::new().await;
    let owner = searched.database.owner().await;
    let many = "INSERT INTO read.products_1 (key, part, bytes, service, stream_id, partition, \"offset\") \
                SELECT 'k-' || n / 2, 'stock/' || n, '\\x00', 'inventory', 's/' || n, 0, 0 FROM generate_series(1, 20000) AS n; \
                ANALYZE read.products_1, read.checkpoint, read.generation";
    owner.batch_execute(many).await.expect("the owner may");
    // As the query API's connections are.
    let settings = "SET ROLE daybook_query; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                    SET enable_bitmapscan = off; SET jit = off; BEGIN";
    owner.batch_execute(settings).await.expect("the owner may");
    owner.batch_execute(include_str!("../../src/store/sql/read_whole.sql")).await.expect("anybody may");
    for whole in [include_str!("../../src/store/sql/read_all_parts.sql"), include_str!("../../src/store/sql/read_part_offsets.sql")] {
        let plan = plan(&owner, whole, &[]).await;
        assert!(plan.contains("Seq Scan on products_1") && !plan.contains("Sort") && !plan.contains("Index"), "{plan}");
    }
    owner.batch_execute(include_str!("../../src/store/sql/read_by_key.sql")).await.expect("anybody may");
    for (look_up, index, values) in [
        (include_str!("../../src/store/sql/read_parts_of_keys.sql"), "products_1_pkey", &["ARRAY['k-1', 'k-2']"][..]),
        (include_str!("../../src/store/sql/read_live_parts.sql"), "generation_", &["'products'"][..]),
        (include_str!("../../src/store/sql/read_folded.sql"), "checkpoint_pkey", &["'products'", "1"][..]),
    ] {
        let plan = plan(&owner, look_up, values).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }
}

/// Nothing is pushed, as when Kafka is gone: the database alone says what has moved.
#[tokio::test(flavor = "multi_thread")]
async fn what_moves_while_nothing_is_pushed_is_found() {
    let searched = Searched::new().await;
    let owner = searched.database.owner().await;
    // Another read model's live generation, and another one of this one, say nothing.
    let others = "INSERT INTO read.generation (projection, generation, fingerprint, state, parts) \
                  VALUES ('zzz', 1, '', 'live', 'zzz_1'), ('products', 2, '', 'ready', 'products_2'); \
                  INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch) \
                  SELECT o.name, o.generation, service, partition, 9, 1 \
                  FROM read.checkpoint, (VALUES ('zzz', 1), ('products', 2)) AS o (name, generation) WHERE projection = 'products'";
    owner.batch_execute(others).await.expect("the owner may");
    put_product(&owner, "L-1", "Candle 1", 700, 1).await;
    put_product(&owner, "L-9", "Lamp 9", 100, 2).await;
    put_stock(&owner, "L-0", 4, 1).await;
    owner.batch_execute("DELETE FROM read.products_1 WHERE key = 'L-2'").await.expect("the owner may");
    let moved = "UPDATE read.checkpoint SET next_offset = 3 WHERE projection = 'products' AND generation = 1 AND partition = 0";
    owner.batch_execute(moved).await.expect("the owner may");
    eventually("what has moved", async || {
        let lamps = searched.get("/search?q=lamp&sort=price_asc").await;
        (skus(&lamps) == ["L-9", "L-0", "L-3", "L-4"]).then_some(())
    })
    .await;
    assert_eq!(skus(&searched.get("/search?q=candle").await), ["L-1"]);
    let answer = searched.raw("/search?q=lamp").await;
    assert!(header(&answer, "consistency-position").contains("catalog/0:2@1"), "{:?}", answer.headers());
    let in_stock = searched.get("/search?q=lamp&in_stock=true&sort=price_asc").await;
    assert_eq!(skus(&in_stock), ["L-0", "L-3", "L-4"], "what has a stock now, and not what never had one");
}
