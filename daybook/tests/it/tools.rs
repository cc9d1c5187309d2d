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
    let projectors = install.start(&["projectors", "--projections", "product-pages"]).await;
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
        (vec!["query-api", "--listen"], "--listen"),
        (vec!["up", "--commands-listen", "127.0.0.1:0", "--queries-listen", "127.0.0.1:0", "--operations-listen"], "--operations-listen"),
        (vec!["command-handlers", "--listen", "127.0.0.1:0", "--operations-listen"], "--operations-listen"),
        (vec!["query-api", "--listen", "127.0.0.1:0", "--operations-listen"], "--operations-listen"),
        (vec!["projectors", "--operations-listen"], "--operations-listen"),
    ] {
        let nowhere = ["--database-url", "postgres://nobody@127.0.0.1:1/none"];
        let output = install.run(&[&args[..], &[taken.as_str()], &nowhere].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains(&format!("can't listen on {taken}; choose another address with {option}: ")), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_of_up_name_a_follower_that_stands_still_and_no_surface_does() {
    let install = Install::new().await;
    // The log has not got so far: the follower's database was restored to another state.
    let owner = install.database.owner().await;
    let ahead =
        "UPDATE read.checkpoint SET next_offset = 1000 WHERE projection = 'product-pages' AND service = 'catalog' AND partition = 1";
    owner.batch_execute(ahead).await.expect("the owner may");
    let up = install.up().await;
    let get = async |url: &str, path: &str| install.client.get(format!("{url}{path}")).send().await.expect("it answers");
    let (status, body) = daybook_testkit::eventually("the follower to be named", || async {
        let response = get(&up.operations, "/readyz").await;
        let (status, body) = (response.status(), response.json::<Value>().await.expect("JSON"));
        let why = body["checks"]["partitions"].as_str()?.to_owned();
        (why.contains("product-pages catalog/1 (generation 1): ") && why.contains("the log ends at 0")).then_some((status, body))
    })
    .await;
    assert_eq!((status.as_u16(), &body["status"]), (503, &json!("not ready")));
    // The other roles of the process are named beside it.
    for check in ["lanes of catalog", "kafka", "pushes", "search", "followers' group"] {
        assert!(body["checks"][check].is_string(), "{check}: {body}");
    }
    for surface in [&up.commands, &up.queries] {
        let ready = get(surface, "/readyz").await;
        assert_eq!(ready.status(), 200, "clients are served all the same");
        assert_eq!(ready.json::<Value>().await.expect("JSON"), json!({ "status": "ready" }));
        assert_eq!(get(surface, "/metrics").await.status(), 404);
    }
    assert_eq!(get(&up.operations, "/v1/product-pages/A-1").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_serves_its_operations_on_an_address_of_their_own() {
    let install = Install::new().await;
    let mut roles = Vec::new();
    // Two of a kind beside each other.
    for _ in 0..2 {
        for role in ["command-handlers", "projectors", "query-api"] {
            let args = [role, "--listen", "127.0.0.1:0"];
            roles.push((role, install.start(if role == "projectors" { &args[..1] } else { &args }).await));
        }
    }
    for (role, check) in [("command-handlers", "lanes of catalog"), ("projectors", "projection product-pages"), ("query-api", "warm-up")] {
        for process in roles.iter().filter(|(name, _)| *name == role).map(|(_, process)| process) {
            let get = async |path: &str| install.client.get(format!("{}{path}", process.operations)).send().await.expect("it answers");
            assert_eq!(get("/healthz").await.status(), 200, "{role}");
            let body = daybook_testkit::eventually("the role to be ready", || async {
                let ready = get("/readyz").await;
                (ready.status() == 200).then_some(ready.json::<Value>().await.expect("JSON"))
            })
            .await;
            assert_eq!(body["checks"][check], "ok", "{role}: {body}");
            let metrics = get("/metrics").await;
            assert!(metrics.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/plain")), "{role}");
            assert!(metrics.text().await.expect("a text").contains("daybook_"), "{role}");
            assert_eq!(get("/openapi.json").await.status(), 404, "{role}: it is no surface");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_listed_and_fired_before_its_time() {
    let install = Install::new().await;
    let p = install.handlers().await;
    let body = json!({ "cartId": "k-1", "sku": "A-1", "quantity": 1 });
    let (status, _) = install.post(&p.commands, "cart/add-item", "k", &body).await.expect("answers");
    assert_eq!(status, 200);
    let list = |args: &[&str]| {
        let output = install.run(&[&["deadlines", "list", "--json"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let armed = daybook_testkit::eventually("a deadline to be armed", || async { list(&[]).pop() }).await;
    assert_eq!((&armed["rule"], &armed["stream"], &armed["name"]), (&json!("carts"), &json!("cart/k-1"), &json!("expiry")));
    assert_eq!(list(&["--service", "order"]).len() + list(&["--stream", "cart/k-2"]).len(), 0);
    assert_eq!(list(&["--due-before", "2026-01-01T00:00:00Z"]).len(), 0);
    assert_eq!(list(&["--service", "cart", "--stream", "cart/k-1", "--limit", "1"]), std::slice::from_ref(&armed));

    let fired = install.run(&["deadlines", "fire", "carts", "cart/k-1", "expiry", "--json"]);
    assert!(fired.status.success(), "{}", String::from_utf8_lossy(&fired.stderr));
    let fired: Value = serde_json::from_slice(&fired.stdout).expect("JSON");
    assert_eq!((&fired["outcome"], &fired["commandId"]), (&json!("fired"), &armed["commandId"]));
    assert_eq!(list(&[]).len(), 0);
    for (args, said) in [
        (["carts", "cart/k-1", "expiry"], "has armed no deadline"),
        (["karts", "cart/k-1", "expiry"], "this build has no deadlines \"karts\"; it has order-deadlines, "),
    ] {
        let output = install.run(&[&["deadlines", "fire"], &args[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_the_build_does_not_know_is_wrong_usage_that_names_those_it_knows() {
    let install = Install::new().await;
    for (role, given, said) in [
        ("up", "nothing=1s", "nothing waits for \"nothing\" in this build; it has "),
        ("command-handlers", "payment=soon", "payment: \"soon\" is no time such as 500ms"),
    ] {
        let output = install.run(&[role, "--wait", given]);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("--wait (DAYBOOK_WAITS)") && told.contains(said), "{told}");
    }
}
