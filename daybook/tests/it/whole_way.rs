//! The main job: a catalogue goes in through the command endpoint, a product page comes out of the query API.

use std::collections::BTreeSet;

use daybook_process::metrics;
use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::{Install, catalogue};

async fn page(install: &Install, url: &str, sku: &str, token: Option<&str>) -> reqwest::Response {
    let mut request = install.client.get(format!("{url}/v1/product-pages/{sku}")).header("Prefer", "wait=20");
    if let Some(token) = token {
        request = request.header("Consistency-Token", token);
    }
    request.send().await.expect("the query API answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalogue_goes_in_and_a_page_with_price_and_stock_comes_out() {
    let install = Install::new().await;
    let up = install.up().await;
    let file = catalogue(300);
    let load = |file: &std::path::Path| {
        let output = install.run(&["load", "catalogue", &file.display().to_string(), "--stock", "--url", &up.commands, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let first = load(&file);
    assert_eq!(first["created"], 300, "{first}");
    let events = install.count("SELECT (SELECT count(*) FROM catalog.event) + (SELECT count(*) FROM inventory.event)").await;
    assert_eq!(events, 600);
    let page_of = eventually("the page with its stock", || async {
        let page: Value = page(&install, &up.queries, "S-7", None).await.json().await.ok()?;
        (page["stock"].as_array().is_some_and(|s| !s.is_empty())).then_some(page)
    })
    .await;
    assert_eq!(
        (&page_of["sku"], &page_of["title"], &page_of["price"]["minorUnits"]),
        (&json!("S-7"), &json!("Lamp number 7"), &json!("107"))
    );
    assert_eq!(page_of["stock"][0]["warehouse"], "w-1");
    assert_eq!(page_of["stock"][0]["onHand"], page_of["stock"][0]["available"]);

    let again = load(&file);
    assert_eq!((&again["created"], &again["replayed"]), (&json!(0), &json!(300)), "{again}");
    assert_eq!(install.count("SELECT (SELECT count(*) FROM catalog.event) + (SELECT count(*) FROM inventory.event)").await, events);
    std::fs::remove_file(file).expect("it is there");
    install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_metric_of_a_process_is_shown_as_the_table_defines_it() {
    let install = Install::new().await;
    let up = install.up().await;
    let product = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    let (_, result) = install.post(&up.commands, "catalog/create-product", "create", &product).await.expect("answers");
    assert_eq!(page(&install, &up.queries, "A-1", result["token"].as_str()).await.status(), 200);
    let text = install.client.get(format!("{}/metrics", up.operations)).send().await.expect("answers").text().await.expect("text");
    let shown: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in &shown {
        let of = metrics::definitions().find(|of| of.name == *name).unwrap_or_else(|| panic!("{name} is not in the table"));
        for line in [format!("# TYPE {name} {}", of.kind.as_str()), format!("# HELP {name} {}", of.help)] {
            assert!(text.lines().any(|l| l == line), "{line:?} is not shown:\n{text}");
        }
    }
    for roles in ["daybook_command_seconds", "daybook_page_commands", "daybook_projector_lag_events", "daybook_query_requests_total"] {
        assert!(shown.contains(roles), "{roles}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_done_is_what_it_reads_with_its_token() {
    let install = Install::new().await;
    let up = install.up().await;
    let product = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    install.post(&up.commands, "catalog/create-product", "create", &product).await.expect("answers");
    for amount in 2..40 {
        let body = json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": amount } });
        let (status, result) = install.post(&up.commands, "catalog/reprice-product", &format!("k{amount}"), &body).await.expect("answers");
        assert_eq!(status, 200, "{result}");
        let served = page(&install, &up.queries, "A-1", result["token"].as_str()).await;
        assert_eq!(served.status(), 200);
        let etag = served.headers()["etag"].to_str().expect("text").to_owned();
        let body: Value = served.json().await.expect("JSON");
        assert_eq!(body["price"]["minorUnits"], amount.to_string());
        let unchanged =
            install.client.get(format!("{}/v1/product-pages/A-1", up.queries)).header("If-None-Match", etag).send().await.expect("answers");
        assert_eq!(unchanged.status(), 304);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_at_once_each_take_effect_once() {
    let install = Install::new().await;
    let up = install.up().await;
    let results = futures_util::future::join_all((0..64).map(|client| {
        let (install, url) = (&install, up.commands.clone());
        async move {
            let mut results = Vec::new();
            for i in 0..10 {
                let sku = format!("S-{}", i % 5);
                let product = json!({ "sku": sku, "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
                let price = json!({ "sku": sku, "price": { "currency": "EUR", "minorUnits": 1000 * i + client } });
                // Every second client shares its key and body with its neighbour: one of them is the repeat.
                let pair = client / 2;
                results.push(install.post(&url, "catalog/create-product", &format!("create-{pair}-{i}"), &product).await.expect("answers"));
                results.push(install.post(&url, "catalog/reprice-product", &format!("own-{client}-{i}"), &price).await.expect("answers"));
                let reused = install.post(&url, "catalog/reprice-product", &format!("shared-{i}"), &price).await.expect("answers");
                assert!(reused.0 == 422 || reused.0 == 200 || reused.0 == 409, "{reused:?}");
                if reused.0 != 422 {
                    results.push(reused);
                }
            }
            results
        }
    }))
    .await;
    let results: Vec<(u16, Value)> = results.into_iter().flatten().collect();
    assert!(results.iter().all(|(status, _)| *status == 200 || *status == 409), "{results:?}");
    let told: BTreeSet<String> = results.iter().filter_map(|(_, r)| r["commandId"].as_str().map(str::to_owned)).collect();
    assert_eq!(
        install.count("SELECT count(*) FROM catalog.command").await,
        i64::try_from(told.len()).expect("few"),
        "one ledger row a command"
    );
    assert_eq!(install.count("SELECT count(*) FROM catalog.event WHERE type LIKE '%ProductCreated'").await, 5);
    let gaps = "SELECT count(*) FROM (SELECT version - lag(version, 1, 0::bigint) OVER (PARTITION BY stream_id ORDER BY version) AS step FROM catalog.event) s WHERE step <> 1";
    assert_eq!(install.count(gaps).await, 0);
    install.verify().await;
}
