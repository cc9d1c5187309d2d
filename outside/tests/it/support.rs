//! A simulator of each kind, in this process, and a sandbox, where there is one.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use daybook_process::shutdown;
use serde_json::Value;
use shop_outside::Address;
use shop_simulators::{Options, Terms, start_carrier, start_payment_provider};
use tokio::sync::watch;

pub(crate) struct Simulator {
    pub(crate) url: String,
    client: reqwest::Client,
    _stop: watch::Sender<bool>,
}

/// The sandbox of a kind, with our key there. Where the environment names none, the test says that it did not run.
pub(crate) fn sandbox(kind: &str, test: &str) -> Option<Address> {
    let of = |what: &str| std::env::var(format!("DAYBOOK_{kind}_SANDBOX_{what}")).ok();
    let Some(url) = of("URL") else {
        // Past the harness, which shows nothing of what passes.
        writeln!(std::io::stderr(), "NOT RUN: {test}: DAYBOOK_{kind}_SANDBOX_URL names none").expect("it is open");
        return None;
    };
    Some(Address::new(&url, of("KEY")).expect("a URL"))
}

fn options() -> Options {
    Options { listen: SocketAddr::from(([127, 0, 0, 1], 0)), notices: None, answer: Duration::ZERO, state: None }
}

impl Simulator {
    pub(crate) async fn payments(terms: impl Into<Terms>) -> Self {
        let (stop, stopping) = shutdown();
        Self::of(start_payment_provider(options(), terms, stopping).await.expect("a free port").address(), stop)
    }

    pub(crate) async fn carrier() -> Self {
        let (stop, stopping) = shutdown();
        Self::of(start_carrier(options(), stopping).await.expect("a free port").address(), stop)
    }

    fn of(address: SocketAddr, stop: watch::Sender<bool>) -> Self {
        Self { url: format!("http://{address}"), client: reqwest::Client::new(), _stop: stop }
    }

    pub(crate) fn address(&self) -> Address {
        Address::new(&self.url, None).expect("a URL")
    }

    pub(crate) async fn faults(&self, faults: Value) {
        self.client.put(format!("{}/faults", self.url)).json(&faults).send().await.expect("an answer").error_for_status().expect("faults");
    }

    pub(crate) async fn books(&self) -> Value {
        self.client.get(format!("{}/books", self.url)).send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) async fn act(&self, id: &str) {
        self.client.post(format!("{}/act/{id}", self.url)).send().await.expect("an answer").error_for_status().expect("an action");
    }
}
