//! Health, readiness, and the document.

use daybook_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::support::{Api, problem};

#[tokio::test]
async fn the_document_describes_every_read_model() {
    let api = Api::new().await;
    let document: Value = api.get("/openapi.json").send().await.expect("it answers").json().await.expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let get = &document["paths"]["/v1/product-pages/{key}"]["get"];
    assert_eq!(get["responses"]["200"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/shop.read.v1.ProductPage");
    assert!(document["paths"]["/v1/page-list/{key}"].is_object());
    let list = &document["paths"]["/v1/category-listings/{key}"]["get"];
    let named = |name: &str| list["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == name && p["in"] == "query"));
    assert!(named("page_size") && named("page_token"), "{list}");
    let page = &list["responses"]["200"]["content"]["application/json"]["schema"]["allOf"];
    assert_eq!(page[0]["$ref"], "#/components/schemas/shop.read.v1.CategoryListing");
    assert!(page[1]["properties"]["nextPageToken"].is_object(), "{list}");
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1).filter_map(|t| t.split('"').next()) {
        assert!(document["components"]["schemas"][reference].is_object(), "{reference}");
    }
}

#[tokio::test]
async fn it_is_alive_and_ready_when_its_read_models_are_built_and_says_no_more() {
    let api = Api::new().await;
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = api.get(path).send().await.expect("it answers");
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({ "status": status }), "{path}");
    }
    problem(api.get("/metrics").send().await.expect("it answers"), 404).await;
    problem(api.get("/nothing").send().await.expect("it answers"), 404).await;
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_said_and_waited_for() {
    let api = Api::on(TestDatabase::new().await).await;
    assert_eq!(api.get("/healthz").send().await.expect("it answers").status(), 200);
    let readiness = api.get("/readyz").send().await.expect("it answers");
    assert_eq!(readiness.status(), 503);
    assert_eq!(readiness.json::<Value>().await.expect("JSON"), json!({ "status": "not ready" }));
    let checks = api.api.readiness().await.checks;
    assert!(checks.iter().any(|(_, problem)| problem.as_ref().is_some_and(|why| why.contains("daybook migrate"))), "{checks:?}");
    let problem = problem(api.get("/v1/product-pages/A-1").send().await.expect("it answers"), 503).await;
    assert!(problem["title"].as_str().is_some_and(|t| t.contains("daybook migrate")), "{problem}");
}

#[tokio::test]
async fn a_database_that_goes_away_is_503_and_is_found_again() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    assert_eq!(api.get("/v1/product-pages/A-1").send().await.expect("it answers").status(), 200);
    let owner = api.database.owner().await;
    owner.batch_execute("REVOKE SELECT ON read.product_pages_1 FROM daybook_query").await.expect("the owner may");
    problem(api.get("/v1/product-pages/A-2").send().await.expect("it answers"), 503).await;
    let held = api.get("/v1/product-pages/A-1").send().await.expect("it answers");
    assert_eq!(held.status(), 200, "what is held needs no database");
    owner.batch_execute("GRANT SELECT ON read.product_pages_1 TO daybook_query").await.expect("the owner may");
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'daybook query-api'";
    owner.batch_execute(cut).await.expect("the owner may");
    daybook_testkit::eventually("it to answer again", || async {
        (api.get("/v1/product-pages/A-2").send().await.expect("it answers").status() == 404).then_some(())
    })
    .await;
}

/// A statement of the source, on the tests' tables.
macro_rules! sql {
    ($file:literal) => {
        ($file, include_str!(concat!("../../src/store/sql/", $file)).replace("{parts}", "product_pages_1"))
    };
}

#[tokio::test]
async fn no_statement_of_a_query_scans_a_read_model() {
    let api = Api::new().await;
    let client = api.database.owner().await;
    let settings = "SET ROLE daybook_query; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off";
    client.batch_execute(settings).await.expect("the owner may");
    for (file, sql) in [sql!("read_parts.sql"), sql!("read_checkpoints.sql"), sql!("read_hidden.sql")] {
        let plan = client.simple_query(&format!("EXPLAIN (GENERIC_PLAN, COSTS OFF) {sql}")).await.expect(file);
        let lines: Vec<_> = plan
            .iter()
            .filter_map(|m| match m {
                tokio_postgres::SimpleQueryMessage::Row(r) => r.get(0).map(str::to_owned),
                _ => None,
            })
            .collect();
        assert!(!lines.iter().any(|l| l.contains("Seq Scan on") || l.contains("Sort")), "{file}\n{}", lines.join("\n"));
    }
}
