//! Exit codes, and audits from the command line.

use serde_json::{Value, json};

use crate::support::Install;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_is_0_for_a_sound_log_and_1_with_the_place_for_a_changed_one() {
    let install = Install::new().await;
    let p = install.handlers().await;
    for quantity in 1..=5 {
        let body = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": quantity });
        let (status, _) = install.post(&p.commands, "inventory/receive-stock", &format!("k{quantity}"), &body).await.expect("answers");
        assert_eq!(status, 200);
    }
    install.verify().await;
    let owner = install.database.owner().await;
    owner
        .batch_execute(
            "SET session_replication_role = replica; UPDATE inventory.event SET payload = payload || '\\x00'::bytea WHERE version = 3",
        )
        .await
        .expect("the owner may");
    let output = install.run(&["replay", "verify", "--service", "inventory"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("inventory/") && told.contains(":2"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_gives_the_events_of_a_stream_and_its_state() {
    let install = Install::new().await;
    let p = install.handlers().await;
    let body = json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 4 });
    install.post(&p.commands, "inventory/receive-stock", "k", &body).await.expect("answers");
    let output = install.run(&["replay", "show", "inventory", "stock/A-1@w-1", "--json"]);
    assert!(output.status.success());
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["events"].as_array().map(Vec::len), Some(1), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_stream_is_listed_shown_and_retried_until_its_event_can_be_folded() {
    let install = Install::new().await;
    let p = install.handlers().await;
    let body = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    let (status, _) = install.post(&p.commands, "catalog/create-product", "k", &body).await.expect("answers");
    assert_eq!(status, 200);
    let owner = install.database.owner().await;
    let renamed = async |to: &str| {
        let sql = format!("SET session_replication_role = replica; UPDATE catalog.event SET type = '{to}' WHERE stream_id = 'product/A-1'");
        owner.batch_execute(&sql).await.expect("the owner may");
    };
    renamed("shop.catalog.v1.ProductSang").await;
    let projectors = install.start(&["projectors", "--projections", "product-pages", "--listen", "127.0.0.1:0"]).await;
    let listed = daybook_testkit::eventually("the stream to be parked", || async {
        let output = install.run(&["parked", "list", "--json"]);
        serde_json::from_slice::<Value>(&output.stdout).ok()
    })
    .await;
    assert_eq!((&listed["id"], &listed["kind"], &listed["generation"]), (&json!("product-pages/product/A-1"), &json!("stream"), &json!(1)));
    let people = install.run(&["parked", "list"]);
    let people = String::from_utf8_lossy(&people.stdout);
    assert!(people.contains("product-pages/product/A-1") && people.contains("0 messages and 1 streams"), "{people}");
    let shown = install.run(&["parked", "show", "product-pages/product/A-1"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!((&shown["event"]["type"], &shown["offset"]), (&json!("shop.catalog.v1.ProductSang"), &json!(0)));
    let line = install.run(&["parked", "show", "product-pages/product/A-1", "--json"]);
    let line = String::from_utf8_lossy(&line.stdout).into_owned();
    assert_eq!((line.lines().count(), serde_json::from_str::<Value>(&line).expect("JSON")), (1, shown), "{line}");

    let retry = ["parked", "retry", "product-pages/product/A-1", "--json"];
    let again = install.run(&retry);
    let told: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!((again.status.code(), &told["outcome"]), (Some(1), &json!("parked-again")), "{told}");
    renamed("shop.catalog.v1.ProductCreated").await;
    let healed = install.run(&retry);
    assert_eq!(healed.status.code(), Some(0), "{}", String::from_utf8_lossy(&healed.stdout));
    assert_eq!(install.count("SELECT count(*) FROM read.product_pages_1 WHERE key = 'A-1'").await, 1);

    // What is not parked can't be retried; and where no projector runs, nobody does it.
    assert_eq!(install.run(&retry).status.code(), Some(2));
    assert_eq!(install.run(&["parked", "skip", "product-pages"]).status.code(), Some(2));
    drop(projectors);
    let park = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                SELECT 'product-pages', 1, 'catalog', partition, stream_id, \"offset\", 'a test' FROM catalog.event";
    owner.batch_execute(park).await.expect("the owner may");
    let alone = install.run(&["parked", "retry", "product-pages/product/A-1", "--wait", "1"]);
    assert_eq!(alone.status.code(), Some(3), "{}", String::from_utf8_lossy(&alone.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_usage_is_2_and_missing_infrastructure_3() {
    let install = Install::new().await;
    assert_eq!(install.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(install.run(&["command-handlers", "--services", "nosuch", "--listen", "127.0.0.1:0"]).status.code(), Some(2));
    let nowhere = install.run(&["replay", "verify", "--database-url", "postgres://nobody@127.0.0.1:1/none"]);
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(3), "{said}");
    assert!(said.contains("at 127.0.0.1:1: ") && said.matches("Connection refused").count() == 1, "{said}");
    for (url, wrong) in [
        ("postgres://u:geheim@127.0.0.1:1/d?foo=bar", "\"foo\""),
        ("postgres://u:geheim@127.0.0.1:1/d?sslmode=allow", "sslmode=allow"),
        ("nonsense", "postgres://"),
    ] {
        let refused = install.run(&["replay", "verify", "--database-url", url]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("DAYBOOK_DATABASE_URL") && said.contains(wrong) && !said.contains("geheim"), "{said}");
    }
    assert_eq!(install.run(&["load", "catalogue", "/no/such/file"]).status.code(), Some(2));
}

/// Before it has looked whether there is a database at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_says_at_once_that_its_address_is_taken() {
    let install = Install::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound").to_string();
    for (args, option) in [
        (vec!["up", "--queries-listen", "127.0.0.1:0", "--commands-listen"], "--commands-listen"),
        (vec!["up", "--commands-listen", "127.0.0.1:0", "--queries-listen"], "--queries-listen"),
        (vec!["command-handlers", "--listen"], "--listen"),
        (vec!["projectors", "--listen"], "--listen"),
        (vec!["query-api", "--listen"], "--listen"),
    ] {
        let nowhere = ["--database-url", "postgres://nobody@127.0.0.1:1/none"];
        let output = install.run(&[&args[..], &[taken.as_str()], &nowhere].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains(&format!("can't listen on {taken}; choose another address with {option}: ")), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readyz_of_up_names_a_follower_that_stands_still_on_both_addresses() {
    let install = Install::new().await;
    // The log has not got so far: the follower's database was restored to another state.
    let owner = install.database.owner().await;
    let ahead =
        "UPDATE read.checkpoint SET next_offset = 1000 WHERE projection = 'product-pages' AND service = 'catalog' AND partition = 1";
    owner.batch_execute(ahead).await.expect("the owner may");
    let up = install.up().await;
    for url in [&up.commands, &up.queries] {
        let (status, body) = daybook_testkit::eventually("the follower to be named", || async {
            let response = install.client.get(format!("{url}/readyz")).send().await.ok()?;
            let (status, body) = (response.status().as_u16(), response.json::<Value>().await.ok()?);
            body["checks"]["product-pages catalog/1 (generation 1)"].is_string().then_some((status, body))
        })
        .await;
        assert_eq!((status, &body["status"]), (200, &json!("degraded")), "{body}");
        assert!(body["checks"]["product-pages catalog/1 (generation 1)"].as_str().expect("why").contains("the log ends at 0"), "{body}");
    }
}
