//! Processes that die where it hurts: between what is durable and what is told of it.

use daybook_failpoint::{Fault, GROUP, NO_ADVISORY_LOCK};
use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::{Install, Points, Process};

const SIGKILL: i32 = 9;

/// Checkpoints that Kafka has not acknowledged everything of.
const NOT_PUSHED: &str = "SELECT count(*) FROM read.checkpoint WHERE projection = 'product-pages' AND pushed < next_offset";

/// An install whose processes have fail-points.
struct Breakable {
    install: Install,
    points: Points,
}

impl Breakable {
    async fn new() -> Self {
        let points = Points::new();
        let mut install = Install::new().await;
        install.variables.push(points.variable());
        Self { install, points }
    }

    fn arm(&self, point: &str) {
        self.points.arm(point, Fault::KILL);
    }

    fn fired(&self, name: &str) -> usize {
        self.points.fired(name)
    }

    /// A command as a client sends it; none when nobody answers. Whether it is a repeat, and the result.
    async fn send(&self, to: &Process, path: &str, key: &str, body: &Value) -> Option<(bool, Value)> {
        let request = self.install.client.post(format!("{}/v1/{path}", to.commands)).json(body);
        let response = request.header("Idempotency-Key", key).header("Prefer", "wait=20").send().await.ok()?;
        let (status, repeat) = (response.status(), response.headers().contains_key("Idempotent-Replayed"));
        let result: Value = response.json().await.ok()?;
        assert_eq!(status, 200, "{result}");
        Some((repeat, result))
    }
}

fn received(sku: &str) -> Value {
    json!({ "sku": sku, "warehouse": "w-1", "quantity": 1 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_takes_effect_once_though_its_process_dies_before_and_after_the_commit() {
    let broken = Breakable::new().await;
    let mut process = broken.install.handlers().await;
    for (done, point) in (0..).zip(["append.before", "append.after"]) {
        broken.arm(point);
        let told = broken.send(&process, "inventory/receive-stock", point, &received("A-1")).await;
        assert_eq!((told, process.ended_by().await, broken.fired(point)), (None, Some(SIGKILL), 1), "{point}");
        let stand = broken.install.count("SELECT count(*) FROM inventory.event").await;
        assert_eq!(stand, done + i64::from(point == "append.after"), "{point}");
        process = broken.install.handlers().await;
        // Its first message is in Kafka still: this one is the repeat.
        let (repeat, result) = broken.send(&process, "inventory/receive-stock", point, &received("A-1")).await.expect("answers");
        assert_eq!((repeat, &result["version"]), (true, &json!(done + 1)), "{point}: {result}");
    }
    assert_eq!(broken.install.count("SELECT count(*) FROM inventory.event").await, 2);
    broken.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_and_not_pushed_is_shown_under_its_token() {
    let broken = Breakable::new().await;
    let projectors = ["projectors", "--projections", "product-pages"];
    let handlers = broken.install.handlers().await;
    let queries = broken.install.start(&["query-api", "--listen", "127.0.0.1:0"]).await;
    let mut running = broken.install.start(&projectors).await;
    let product = json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } });
    let (_, created) = broken.send(&handlers, "catalog/create-product", "create", &product).await.expect("answers");
    assert_eq!(price(&broken, &queries, &created).await, "1");
    for (point, amount) in [("project.after-commit", 2), ("push.between", 3)] {
        broken.arm(point);
        let body = json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": amount } });
        let (_, repriced) = broken.send(&handlers, "catalog/reprice-product", point, &body).await.expect("answers");
        assert_eq!(running.ended_by().await, Some(SIGKILL), "{point}");
        assert_eq!(broken.fired(point), 1);
        let wanted = amount.to_string();
        assert_eq!(price(&broken, &queries, &repriced).await, wanted, "{point}: what is committed, though nobody was told");
        running = broken.install.start(&projectors).await;
        eventually("all to be pushed", || async { (broken.install.count(NOT_PUSHED).await == 0).then_some(()) }).await;
        assert_eq!(price(&broken, &queries, &Value::Null).await, wanted, "{point}: without a token");
    }
}

/// The price on the page, under a result's token if there is one.
async fn price(broken: &Breakable, queries: &Process, result: &Value) -> String {
    let request = broken.install.client.get(format!("{}/v1/product-pages/A-1", queries.queries)).header("Prefer", "wait=30");
    let request = result["token"].as_str().into_iter().fold(request, |request, token| request.header("Consistency-Token", token));
    let page: Value = request.send().await.expect("answers").json().await.expect("JSON");
    page["price"]["minorUnits"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lanes_on_every_partition_and_no_lock_between_them_leave_one_history() {
    let mut broken = Breakable::new().await;
    broken.points.switch_on(NO_ADVISORY_LOCK);
    let first = broken.install.handlers().await;
    broken.install.variables.push((GROUP, ".second".to_owned()));
    let second = broken.install.handlers().await;
    eventually("both to have taken partitions over", || async { (broken.fired(NO_ADVISORY_LOCK) == 2).then_some(()) }).await;
    for n in 0..10 {
        let (one, other) = if n % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let (key, body) = (n.to_string(), received("A-1"));
        let (_, result) = broken.send(one, "inventory/receive-stock", &key, &body).await.expect("answers");
        let (_, again) = broken.send(other, "inventory/receive-stock", &key, &body).await.expect("answers");
        assert_eq!((&result["version"], &result), (&json!(n + 1), &again));
    }
    assert_eq!(broken.install.count("SELECT count(*) FROM inventory.event").await, 10);
    let writers = "SELECT count(DISTINCT writer) FROM inventory.page WHERE partition = (SELECT partition FROM inventory.event LIMIT 1)";
    assert!(broken.install.count(writers).await >= 2, "both wrote in the partition");
    broken.install.verify().await;
}
