//! Simulators as processes, and their notices at a real endpoint.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::support::Install;

/// A simulator in a process of its own; killed when this goes.
struct Simulator {
    child: Child,
    url: String,
}

impl Simulator {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_daybook"))
            .arg("simulate")
            .args(args)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let line = BufReader::new(child.stdout.take().expect("piped")).lines().next().expect("a line").expect("text");
        let url = line.rsplit(' ').next().expect("an address").to_owned();
        Self { child, url }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url)).header("Idempotency-Key", path).json(&body);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        reqwest::get(format!("{}{path}", self.url)).await.expect("an answer").json().await.expect("JSON")
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parcel_that_was_delivered_is_told_to_its_shipment_once() {
    let mut install = Install::new().await;
    let secret = std::env::temp_dir().join(format!("daybook-secret-{}", uuid::Uuid::new_v4()));
    std::fs::write(&secret, "a secret\n").expect("a file");
    let secret = secret.to_str().expect("text");
    install.variables.push(("DAYBOOK_CARRIER_WEBHOOK_SECRET_FILE", secret.to_owned()));
    let handlers = install.handlers().await;
    let hook = format!("{}/v1/webhooks/carrier", handlers.commands);
    let carrier = Simulator::start(&["carrier", "--webhook-url", &hook, "--secret-file", secret]);
    let label = carrier.post("/v1/labels", json!({ "orderId": "o-1", "number": 1, "address": { "country": "DE" } })).await;
    let tracking = label["tracking"].as_str().expect("a number");
    // Forged, twice, and the same again: it is one notice.
    let faults = json!({ "noticesForged": 1, "noticesTwice": 1 });
    let set = install.client.put(format!("{}/faults", carrier.url)).json(&faults).send().await.expect("an answer");
    assert_eq!(set.status(), 200);
    carrier.post(&format!("/parcels/{tracking}/deliver"), Value::Null).await;
    let noticed = "SELECT count(*) FROM shipping.command";
    eventually("the notice to be kept", || async { (install.count(noticed).await > 0).then_some(()) }).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(install.count(noticed).await, 1);
    assert_eq!(install.count("SELECT count(*) FROM shipping.event WHERE stream_id = 'shipment/o-1@1'").await, 1);
    std::fs::remove_file(secret).expect("it is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulator_ends_when_it_is_told_to_and_goes_on_from_its_file() {
    let state = std::env::temp_dir().join(format!("daybook-payments-{}.jsonl", uuid::Uuid::new_v4()));
    let args = ["payment-provider", "--captures", "once", "--state", state.to_str().expect("text")];
    let mut provider = Simulator::start(&args);
    let payment = provider.post("/v1/payments", json!({ "order": "o-1", "amount": 5, "currency": "EUR" })).await;
    assert_eq!(payment["captures"], "once");
    let sent = Command::new("kill").args(["-TERM", &provider.child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    let ended = eventually("the simulator to end", || std::future::ready(provider.child.try_wait().expect("it can be asked"))).await;
    assert_eq!(ended.code(), Some(0));
    let again = Simulator::start(&args);
    assert_eq!(again.get("/books").await["payments"][0]["id"], payment["id"]);
    std::fs::remove_file(state).expect("it is there");
}

#[test]
fn notices_without_a_secret_are_wrong_usage() {
    let args = ["simulate", "carrier", "--listen", "127.0.0.1:0", "--webhook-url", "http://127.0.0.1:1"];
    let output = Command::new(env!("CARGO_BIN_EXE_daybook")).args(args).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
