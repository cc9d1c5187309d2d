//! A log whose database was restored to an older state: what it lacks is found, given up by an operator, and everything goes on.

use daybook_bus::Inspector;
use daybook_kernel::StreamId;
use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::Install;

const PARTITIONS: u32 = 3;

fn partition(stream: &str) -> i32 {
    StreamId::parse(stream).expect("a stream id").partition(PARTITIONS)
}

/// A backup of the database, as far as the log of `inventory` goes.
struct Backup {
    pages: Vec<(i32, i64)>,
    reactors: Vec<(i32, i64, i64)>,
}

impl Install {
    async fn back_up(&self) -> Backup {
        let owner = self.database.owner().await;
        let pages = owner.query("SELECT partition, max(page) FROM inventory.page GROUP BY 1", &[]).await.expect("readable");
        let reactors = owner.query("SELECT partition, next_offset, settled FROM inventory.reactor", &[]).await.expect("readable");
        Backup {
            pages: pages.iter().map(|row| (row.get(0), row.get(1))).collect(),
            reactors: reactors.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect(),
        }
    }

    /// The log and what stands beside it are as they were; Kafka and the read models are not.
    async fn restore(&self, backup: &Backup) {
        let mut sql = "SET session_replication_role = replica;".to_owned();
        for (n, page) in &backup.pages {
            for table in ["command", "request", "event", "page"] {
                sql += &format!("DELETE FROM inventory.{table}_{n} WHERE page > {page};");
            }
        }
        for (n, next, settled) in &backup.reactors {
            sql += &format!("UPDATE inventory.reactor SET next_offset = {next}, settled = {settled} WHERE partition = {n};");
        }
        self.database.owner().await.batch_execute(&sql).await.expect("the owner may, with the triggers off");
    }

    fn reconcile(&self, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.run(&[&["--json", "replay", "reconcile", "inventory"], more].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_log_is_reconciled_and_all_that_was_acknowledged_is_decided_again() {
    let mut install = Install::new().await;
    install.variables.push(("DAYBOOK_LOG", "error".to_owned()));
    let stock = |more: Value| {
        let mut body = json!({ "sku": "A-1", "warehouse": "w-1" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let up = install.up().await;
    install.post(&up.commands, "inventory/set-reorder-point", "k-1", &stock(json!({ "reorderPoint": 5 }))).await.expect("answers");
    let opened = "SELECT count(*) FROM inventory.event WHERE type LIKE '%ReorderProposalOpened'";
    eventually("a proposal", || async { (install.count(opened).await == 1).then_some(()) }).await;
    let unsettled = "SELECT count(*) FROM inventory.reactor r WHERE r.settled < \
                     (SELECT max(p.first_offset + p.count) FROM inventory.page p WHERE p.partition = r.partition)";
    eventually("all to be settled", || async { (install.count(unsettled).await == 0).then_some(()) }).await;
    assert_eq!(install.reconcile(&[]).0, Some(0), "nothing differs");
    assert_eq!(install.reconcile(&["--discard", "--reason", "none"]).0, Some(2), "there is nothing to discard");
    let backup = install.back_up().await;

    let (status, told) =
        install.post(&up.commands, "inventory/receive-stock", "k-2", &stock(json!({ "quantity": 9 }))).await.expect("answers");
    assert_eq!(status, 200, "{told}");
    let closed = "SELECT count(*) FROM inventory.event WHERE type LIKE '%ReorderProposalClosed'";
    eventually("the proposal to be closed", || async { (install.count(closed).await == 1).then_some(()) }).await;
    let level = async |url: &str| -> Option<Value> {
        install.client.get(format!("{url}/v1/stock-levels/A-1@w-1")).send().await.ok()?.json().await.ok()
    };
    eventually("the level", || async { (level(&up.queries).await?["onHand"] == 9).then_some(()) }).await;
    up.kill();
    install.restore(&backup).await;
    assert_eq!((install.count(closed).await, install.count(opened).await), (0, 1));

    let (code, found) = install.reconcile(&[]);
    assert_eq!(code, Some(1), "{found}");
    let state = found["partitions"].as_array().expect("all partitions")[partition("stock/A-1@w-1").unsigned_abs() as usize].clone();
    assert!(state["foreignEvents"].as_u64().is_some_and(|n| n >= 2), "received, and regained: {found}");
    assert!(state["messagesAgain"].as_i64().is_some_and(|n| n >= 1), "{found}");
    let named = state["named"].to_string();
    assert!(named.contains("StockReceived") && named.contains("stock/A-1@w-1"), "{named}");
    let mut ahead: Vec<String> =
        found["ahead"].as_array().expect("a list").iter().map(|a| a["readModel"].as_str().unwrap_or_default().to_owned()).collect();
    ahead.dedup();
    assert!(ahead.contains(&"stock-levels".to_owned()) && ahead.contains(&"product-pages".to_owned()), "{found}");

    let (code, began) = install.reconcile(&["--discard", "--reason", "restored from last night's backup"]);
    assert_eq!((code, &began["beganEpoch"]), (Some(0), &json!(2)), "{began}");
    let reasons = "SELECT count(*) FROM inventory.page WHERE epoch = 2 AND reason = 'restored from last night''s backup'";
    assert_eq!(install.count(reasons).await, i64::from(PARTITIONS), "it stands in every partition");

    // Who asks how far the lanes are is told that they have not been there yet, though they once were.
    let number = partition("stock/A-1@w-1");
    let (inspector, topic) = (Inspector::new(&install.bus).expect("a client"), install.bus.messages("inventory"));
    let end = inspector.written(&topic, number).await.expect("it answers").end;
    let committed = inspector.committed(&install.bus.group("inventory.lanes"), &topic, number).await.expect("it answers");
    assert_eq!(committed, state["messagesAgain"].as_i64().map(|again| end - again), "{found}");

    // The command that the log had lost is on Kafka still: it is decided again, and once; and so is what follows from it.
    let handlers = install.handlers().await;
    eventually("the proposal to be closed again", || async { (install.count(closed).await == 1).then_some(()) }).await;
    let (status, again) =
        install.post(&handlers.commands, "inventory/receive-stock", "k-2", &stock(json!({ "quantity": 9 }))).await.expect("answers");
    assert_eq!(status, 200, "{again}");
    assert!(again["token"].as_str().is_some_and(|token| token.ends_with("@2")), "{again}");
    let received = "SELECT count(*) FROM inventory.event WHERE type LIKE '%StockReceived'";
    assert_eq!(install.count(received).await, 1, "the client's repeat is a repeat");

    for model in ahead {
        let rebuilt = install.run(&["replay", "rebuild", &model, "--promote", "--accept-differences"]);
        assert!(
            rebuilt.status.success(),
            "{model}: {}{}",
            String::from_utf8_lossy(&rebuilt.stdout),
            String::from_utf8_lossy(&rebuilt.stderr)
        );
    }
    drop(handlers);
    let up = install.up().await;
    eventually("the level", || async { (level(&up.queries).await?["onHand"] == 9).then_some(()) }).await;
    let (status, _) =
        install.post(&up.commands, "inventory/receive-stock", "k-3", &stock(json!({ "quantity": 1 }))).await.expect("answers");
    assert_eq!(status, 200);
    eventually("the level to follow", || async { (level(&up.queries).await?["onHand"] == 10).then_some(()) }).await;
    for model in ["stock-levels", "product-pages", "reorder-alerts"] {
        let diff = install.run(&["replay", "diff", model]);
        assert!(diff.status.success(), "{model}: {}", String::from_utf8_lossy(&diff.stdout));
    }
    let (code, after) = install.reconcile(&[]);
    assert_eq!(code, Some(0), "what is void differs from nothing: {after}");
    for kept in after["ahead"].as_array().expect("a list") {
        assert_eq!((&kept["state"], &kept["generation"]), (&json!("kept"), &json!(1)), "of no more use: {kept}");
    }
    install.verify().await;
}
