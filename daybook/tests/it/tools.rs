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
async fn wrong_usage_is_2_and_missing_infrastructure_3() {
    let install = Install::new().await;
    assert_eq!(install.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(install.run(&["command-handlers", "--services", "nosuch", "--listen", "127.0.0.1:0"]).status.code(), Some(2));
    let nowhere = install.run(&["replay", "verify", "--database-url", "postgres://nobody@127.0.0.1:1/none"]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", String::from_utf8_lossy(&nowhere.stderr));
    assert_eq!(install.run(&["load", "catalogue", "/no/such/file"]).status.code(), Some(2));
}
